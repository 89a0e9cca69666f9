// Package interchange reads and writes files of calendars and contacts, as programs export them: iCalendar streams (.ics) and
// vCards one after another (.vcf).
//
// Open goes through a file once and remembers where each object is, so that a file of any size costs the memory of its
// index: some 200 bytes for an object. An object of a calendar is all components of one UID, with the time zones that
// they name; METHOD and names of the calendar as a whole are left out. What is no object is a Problem, with its line, and
// the others are read all the same.
//
// Text makes an object fit for storage: lines end in CRLF, an object without UID gets one that follows from its bytes, so
// that a second import finds it again; a card of version 2.1 becomes one of 3.0, and a card without FN gets one.
//
// A Writer makes one file of many objects.
//
// RFC 5545 section 3.4, RFC 6350 section 3.2.
package interchange
