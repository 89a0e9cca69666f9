package webcal

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gatepost/accounts"
	"gatepost/accounts/access"
	"gatepost/accounts/groupware"
	"gatepost/router"
	"gatepost/server/fault"
	"gatepost/server/settings"
)

// far is a server that offers a calendar.
type far struct {
	text     string
	tag      string
	status   int
	redirect string
	asked    int
	reused   int // answers of 304
}

func (f *far) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.asked++
	switch {
	case f.redirect != "":
		http.Redirect(w, r, f.redirect, http.StatusFound)
	case f.status != 0:
		w.WriteHeader(f.status)
	case f.tag != "" && r.Header.Get("If-None-Match") == f.tag:
		f.reused++
		w.WriteHeader(http.StatusNotModified)
	default:
		w.Header().Set("ETag", f.tag)
		_, _ = io.WriteString(w, f.text)
	}
}

func calendar(uids ...string) string {
	var b strings.Builder
	b.WriteString("BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//far//EN\nMETHOD:PUBLISH\nX-WR-CALNAME:Holidays\n")
	for _, uid := range uids {
		b.WriteString("BEGIN:VEVENT\nUID:" + uid + "\nDTSTAMP:20260101T000000Z\nDTSTART:20260210T120000Z\nSUMMARY:" + uid + "\nEND:VEVENT\n")
	}
	b.WriteString("END:VCALENDAR\n")
	return strings.ReplaceAll(b.String(), "\n", "\r\n")
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestSubscriptions(t *testing.T) {
	ctx := t.Context()
	var ids atomic.Uint64
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug - 100}))
	acc, err := accounts.Open(t.TempDir(), accounts.Options{MainDomain: "company.com", Shards: 1, Log: logger, NextID: func() (uint64, error) { return ids.Add(1), nil }})
	must(t, err)
	t.Cleanup(func() { must(t, acc.Close()) })
	must(t, acc.CreateAccount(ctx, "company.com", "ann", nil))
	rs := &router.Settings{}
	must(t, settings.Load(rs, nil))
	r, err := router.New(settings.NewLive(rs), acc, logger)
	must(t, err)
	store := groupware.New(acc, access.New(acc, r))
	private, every := false, time.Hour
	f := New(Options{Accounts: acc, Calendar: store, Log: logger, Config: func() (time.Duration, bool) { return every, private }})
	server := &far{text: calendar("a", "b"), tag: `"1"`}
	there := httptest.NewServer(server)
	defer there.Close()
	ann, err := acc.Account(ctx, "company.com", "ann")
	must(t, err)
	address := there.URL + "/SECRET.ics"
	refused := func(kind fault.Kind, box, address string) {
		t.Helper()
		if err := f.Subscribe(ctx, ann, box, address); !fault.Is(err, kind) {
			t.Errorf("%s: %v, want %v", address, err, kind)
		}
		if _, err := ann.Mail().Status(ctx, box); box != "Calendar" && box != "INBOX" && box != "Far" && !fault.Is(err, fault.NoMailbox) {
			t.Errorf("%s: the calendar is there: %v", address, err)
		}
	}
	names := func() string {
		t.Helper()
		c, err := store.Collection(ctx, ann, store.Between(ann, ann), "Far")
		must(t, err)
		list, err := c.Items(ctx)
		must(t, err)
		var all []string
		for _, i := range list {
			all = append(all, i.Key)
		}
		return strings.Join(all, " ")
	}
	one := func() groupware.Subscription {
		t.Helper()
		list, err := store.Subscriptions(ctx, ann)
		must(t, err)
		if len(list) != 1 {
			t.Fatalf("%v", list)
		}
		return list[0]
	}
	// Nothing on this machine or its network is reached unless the administrator allows it.
	refused(fault.Unavailable, "Far1", address)
	if server.asked != 0 {
		t.Error("a loopback address was asked")
	}
	for _, bad := range []string{"", "x", "ftp://a/b", "https:///x", "https://u:p@host/x", "file:///etc/passwd", "https://" + strings.Repeat("x", maxURL)} {
		refused(fault.Invalid, "Far1", bad)
	}
	private = true
	refused(fault.Exists, "INBOX", address)
	must(t, f.Subscribe(ctx, ann, "Far", address))
	if got := names(); got != "a b" {
		t.Error(got)
	}
	if s := one(); s.URL != address || s.ETag != `"1"` || s.Error != "" || s.Changed == 0 || s.Mailbox != "Far" {
		t.Errorf("%+v", s)
	}
	// Not before it is due, and then with the ETag.
	f.round(ctx)
	if server.asked != 1 {
		t.Errorf("asked %d times", server.asked)
	}
	every = -time.Second
	f.round(ctx)
	if server.asked != 2 || server.reused != 1 || names() != "a b" {
		t.Errorf("asked %d times, %d answers of 304", server.asked, server.reused)
	}
	server.text, server.tag = calendar("b", "c"), `"2"`
	f.round(ctx)
	if got := names(); got != "b c" {
		t.Error(got)
	}
	// What fails changes nothing, and is told.
	for text, change := range map[string]func(){
		"status 500":       func() { server.status = 500 },
		"not a calendar":   func() { server.status, server.text, server.tag = 0, "<html>", "" },
		"more than 10 MB":  func() { server.text = calendar("x") + strings.Repeat(" ", maxSize) },
		"":                 func() { server.text = strings.Replace(calendar("x"), "END:VEVENT", "END:VTODO", 1) },
		"redirections":     func() { server.redirect = "/again" },
		"unsupported prot": func() { server.redirect = "ftp://far.test/x" },
	} {
		server.status, server.redirect, server.tag = 0, "", ""
		change()
		f.round(ctx)
		if s := one(); !strings.Contains(s.Error, text) || s.Error == "" || strings.Contains(s.Error, "SECRET") {
			t.Errorf("%q: %q", text, s.Error)
		}
		if got := names(); got != "b c" {
			t.Errorf("%q: %s", text, got)
		}
	}
	server.status, server.redirect, server.text, server.tag = 0, "", calendar("d"), ""
	f.round(ctx)
	if got := names(); got != "d" || one().Error != "" {
		t.Error(got, one().Error)
	}
	if strings.Contains(log.String(), "SECRET") {
		t.Error("the log has the address")
	}
	must(t, store.EndSubscription(ctx, ann, "Far"))
	if err := store.EndSubscription(ctx, ann, "Far"); !fault.Is(err, fault.NotFound) {
		t.Error(err)
	}
	if names() != "d" {
		t.Error("the calendar is gone")
	}
	if _, err := store.MakeLink(ctx, ann, "Far"); err != nil { // both are kept in one place
		t.Error(err)
	}
	server.text = "no"
	refused(fault.Invalid, "Far2", address)
	stopped, cancel := context.WithCancel(ctx)
	cancel()
	must(t, f.Run(stopped))
}

func TestPublicAddresses(t *testing.T) {
	for text, want := range map[string]bool{"8.8.8.8": true, "2606:4700::1111": true, "127.0.0.1": false, "::1": false, "10.1.2.3": false, "192.168.1.1": false, "169.254.169.254": false,
		"100.64.1.1": false, "::ffff:127.0.0.1": false, "64:ff9b::7f00:1": false, "fe80::1": false, "fd00::1": false, "0.0.0.0": false, "224.0.0.1": false, "2002:7f00:1::": false} {
		if got := public(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}
