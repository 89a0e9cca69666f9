package dav

import (
	"regexp"
	"strings"
	"testing"

	"gatepost/server/dataformat"
)

// A secret link shows one calendar to everybody who knows it, until it is ended or another is made.
func TestSecretLinks(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	f.want(201, f.do("MKCALENDAR", "/CalDAV/Team/", ""))
	f.want(201, f.do("MKCOL", "/CardDAV/Book/", ""))
	f.want(201, f.do("PUT", "/CalDAV/Team/a.ics", event("a", "DTSTART:20260210T120000Z\nSUMMARY:"+secret+"\n")))
	ann, err := f.accounts.Account(ctx, "company.com", "ann")
	must(t, err)
	bob, err := f.accounts.Account(ctx, "company.com", "bob")
	must(t, err)
	store := f.server.store
	word, err := store.MakeLink(ctx, ann, "Team")
	must(t, err)
	if len(word) < 32 {
		t.Error(word)
	}
	f.user = ""
	at := func(word string) string { return "/CalendarData/.link/ann@company.com/" + word + ".ics" }
	a := f.want(200, f.do("GET", at(word), ""))
	if !strings.Contains(a.body, secret) || a.header.Get("Content-Type") != "text/calendar; charset=utf-8" {
		t.Errorf("%v", a)
	}
	f.want(304, f.do("GET", at(word), "", "If-None-Match", a.header.Get("ETag")))
	f.want(200, f.do("HEAD", at(word), ""))
	f.want(200, f.do("GET", at(strings.ToUpper(word)), ""))
	for _, method := range []string{"PUT", "DELETE", "PROPFIND", "POST"} {
		f.want(405, f.do(method, at(word), ""))
	}
	gone := f.want(404, f.do("GET", at("x"), ""))
	for _, path := range []string{at(""), at(word + "x"), "/CalendarData/.link/ann/" + word, "/CalendarData/.link/bob@company.com/" + word + ".ics", "/CalendarData/.link/nobody@company.com/" + word,
		"/CalendarData/.link/" + word, "/CalendarData/.link/", at(word) + "/", "/CalendarData/.link/ann@company.com/a/" + word} {
		if a := f.do("GET", path, ""); a.status != 404 || a.body != gone.body {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	// The link is about the mailbox, not its name, and there is one of each.
	must(t, f.accounts.RenameMailbox(ctx, ann, "Team", "Crew"))
	f.want(200, f.do("GET", at(word), ""))
	other, err := store.MakeLink(ctx, ann, "Crew")
	must(t, err)
	f.want(404, f.do("GET", at(word), ""))
	f.want(200, f.do("GET", at(other), ""))
	if list, err := store.Links(ctx, ann); err != nil || len(list) != 1 || list[0].Mailbox != "Crew" {
		t.Errorf("%v, %v", list, err)
	}
	must(t, store.EndLink(ctx, ann, "Crew"))
	f.want(404, f.do("GET", at(other), ""))
	if store.EndLink(ctx, ann, "Crew") == nil {
		t.Error("a link that there is none of is ended")
	}
	for _, box := range []string{"Book", "INBOX", "None"} {
		if _, err := store.MakeLink(ctx, ann, box); err == nil {
			t.Errorf("%s has a link", box)
		}
	}
	// A mailbox that is deleted takes its link along, and an account without calendars shows none.
	again, err := store.MakeLink(ctx, ann, "Crew")
	must(t, err)
	must(t, f.accounts.AccountSettings("company.com", "ann").Update(ctx, dataformat.Dict{"AccessModes": dataformat.Array{dataformat.String("Mail")}}))
	f.want(404, f.do("GET", at(again), ""))
	must(t, f.accounts.AccountSettings("company.com", "ann").Update(ctx, dataformat.Dict{"AccessModes": dataformat.String("All")}))
	f.want(200, f.do("GET", at(again), ""))
	must(t, ann.Mail().DeleteMailbox(ctx, "Crew"))
	f.want(404, f.do("GET", at(again), ""))
	if list, err := store.Links(ctx, bob); err != nil || len(list) != 0 {
		t.Errorf("%v, %v", list, err)
	}
	if log := f.log.String(); strings.Contains(log, word) || strings.Contains(log, other) || !strings.Contains(log, "/CalendarData/.link/") {
		t.Errorf("the log has a secret, or nothing of the link: %s", regexp.MustCompile(`.*(link|GET).*`).FindAllString(log, 5))
	}
}
