package mailbox

import imap "github.com/emersion/go-imap/v2"

// Filing is what a client has done with messages that can say whether they were wanted: it has put them into another mailbox of the
// account, or has given them flags.
type Filing struct {
	// From and To are names of mailboxes; of flags both are where the messages are.
	From, To string
	UIDs     []imap.UID // in To
	// Flags are system flags and keywords that were set, by name; none for messages that were moved or copied.
	Flags []imap.Flag
}

// filed tells the owner of what a client has done, after it is committed. No lock is held.
func (a *Account) filed(f Filing) {
	if tell := a.owner.Load().Filed; tell != nil && len(f.UIDs) > 0 {
		tell(f)
	}
}

// each lists the UIDs of a set.
func each(set imap.UIDSet) []imap.UID {
	uids, _ := set.Nums() // sets of our own have no *
	return uids
}
