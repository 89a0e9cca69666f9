package rpop

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gatepost/protocols/transcript"
	"gatepost/server/dataformat"
)

// GETACCOUNTINFO tells how the polls went, and does not know the password.
func TestStatus(t *testing.T) {
	transcript.Bubble(t, func(t *testing.T) {
		far := mail("one", "two")
		var down atomic.Bool
		s := newSite(t, func() (net.Conn, error) {
			if down.Load() {
				return nil, errors.New("no s3cret word " + strings.Repeat("x", 1000))
			}
			return far.dial()
		})
		told := func() dataformat.Dict {
			t.Helper()
			synctest.Wait()
			info, err := s.acc.AccountInfo(t.Context(), "company.com", "ann")
			must(t, err)
			all, _ := info["RPOP"].(dataformat.Dict)
			d, _ := all["isp"].(dataformat.Dict)
			return d
		}
		s.records(fmt.Sprintf(record, ""))
		if d := told(); len(d) > 0 {
			t.Errorf("before Run: %v", d)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			s.poller.Run(ctx)
		}()
		defer func() { cancel(); <-done }()
		time.Sleep(30 * time.Second) // between two polls
		d := told()
		last, next := d["lastPoll"].(dataformat.Time), d["nextPoll"].(dataformat.Time)
		if d.String("messages") != "2" || d.String("totalMessages") != "2" || d["lastError"] != nil || next.T.Sub(last.T) != time.Minute {
			t.Errorf("after a poll: %v", d)
		}
		down.Store(true)
		time.Sleep(time.Minute)
		d = told()
		text := d.String("lastError")
		if d.String("messages") != "0" || d.String("totalMessages") != "2" || len(text) < 10 || len(text) > maxStatusError+3 || strings.Contains(text, "s3cret") {
			t.Errorf("after a failure: %v", d)
		}
		down.Store(false)
		time.Sleep(time.Hour)
		if d = told(); d["lastError"] != nil {
			t.Errorf("after it works again: %v", d)
		}
		s.records(`{}`)
		if d = told(); len(d) > 0 {
			t.Errorf("of a record that is gone: %v", d)
		}
	})
}
