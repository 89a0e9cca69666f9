package dav

import "testing"

// The requests of clients in their order, see fixture.play.
func TestClients(t *testing.T) {
	for _, name := range []string{"thunderbird", "thunderbird-contacts", "apple-calendar", "apple-contacts", "davx5", "evolution", "methods"} {
		t.Run(name, func(t *testing.T) { newFixture(t).play(name + ".txt") })
	}
}
