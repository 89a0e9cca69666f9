// Package addtext adds a text below the text of a message: the trailer of a domain.
//
// The MIME structure of the message stays. The text goes into the body that people read: the text/plain or text/html of the
// message, each alternative of it, and of a multipart/mixed or related the first part; an attachment gets nothing, nor does
// text/calendar. It is written in the charset and the transfer encoding of the part. A part in US-ASCII gets the charset UTF-8 and
// quoted-printable if the text is not US-ASCII; of other charsets, characters that they do not have become references in
// HTML and question marks in plain text.
//
// Nothing is added to a message that is signed or encrypted as a whole or in a part (RFC 1847, RFC 8551, RFC 9580), nor to
// a part that has the text already.
package addtext

import (
	"bytes"
	"encoding/base64"
	"io"
	"mime"
	"mime/quotedprintable"
	"slices"
	"strings"

	"golang.org/x/text/encoding"

	"gatepost/accounts/message"
)

// Text is what is added: lines of UTF-8. A kind of part whose text is empty gets nothing.
type Text struct{ Plain, HTML string }

// Edit puts Text into the place of Remove bytes of a message from At on.
type Edit struct {
	At, Remove int64
	Text       []byte
}

// maxBody bounds what is read of a part. A longer one gets nothing.
const maxBody = 1 << 20

// maxParts bounds the parts of a message that get the text.
const maxParts = 10

// Below returns the edits that add a text to a message with CRLF line ends, in the order of their places, which do not
// overlap. The errors are those of the reader.
func Below(msg io.ReaderAt, size int64, text Text) ([]Edit, error) {
	if text.Plain == "" && text.HTML == "" {
		return nil, nil
	}
	sum, err := message.Scan(io.NewSectionReader(msg, 0, size), message.Options{})
	if err != nil || sum.HeaderOnly || sealed(sum.Root) {
		return nil, err
	}
	var edits []Edit
	for _, p := range bodies(sum.Root, nil) {
		added := text.Plain
		if p.Subtype == "html" {
			added = text.HTML
		}
		if added == "" || p.Body.Size() > maxBody || !message.KnownEncoding(p.Encoding) {
			continue
		}
		body, err := read(msg, p.Body)
		if err != nil {
			return nil, err
		}
		w := &part{Part: p, raw: body, root: p == sum.Root}
		if w.charset = strings.ToLower(p.Param("charset")); !w.decode() {
			continue
		}
		if w.armored() {
			return nil, nil
		}
		if w.has(added) {
			continue
		}
		more, err := w.edits(msg, lines(added))
		if err != nil {
			return nil, err
		}
		edits = append(edits, more...)
	}
	return edits, nil
}

func read(msg io.ReaderAt, s message.Span) ([]byte, error) {
	b := make([]byte, s.Size())
	_, err := io.ReadFull(io.NewSectionReader(msg, s.Start, s.Size()), b)
	return b, err
}

// lines returns a text with CRLF between its lines and none at its end.
func lines(text string) string {
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n")
	return strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\r\n")
}

// sealed reports whether a part, or one in it, is signed or encrypted. Messages in a message do not count.
func sealed(p *message.Part) bool {
	switch p.Type + "/" + p.Subtype {
	case "multipart/signed", "multipart/encrypted", "application/pkcs7-mime", "application/x-pkcs7-mime", "application/pgp-encrypted":
		return true
	}
	for _, c := range p.Children {
		if sealed(c) {
			return true
		}
	}
	return false
}

// bodies appends the parts that people read.
func bodies(p *message.Part, list []*message.Part) []*message.Part {
	switch {
	case len(list) == maxParts, p.Disposition == "attachment":
	case p.Type == "text" && (p.Subtype == "plain" || p.Subtype == "html"):
		return append(list, p)
	case p.Type != "multipart":
	case p.Subtype == "alternative":
		for _, c := range p.Children {
			list = bodies(c, list)
		}
	case p.Subtype == "mixed", p.Subtype == "related":
		for _, c := range p.Children {
			if more := bodies(c, list); len(more) > len(list) {
				return more
			}
			if p.Subtype == "related" { // the others belong to the first
				break
			}
		}
	}
	return list
}

// part is a part that gets a text.
type part struct {
	*message.Part
	root    bool
	raw     []byte // the body as it is written
	decoded []byte // without the transfer encoding
	text    string // in UTF-8, with LF line ends
	charset string
	enc     encoding.Encoding // nil for UTF-8 and US-ASCII
}

// decode reads the body. It reports false for a charset that is not known, or that is no superset of US-ASCII.
func (p *part) decode() bool {
	enc, ok := message.Charset(p.charset)
	if !ok {
		return false
	}
	p.enc = enc
	if enc != nil {
		probe, err := enc.NewEncoder().String("</body>\r\n")
		if err != nil || probe != "</body>\r\n" {
			return false
		}
	}
	p.decoded, _ = io.ReadAll(message.Decode(bytes.NewReader(p.raw), p.Encoding)) // memory has no errors
	text, _ := io.ReadAll(message.ToUTF8(bytes.NewReader(p.decoded), p.charset))
	p.text = strings.ReplaceAll(string(text), "\r\n", "\n")
	return true
}

// armored reports whether the part has a text that OpenPGP has signed or encrypted.
func (p *part) armored() bool {
	return strings.HasPrefix(p.text, "-----BEGIN PGP ") || strings.Contains(p.text, "\n-----BEGIN PGP ")
}

// has reports whether the text is in the part already, in lines of its own.
func (p *part) has(added string) bool {
	added = strings.ReplaceAll(lines(added), "\r\n", "\n")
	if p.Subtype == "html" {
		return strings.Contains(p.text, added)
	}
	return strings.Contains("\n"+p.text+"\n", "\n"+added+"\n")
}

// edits returns what changes in the message.
func (p *part) edits(msg io.ReaderAt, added string) ([]Edit, error) {
	coded, charset := p.inCharset(added), ""
	if !ascii(coded) && (p.charset == "" || p.charset == "us-ascii" || p.charset == "ascii") {
		if !ascii(p.decoded) { // nobody knows its charset
			return nil, nil
		}
		charset = "utf-8"
	}
	at, before, after := p.place()
	coded = append(append([]byte(before), coded...), after...)
	enc := p.Encoding
	if (enc == "7bit" || enc == "") && !ascii(coded) {
		enc = "quoted-printable"
	}
	if enc != "base64" && enc != "quoted-printable" {
		return []Edit{{p.Body.Start + int64(at), 0, coded}}, nil
	}
	var edits []Edit
	if enc != p.Encoding || charset != "" {
		header, err := read(msg, p.Header)
		if err != nil {
			return nil, err
		}
		var ok bool
		if edits, ok = p.describe(header, enc, charset); !ok {
			return nil, nil
		}
	}
	whole := slices.Concat(p.decoded[:at], coded, p.decoded[at:])
	return append(edits, Edit{p.Body.Start, p.Body.Size(), p.encode(whole, enc)}), nil
}

// inCharset is a text in the charset of the part.
func (p *part) inCharset(text string) []byte {
	if p.enc == nil {
		return []byte(text)
	}
	e := encoding.ReplaceUnsupported(p.enc.NewEncoder())
	if p.Subtype == "html" {
		e = encoding.HTMLEscapeUnsupported(p.enc.NewEncoder())
	}
	out, err := e.Bytes([]byte(text + "\n")) // after which ISO-2022 is back in US-ASCII
	if err != nil {                          // there is none that is not replaced
		return nil
	}
	return bytes.ReplaceAll(bytes.TrimSuffix(out, []byte("\n")), []byte{0x1a}, []byte("?"))
}

// place returns where the text goes in the decoded body, and what stands before and after it.
func (p *part) place() (at int, before, after string) {
	if p.Subtype == "html" {
		if i := endOfBody(p.decoded); i >= 0 {
			return i, "", "\r\n"
		}
	}
	at = len(p.decoded)
	lineEnds := bytes.HasSuffix(p.decoded, []byte("\n"))
	if at > 0 && !lineEnds {
		before = "\r\n"
	}
	if p.root || lineEnds {
		after = "\r\n"
	}
	return at, before, after
}

// endOfBody returns where the body element of a page ends; -1 if that is not said.
func endOfBody(page []byte) int {
	const tag = "</body"
	for i := len(page) - len(tag); i >= 0; i-- {
		if page[i] == '<' && strings.EqualFold(string(page[i:i+len(tag)]), tag) {
			return i
		}
	}
	return -1
}

// encode returns a body in a transfer encoding. That of a part of a multipart has no line end behind it.
func (p *part) encode(body []byte, enc string) []byte {
	var b bytes.Buffer
	if enc == "quoted-printable" {
		w := quotedprintable.NewWriter(&b)
		w.Write(body) // memory has no errors
		w.Close()
		return b.Bytes()
	}
	const line = 57 // bytes that are 76 characters (RFC 2045 section 6.8)
	for rest := body; len(rest) > 0; {
		n := min(line, len(rest))
		b.Write(base64.StdEncoding.AppendEncode(b.AvailableBuffer(), rest[:n]))
		rest = rest[n:]
		if len(rest) > 0 || p.root || bytes.HasSuffix(p.raw, []byte("\n")) {
			b.WriteString("\r\n")
		}
	}
	return b.Bytes()
}

// describe returns the edits of the part's header for another transfer encoding, and another charset if it is not empty. It reports
// false for a header that does not end.
func (p *part) describe(header []byte, enc, charset string) (edits []Edit, ok bool) {
	if !bytes.Equal(header, []byte("\r\n")) && !bytes.HasSuffix(header, []byte("\r\n\r\n")) {
		return nil, false
	}
	end := len(header) - 2
	version := !p.root
	for at := 0; at < end; {
		n := fieldLength(header[at:end])
		name, _, _ := bytes.Cut(header[at:at+n], []byte(":"))
		switch strings.ToLower(string(bytes.TrimSpace(name))) {
		case "content-type":
			if charset != "" {
				edits = append(edits, Edit{p.Header.Start + int64(at), int64(n), nil})
			}
		case "content-transfer-encoding":
			edits = append(edits, Edit{p.Header.Start + int64(at), int64(n), nil})
		case "mime-version":
			version = true
		}
		at += n
	}
	var b bytes.Buffer
	if !version {
		b.WriteString("MIME-Version: 1.0\r\n")
	}
	if charset != "" {
		params := map[string]string{"charset": charset}
		for _, q := range p.Params {
			if q.Name != "charset" {
				params[q.Name] = q.Value
			}
		}
		media := mime.FormatMediaType(p.Type+"/"+p.Subtype, params)
		if media == "" { // a parameter is no token
			media = p.Type + "/" + p.Subtype + "; charset=" + charset
		}
		b.WriteString("Content-Type: " + media + "\r\n")
	}
	b.WriteString("Content-Transfer-Encoding: " + enc + "\r\n")
	return append(edits, Edit{p.Header.Start + int64(end), 0, b.Bytes()}), true
}

// fieldLength is the length of the first field with the lines that continue it.
func fieldLength(fields []byte) int {
	for at := 0; ; {
		i := bytes.IndexByte(fields[at:], '\n')
		if i < 0 {
			return len(fields)
		}
		if at += i + 1; at == len(fields) || fields[at] != ' ' && fields[at] != '\t' {
			return at
		}
	}
}

func ascii(b []byte) bool { return !bytes.ContainsFunc(b, func(r rune) bool { return r >= 0x80 }) }
