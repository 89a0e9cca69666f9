package queue

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatepost/queue/envelope"
	"gatepost/router"
	"gatepost/router/address"
	"gatepost/router/names"
)

// watchedRouter tells of each address that is routed, before it is.
type watchedRouter struct {
	Router
	asked func(address.Address)
}

func (r watchedRouter) Route(ctx context.Context, op names.Operation, a address.Address) (router.Route, error) {
	r.asked(a)
	return r.Router.Route(ctx, op, a)
}

// The first recipients of a message to thousands have it while the others are still routed; each has it once, hosts are given
// it in parts, and an object to which two far recipients lead gets it in one.
func TestManyRecipientsAreDeliveredToWhileTheyAreRouted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, t.TempDir())
		pipe := newSink()
		b.q.Handle(router.PIPE, pipe)
		toPipe := router.Route{Module: router.PIPE, Queue: "program"}
		b.routes.to = map[string]router.Route{"first@company.com": toPipe, "last@company.com": toPipe}
		rcpts := []string{"first@company.com"}
		for n := range 2 * together {
			rcpts = append(rcpts, fmt.Sprintf("u%d@company.com", n), fmt.Sprintf("u%d@far.net", n))
		}
		rcpts = append(rcpts, "last@company.com")
		goOn := make(chan struct{})
		b.run()
		defer b.halt()
		s, err := b.q.Begin(t.Context(), b.env("joe@company.com", rcpts...))
		if err != nil {
			t.Fatal(err)
		}
		defer s.Abort()
		s.Unattended()
		if _, err := io.WriteString(s, testMessage); err != nil {
			t.Fatal(err)
		}
		b.q.o.Router = watchedRouter{b.routes, func(a address.Address) {
			if a.Local == fmt.Sprintf("u%d", 3*together/2) {
				<-goOn
			}
		}}
		if err := s.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := b.local.messages("u0@company.com"); len(got) != 1 {
			t.Errorf("the first recipient has it %d times while others are routed", len(got))
		}
		if got := b.local.messages(fmt.Sprintf("u%d@company.com", 2*together-1)); len(got) != 0 {
			t.Error("nobody waits to be routed")
		}
		close(goOn)
		time.Sleep(time.Minute)
		for _, r := range rcpts[1 : len(rcpts)-1] {
			sink := b.local
			if strings.HasSuffix(r, "@far.net") {
				sink = b.remote
			}
			if got := sink.messages(r); len(got) != 1 {
				t.Fatalf("%s has it %d times", r, len(got))
			}
		}
		if n := len(pipe.attempts()); n != 1 {
			t.Errorf("the program was called %d times", n)
		}
		if left := b.q.Len(); left != 0 {
			t.Errorf("%d messages are left", left)
		}
	})
}

// A message that the server sends on is routed once, when its envelope is written. After a start it is routed again.
func TestWhatIsSentOnIsRoutedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, t.TempDir())
		asked := map[string]int{}
		b.q.o.Router = watchedRouter{b.routes, func(a address.Address) { asked[a.String()]++ }}
		hold := func() envelope.QueueID {
			s, err := b.q.BeginHeld(t.Context(), b.env("joe@company.com", "ann@company.com", "bob@far.net"))
			if err != nil {
				t.Fatal(err)
			}
			defer s.Abort()
			s.Unattended()
			if _, err := io.WriteString(s, testMessage); err != nil {
				t.Fatal(err)
			}
			if err := s.Hold(t.Context()); err != nil {
				t.Fatal(err)
			}
			return s.ID()
		}
		if err := b.q.Publish(hold()); err != nil {
			t.Fatal(err)
		}
		b.run()
		time.Sleep(time.Minute)
		b.stop()
		if len(asked) != 2 || asked["ann@company.com"] != 1 || asked["bob@far.net"] != 1 {
			t.Errorf("routed: %v", asked)
		}
		if err := b.q.Publish(hold()); err != nil {
			t.Fatal(err)
		}
		if err := b.ctr.Close(); err != nil {
			t.Fatal(err)
		}
		b.reopen(nil)
		b.routes.to = map[string]router.Route{"bob@far.net": {Module: router.LOCAL, Queue: "bob@company.com", Address: b.addr("bob@company.com")}}
		b.run()
		time.Sleep(time.Minute)
		b.halt()
		if got := b.local.messages("bob@company.com"); len(got) != 1 {
			t.Errorf("a route that has changed over a start is not seen: %d messages", len(got))
		}
	})
}

// A message leaves its places in any order.
func TestEntriesLeaveInAnyOrder(t *testing.T) {
	for _, order := range [][]int{{0, 1, 2}, {2, 1, 0}, {1, 0, 2}, {1, 2, 0}, {0, 2, 1}, {2, 0, 1}} {
		m := new(message)
		all := []*entry{{msg: m}, {msg: m}, {msg: m}}
		l := new(logical)
		for _, e := range all {
			l.adopt(e)
		}
		for n, i := range order {
			l.drop(all[i])
			m.unlink(all[i]) // once more does nothing
			left := 0
			for e := m.entries; e != nil; e = e.next {
				left++
			}
			if left != 2-n || l.count != 2-n {
				t.Errorf("%v: %d entries are left, %d counted", order, left, l.count)
			}
		}
	}
}
