package imap

import (
	"time"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/accounts/access"
	"gatepost/accounts/mailbox"
	"gatepost/protocols/imap/wire"
	"gatepost/server/fault"
)

// streams reports whether the next literal of a command is (a part of) a message, which is streamed to
// the store and never held in memory. Other literals, as that of a mailbox name, are read into memory. An error says that
// the command is malformed before the literal.
func streams(head []byte) (bool, error) {
	var p wire.Parser
	p.Reset(head)
	p.Tag()
	p.Space()
	name := string(p.Keyword())
	if name == "UID" {
		p.Space()
		name = string(p.Keyword())
	}
	p.Space()
	switch name {
	case "APPEND":
	case "REPLACE":
		p.Set()
		p.Space()
	default:
		return false, nil
	}
	p.AString()
	return new(appendScan).streams(&p)
}

// streams is streams for what follows the mailbox name.
func (a *appendScan) streams(p *wire.Parser) (bool, error) {
	if a.scan(p); p.Err() == wire.ErrLiteral {
		return false, nil
	}
	return a.waits(), p.Err()
}

// append is APPEND (RFC 9051 section 6.3.12), of one message or several (RFC 3502). What can be refused without the message is
// refused before the continuation request is sent, and before any of the message is written to disk.
func (s *session) append(c *call, p *wire.Parser) error {
	p.Space()
	name, bad := s.mailboxName(p)
	a := newAppending(s, c)
	a.scan(p)
	m, err := a.destination(p, name, bad)
	if err != nil {
		return err
	}
	var done []mailbox.Appended
	done, err = m.Mail().AppendAll(s.ctx, m.Name, a.messages(m.Rights))
	if err = a.end(err); err != nil {
		return err
	}
	c.code = appendUID(done)
	return nil
}

// destination checks what can be checked before the messages are read, and returns the mailbox that they go to.
func (a *appending) destination(p *wire.Parser, name string, bad error) (access.Mailbox, error) {
	if err := p.Err(); err != nil {
		return access.Mailbox{}, err
	}
	if bad != nil {
		return access.Mailbox{}, withCode(bad, fault.NoMailbox, "TRYCREATE")
	}
	if size := a.literalSize(); a.items[1].kind == literalItem && !a.catenate && size == 0 {
		return access.Mailbox{}, errEmpty()
	} else if err := a.checkSize(size); err != nil {
		return access.Mailbox{}, err
	}
	m, err := a.s.find(name, access.Insert)
	if err != nil {
		return m, err
	}
	a.to = m.Mail()
	return m, a.to.Fits(a.s.ctx, a.literalSize())
}

// end returns the error of an APPEND: what was wrong with the messages rather than what the store made of it.
func (a *appending) end(err error) error {
	a.closePart()
	if a.err != nil {
		return a.err
	}
	return withCode(err, fault.NoMailbox, "TRYCREATE")
}

func errEmpty() error { return no(fault.Invalid, "A message cannot be empty") }

// appendUID is the response code of RFC 4315 section 3, and of RFC 3502 for several messages: one commit gives them UIDs that follow each
// other.
func appendUID(done []mailbox.Appended) string {
	b := wire.AppendRange([]byte("APPENDUID "), done[0].UIDValidity, done[0].UIDValidity)
	return string(wire.AppendRange(append(b, ' '), uint32(done[0].UID), uint32(done[len(done)-1].UID)))
}

// appendItem is a piece of an APPEND command behind the mailbox name.
type appendItem struct {
	kind  itemKind
	flags []imap.Flag // messageItem
	date  *time.Time
	url   string // urlItem
}

type itemKind uint8

const (
	messageItem itemKind = iota // the options of a message, which begins
	literalItem                 // a literal that is streamed: the message, or a part of it
	urlItem                     // a part that is another message's (RFC 4469)
	endItem                     // the end of a message
)

// appendScan parses the messages of an APPEND command, line by line: a line ends at the command's end, or at a literal that is
// streamed.
type appendScan struct {
	single bool // one message is taken
	// What comes next.
	state    scanState
	messages int
	items    []appendItem
	catenate bool // the message consists of parts
}

type scanState uint8

const (
	atMessage      scanState = iota // a message, or the end of the command
	behindLiteral                   // the literal was the message
	behindUTF8                      // it was UTF8 (~{n}
	behindPart                      // it was a part, or there was a URL
	endOfArguments                  // the command is complete
)

// waits reports whether scan has stopped at a literal.
func (a *appendScan) waits() bool {
	return len(a.items) > 0 && a.items[len(a.items)-1].kind == literalItem
}

// scan parses up to the end of the line, and appends what it finds to the items.
func (a *appendScan) scan(p *wire.Parser) {
	for p.OK() && a.state != endOfArguments {
		switch a.state {
		case atMessage:
			if a.messages > 0 && !p.SkipSpace() {
				// What is wrong with the end of the command keeps the messages from being stored.
				_ = p.End()
				a.state = endOfArguments
				return
			}
			if a.scanMessage(p) {
				return
			}
		case behindLiteral, behindUTF8:
			if a.state == behindUTF8 {
				p.Expect(')')
			}
			a.items, a.state = append(a.items, appendItem{kind: endItem}), atMessage
		case behindPart:
			if p.Skip(')') {
				a.items, a.state = append(a.items, appendItem{kind: endItem}), atMessage
				continue
			}
			p.Space()
			if a.scanPart(p) {
				return
			}
		}
	}
}

// scanMessage parses the beginning of a message. It reports whether the rest waits for a literal.
func (a *appendScan) scanMessage(p *wire.Parser) bool {
	if a.messages++; a.messages == 1 {
		p.Space()
	} else if a.single {
		p.Fail("this command takes one message")
		return false
	}
	item := appendItem{kind: messageItem}
	if p.Peek() == '(' {
		p.List(func() { item.flags = append(item.flags, imap.Flag(p.Flag())) })
		p.Space()
	}
	if p.Peek() == '"' {
		date := p.DateTime()
		item.date = &date
		p.Space()
	}
	a.items, a.catenate = append(a.items, item), false
	a.state = behindLiteral
	if c := p.Peek(); c != '{' && c != '~' && p.OK() {
		switch string(p.Keyword()) {
		case "UTF8": // RFC 6855 section 4
			a.state = behindUTF8
		case "CATENATE": // RFC 4469
			a.catenate = true
		default:
			p.Fail("the message has to be a literal")
		}
		p.Space()
		p.Expect('(')
	}
	if a.catenate {
		return a.scanPart(p)
	}
	return a.literal(p)
}

// scanPart parses a part of a message.
func (a *appendScan) scanPart(p *wire.Parser) bool {
	a.state = behindPart
	switch word := p.Keyword(); string(word) {
	case "TEXT":
		p.Space()
		if p.Peek() == '~' {
			p.Fail("a part cannot be a literal8")
		}
		return a.literal(p)
	case "URL":
		p.Space()
		a.items = append(a.items, appendItem{kind: urlItem, url: string(p.AString())})
		if len(a.items) > maxItems {
			p.Limit("more than %d parts", maxItems)
		}
	default:
		p.Fail("TEXT or URL expected")
	}
	return false
}

// literal parses the announcement of a literal that is streamed, with which the line ends.
func (a *appendScan) literal(p *wire.Parser) bool {
	p.Announcement()
	if !p.AtEnd() {
		p.Fail("the message has to be a literal")
	}
	if !p.OK() {
		return false
	}
	a.items = append(a.items, appendItem{kind: literalItem})
	return true
}

// messages yields the messages for the store, which reads each one to its end before it asks for the next.
func (a *appending) messages(rights access.Rights) func(func(mailbox.AppendMessage) bool) {
	return func(yield func(mailbox.AppendMessage) bool) {
		for len(a.items) > 0 {
			item := a.items[0]
			a.items = a.items[1:]
			a.read, a.last = 0, 0
			if !yield(mailbox.AppendMessage{Body: a, Flags: allowedFlags(item.flags, rights), InternalDate: item.date}) {
				return
			}
			a.items = a.items[1:] // the end of the message
		}
	}
}
