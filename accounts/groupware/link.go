package groupware

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatepost/accounts"
	"gatepost/server/fault"
)

// A secret link lets everybody who knows it read a calendar as one text, without a login and without any other right. There is one for a calendar at most. The
// account keeps the hash of the secret with the ID of the mailbox: the secret itself is told once.

// linkKeeper is no account; the links of an account are the properties that it keeps with the account.
const linkKeeper = ^uint64(0) - 1

const linkPrefix = "link "

// Link is a secret link to a calendar.
type Link struct {
	Mailbox string
	Made    time.Time
}

var linkEncoding = base32.StdEncoding.WithPadding(base32.NoPadding)

// linkKey is the name of the property of a link.
func linkKey(secret string) string {
	sum := sha256.Sum256([]byte(strings.ToLower(secret)))
	return linkPrefix + hex.EncodeToString(sum[:])
}

// links reads the links of an account, by their properties.
func links(ctx context.Context, a *accounts.Account) (map[string]Link, map[string]uint32, error) {
	props, err := a.Mail().Properties(ctx, "", linkKeeper)
	if err != nil || len(props) == 0 {
		return nil, nil, err
	}
	names, err := mailboxNames(ctx, a)
	if err != nil {
		return nil, nil, err
	}
	all, ids := map[string]Link{}, map[string]uint32{}
	for key, v := range props {
		if !strings.HasPrefix(key, linkPrefix) {
			continue // a subscription
		}
		first, second, _ := strings.Cut(v, " ")
		id, err1 := strconv.ParseUint(first, 10, 32)
		made, err2 := strconv.ParseInt(second, 10, 64)
		if err1 != nil || err2 != nil {
			return nil, nil, fault.Newf("groupware.links", fault.Corrupt, "the link %q of %s cannot be read", v, a.Address())
		}
		all[key], ids[key] = Link{Mailbox: names[uint32(id)], Made: time.Unix(made, 0)}, uint32(id)
	}
	return all, ids, nil
}

// Links lists the secret links to the calendars of an account, by mailbox.
func (s *Store) Links(ctx context.Context, a *accounts.Account) ([]Link, error) {
	all, _, err := links(ctx, a)
	var list []Link
	for _, l := range all {
		if l.Mailbox != "" { // the mailbox may have been deleted
			list = append(list, l)
		}
	}
	slices.SortFunc(list, func(a, b Link) int { return strings.Compare(a.Mailbox, b.Mailbox) })
	return list, err
}

// MakeLink makes the secret link to a calendar or task list of an account, and ends the one that there was. It returns the secret. Errors: NoMailbox, Invalid for
// another mailbox than a calendar.
func (s *Store) MakeLink(ctx context.Context, a *accounts.Account, box string) (secret string, err error) {
	c, err := s.Collection(ctx, a, s.Between(a, a), box)
	if err != nil {
		return "", err
	}
	if c.Kind == Contacts {
		return "", fault.New("groupware.MakeLink", fault.Invalid, "only a calendar or a task list has a secret link")
	}
	change, err := withoutLink(ctx, a, uint32(c.ID))
	if err != nil {
		return "", err
	}
	var random [20]byte
	rand.Read(random[:])
	secret = strings.ToLower(linkEncoding.EncodeToString(random[:]))
	value := strconv.FormatUint(uint64(c.ID), 10) + " " + strconv.FormatInt(time.Now().Unix(), 10)
	change[linkKey(secret)] = &value
	return secret, a.Mail().SetProperties(ctx, "", linkKeeper, change)
}

// withoutLink are the changes that end the link to a mailbox, and those to mailboxes that are not there any more.
func withoutLink(ctx context.Context, a *accounts.Account, id uint32) (map[string]*string, error) {
	all, ids, err := links(ctx, a)
	change := map[string]*string{}
	for key, l := range all {
		if ids[key] == id || l.Mailbox == "" {
			change[key] = nil
		}
	}
	return change, err
}

// EndLink ends the secret link to a calendar. Errors: NoMailbox, NotFound if there is none.
func (s *Store) EndLink(ctx context.Context, a *accounts.Account, box string) error {
	i, err := a.Mail().Status(ctx, box)
	if err != nil {
		return err
	}
	change, err := withoutLink(ctx, a, uint32(i.ID))
	if err != nil {
		return err
	}
	if len(change) == 0 {
		return fault.New("groupware.EndLink", fault.NotFound, "the calendar has no secret link")
	}
	return a.Mail().SetProperties(ctx, "", linkKeeper, change)
}

// Linked returns the calendar of an account that a secret leads to. Errors: NoMailbox.
func (s *Store) Linked(ctx context.Context, a *accounts.Account, secret string) (*Collection, error) {
	all, _, err := links(ctx, a)
	if err != nil {
		return nil, err
	}
	l, ok := all[linkKey(secret)]
	if !ok || l.Mailbox == "" {
		return nil, fault.New("groupware.Linked", fault.NoMailbox, "")
	}
	c, err := s.Collection(ctx, a, s.Between(a, a), l.Mailbox)
	if err == nil && c.Kind == Contacts { // it has become another kind
		return nil, fault.New("groupware.Linked", fault.NoMailbox, "")
	}
	return c, err
}
