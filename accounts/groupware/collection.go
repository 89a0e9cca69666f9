package groupware

import (
	"context"
	"strings"

	"gatepost/accounts"
	"gatepost/accounts/access"
	"gatepost/accounts/icalendar"
	"gatepost/accounts/mailbox"
	"gatepost/server/fault"
)

// Kind is what a collection is for.
type Kind uint8

// The kinds.
const (
	Calendar Kind = iota + 1
	Tasks
	Contacts
)

// kinds have the class of the mailboxes and the preference that names the main one.
var kinds = [...]struct{ class, preference string }{
	Calendar: {"IPF.Appointment", "CalendarBox"},
	Tasks:    {"IPF.Task", "TasksBox"},
	Contacts: {"IPF.Contact", "ContactsBox"},
}

// Store finds collections.
type Store struct {
	accounts *accounts.Store
	access   *access.Resolver
}

// New returns a Store.
func New(a *accounts.Store, r *access.Resolver) *Store { return &Store{a, r} }

// Collection is a calendar, a task list or an address book as one user sees it.
type Collection struct {
	mailbox.Info
	Kind   Kind
	Owner  access.Owner
	Rights access.Rights
	// Main says that it is the owner's main one of its kind.
	Main bool

	user *accounts.Account
	zone *icalendar.Zone // once it was asked for
	// ready says that messages which came otherwise were looked at.
	ready bool
}

// MainName returns the name of an account's main collection of a kind.
func MainName(a *accounts.Account, k Kind) string {
	name, err := mailbox.CleanName(a.Preference(kinds[k].preference))
	if err != nil {
		return ""
	}
	return name
}

// kindOf returns the kind of a mailbox, or 0.
func kindOf(owner *accounts.Account, i *mailbox.Info) (k Kind, main bool) {
	if !i.Selectable {
		return 0, false
	}
	for k := Calendar; k <= Contacts; k++ {
		main := i.Name == MainName(owner, k)
		if strings.EqualFold(i.Class, kinds[k].class) || main && i.Class == "" && i.Name != "INBOX" {
			return k, main
		}
	}
	return 0, false
}

// Owner returns the account that the prefix of a mailbox name means, see package access.
func (s *Store) Owner(ctx context.Context, user *accounts.Account, prefix string) (access.Owner, error) {
	return s.access.Owner(ctx, user, prefix)
}

// Between returns the collections of owner as user sees them.
func (s *Store) Between(user, owner *accounts.Account) access.Owner {
	return s.access.Between(user, owner)
}

// Collection returns a collection by the name of its mailbox. Errors: NoMailbox, also without the right to look it up.
func (s *Store) Collection(ctx context.Context, user *accounts.Account, o access.Owner, name string) (*Collection, error) {
	i, err := o.Mail().Status(ctx, name)
	if err != nil {
		return nil, err
	}
	k, main := kindOf(o.Account, &i)
	if k == 0 {
		return nil, fault.New("groupware.Collection", fault.NoMailbox, "")
	}
	rights, err := o.RightsTo(ctx, i.Name)
	if err != nil {
		return nil, err
	}
	if !rights.Has(access.Lookup) {
		return nil, fault.New("groupware.Collection", fault.NoMailbox, "")
	}
	return &Collection{Info: i, Kind: k, Owner: o, Rights: rights, Main: main, user: user}, nil
}

// Aliased returns the collection of another account that a mailbox alias of the user stands for. Errors: as of Collection, also for a name that is
// no alias.
func (s *Store) Aliased(ctx context.Context, user *accounts.Account, name string) (*Collection, error) {
	if len(user.MailboxAliases()) == 0 {
		return nil, fault.New("groupware.Aliased", fault.NoMailbox, "")
	}
	m, err := s.access.Mailbox(ctx, user, name)
	if err != nil {
		return nil, err
	}
	if !m.Aliased || m.Owner.Prefix == "" {
		return nil, fault.New("groupware.Aliased", fault.NoMailbox, "")
	}
	return s.Collection(ctx, user, m.Owner, m.Name)
}

// Collections returns the collections of an owner that a user may look up. The owner himself has his main ones made.
func (s *Store) Collections(ctx context.Context, user *accounts.Account, o access.Owner, of ...Kind) ([]*Collection, error) {
	if !o.Foreign() {
		for _, k := range of {
			if err := makeMain(ctx, o.Account, k); err != nil {
				return nil, err
			}
		}
	}
	infos, err := o.Mail().List(ctx)
	if err != nil {
		return nil, err
	}
	var all []*Collection
	for i := range infos {
		k, main := kindOf(o.Account, &infos[i])
		if k == 0 || !has(of, k) {
			continue
		}
		rights, err := o.RightsTo(ctx, infos[i].Name)
		if err != nil {
			return nil, err
		}
		if rights.Has(access.Lookup) {
			all = append(all, &Collection{Info: infos[i], Kind: k, Owner: o, Rights: rights, Main: main, user: user})
		}
	}
	return all, nil
}

func has(of []Kind, k Kind) bool {
	for _, other := range of {
		if other == k {
			return true
		}
	}
	return len(of) == 0
}

// makeMain makes the main collection of a kind unless there is one.
func makeMain(ctx context.Context, a *accounts.Account, k Kind) error {
	name := MainName(a, k)
	if name == "" {
		return nil
	}
	if i, err := a.Mail().Status(ctx, name); err == nil && i.Selectable {
		return nil
	} else if err != nil && !fault.Is(err, fault.NoMailbox) {
		return err
	}
	_, err := a.Mail().CreateMailbox(ctx, name, mailbox.CreateOptions{Class: kinds[k].class})
	if fault.Is(err, fault.Exists) {
		return nil
	}
	return err
}

// Main returns an owner's main collection of a kind. Errors: NoMailbox.
func (s *Store) Main(ctx context.Context, user *accounts.Account, o access.Owner, k Kind) (*Collection, error) {
	if !o.Foreign() {
		if err := makeMain(ctx, o.Account, k); err != nil {
			return nil, err
		}
	}
	name := MainName(o.Account, k)
	if name == "" {
		return nil, fault.New("groupware.Main", fault.NoMailbox, "")
	}
	return s.Collection(ctx, user, o, name)
}

// Create makes a collection. Errors: Exists, Denied, NoMailbox (there is none of the name before the last slash), Invalid, TooMany.
func (s *Store) Create(ctx context.Context, user *accounts.Account, o access.Owner, name string, k Kind) (*Collection, error) {
	rights, err := o.RightsTo(ctx, name)
	if err != nil {
		return nil, err
	}
	m := access.Mailbox{Owner: o, Name: name, Rights: rights}
	if err := m.RequireCreate(ctx); err != nil {
		return nil, err
	}
	if i := strings.LastIndexByte(name, '/'); i > 0 {
		if _, err := o.Mail().Status(ctx, name[:i]); err != nil {
			return nil, err
		}
	}
	if _, err := o.Mail().CreateMailbox(ctx, name, mailbox.CreateOptions{Class: kinds[k].class}); err != nil {
		return nil, err
	}
	// Who may create may not have the right to look up what he has made.
	i, err := o.Mail().Status(ctx, name)
	if err != nil {
		return nil, err
	}
	rights, err = o.RightsTo(ctx, i.Name)
	return &Collection{Info: i, Kind: k, Owner: o, Rights: rights, user: user}, err
}

// Delete removes a collection with all its items. A main one is Denied.
func (c *Collection) Delete(ctx context.Context) error {
	if c.Main {
		return fault.New("groupware.Delete", fault.Denied, "The main calendar, task list and address book cannot be deleted.")
	}
	if err := c.requireNow(ctx, access.Delete); err != nil {
		return err
	}
	m := access.Mailbox{Owner: c.Owner, Name: c.Name, Rights: c.Rights}
	if err := m.RequireCreate(ctx); err != nil {
		return err
	}
	return c.Owner.Mail().DeleteMailbox(ctx, c.Name)
}

func (c *Collection) require(r access.Rights) error {
	m := access.Mailbox{Owner: c.Owner, Name: c.Name, Rights: c.Rights}
	return m.Require(r)
}

// now returns the collection with the rights that the user has now: they may be others than at the beginning of a long request.
func (c *Collection) now(ctx context.Context) (*Collection, error) {
	if !c.Owner.Foreign() {
		return c, nil
	}
	rights, err := c.Owner.RightsTo(ctx, c.Name)
	if err != nil || rights == c.Rights {
		return c, err
	}
	with := *c
	with.Rights = rights
	return &with, nil
}

// requireNow is require for what changes the collection.
func (c *Collection) requireNow(ctx context.Context, r access.Rights) error {
	with, err := c.now(ctx)
	if err != nil {
		return err
	}
	return with.require(r)
}

// MayChange reports whether the user may replace items.
func (c *Collection) MayChange() bool {
	return c.Rights.Has(access.Insert | access.Delete)
}

// Properties returns the user's properties of the collection, and the owner's where the user has none.
func (c *Collection) Properties(ctx context.Context) (map[string]string, error) {
	all, err := c.Owner.Mail().Properties(ctx, c.Name, c.Owner.Account.ID)
	if err != nil || !c.Owner.Foreign() {
		return all, err
	}
	own, err := c.Owner.Mail().Properties(ctx, c.Name, c.user.ID)
	for name, v := range own {
		all[name] = v
	}
	return all, err
}

// SetProperties sets the user's properties of the collection; a nil value removes one. Errors: TooLarge, TooMany.
func (c *Collection) SetProperties(ctx context.Context, change map[string]*string) error {
	return c.Owner.Mail().SetProperties(ctx, c.Name, c.user.ID, change)
}
