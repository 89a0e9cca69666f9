// Package access decides which mailboxes an account may use. It leads from the name of a mailbox, as an
// authenticated user writes it, to the account that owns the mailbox and to the rights that the user has.
// Protocols, deliveries and rules ask here and nowhere else.
//
// # Names
//
//	Box                  a mailbox of the user's own account
//	~/Box                the same
//	~name/Box            a mailbox of another account of the user's domain
//	~name@domain/Box     a mailbox of any account of the server
//	alias, alias/Box     what a mailbox alias of the user's account stands for, which is such a name
//
// The name of the account is routed, so that aliases and Router records apply. A name like "~name",
// without a slash, names no mailbox.
//
// # Rights
//
// A right is one of the letters of RFC 2086, see Rights. The owner has all rights. So has an administrator
// who may read mailboxes: with the server right UserAccounts ("All Domains"), or with CanAccessMailboxes as an
// administrator of the owner's domain; but not if the owner has administrator's rights that the
// administrator lacks, since a mailbox receives what resets passwords. All others have what the ACL of the
// mailbox gives them, see Identifier and evaluate. A mailbox or directory that does not exist gives none.
//
// A user who may not look a mailbox up gets the same error as for one that does not exist.
package access

import (
	"context"
	"strings"

	"gatepost/accounts"
	"gatepost/accounts/mailbox"
	"gatepost/router"
	"gatepost/router/address"
	"gatepost/router/names"
	"gatepost/server/fault"
)

// Rights is a set of rights to a mailbox (RFC 2086 section 3). ACLs are stored with these numbers.
type Rights uint32

const (
	// Lookup (l) shows the mailbox in lists.
	Lookup Rights = 1 << iota
	// Read (r) opens the mailbox and reads its messages.
	Read
	// Seen (s) changes \Seen.
	Seen
	// Write (w) changes other flags than \Seen and \Deleted.
	Write
	// Insert (i) adds messages.
	Insert
	// Post (p) sends mail to the mailbox by its own address, see Resolver.MayPost.
	Post
	// Create (c) creates mailboxes below this one; with Delete there, also deletes and renames them.
	Create
	// Delete (d) changes \Deleted, expunges messages, and deletes the mailbox.
	Delete
	// Administer (a) sees and changes the ACL.
	Administer

	// All are the owner's rights.
	All Rights = 1<<iota - 1
)

const letters = "lrswipcda"

// Has reports whether all of the rights are in the set.
func (r Rights) Has(rights Rights) bool { return r&rights == rights }

// String returns the letters of the rights, as ACL commands write them.
func (r Rights) String() string {
	var b strings.Builder
	for i := range letters {
		if r&(1<<i) != 0 {
			b.WriteByte(letters[i])
		}
	}
	return b.String()
}

// Resolver finds mailboxes by their names.
type Resolver struct {
	accounts *accounts.Store
	router   *router.Router
}

// New returns a Resolver.
func New(a *accounts.Store, r *router.Router) *Resolver { return &Resolver{accounts: a, router: r} }

// Owner is an account whose mailboxes a user has named.
type Owner struct {
	Account *accounts.Account
	// Prefix stands before the account's mailbox names in what the user has written: "", "~/" or
	// "~name/".
	Prefix string

	user     *accounts.Account
	resolver *Resolver
}

// Mailbox is where the name of a mailbox leads. The mailbox need not exist.
type Mailbox struct {
	Owner
	// Name is the name within the account.
	Name string
	// Rights are those of the user when the name was resolved.
	Rights Rights
	// Aliased says that the user has named it by a mailbox alias.
	Aliased bool
}

// Mailbox returns the mailbox with a name that a user has written. Errors: NoMailbox, also for an account that
// does not exist, and those of the router and of package accounts that are temporary.
func (r *Resolver) Mailbox(ctx context.Context, user *accounts.Account, name string) (Mailbox, error) {
	given := name
	name, err := r.unaliased(ctx, user, given)
	if err != nil {
		return Mailbox{}, err
	}
	prefix, rest := SplitName(name)
	owner, err := r.Owner(ctx, user, prefix)
	if err != nil {
		return Mailbox{}, err
	}
	m := Mailbox{Owner: owner, Name: rest, Aliased: name != given}
	m.Rights, err = owner.RightsTo(ctx, rest)
	return m, err
}

// unaliased returns what a name stands for that is a mailbox alias of the user, and others as they are. A mailbox that has the
// name of an alias comes before it, so that no mail is hidden.
func (r *Resolver) unaliased(ctx context.Context, user *accounts.Account, name string) (string, error) {
	if strings.HasPrefix(name, "~") || strings.EqualFold(name, "INBOX") {
		return name, nil
	}
	now, err := r.accounts.Current(ctx, user)
	switch {
	case fault.Is(err, fault.NotFound), fault.Is(err, fault.NoDomain):
		return name, nil // its mailboxes are gone too
	case err != nil:
		return "", err
	}
	target, ok := now.AliasedMailbox(name)
	if !ok {
		return name, nil
	}
	switch _, err := now.Mail().Status(ctx, name); {
	case err == nil:
		return name, nil
	case !fault.Is(err, fault.NoMailbox):
		return "", err
	}
	return target, nil
}

// SplitName splits the name of a mailbox behind the part that names the account, which is empty for a plain
// name. For a name like "~name" all of it is that part.
func SplitName(name string) (prefix, rest string) {
	if !strings.HasPrefix(name, "~") {
		return "", name
	}
	if i := strings.IndexByte(name, '/'); i >= 0 {
		return name[:i+1], name[i+1:]
	}
	return name, ""
}

// Owner returns the account that a prefix names. Errors: as of Mailbox.
func (r *Resolver) Owner(ctx context.Context, user *accounts.Account, prefix string) (Owner, error) {
	o := Owner{Account: user, Prefix: prefix, user: user, resolver: r}
	if prefix == "" || prefix == "~/" {
		return o, nil
	}
	name, slash := strings.CutSuffix(strings.TrimPrefix(prefix, "~"), "/")
	if !slash {
		return Owner{}, noMailbox()
	}
	var err error
	o.Account, err = r.account(ctx, user, name)
	return o, err
}

// account returns the account with a name as it may stand behind the tilde.
func (r *Resolver) account(ctx context.Context, user *accounts.Account, name string) (*accounts.Account, error) {
	const op = "access.account"
	if !strings.Contains(name, "@") {
		name += "@" + user.Domain
	}
	a, err := address.Parse(name)
	if err != nil || a.IsNull() {
		return nil, noMailbox()
	}
	route, err := r.router.Route(ctx, names.Access, a)
	switch {
	case err != nil && fault.KindOf(err).Temporary() && !fault.Is(err, fault.Disabled):
		return nil, fault.Wrap(op, fault.Internal, err)
	case err != nil, route.Module != router.LOCAL, route.Name == "", route.Mailbox != "":
		return nil, noMailbox()
	}
	owner, err := r.accounts.Account(ctx, route.Domain, route.Name)
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.NoDomain) {
		return nil, noMailbox()
	}
	return owner, err
}

func noMailbox() error { return fault.New("access.Mailbox", fault.NoMailbox, "") }

// Foreign reports whether the mailboxes are another account's.
func (o *Owner) Foreign() bool { return o.Account.ID != o.user.ID }

// Mail returns the owner's mailboxes.
func (o *Owner) Mail() *mailbox.Account { return o.Account.Mail() }

// Shown returns the name of a mailbox of the owner with the prefix that the user has written, as lists have it.
func (o *Owner) Shown(name string) string { return o.Prefix + name }

// Canonical returns the name of a mailbox of the owner, for the user's own mailboxes without a prefix.
func (o *Owner) Canonical(name string) string {
	if !o.Foreign() {
		return name
	}
	return o.Shown(name)
}

// Between returns the mailboxes of owner as user sees them.
func (r *Resolver) Between(user, owner *accounts.Account) Owner {
	return Owner{Account: owner, user: user, resolver: r}
}

// RightsTo returns the user's present rights to a mailbox of the owner, or to a directory; without a name, to the
// account as that in which the outermost mailboxes lie. Errors: NoMailbox if the owner does not exist any more,
// and those of package accounts.
func (o *Owner) RightsTo(ctx context.Context, name string) (Rights, error) {
	rights, _, err := o.rightsTo(ctx, name)
	return rights, err
}

// rightsTo is RightsTo and says whether somebody could have rights to the name: it exists.
func (o *Owner) rightsTo(ctx context.Context, name string) (rights Rights, exists bool, err error) {
	if !o.Foreign() {
		return All, true, nil
	}
	acc := o.resolver.accounts
	user, err := acc.Current(ctx, o.user)
	if err != nil {
		return 0, false, err
	}
	owner, err := acc.Current(ctx, o.Account)
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.NoDomain) {
		return 0, false, noMailbox()
	}
	if err != nil {
		return 0, false, err
	}
	administrator, err := administrates(acc, user, owner, accounts.RightMailboxes)
	if err != nil || administrator {
		return All, true, err
	}
	acl, err := owner.Mail().ACL(ctx, name)
	if fault.Is(err, fault.NoMailbox) {
		return 0, false, nil
	}
	if err != nil || len(acl) == 0 {
		return 0, true, err
	}
	rights, err = evaluate(acl, (&asked{Context: ctx, accounts: acc, user: user, owner: owner}).means)
	return rights, true, err
}

// MayPost reports whether a sender may send mail into a mailbox by its own address (box#account): who has the right Post. A sender who
// has not logged in, which is nil here, has what the ACL gives to anyone.
func (r *Resolver) MayPost(ctx context.Context, sender, owner *accounts.Account, box string) (bool, error) {
	if sender != nil {
		o := r.Between(sender, owner)
		rights, err := o.RightsTo(ctx, box)
		if fault.Is(err, fault.NoMailbox) { // the owner is not there any more: the store says what becomes of the message
			return true, nil
		}
		return rights.Has(Post), err
	}
	acl, err := owner.Mail().ACL(ctx, box)
	if fault.Is(err, fault.NoMailbox) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	rights, err := evaluate(acl, func(id Identifier) (bool, error) { return id.kind == anyoneKind, nil })
	return rights.Has(Post), err
}

// RightsBy returns the rights that an ACL which is not that of a mailbox gives the user, and open besides, to files of the owner. Elements of
// the ACL with - take from both. Errors: as of RightsTo.
func (o *Owner) RightsBy(ctx context.Context, acl mailbox.ACL, open Rights) (Rights, error) {
	if !o.Foreign() {
		return All, nil
	}
	acc := o.resolver.accounts
	user, err := acc.Current(ctx, o.user)
	if err != nil {
		return 0, err
	}
	owner, err := acc.Current(ctx, o.Account)
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.NoDomain) {
		return 0, noMailbox()
	}
	if err != nil {
		return 0, err
	}
	if administrator, err := administrates(acc, user, owner, accounts.RightFiles); err != nil || administrator {
		return All, err
	}
	if open != 0 {
		acl = append(acl[:len(acl):len(acl)], mailbox.ACLEntry{Identifier: "+" + anyone, Rights: uint32(open)})
	}
	return evaluate(acl, (&asked{Context: ctx, accounts: acc, user: user, owner: owner}).means)
}

// administrates reports whether a user may use the owner's mailboxes, or files, as an administrator.
func administrates(acc *accounts.Store, user, owner *accounts.Account, right string) (bool, error) {
	rights, err := acc.RightsOf(user)
	if err != nil || !rights.Any() {
		return false, err
	}
	of, err := acc.RightsOf(owner)
	if err != nil {
		return false, err
	}
	return rights.Domain(owner.Domain, right) && rights.Covers(of), nil
}

// Require returns an error unless the user has the rights: NoMailbox without the right to look the mailbox up,
// else Denied.
func (m *Mailbox) Require(rights Rights) error {
	switch {
	case m.Rights.Has(rights):
		return nil
	case !m.Rights.Has(Lookup):
		return noMailbox()
	}
	return fault.New("access.Require", fault.Denied, "")
}

// RequireCreate returns an error unless the user may create the mailbox, which is a right to the nearest one that it
// lies in and that exists, or else to the account. Errors: as of Require.
func (m *Mailbox) RequireCreate(ctx context.Context) error {
	name := strings.TrimSuffix(m.Name, "/")
	for {
		name = name[:max(0, strings.LastIndexByte(name, '/'))]
		rights, exists, err := m.rightsTo(ctx, name)
		switch {
		case err != nil:
			return err
		case rights.Has(Create):
			return nil
		case !exists && name != "":
			continue
		case rights.Has(Lookup), m.Rights.Has(Lookup):
			return fault.New("access.RequireCreate", fault.Denied, "")
		}
		return noMailbox()
	}
}
