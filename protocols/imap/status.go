package imap

import (
	"math"
	"slices"

	"gatepost/accounts/access"
	"gatepost/accounts/mailbox"
	"gatepost/protocols/imap/wire"
)

// statusItem is a data item of STATUS.
type statusItem struct {
	name string
	// value is nil for the identifier, which is no number.
	value func(s *session, i *mailbox.Info) uint64
}

// statusItems are the items of RFC 9051 section 6.3.11, RFC 3501 section 6.3.10, RFC 8438
// and RFC 7889.
var statusItems = []statusItem{
	{"MESSAGES", func(_ *session, i *mailbox.Info) uint64 { return uint64(i.Messages) }},
	{"RECENT", func(_ *session, i *mailbox.Info) uint64 { return uint64(i.Recent) }},
	{"UIDNEXT", func(_ *session, i *mailbox.Info) uint64 { return uint64(i.UIDNext) }},
	{"UIDVALIDITY", func(_ *session, i *mailbox.Info) uint64 { return uint64(i.UIDValidity) }},
	{"UNSEEN", func(_ *session, i *mailbox.Info) uint64 { return uint64(i.Unseen) }},
	{"DELETED", func(_ *session, i *mailbox.Info) uint64 { return uint64(i.Deleted) }},
	{"SIZE", func(_ *session, i *mailbox.Info) uint64 { return uint64(i.Size) }},
	{"DELETED-STORAGE", func(_ *session, i *mailbox.Info) uint64 { return kilobytes(i.DeletedSize) }}, // RFC 9208 section 4.1.4
	{"MAILBOXID", nil},
	{"HIGHESTMODSEQ", func(_ *session, i *mailbox.Info) uint64 { return max(i.HighestModSeq, 1) }},
	{"APPENDLIMIT", func(s *session, _ *mailbox.Info) uint64 { return s.appendLimit() }},
}

// status is STATUS. After ENABLE IMAP4rev2 its response has the name that LIST and SELECT show. Clients
// of IMAP4rev1 get the name that they have sent, since they may compare it.
func (s *session) status(c *call, p *wire.Parser) error {
	p.Space()
	name, bad := s.mailboxName(p)
	p.Space()
	items := parseStatusItems(p)
	if err := p.End(); err != nil {
		return err
	}
	s.knowsModSeq(items)
	if bad != nil {
		return bad
	}
	m, err := s.find(name, access.Read)
	if err != nil {
		return err
	}
	info, err := m.Mail().Status(s.ctx, m.Name)
	if err != nil {
		return err
	}
	if s.rev2 {
		name = m.Canonical(info.Name)
	}
	s.putStatus(&m.Owner, name, &info, items)
	return nil
}

// parseStatusItems reads the list of items. An item that is repeated is answered once.
func parseStatusItems(p *wire.Parser) []*statusItem {
	var items []*statusItem
	var seen uint
	p.List(func() {
		name := p.Keyword()
		for i := range statusItems {
			if string(name) == statusItems[i].name {
				if seen&(1<<i) == 0 {
					items = append(items, &statusItems[i])
				}
				seen |= 1 << i
				return
			}
		}
		p.Fail("unknown status item %s", name)
	})
	if len(items) == 0 {
		p.Fail("a list of status items expected")
	}
	return items
}

// knowsModSeq enables CONDSTORE if one of the items shows that the client knows it.
func (s *session) knowsModSeq(items []*statusItem) {
	if slices.ContainsFunc(items, func(i *statusItem) bool { return i.name == "HIGHESTMODSEQ" }) {
		s.enableCondstore()
	}
}

func (s *session) putStatus(o *access.Owner, name string, info *mailbox.Info, items []*statusItem) {
	s.out.Raw("* STATUS ")
	s.putName(name)
	for i, item := range items {
		if i == 0 {
			s.out.Raw(" (")
		} else {
			s.out.Byte(' ')
		}
		s.out.Raw(item.name).Byte(' ')
		if item.value == nil {
			s.out.Byte('(').Raw(mailboxID(o, info.ID)).Byte(')')
			continue
		}
		s.out.Number(item.value(s, info))
	}
	s.out.Byte(')').CRLF()
}

// appendLimit is the size of the largest message for APPEND. Without a limit it is the greatest
// number that all clients can parse.
func (s *session) appendLimit() uint64 {
	if limit := s.srv.cfg.Get().MaxMessageSize; limit >= 0 {
		return uint64(limit)
	}
	return math.MaxUint32
}
