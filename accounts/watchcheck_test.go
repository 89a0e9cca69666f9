package accounts

import "testing"

// TestWatchIsCheckedAtOnce: a session that is asked from time to time need not wait for the goroutine that compares.
func TestWatchIsCheckedAtOnce(t *testing.T) {
	ctx := t.Context()
	s := newStore(t)
	must(t, s.CreateAccount(ctx, "company.com", "ann", nil))
	must(t, s.SetPassword(ctx, "company.com", "ann", "one", false))
	ann, err := s.Account(ctx, "company.com", "ann")
	must(t, err)
	ended := ""
	w := newSessions(s).Watch(ann, Peer{}, func(reason string) { ended = reason }) // nothing compares these
	if w.Check(); ended != "" {
		t.Fatalf("ended: %s", ended)
	}
	must(t, s.SetPassword(ctx, "company.com", "ann", "two", false))
	if w.Check(); ended != endPassword {
		t.Errorf("ended: %q", ended)
	}
	w.Stop()
	w = nil
	w.Check()
}
