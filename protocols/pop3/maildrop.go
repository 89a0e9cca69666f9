package pop3

import (
	"context"
	"strconv"

	"github.com/emersion/go-imap/v2"

	"gatepost/accounts/mailbox"
	"gatepost/server/fault"
)

// A maildrop is the snapshot of a mailbox that a session works on (RFC 1939
// section 4). Messages are numbered from 1 by their UIDs.
type maildrop struct {
	name     string
	validity uint32
	view     *mailbox.Mailbox // read-only, never synchronized
	uids     []imap.UID
	deleted  map[int]bool // by DELE
	left     int          // messages without those
	octets   int64        // … and their size
	last     int          // highest number that was accessed, for LAST
	seen     map[int]bool // retrieved by RETR, to the last byte

	// Counters for the log.
	expunged int
	sent     int64
}

func newMaildrop(name string, view *mailbox.Mailbox) *maildrop {
	d := &maildrop{
		name: name, validity: view.Info().UIDValidity, view: view, uids: view.UIDs(), deleted: map[int]bool{}, seen: map[int]bool{},
	}
	d.reset()
	return d
}

func (d *maildrop) close() { d.view.Close() }

// reset unmarks all messages.
func (d *maildrop) reset() {
	clear(d.deleted)
	d.left, d.octets, d.last = len(d.uids), 0, 0
	for n := range d.uids {
		d.octets += d.size(n + 1)
	}
}

func (d *maildrop) size(n int) int64 {
	m, ok := d.view.Message(d.uids[n-1])
	if !ok {
		return 0
	}
	return m.Size
}

// number parses a message number. Messages that are marked as deleted have none (RFC 1939
// section 5).
func (d *maildrop) number(arg string) (int, error) {
	n, err := strconv.Atoi(arg)
	switch {
	case err != nil || arg[0] == '+' || arg[0] == '-':
		return 0, fault.New("pop3", fault.Invalid, "a message number is expected")
	case n < 1 || n > len(d.uids):
		return 0, fault.Newf("pop3", fault.NoMessage, "no such message, only %d in the mailbox", len(d.uids))
	case d.deleted[n]:
		return 0, fault.Newf("pop3", fault.NoMessage, "message %d is deleted", n)
	}
	return n, nil
}

func (d *maildrop) mark(n int) {
	d.deleted[n] = true
	d.left--
	d.octets -= d.size(n)
	d.last = max(d.last, n)
}

// of returns the UIDs of the messages in a set of numbers.
func (d *maildrop) of(numbers map[int]bool) []imap.UID {
	var uids []imap.UID
	for n := range d.uids {
		if numbers[n+1] {
			uids = append(uids, d.uids[n])
		}
	}
	return uids
}

// appendUID appends the unique-id of a message.
func (d *maildrop) appendUID(b []byte, n int) []byte {
	b = strconv.AppendUint(b, uint64(d.validity), 10)
	b = append(b, '.')
	return strconv.AppendUint(b, uint64(d.uids[n-1]), 10)
}

// expungeAll sets \Deleted of messages and expunges them. Messages that another session has expunged
// are ignored. It returns how many it has expunged.
func expungeAll(ctx context.Context, box *mailbox.Mailbox, uids []imap.UID) (int, error) {
	if _, err := box.SetFlags(ctx, uids, mailbox.Add, []imap.Flag{imap.FlagDeleted}, mailbox.NoCondition); err != nil {
		return 0, err
	}
	var set imap.UIDSet
	set.AddNum(uids...)
	gone, err := box.Expunge(ctx, &set)
	return len(gone), err
}

func setSeen(ctx context.Context, box *mailbox.Mailbox, uids []imap.UID) error {
	_, err := box.SetFlags(ctx, uids, mailbox.Add, []imap.Flag{imap.FlagSeen}, mailbox.NoCondition)
	return err
}
