package triggers

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gatepost/router/address"
	"gatepost/server/counters"
	"gatepost/server/fault"
	"gatepost/server/settings"
)

func TestSettings(t *testing.T) {
	for _, c := range []struct{ triggers, handlers, problem string }{
		{"numQueuedMessages > 10: oncall", "oncall: mailto:a@example.com", ""},
		{"failedAUTHs>10 in 5m:OnCall , oncall", "OnCall: https://x.example/?t=^0%20^2", ""},
		{"1.3.6.1.4.1.5678.2.1.1.2.3 > -1: o", "o: mailto:a@example.com?subject=^0%20^1&body=see", ""},
		{"x > 1: nobody", "o: mailto:a@example.com", "there is no handler"},
		{"x > 1", "o: mailto:a@example.com", "is expected"},
		{"x: o", "o: mailto:a@example.com", "is expected"},
		{"> 1: o", "o: mailto:a@example.com", "is expected"},
		{"x > 1:", "o: mailto:a@example.com", "is expected"},
		{"x > many: o", "o: mailto:a@example.com", "not a number"},
		{"x > 1 in 1s: o", "o: mailto:a@example.com", "10s to 24h"},
		{"x > 1 in never: o", "o: mailto:a@example.com", "10s to 24h"},
		{"x > 1: o|x  >  1: o", "o: mailto:a@example.com", "twice"},
		{"", "mailto:a@example.com", "is expected"},
		{"", "o: ftp://x.example/", "is expected, not"},
		{"", "o: https://u:p@x.example/", "without a user name"},
		{"", "o: https://^2.example/", "with a host"},
		{"", "o: https:///x", "with a host"},
		{"", "o: mailto:", "no address"},
		{"", "o: mailto:a@example.com?cc=b@example.com", "only subject and body"},
		{"", "o: mailto:a@example.com?subject=x%0D%0ABcc:%20y", "one line"},
		{"", "a,b: mailto:a@example.com", "no commas"},
		{strings.Repeat("x > 1: o|", 101), "o: mailto:a@example.com", "100 lines"},
	} {
		s := &Settings{Handlers: []string{c.handlers}}
		if c.triggers != "" {
			s.Triggers = strings.Split(c.triggers, "|")
		}
		err := s.Validate()
		if (err == nil) != (c.problem == "") || err != nil && !strings.Contains(err.Error(), c.problem) {
			t.Errorf("%q, %q: %v", c.triggers, c.handlers, err)
		}
	}
}

// site is an Engine with elements that the test sets.
type site struct {
	*Engine
	mu       sync.Mutex
	elements []counters.Element
	mails    []string
	log      strings.Builder
}

func newSite(set *Settings) *site {
	s := new(site)
	live := settings.NewLive(set)
	s.Engine = New(Options{Settings: live, Elements: func() []counters.Element {
		s.mu.Lock()
		defer s.mu.Unlock()
		return append([]counters.Element(nil), s.elements...)
	},
		Mail: func(_ context.Context, to address.Address, subject, body string) error {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.mails = append(s.mails, fmt.Sprintf("%s|%s|%s", to, subject, body))
			return nil
		}, Log: slog.New(slog.NewTextHandler(&s.log, &slog.HandlerOptions{Level: slog.Level(-10)}))})
	return s
}

func (s *site) set(name string, count bool, n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.elements = []counters.Element{{Name: name, Count: count, Value: n, OID: "1.2"}}
}

func (s *site) told() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.mails
	s.mails = nil
	return out
}

func TestAState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(&Settings{Triggers: []string{"waiting > 10: Oncall"}, Handlers: []string{"oncall: mailto:a@example.com"}, Limit: settings.Rate{Count: 3, Period: settings.Period(time.Hour)}})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go s.Run(ctx)
		step := func(n int64, want ...string) {
			t.Helper()
			s.set("waiting", false, n)
			time.Sleep(lookEvery + time.Second)
			synctest.Wait()
			if got := s.told(); strings.Join(got, ";") != strings.Join(want, ";") {
				t.Errorf("%d: %q", n, got)
			}
		}
		mail := func(n int) string {
			return fmt.Sprintf("a@example.com|waiting is greater than 10|waiting is greater than 10. The value is %d.", n)
		}
		step(10)
		step(11, mail(11))
		step(12)
		step(10)
		step(13, mail(13))
		step(1)
		step(14, mail(14))
		step(1)
		step(15) // the limit
		step(1)
		time.Sleep(time.Hour)
		step(16, mail(16))
		cancel()
		synctest.Wait()
		if !strings.Contains(s.log.String(), "there were too many before it") {
			t.Error(s.log.String())
		}
	})
}

func TestACount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(&Settings{Triggers: []string{"failed > 10 in 1m: o"}, Handlers: []string{"o: mailto:a@example.com?subject=^2%20^0"}, Limit: settings.Rate{Count: 100, Period: settings.Period(time.Hour)}})
		go s.Run(t.Context())
		n := int64(1000) // what was counted before is no rise
		step := func(by int64, want string) {
			t.Helper()
			n += by
			s.set("failed", true, n)
			time.Sleep(lookEvery)
			synctest.Wait()
			if got := strings.Join(s.told(), ";"); (got == "") != (want == "") || !strings.HasPrefix(got, "a@example.com|"+want) && want != "" {
				t.Errorf("%d: %q", n, got)
			}
		}
		step(0, "")
		for range 60 { // one in ten seconds is below
			step(1, "")
		}
		step(6, "11 failed") // with five of the minute before
		step(0, "")
		step(10, "")
		step(1, "11 failed")
		for range 10 {
			step(0, "")
		}
	})
}

func TestURL(t *testing.T) {
	var asked []string
	status := http.StatusOK
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.RawQuery)
		w.WriteHeader(status)
	}))
	defer web.Close()
	s := newSite(&Settings{Handlers: []string{"sms: " + web.URL + "/send?key=hidden&text=^0%20^1%20^2"}})
	if err := s.Test(t.Context(), "SMS"); err != nil || len(asked) != 1 || asked[0] != "key=hidden&text=test%20is+a+test+of+the+handler+sms%200" {
		t.Errorf("%v %q", err, asked)
	}
	status = http.StatusForbidden
	if err := s.Test(t.Context(), "sms"); !fault.Is(err, fault.Unavailable) || strings.Contains(err.Error(), "hidden") || !strings.Contains(err.Error(), "403") {
		t.Errorf("%v", err)
	}
	web.Close()
	if err := s.Test(t.Context(), "sms"); !fault.Is(err, fault.Unavailable) || strings.Contains(err.Error(), "hidden") {
		t.Errorf("%v", err)
	}
	if err := s.Test(t.Context(), "other"); !fault.Is(err, fault.NotFound) {
		t.Errorf("%v", err)
	}
}

func TestUnknownElement(t *testing.T) {
	s := newSite(&Settings{Triggers: []string{"nosuch > 1: o"}, Handlers: []string{"o: mailto:a@example.com"}})
	s.look(t.Context())
	s.look(t.Context())
	if n := strings.Count(s.log.String(), "no such element"); n != 1 {
		t.Errorf("said %d times", n)
	}
}
