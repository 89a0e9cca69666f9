package icalendar

// Reasons that hold for more than one case.
const (
	firstOfTwo = "A time that occurs twice is the first of the two (RFC 5545 section 3.3.5). It takes the second."
	realHours  = "Hours are real ones: the text has none for what the clock shows twice or not at all (section 3.3.10). It repeats an hour, or leaves one out."
	nominalDay = "P1D is a day of the clock, of 23 or 25 hours where the clock changes (section 3.3.6). It takes 24 hours."
	andFuture  = "RANGE=THISANDFUTURE moves the later instances too (section 3.2.13). It does not know the parameter."
	periods    = "It fails at PERIOD values of RDATE, which section 3.8.5.2 allows."
	prefixed   = "The prefix of a program stands before a name of the IANA database. It takes the time for UTC."
)

// pythonDiffers are the cases of testdata/series.txt in which python3-recurring-ical-events says otherwise, and why.
var pythonDiffers = map[string]string{
	"RFC 5545 3.8.5.3: every 20th Monday of the year, forever": "The RFC lists 1997, 1998 and 1999. It reads the number 20 as 2 and finds none after DTSTART.",
	"RFC 5545 3.8.5.2: RDATE with a period":                    periods,
	"RDATE with a period in its own length":                    periods,
	"overlap: daily at 02:30 over the end of summer time":      firstOfTwo,
	"overlap: weekly at 02:00":                                 firstOfTwo,
	"zone: its own rules, the overlap":                         firstOfTwo,
	"length: a day over the start of summer time has 23 hours": nominalDay,
	"length: a day over the end of summer time has 25 hours":   nominalDay,
	"hourly over the start of summer time":                     realHours,
	"hourly over the end of summer time":                       realHours,
	"a zone that left out a day: Apia in December 2011":        "Noon of December 30th, counted with the offset before, is noon of the 31st: one instance. It gives that one twice.",
	"UNTIL in UTC is the last start itself":                    "UNTIL is inclusive (section 3.3.10). It compares it with the offset of DTSTART, an hour off after the change of the clock.",
	"EXDATE as a date":                                         "Section 3.8.5.1 asks for the type of DTSTART. Programs write the date and mean the day; it excludes nothing then.",
	"two rules":                                                "Section 3.8.5.3 says SHOULD NOT, so that calendars have them: the union. It refuses them.",
	"this and future: two hours later":                         andFuture,
	"this and future: a day earlier and shorter":               andFuture,
	"this and future: then one override more":                  andFuture,
	"this and future: two of them":                             andFuture,
	"this and future: over the start of summer time":           andFuture,
	"zone: the prefix of an old Mozilla":                       prefixed,
	"zone: the prefix of Evolution":                            prefixed,
	"zone: its own rules with an end":                          "UNTIL of a VTIMEZONE is in UTC (section 3.6.5). It fails at it.",
}

// libraryDiffers are the rules in which rrule-go says otherwise, and why.
var libraryDiffers = map[string]string{
	"19970902T090000 FREQ=HOURLY;INTERVAL=3;UNTIL=19970902T170000": "UNTIL without Z is in the zone of DTSTART. It reads it as UTC.",
	"20210103T081500 FREQ=YEARLY;BYWEEKNO=53;BYDAY=SU":             "2021 has 52 weeks (section 3.3.10, BYWEEKNO). It counts a 53rd that ends on January 2nd of 2022.",
	"overlap: daily at 02:30 over the end of summer time":          firstOfTwo,
	"overlap: weekly at 02:00":                                     firstOfTwo,
	"EXDATE in the overlap of the clock":                           firstOfTwo + " EXDATE names the first, so that it excludes nothing there.",
	"hourly over the start of summer time":                         realHours,
	"hourly over the end of summer time":                           realHours,
	"a position that the set does not have":                        "DTSTART is the first instance whether or not the rule gives it (section 3.8.5.3). It leaves it out.",
}
