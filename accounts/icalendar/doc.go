// Package icalendar knows what a calendar object is: events, tasks, journals and their times. It opens no file and no
// connection.
//
// # Words
//
// An Object is one VCALENDAR: its text, and the tree of its components. A component that repeats has instances. An
// override is a component with RECURRENCE-ID: it describes one instance, or with RANGE=THISANDFUTURE that one and the
// later ones. A Moment is a DATE or DATE-TIME. Civil time is what a clock on the wall shows, as seconds; an instant
// is Unix seconds. A Range goes from its start to before its end.
//
// # Reading
//
// Parse reads any iCalendar text in bounded memory and keeps every byte of it (Object.Text): what is stored and
// returned is what the client wrote. Parse refuses only what has no structure. Object.Validate says whether an
// object may be stored in a calendar (RFC 4791 section 4.1); both say the line and the reason.
//
// # Times
//
// A TZID is a zone of the IANA database whenever its name leads to one: directly, by Microsoft's names, or behind a
// prefix of Mozilla, Evolution or Citadel. Any other is what the VTIMEZONE of the object says. A time that a change
// of the clock skips is counted with the offset before the change, one that occurs twice is the first (RFC 5545
// section 3.3.5). Days and floating times belong to the zone of who looks: callers pass it, usually that of the
// calendar; nil is UTC.
//
// # Repetition
//
// Rules are RFC 5545 section 3.3.10 whole. DTSTART is the first instance and counts, whether or not the rule gives
// it. Expansion goes straight to the asked range. It costs at most DefaultBudget steps; beyond, it ends with
// ErrTooMuchWork. Where RFC 5545 is silent: hours, minutes and seconds go on in real time over a change of the
// clock, days and longer in civil time; a part that is not allowed with a frequency limits the set; UNTIL with a date
// only includes the whole day; EXDATE with a date only excludes the instances of that day.
//
// # Queries
//
// A query of a calendar asks many objects. Object.Summary gives what is kept beside each, and Report answers by it
// calendar-query and free-busy without the file, within one budget for all. A summary that cannot answer says so, and
// so does one of another version: the caller reads the object then, and may keep a new summary. When the summary
// or the data of time zones changes its meaning, its version changes.
//
// RFC 5545, 6868, 7809 (time zones by reference), 4791 sections 4.1, 7.8 to 7.10 and 9.6 to 9.9. RFC 7986, 9073, 9074
// and anything else that is not known is kept.
package icalendar
