package imap

import (
	"io"
	"net/url"
	"strconv"
	"strings"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/accounts/access"
	"gatepost/accounts/mailbox"
	"gatepost/accounts/message"
	"gatepost/protocols/imap/wire"
	"gatepost/server/fault"
)

// CATENATE (RFC 4469): APPEND makes a message of texts and of parts of other messages, which the client names by URLs of
// RFC 5092: /mailbox;UIDVALIDITY=1/;UID=2/;SECTION=1.2 . They name messages of this server, to which the user has the right to
// read.

// urlPart is a part of a stored message that is being read. It is a view of that mailbox of its own.
type urlPart struct {
	box    *mailbox.Mailbox
	reader *mailbox.Reader
	body   mailbox.Body
	text   io.Reader
}

func (u *urlPart) close() {
	if u.body != nil {
		_ = u.body.Close() // it was only read
	}
	if u.reader != nil {
		u.reader.Close()
	}
	u.box.Close()
}

func (a *appending) closePart() {
	if a.part != nil {
		a.part.close()
		a.part = nil
	}
}

// nextOfPart reads a piece of the part that is next.
func (a *appending) nextOfPart(p []byte, address string) (int, error) {
	if a.part == nil {
		var size int64
		if a.part, size, a.err = a.s.openURL(address); a.err == nil {
			a.err = a.grow(size)
		}
		if a.err != nil {
			return 0, a.err
		}
	}
	n, err := a.part.text.Read(p)
	switch {
	case n > 0:
		return a.take(p[:n]), a.err
	case err == io.EOF:
		a.closePart()
		a.items = a.items[1:]
		return 0, nil
	}
	a.err = err
	return 0, err
}

// badURL is the error of a URL that names nothing that the user can read (RFC 4469 section 4).
func badURL(address string, err error) error {
	kind := fault.KindOf(err)
	if kind == fault.Internal || kind == fault.Corrupt {
		return err
	}
	return &coded{string(wire.AppendString([]byte("BADURL "), sentenceless(address), false)), no(fault.NotFound, "There is no such text")}
}

// sentenceless makes a text of the client fit for a response code.
func sentenceless(text string) string {
	if len(text) > 500 {
		text = text[:500]
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f || r == ']' {
			return '?'
		}
		return r
	}, text)
}

// messageURL is a parsed URL.
type messageURL struct {
	mailbox  string
	validity uint32 // 0 if it is not in the URL
	uid      imap.UID
	section  section
}

// parseURL parses a URL relative to the server.
func parseURL(address string) (u messageURL, ok bool) {
	rest, ok := strings.CutPrefix(address, "/")
	if !ok {
		return u, false
	}
	box, rest, ok := strings.Cut(rest, "/;UID=")
	if !ok {
		return u, false
	}
	box, validity, found := strings.Cut(box, ";UIDVALIDITY=")
	if found {
		n, err := strconv.ParseUint(validity, 10, 32)
		if err != nil || n == 0 {
			return u, false
		}
		u.validity = uint32(n)
	}
	number, spec, sectioned := strings.Cut(rest, "/;SECTION=")
	uid, err := strconv.ParseUint(number, 10, 32)
	if err != nil || uid == 0 {
		return u, false
	}
	u.uid = imap.UID(uid)
	if u.mailbox, err = url.PathUnescape(box); err != nil || u.mailbox == "" {
		return u, false
	}
	if sectioned {
		if spec, err = url.PathUnescape(spec); err != nil {
			return u, false
		}
		var p wire.Parser
		p.Reset([]byte(spec))
		u.section.parse(&p, true)
		if p.End() != nil {
			return u, false
		}
	}
	return u, true
}

// openURL opens the text that a URL names, and returns its size.
func (s *session) openURL(address string) (part *urlPart, size int64, err error) {
	defer func() {
		if err != nil {
			err = badURL(address, err)
			if part != nil {
				part.close()
				part = nil
			}
		}
	}()
	u, ok := parseURL(address)
	if !ok {
		return nil, 0, no(fault.Invalid, "not a URL of a message")
	}
	m, err := s.find(u.mailbox, access.Read)
	if err != nil {
		return nil, 0, err
	}
	box, err := m.Mail().Open(s.ctx, m.Name, true)
	if err != nil {
		return nil, 0, err
	}
	part = &urlPart{box: box}
	if _, there := box.Seq(u.uid); !there || u.validity != 0 && u.validity != box.Info().UIDValidity {
		return part, 0, no(fault.NoMessage, "")
	}
	part.reader = box.Reader()
	content, err := part.reader.Content(s.ctx, u.uid)
	if err != nil {
		return part, 0, err
	}
	// Opening the file reads no other record, so that the content stays as it is.
	var f fetched
	f.content = content
	if f.summary, err = content.Summary(s.ctx); err != nil {
		return part, 0, err
	}
	if part.body, err = part.reader.Open(s.ctx, u.uid); err != nil {
		return part, 0, err
	}
	f.body = part.body
	sp, ok := u.section.span(&f)
	if !ok {
		return part, 0, no(fault.NotFound, "")
	}
	text := io.NewSectionReader(part.body, sp.Start, sp.Size())
	part.text, size = text, sp.Size()
	if u.section.fields != nil {
		header, err := io.ReadAll(io.LimitReader(text, message.MaxHeader))
		if err != nil {
			return part, 0, err
		}
		fields := message.AppendHeaderFields(nil, header, u.section.fields, u.section.not)
		part.text, size = strings.NewReader(string(fields)), int64(len(fields))
	}
	return part, size, nil
}
