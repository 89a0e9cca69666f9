package imap

import (
	"maps"
	"slices"

	"gatepost/accounts/access"
	"gatepost/protocols/imap/wire"
	"gatepost/server/fault"
)

// MULTISEARCH (RFC 7377): ESEARCH searches several mailboxes. Each one that has messages which match is answered with an ESEARCH response of its
// own. Those that the user may not read are not searched, and nothing is said of them.

// sources are the mailboxes to search.
type sources struct {
	groups   []eventGroup
	selected bool
}

func (r *responder) parseSources(p *wire.Parser) (o sources) {
	p.Space()
	p.Expect('(')
	names := 0
	for p.OK() {
		switch filter := string(p.Keyword()); filter {
		case "SELECTED", "SELECTED-DELAYED":
			o.selected = true
		default:
			var g eventGroup
			r.parseFilter(p, &g, filter, &names)
			g.events = messageEvents
			if o.groups = append(o.groups, g); len(o.groups) > maxNotifyNames {
				p.Limit("more than %d filters of mailboxes", maxNotifyNames)
			}
		}
		if p.Skip(')') {
			break
		}
		p.Space()
		if p.Peek() == '(' {
			p.List(func() { p.Fail("unknown scope option %s", p.Keyword()) })
			p.Expect(')')
			break
		}
	}
	return o
}

// multiSearch is ESEARCH.
func multiSearch(s *session, c *call, p *wire.Parser) error {
	c.uid, c.text = true, "ESEARCH completed"
	g := newProgram(s.enabled)
	g.extended = true
	from := sources{selected: true}
	p.Space()
	g.readWord(p)
	if g.word == "IN" {
		from = s.parseSources(p)
		p.Space()
		g.readWord(p)
	}
	g.parseReturnOptions(p)
	g.extended = true
	g.parseKeys(p)
	only := from.selected && len(from.groups) == 0
	if !only && (g.save || g.dollar || g.numbers) {
		p.Fail("SAVE, $ and sequence numbers are for the selected mailbox alone")
	}
	if err := p.End(); err != nil {
		return err
	}
	switch {
	case g.badCharset:
		if g.save && s.view != nil {
			s.view.saved = nil
		}
		return charsetError()
	case g.checkFuzzy() != nil:
		return g.checkFuzzy()
	case from.selected && s.view == nil:
		if only {
			return wire.Bad("no mailbox is selected")
		}
		from.selected = false
	}
	if g.modSeq {
		s.enableCondstore()
	}
	x := searching{searchProgram: g}
	if g.followed {
		(searching{view: &view{responder: &s.responder}}).refuseUpdate(c.tag, "Results of ESEARCH are not followed")
	}
	if from.selected {
		if err := s.view.mailbox.Load(s.ctx); err != nil {
			return err
		}
		x.view, x.name = s.view, s.view.target.Shown(s.view.info.Name)
		if err := x.searchOne(c); err != nil {
			return err
		}
	}
	return s.searchOthers(c, x, from)
}

// searchOthers searches the mailboxes that groups have, other than the selected one if that was searched.
func (s *session) searchOthers(c *call, x searching, from sources) error {
	if len(from.groups) == 0 {
		return nil
	}
	there, err := (&listing{session: s}).around(from.groups, func(*access.Owner) error { return nil })
	if err != nil {
		return err
	}
	type box struct {
		account uint64
		id      uint32
	}
	searched := map[box]bool{}
	if from.selected {
		searched[box{s.view.target.Account.ID, s.view.info.ID}] = true
	}
	args := notifyArgs{groups: from.groups}
	for _, name := range slices.Sorted(maps.Keys(there)) {
		l := there[name]
		if l.missing || !l.Selectable || args.wants(name, isForeign(name), l.Subscribed) == 0 {
			continue
		}
		if at := (box{l.owner.Account.ID, l.ID}); searched[at] {
			continue
		} else {
			searched[at] = true
		}
		if err := s.searchMailbox(c, x, name); err != nil {
			return err
		}
	}
	return nil
}

// searchMailbox searches a mailbox that is not selected. One that is gone, or not to be read any more, is left out.
func (s *session) searchMailbox(c *call, x searching, name string) error {
	m, err := s.find(name, access.Read)
	if err == nil {
		v := &view{responder: &s.responder, target: m}
		if v.mailbox, err = m.Mail().Open(s.ctx, m.Name, true); err == nil {
			defer v.mailbox.Close()
			v.info = v.mailbox.Info()
			x.view, x.name = v, name
			return x.searchOne(c)
		}
	}
	if fault.Is(err, fault.NoMailbox) || fault.Is(err, fault.Denied) {
		return nil
	}
	return err
}

// searchOne searches one mailbox and answers if there is something in it.
func (x searching) searchOne(c *call) error {
	if err := x.prepare(&x.root); err != nil {
		return err
	}
	found, err := x.findMessages()
	switch {
	case err != nil:
		if x.save {
			x.view.saved = nil
		}
		return err
	case len(found) == 0:
		if x.save {
			x.saveResult(found)
		}
		return nil
	}
	x.putFound(c, "SEARCH", found)
	return nil
}
