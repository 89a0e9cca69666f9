package fulltext

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/accounts/mailbox"
)

// victimVariable has the base directory for the test binary that is to be killed.
const victimVariable = "GATEPOST_TEST_VICTIM"

// TestAKilledServerLeavesAnIndexThatTellsTheTruth kills a process that stores, copies, expunges and indexes messages, at any moment, and looks
// afterwards at what the index says of each message.
func TestAKilledServerLeavesAnIndexThatTellsTheTruth(t *testing.T) {
	if base := os.Getenv(victimVariable); base != "" {
		victim(t, base)
		return
	}
	rounds := 6
	if testing.Short() {
		rounds = 2
	}
	w := newWorld(t)
	a := w.account(1)
	w.append(a, "needle 0")
	known := 0
	for round := range rounds {
		w.close()
		w.runVictim(time.Duration(20+rand.IntN(400)) * time.Millisecond)
		w.ids = uint64(round+1) * 1_000_000
		w.open()
		a = w.account(1)
		known += w.compare(a)
	}
	w.append(a, "one more")
	w.work()
	if n := w.compare(a); n == 0 || known == 0 {
		t.Errorf("the index knows nothing: %d then, %d now", known, n)
	}
}

// runVictim runs a process on the base directory, and kills it after a time that counts from its first message.
func (w *world) runVictim(after time.Duration) {
	w.t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run", "^"+w.t.Name()+"$")
	cmd.Env = append(os.Environ(), victimVariable+"="+w.base, fmt.Sprintf("GATEPOST_TEST_FIRST=%d", w.ids+1000))
	out, err := cmd.StdoutPipe()
	w.must(err)
	w.must(cmd.Start())
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "ready\n" {
		w.t.Errorf("the victim says %q: %v", line, err)
	}
	time.Sleep(after)
	w.must(cmd.Process.Kill())
	_ = cmd.Wait() // it was killed
}

// victim works until it is killed.
func victim(t *testing.T, base string) {
	w := newWorld(t)
	w.close()
	w.base = base
	if _, err := fmt.Sscan(os.Getenv("GATEPOST_TEST_FIRST"), &w.ids); err != nil {
		t.Fatal(err)
	}
	w.open()
	a := w.account(1)
	go func() {
		for {
			_ = w.index.Work(context.Background())
		}
	}()
	fmt.Println("ready")
	for i := 0; ; i++ {
		w.append(a, fmt.Sprintf("%s number%d", []string{"needle", "straw", "hay needles"}[i%3], i))
		if i%5 != 4 {
			continue
		}
		m, err := a.Open(t.Context(), "INBOX", false)
		w.must(err)
		uids := m.UIDs()
		_, err = m.Copy(t.Context(), uids[len(uids)/2:len(uids)/2+1], "INBOX")
		w.must(err)
		if len(uids) > 40 {
			_, err = m.SetFlags(t.Context(), uids[:3], mailbox.Add, []imap.Flag{imap.FlagDeleted}, mailbox.NoCondition)
			w.must(err)
			_, err = m.Expunge(t.Context(), nil)
			w.must(err)
		}
		m.Close()
	}
}

// compare reads all messages and compares them with what the index says. It returns how many the index knows.
func (w *world) compare(a *mailbox.Account) (known int) {
	w.t.Helper()
	if err := w.index.Check(w.t.Context(), func(line string) { w.t.Error(line) }); err != nil {
		w.t.Error(err)
	}
	m, err := a.Open(w.t.Context(), "INBOX", true)
	w.must(err)
	defer m.Close()
	answers := w.answers(a, "needle")
	for i, uid := range m.UIDs() {
		b, err := m.OpenBody(uid)
		w.must(err)
		text := make([]byte, b.Size())
		_, err = b.ReadAt(text, 0)
		w.must(err)
		w.must(b.Close())
		switch has := strings.Contains(string(text), "needle"); {
		case answers[i] == '?':
		case (answers[i] == 'y') != has:
			w.t.Errorf("%q: the index says %c", text, answers[i])
		default:
			known++
		}
	}
	return known
}
