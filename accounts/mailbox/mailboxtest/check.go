// Package mailboxtest helps tests that use the message store.
package mailboxtest

import (
	"context"
	"testing"

	"gatepost/accounts/mailbox"
)

// Check fails the test for everything that the store's own check finds wrong.
func Check(t testing.TB, s *mailbox.Store) {
	t.Helper()
	err := s.Check(context.Background(), func(f mailbox.Finding) {
		if !f.Note {
			t.Errorf("store check: %v", f)
		}
	})
	if err != nil {
		t.Errorf("store check: %v", err)
	}
}

// CheckAtEnd runs Check when the test ends, before cleanups that were
// registered earlier, such as the one that closes the store.
func CheckAtEnd(t testing.TB, s *mailbox.Store) {
	t.Helper()
	t.Cleanup(func() { Check(t, s) })
}
