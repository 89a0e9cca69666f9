// Package finding looks for messages in the mailboxes of all accounts, for an administrator who has to take one out of every box.
//
// Mailboxes are looked through one after the other, by what the index keeps of each message: nobody else waits, and no file is read. Memory is
// that of one mailbox.
package finding

import (
	"context"
	"strings"
	"time"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/accounts"
	"gatepost/accounts/mailbox"
	"gatepost/accounts/message"
	"gatepost/server/fault"
)

// Wanted says which messages. All that is set has to fit, and something has to be set besides Domain and Account.
type Wanted struct {
	MessageID string // with or without angle brackets
	Sender    string // a part of the return-path, or of an address or a name in From
	Subject   string // a part of it
	// Since and Before are when the message came: from the one on, until the other without itself.
	Since, Before time.Time
	Domain        string // only the accounts of this one, if it is set
	Account       string // only this account of the domain, if it is set
}

// Found is a message.
type Found struct {
	Account, Mailbox           string
	UID                        imap.UID
	Received                   time.Time
	Sender, Subject, MessageID string
}

func (w *Wanted) validate() error {
	if w.MessageID == "" && w.Sender == "" && w.Subject == "" && w.Since.IsZero() && w.Before.IsZero() {
		return fault.New("finding.Each", fault.Invalid, "say which messages: by Message-ID, sender, subject or time")
	}
	if w.Account != "" && w.Domain == "" {
		return fault.New("finding.Each", fault.Invalid, "an account is one of a domain")
	}
	return nil
}

// Each calls visit with each message that is wanted, and removes those for which it returns true: they are expunged, which sessions are told. What cannot be read
// is passed to failed, and the others go on. Errors: Invalid, NoDomain, NotFound, Canceled.
func Each(ctx context.Context, s *accounts.Store, w Wanted, visit func(Found) (remove bool), failed func(where string, err error)) error {
	if err := w.validate(); err != nil {
		return err
	}
	f := &finder{ctx: ctx, wanted: w, visit: visit, failed: failed}
	if w.Account != "" {
		a, err := s.Account(ctx, w.Domain, w.Account)
		if err != nil {
			return err
		}
		return f.account(a)
	}
	domains := []string{w.Domain}
	if w.Domain == "" {
		var err error
		if domains, err = s.Domains(ctx); err != nil {
			return err
		}
	}
	for _, domain := range domains {
		names, err := s.AccountNames(domain)
		if fault.Is(err, fault.NoDomain) && w.Domain == "" {
			continue // deleted meanwhile
		}
		if err != nil {
			return err
		}
		for _, name := range names {
			if err := ctx.Err(); err != nil {
				return fault.Wrap("finding.Each", fault.Canceled, err)
			}
			a, err := s.Account(ctx, domain, name)
			if err == nil {
				err = f.account(a)
			}
			switch {
			case fault.Is(err, fault.Canceled):
				return err
			case err != nil && !fault.Is(err, fault.NotFound):
				failed(name+"@"+domain, err)
			}
		}
	}
	return nil
}

type finder struct {
	ctx    context.Context
	wanted Wanted
	visit  func(Found) bool
	failed func(string, error)
}

func (f *finder) account(a *accounts.Account) error {
	list, err := a.Mail().List(f.ctx)
	if err != nil {
		return err
	}
	for _, i := range list {
		if !i.Selectable || i.Messages == 0 {
			continue
		}
		err := f.mailbox(a, i.Name)
		switch {
		case fault.Is(err, fault.Canceled):
			return err
		case err != nil && !fault.Is(err, fault.NoMailbox):
			f.failed(a.Address()+" "+i.Name, err)
		}
	}
	return nil
}

func (f *finder) mailbox(a *accounts.Account, name string) error {
	remove, err := f.look(a, name)
	if err != nil || len(remove) == 0 {
		return err
	}
	m, err := a.Mail().Open(f.ctx, name, false)
	if err != nil {
		return err
	}
	defer m.Close()
	if _, err := m.SetFlags(f.ctx, remove, mailbox.Add, []imap.Flag{imap.FlagDeleted}, mailbox.NoCondition); err != nil {
		return err
	}
	set := imap.UIDSetNum(remove...)
	_, err = m.Expunge(f.ctx, &set)
	return err
}

// look goes through a mailbox, whose messages stay recent, and returns what is to be removed.
func (f *finder) look(a *accounts.Account, name string) (remove []imap.UID, err error) {
	m, err := a.Mail().Open(f.ctx, name, true)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	r := m.Reader()
	defer r.Close()
	for _, uid := range m.UIDs() {
		if err := f.ctx.Err(); err != nil {
			return nil, fault.Wrap("finding.Each", fault.Canceled, err)
		}
		found, is, err := f.message(r, m, uid)
		if fault.Is(err, fault.NoMessage) {
			continue
		}
		if err != nil {
			f.failed(a.Address()+" "+name, err)
			continue
		}
		if !is {
			continue
		}
		found.Account, found.Mailbox = a.Address(), name
		if f.visit(found) {
			remove = append(remove, uid)
		}
	}
	return remove, nil
}

// message compares one.
func (f *finder) message(r *mailbox.Reader, m *mailbox.Mailbox, uid imap.UID) (found Found, is bool, err error) {
	w := &f.wanted
	if !w.Since.IsZero() || !w.Before.IsZero() {
		known, ok := m.Message(uid)
		if !ok || known.InternalDate.Before(w.Since) || !w.Before.IsZero() && !known.InternalDate.Before(w.Before) {
			return found, false, nil
		}
	}
	c, err := r.Content(f.ctx, uid)
	if err != nil {
		return found, false, err
	}
	sum, err := c.Summary(f.ctx)
	if err != nil {
		return found, false, err
	}
	senders := sendersOf(c.Prefix, &c.Head)
	switch {
	case w.MessageID != "" && strings.Trim(sum.MessageID, "<>") != strings.Trim(w.MessageID, "<> "),
		w.Subject != "" && !contains(sum.Subject, w.Subject),
		w.Sender != "" && !containsAny(senders, w.Sender):
		return found, false, nil
	}
	found = Found{UID: uid, Subject: sum.Subject, MessageID: sum.MessageID}
	if known, ok := m.Message(uid); ok {
		found.Received = known.InternalDate
	}
	if len(senders) > 0 {
		found.Sender = senders[len(senders)-1]
	}
	return found, true, nil
}

// maxSenders bounds the addresses in From that are looked at.
const maxSenders = 20

// sendersOf are the return-path, if the message has one, and the addresses and names of From; a From address comes last.
func sendersOf(prefix []byte, h *message.Head) (list []string) {
	for line := range strings.Lines(string(prefix)) {
		if rest, ok := strings.CutPrefix(line, "Return-Path: "); ok {
			list = append(list, strings.Trim(strings.TrimSpace(rest), "<>"))
		}
	}
	for a := range h.Addresses("From") {
		if len(list) > 2*maxSenders {
			break
		}
		if a.Kind == message.Mailbox {
			list = append(list, message.DecodeHeader(a.Name), string(a.Local)+"@"+string(a.Domain))
		}
	}
	return list
}

func containsAny(list []string, part string) bool {
	for _, s := range list {
		if contains(s, part) {
			return true
		}
	}
	return false
}

func contains(text, part string) bool {
	return strings.Contains(strings.ToLower(text), strings.ToLower(part))
}
