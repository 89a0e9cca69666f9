package transcript

import (
	"testing"
	"testing/synctest"
	"time"
)

// patience is more than any test lets pass in its bubble.
const patience = 3 * 24 * time.Hour

// Bubble is synctest.Test for servers that keep time themselves. While one of their timers
// runs, package synctest sees no deadlock, and a test that waits for what never comes
// would let years pass in a loop until the limit of the whole run. Here it ends after
// three days of the bubble, which are a moment, with the stacks of all goroutines.
func Bubble(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		// It is never stopped: what a test that has failed leaves behind may go on for ever by its timers. It ends with the bubble.
		time.AfterFunc(patience, func() {
			why := "the test waits for something that never comes"
			if text := failure.Load(); text != nil {
				why = "the test has failed, and what it has started does not end: " + *text
			}
			panic(why)
		})
		test(t)
	})
}
