package pwd

import (
	"slices"
	"testing"
)

// The forms in which clients reject messages of the queue, and what the server is asked for.
func TestRejectQueueMessages(t *testing.T) {
	s := newSite(t, false)
	c := s.login(t, "postmaster", "secret")
	for _, command := range []string{
		`REJECTQUEUEMESSAGE 17`, `REJECTQUEUEMESSAGE 17 REPORT "not wanted"`, `REJECTQUEUEMESSAGE 17 REPORT NONDN`, `RejectQueueMessage 17 NONDN`,
		`RejectQueueMessage 17"old form"`, `REJECTQUEUEMESSAGES SENDER joe REPORT "hacked"`, `REJECTQUEUEMESSAGES SENDER joe@sub.c.com`, `REJECTQUEUEMESSAGES SENDER * REPORT NONDN`,
	} {
		c.expect(command, "200 OK")
	}
	c.expect("REJECTQUEUEMESSAGE", "500 parameter id is missing")
	c.expect("REJECTQUEUEMESSAGES joe", "500 parameter SENDER sender is missing")
	want := []string{
		`{IDs=(17);} "" true`, `{IDs=(17);} "not wanted" true`, `{IDs=(17);} "" false`, `{IDs=(17);} "" false`,
		`{IDs=(17);} "old form" true`, `{Account=joe@c.com;} "hacked" true`, `{Account=joe@sub.c.com;} "" true`, `{Account=postmaster@c.com;} "" false`,
	}
	if got := s.admin.Rejected(); !slices.Equal(got, want) {
		t.Errorf("asked for %q", got)
	}
}
