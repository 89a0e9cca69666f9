package imap

import (
	"strings"

	"gatepost/protocols/imap/wire"
)

// event is an event of NOTIFY (RFC 5465 section 5), as a bit.
type event uint8

const (
	messageNew event = 1 << iota
	messageExpunge
	flagChange
	mailboxName
	subscriptionChange
	mailboxMetadataChange
	serverMetadataChange

	messageEvents = messageNew | messageExpunge | flagChange
)

// events are the events by their names. AnnotationChange is missing: there are no annotations.
var events = map[string]event{
	"MESSAGENEW": messageNew, "MESSAGEEXPUNGE": messageExpunge, "FLAGCHANGE": flagChange, "MAILBOXNAME": mailboxName,
	"SUBSCRIPTIONCHANGE": subscriptionChange, "MAILBOXMETADATACHANGE": mailboxMetadataChange, "SERVERMETADATACHANGE": serverMetadataChange,
}

const badEvent = "BADEVENT (MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange MailboxMetadataChange ServerMetadataChange)"

// has reports whether one of the events is in the set.
func (e event) has(any event) bool { return e&any != 0 }

// mailboxFilter says which mailboxes the events of a group are about (RFC 5465 section 6).
type mailboxFilter uint8

const (
	personalMailboxes mailboxFilter = iota // also for INBOXES: rules may deliver into any of them (section 6.3)
	subscribedMailboxes
	subtreeMailboxes
	subtreeOneMailboxes // with those directly below (RFC 7377 section 2.2)
	namedMailboxes
)

// eventGroup are events that are wanted of some mailboxes.
type eventGroup struct {
	filter mailboxFilter
	names  []string
	events event
}

// selectedEvents are the events that are wanted of the selected mailbox. Without NOTIFY there are none of these.
type selectedEvents struct {
	events  event
	delayed bool       // EXPUNGE waits for a command during which it may be sent
	fetch   *fetchPlan // what is sent of each new message, or nil
}

// maxNotifyNames bounds the names in one NOTIFY.
const maxNotifyNames = 1000

// notifyArgs are the arguments of NOTIFY (RFC 5465 section 8).
type notifyArgs struct {
	status   bool
	selected selectedEvents
	groups   []eventGroup
	none     bool
	unknown  bool // there is an event that is not known
	names    int
}

func (r *responder) parseNotify(p *wire.Parser) (a notifyArgs) {
	p.Space()
	switch string(p.Keyword()) {
	case "NONE":
		a.none = true
		return a
	case "SET":
	default:
		p.Fail("SET or NONE expected")
	}
	hasSelected := false
	for p.OK() && p.SkipSpace() {
		if p.Peek() != '(' {
			if string(p.Keyword()) != "STATUS" || a.status || len(a.groups) > 0 || hasSelected {
				p.Fail("a group of events expected")
			}
			a.status = true
			continue
		}
		p.Expect('(')
		switch filter := string(p.Keyword()); filter {
		case "SELECTED", "SELECTED-DELAYED":
			if hasSelected {
				p.Fail("the events of the selected mailbox can be given once")
			}
			hasSelected = true
			p.Space()
			a.selected.delayed = filter == "SELECTED-DELAYED"
			a.selected.events = r.parseEvents(p, &a, &a.selected)
			if a.selected.events&^messageEvents != 0 {
				p.Fail("of the selected mailbox there are only events of messages")
			}
		default:
			a.groups = append(a.groups, r.parseGroup(p, &a, filter))
		}
		p.Expect(')')
	}
	if !hasSelected && len(a.groups) == 0 {
		p.Fail("a group of events expected")
	}
	return a
}

func (r *responder) parseGroup(p *wire.Parser, a *notifyArgs, filter string) (g eventGroup) {
	r.parseFilter(p, &g, filter, &a.names)
	p.Space()
	g.events = r.parseEvents(p, a, nil)
	return g
}

// parseFilter reads which mailboxes a group has, behind the word for it.
func (r *responder) parseFilter(p *wire.Parser, g *eventGroup, filter string, names *int) {
	named := false
	switch filter {
	case "PERSONAL", "INBOXES":
		g.filter = personalMailboxes
	case "SUBSCRIBED":
		g.filter = subscribedMailboxes
	case "SUBTREE":
		g.filter, named = subtreeMailboxes, true
	case "SUBTREE-ONE":
		g.filter, named = subtreeOneMailboxes, true
	case "MAILBOXES":
		g.filter, named = namedMailboxes, true
	default:
		p.Fail("unknown filter of mailboxes %s", filter)
	}
	if named {
		p.Space()
		g.names = r.parseNames(p, names)
	}
}

// parseNames reads one name of a mailbox, or a list of them. Names that are not encoded correctly stand for no mailbox.
func (r *responder) parseNames(p *wire.Parser, count *int) (names []string) {
	one := func() {
		if name, err := r.mailboxName(p); err == nil {
			if strings.EqualFold(name, "INBOX") {
				name = "INBOX"
			}
			names = append(names, strings.TrimPrefix(name, "~/"))
		}
		if *count++; *count > maxNotifyNames {
			p.Limit("more than %d names of mailboxes", maxNotifyNames)
		}
	}
	if p.Peek() == '(' {
		p.List(one)
	} else {
		one()
	}
	return names
}

// parseEvents reads events. MessageNew of the selected mailbox may say what is to be sent of new messages.
func (r *responder) parseEvents(p *wire.Parser, a *notifyArgs, selected *selectedEvents) (wanted event) {
	if p.Peek() != '(' {
		if string(p.Keyword()) != "NONE" {
			p.Fail("NONE or a list of events expected")
		}
		return 0
	}
	var last event
	p.List(func() {
		if p.Peek() == '(' {
			switch {
			case last != messageNew:
				p.Fail("an event expected")
			case selected == nil:
				p.Fail("only MessageNew of the selected mailbox can have items")
			}
			if p.OK() {
				selected.fetch = parseFetch(p, !r.uidOnly)
			}
			last = 0
			return
		}
		last = events[string(p.Keyword())]
		a.unknown = a.unknown || last == 0
		wanted |= last
	})
	switch {
	case wanted.has(messageNew) != wanted.has(messageExpunge):
		p.Fail("MessageNew and MessageExpunge need each other")
	case wanted.has(flagChange) && !wanted.has(messageNew):
		p.Fail("FlagChange needs MessageNew and MessageExpunge")
	}
	return wanted
}

// wants returns the events that are wanted of a mailbox: those of the first group that it is in.
func (a *notifyArgs) wants(name string, foreign, subscribed bool) event {
	for i := range a.groups {
		if g := &a.groups[i]; g.has(name, foreign, subscribed) {
			return g.events
		}
	}
	return 0
}

func (g *eventGroup) has(name string, foreign, subscribed bool) bool {
	switch g.filter {
	case personalMailboxes:
		return !foreign
	case subscribedMailboxes:
		return subscribed
	}
	for _, n := range g.names {
		switch {
		case n == name:
			return true
		case g.filter == subtreeMailboxes && (n == "" && !foreign || strings.HasPrefix(name, n+"/")):
			return true
		case g.filter == subtreeOneMailboxes && parentName(name) == n && (n != "" || !foreign):
			return true
		}
	}
	return false
}
