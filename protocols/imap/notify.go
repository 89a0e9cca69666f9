package imap

import (
	"hash/maphash"
	"maps"
	"slices"
	"time"

	"gatepost/accounts/access"
	"gatepost/accounts/mailbox"
	"gatepost/protocols/imap/wire"
	"gatepost/server/fault"
	"gatepost/server/logs"
)

// NOTIFY (RFC 5465): the client says which changes it wants to be told of, in the selected mailbox and in others.
//
// An account signals that something in it has changed. The session compares then what there is with what it has told, so that
// many changes become one notification and what is remembered is bounded by the number of mailboxes. The rights to mailboxes of
// other accounts are looked up each time. A change that the client itself has made outside of the selected mailbox is told like others.

const (
	// maxNotified bounds the mailboxes of one session's NOTIFY, and maxNotifiedEntries their metadata entries.
	maxNotified        = 5000
	maxNotifiedEntries = 20000
	// maxNotifiedOwners bounds the other accounts whose mailboxes are watched.
	maxNotifiedOwners = 100
	// notifyEvery is how often mailboxes are compared at most.
	notifyEvery = 50 * time.Millisecond
)

// notification is what NOTIFY SET has asked for.
type notification struct {
	notifyArgs
	s       *session
	changed chan struct{}     // of capacity 1
	watched map[uint64]func() // by the number of the account: ends the watch
	known   map[string]notified
	entries int // metadata entries in known
	account map[string]uint64
	last    time.Time // when mailboxes were compared
	timer   *time.Timer
}

// notified is what the client knows of a mailbox.
type notified struct {
	owner          uint64
	id             uint32
	validity       uint32
	next, messages uint32
	modSeq         uint64
	events         event
	exists         bool // and the user may look it up
	readable       bool
	subscribed     bool
	entries        map[string]uint64 // hashes of the values
}

// errOverflow says that too many mailboxes are asked about.
func errOverflow() error {
	return &coded{"NOTIFICATIONOVERFLOW", no(fault.TooMany, "There are too many mailboxes to tell of all their changes")}
}

// notify is NOTIFY.
func notify(s *session, c *call, p *wire.Parser) error {
	a := s.parseNotify(p)
	if err := p.End(); err != nil {
		return err
	}
	if a.unknown {
		return &coded{badEvent, no(fault.Unsupported, "Some of the events are not known")}
	}
	if a.none {
		s.endNotify()
		s.events = &selectedEvents{}
		return nil
	}
	n := &notification{notifyArgs: a, s: s, changed: make(chan struct{}, 1), watched: map[uint64]func(){}, known: map[string]notified{}}
	// Watching begins before the first look, so that no change is missed.
	err := n.watch(s.mail, s.account.ID)
	if err == nil {
		err = n.compare(true)
	}
	if err != nil {
		n.end()
		return err
	}
	s.endNotify()
	s.notification, s.events = n, &n.selected
	return nil
}

// endNotify forgets what NOTIFY has asked for, as after a login.
func (s *session) endNotify() {
	if s.notification != nil {
		s.notification.end()
		s.notification = nil
	}
	s.events = nil
}

func (n *notification) end() {
	for _, stop := range n.watched {
		stop()
	}
	if n.timer != nil {
		n.timer.Stop()
	}
}

// watch has the changes of an account signalled.
func (n *notification) watch(m *mailbox.Account, id uint64) error {
	if n.watched[id] != nil {
		return nil
	}
	if len(n.watched) > maxNotifiedOwners {
		return errOverflow()
	}
	n.watched[id] = m.Watch(n.signal)
	return nil
}

func (n *notification) signal() {
	select {
	case n.changed <- struct{}{}:
	default:
	}
}

// tell sends what has changed since the last call, or soon if that was just before. Where there is too much to remember, the client is told
// that it hears no more, as after NOTIFY NONE.
func (n *notification) tell() {
	if wait := notifyEvery - time.Since(n.last); wait > 0 {
		if n.timer == nil {
			n.timer = time.AfterFunc(wait, n.signal)
		} else {
			n.timer.Reset(wait)
		}
		return
	}
	err := n.compare(false)
	if err == nil || n.s.ctx.Err() != nil {
		return
	}
	n.s.log.Log(n.s.ctx, logs.LevelProblem, "notifications end", logs.AttrError, err)
	n.s.out.Raw("* OK [NOTIFICATIONOVERFLOW] Changes are not told any more").CRLF()
	n.s.endNotify()
	n.s.events = &selectedEvents{}
}

// compare looks at all mailboxes that groups name and tells what has changed. The first time there is nothing to tell but what STATUS in the command
// asks for.
func (n *notification) compare(first bool) error {
	n.last = time.Now()
	if len(n.groups) == 0 {
		return nil
	}
	there, err := n.list()
	if err != nil {
		return err
	}
	byID := map[[2]uint64]string{} // names that were known and are gone
	for name, old := range n.known {
		if l := there[name]; old.exists && (l == nil || l.missing) {
			byID[[2]uint64{old.owner, uint64(old.id)}] = name
		}
	}
	if err := n.compareAccount(first); err != nil {
		return err
	}
	known := make(map[string]notified, len(n.known))
	n.entries = 0
	renamed := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(there)) {
		l := there[name]
		now := notifiedOf(l)
		old, had := n.known[name]
		now.events = n.wants(name, isForeign(name), l.Subscribed)
		if now.events|old.events == 0 {
			continue
		}
		if err := n.readEntries(l, &now, &old, had); err != nil {
			return err
		}
		if len(known) >= maxNotified || n.entries > maxNotifiedEntries {
			return errOverflow()
		}
		if from, was := byID[[2]uint64{now.owner, uint64(now.id)}]; was && now.exists && now.id != 0 && !had {
			l.asked, renamed[from] = from, true
			old, had = n.known[from], true
			old.exists = false
		}
		if known[name] = now; first {
			if n.status && n.tellsMessages(l, &now) {
				n.putStatus(l, &now)
			}
			continue
		}
		n.tellMailbox(l, &old, &now, had)
	}
	for name, old := range n.known {
		_, still := known[name]
		if !still && !renamed[name] && (old.exists && old.events.has(mailboxName) || old.subscribed && old.events.has(subscriptionChange)) {
			n.putListed(&listed{Info: mailbox.Info{Name: name}, missing: true})
		}
	}
	n.known = known
	return nil
}

func isForeign(name string) bool {
	prefix, _ := access.SplitName(name)
	return prefix != ""
}

// list returns the mailboxes that groups may be about, by their names, and watches their accounts.
func (n *notification) list() (map[string]*listed, error) {
	return (&listing{session: n.s}).around(n.groups, func(o *access.Owner) error { return n.watch(o.Mail(), o.Account.ID) })
}

// around returns the mailboxes that groups may be about, by their names. It visits the other accounts that these are of, also those that let
// the user see nothing now.
func (l *listing) around(groups []eventGroup, visit func(*access.Owner) error) (map[string]*listed, error) {
	names, err := l.ownNames(true, nil)
	if err != nil {
		return nil, err
	}
	var asked []string
	for i := range groups {
		asked = append(asked, groups[i].names...)
	}
	for prefix := range foreignPatterns(asked) {
		owner, err := l.srv.access.Owner(l.ctx, l.account, ensureSlash(prefix))
		if fault.Is(err, fault.NoMailbox) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if err := visit(&owner); err != nil {
			return nil, err
		}
		theirs, err := l.names(&owner)
		if err != nil {
			return nil, err
		}
		names = append(names, theirs...)
	}
	there := make(map[string]*listed, len(names))
	for i := range names {
		x := &names[i]
		if x.owner != nil && x.owner.Foreign() {
			if err := visit(x.owner); err != nil {
				return nil, err
			}
		}
		if old := there[x.Name]; old == nil || old.missing {
			there[x.Name] = x
		}
	}
	return there, nil
}

func ensureSlash(prefix string) string {
	if prefix[len(prefix)-1] != '/' {
		return prefix + "/"
	}
	return prefix
}

func notifiedOf(l *listed) notified {
	now := notified{id: l.ID, validity: l.UIDValidity, next: uint32(l.UIDNext), messages: l.Messages, modSeq: l.HighestModSeq,
		exists: !l.missing, readable: !l.missing && l.Selectable, subscribed: l.Subscribed}
	if l.owner != nil {
		now.owner = l.owner.Account.ID
	}
	return now
}

// tellsMessages reports whether the client wants to be told of the messages of a mailbox. What it hears of the selected one is another matter.
func (n *notification) tellsMessages(l *listed, now *notified) bool {
	v := n.s.view
	chosen := v != nil && v.target.Account.ID == now.owner && v.info.ID == now.id
	return now.events.has(messageEvents) && now.readable && !chosen
}

// tellMailbox tells what has changed in a mailbox.
func (n *notification) tellMailbox(l *listed, old, now *notified, had bool) {
	e := now.events | old.events
	if e.has(mailboxName) && (old.exists != now.exists || old.readable != now.readable) ||
		e.has(subscriptionChange) && old.subscribed != now.subscribed {
		n.putListed(l)
	}
	if n.tellsMessages(l, now) {
		switch {
		case !had && now.messages == 0:
		case !had, old.validity != now.validity, old.next != now.next, old.messages != now.messages,
			now.events.has(flagChange) && old.modSeq != now.modSeq:
			n.putStatus(l, now)
		}
	}
	if changed := changedEntries(old.entries, now.entries); had && now.readable && len(changed) > 0 {
		n.putEntries(l.Name, changed)
	}
}

// putListed writes the LIST response of a mailbox whose name, subscription or rights have changed.
func (n *notification) putListed(x *listed) {
	l := &listing{session: n.s}
	l.showSubscribed = true
	if !x.missing && !x.Selectable && x.ID != 0 {
		x.noAccess = true
	}
	l.putListed(x)
}

// putStatus writes a STATUS response (RFC 5465 section 5).
func (n *notification) putStatus(l *listed, now *notified) {
	names := []string{"MESSAGES", "UIDNEXT", "UIDVALIDITY"}
	if now.events.has(flagChange) {
		names = append(names, "HIGHESTMODSEQ")
	}
	var items []*statusItem
	for _, name := range names {
		items = append(items, &statusItems[slices.IndexFunc(statusItems, func(i statusItem) bool { return i.name == name })])
	}
	n.s.putStatus(l.owner, l.Name, &l.Info, items)
}

// putEntries writes a METADATA response without values (RFC 5464 section 4.4.2).
func (n *notification) putEntries(name string, entries []string) {
	n.s.out.Raw("* METADATA ")
	n.s.putName(name)
	for _, entry := range entries {
		n.s.out.Byte(' ').Raw(entry)
	}
	n.s.out.CRLF()
}

var hashSeed = maphash.MakeSeed()

func hashes(values map[string]string) map[string]uint64 {
	h := make(map[string]uint64, len(values))
	for name, value := range values {
		h[name] = maphash.String(hashSeed, value)
	}
	return h
}

// changedEntries returns the names of entries whose values differ.
func changedEntries(old, now map[string]uint64) (changed []string) {
	for name, h := range now {
		if was, ok := old[name]; !ok || was != h {
			changed = append(changed, name)
		}
	}
	for name := range old {
		if _, ok := now[name]; !ok {
			changed = append(changed, name)
		}
	}
	slices.Sort(changed)
	return changed
}

// readEntries reads the metadata entries of a mailbox, if it has changed since.
func (n *notification) readEntries(l *listed, now, old *notified, had bool) error {
	if !now.events.has(mailboxMetadataChange) || !now.readable {
		return nil
	}
	if had && old.readable && old.modSeq == now.modSeq && old.id == now.id && old.entries != nil {
		now.entries = old.entries
	} else {
		o, err := n.s.metadataOf(l.Name)
		if err == nil {
			var values map[string]string
			if values, err = o.all(); err == nil {
				now.entries = hashes(values)
			}
		}
		if err != nil && !fault.Is(err, fault.NoMailbox) && !fault.Is(err, fault.Denied) {
			return err
		}
	}
	n.entries += len(now.entries)
	return nil
}

// compareAccount tells which entries of the account have changed.
func (n *notification) compareAccount(first bool) error {
	if !slices.ContainsFunc(n.groups, func(g eventGroup) bool { return g.events.has(serverMetadataChange) }) {
		return nil
	}
	o, err := n.s.metadataOf("")
	if err != nil {
		return err
	}
	values, err := o.all()
	if err != nil {
		return err
	}
	now := hashes(values)
	if changed := changedEntries(n.account, now); len(changed) > 0 && !first {
		n.putEntries("", changed)
	}
	n.account = now
	return nil
}
