// Package transporttest is the suite that every queue.Transport passes.
//
// It sends some mail through a queue whose disk stops at a step, as that of a machine
// does which is killed, opens queue and transport again, and looks what the far end has:
// the account, the host, the program. Nothing that was accepted is lost. What a
// queue.Repeatable has delivered is there once; another transport is not asked again
// about what it had reported before the crash, unless its policy says MayRepeat and the
// disk has lost what was not synced; one that acts once never acts twice. The sender hears of results in any case.
//
// pipe_test.go has the smallest transport that passes, and its Subject.
package transporttest

import (
	"context"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatepost/queue"
	"gatepost/queue/internal/disk/disktest"
	"gatepost/router"
	"gatepost/router/address"
)

// Subject is a transport and its far end, which outlives the transport.
type Subject struct {
	Module router.Module
	// Open makes the transport over what an earlier one has left; close ends it.
	Open func(q *queue.Queue, c *queue.Counter) (t queue.Transport, close func())
	// Route says where a recipient leads.
	Route func(a address.Address) router.Route
	// Good are two recipients whom the far end takes mail for, in one logical queue; Bad
	// is one that it refuses for good, Later one that it puts off until Relent is called.
	Good       [2]string
	Bad, Later string
	Relent     func()
	// Met is how often the far end has taken or refused a message for a recipient. The
	// message is told by its Subject field, or by its return-path joe+SUBJECT@sender.test.
	// Bad need not be counted by a Repeatable.
	Met func(rcpt, subject string) int
	// Once says that the transport hands a message over once for each recipient, whatever crash comes
	// (queue.Item.Begin). Then it may not be handed over at all, and the sender is told.
	Once bool
	// SendsOn says that the far end has the mail by way of the queue, when the transport has reported: what
	// Open has handled there counts each queue ID once. It is there once, as that of a Repeatable.
	SendsOn bool
	// OwnDisk says that the far end keeps what it has on a disk of its own. Only the
	// kill of the process is tried then, as what is not synced there is not lost.
	OwnDisk bool
	// Every has one of so many steps tried as a crash point, where all take too long; 0: all. The first is chosen at random:
	// GATEPOST_SEED repeats a run, and GATEPOST_SEED=all tries all.
	Every int
}

// Run runs the suite. newSubject is called in a bubble of testing/synctest, for each
// test with a new directory.
func Run(t *testing.T, newSubject func(t *testing.T, dir string) *Subject) {
	t.Run("results", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { testResults(t, newSubject(t, t.TempDir())) })
	})
	t.Run("stop", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { testStop(t, newSubject(t, t.TempDir())) })
	})
	var last Subject
	steps := 0
	crash := func(t *testing.T, stopAt int, lost disktest.Loss) {
		synctest.Test(t, func(t *testing.T) {
			s := newSubject(t, t.TempDir())
			steps, last = testCrash(t, s, stopAt, lost), *s
		})
	}
	t.Run("no crash", func(t *testing.T) { crash(t, 0, disktest.Nothing) })
	ownDisk, all := last.OwnDisk, steps
	first := func() int { return 1 }
	every := max(last.Every, 1)
	if every > 1 {
		first = chooser(t, &every)
	}
	for _, lost := range disktest.Losses {
		if ownDisk && lost != disktest.Nothing {
			return
		}
		for n := first(); n <= all && !t.Failed(); n += every {
			t.Run("crash at step "+strconv.Itoa(n)+", lost "+strconv.Itoa(int(lost)), func(t *testing.T) { crash(t, n, lost) })
		}
	}
}

// chooser returns what chooses the first crash point, for each loss another one, and tells the seed.
func chooser(t *testing.T, every *int) func() int {
	text := os.Getenv("GATEPOST_SEED")
	if text == "all" {
		*every = 1
		return func() int { return 1 }
	}
	seed, err := strconv.ParseUint(text, 10, 64)
	if text == "" {
		seed = rand.Uint64()
	} else if err != nil {
		t.Fatalf("GATEPOST_SEED: %v", err)
	}
	t.Logf("one of %d crash points is tried: GATEPOST_SEED=%d repeats this", *every, seed)
	r, n := rand.New(rand.NewPCG(seed, 1)), *every
	return func() int { return 1 + r.IntN(n) }
}

// testResults looks at the form of what the transport reports.
func testResults(t *testing.T, s *Subject) {
	b := newBench(t, s)
	b.open(0)
	defer b.close()
	b.send("good", s.Good[0], s.Good[1])
	b.send("bad", s.Bad)
	b.send("later", s.Later)
	time.Sleep(time.Second)
	synctest.Wait()
	for _, c := range []struct {
		rcpt, subject string
		verbs, class  string
		met           int
	}{
		{s.Good[0], "good", "delivered relayed expanded", "2", 1},
		{s.Good[1], "good", "delivered relayed expanded", "2", 1},
		{s.Bad, "bad", "failed", "5", -1},
		{s.Later, "later", "delayed", "4", -1},
	} {
		got := b.log.of(c.rcpt)
		if len(got) != 1 || !strings.Contains(c.verbs, got[0].verb) || !strings.HasPrefix(got[0].status, c.class+".") {
			t.Errorf("%s: results %v, want one of %s with class %s", c.rcpt, got, c.verbs, c.class)
		}
		if n := s.Met(c.rcpt, c.subject); c.met >= 0 && n != c.met {
			t.Errorf("%s: the far end has the message %d times", c.rcpt, n)
		}
	}
}

// testStop calls Deliver when the server stops already: nothing has a result, and the next
// start delivers.
func testStop(t *testing.T, s *Subject) {
	b := newBench(t, s)
	b.stopped = true
	b.open(0)
	b.send("good", s.Good[0])
	time.Sleep(time.Second)
	synctest.Wait()
	for _, v := range b.log.of(s.Good[0]) {
		if v.verb != "delayed" { // by the queue, which was not told
			t.Errorf("reported while the server stops: %v", v)
		}
	}
	if n := s.Met(s.Good[0], "good"); n != 0 {
		t.Errorf("the far end has met the message %d times while the server stops", n)
	}
	b.close()
	b.stopped = false
	b.open(0)
	defer b.close()
	time.Sleep(time.Minute)
	synctest.Wait()
	if n := s.Met(s.Good[0], "good"); n != 1 {
		t.Errorf("the far end has the message %d times", n)
	}
}

// testCrash stops at a step and returns the number of steps.
func testCrash(t *testing.T, s *Subject, stopAt int, lost disktest.Loss) int {
	b := newBench(t, s)
	b.open(stopAt)
	b.send("one", s.Good[0])
	b.send("two", s.Good[0], s.Later, s.Good[1])
	b.send("three", s.Bad, s.Good[1])
	time.Sleep(20 * time.Second)
	synctest.Wait()
	b.send("four", s.Good[1])
	time.Sleep(20 * time.Second)
	b.close()
	b.disk.Lose(t, lost)
	steps := b.disk.Steps()

	// The machine comes back.
	s.Relent()
	b.open(0)
	defer b.close()
	time.Sleep(8 * time.Hour)
	synctest.Wait()
	_, repeatable := b.transport.(queue.Repeatable)
	again := b.transport.Policy().MayRepeat && lost != disktest.Nothing
	for _, m := range b.sent {
		if !m.accepted {
			continue
		}
		for _, rcpt := range m.to {
			n := s.Met(rcpt, m.subject)
			if s.Once && n > 1 {
				t.Errorf("%s was handed over to %s %d times", m.subject, rcpt, n)
			}
			if s.Once && n < 1 && !b.told("Failed to deliver to '", rcpt) && !b.told("Failed to deliver to '", "<"+rcpt+">") {
				t.Errorf("%s was not handed over to %s, and nobody was told", m.subject, rcpt)
			}
			if rcpt != s.Bad && n < 1 && !s.Once {
				t.Errorf("%s was not delivered to %s", m.subject, rcpt)
			}
			if rcpt != s.Bad && n > 1 && (repeatable || s.SendsOn) {
				t.Errorf("%s was delivered to %s %d times", m.subject, rcpt, n)
			}
			if was, known := b.reported[rcpt+" "+m.subject]; known && !repeatable && !s.SendsOn && n != was && !(again && n > was) {
				t.Errorf("%s: the far end has met %s %d times, %d times before the crash, when that was reported", m.subject, rcpt, n, was)
			}
		}
	}
	if b.accepted("two") && !s.Once && !b.told("Delivered to '", s.Good[1]) && !b.told("Delivered to '", "<"+s.Good[1]+">") {
		t.Error("the sender was not told of the success")
	}
	if b.accepted("three") && !b.told("Failed to deliver to '", s.Bad) && !b.told("Failed to deliver to '", "<"+s.Bad+">") {
		t.Error("the sender was not told of the failure")
	}
	if left := b.files(); len(left) != 0 || b.q.Len() != 0 {
		t.Errorf("left: %v, %d messages", left, b.q.Len())
	}
	return steps
}

// watched is the transport under test. It notes what the far end has met of what was
// reported: when Deliver has returned before the disk stopped, that is on the disk.
type watched struct {
	queue.Transport
	b *bench
}

// watchedRepeatable is watched for a queue.Repeatable.
type watchedRepeatable struct {
	watched
	queue.Repeatable
}

func (w watchedRepeatable) Deliver(ctx context.Context, b *queue.Batch) { w.watched.Deliver(ctx, b) }
func (w watchedRepeatable) Policy() queue.Policy                        { return w.watched.Policy() }

func (w watched) Deliver(ctx context.Context, b *queue.Batch) {
	if w.b.stopped {
		var cancel context.CancelFunc
		ctx, cancel = context.WithCancel(ctx)
		cancel()
	}
	w.Transport.Deliver(ctx, b)
	w.b.note(b)
}

// note keeps what the far end has met of a batch.
func (b *bench) note(batch *queue.Batch) {
	if b.disk.Crashed() {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, it := range batch.Items {
		for _, r := range it.Recipients {
			rcpt := it.Envelope.Recipients[r].Address.String()
			subject := b.subjects[it.ID]
			key := rcpt + " " + subject
			if _, known := b.reported[key]; !known && rcpt != b.s.Later {
				b.reported[key] = b.s.Met(rcpt, subject)
			}
		}
	}
}

// policy lets the queue try soon.
func (w watched) Policy() queue.Policy {
	p := w.Transport.Policy()
	p.Retry.First = append([]time.Duration{time.Minute}, p.Retry.First...)
	return p
}
