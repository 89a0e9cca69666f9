package message

import (
	"io"
	"sync"
)

// Options lower the limits of Scan; zero means the constant of the package.
type Options struct {
	MaxDepth, MaxParts, MaxHeader int
}

// Scan reads a message to its end and returns its summary. Lines end in CRLF; a
// bare LF ends a line, too. The only errors are those of r.
func Scan(r io.Reader, o Options) (*Summary, error) {
	s := scanners.Get().(*scanner)
	defer s.release()
	s.start(r, o)
	if err := s.run(); err != nil {
		return nil, err
	}
	return s.summary(), nil
}

// ScanHead returns the Head that Scan does. It reads the header of a message of size bytes, and little more.
// The only errors are those of r.
func ScanHead(r io.Reader, size int64, o Options) (Head, error) {
	s := scanners.Get().(*scanner)
	defer s.release()
	s.start(r, o)
	for s.open[0].inHeader {
		line, begins := s.lines.next()
		if line == nil {
			break
		}
		s.lines.consumed(line)
		s.headerLine(line, begins)
	}
	if s.open[0].inHeader {
		if s.lines.err != io.EOF {
			return Head{}, s.lines.err
		}
		s.sum.HeaderOnly = true
		s.endHeader(s.lines.at)
	}
	s.sum.Size = size
	return s.sum.Head, nil
}

const (
	bufferSize = 64 << 10
	// Previews are made of this much of the encoded text: enough for MaxPreview characters
	// of four bytes each in quoted-printable, and for the style sheet before a page.
	plainSample = 4 << 10
	htmlSample  = 32 << 10
)

// A scanner is the state of one Scan. Scanners are pooled.
type scanner struct {
	lines  reader
	sum    *Summary
	parts  int // the number of parts so far
	limits Options
	open   []entity       // from the root to the part that is being read
	bound  map[string]int // the innermost open multipart of each boundary, as index of open

	header     []byte // of the part that is being read, as far as it is kept
	headerRoom int    // how much more of it is kept
	innerRoom  int    // how much is kept of all headers but the first
	fields     []field
	envelope   []byte
	address    addressParser

	plain, html sample
	capture     *sample // the sample that the current lines belong to, or nil
	decoded     []byte
	line        previewLine
}

// An entity is a part whose end has not been read.
type entity struct {
	part       *Part
	embedded   *Embedded // the message that part is the root of, unless it is the outermost
	boundary   string    // of a multipart, until the close-delimiter has been read
	outer      int       // the next outer one with the same boundary, or -1
	inHeader   bool
	rest       bool  // a multipart with too many parts: its last part holds the rest of them
	digest     bool  // a multipart whose parts without Content-Type are message/rfc822
	inDigest   bool  // a part of such a multipart
	firstLine  int64 // line ends before the body
	headerFrom int64
}

// A sample is the beginning of a text part's body.
type sample struct {
	part *Part
	text []byte
	room int
}

var scanners = sync.Pool{New: func() any {
	return &scanner{lines: reader{buf: make([]byte, bufferSize)}, bound: map[string]int{}}
}}

// release puts the scanner back into the pool, without references to the message and without buffers
// that an unusual message has made large.
func (s *scanner) release() {
	s.lines.reset(nil)
	s.sum, s.capture = nil, nil
	clear(s.open)
	s.open = s.open[:0]
	clear(s.bound)
	s.plain.part, s.html.part = nil, nil
	if cap(s.header)+cap(s.envelope)+cap(s.fields)*fieldSize > 4*bufferSize {
		s.header, s.envelope, s.fields = nil, nil, nil
	}
	scanners.Put(s)
}

func limit(n, most int) int {
	if n <= 0 || n > most {
		return most
	}
	return n
}

func (s *scanner) start(r io.Reader, o Options) {
	s.lines.reset(r)
	s.limits = Options{
		MaxDepth:  limit(o.MaxDepth, MaxDepth),
		MaxParts:  limit(o.MaxParts, MaxParts),
		MaxHeader: limit(o.MaxHeader, MaxHeader),
	}
	s.parts = 0
	s.innerRoom = s.limits.MaxHeader
	s.sum = &Summary{}
	s.plain = sample{text: s.plain.text[:0], room: plainSample}
	s.html = sample{text: s.html.text[:0], room: htmlSample}
	s.sum.Root = s.push(0, nil, false)
	s.headerRoom = s.limits.MaxHeader
}

// run reads the message line by line. A line is a delimiter of an open entity, or belongs to the
// innermost one.
func (s *scanner) run() error {
	for {
		line, begins := s.lines.next()
		if line == nil {
			break
		}
		if begins && len(s.bound) > 0 && len(line) > 2 && line[0] == '-' && line[1] == '-' && s.delimiter(line) {
			s.lines.consumed(line)
			continue
		}
		s.lines.consumed(line)
		e := &s.open[len(s.open)-1]
		switch {
		case e.inHeader:
			s.headerLine(line, begins)
		case s.capture != nil:
			s.sample(line)
		}
	}
	if s.lines.err != io.EOF {
		return s.lines.err
	}
	s.sum.HeaderOnly = s.open[0].inHeader
	s.closeTo(0, s.lines.at, false)
	s.sum.Size = s.lines.at
	return nil
}

// push opens a part whose header begins at the offset.
func (s *scanner) push(at int64, embedded *Embedded, inDigest bool) *Part {
	p := &Part{}
	s.parts++
	s.open = append(s.open, entity{
		part: p, embedded: embedded, inHeader: true, inDigest: inDigest, headerFrom: at,
	})
	s.header = s.header[:0]
	s.headerRoom = s.innerRoom
	s.capture = nil
	return p
}

// headerLine adds a line to the header, or a piece of a line that is longer than the buffer.
func (s *scanner) headerLine(line []byte, begins bool) {
	if begins && (line[0] == '\n' || line[0] == '\r' && len(line) == 2 && line[1] == '\n') {
		s.endHeader(s.lines.at)
		return
	}
	if n := min(len(line), s.headerRoom); n > 0 {
		s.header = append(s.header, line[:n]...)
		s.headerRoom -= n
	}
}

// endHeader reads the header of the innermost entity, which ends at the offset,
// and decides what its body is.
func (s *scanner) endHeader(end int64) {
	e := &s.open[len(s.open)-1]
	e.inHeader = false
	e.firstLine = s.lines.ends
	p := e.part
	p.Header = Span{e.headerFrom, end}
	p.Body = Span{end, end}
	if len(s.open) > 1 {
		s.innerRoom -= len(s.header)
	}
	s.fields = appendFields(s.fields[:0], s.header)
	s.describe(p, e.inDigest)
	switch {
	case e.embedded != nil:
		e.embedded.Envelope = append([]byte(nil), s.makeEnvelope()...)
	case len(s.open) == 1:
		s.summarizeHeader()
	}
	switch {
	case p.Type == "multipart":
		s.beginMultipart(e)
	case isMessage(p):
		s.beginMessage(e)
	case p.Type == "text" && p.Disposition != "attachment":
		s.beginSample(p)
	}
}

func (s *scanner) beginMultipart(e *entity) {
	boundary := e.part.Param("boundary")
	switch {
	case boundary == "":
		setPlainText(e.part)
	case len(s.open) > s.limits.MaxDepth:
		setOctetStream(e.part)
	default:
		e.digest = e.part.Subtype == "digest"
		s.addBoundary(len(s.open)-1, boundary)
	}
}

// beginMessage opens the message within a message/rfc822. One that is encoded, which
// RFC 2046 section 5.2.1 forbids, is not parsed.
func (s *scanner) beginMessage(e *entity) {
	if !plainEncoding(e.part.Encoding) || len(s.open) > s.limits.MaxDepth || s.parts >= s.limits.MaxParts {
		setOctetStream(e.part)
		return
	}
	m := &Embedded{}
	e.part.Message = m
	m.Root = s.push(e.part.Body.Start, m, false)
}

// isMessage reports whether the grammar of BODYSTRUCTURE requires an envelope for the part.
func isMessage(p *Part) bool {
	return p.Type == "message" && (p.Subtype == "rfc822" || p.Subtype == "global")
}

func plainEncoding(e string) bool { return e == "7bit" || e == "8bit" || e == "binary" }

// setPlainText makes a part text/plain, as RFC 2045 section 5.2 requires for a Content-Type that cannot be parsed.
func setPlainText(p *Part) {
	p.Type, p.Subtype, p.Params = "text", "plain", defaultParams
}

// setOctetStream makes a part application/octet-stream, whose content is not parsed.
func setOctetStream(p *Part) {
	p.Type, p.Subtype = "application", "octet-stream"
}

func (s *scanner) beginSample(p *Part) {
	c := &s.plain
	switch p.Subtype {
	case "plain":
	case "html":
		c = &s.html
	default:
		return
	}
	if len(c.text) == 0 {
		c.part, s.capture = p, c
	}
}

func (s *scanner) sample(line []byte) {
	c := s.capture
	n := min(len(line), c.room)
	c.text = append(c.text, line[:n]...)
	c.room -= n
	if c.room == 0 {
		s.capture = nil
	}
}
