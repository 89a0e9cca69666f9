package queue

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"gatepost/queue/envelope"
	"gatepost/queue/internal/disk"
	"gatepost/queue/internal/disk/disktest"
	"gatepost/server/fault"
)

// life sends some mail through a queue on a disk that stops at a step, opens the
// queue again on a good disk and checks the promises. It returns the number of
// steps that were made.
func life(t *testing.T, stopAt int, lost disktest.Loss) int {
	var f *disktest.Disk
	synctest.Test(t, func(t *testing.T) {
		b := open(t, t.TempDir())
		b.reopen(func(d disk.Disk) disk.Disk {
			f = disktest.New(d, filepath.Join(b.dir, "Queue"), stopAt)
			return f
		})
		b.local.dedupe()
		var down atomic.Bool
		down.Store(true)
		b.remote.setDecide(func(it *Item, rcpt int) envelope.Status {
			switch it.Envelope.Recipients[rcpt].Address.Local {
			case "no":
				return refused("no such user")
			case "later":
				if down.Load() {
					return deferred("later")
				}
			}
			return envelope.Status{Action: envelope.ActionRelayed, Text: "relayed via mx"}
		})
		b.local.onSync = func() error { return f.Step("sync links") }
		b.run()
		accepted := map[string]bool{}
		send := func(name string, to ...string) {
			e := b.env("joe@company.com", to...)
			if name == "six" {
				e.Recipients[0].Notify = envelope.NotifySuccess
			}
			_, err := b.submit(e, "Subject: "+name+"\r\n\r\nbody of "+name+"\r\n")
			accepted[name] = err == nil
		}
		send("one", "ann@company.com", "bob@company.com")
		send("two", "ann@company.com", "yes@far.net", "later@far.net")
		send("three", "ann@company.com", "no@far.net")
		send("five", "all@company.com", "later@far.net")
		send("six", "six@far.net", "ann@company.com")
		time.Sleep(20 * time.Second)
		synctest.Wait()
		send("four", "ann@company.com")
		down.Store(false)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		b.stop()
		if lost != disktest.Nothing {
			f.Lose(t, lost)
			b.local.lose()
		}

		// The machine comes back.
		b.local.onSync = nil
		b.reopen(nil)
		b.run()
		time.Sleep(20 * time.Minute)
		synctest.Wait()
		b.halt()

		count := func(s *sink, rcpt, name string) (n int) {
			for _, m := range s.messages(rcpt) {
				m = strings.TrimPrefix(m, "Delivered-To: all@company.com\r\n")
				if strings.HasPrefix(m, "Subject: "+name+"\r\n") {
					n++
					if want := "Subject: " + name + "\r\n\r\nbody of " + name + "\r\n"; m != want {
						t.Errorf("%s got half of %s: %q", rcpt, name, m)
					}
				}
			}
			return n
		}
		for name, ok := range accepted {
			if n := count(b.local, "ann@company.com", name); n > 1 || ok && n != 1 {
				t.Errorf("ann has %s %d times, accepted %v", name, n, ok)
			}
		}
		for _, name := range []string{"one", "five"} {
			if n := count(b.local, "bob@company.com", name); n > 1 || accepted[name] && n != 1 {
				t.Errorf("bob has %s %d times, accepted %v", name, n, accepted[name])
			}
		}
		for _, rcpt := range []string{"yes@far.net", "later@far.net"} {
			if n := count(b.remote, rcpt, "two"); accepted["two"] && n < 1 {
				t.Errorf("%s was not sent", rcpt)
			}
		}
		told := func(what string) bool {
			return slices.ContainsFunc(b.local.messages("joe@company.com"), func(m string) bool { return strings.Contains(m, what) })
		}
		if accepted["three"] && !told("Failed to deliver to 'no@far.net'") {
			t.Error("joe was not told of the failure")
		}
		if accepted["six"] && (count(b.remote, "six@far.net", "six") < 1 || !told("Delivered to '") || !told("six@far.net")) {
			t.Error("six was not sent, or joe was not told of the success")
		}
		if left := b.files(); left != "" || b.q.Len() != 0 {
			t.Errorf("left: %s, %d messages", left, b.q.Len())
		}
	})
	return f.Steps()
}

// dedupe makes the sink behave as a mailbox store does: it knows what it has by
// the queue ID until the queue says that the file is gone.
func (s *sink) dedupe() { s.seen = map[string]bool{} }

func (s *sink) forget(ids []envelope.QueueID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key := range s.seen {
		for _, id := range ids {
			if strings.HasSuffix(key, " "+id.String()) {
				delete(s.seen, key)
			}
		}
	}
}

func TestCrashAtEveryStepLosesAndDoublesNothing(t *testing.T) {
	steps := life(t, 0, disktest.Nothing)
	if steps < 30 {
		t.Fatalf("only %d steps: the test does not reach the removal", steps)
	}
	for _, lost := range disktest.Losses {
		for n := 1; n <= steps; n++ {
			t.Run(fmt.Sprintf("step=%d,lost=%d", n, lost), func(t *testing.T) { life(t, n, lost) })
			if t.Failed() {
				return
			}
		}
	}
}

// failing is a disk whose steps fail as fail says.
func failing(d disk.Disk, dir string, fail func(step string) error) disk.Disk {
	f := disktest.New(d, filepath.Join(dir, "Queue"), 0)
	f.Fail = fail
	return f
}

func TestFullDiskIsNoSpaceAndLeavesNothing(t *testing.T) {
	for _, step := range []string{"create", "write", "sync file", "publish", "sync names"} {
		t.Run(step, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := open(t, t.TempDir())
				var full atomic.Bool
				b.reopen(func(d disk.Disk) disk.Disk {
					return failing(d, b.dir, func(s string) error {
						if full.Load() && s == step {
							return &os.PathError{Op: s, Path: "x", Err: syscall.ENOSPC}
						}
						return nil
					})
				})
				b.run()
				full.Store(true)
				if _, err := b.submit(b.env("joe@company.com", "ann@company.com"), testMessage); !fault.Is(err, fault.NoSpace) {
					t.Errorf("%v, want no space", err)
				}
				if f := b.files(); f != "" {
					t.Errorf("left: %s", f)
				}
				full.Store(false)
				b.mustSubmit(b.env("joe@company.com", "ann@company.com"), testMessage)
				synctest.Wait()
				b.halt()
				if n := len(b.local.messages("ann@company.com")); n != 1 {
					t.Errorf("%d messages after there is space again", n)
				}
			})
		})
	}
}

// A report that finds the disk full is made when there is space again, and the
// message stays until then.
func TestReportWaitsForSpace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, t.TempDir())
		var full atomic.Bool
		b.reopen(func(d disk.Disk) disk.Disk {
			return failing(d, b.dir, func(s string) error {
				if full.Load() && s == "write" {
					return syscall.ENOSPC
				}
				return nil
			})
		})
		b.remote.decide = func(*Item, int) envelope.Status {
			full.Store(true)
			return refused("no such user")
		}
		b.run()
		id := b.mustSubmit(b.env("joe@company.com", "bob@far.net"), testMessage)
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if f := b.files(); f != id.String()+".msg" {
			t.Errorf("while the disk is full: %s", f)
		}
		full.Store(false)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		b.halt()
		if n := len(b.local.messages("joe@company.com")); n != 1 {
			t.Errorf("%d reports", n)
		}
		if f := b.files(); f != "" {
			t.Errorf("left: %s", f)
		}
	})
}

func TestRemovalIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, t.TempDir())
		var broken atomic.Bool
		broken.Store(true)
		b.reopen(func(d disk.Disk) disk.Disk {
			return failing(d, b.dir, func(s string) error {
				if broken.Load() && s == "remove" {
					return syscall.EIO
				}
				return nil
			})
		})
		b.run()
		b.mustSubmit(b.env("joe@company.com", "ann@company.com"), testMessage)
		time.Sleep(time.Minute)
		broken.Store(false)
		time.Sleep(time.Minute)
		synctest.Wait()
		b.halt()
		if f := b.files(); f != "" {
			t.Errorf("left: %s", f)
		}
		if n := len(b.local.messages("ann@company.com")); n != 1 {
			t.Errorf("%d messages", n)
		}
	})
}

// A file of an older server is rewritten at the start; whatever is lost in the
// middle of that, its message is delivered once and whole.
func TestCrashWhileAFileOfAnOlderServerIsRewritten(t *testing.T) {
	const old = "S SMTP [199.199.199.199]\nO T\nP I 26-04-2019 15:57:14 0000 ____ ____ <joe@far.org>\n" +
		"R W 26-04-2019 15:57:14 0000 ____ _FY_ <ann@company.com>\n\nSubject: old\n\nline\n"
	steps := 0
	start := func(t *testing.T, stopAt int, lost disktest.Loss) {
		synctest.Test(t, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.MkdirAll(filepath.Join(dir, "Queue"), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "Queue", "7.msg"), []byte(old), 0o600); err != nil {
				t.Fatal(err)
			}
			b := &bench{t: t, dir: dir, routes: &table{}, local: newSink(), remote: newSink(), set: testSettings(t, nil)}
			var f *disktest.Disk
			b.reopen(func(d disk.Disk) disk.Disk {
				f = disktest.New(d, filepath.Join(dir, "Queue"), stopAt)
				return f
			})
			b.run()
			time.Sleep(time.Minute)
			synctest.Wait()
			b.stop()
			steps = f.Steps()
			if lost != disktest.Nothing {
				f.Lose(t, lost)
				b.local.lose()
			}
			b.reopen(nil)
			b.run()
			time.Sleep(time.Minute)
			synctest.Wait()
			b.halt()
			if got := b.local.messages("ann@company.com"); len(got) != 1 || got[0] != "Subject: old\r\n\r\nline\r\n" {
				t.Errorf("ann got %q", got)
			}
			if left := b.files(); left != "" {
				t.Errorf("left: %s", left)
			}
		})
	}
	start(t, 0, disktest.Nothing)
	for _, lost := range disktest.Losses {
		for n := 1; n <= steps; n++ {
			t.Run(fmt.Sprintf("step=%d,lost=%d", n, lost), func(t *testing.T) { start(t, n, lost) })
		}
	}
}
