package lists

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/accounts"
	"gatepost/accounts/lists/archive"
	"gatepost/accounts/mailbox"
	"gatepost/accounts/subscribers"
	"gatepost/queue/envelope"
	"gatepost/server/fault"
	"gatepost/server/logs"
)

// Run sends digests when it is time, cleans subscriptions and keeps archives within their limits, until ctx ends. With
// Processors 0 it does nothing.
func (t *Transport) Run(ctx context.Context) error {
	tick := time.NewTicker(upkeepEvery)
	defer tick.Stop()
	for {
		// What was due while the server did not run does not wait for the first tick.
		if t.manager != nil && t.settings.Get().Processors != 0 {
			err := t.manager.upkeepDue(ctx, time.Now())
			if err != nil && ctx.Err() == nil {
				t.log.LogAttrs(ctx, logs.LevelFailure, "the mailing lists cannot be listed", slog.Any(logs.AttrError, err))
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// each visits all lists that can be read.
func (m *Manager) each(ctx context.Context, visit func(*accounts.MailingList)) error {
	all, err := m.names(ctx)
	if err != nil {
		return err
	}
	for _, k := range all {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if l, err := m.o.Store.Lists().Get(ctx, k.domain, k.name); err == nil {
			visit(l)
		}
	}
	return nil
}

// Upkeep does what is due for a list at a time.
func (m *Manager) Upkeep(ctx context.Context, l *accounts.MailingList, now time.Time) error {
	return errors.Join(m.clean(ctx, l, now), m.digest(ctx, l, now), m.trim(ctx, l, now))
}

// valueCleaned is when the subscriptions were cleaned last, in seconds since 1970.
const valueCleaned = "cleaned"

// clean ends the subscriptions that nobody has confirmed after bounces, and removes old questions.
func (m *Manager) clean(ctx context.Context, l *accounts.MailingList, now time.Time) error {
	set := l.Settings()
	v, err := l.Subscribers().Value(valueCleaned)
	if err != nil {
		return err
	}
	last, _ := strconv.ParseInt(string(v), 10, 64)
	if set.CleanupPeriod < 0 || now.Sub(time.Unix(last, 0)) < set.CleanupPeriod.Duration() {
		return nil
	}
	for {
		gone, err := l.Subscribers().RemoveExpired(ctx, now)
		if err != nil {
			return err
		}
		if len(gone) < subscribers.MaxChange {
			break
		}
	}
	overdue := func(s *subscribers.Subscriber) bool {
		return bool(set.TillConfirmed) && s.Paused(now) && !s.Warned.IsZero() && now.Sub(s.Warned) >= set.UnsubBouncedPeriod.Duration() &&
			s.Mode != subscribers.Banned
	}
	for after := ""; ; {
		p, err := l.Subscribers().Page(ctx, after, 500, overdue)
		if err != nil {
			return err
		}
		for i := range p.Subscribers {
			ended := false
			err := l.Subscribers().Change(ctx, p.Subscribers[i].Address, func(s *subscribers.Subscriber) error {
				if ended = overdue(s); ended { // else he has answered meanwhile
					s.Mode = subscribers.None
				}
				return nil
			})
			if err == nil && ended {
				err = m.ended(ctx, l, p.Subscribers[i].Address)
			}
			if err != nil {
				return err
			}
		}
		if !p.More {
			break
		}
		after = p.Subscribers[len(p.Subscribers)-1].Address
	}
	return l.Subscribers().SetValue(ctx, valueCleaned, strconv.AppendInt(nil, now.Unix(), 10))
}

// valueDigest is what a list remembers of its digests.
const valueDigest = "digest"

// digests is what a list remembers of its digests.
type digests struct {
	validity uint32   // of the archive
	upTo     imap.UID // the last posting that was in one
	at       time.Time
	number   int
	// held are messages that the queue holds until this is written. A crash behind it has them published at the start.
	held []envelope.QueueID
}

func (d *digests) encode() []byte {
	text := fmt.Sprintf("%d %d %d %d", d.validity, d.upTo, d.at.Unix(), d.number)
	for _, id := range d.held {
		text += " " + id.String()
	}
	return []byte(text)
}

func decodeDigests(v []byte) (d digests, err error) {
	words := strings.Fields(string(v))
	if len(words) < 4 {
		return d, fault.New("lists.Digest", fault.Corrupt, "what the list remembers of its digests is damaged")
	}
	n := make([]uint64, len(words))
	for i, w := range words {
		if n[i], err = strconv.ParseUint(w, 10, 64); err != nil {
			return d, fault.New("lists.Digest", fault.Corrupt, "what the list remembers of its digests is damaged")
		}
	}
	d = digests{validity: uint32(n[0]), upTo: imap.UID(n[1]), at: time.Unix(int64(n[2]), 0), number: int(n[3])}
	for _, id := range n[4:] {
		d.held = append(d.held, envelope.QueueID(id))
	}
	return d, nil
}

// Settle publishes the digests that a crash has left behind the step that remembers them. It is called when the queue is
// open and does not run, before others let go of what is held.
func (m *Manager) Settle(ctx context.Context) error {
	held := m.o.Queue.Held()
	if len(held) == 0 {
		return nil
	}
	var failure error
	err := m.each(ctx, func(l *accounts.MailingList) {
		v, err := l.Subscribers().Value(valueDigest)
		if err != nil || v == nil {
			failure = errors.Join(failure, err)
			return
		}
		d, err := decodeDigests(v)
		if err != nil {
			m.failure(ctx, l, "digests are not settled", err)
			return
		}
		for _, id := range d.held {
			if slices.Contains(held, id) {
				failure = errors.Join(failure, m.o.Queue.Publish(id))
			}
		}
	})
	return errors.Join(err, failure)
}

// archive opens the archive of a list. There is none if box is nil.
func (m *Manager) archive(ctx context.Context, l *accounts.MailingList, readOnly bool) (*mailbox.Mailbox, error) {
	if err := m.o.Store.Lists().FinishRename(ctx, l); err != nil {
		return nil, err
	}
	owner, err := m.o.Store.Account(ctx, l.Domain, l.Settings().Owner)
	if err != nil {
		return nil, noOwner(err)
	}
	box, err := owner.Mail().Open(ctx, l.Name, readOnly)
	if fault.Is(err, fault.NoMailbox) {
		return nil, nil
	}
	return box, err
}

// nextDigest is when a digest is due after one. Times of the day are those of the server.
func nextDigest(set *accounts.ListSettings, last time.Time) time.Time {
	period := set.DigestPeriod.Duration()
	if set.DigestPeriod < 0 {
		return subscribers.Forever
	}
	y, month, day := last.Date()
	at := time.Date(y, month, day, 0, 0, 0, 0, last.Location()).Add(set.DigestTimeOfDay.Duration())
	if at.After(last) {
		at = at.Add(-at.Sub(last) / period * period)
		if !at.After(last) {
			at = at.Add(period)
		}
		return at
	}
	return at.Add((last.Sub(at)/period + 1) * period)
}

// digest sends the digests that are due.
func (m *Manager) digest(ctx context.Context, l *accounts.MailingList, now time.Time) error {
	set := l.Settings()
	v, err := l.Subscribers().Value(valueDigest)
	if err != nil {
		return err
	}
	var d digests
	if v != nil {
		if d, err = decodeDigests(v); err != nil {
			return err
		}
	}
	counts, err := l.Subscribers().Counts()
	if err != nil || !bool(set.Store) {
		return err
	}
	box, err := m.archive(ctx, l, true)
	if err != nil || box == nil {
		return err
	}
	defer box.Close()
	uids, validity := box.UIDs(), box.Info().UIDValidity
	nobody := counts[subscribers.Digest]+counts[subscribers.Index] == 0
	if v == nil || d.validity != validity || nobody {
		// Digests begin with a new archive; where nobody gets any, with what is posted from now on.
		start := digests{validity: validity, number: d.number, at: now}
		if nobody && len(uids) > 0 {
			start.upTo = uids[len(uids)-1]
		}
		if v == nil || d.validity != validity || d.upTo != start.upTo {
			if err := l.Subscribers().SetValue(ctx, valueDigest, start.encode()); err != nil {
				return err
			}
		}
		if nobody {
			at, _ := slices.BinarySearch(uids, d.upTo+1)
			if d.validity != validity {
				at = len(uids)
			}
			return m.removeUnarchived(ctx, l, uids[at:])
		}
		d = start
	}
	at, _ := slices.BinarySearch(uids, d.upTo+1)
	fresh := uids[at:]
	due := !now.Before(nextDigest(set, d.at))
	for len(fresh) > 0 {
		n, full := chunk(box, set, fresh)
		if !due && !full {
			return nil
		}
		if err := m.sendDigest(ctx, l, box, fresh[:n], &d, now); err != nil {
			return err
		}
		fresh = fresh[n:]
	}
	return nil
}

// chunk is how many postings one digest has; full says that it reaches a limit.
func chunk(box *mailbox.Mailbox, set *accounts.ListSettings, uids []imap.UID) (n int, full bool) {
	var size int64
	for i, uid := range uids {
		if i == set.DigestMessageLimit {
			return i, true
		}
		msg, _ := box.Message(uid)
		size += msg.Size
		if set.DigestSizeLimit.Exceeds(size) {
			return max(i, 1), true
		}
	}
	return len(uids), len(uids) == set.DigestMessageLimit
}

// sendDigest sends a digest and an index of postings. They are held until the list remembers that they were sent.
func (m *Manager) sendDigest(ctx context.Context, l *accounts.MailingList, box *mailbox.Mailbox, uids []imap.UID, d *digests, now time.Time) error {
	next := digests{validity: d.validity, upTo: uids[len(uids)-1], at: now, number: d.number + 1}
	drop := func() {
		for _, id := range next.held {
			if err := m.o.Queue.Drop(id); err != nil {
				m.failure(ctx, l, "a digest that is not sent is not removed", err)
			}
		}
	}
	for _, mode := range []subscribers.Mode{subscribers.Digest, subscribers.Index} {
		id, err := m.holdDigest(ctx, l, box, uids, mode, next.number)
		if err != nil {
			drop()
			return err
		}
		if id != 0 {
			next.held = append(next.held, id)
		}
	}
	if err := l.Subscribers().SetValue(ctx, valueDigest, next.encode()); err != nil {
		drop()
		return err
	}
	*d = next
	for _, id := range next.held {
		if err := m.o.Queue.Publish(id); err != nil {
			return err // it is published at the next start
		}
	}
	if err := m.removeUnarchived(ctx, l, uids); err != nil {
		m.failure(ctx, l, "postings whose authors do not want them archived are still in the archive", err)
	}
	m.log.LogAttrs(ctx, logs.LevelMajor, "a digest is sent", slog.String("list", l.Address().String()), slog.Int("postings", len(uids)), slog.Int("number", next.number))
	return nil
}

// removeUnarchived removes those of the postings whose authors do not want them in archives.
func (m *Manager) removeUnarchived(ctx context.Context, l *accounts.MailingList, uids []imap.UID) error {
	if len(uids) == 0 {
		return nil
	}
	box, err := m.archive(ctx, l, false)
	if err != nil || box == nil {
		return err
	}
	defer box.Close()
	r := box.Reader()
	defer r.Close()
	var gone []imap.UID
	for _, uid := range uids {
		c, err := r.Content(ctx, uid)
		if fault.Is(err, fault.NoMessage) {
			continue
		}
		if err != nil {
			return err
		}
		for _, id := range parseHeader(c.Headers, true).values("message-id") {
			if archive.Unarchived(string(id)) {
				gone = append(gone, uid)
			}
		}
	}
	if len(gone) == 0 {
		return nil
	}
	return removeFrom(ctx, box, gone...)
}

// trim removes the oldest postings of an archive that is over its limits, and begins a new archive when it is time. Postings that were in no
// digest yet stay where they are.
func (m *Manager) trim(ctx context.Context, l *accounts.MailingList, now time.Time) error {
	set := l.Settings()
	if set.ArchiveMessageLimit < 0 && set.ArchiveSizeLimit < 0 && set.ArchiveSwapPeriod < 0 {
		return nil
	}
	v, err := l.Subscribers().Value(valueDigest)
	if err != nil || v == nil {
		return err
	}
	d, err := decodeDigests(v)
	if err != nil {
		return err
	}
	box, err := m.archive(ctx, l, false)
	if err != nil || box == nil {
		return err
	}
	defer box.Close()
	uids := box.UIDs()
	old, _ := slices.BinarySearch(uids, d.upTo+1) // those that may go
	if old == 0 {
		return nil
	}
	if first, ok := box.Message(uids[0]); ok && set.ArchiveSwapPeriod > 0 && !first.InternalDate.AddDate(0, set.ArchiveSwapPeriod, 0).After(now) {
		return m.swap(ctx, l, box, uids[:old], now)
	}
	var size int64
	keep := len(uids) // the first that stays
	for i := len(uids) - 1; i >= 0; i-- {
		msg, _ := box.Message(uids[i])
		size += msg.Size
		if set.ArchiveMessageLimit >= 0 && len(uids)-i > set.ArchiveMessageLimit || set.ArchiveSizeLimit.Exceeds(size) {
			break
		}
		keep = i
	}
	if gone := uids[:min(keep, old)]; len(gone) > 0 {
		return removeFrom(ctx, box, gone...)
	}
	return nil
}

// swap moves postings into a mailbox below the archive, which has the day in its name.
func (m *Manager) swap(ctx context.Context, l *accounts.MailingList, box *mailbox.Mailbox, uids []imap.UID, now time.Time) error {
	owner, err := m.o.Store.Account(ctx, l.Domain, l.Settings().Owner)
	if err != nil {
		return noOwner(err)
	}
	name := l.Name + "/" + now.Format(time.DateOnly)
	if _, err := owner.Mail().CreateMailbox(ctx, name, mailbox.CreateOptions{}); err != nil && !fault.Is(err, fault.Exists) {
		return err
	}
	_, err = box.Move(ctx, uids, name)
	return err
}
