package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// owing returns promises of a client with two messages and a mailbox without any.
func owing() promises {
	p := newPromises()
	p.kept = state{
		{aMailbox, "A", ""}:  {uid: 7},
		{aMessage, "A", "1"}: {"() one", 1},
		{aMessage, "A", "2"}: {"() two", 0},
		{aMailbox, "B", ""}:  {uid: 8},
	}
	return p
}

func TestWhatWasPromisedIsLookedFor(t *testing.T) {
	one, two := key{aMessage, "A", "1"}, key{aMessage, "A", "2"}
	for name, test := range map[string]struct {
		have change // on top of what was promised
		want string // in the findings
	}{
		"all there":                  {change{two: {"() two", 2}}, ""},
		"a lost message":             {change{one: nil}, "message A 1: missing"},
		"other bytes":                {change{one: {"() on", 1}}, `message A 1: is "() on" 1 instead of "() one" 1`},
		"another UID":                {change{one: {"() one", 3}}, `message A 1: is "() one" 3`},
		"another UIDVALIDITY":        {change{{aMailbox, "A", ""}: {"", 9}}, `mailbox A: is "" 9`},
		"a message twice":            {change{{aMessage, "A", "1, UID 5"}: {"() one", 5}}, "message A 1, UID 5: there, and should not be"},
		"something that was removed": {change{{aForwarder, "f", ""}: {"x@y", 0}}, "forwarder f: there, and should not be"},
	} {
		p := owing()
		have := owing().kept
		test.have.apply(have)
		got := strings.Join(p.judge(have), "\n")
		if !strings.Contains(got, test.want) || (got == "") != (test.want == "") {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestNumbersThatWereSeenAreOwedFromThenOn(t *testing.T) {
	p := owing()
	have := owing().kept
	have[key{aMessage, "A", "2"}] = item{"() two", 2}
	p.judge(have)
	again := owing().kept
	again[key{aMessage, "A", "2"}] = item{"() two", 4}
	if got := p.judge(again); len(got) != 1 || !strings.Contains(got[0], "instead of") {
		t.Errorf("%q", got)
	}
}

func TestWhatWasNotAnsweredIsThereAsAWholeOrNotAtAll(t *testing.T) {
	moved := change{
		{aMessage, "A", "1"}: nil, {aMessage, "A", "2"}: nil,
		{aMessage, "B", "1"}: {text: "() one"}, {aMessage, "B", "2"}: {text: "() two"},
	}
	asked := func() promises {
		p := owing()
		p.ask("move", moved)
		return p
	}
	p := asked()
	if got := p.judge(owing().kept); len(got) > 0 || p.asked != nil {
		t.Errorf("not done: %q", got)
	}
	p = asked()
	after := owing().kept
	moved.apply(after)
	if got := p.judge(after); len(got) > 0 || len(p.kept) != 4 {
		t.Errorf("done: %q", got)
	}
	p = asked()
	half := owing().kept
	delete(half, key{aMessage, "A", "1"})
	if got := p.judge(half); len(got) != 1 || !strings.Contains(got[0], "message A 1: missing") {
		t.Errorf("half done: %q", got)
	}
	p = asked()
	p.acknowledged()
	if got := p.judge(owing().kept); len(got) == 0 || p.done != 1 {
		t.Errorf("acknowledged and not there: %q", got)
	}
}

func TestWhatIsDoneInStepsMayEndAfterEach(t *testing.T) {
	one, two, other := key{aMessage, "A", "1"}, key{aMessage, "A", "2"}, key{aMailbox, "B", ""}
	for _, test := range []struct {
		gone []key
		fine bool
	}{{nil, true}, {[]key{one}, true}, {[]key{one, two, other}, true}, {[]key{two}, false}, {[]key{one, two}, false}, {[]key{two, other}, false}} {
		p, have := owing(), owing().kept
		p.ask("delete", change{one: nil}, change{two: nil, other: nil})
		for _, k := range test.gone {
			delete(have, k)
		}
		if got := p.judge(have); (len(got) == 0) != test.fine {
			t.Errorf("%v: %q", test.gone, got)
		}
	}
}

func TestRenamingMovesWhatLiesUnderAName(t *testing.T) {
	s := owing().kept
	s.renamed(func(k key) (key, bool) { return key{k.kind, "C", k.id}, k.name == "A" }).apply(s)
	if want := (state{{aMailbox, "C", ""}: {uid: 7}, {aMessage, "C", "1"}: {"() one", 1}, {aMessage, "C", "2"}: {"() two", 0},
		{aMailbox, "B", ""}: {uid: 8}}); len(differences(want, s)) > 0 {
		t.Errorf("%v", s)
	}
}

func TestPasswordsToTryAreThePromisedAndTheAsked(t *testing.T) {
	p, k := owing(), key{aPassword, "a", ""}
	p.kept[k] = item{text: "old"}
	p.ask("set password", change{k: {text: "new"}})
	if got := p.texts(k); !slices.Equal(got, []string{"old", "new"}) {
		t.Errorf("%q", got)
	}
}

func TestQueueIDsDoNotComeBack(t *testing.T) {
	q := &queueIDs{seen: map[string]bool{}}
	if err := errors.Join(q.use("250 7 message accepted"), q.use("250 8 message accepted")); err != nil {
		t.Error(err)
	}
	if err := q.use("250 7 message accepted"); !errors.Is(err, errFindings) {
		t.Errorf("%v", err)
	}
	if err := q.use("452 disk full"); err == nil || errors.Is(err, errFindings) {
		t.Errorf("%v", err)
	}
}

func TestUIDsOfAnswers(t *testing.T) {
	for answer, want := range map[string][]uint32{
		"OK [APPENDUID 12 7] done":            {7},
		"OK [COPYUID 12 1,4 9:10] done":       {9, 10},
		"* OK [COPYUID 12 1:4 3,5:6,9] Moved": {3, 5, 6, 9},
		"OK done":                             nil,
		"OK [APPENDUID 12 x] done":            nil,
	} {
		got, err := uidsOf(answer)
		if !slices.Equal(got, want) || (err == nil) != (want != nil) {
			t.Errorf("%s: %v, %v", answer, got, err)
		}
	}
}

func TestWhatAMessageIs(t *testing.T) {
	text := newMessage("1@gatebench", "a@b.test", "c@d.test", 500)
	trace := append([]byte("Received: x\r\n"), text...)
	sent, delivered := digest(text), digest(trace)
	if sent == delivered || strings.TrimSuffix(sent, "as sent") != strings.TrimSuffix(delivered, "behind trace fields") {
		t.Errorf("%q and %q", sent, delivered)
	}
	if digest(text[:len(text)-1]) == sent {
		t.Error("a byte less is the same")
	}
	if messageID(text) != "1@gatebench" || messageID(trace) != "1@gatebench" || messageID(nil) != "" || messageID(text[:20]) != "" {
		t.Errorf("%q", messageID(text))
	}
	if uidOf("* 1 FETCH (UID 23 FLAGS () BODY[] {5}") != 23 || uidOf("* 1 FETCH (FLAGS ())") != 0 {
		t.Error("the UID of a line")
	}
	flags, rest := split(messageText([]string{`\Seen`, `\Recent`, "word", `\Answered`}, sent))
	if strings.Join(flags, " ") != `\Answered \Seen word` || rest != sent {
		t.Errorf("%q %q", flags, rest)
	}
}

func TestACopyOfTheDiskKeepsItsHoles(t *testing.T) {
	from, to := filepath.Join(t.TempDir(), "from"), filepath.Join(t.TempDir(), "to")
	f, err := os.Create(from)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("first"), 1<<20); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(bytes.Repeat([]byte("x"), 300<<10), 5<<20+17); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Truncate(20<<20), f.Close(), copySparse(from, to)); err != nil {
		t.Fatal(err)
	}
	a, err1 := os.ReadFile(from)
	b, err2 := os.ReadFile(to)
	if err := errors.Join(err1, err2); err != nil || !bytes.Equal(a, b) {
		t.Errorf("%d and %d bytes, %v", len(a), len(b), err)
	}
}
