package message

import (
	"bytes"
	"encoding/base64"
	"strings"

	"gatepost/server/fault"
)

// BinaryEncoder converts the binary parts of a message (Content-Transfer-Encoding binary,
// RFC 3030 section 3, RFC 9051 section 4.3.1) to base64 while the message is received, and
// changes their Content-Transfer-Encoding. The result consists
// of lines. The content has the same octets, but a signature over the encoded form becomes
// invalid, as with every such conversion.
//
// It parses the MIME structure with bounded memory: it holds one header, one line or one
// possible delimiter, and a stack of multiparts. It emits other text
// in pieces that do not end between CR and LF. It does not check for bare CR or LF, or for
// NUL; Emit has to.
type BinaryEncoder struct {
	// Emit takes the message as it becomes; the text is valid until Emit returns.
	Emit func(text []byte)
	// StartsBody, if set, is asked about each line of the message's own header, and
	// whether fields came before. A line that it takes for the body gets an empty line
	// before it.
	StartsBody func(line []byte, fields bool) bool

	buf        []byte // input that is not taken yet
	lineAt     int    // header: where in buf a line starts whose end is not there yet
	looked     int    // header: bytes of that line that were looked at
	state      binaryState
	inBody     bool        // the message's own header was taken
	midLine    bool        // text: the line goes on, so it is no delimiter
	first      bool        // encode: nothing of the part was taken yet
	multiparts []enclosure // around, outermost first
	inDigest   bool        // the header is that of a part of a digest
	rest       []byte      // encode: octets that do not fill a line
	out        []byte      // reused
}

// enclosure is an open multipart.
type enclosure struct {
	boundary string
	digest   bool
}

type binaryState uint8

const (
	binaryHeader binaryState = iota
	binaryText               // passed on by lines
	binaryEncode             // passed on as base64
)

const (
	maxBoundaries    = 100
	maxDelimiterLine = 1000 // RFC 2046 5.1.1 allows 70 and blanks
	maxHeldLine      = 16 << 10
	octetsPerLine    = 57 // 76 characters of base64
)

var lineEnd = []byte("\r\n")

// Write encodes the next octets of the message. A header above MaxHeader is the error TooLarge, after which
// nothing more is emitted.
func (b *BinaryEncoder) Write(p []byte) (int, error) {
	b.buf = append(b.buf, p...)
	at := 0
	for {
		n := b.step(b.buf[at:])
		if n == 0 {
			break
		}
		at += n
	}
	b.buf = b.buf[:copy(b.buf, b.buf[at:])]
	if b.state == binaryHeader && len(b.buf) > MaxHeader {
		return 0, fault.New("message.BinaryEncoder", fault.TooLarge, "the message header is too large")
	}
	return len(p), nil
}

// step processes some octets at the front of in, and returns how many: 0 if it needs more
// of them.
func (b *BinaryEncoder) step(in []byte) int {
	switch b.state {
	case binaryHeader:
		return b.stepHeader(in)
	case binaryText:
		return b.stepText(in)
	}
	return b.stepEncode(in)
}

// stepHeader processes a whole header with its empty line, or one that ends at a
// delimiter.
func (b *BinaryEncoder) stepHeader(in []byte) int {
	at, from := b.lineAt, b.lineAt+b.looked
	b.lineAt, b.looked = 0, 0
	for ; ; from = at {
		lf := bytes.IndexByte(in[from:], '\n')
		if lf < 0 {
			b.lineAt, b.looked = at, len(in)-at
			return 0
		}
		lf += from - at
		line := in[at : at+lf+1]
		if len(bytes.TrimRight(line, "\r\n")) == 0 {
			b.header(in[:at])
			b.Emit(line)
			return at + len(line)
		}
		if !b.inBody && b.StartsBody != nil && b.StartsBody(line, at > 0) {
			b.header(in[:at])
			b.Emit(lineEnd)
			return at + b.step(in[at:])
		}
		if b.delimiter(line) >= 0 {
			b.header(in[:at])
			b.state, b.midLine = binaryText, false
			if at > 0 {
				return at
			}
			return b.stepText(in)
		}
		at += len(line)
	}
}

// header emits a header and decides how its body is processed.
func (b *BinaryEncoder) header(header []byte) {
	b.inBody = true
	p := contentOf(header, b.inDigest)
	b.inDigest = false
	composite := false
	b.state, b.midLine, b.first = binaryText, false, true
	switch boundary := p.Param("boundary"); {
	case p.Type == "multipart" && boundary != "" && len(b.multiparts) < maxBoundaries:
		composite = true
		b.multiparts = append(b.multiparts, enclosure{boundary, p.Subtype == "digest"})
	case isMessage(&p) && plainEncoding(p.Encoding):
		composite = true
		b.state = binaryHeader
	}
	if p.Encoding != "binary" {
		b.Emit(header)
		return
	}
	now := "Content-Transfer-Encoding: 8bit\r\n" // RFC 2045 6.4: composite parts are not encoded
	if !composite {
		now = "Content-Transfer-Encoding: base64\r\n"
		b.state = binaryEncode
	}
	// A header with several names one encoding after this: not all readers obey the first.
	b.out = appendWithout(b.out[:0], header, encodingField)
	if len(b.out) > 0 {
		b.out = withLineEnd(b.out)
	}
	b.out = append(b.out, now...)
	b.Emit(b.out)
}

// contentOf reads the media type and the encoding of a header as Scan does. A part of a
// digest without a type is a message (RFC 2046 section 5.1.5).
func contentOf(header []byte, inDigest bool) (p Part) {
	typed := false
	var mediaType []byte
	for at := 0; at < len(header); {
		name, value, end := cutField(header, at)
		switch identify(name) {
		case contentTypeField:
			if !typed {
				typed = true
				mediaType = fieldValue(header[value:end])
				p.Type, p.Subtype, p.Params = parseMediaType(mediaType)
			}
		case encodingField:
			if p.Encoding == "" {
				p.Encoding = parseEncoding(fieldValue(header[value:end]))
			}
		}
		at = end
	}
	if inDigest && len(mediaType) == 0 {
		p.Type, p.Subtype = "message", "rfc822"
	}
	if p.Encoding == "" {
		p.Encoding = defaultEncoding
	}
	return p
}

// appendWithout appends the fields of a header except those with the ID.
func appendWithout(dst, header []byte, id fieldID) []byte {
	for at := 0; at < len(header); {
		name, _, end := cutField(header, at)
		if identify(name) != id {
			dst = append(dst, header[at:end]...)
		}
		at = end
	}
	return dst
}

// delimiter returns the index of the multipart whose delimiter a line is, or -1.
func (b *BinaryEncoder) delimiter(line []byte) int {
	if len(line) < 3 || line[0] != '-' || line[1] != '-' {
		return -1
	}
	text := string(bytes.TrimRight(line[2:], " \t\r\n"))
	for i := len(b.multiparts) - 1; i >= 0; i-- {
		if rest, ok := strings.CutPrefix(text, b.multiparts[i].boundary); ok && (rest == "" || rest == "--") {
			return i
		}
	}
	return -1
}

// stepText processes a line.
func (b *BinaryEncoder) stepText(in []byte) int {
	lf := bytes.IndexByte(in, '\n')
	if lf < 0 {
		if len(in) < maxHeldLine {
			return 0
		}
		n := len(in)
		if in[n-1] == '\r' {
			n--
		}
		b.Emit(in[:n])
		b.midLine = true
		return n
	}
	line := in[:lf+1]
	if i := b.delimiter(line); i >= 0 && !b.midLine {
		closing := bytes.HasSuffix(bytes.TrimRight(line, " \t\r\n"), []byte(b.multiparts[i].boundary+"--"))
		if closing {
			b.multiparts = b.multiparts[:i]
		} else {
			b.multiparts = b.multiparts[:i+1]
			b.state, b.inDigest = binaryHeader, b.multiparts[i].digest
		}
	}
	b.midLine = false
	b.Emit(line)
	return len(line)
}

// stepEncode encodes octets up to a delimiter. The line end before a delimiter
// belongs to it (RFC 2046 section 5.1.1).
func (b *BinaryEncoder) stepEncode(in []byte) int {
	if b.first && len(in) > 0 && in[0] == '-' {
		if line, known := delimiterLine(in); !known {
			return 0
		} else if b.delimiter(line) >= 0 {
			b.state, b.midLine = binaryText, false
			return b.stepText(in)
		}
	}
	if len(b.multiparts) == 0 {
		b.encode(in)
		return len(in)
	}
	i := bytes.Index(in, []byte("\r\n--"))
	if i < 0 {
		n := max(0, len(in)-3) // the start of a delimiter may be there
		b.encode(in[:n])
		return n
	}
	if i > 0 {
		b.encode(in[:i])
		return i
	}
	line, known := delimiterLine(in[2:])
	if !known {
		return 0
	}
	if b.delimiter(line) < 0 {
		b.encode(in[:4])
		return 4
	}
	b.endEncode()
	b.Emit(lineEnd)
	b.state, b.midLine = binaryText, false
	return 2
}

// delimiterLine returns the line at the front of in, which may be a delimiter. It is known when its
// end was received, or when it is too long for a delimiter.
func delimiterLine(in []byte) (line []byte, known bool) {
	if lf := bytes.IndexByte(in, '\n'); lf >= 0 {
		return in[:lf+1], true
	}
	return nil, len(in) > maxDelimiterLine
}

// encode emits octets as lines of base64.
func (b *BinaryEncoder) encode(p []byte) {
	if len(p) == 0 {
		return
	}
	b.first = false
	b.out = b.out[:0]
	if len(b.rest) > 0 {
		n := min(octetsPerLine-len(b.rest), len(p))
		b.rest, p = append(b.rest, p[:n]...), p[n:]
		if len(b.rest) < octetsPerLine {
			return
		}
		b.out = append(base64.StdEncoding.AppendEncode(b.out, b.rest), lineEnd...)
		b.rest = b.rest[:0]
	}
	for len(p) >= octetsPerLine {
		b.out = append(base64.StdEncoding.AppendEncode(b.out, p[:octetsPerLine]), lineEnd...)
		p = p[octetsPerLine:]
	}
	b.rest = append(b.rest, p...)
	if len(b.out) > 0 {
		b.Emit(b.out)
	}
}

// endEncode emits the last, short line without a line end.
func (b *BinaryEncoder) endEncode() {
	if len(b.rest) > 0 {
		b.Emit(base64.StdEncoding.AppendEncode(b.out[:0], b.rest))
		b.rest = b.rest[:0]
	}
}

// Close emits the rest at the end of the message. With endLine, a last line
// without a line end gets one; the last line of base64 always gets one.
func (b *BinaryEncoder) Close(endLine bool) {
	rest := b.buf
	b.buf = nil
	if b.state == binaryEncode {
		b.encode(rest)
		if len(b.rest) > 0 {
			b.endEncode()
			b.Emit(lineEnd)
		}
		return
	}
	if endLine && (len(rest) > 0 || b.midLine || b.state == binaryHeader) {
		rest = withLineEnd(rest)
	}
	if b.state == binaryHeader {
		b.header(rest)
	} else if len(rest) > 0 {
		b.Emit(rest)
	}
}

// withLineEnd adds the line end, or the part of it, that a line lacks.
func withLineEnd(text []byte) []byte {
	if bytes.HasSuffix(text, lineEnd) {
		return text
	}
	return append(bytes.TrimSuffix(text, lineEnd[:1]), lineEnd...)
}
