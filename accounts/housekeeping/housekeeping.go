// Package housekeeping does in the mailboxes of accounts what their settings ask for and nobody waits for:
//
//	EmptyTrash, EmptyJunk    preferences: messages that were in the Trash or in the Junk mailbox for so long are deleted
//	ArchiveMessagesAfter     messages that were in INBOX for so long are moved to the Archive
//	DeleteMessagesAfter      messages that were in INBOX for so long are deleted
//	QuotaNotice              a notice is put into INBOX when the account is nearly full, see notice.go
//
// 0 and "never" say that nothing is done. The age of a message counts from when it came into the mailbox (SAVEDATE, RFC 8514): mail that
// a user has imported with old dates is not gone the next hour. With the preference KeepTimeInTrash, it counts in the Trash and in Junk from
// when the message was received. Mailboxes that are nested in these are left alone, and so is one of another class than mail.
//
// One goroutine goes through all accounts, from soon after the start and then every hour. It is the last in line: after each step it rests longer than the
// step has taken, and a step is one commit of a bounded number of messages.
package housekeeping

import (
	"context"
	"log/slog"
	"strings"
	"time"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/accounts"
	"gatepost/accounts/mailbox"
	"gatepost/server/counters"
	"gatepost/server/fault"
	"gatepost/server/logs"
	"gatepost/server/settings"
)

const (
	firstRound = 5 * time.Minute // after the start, when clients come back and queues are worked off
	everyRound = time.Hour
	// restFactor is how much longer than a step the rest after it takes.
	restFactor  = 4
	longestRest = 10 * time.Second
)

// Housekeeper looks after the mailboxes of all accounts.
type Housekeeper struct {
	accounts *accounts.Store
	log      *slog.Logger
	counts   Counts
}

// Counts is what was done since the start.
type Counts struct {
	// Messages are those that were deleted or moved, by why.
	Messages counters.Labelled
	// Notices are notices of accounts that are nearly full.
	Notices counters.Counter
}

// New returns a Housekeeper; Run does the work.
func New(store *accounts.Store, log *slog.Logger) *Housekeeper {
	return &Housekeeper{accounts: store, log: logs.Component(log, "ACCOUNT")}
}

// Counts are the counters, for the metrics.
func (h *Housekeeper) Counts() *Counts { return &h.counts }

// Run works until the context ends.
func (h *Housekeeper) Run(ctx context.Context) error {
	t := time.NewTimer(firstRound)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
		h.round(ctx)
		t.Reset(everyRound)
	}
}

// round goes through all accounts. What fails in one of them is reported and does not keep the others waiting.
func (h *Housekeeper) round(ctx context.Context) {
	domains, err := h.accounts.Domains(ctx)
	if err != nil {
		h.failed(ctx, "domains cannot be listed for housekeeping", err)
		return
	}
	for _, domain := range domains {
		names, err := h.accounts.Accounts(ctx, domain)
		if err != nil {
			h.failed(ctx, "accounts cannot be listed for housekeeping", err, slog.String("domain", domain))
			continue
		}
		for _, name := range names {
			if ctx.Err() != nil {
				return
			}
			begin := time.Now()
			a, err := h.accounts.Account(ctx, domain, name)
			if err == nil {
				err = h.account(ctx, a, begin)
			}
			if err != nil && !fault.Is(err, fault.NotFound) && !fault.Is(err, fault.NoDomain) {
				h.failed(ctx, "housekeeping in an account has failed; it is tried again in the next round", err, slog.String(logs.AttrAccount, name+"@"+domain))
			}
			rest(ctx, begin)
		}
	}
}

func (h *Housekeeper) failed(ctx context.Context, what string, err error, about ...slog.Attr) {
	if ctx.Err() == nil {
		h.log.LogAttrs(ctx, logs.LevelFailure, what, append(about, slog.Any(logs.AttrError, err))...)
	}
}

// rest waits after a step, so that housekeeping takes a small part of the time of disks and processors.
func rest(ctx context.Context, begin time.Time) {
	t := time.NewTimer(min(restFactor*time.Since(begin), longestRest))
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// duty is what is to be done in a mailbox.
type duty struct {
	mailbox.Aging
	why string
}

// duties are those that the settings of an account ask for.
func duties(a *accounts.Account, now time.Time) (list []duty) {
	add := func(why string, period settings.Period, g mailbox.Aging) {
		if g.Mailbox != "" && period > 0 {
			g.Before = now.Add(-period.Duration())
			list = append(list, duty{g, why})
		}
	}
	set := a.Settings()
	archive := a.SpecialMailbox(imap.MailboxAttrArchive)
	add("deleted from INBOX", set.DeleteMessagesAfter, mailbox.Aging{Mailbox: "INBOX"})
	if archive != "" && archive != "INBOX" {
		add("archived", set.ArchiveMessagesAfter, mailbox.Aging{Mailbox: "INBOX", To: archive})
	}
	received := strings.EqualFold(a.Preference("KeepTimeInTrash"), "YES")
	kept := map[string]bool{"INBOX": true, archive: true, a.SpecialMailbox(imap.MailboxAttrSent): true, a.SpecialMailbox(imap.MailboxAttrDrafts): true}
	for _, e := range []struct {
		why, pref string
		use       imap.MailboxAttr
	}{{"deleted from Trash", "EmptyTrash", imap.MailboxAttrTrash}, {"deleted from Junk", "EmptyJunk", imap.MailboxAttrJunk}} {
		box := a.SpecialMailbox(e.use)
		period, err := settings.ParsePeriod(a.Preference(e.pref))
		if err != nil || kept[box] { // who names INBOX the Trash does not want to lose what is in it
			continue
		}
		add(e.why, period, mailbox.Aging{Mailbox: box, Received: received})
	}
	return list
}

// account does what is due in an account; begin is when this step began.
func (h *Housekeeper) account(ctx context.Context, a *accounts.Account, begin time.Time) error {
	for _, d := range duties(a, begin) {
		if err := h.carryOut(ctx, a, d, begin); err != nil {
			return err
		}
	}
	return h.watchQuota(ctx, a)
}

func (h *Housekeeper) carryOut(ctx context.Context, a *accounts.Account, d duty, begin time.Time) error {
	box, err := a.Mail().Status(ctx, d.Mailbox)
	if fault.Is(err, fault.NoMailbox) {
		return nil
	}
	if err != nil || box.Class != "" && box.Class != "IPF.Note" {
		return err
	}
	total := 0
	for more := true; more && ctx.Err() == nil; {
		var n int
		n, more, err = a.Mail().Age(ctx, d.Aging)
		if fault.Is(err, fault.NoMailbox) && d.To != "" {
			if _, err = a.Mail().CreateMailbox(ctx, d.To, mailbox.CreateOptions{}); err == nil || fault.Is(err, fault.Exists) {
				n, more, err = a.Mail().Age(ctx, d.Aging)
			}
		}
		total += n
		h.counts.Messages.Of(d.why).Add(int64(n))
		if err != nil || n == 0 {
			break
		}
		if more {
			rest(ctx, begin)
			begin = time.Now()
		}
	}
	if total > 0 {
		h.log.LogAttrs(ctx, logs.LevelMajor, "old messages were "+d.why, slog.String(logs.AttrAccount, a.Address()), slog.String("mailbox", d.Mailbox), slog.Int("messages", total))
	}
	return err
}
