package queue

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatepost/queue/envelope"
	"gatepost/router"
	"gatepost/server/fault"
)

func TestCounterWorksAgainWhenItsDiskDoes(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "counter")
	c, err := OpenCounter(file, dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	good := c.file
	bad, err := os.Open(file) // cannot be written
	if err != nil {
		t.Fatal(err)
	}
	defer bad.Close()
	c.file = bad
	last := nextID(t, c)
	for range 3 * counterBlock {
		id, err := c.NextID()
		if err != nil {
			break
		}
		if last = id; uint64(id) >= c.mark.Load() {
			t.Fatalf("%d was given out and is not reserved", id)
		}
	}
	for range 10 {
		if id, err := c.NextID(); err == nil {
			t.Errorf("after %d: %d", last, id)
		}
	}
	c.file = good
	if id := nextID(t, c); id <= last || uint64(id) >= c.mark.Load() {
		t.Errorf("%d after %d, with a good disk", id, last)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

func TestAcceptedMailWaitsForAModuleThatIsNotThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		b := open(t, dir)
		toList := func() {
			b.routes.to = map[string]router.Route{"list@company.com": {Module: "LIST", Queue: "list@company.com", Address: b.addr("list@company.com")}}
		}
		env := b.env("joe@company.com", "list@company.com")
		env.Recipients[0].Notify = envelope.NotifyNever
		b.mustSubmit(env, testMessage)
		b.ctr.Close()

		toList()
		b.reopen(nil)
		b.run()
		time.Sleep(time.Hour)
		synctest.Wait()
		if got := b.list(); !strings.Contains(got, "LIST is not available") {
			t.Errorf("the list is %q", got)
		}
		if _, err := b.submit(b.env("joe@company.com", "list@company.com"), testMessage); !fault.Is(err, fault.Unsupported) {
			t.Errorf("a new message: %v", err)
		}
		b.halt()

		b.routes.to = nil // the module is there
		b.reopen(nil)
		b.run()
		synctest.Wait()
		b.halt()
		if got := b.local.messages("list@company.com"); len(got) != 1 {
			t.Errorf("%d messages", len(got))
		}
	})
}

func TestFileWithAStateThatIsNotKnownIsKept(t *testing.T) {
	for _, other := range []string{"W", "D"} {
		synctest.Test(t, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.Mkdir(filepath.Join(dir, "Queue"), 0o700); err != nil {
				t.Fatal(err)
			}
			text := "S SMTP [1.2.3.4]\nP I 26-04-2019 15:57:14 0000 ____ ____ <a@b.com>\n" +
				"R " + other + " 26-04-2019 15:57:14 0000 ____ _FY_ <ann@company.com>\n" +
				"R T 26-04-2019 15:57:14 0000 ____ _FY_ <bob@company.com>\n\nx\n"
			if err := os.WriteFile(filepath.Join(dir, "Queue", "5.msg"), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			b := open(t, dir)
			b.run()
			synctest.Wait()
			b.halt()
			if f := b.files(); f != "5.bad" {
				t.Errorf("the files are %q", f)
			}
		})
	}
}
