package dav

import (
	"context"
	"errors"
	"strings"

	"gatepost/accounts"
	"gatepost/accounts/access"
	"gatepost/accounts/groupware"
	"gatepost/accounts/mailbox"
	"gatepost/router/address"
	"gatepost/server/fault"
)

// kind is what a resource is.
type kind uint8

const (
	rootKind       kind = 1 << iota // /
	principalsKind                  // /UserDAV/
	principalKind                   // /UserDAV/account@domain/
	homeKind                        // /CalDAV/, /CardDAV/, and those of others
	collectionKind
	itemKind
	outboxKind // see schedule.go
	anyKind    = 0xff
)

// realm is a tree of paths.
type realm uint8

const (
	rootRealm realm = iota
	userRealm
	calRealm
	cardRealm
	fileRealm // files: see files.go
)

// roots are the first segments of the realms.
var roots = map[realm]string{userRealm: "UserDAV", calRealm: "CalDAV", cardRealm: "CardDAV"}

// kindsOf are the kinds of collections of a realm.
func kindsOf(r realm) []groupware.Kind {
	if r == cardRealm {
		return []groupware.Kind{groupware.Contacts}
	}
	return []groupware.Kind{groupware.Calendar, groupware.Tasks}
}

// resource is what a path means.
type resource struct {
	kind  kind
	realm realm
	// segments are those of its path, as the client has spelled the mailbox.
	segments []string
	owner    access.Owner // of homes, collections and items; a principal's account
	coll     *groupware.Collection
	item     *mailbox.Item // nil if there is none yet
	name     string        // of the item
	suffixed bool          // the path has .ics or .vcf after the name of the collection
	text     []byte        // of the item, once it was read

	state *mailbox.ItemsState // once it was read
	props map[string]string   // likewise
}

// href returns the path of the resource.
func (r *resource) href() string {
	switch r.kind {
	case rootKind:
		return "/"
	case itemKind:
		return hrefOf(r.segments...)
	}
	return hrefOf(r.segments...) + "/"
}

// itemHref returns the path of an item of a collection, or beside an item.
func (r *resource) itemHref(name string) string {
	s := r.segments
	if r.kind == itemKind {
		s = s[:len(s)-1]
	}
	return hrefOf(s...) + "/" + escapeSegment(name)
}

// itemOf returns an item of a collection as a resource.
func (r *resource) itemOf(i *mailbox.Item) *resource {
	segments := r.segments
	if r.kind == itemKind {
		segments = segments[:len(segments)-1]
	}
	return &resource{kind: itemKind, realm: r.realm, segments: append(segments[:len(segments):len(segments)], i.Name),
		owner: r.owner, coll: r.coll, item: i, name: i.Name}
}

// principalHref returns the path of an account as a principal.
func principalHref(a *accounts.Account) string { return hrefOf("UserDAV", a.Address()) + "/" }

// resolve returns what a path means for a user. An item that does not exist is a resource without item; all else that does not exist
// is an error, NoMailbox or NotFound.
func (s *Server) resolve(ctx context.Context, user *accounts.Account, rl realm, path []string) (*resource, error) {
	switch rl {
	case rootRealm:
		return &resource{kind: rootKind, realm: rl, owner: s.store.Between(user, user)}, nil
	case userRealm:
		return s.resolvePrincipal(ctx, user, path)
	}
	if rl == calRealm {
		if r, err := s.resolveSchedule(ctx, user, path); r != nil || err != nil {
			return r, err
		}
	}
	r := &resource{kind: homeKind, realm: rl, segments: append([]string{roots[rl]}, path...)}
	prefix, rest := "", path
	if len(path) > 0 && strings.HasPrefix(path[0], "~") {
		prefix, rest = path[0]+"/", path[1:]
	}
	var err error
	if r.owner, err = s.store.Owner(ctx, user, prefix); err != nil {
		return nil, err
	}
	if len(rest) == 0 {
		if r.owner.Foreign() { // the home of somebody who shows nothing is not there
			all, err := s.store.Collections(ctx, user, r.owner, kindsOf(rl)...)
			if err == nil && len(all) == 0 {
				err = fault.New("dav.resolve", fault.NoMailbox, "There is nothing here.")
			}
			if err != nil {
				return nil, err
			}
		}
		return r, nil
	}
	return r, s.resolveBelow(ctx, user, r, rest)
}

// resolveBelow finds the collection and the item of a path below a home.
func (s *Server) resolveBelow(ctx context.Context, user *accounts.Account, r *resource, rest []string) error {
	find := func(names []string) (*groupware.Collection, error) {
		c, err := s.collection(ctx, user, r, names)
		if fault.Is(err, fault.NoMailbox) || fault.Is(err, fault.Invalid) {
			return nil, nil
		}
		return c, err
	}
	c, err := find(rest)
	if c != nil || err != nil {
		if r.kind, r.coll = collectionKind, c; c != nil {
			r.owner = c.Owner
		}
		return err
	}
	last := rest[len(rest)-1]
	if len(rest) > 1 {
		c, err := find(rest[:len(rest)-1])
		if err != nil {
			return err
		}
		if c != nil {
			r.kind, r.coll, r.name, r.owner = itemKind, c, last, c.Owner
			item, err := c.Item(ctx, last)
			switch {
			case err == nil:
				r.item = &item
				return nil
			case !fault.Is(err, fault.NoMessage):
				// Who may not read may still write.
				if fault.Is(err, fault.Denied) && c.Rights&(access.Insert|access.Delete) != 0 {
					return nil
				}
				return err
			}
		}
	}
	for _, suffix := range []string{".ics", ".vcf"} {
		bare, ok := strings.CutSuffix(last, suffix)
		if !ok || bare == "" {
			continue
		}
		names := append(append([]string(nil), rest[:len(rest)-1]...), bare)
		if c, err := find(names); c != nil || err != nil {
			if r.kind, r.coll, r.name, r.suffixed = collectionKind, c, "", true; c != nil {
				r.owner = c.Owner
			}
			r.segments = append(r.segments[:len(r.segments)-1:len(r.segments)-1], bare)
			return err
		}
	}
	if r.coll != nil {
		return nil
	}
	return fault.New("dav.resolve", fault.NoMailbox, "There is nothing here.")
}

// isAlias reports whether the path names a collection of another account by a mailbox alias.
func (r *resource) isAlias() bool {
	return r.coll != nil && r.owner.Foreign() && len(r.segments) > 1 && !strings.HasPrefix(r.segments[1], "~")
}

// collection returns the collection that names mean. Tasks is the main task list if there is no mailbox of this name.
func (s *Server) collection(ctx context.Context, user *accounts.Account, r *resource, names []string) (*groupware.Collection, error) {
	c, err := s.store.Collection(ctx, user, r.owner, strings.Join(names, "/"))
	if err == nil && !inRealm(c, r.realm) {
		return nil, fault.New("dav.resolve", fault.NoMailbox, "")
	}
	if fault.Is(err, fault.NoMailbox) && !r.owner.Foreign() {
		aliased, aerr := s.store.Aliased(ctx, user, strings.Join(names, "/"))
		if aerr == nil && inRealm(aliased, r.realm) {
			return aliased, nil
		}
		if aerr != nil && !fault.Is(aerr, fault.NoMailbox) {
			return nil, aerr
		}
	}
	if !fault.Is(err, fault.NoMailbox) || len(names) != 1 {
		return c, err
	}
	for _, k := range kindsOf(r.realm) {
		if names[0] == groupware.MainName(r.owner.Account, k) || names[0] == stockNames[k] {
			return s.store.Main(ctx, user, r.owner, k)
		}
	}
	return nil, err
}

// stockNames always lead to the main collections.
var stockNames = map[groupware.Kind]string{groupware.Calendar: "Calendar", groupware.Tasks: "Tasks", groupware.Contacts: "Contacts"}

func inRealm(c *groupware.Collection, r realm) bool {
	return (c.Kind == groupware.Contacts) == (r == cardRealm)
}

// resolvePrincipal finds an account by its address, or one of its other names.
func (s *Server) resolvePrincipal(ctx context.Context, user *accounts.Account, path []string) (*resource, error) {
	r := &resource{kind: principalsKind, realm: userRealm, segments: append([]string{"UserDAV"}, path...), owner: s.store.Between(user, user)}
	if len(path) == 0 {
		return r, nil
	}
	a, err := address.Parse(path[0])
	if len(path) > 1 || err != nil || !strings.Contains(path[0], "@") {
		return nil, fault.New("dav.principal", fault.NotFound, "There is no such principal.")
	}
	r.kind = principalKind
	if strings.EqualFold(a.String(), user.Address()) {
		return r, nil
	}
	o, err := s.store.Owner(ctx, user, "~"+path[0]+"/")
	if err != nil {
		if fault.Is(err, fault.NoMailbox) {
			err = fault.New("dav.principal", fault.NotFound, "There is no such principal.")
		}
		return nil, err
	}
	if o.Account.Domain != user.Domain {
		// Accounts of another domain exist for those whom they show something.
		shown, err := s.store.Collections(ctx, user, o)
		if err != nil {
			return nil, err
		}
		if len(shown) == 0 {
			return nil, fault.New("dav.principal", fault.NotFound, "There is no such principal.")
		}
	}
	r.owner = o
	return r, nil
}

// readState reads the state of a collection once.
func (r *resource) readState(ctx context.Context) (mailbox.ItemsState, error) {
	if r.state == nil {
		st, err := r.coll.State(ctx)
		if err != nil {
			return st, err
		}
		r.state = &st
	}
	return *r.state, nil
}

// readProps reads the properties of a collection once.
func (r *resource) readProps(ctx context.Context) (map[string]string, error) {
	if r.props == nil {
		p, err := r.coll.Properties(ctx)
		if err != nil {
			return nil, err
		}
		r.props = p
	}
	return r.props, nil
}

// readText reads the text of an item once.
func (r *resource) readText(ctx context.Context) ([]byte, error) {
	if r.text == nil {
		item, text, err := r.coll.Text(ctx, r.name)
		if err != nil {
			return nil, err
		}
		r.item, r.text = &item, text
	}
	return r.text, nil
}

// isGone reports whether an error says that a resource does not exist.
func isGone(err error) bool {
	k := fault.KindOf(err)
	return err != nil && (k == fault.NoMessage || k == fault.NoMailbox || k == fault.NotFound || k == fault.NoDomain)
}

var errNoProperty = errors.New("no such property")
