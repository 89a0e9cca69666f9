package icalendar

import (
	"strings"
	"testing"
)

// TestRecurrencesWithoutAgreement holds the cases that testdata/recurrence.txt leaves out, because dateutil, from which its
// values come, says otherwise. Starts are civil.
func TestRecurrencesWithoutAgreement(t *testing.T) {
	for _, c := range []struct{ why, zone, start, rule, until, want string }{
		{"DTSTART is the first instance and counts, though the rule does not give it (RFC 5545 section 3.8.5.3). dateutil leaves it out.",
			"", "20260105T090000", "FREQ=WEEKLY;BYDAY=TU;COUNT=3", "20270101T000000Z", "20260105T090000 20260106T090000 20260113T090000"},
		{"A rule whose days never come has DTSTART alone. dateutil gives none.",
			"", "20260105T090000", "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30;UNTIL=20300101T000000Z", "20300101T000000Z", "20260105T090000"},
		{"BYWEEKNO without BYDAY is the weekday of DTSTART: what the rule lacks comes from DTSTART (section 3.3.10). dateutil gives all seven days.",
			"", "20260107T090000", "FREQ=YEARLY;BYWEEKNO=2,20", "20270201T000000Z", "20260107T090000 20260513T090000 20270113T090000"},
		{"BYDAY with and without numbers is the union of both (section 3.3.10). Old dateutil takes the numbered ones only.",
			"", "20260105T090000", "FREQ=MONTHLY;BYDAY=FR,1MO;COUNT=6", "20270101T000000Z",
			"20260105T090000 20260109T090000 20260116T090000 20260123T090000 20260130T090000 20260202T090000"},
		{"UNTIL as a date includes that day, though DTSTART has a time and UNTIL should too. Others stop at midnight before it.",
			"", "20260105T090000", "FREQ=DAILY;UNTIL=20260107", "20270101T000000Z", "20260105T090000 20260106T090000 20260107T090000"},
		{"The year 2021 has no week 53: January 1st of 2022 is in week 52 of 2021. Others count 53 weeks by January 1st.",
			"", "20200103T090000", "FREQ=YEARLY;BYWEEKNO=53;BYDAY=FR", "20270201T000000Z", "20200103T090000 20210101T090000 20270101T090000"},
		{"The week 53 of 2020 reaches into 2021; its days count in the year that they lie in.",
			"", "20201228T090000", "FREQ=YEARLY;BYWEEKNO=53;BYDAY=MO,SA", "20220201T000000Z", "20201228T090000 20210102T090000"},
		{"02:30 does not occur on March 29th: it is counted with the offset before, and is 03:30 (section 3.3.5). Others leave it out, as one may read section 3.3.10.",
			"Europe/Berlin", "20260328T023000", "FREQ=DAILY;COUNT=3", "20270101T000000Z", "20260328T023000 20260329T033000 20260330T023000"},
		{"02:30 and 03:30 of March 29th are the same instant, which occurs once, and uses up two of COUNT.",
			"Europe/Berlin", "20260328T023000", "FREQ=DAILY;BYHOUR=2,3;COUNT=5", "20270101T000000Z", "20260328T023000 20260328T033000 20260329T033000 20260330T023000"},
		{"The 31st of a month that has none is left out, not moved (section 3.3.10).",
			"", "20260131T090000", "FREQ=MONTHLY;COUNT=4", "20270101T000000Z", "20260131T090000 20260331T090000 20260531T090000 20260731T090000"},
		{"February 29th occurs in leap years only; some clients show the 28th.",
			"", "20240229T090000", "FREQ=YEARLY;COUNT=2", "20330101T000000Z", "20240229T090000 20280229T090000"},
	} {
		dt, local := "DTSTART:"+c.start, UTCZone
		if c.zone != "" {
			dt, local = "DTSTART;TZID="+c.zone+":"+c.start, KnownZone(c.zone)
		}
		o := mustParse(t, event(dt, "RRULE:"+c.rule))
		if err := o.Validate(); err != nil {
			t.Fatal(err)
		}
		m, _ := parseMoment(c.until)
		got, err := o.Instances(Range{MinTime, m.Civil}, local, 100)
		if err != nil {
			t.Fatal(err)
		}
		var s []string
		for _, i := range got {
			s = append(s, Moment{Civil: local.Civil(i.Start), Kind: Floating}.String())
		}
		if got := strings.Join(s, " "); got != c.want {
			t.Errorf("%s\n%s %s:\ngot  %s\nwant %s", c.why, c.start, c.rule, got, c.want)
		}
	}
}

// TestTimeRangeTable is the table of RFC 4791 section 9.9: which components take place from 10:00 to 12:00 of a day.
func TestTimeRangeTable(t *testing.T) {
	const p = "20260105T"
	r := rangeOf(p+"100000Z", p+"120000Z")
	allDay := "DTSTART;VALUE=DATE:2026010"
	for _, c := range []struct {
		kind, lines string
		want        bool
	}{
		// DTSTART and DTEND: start < DTEND, end > DTSTART.
		{"VEVENT", "DTSTART:" + p + "090000Z\nDTEND:" + p + "100000Z", false},
		{"VEVENT", "DTSTART:" + p + "090000Z\nDTEND:" + p + "100001Z", true},
		{"VEVENT", "DTSTART:" + p + "120000Z\nDTEND:" + p + "130000Z", false},
		{"VEVENT", "DTSTART:" + p + "115959Z\nDTEND:" + p + "130000Z", true},
		// DURATION above 0.
		{"VEVENT", "DTSTART:" + p + "090000Z\nDURATION:PT1H", false},
		{"VEVENT", "DTSTART:" + p + "090000Z\nDURATION:PT61M", true},
		// No length: start <= DTSTART, end > DTSTART.
		{"VEVENT", "DTSTART:" + p + "100000Z\nDURATION:PT0S", true},
		{"VEVENT", "DTSTART:" + p + "095959Z\nDURATION:PT0S", false},
		{"VEVENT", "DTSTART:" + p + "100000Z", true},
		{"VEVENT", "DTSTART:" + p + "120000Z", false},
		// A date is the whole day.
		{"VEVENT", allDay + "5", true},
		{"VEVENT", allDay + "4", false},
		{"VEVENT", allDay + "6", false},

		// A task with DTSTART and DURATION: start <= DTSTART+DURATION, and end > DTSTART or end >= DTSTART+DURATION.
		{"VTODO", "DTSTART:" + p + "090000Z\nDURATION:PT1H", true},
		{"VTODO", "DTSTART:" + p + "090000Z\nDURATION:PT59M", false},
		{"VTODO", "DTSTART:" + p + "120000Z\nDURATION:PT1H", false},
		{"VTODO", "DTSTART:" + p + "120000Z\nDURATION:PT0S", true},
		// DTSTART and DUE: start < DUE or start <= DTSTART, and end > DTSTART or end >= DUE.
		{"VTODO", "DTSTART:" + p + "090000Z\nDUE:" + p + "100000Z", false},
		{"VTODO", "DTSTART:" + p + "090000Z\nDUE:" + p + "100001Z", true},
		{"VTODO", "DTSTART:" + p + "120000Z\nDUE:" + p + "130000Z", false},
		// DTSTART alone: start <= DTSTART, end > DTSTART.
		{"VTODO", "DTSTART:" + p + "100000Z", true},
		{"VTODO", "DTSTART:" + p + "120000Z", false},
		// DUE alone: start < DUE, end >= DUE.
		{"VTODO", "DUE:" + p + "100000Z", false},
		{"VTODO", "DUE:" + p + "120000Z", true},
		{"VTODO", "DUE:" + p + "120001Z", false},
		// COMPLETED and CREATED: start <= CREATED or start <= COMPLETED, and end >= CREATED or end >= COMPLETED.
		{"VTODO", "CREATED:" + p + "080000Z\nCOMPLETED:" + p + "130000Z", true},
		{"VTODO", "CREATED:" + p + "080000Z\nCOMPLETED:" + p + "090000Z", false},
		{"VTODO", "CREATED:" + p + "130000Z\nCOMPLETED:" + p + "140000Z", false},
		// COMPLETED alone: start <= COMPLETED, end >= COMPLETED.
		{"VTODO", "COMPLETED:" + p + "100000Z", true},
		{"VTODO", "COMPLETED:" + p + "120000Z", true},
		{"VTODO", "COMPLETED:" + p + "120001Z", false},
		// CREATED alone: end > CREATED.
		{"VTODO", "CREATED:" + p + "080000Z", true},
		{"VTODO", "CREATED:" + p + "120000Z", false},
		// No time at all.
		{"VTODO", "SUMMARY:x", true},

		// A journal has a time or a day.
		{"VJOURNAL", "DTSTART:" + p + "100000Z", true},
		{"VJOURNAL", "DTSTART:" + p + "120000Z", false},
		{"VJOURNAL", allDay + "5", true},
		{"VJOURNAL", allDay + "4", false},
		{"VJOURNAL", "SUMMARY:x", false},

		// Busy time with DTSTART and DTEND: start <= DTEND, end > DTSTART.
		{"VFREEBUSY", "DTSTART:" + p + "090000Z\nDTEND:" + p + "100000Z", true},
		{"VFREEBUSY", "DTSTART:" + p + "090000Z\nDTEND:" + p + "095959Z", false},
		{"VFREEBUSY", "DTSTART:" + p + "120000Z\nDTEND:" + p + "130000Z", false},
		// Its periods, without them: start < period end, end > period start.
		{"VFREEBUSY", "FREEBUSY:" + p + "080000Z/PT1H," + p + "110000Z/PT1H", true},
		{"VFREEBUSY", "FREEBUSY:" + p + "090000Z/PT1H," + p + "120000Z/PT1H", false},
		{"VFREEBUSY", "DTSTART:" + p + "090000Z\nFREEBUSY:" + p + "110000Z/PT1H", true},
		{"VFREEBUSY", "SUMMARY:x", false},

		// An alarm: start <= trigger, end > trigger, and so for each repetition.
		{"VALARM", "TRIGGER:-PT1H", true}, // of an event at 11:00
		{"VALARM", "TRIGGER:-PT61M", false},
		{"VALARM", "TRIGGER:PT1H", false},
		{"VALARM", "TRIGGER;RELATED=END:-PT1H", true}, // which ends at 12:30
		{"VALARM", "TRIGGER;RELATED=END:PT0S", false},
		{"VALARM", "TRIGGER;VALUE=DATE-TIME:" + p + "100000Z", true},
		{"VALARM", "TRIGGER;VALUE=DATE-TIME:" + p + "120000Z", false},
		{"VALARM", "TRIGGER:-PT2H\nREPEAT:2\nDURATION:PT30M", true},
		{"VALARM", "TRIGGER:-PT2H\nREPEAT:1\nDURATION:PT30M", false},
		{"VALARM", "TRIGGER:-PT2H\nREPEAT:9\nDURATION:PT4H", false},
	} {
		f := CompFilter{Name: c.kind, TimeRange: &r}
		lines := "BEGIN:" + c.kind + "\nUID:1\nDTSTAMP:20260101T000000Z\n" + c.lines + "\nEND:" + c.kind
		if c.kind == "VALARM" {
			lines = "BEGIN:VEVENT\nUID:1\nDTSTAMP:20260101T000000Z\nDTSTART:" + p + "110000Z\nDTEND:" + p + "123000Z\n" + lines + "\nEND:VEVENT"
			f = CompFilter{Name: "VEVENT", Comps: []CompFilter{f}}
		}
		o := mustParse(t, "BEGIN:VCALENDAR\nVERSION:2.0\n"+lines+"\nEND:VCALENDAR\n")
		if err := o.Validate(); err != nil {
			t.Errorf("%s: %v", c.lines, err)
		}
		root := &CompFilter{Name: "VCALENDAR", Comps: []CompFilter{f}}
		if got, err := o.Match(root, nil); err != nil || got != c.want {
			t.Errorf("%s %q: %v, %v", c.kind, c.lines, got, err)
		}
		if got, known, err := NewReport(nil).MatchSummary(o.Summary(), root); err != nil || !known || got != c.want {
			t.Errorf("%s %q: the summary says %v, known %v, %v", c.kind, c.lines, got, known, err)
		}
		if span, err := o.Span(); c.want && (err != nil || span.Start > r.End || span.End < r.Start) {
			t.Errorf("%s %q: the span is %v, %v", c.kind, c.lines, span, err)
		}
	}
}

func TestLimits(t *testing.T) {
	override := func(id, start string) string {
		return "BEGIN:VEVENT\r\nUID:1\r\nDTSTAMP:20260101T000000Z\r\nRECURRENCE-ID:" + id + "\r\nDTSTART:" + start + "\r\nSUMMARY:" + id + "\r\nEND:VEVENT\r\n"
	}
	master := "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\nUID:1\r\nDTSTAMP:20260101T000000Z\r\nDTSTART:20260105T090000Z\r\nDURATION:PT1H\r\nRRULE:FREQ=DAILY\r\nEND:VEVENT\r\n"
	in, into, outOf, outside := override("20260110T090000Z", "20260110T100000Z"), override("20260120T090000Z", "20260111T090000Z"),
		override("20260112T090000Z", "20260120T090000Z"), override("20260121T090000Z", "20260122T090000Z")
	r := rangeOf("20260110T000000Z", "20260113T000000Z")
	o := mustParse(t, master+in+into+outOf+outside+"END:VCALENDAR\r\n")
	got, err := o.Retrieve(&Retrieval{LimitRecurrence: &r}, nil)
	if want := master + in + into + outOf + "END:VCALENDAR\r\n"; err != nil || string(got) != want {
		t.Errorf("limit-recurrence-set: %v\n%s", err, got)
	}

	busy := func(lines ...string) string {
		return "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VFREEBUSY\r\nUID:1\r\n" + strings.Join(lines, "") + "END:VFREEBUSY\r\nEND:VCALENDAR\r\n"
	}
	o = mustParse(t, busy("FREEBUSY:20260109T090000Z/PT1H,20260110T090000Z/PT1H,20260112T230000Z/20260113T010000Z\r\n",
		"FREEBUSY;FBTYPE=BUSY-TENTATIVE:20260113T000000Z/PT1H\r\n", "FREEBUSY:20260111T090000Z/PT1H\r\n"))
	got, err = o.Retrieve(&Retrieval{LimitFreeBusy: &r}, nil)
	if want := busy("FREEBUSY:20260110T090000Z/PT1H,20260112T230000Z/20260113T010000Z\r\n", "FREEBUSY:20260111T090000Z/PT1H\r\n"); err != nil || string(got) != want {
		t.Errorf("limit-freebusy-set: %v\n%s", err, got)
	}
}

// TestBombs asks objects that are made to cost much: each answer comes within the budget.
func TestBombs(t *testing.T) {
	many := func(n int, line func(n int) string) string {
		var b strings.Builder
		for i := range n {
			b.WriteString(line(i))
		}
		return b.String()
	}
	var ordinals, yearDays []string
	for range 700 {
		ordinals, yearDays = append(ordinals, "53MO"), append(yearDays, "366")
	}
	stamp := func(n int) string { return Moment{Civil: dayNumber(2026, 1, 1)*day + int64(n), Kind: UTC}.String() }
	for name, text := range map[string]string{
		"ordinals":  event("DTSTART:20260101T000000Z", "RRULE:FREQ=YEARLY;BYSETPOS=366;BYDAY="+strings.Join(ordinals, ",")),
		"year days": event("DTSTART:20260101T000000Z", "RRULE:FREQ=WEEKLY;BYSETPOS=8;BYYEARDAY="+strings.Join(yearDays, ",")),
		"overrides": event("DTSTART:20260101T000000Z", "RRULE:FREQ=SECONDLY", "END:VEVENT", strings.TrimSuffix(many(5000, func(n int) string {
			return "BEGIN:VEVENT\r\nUID:1\r\nRECURRENCE-ID;RANGE=THISANDFUTURE:" + stamp(n) + "\r\nDTSTART:" + stamp(n+7) + "\r\nEND:VEVENT\r\n"
		}), "END:VEVENT\r\n")),
		"zone": "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VTIMEZONE\r\nTZID:x\r\n" + many(2000, func(int) string {
			return "BEGIN:STANDARD\r\nDTSTART:19000101T000000\r\nTZOFFSETFROM:+0100\r\nTZOFFSETTO:+0200\r\nRRULE:FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30\r\nEND:STANDARD\r\n"
		}) + "END:VTIMEZONE\r\nBEGIN:VEVENT\r\nUID:1\r\nDTSTART;TZID=x:20260101T000000\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n",
		"zones": "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\nUID:1\r\nDTSTART:20260101T000000Z\r\n" + many(5000, func(n int) string {
			return "RDATE;TZID=Etc/No/Where" + stamp(n) + ":20260101T000000\r\n"
		}) + "END:VEVENT\r\nEND:VCALENDAR\r\n",
		"alarms": event("DTSTART:20260101T000000Z", "RRULE:FREQ=SECONDLY", many(2000, func(int) string {
			return "BEGIN:VALARM\r\nTRIGGER:-P9000D\r\nREPEAT:1000\r\nDURATION:PT1S\r\nEND:VALARM\r\n"
		})),
	} {
		o := mustParse(t, text)
		r := Range{dayNumber(2400, 1, 1) * day, MaxTime}
		f := &CompFilter{Name: "VCALENDAR", Comps: []CompFilter{{Name: "VEVENT", TimeRange: &r, Comps: []CompFilter{{Name: "VALARM", TimeRange: &r}}}}}
		report := NewReport(nil)
		if _, err := report.Match(o, f); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := report.Busy(o, r); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := o.Span(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if spent := ReportBudget - report.left; spent > 3*DefaultBudget {
			t.Errorf("%s cost %d", name, spent)
		}
	}
}
