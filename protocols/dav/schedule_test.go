package dav

import (
	"context"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatepost/accounts/access"
	"gatepost/accounts/delivery"
	"gatepost/accounts/groupware"
	"gatepost/accounts/scheduling"
	"gatepost/queue"
	"gatepost/router"
	"gatepost/server/dataformat"
	"gatepost/server/settings"
)

func loaded[T any](t testing.TB) *settings.Live[T] {
	v := new(T)
	must(t, settings.Load(v, nil))
	return settings.NewLive(v)
}

// newOffice is newFixture with a queue and LOCAL, so that invitations arrive. wait waits for them.
func newOffice(t testing.TB) (f *fixture, wait func()) {
	f = newFixture(t)
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	dir := t.TempDir()
	counter, err := queue.OpenCounter(filepath.Join(dir, "counter"), filepath.Join(dir, "Queue"), 1000)
	must(t, err)
	r, err := router.New(loaded[router.Settings](t), f.accounts, log)
	must(t, err)
	q, err := queue.Open(filepath.Join(dir, "Queue"), queue.Options{Settings: loaded[queue.Settings](t), Router: r, Counter: counter,
		MainDomain: f.accounts.MainDomain, AllAccounts: delivery.AllAccounts(f.accounts), Log: log})
	must(t, err)
	a := access.New(f.accounts, r)
	x := scheduling.New(scheduling.Options{Accounts: f.accounts, Groupware: groupware.New(f.accounts, a), Router: r, Queue: q, Settings: loaded[scheduling.Settings](t), Log: log})
	local := delivery.New(f.accounts, q, a, nil, loaded[delivery.Settings](t), log)
	local.UseCalendars(x)
	q.Handle(router.LOCAL, local)
	must(t, local.ForgetBut(t.Context(), q.Has))
	f.server.UseScheduling(x)
	must(t, f.server.MountFreeBusy(f.http))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); q.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done; must(t, q.Close()) })
	return f, func() {
		for end := time.Now().Add(20 * time.Second); q.Len() > 0; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("the queue is not empty")
			}
		}
	}
}

func TestScheduling(t *testing.T) {
	f, wait := newOffice(t)
	f.wait = wait
	f.play("scheduling.txt")
}

func TestFreeBusyFile(t *testing.T) {
	f, _ := newOffice(t)
	day := time.Now().UTC().AddDate(0, 0, 2).Format("20060102")
	f.want(201, f.do("PUT", "/CalDAV/Calendar/b.ics", event("b", "DTSTART:"+day+"T090000Z\nDTEND:"+day+"T100000Z\n")))
	busy := "FREEBUSY:" + day + "T090000Z/" + day + "T100000Z"
	get := func(user, path string, status int, text string) {
		t.Helper()
		f.user = user
		if a := f.want(status, f.do("GET", path, "")); !strings.Contains(a.body, text) {
			t.Errorf("%s: %s", path, a.body)
		}
	}
	get("bob@company.com", "/~ann/freebusy.vfb", 200, busy)
	get("bob@company.com", "/~ann@company.com/freebusy.vfb", 200, busy)
	get("bob@company.com", "/~nobody/freebusy.vfb", 404, "")
	get("", "/~ann/freebusy.vfb", 401, "")
	get("", "/~nobody/freebusy.vfb", 401, "")
	show := func(who string) {
		must(t, f.accounts.AccountPrefs("company.com", "ann").Update(t.Context(), dataformat.Dict{"ShowFreeBusy": dataformat.String(who)}))
	}
	show("Everybody")
	get("", "/~ann/freebusy.vfb", 200, busy)
	get("", "/~ann/other.vfb", 404, "")
	show("Nobody")
	get("bob@company.com", "/~ann/freebusy.vfb", 404, "")
	get("ann@company.com", "/~ann/freebusy.vfb", 200, busy)
}

func TestScheduleTag(t *testing.T) {
	f, wait := newOffice(t)
	invite := event("tag1", "DTSTART:20300310T090000Z\nDTEND:20300310T100000Z\nORGANIZER:mailto:ann@company.com\nATTENDEE;PARTSTAT=ACCEPTED:mailto:ann@company.com\n"+
		"ATTENDEE;PARTSTAT=NEEDS-ACTION:mailto:bob@company.com\n")
	a := f.want(201, f.do("PUT", "/CalDAV/Calendar/t.ics", invite, "If-None-Match", "*"))
	if a.header.Get("ETag") != "" {
		t.Error("an ETag of a text that is not the client's")
	}
	tag := a.header.Get("Schedule-Tag")
	wait()
	f.user = "bob@company.com"
	got := f.want(200, f.do("GET", "/CalDAV/Calendar/tag1.ics", ""))
	f.want(204, f.do("PUT", "/CalDAV/Calendar/tag1.ics", strings.Replace(got.body, "NEEDS-ACTION", "ACCEPTED", 1), "If-Schedule-Tag-Match", got.header.Get("Schedule-Tag")))
	wait()
	f.user = "ann@company.com"
	after := f.want(200, f.do("GET", "/CalDAV/Calendar/t.ics", ""))
	if after.header.Get("Schedule-Tag") != tag || tag == "" {
		t.Errorf("a reply changes the Schedule-Tag from %q to %q", tag, after.header.Get("Schedule-Tag"))
	}
	if !strings.Contains(strings.ReplaceAll(after.body, "\r\n ", ""), "PARTSTAT=ACCEPTED;SCHEDULE-STATUS=2.0") {
		t.Errorf("the answer is not there:\n%s", after.body)
	}
	// Ann changes the title of what she has read before the answer came.
	changed := strings.Replace(invite, "BEGIN:VEVENT\r\n", "BEGIN:VEVENT\r\nSUMMARY:New\r\n", 1)
	f.want(412, f.do("PUT", "/CalDAV/Calendar/t.ics", changed, "If-Schedule-Tag-Match", `"other"`))
	f.want(204, f.do("PUT", "/CalDAV/Calendar/t.ics", changed, "If-Schedule-Tag-Match", tag))
	wait()
	if after = f.do("GET", "/CalDAV/Calendar/t.ics", ""); strings.Count(after.body, "PARTSTAT=ACCEPTED") != 2 || after.header.Get("Schedule-Tag") == tag {
		t.Errorf("the answer is lost, or the tag is the same:\n%s", after.body)
	}
}
