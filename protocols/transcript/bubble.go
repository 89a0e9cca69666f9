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
		watchdog := time.AfterFunc(patience, func() { panic("the test waits for something that never comes") })
		defer watchdog.Stop()
		test(t)
	})
}
