package listen

import (
	"io"
	"sync/atomic"
	"time"

	"gatepost/server/counters"
)

// traffic tells for how long a client has been idle.
type traffic struct {
	accepted time.Time
	wire     *counters.Wire
	// waits is how many Reads and Writes are under way, which wait for the client. HTTP has both at a time.
	waits atomic.Int32
	// busyUntil is up to when the client is taken for busy, as a time after accepted; 0 until
	// something was sent to it, since the wait for a greeting is not the client's.
	busyUntil atomic.Int64
	// said is how many octets have come since then.
	said atomic.Int64
}

// aWord is fewer octets than any command has.
const aWord = 5

// usefulRate is how many octets a second keep a client busy.
const usefulRate = 1000

func (t *traffic) read(c io.Reader, p []byte) (int, error) {
	t.waits.Add(1)
	n, err := c.Read(p)
	t.waits.Add(-1)
	t.wire.Received.Add(int64(n))
	if busy := t.busyUntil.Load(); n > 0 && busy > 0 {
		t.said.Add(int64(n))
		t.busyUntil.Store(min(int64(time.Since(t.accepted)), busy+int64(n)*int64(time.Second/usefulRate)))
	}
	return n, err
}

func (t *traffic) write(c io.Writer, p []byte) (int, error) {
	if t.busyUntil.Load() == 0 {
		t.busyUntil.Store(max(1, int64(time.Since(t.accepted))))
	}
	t.waits.Add(1)
	n, err := c.Write(p)
	t.waits.Add(-1)
	t.wire.Sent.Add(int64(n))
	return n, err
}

// silent reports whether the client has hardly said a word since it was spoken to.
func (t *traffic) silent() bool { return t.busyUntil.Load() > 0 && t.said.Load() < aWord }

// idle is for how long the client has been idle; 0 while the server works for it.
func (t *traffic) idle(now time.Time) time.Duration {
	if t.waits.Load() == 0 {
		return 0
	}
	return now.Sub(t.accepted) - time.Duration(t.busyUntil.Load())
}
