package imap

import (
	"iter"
	"slices"
	"strings"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/accounts/access"
	"gatepost/accounts/mailbox"
	"gatepost/protocols/imap/wire"
	"gatepost/server/fault"
)

func (s *session) list(c *call, p *wire.Parser) error {
	l := listing{session: s, listArgs: s.parseList(p, false)}
	a := l.listArgs
	if err := p.End(); err != nil {
		return err
	}
	if len(a.patterns) == 1 && a.patterns[0] == "" && !a.undefined {
		// An empty pattern asks for the hierarchy delimiter (RFC 9051 section 6.3.9).
		s.out.Raw(`* LIST (\Noselect) "/" ""`).CRLF()
		return nil
	}
	s.knowsModSeq(a.status)
	return l.all()
}

// lsub is LSUB (RFC 3501 section 6.3.9).
func (s *session) lsub(c *call, p *wire.Parser) error {
	l := listing{session: s, listArgs: s.parseList(p, true)}
	if err := p.End(); err != nil {
		return err
	}
	return l.all()
}

// listing is a LIST or LSUB command.
type listing struct {
	*session
	listArgs
	matcher
}

// listed is one name that LIST may show.
type listed struct {
	mailbox.Info
	owner *access.Owner      // nil if missing
	uses  []imap.MailboxAttr // RFC 6154
	// rights are those of the user; 0 if missing.
	rights access.Rights
	// missing: the name does not exist; it is subscribed, or an existing name lies below it.
	missing     bool
	noAccess    bool // it may be looked up, not read (RFC 5465 section 5.9)
	hasChildren bool // only those that the client may see count
	// below: a name that meets the selection options lies below this one; hidden: and that name fits none
	// of the patterns.
	below, hidden bool
	// asked is the name in the client's SELECT or CREATE, if it differs.
	asked string
}

// all writes the names that match: those of the user's account, subscribed names of others, and the
// names of the accounts that patterns name.
func (l *listing) all() error {
	a := l.listArgs
	if a.undefined {
		return nil
	}
	patterns := make([]string, len(a.patterns))
	for i := range a.patterns {
		patterns[i] = a.reference + a.patterns[i]
	}
	own, err := l.ownNames(a.subscribed, patterns)
	if err == nil {
		own, err = l.withAliases(own)
	}
	if err != nil {
		return err
	}
	if err := l.matching(own, patterns); err != nil {
		return err
	}
	for prefix, patterns := range foreignPatterns(patterns) {
		owner, err := l.srv.access.Owner(l.ctx, l.account, prefix)
		if fault.Is(err, fault.NoMailbox) {
			continue
		}
		if err != nil {
			return err
		}
		names, err := l.names(&owner)
		if err != nil {
			return err
		}
		if err := l.matching(names, patterns); err != nil {
			return err
		}
	}
	if l.matcher.spent() {
		return no(fault.TooMany, "The patterns need too much time")
	}
	return nil
}

// foreignPatterns yields the patterns that name an account ("~name/..."), by that name. A wildcard in the name
// of the account matches nothing.
func foreignPatterns(patterns []string) iter.Seq2[string, []string] {
	byPrefix := map[string][]string{}
	var order []string
	for _, pattern := range patterns {
		prefix, _ := access.SplitName(pattern)
		if prefix == "" || strings.ContainsAny(prefix, "*%") {
			continue
		}
		if byPrefix[prefix] == nil {
			order = append(order, prefix)
		}
		byPrefix[prefix] = append(byPrefix[prefix], pattern)
	}
	return func(yield func(string, []string) bool) {
		for _, prefix := range order {
			if !yield(prefix, byPrefix[prefix]) {
				return
			}
		}
	}
}

// matching writes those of the names that match one of the patterns.
func (l *listing) matching(names []listed, patterns []string) error {
	a := l.listArgs
	fits := func(name string) bool {
		for _, pattern := range patterns {
			if l.match(pattern, name) {
				return true
			}
		}
		return false
	}
	if a.recursive || a.lsub {
		names = markAbove(names, a.selects, fits)
	}
	for i := range names {
		n := &names[i]
		if l.ctx.Err() != nil {
			return fault.Wrap("imap.List", fault.Canceled, l.ctx.Err())
		}
		chosen := a.selects(n)
		above := (a.recursive || a.lsub) && n.hidden
		if !chosen && !above || !fits(n.Name) {
			continue
		}
		if a.lsub {
			l.putLsub(n, !chosen)
			continue
		}
		l.putListed(n)
		if a.myRights && n.owner != nil && n.rights != 0 {
			l.putMyRights(n.Name, n.rights)
		}
		if len(a.status) > 0 && n.Selectable {
			l.putStatus(n.owner, n.Name, &n.Info, a.status)
		}
		if len(a.metadata) > 0 && n.Selectable {
			if err := l.putMetadata(n); err != nil {
				return err
			}
		}
	}
	return nil
}

// names returns the names of an account that the client may see, as the user knows them.
func (l *listing) names(o *access.Owner) ([]listed, error) {
	// Settings and preferences may have changed since the login.
	account, err := l.srv.acc.Current(l.ctx, l.account)
	if err != nil {
		return nil, err
	}
	infos, err := o.Mail().List(l.ctx)
	if err != nil {
		return nil, err
	}
	var uses map[string][]imap.MailboxAttr
	subscribed := map[string]bool{}
	if o.Foreign() { // the subscriptions and special uses are the owner's
		list, err := l.mail.Subscriptions(l.ctx)
		if err != nil {
			return nil, err
		}
		for _, name := range list {
			subscribed[name] = true
		}
	} else {
		uses = account.SpecialUses()
	}
	nonMail := bool(account.Settings().IMAPSeesNonMail)
	names := make([]listed, 0, len(infos)+8)
	known := make(map[string]int, len(infos))
	for _, info := range infos {
		if !nonMail && info.Class != "" && info.Class != "IPF.Note" {
			continue
		}
		rights, err := o.RightsTo(l.ctx, info.Name)
		if err != nil {
			return nil, err
		}
		if !rights.Has(access.Lookup) {
			continue
		}
		info.Selectable = info.Selectable && rights.Has(access.Read)
		n := listed{Info: info, owner: o, rights: rights}
		n.Name = o.Shown(info.Name)
		if info.Selectable {
			n.uses = uses[info.Name]
		}
		if o.Foreign() {
			n.Subscribed = subscribed[n.Name]
		}
		known[info.Name] = len(names)
		names = append(names, n)
		for up := parentName(info.Name); up != ""; up = parentName(up) {
			if i, ok := known[up]; ok {
				names[i].hasChildren = true
			}
		}
	}
	return names, nil
}

// ownNames returns the names of the user's account; with subscriptions also subscribed names that do not exist,
// and those of other accounts unless one of the patterns names that account.
func (l *listing) ownNames(subscriptions bool, patterns []string) ([]listed, error) {
	own, err := l.srv.access.Owner(l.ctx, l.account, "")
	if err != nil {
		return nil, err
	}
	names, err := l.names(&own)
	if err != nil || !subscriptions {
		return names, err
	}
	exists := map[string]bool{}
	infos, err := l.mail.List(l.ctx) // also those that names leaves out
	if err != nil {
		return nil, err
	}
	for i := range infos {
		exists[infos[i].Name] = true
	}
	listedApart := map[string]bool{}
	for prefix := range foreignPatterns(patterns) {
		listedApart[prefix] = true
	}
	subscribed, err := l.mail.Subscriptions(l.ctx)
	if err != nil {
		return nil, err
	}
	for _, name := range subscribed {
		prefix, _ := access.SplitName(name)
		switch {
		case prefix == "" && !exists[name]:
			names = append(names, listed{Info: mailbox.Info{Name: name, Subscribed: true}, missing: true})
		case prefix != "" && !listedApart[prefix]:
			n, err := l.subscribedForeign(name)
			if err != nil {
				return nil, err
			}
			names = append(names, n)
		}
	}
	return names, nil
}

// subscribedForeign returns a subscribed name of another account.
func (l *listing) subscribedForeign(name string) (listed, error) {
	n := listed{Info: mailbox.Info{Name: name, Subscribed: true}, missing: true}
	m, err := l.find(name, access.Lookup)
	if err == nil {
		var info mailbox.Info
		if info, err = m.Mail().Status(l.ctx, m.Name); err == nil {
			info.Name, info.Subscribed = name, true
			info.Selectable = info.Selectable && m.Rights.Has(access.Read)
			n = listed{Info: info, owner: &m.Owner, hasChildren: info.HasChildren}
		}
	}
	if fault.Is(err, fault.NoMailbox) {
		err = nil
	}
	return n, err
}

// selects reports whether a name meets the selection options.
func (a *listArgs) selects(n *listed) bool {
	return (!a.subscribed || n.Subscribed) && (!a.specialUse || len(n.uses) > 0)
}

// markAbove marks the names above those that meet the selection options (RFC 5258 section 3.5),
// and adds names above them that do not exist.
func markAbove(names []listed, selects func(*listed) bool, fits func(string) bool) []listed {
	at := make(map[string]int, len(names))
	for i := range names {
		at[names[i].Name] = i
	}
	for i := 0; i < len(names); i++ {
		if !selects(&names[i]) {
			continue
		}
		name := names[i].Name
		hidden := !fits(name)
		for up := parentName(name); up != ""; up = parentName(up) {
			j, exists := at[up]
			if !exists {
				j = len(names)
				at[up] = j
				names = append(names, listed{Info: mailbox.Info{Name: up}, missing: true})
			}
			names[j].below = true
			names[j].hidden = names[j].hidden || hidden
		}
	}
	return names
}

func parentName(name string) string {
	return name[:max(0, strings.LastIndexByte(name, '/'))]
}

// putListed writes a LIST response.
func (l *listing) putListed(n *listed) {
	l.out.Raw("* LIST (")
	attrs := make([]string, 0, 5)
	switch {
	case n.missing:
		attrs = append(attrs, `\NonExistent`)
	case n.noAccess:
		attrs = append(attrs, `\NoAccess`)
	case !n.Selectable:
		attrs = append(attrs, `\Noselect`)
	}
	switch {
	case n.hasChildren:
		attrs = append(attrs, `\HasChildren`)
	case !n.missing:
		attrs = append(attrs, `\HasNoChildren`)
	}
	if l.showSubscribed && n.Subscribed {
		attrs = append(attrs, `\Subscribed`)
	}
	for _, use := range n.uses {
		attrs = append(attrs, string(use))
	}
	slices.Sort(attrs)
	l.out.Raw(strings.Join(attrs, " ")).Raw(`) "/" `)
	l.putName(n.Name)
	if l.recursive && n.below {
		l.out.Raw(` ("CHILDINFO" (`).Raw(l.criteria()).Raw("))")
	}
	if n.asked != "" {
		l.out.Raw(` ("OLDNAME" (`)
		l.putName(n.asked)
		l.out.Raw("))")
	}
	l.out.CRLF()
}

// criteria names the selection options that a name below has met (RFC 5258 section 3.5).
func (a *listArgs) criteria() string {
	switch {
	case !a.specialUse:
		return `"SUBSCRIBED"`
	case !a.subscribed:
		return `"SPECIAL-USE"`
	}
	return `"SUBSCRIBED" "SPECIAL-USE"`
}

func (l *listing) putLsub(n *listed, above bool) {
	l.out.Raw("* LSUB (")
	if above {
		l.out.Raw(`\Noselect`)
	}
	l.out.Raw(`) "/" `)
	l.putName(n.Name)
	l.out.CRLF()
}
