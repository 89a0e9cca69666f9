package imap

import (
	"bytes"
	"io"

	"gatepost/accounts/message"
	"gatepost/protocols/imap/wire"
	"gatepost/server/fault"
)

// span finds the bytes of a section in the message with its prefix.
func (sec *section) span(m *fetched) (message.Span, bool) {
	size := m.body.Size()
	if len(sec.path) == 0 && sec.part == message.Whole {
		return message.Span{End: size}, true
	}
	prefix := int64(len(m.content.Prefix))
	sp, ok := m.summary.Section(sec.path, sec.part)
	if !ok {
		return sp, false
	}
	sp.Start += prefix
	sp.End += prefix
	if len(sec.path) == 0 && sec.part == message.Header {
		sp.Start = 0 // the prefix is the beginning of the header
	}
	return message.Span{Start: min(sp.Start, size), End: min(sp.End, size)}, true
}

// cut applies a partial fetch to a length.
func (sec *section) cut(n int64) (from, count int64) {
	if !sec.partial {
		return 0, n
	}
	from = min(sec.from, n)
	return from, min(sec.count, n-from)
}

// putSection writes BODY[...], RFC822 and so on. A section that does not exist is NIL.
func (x *fetching) putSection(item *fetchItem, m *fetched) {
	x.out.Raw(item.label).Byte(' ')
	sec := &item.section
	if sec.fields != nil {
		x.putFields(sec, m)
		return
	}
	sp, ok := sec.span(m)
	if !ok {
		x.out.Raw("NIL")
		return
	}
	from, n := sec.cut(sp.Size())
	x.out.Set(wire.AppendLiteral(x.out.Buf(), n))
	x.out.CopyAt(m.body, sp.Start+from, n)
}

// putFields writes HEADER.FIELDS and HEADER.FIELDS.NOT.
func (x *fetching) putFields(sec *section, m *fetched) {
	var fields []byte
	work := 0
	if sec.cached {
		fields = message.AppendHeaderFields(x.scratch[:0], m.content.Prefix, sec.fields, false)
		fields = message.AppendHeaderFields(fields, m.content.Headers, sec.fields, false)
		if !m.content.HeaderOnly {
			fields = append(fields, '\r', '\n')
		}
		work = len(m.content.Prefix) + len(m.content.Headers)
	} else {
		sp, ok := sec.span(m)
		if !ok {
			x.out.Raw("NIL")
			return
		}
		header := make([]byte, min(sp.Size(), message.MaxHeader))
		n, err := m.body.ReadAt(header, sp.Start)
		if err != nil && err != io.EOF {
			x.out.Fail(err)
			return
		}
		fields = message.AppendHeaderFields(x.scratch[:0], header[:n], sec.fields, sec.not)
		if sp.Size() > message.MaxHeader {
			fields = append(fields, '\r', '\n') // the empty line was not looked at
		}
		work = n
	}
	if cap(fields) <= maxScratch {
		x.scratch = fields
	}
	err := x.timeslice.work(work)
	x.timeslice.end()
	if err != nil {
		x.out.Fail(err)
		return
	}
	from, n := sec.cut(int64(len(fields)))
	x.out.Set(wire.AppendLiteral(x.out.Buf(), n))
	x.out.Bytes(fields[from : from+n])
}

// maxScratch is the size of the largest scratch buffer that is kept during a command.
const maxScratch = 64 << 10

// decoded returns the part that BINARY[...] names, with its
// Content-Transfer-Encoding decoded (RFC 9051 section 6.4.5.1). BINARY[] is the whole message, not decoded.
func (sec *section) decoded(m *fetched) (io.Reader, bool) {
	sp, ok := sec.span(m)
	if !ok {
		return nil, false
	}
	r := io.NewSectionReader(m.body, sp.Start, sp.Size())
	part, ok := m.summary.Part(sec.path)
	if !ok || len(sec.path) == 0 || len(part.Children) > 0 {
		return r, ok
	}
	return message.Decode(r, part.Encoding), true
}

// checkItem refuses a part that FETCH BINARY cannot decode. It is called before the response begins.
func checkItem(item *fetchItem, m *fetched) error {
	if item.kind != fetchBinary && item.kind != fetchBinarySize || len(item.section.path) == 0 {
		return nil
	}
	part, ok := m.summary.Part(item.section.path)
	if !ok || len(part.Children) > 0 || message.KnownEncoding(part.Encoding) {
		return nil
	}
	err := no(fault.Unsupported, "The encoding of a part is unknown")
	return withCode(err, fault.Unsupported, "UNKNOWN-CTE")
}

// putBinary writes BINARY[...] and BINARY.SIZE[...]. The length has to be sent first, so the part is
// decoded twice rather than held in memory.
func (x *fetching) putBinary(item *fetchItem, m *fetched) {
	x.out.Raw(item.label).Byte(' ')
	sec := &item.section
	r, ok := sec.decoded(m)
	if !ok {
		if item.kind == fetchBinarySize {
			x.out.Byte('0')
		} else {
			x.out.Raw("NIL")
		}
		return
	}
	var c counter
	_, err := io.Copy(&c, x.timeslice.reader(r))
	x.timeslice.end()
	if err != nil {
		x.out.Fail(err)
		return
	}
	if item.kind == fetchBinarySize {
		x.out.Number(uint64(c.n))
		return
	}
	from, n := sec.cut(c.n)
	if c.nul {
		x.out.Byte('~')
	}
	x.out.Set(wire.AppendLiteral(x.out.Buf(), n))
	r, _ = sec.decoded(m)
	_, err = io.CopyN(io.Discard, x.timeslice.reader(r), from)
	x.timeslice.end()
	if err != nil {
		x.out.Fail(err)
		return
	}
	x.out.CopyN(r, n)
}

// counter counts bytes, and detects NUL, which needs a literal8.
type counter struct {
	n   int64
	nul bool
}

func (c *counter) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	c.nul = c.nul || bytes.IndexByte(p, 0) >= 0
	return len(p), nil
}
