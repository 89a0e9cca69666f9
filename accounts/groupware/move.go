package groupware

import (
	"context"

	"gatepost/accounts/access"
	"gatepost/accounts/icalendar"
	"gatepost/accounts/mailbox"
	"gatepost/server/fault"
)

// Move is an item to be moved within an account.
type Move struct {
	Name    string
	To      *Collection
	NewName string
	// Components are the types of components that the destination takes, for a calendar; all if empty.
	Components []string
	// If is asked in the commit whether the item may be moved to where present is, nil for nothing; its error is that of Move.
	If func(item mailbox.Item, present *mailbox.Item) error
}

// Same reports whether two collections are one.
func (c *Collection) Same(other *Collection) bool {
	return c.Owner.Account.ID == other.Owner.Account.ID && c.ID == other.ID
}

// Move moves an item to a collection of the same account, or gives it another name in its own, in one commit. What has its new name goes; created
// says that nothing had. Errors: a *Violation, NoMessage, NoMailbox, Denied, Invalid (the name), those of If.
func (c *Collection) Move(ctx context.Context, m Move) (created bool, err error) {
	const op = "groupware.Move"
	if (c.Kind == Contacts) != (m.To.Kind == Contacts) || c.Owner.Account.ID != m.To.Owner.Account.ID {
		return false, fault.New(op, fault.Denied, "An item is not moved there.")
	}
	if err := c.require(access.Delete); err != nil {
		return false, err
	}
	if err := m.To.look(ctx); err != nil {
		return false, err
	}
	check := func(item mailbox.Item, present *mailbox.Item) error {
		if err := m.To.mayPut(present != nil); err != nil {
			return err
		}
		if t := icalendar.SummaryType(item.Summary); c.Kind != Contacts && len(m.Components) > 0 && t != "" && !contains(m.Components, t) {
			return violates(ComponentType, fault.Newf(op, fault.Invalid, "%s is not stored in this collection", t))
		}
		return m.If(item, present)
	}
	mail := c.Owner.Mail()
	if c.Same(m.To) {
		created, err = mail.RenameItem(ctx, c.Name, m.Name, m.NewName, check)
	} else {
		created, err = mail.MoveItem(ctx, mailbox.ItemMove{Mailbox: c.Name, Name: m.Name, ToMailbox: m.To.Name, To: m.NewName, Check: check})
	}
	if taken := mailbox.KeyTakenBy(err); taken != "" {
		err = &Violation{Rule: UniqueUID, Other: taken, Err: err}
	}
	return created, err
}
