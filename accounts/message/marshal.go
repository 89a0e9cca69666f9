package message

import (
	"encoding/binary"
	"time"

	"gatepost/server/fault"
)

// The stored form, version 2. All numbers are unsigned varints:
//
//	the head: version (one byte), size, flags (bit 0 HasMedia, bit 1 a date follows, bit 2 HeaderOnly)
//	[Unix seconds zigzag, zone in minutes east zigzag]
//	envelope, headers: length and bytes
//	number of parts, number of parameters
//	subject, Message-ID, preview: texts
//	the root part
//
//	text: 2·n+1 for word n of the dictionary, or 2·length and the bytes
//	part: kind (0 leaf, 1 multipart, 2 message), type, subtype, parameters, id,
//	      description, location, md5, encoding, disposition, its parameters, languages,
//	      start of the header counted from that of the outer part, length of the header,
//	      length of the body, lines; then for 1 the number of children and the children, for 2
//	      the envelope and the root
//	parameters: their number, names and values; languages: their number, texts
//
// Version 1 is the same without HeaderOnly. Its envelopes have NIL for empty fields, and misread obsolete
// forms of addresses. The envelope of the message is therefore computed again from the stored header
// fields. Those of inner messages are used as they are.
const summaryVersion = 2

const (
	flagMedia = 1 << iota
	flagDate
	flagHeaderOnly
)

const (
	leafPart = iota
	multiPart
	messagePart
)

// Marshal returns the stored form.
func (s *Summary) Marshal() []byte {
	b := make([]byte, 0, len(s.Envelope)+len(s.Headers)+len(s.Subject)+len(s.MessageID)+len(s.Preview)+192)
	b = append(b, summaryVersion)
	b = binary.AppendUvarint(b, uint64(s.Size))
	flags := byte(0)
	if s.HasMedia {
		flags |= flagMedia
	}
	if s.HasDate {
		flags |= flagDate
	}
	if s.HeaderOnly {
		flags |= flagHeaderOnly
	}
	b = append(b, flags)
	if flags&flagDate != 0 {
		_, east := s.Date.Zone()
		b = binary.AppendVarint(b, s.Date.Unix())
		b = binary.AppendVarint(b, int64(east/60))
	}
	b = putBytes(b, s.Envelope)
	b = putBytes(b, s.Headers)
	parts, params := count(s.Root)
	b = binary.AppendUvarint(b, uint64(parts))
	b = binary.AppendUvarint(b, uint64(params))
	b = putText(b, s.Subject)
	b = putText(b, s.MessageID)
	b = putText(b, s.Preview)
	return putPart(b, s.Root, 0)
}

// count counts the parts and parameters of a tree.
func count(p *Part) (parts, params int) {
	parts, params = 1, len(p.Params)+len(p.DispositionParams)
	add := func(c *Part) {
		n, m := count(c)
		parts, params = parts+n, params+m
	}
	for _, c := range p.Children {
		add(c)
	}
	if p.Message != nil {
		add(p.Message.Root)
	}
	return parts, params
}

func putBytes(b, v []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(v)))
	return append(b, v...)
}

func putText(b []byte, v string) []byte {
	if i, ok := wordNumbers[v]; ok {
		return binary.AppendUvarint(b, uint64(2*i+1))
	}
	b = binary.AppendUvarint(b, uint64(2*len(v)))
	return append(b, v...)
}

func putParams(b []byte, params []Param) []byte {
	b = binary.AppendUvarint(b, uint64(len(params)))
	for _, q := range params {
		b = putText(putText(b, q.Name), q.Value)
	}
	return b
}

func putPart(b []byte, p *Part, around int64) []byte {
	kind := byte(leafPart)
	switch {
	case len(p.Children) > 0:
		kind = multiPart
	case p.Message != nil:
		kind = messagePart
	}
	b = append(b, kind)
	b = putText(putText(b, p.Type), p.Subtype)
	b = putParams(b, p.Params)
	for _, v := range [...]string{p.ID, p.Description, p.Location, p.MD5, p.Encoding, p.Disposition} {
		b = putText(b, v)
	}
	b = putParams(b, p.DispositionParams)
	b = binary.AppendUvarint(b, uint64(len(p.Language)))
	for _, v := range p.Language {
		b = putText(b, v)
	}
	b = binary.AppendUvarint(b, uint64(p.Header.Start-around))
	b = binary.AppendUvarint(b, uint64(p.Header.Size()))
	b = binary.AppendUvarint(b, uint64(p.Body.Size()))
	b = binary.AppendUvarint(b, uint64(p.Lines))
	switch kind {
	case multiPart:
		b = binary.AppendUvarint(b, uint64(len(p.Children)))
		for _, c := range p.Children {
			b = putPart(b, c, p.Header.Start)
		}
	case messagePart:
		b = putBytes(b, p.Message.Envelope)
		b = putPart(b, p.Message.Root, p.Header.Start)
	}
	return b
}

// Unmarshal parses the stored form. The summary shares b's memory, so b must
// not be changed later. Anything that is not a stored form is fault.Corrupt.
func Unmarshal(b []byte) (*Summary, error) {
	const op = "message.Unmarshal"
	u, err := newUnmarshaler(op, b)
	if err != nil {
		return nil, err
	}
	s := u.summary()
	if u.bad || len(u.rest) > 0 {
		return nil, fault.New(op, fault.Corrupt, "")
	}
	return s, nil
}

// UnmarshalHead parses the head alone, and ignores damage after it. For the current version it allocates
// nothing but the zone of the date.
func UnmarshalHead(b []byte) (Head, error) {
	const op = "message.UnmarshalHead"
	u, err := newUnmarshaler(op, b)
	if err != nil {
		return Head{}, err
	}
	h, _ := u.head()
	if u.bad {
		return Head{}, fault.New(op, fault.Corrupt, "")
	}
	return h, nil
}

func newUnmarshaler(op string, b []byte) (unmarshaler, error) {
	if len(b) == 0 {
		return unmarshaler{}, fault.New(op, fault.Corrupt, "")
	}
	if b[0] < 1 || b[0] > summaryVersion {
		return unmarshaler{}, fault.Newf(op, fault.Corrupt, "summary of version %d", b[0])
	}
	return unmarshaler{version: b[0], rest: b[1:]}, nil
}

// An unmarshaler parses the stored form. At the first error it sets bad, and all its methods return zero values
// from then on.
type unmarshaler struct {
	version byte
	rest    []byte
	// text is rest as a string, whose pieces the texts are: one conversion for all.
	text   string
	parts  []Part // not yet used
	params []Param
	size   int64
	bad    bool
}

func (u *unmarshaler) head() (h Head, media bool) {
	h.Size = u.offset()
	flags := u.byte()
	media = flags&flagMedia != 0
	h.HeaderOnly = flags&flagHeaderOnly != 0
	if h.HasDate = flags&flagDate != 0; h.HasDate {
		seconds, east := u.signed(), u.signed()
		if east < -24*60 || east > 24*60 {
			u.fail()
			return h, media
		}
		h.Date = time.Unix(seconds, 0).In(zoneAt(east < 0, int(max(east, -east))))
	}
	h.Envelope = u.bytes()
	h.Headers = u.bytes()
	if u.version == 1 {
		h.Envelope = envelopeOf(h.Headers)
	}
	return h, media
}

func (u *unmarshaler) summary() *Summary {
	s := &Summary{}
	s.Head, s.HasMedia = u.head()
	u.size = s.Size
	// Each part takes 16 bytes at least, each parameter 2.
	u.parts = make([]Part, u.number(16))
	u.params = make([]Param, u.number(2))
	u.text = string(u.rest)
	s.Subject, s.MessageID, s.Preview = u.string(), u.string(), u.string()
	s.Root = u.part(0, 0)
	return s
}

func (u *unmarshaler) fail() uint64 {
	u.bad, u.rest = true, nil
	return 0
}

func (u *unmarshaler) uvarint() uint64 {
	v, n := binary.Uvarint(u.rest)
	if n <= 0 {
		return u.fail()
	}
	u.rest = u.rest[n:]
	return v
}

func (u *unmarshaler) signed() int64 {
	v, n := binary.Varint(u.rest)
	if n <= 0 {
		return int64(u.fail())
	}
	u.rest = u.rest[n:]
	return v
}

// number reads a count of items that take at least size bytes each.
func (u *unmarshaler) number(size int) int {
	v := u.uvarint()
	if v > uint64(len(u.rest)/size) {
		v = u.fail()
	}
	return int(v)
}

// offset reads a length or distance in the message.
func (u *unmarshaler) offset() int64 {
	v := u.uvarint()
	if v > 1<<62 {
		v = u.fail()
	}
	return int64(v)
}

func (u *unmarshaler) byte() byte {
	if len(u.rest) == 0 {
		return byte(u.fail())
	}
	c := u.rest[0]
	u.rest = u.rest[1:]
	return c
}

func (u *unmarshaler) bytes() []byte {
	n := u.number(1)
	v := u.rest[:n:n]
	u.rest = u.rest[n:]
	return v
}

func (u *unmarshaler) string() string {
	v := u.uvarint()
	n := v / 2
	if v%2 == 1 {
		if n >= uint64(len(dictionary)) {
			u.fail()
			return ""
		}
		return dictionary[n]
	}
	if n > uint64(len(u.rest)) {
		u.fail()
		return ""
	}
	start := len(u.text) - len(u.rest)
	u.rest = u.rest[n:]
	return u.text[start : start+int(n)]
}

func (u *unmarshaler) paramList() []Param {
	n := u.number(2)
	if n == 0 || n > len(u.params) {
		if n > 0 {
			u.fail()
		}
		return nil
	}
	list := u.params[:n:n]
	u.params = u.params[n:]
	for i := range list {
		list[i] = Param{u.string(), u.string()}
	}
	return list
}

// part reads a part and its inner parts. depth bounds the recursion.
func (u *unmarshaler) part(around int64, depth int) *Part {
	if len(u.parts) == 0 || depth > MaxDepth+1 {
		u.fail()
		return &Part{}
	}
	p := &u.parts[0]
	u.parts = u.parts[1:]
	kind := u.byte()
	p.Type, p.Subtype = u.string(), u.string()
	p.Params = u.paramList()
	for _, v := range [...]*string{&p.ID, &p.Description, &p.Location, &p.MD5, &p.Encoding, &p.Disposition} {
		*v = u.string()
	}
	p.DispositionParams = u.paramList()
	for range u.number(1) {
		p.Language = append(p.Language, u.string())
	}
	u.spans(p, around)
	switch kind {
	case leafPart:
	case multiPart:
		n := u.number(16)
		if n == 0 || n > len(u.parts) {
			u.fail()
			break
		}
		p.Children = make([]*Part, n)
		for i := range p.Children {
			p.Children[i] = u.part(p.Header.Start, depth+1)
		}
	case messagePart:
		p.Message = &Embedded{Envelope: u.bytes()}
		p.Message.Root = u.part(p.Header.Start, depth+1)
	default:
		u.fail()
	}
	return p
}

// spans reads the position of a part, which has to be within the message.
func (u *unmarshaler) spans(p *Part, around int64) {
	start, header, body := u.offset(), u.offset(), u.offset()
	p.Lines = u.offset()
	if start > u.size-around || header > u.size-around-start || body > u.size-around-start-header {
		u.fail()
		return
	}
	p.Header = Span{around + start, around + start + header}
	p.Body = Span{p.Header.End, p.Header.End + body}
}
