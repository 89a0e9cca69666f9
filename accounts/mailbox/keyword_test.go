package mailbox

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/server/fault"
)

// allKeywords gives message 1 of INBOX as many keywords as there can be: k0, k1 and so on.
func (w *world) allKeywords(a *Account) *Mailbox {
	w.t.Helper()
	w.append(a, "INBOX", 1)
	m := w.view(a, "INBOX")
	for i := range maxKeywords {
		set(w.t, m, Add, imap.Flag(fmt.Sprint("k", i)), 1)
	}
	m.Sync(false)
	if st, _ := m.State(1); st.Keywords != ^uint64(0) {
		w.t.Errorf("keywords %x", st.Keywords)
	}
	return m
}

func TestWhereKeywordsAreUsedUpTheRestIsStored(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	m := w.allKeywords(a)
	if _, permanent := m.Flags(); len(permanent) != 5+maxKeywords {
		t.Errorf("PERMANENTFLAGS %v", permanent)
	}
	for _, c := range []struct {
		op    Op
		flags []imap.Flag
	}{{Add, []imap.Flag{"new"}}, {Set, []imap.Flag{"new", "other"}}} {
		_, err := m.SetFlags(bg, []imap.UID{1}, c.op, c.flags, NoCondition)
		wantKind(t, err, fault.TooMany)
	}
	d := w.queued(2)
	d.Flags = []imap.Flag{"another", imap.FlagFlagged}
	w.deliver(a, d)
	w.append(a, "INBOX", 3, imap.FlagSeen, "$Forwarded", "K7")
	w.append(a, "INBOX", 4)
	m.Sync(false)
	for _, flags := range [][]imap.Flag{{imap.FlagSeen, "new"}, {"new", "k8"}} {
		if _, err := m.SetFlags(bg, []imap.UID{4}, Add, flags, NoCondition); err != nil {
			t.Errorf("%v: %v", flags, err)
		}
	}
	set(t, m, Remove, "unknown", 4)
	set(t, m, Set, "k9", 1) // and frees the others
	wantView(t, m, "1:Recent,k9 2:Flagged,Recent 3:Seen,Recent,k7 4:Seen,Recent,k8")
	for _, bad := range []imap.Flag{"", "two words", `\Unknown`, "a(b", "caf\u00e9", imap.Flag(strings.Repeat("k", 300))} {
		_, err := m.SetFlags(bg, []imap.UID{1}, Add, []imap.Flag{bad}, NoCondition)
		wantKind(t, err, fault.Invalid)
	}
}

func TestBitsOfKeywordsThatNoMessageHasAreUsedAgain(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	m := w.allKeywords(a)
	other := w.view(a, "INBOX")
	w.append(a, "INBOX", 2)
	set(t, m, Remove, "k3", 1)
	set(t, m, Remove, "k5", 1)
	m.Sync(false)
	other.Sync(false)
	if _, permanent := m.Flags(); !slices.Contains(permanent, imap.FlagWildcard) {
		t.Errorf("PERMANENTFLAGS %v", permanent)
	}
	// k5 is asked for itself, so that only k3 gives way.
	if _, err := m.SetFlags(bg, []imap.UID{2}, Add, []imap.Flag{"$Junk", "k5", "one-more"}, NoCondition); err != nil {
		t.Fatal(err)
	}
	// Nobody is told a name that is not right.
	wantView(t, other, "1:"+keywordsBut(t, "", 3, 5)+" 2:k5")
	wantUpdate(t, other, false, "flags [2], keywords")
	wantView(t, other, "1:"+keywordsBut(t, "", 3, 5)+" 2:$Junk,k5")
	wantUpdate(t, m, false, "keywords")
	all, permanent := m.Flags()
	if slices.Contains(all, "k3") || !slices.Contains(all, "$Junk") || slices.Contains(permanent, imap.FlagWildcard) {
		t.Errorf("FLAGS %v, PERMANENTFLAGS %v", all, permanent)
	}
	w.reopen()
	wantView(t, w.view(w.account(1), "INBOX"), "1:"+keywordsBut(t, "", 3, 5)+" 2:$Junk,k5")
}

// keywordsBut lists what allKeywords gives, with flags before and without some.
func keywordsBut(t *testing.T, flags string, but ...int) string {
	t.Helper()
	var all []string
	if flags != "" {
		all = append(all, flags)
	}
	for i := range maxKeywords {
		if !slices.Contains(but, i) {
			all = append(all, fmt.Sprint("k", i))
		}
	}
	return strings.Join(all, ",")
}

func TestAMessageThatIsGoneKeepsNoBitThatIsUsedAgain(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	m := w.allKeywords(a)
	w.append(a, "INBOX", 2)
	m.Sync(false)
	expunge(t, w.view(a, "INBOX"), 1)
	// All keywords are free, and message 1 is still shown with them.
	set(t, m, Add, "$Work", 2)
	m.Sync(false)
	wantView(t, m, "1:"+keywordsBut(t, "Deleted,Recent", 0)+" 2:Recent,$Work")
	if _, err := m.SetFlags(bg, []imap.UID{1, 2}, Add, []imap.Flag{"$Home"}, NoCondition); err != nil {
		t.Fatal(err)
	}
	m.Sync(false)
	wantView(t, m, "1:"+keywordsBut(t, "Deleted,Recent,$Home", 0, 1)+" 2:Recent,$Work,$Home")
}

// A batch of one commit asks for keywords one after the other.
func TestOneCommitGivesEachKeywordItsBit(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	m := w.allKeywords(a)
	set(t, m, Set, imap.FlagSeen, 1)
	var ds []Delivery
	for i, flags := range []string{"a", "k1", "b", "k2 a", "c k0"} {
		d := w.queued(i)
		for _, f := range strings.Fields(flags) {
			d.Flags = append(d.Flags, imap.Flag(f))
		}
		ds = append(ds, d)
	}
	w.deliver(a, ds...)
	m.Sync(false)
	// a has taken the bit of k0, b that of k2 before somebody asked for it.
	wantView(t, m, "1:Seen,Recent 2:Recent,a 3:Recent,k1 4:Recent,b 5:Recent,a,k2 6:Recent,c,k0")
}
