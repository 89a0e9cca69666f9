// Package message knows what a message is: its header, its MIME structure, and
// the texts that mail clients ask for most, made once when the message arrives.
//
// # Words
//
// A message is a header, an empty line and a body. A part is a node of the MIME
// tree (RFC 2045, 2046): a leaf, a multipart with children, or a message/rfc822
// with a message inside. The root part is the message itself. A Span is a range
// of bytes counted from the first byte that Scan read; bytes that the store
// puts before a message (its prefix) are not counted here.
//
// # Promises
//
// Scan reads a message once, front to back, in bounded memory and in time linear in
// its size, whatever the bytes are. It fails only when its reader does. Broken
// MIME is never an error: a Content-Type that can't be parsed is text/plain, a
// multipart without parts is text/plain, and what lies beyond the limits is
// one leaf of application/octet-stream. So AppendBodyStructure always writes
// something that the grammar of RFC 9051 allows.
//
// # Binary parts
//
// What is stored are lines. A wire that takes binary parts passes the message through a
// BinaryEncoder, which makes them base64.
//
// # Limits
//
// RFC 2045 and 5322 set no bounds, so Scan sets those that keep its memory bounded, far above
// what mail programs write. Nothing of a message is out of reach beyond them. What is nested deeper than
// MaxDepth is one part. Of more than MaxParts parts, the last one holds what remains of its
// multipart. MaxHeader is how much is read of one header, and of all inner headers together;
// the rest is counted in the span. Within a header there is no limit on the number or length of
// fields, addresses and parameters.
//
// # Stored form
//
// Marshal writes a Summary in a compact form that begins with its version
// (summaryVersion); Unmarshal reads every version that was ever
// released. A summary above MaxStored bytes is not worth keeping: the store
// keeps none, and scans the file when it is asked.
//
// RFC 5322 (header fields, addresses), 2045-2047 and 2231 (MIME), 2183
// (Content-Disposition), 3282 (Content-Language), 2557 (Content-Location), 1864
// (Content-MD5), 9051 section 7.5.2 (ENVELOPE, BODYSTRUCTURE), 8970 (PREVIEW).
package message

// The limits of Scan.
const (
	// MaxDepth is how deep parts may lie; a multipart or message/rfc822 below is a leaf.
	MaxDepth = 100
	// MaxParts is how many parts a message has at most. Each multipart that has more of them has one
	// besides, which holds the rest.
	MaxParts = 10_000
	// MaxHeader is how many bytes of a header are looked at.
	MaxHeader = 1 << 20
	// MaxPreview is the length of a preview in characters (RFC 8970 section 3.1 asks for 200).
	MaxPreview = 200
	// MaxStored is the size of a marshaled summary above which it is better made
	// again from the file.
	MaxStored = 8 << 10
)

// CachedFields are the header fields that Summary.Headers holds: what clients
// list messages with.
var CachedFields = [...]string{
	"From", "To", "Cc", "Bcc", "Subject", "Date", "Message-ID", "Priority", "X-Priority", "References",
	"Newsgroups", "In-Reply-To", "Content-Type", "Reply-To", "Received", "Sender", "List-Id",
}
