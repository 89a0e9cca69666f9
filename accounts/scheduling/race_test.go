package scheduling

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"gatepost/server/dataformat"
)

// Answers that come while the organizer changes the event are not lost, and the organizer's changes neither.
func TestAnswersWhileTheOrganizerChanges(t *testing.T) {
	o := newOffice(t, t.TempDir())
	var people strings.Builder
	const n = 12
	for i := range n {
		name := fmt.Sprintf("u%d", i)
		must(t, o.acc.CreateAccount(t.Context(), "company.com", name, dataformat.Dict{}))
		fmt.Fprintf(&people, "\nATTENDEE;PARTSTAT=NEEDS-ACTION:mailto:%s@company.com", name)
	}
	o.put("ann", "m.ics", meeting("m", starts, byAnn+people.String()))
	var wait sync.WaitGroup
	for i := range n {
		wait.Go(func() {
			name := fmt.Sprintf("u%d", i)
			c := o.calendar(name)
			text := strings.Replace(o.event(name, "m"), "PARTSTAT=NEEDS-ACTION:mailto:"+name, "PARTSTAT=ACCEPTED:mailto:"+name, 1)
			for {
				if _, err := o.s.Put(context.Background(), o.account(name), c, Put{Put: putOf(o.item(name, "m"), text)}); err == nil {
					return
				} else if !strings.Contains(err.Error(), "meanwhile") {
					t.Error(err)
					return
				}
			}
		})
	}
	wait.Go(func() {
		for i := range 10 {
			text := strings.Replace(o.event("ann", "m"), "SUMMARY:Meeting", fmt.Sprintf("SUMMARY:Meeting\nX-CHANGE-%d:x", i), 1)
			if _, err := o.s.Put(context.Background(), o.account("ann"), o.calendar("ann"), Put{Put: putOf("m.ics", text)}); err != nil && !strings.Contains(err.Error(), "meanwhile") {
				t.Error(err)
			}
		}
	})
	wait.Wait()
	o.settle()
	if got := strings.Count(o.event("ann", "m"), "PARTSTAT=ACCEPTED"); got != n+1 {
		t.Errorf("%d have accepted\n%s", got, o.event("ann", "m"))
	}
	for i := range n {
		if got := strings.Count(o.event(fmt.Sprintf("u%d", i), "m"), "PARTSTAT=ACCEPTED"); got != n+1 {
			t.Errorf("u%d sees %d who have accepted", i, got)
		}
	}
}
