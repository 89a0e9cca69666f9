package dav

import "testing"

// The sequences of real clients, in their order.

func TestThunderbird(t *testing.T)         { newFixture(t).play("thunderbird.txt") }
func TestThunderbirdContacts(t *testing.T) { newFixture(t).play("thunderbird-contacts.txt") }
