package archive

import (
	"bytes"
	"io"
	"strings"

	"gatepost/accounts/message"
)

const (
	// maxText bounds the text of a posting that is shown.
	maxText = 256 << 10
	// maxMarkup bounds what is read of an HTML text.
	maxMarkup = 1 << 20
	// maxAttachments bounds the attachments that are named.
	maxAttachments = 200
	// maxHeader is what is looked at of the header.
	maxHeader = 64 << 10
)

// Posting is a message that is shown. It belongs to one goroutine.
type Posting struct {
	// Row is that of the archive; of a message from elsewhere it has subject and author only.
	Row
	MessageID string
	To        string // as it is in the header
	// Text is what the message says; Cut says that there is more of it.
	Text        string
	Cut         bool
	Attachments []Attachment

	noArchive bool
	sum       *message.Summary
	msg       io.ReaderAt
	closer    io.Closer
	parts     int
}

// Attachment is a part of a posting that is not shown.
type Attachment struct {
	// Number is that of the part, from 1.
	Number int
	// Name is its file name: one that is safe on every system. Type is what the message calls it, such as image/png.
	Name, Type string
	// Size is about that of the content in bytes.
	Size int64

	part *message.Part
}

// Read reads a message of size bytes.
func Read(msg io.ReaderAt, size int64) (*Posting, error) {
	sum, err := message.Scan(io.NewSectionReader(msg, 0, size), message.Options{})
	if err != nil {
		return nil, err
	}
	p := &Posting{sum: sum, msg: msg, MessageID: CleanLine(sum.MessageID)}
	p.Subject = CleanLine(sum.Subject)
	p.Name, p.Address = author(&sum.Head)
	head := make([]byte, min(size, maxHeader))
	if _, err := msg.ReadAt(head, 0); err != nil && err != io.EOF {
		return nil, err
	}
	if i := bytes.Index(head, []byte("\r\n\r\n")); i >= 0 {
		head = head[:i+2]
	}
	for name, value := range fields(head) {
		switch name {
		case "x-no-archive":
			p.noArchive = p.noArchive || strings.EqualFold(string(value), "yes")
		case "to":
			if p.To == "" {
				p.To = CleanLine(message.DecodeHeader(value))
			}
		}
	}
	var text strings.Builder
	if err := p.show(&text, sum.Root); err != nil {
		return nil, err
	}
	p.Text = strings.TrimRight(text.String(), "\n ")
	return p, nil
}

// Close closes the message.
func (p *Posting) Close() error {
	if p.closer == nil {
		return nil
	}
	return p.closer.Close()
}

// show adds a part to the text or to the attachments.
func (p *Posting) show(b *strings.Builder, part *message.Part) error {
	if len(part.Children) > 0 {
		shown := part.Children
		if part.Subtype == "alternative" {
			shown = []*message.Part{alternative(part.Children)}
		}
		for _, c := range shown {
			if err := p.show(b, c); err != nil {
				return err
			}
		}
		return nil
	}
	p.parts++
	isText := part.Type == "text" && (part.Subtype == "plain" || part.Subtype == "html") && part.Disposition != "attachment"
	if !isText {
		p.attach(part)
		return nil
	}
	if b.Len() > 0 {
		b.WriteString("\n\n")
	}
	// A message that is a header alone has a root part without a body.
	r := message.Decode(io.NewSectionReader(p.msg, part.Body.Start, part.Body.Size()), part.Encoding)
	r = message.ToUTF8(r, part.Param("charset"))
	if part.Subtype == "html" {
		return p.markup(b, io.LimitReader(r, maxMarkup))
	}
	text, err := io.ReadAll(io.LimitReader(r, maxText+1))
	if err != nil {
		return err
	}
	p.write(b, clean(string(text)))
	return nil
}

// markup adds an HTML text.
func (p *Posting) markup(b *strings.Builder, r io.Reader) error {
	text, err := plainText(r, maxText)
	p.write(b, clean(text))
	return err
}

func (p *Posting) write(b *strings.Builder, text string) {
	if room := maxText - b.Len(); len(text) > room {
		p.Cut = true
		text = strings.ToValidUTF8(text[:max(room, 0)], "")
	}
	b.WriteString(text)
}

// alternative is the one of several that is shown: plain text, else the first that has a text.
func alternative(all []*message.Part) *message.Part {
	for _, want := range []string{"plain", "html"} {
		for _, c := range all {
			if c.Type == "text" && c.Subtype == want && c.Body.Size() > 2 {
				return c
			}
		}
	}
	for _, c := range all {
		if len(c.Children) > 0 {
			return c
		}
	}
	return all[0]
}

func (p *Posting) attach(part *message.Part) {
	if len(p.Attachments) == maxAttachments {
		return
	}
	size := part.Body.Size()
	if part.Encoding == "base64" {
		size = size / 78 * 57
	}
	p.Attachments = append(p.Attachments, Attachment{
		Number: p.parts, Name: fileName(part), Type: CleanLine(part.Type + "/" + part.Subtype), Size: size, part: part,
	})
}

// Open returns an attachment by its number, and its content.
func (p *Posting) Open(number int) (Attachment, io.Reader, bool) {
	for _, a := range p.Attachments {
		if a.Number == number {
			return a, message.Decode(io.NewSectionReader(p.msg, a.part.Body.Start, a.part.Body.Size()), a.part.Encoding), true
		}
	}
	return Attachment{}, nil, false
}

// fileName is the name that an attachment is stored under.
func fileName(part *message.Part) string {
	name := CleanLine(part.Filename())
	if i := strings.LastIndexAny(name, `/\`); i >= 0 {
		name = name[i+1:]
	}
	name = strings.Map(func(r rune) rune {
		if strings.ContainsRune(`<>:"|?*;%`, r) {
			return '_'
		}
		return r
	}, name)
	name = strings.Trim(name, ". ~")
	for len(name) > 120 {
		_, cut := cutRune(name)
		name = cut
	}
	if name != "" {
		return name
	}
	switch part.Type + "/" + part.Subtype {
	case "message/rfc822", "message/global":
		return "message.eml"
	case "text/calendar":
		return "calendar.ics"
	case "application/pgp-signature":
		return "signature.asc"
	}
	return "attachment"
}

// cutRune takes a character out of the front, so that the extension stays.
func cutRune(s string) (first, rest string) {
	for i := range s {
		if i > 0 {
			return s[:i], s[i:]
		}
	}
	return s, ""
}
