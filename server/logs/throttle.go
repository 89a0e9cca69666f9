package logs

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Throttle writes what clients can cause at any rate, such as refusals, as one record a second at
// most: the first at once, and those of each second that follows as the last of them with their
// number, as count. The zero Throttle is ready.
type Throttle struct {
	mu    sync.Mutex
	on    bool // the timer of the second runs
	count int  // events since the last record
	last  func(count int)
}

const throttle = time.Second

// Log writes a record, or counts it.
func (t *Throttle) Log(l *slog.Logger, level slog.Level, msg string, attrs ...slog.Attr) {
	write := func(count int) {
		if count > 1 {
			attrs = append(attrs, slog.Int("count", count))
		}
		l.LogAttrs(context.Background(), level, msg, attrs...)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.on {
		t.count++
		t.last = write
		return
	}
	t.on = true
	time.AfterFunc(throttle, t.tick)
	write(1)
}

// tick writes what has gathered.
func (t *Throttle) tick() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.count == 0 {
		t.on = false
		return
	}
	time.AfterFunc(throttle, t.tick)
	t.last(t.count)
	t.count, t.last = 0, nil
}
