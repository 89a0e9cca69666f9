package mailbox

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/server/fault"
)

// client is what a mail program knows of a mailbox from the updates that its
// session has sent: the UIDs in order, and the flags that it was told.
type client struct {
	m     *Mailbox
	uids  []imap.UID
	flags map[imap.UID]string
}

func (w *world) client(a *Account, box string, readOnly bool) *client {
	w.t.Helper()
	m, err := a.Open(bg, box, readOnly)
	if err != nil {
		w.t.Fatal(err)
	}
	c := &client{m: m, flags: make(map[imap.UID]string)}
	c.learn(0)
	return c
}

// learn fetches what has come after the first n messages.
func (c *client) learn(n int) {
	for seq := n + 1; seq <= c.m.Len(); seq++ {
		c.uids = append(c.uids, c.m.UID(seq))
		c.fetch(seq)
	}
}

func (c *client) fetch(seq int) {
	st, ok := c.m.StateAt(seq)
	if !ok {
		return
	}
	st.Recent = false // not announced when it changes
	c.flags[c.m.UID(seq)] = string(c.m.AppendFlags(nil, st))
}

// sync does what a client does with the untagged answers of a command.
func (c *client) sync(t testing.TB, allowExpunge bool) Update {
	u := c.m.Sync(allowExpunge)
	for i, seq := range u.Expunged {
		if seq < 1 || seq > len(c.uids) || c.uids[seq-1] != u.ExpungedUIDs[i] {
			t.Errorf("EXPUNGE %d is not message %d in %v", seq, u.ExpungedUIDs[i], c.uids)
			return u
		}
		delete(c.flags, c.uids[seq-1])
		c.uids = slices.Delete(c.uids, seq-1, seq)
	}
	if u.Exists >= 0 {
		if u.Exists < len(c.uids) {
			t.Errorf("EXISTS fell from %d to %d", len(c.uids), u.Exists)
		}
		c.learn(len(c.uids))
	}
	for _, seq := range u.Flags {
		c.fetch(seq)
	}
	if !slices.Equal(c.uids, c.m.UIDs()) {
		t.Errorf("the client has %v, the view %v", c.uids, c.m.UIDs())
	}
	return u
}

// fresh compares the client with a view that is opened now.
func (c *client) fresh(t testing.TB, w *world, a *Account, box string) {
	t.Helper()
	n := w.client(a, box, true)
	defer n.m.Close()
	if fmt.Sprint(n.uids) != fmt.Sprint(c.uids) || fmt.Sprint(n.flags) != fmt.Sprint(c.flags) {
		t.Errorf("the client knows %v %v,\n the mailbox has %v %v", c.uids, c.flags, n.uids, n.flags)
	}
}

func some(r *rand.Rand, uids []imap.UID) (picked []imap.UID) {
	for _, uid := range uids {
		if r.IntN(3) == 0 {
			picked = append(picked, uid)
		}
	}
	return picked
}

var manyFlags = []imap.Flag{imap.FlagSeen, imap.FlagDeleted, imap.FlagFlagged, "$Label1", "work", "$Junk", imap.FlagAnswered}

// store changes flags and reads the untagged answers. The keywords may be used up.
func (c *client) store(t testing.TB, uids []imap.UID, op Op, flags []imap.Flag) error {
	_, err := c.m.SetFlags(bg, uids, op, flags, NoCondition)
	c.sync(t, false)
	for _, uid := range uids {
		if seq, ok := c.m.Seq(uid); ok {
			c.fetch(seq)
		}
	}
	if fault.Is(err, fault.TooMany) {
		return nil
	}
	return err
}

// act lets a client do something at random and learn of it.
func (c *client) act(w *world, r *rand.Rand, a *Account, n int) error {
	t := w.t
	var err error
	switch r.IntN(10) {
	case 0, 1:
		w.deliver(a, w.queued(n), w.queued(n+1))
	case 2:
		w.append(a, "INBOX", n, manyFlags[r.IntN(len(manyFlags))])
	case 3, 4, 5:
		err = c.store(t, some(r, c.uids), Op(r.IntN(3)), manyFlags[r.IntN(4):r.IntN(3)+4])
	case 6:
		_, err = c.m.Expunge(bg, nil)
	case 7:
		_, err = c.m.Copy(bg, some(r, some(r, c.uids)), "Trash")
	case 9: // more keywords than there can be
		var words []imap.Flag
		for range 20 {
			words = append(words, imap.Flag(fmt.Sprint("k", r.IntN(100))))
		}
		err = c.store(t, some(r, c.uids), Op(r.IntN(2)), words)
	case 8:
		_, err = c.m.Move(bg, some(r, some(r, c.uids)), []string{"Trash", "INBOX"}[r.IntN(2)])
	}
	c.sync(t, r.IntN(2) == 0)
	return err
}

func TestClientsThatFollowTheUpdatesKnowTheMailbox(t *testing.T) {
	for seed := range uint64(30) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w := newWorld(t)
			a := w.account(1)
			r := rand.New(rand.NewPCG(seed, 1))
			clients := []*client{w.client(a, "INBOX", false), w.client(a, "INBOX", false)}
			for n := range 60 {
				c := clients[r.IntN(len(clients))]
				if err := c.act(w, r, a, n); err != nil {
					t.Fatalf("step %d: %v", n, err)
				}
				switch r.IntN(12) {
				case 0:
					clients = append(clients, w.client(a, "INBOX", false))
				case 1:
					if len(clients) > 1 {
						clients[0].m.Close()
						clients = clients[1:]
					}
				}
				if n%10 == 0 {
					w.check()
				}
			}
			for _, c := range clients {
				c.sync(t, true)
			}
			for _, c := range clients {
				c.fresh(t, w, a, "INBOX")
				for _, uid := range c.uids {
					read(t, c.m, uid)
				}
				c.m.Close()
			}
			w.settle()
			w.reopen()
			for _, c := range clients {
				c.fresh(t, w, w.account(1), "INBOX")
			}
		})
	}
}

func TestConcurrentSessionsStayConsistent(t *testing.T) {
	w := newWorld(t)
	a, other := w.account(1), w.account(2)
	var wg sync.WaitGroup
	for i := range uint64(6) {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(i, 2))
			c := w.client(a, "INBOX", false)
			for n := range 60 {
				if err := c.act(w, r, a, n); err != nil {
					t.Errorf("step %d: %v", n, err)
				}
				if n%20 == 19 {
					c.m.Close()
					c = w.client(a, "INBOX", false)
				}
				if len(c.uids) > 0 {
					uid := c.uids[r.IntN(len(c.uids))]
					read(t, c.m, uid)
					content(t, c.m, uid)
				}
			}
			c.m.Close()
		})
	}
	wg.Go(func() { // across accounts, and the check beside all that
		for range 20 {
			w.check()
			c := w.client(a, "INBOX", true)
			if _, err := c.m.CopyTo(bg, c.uids, other, "INBOX"); err != nil {
				t.Errorf("copy to another account: %v", err)
			}
			c.m.Close()
			if err := w.store.SyncLinks(bg); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Wait()
}
