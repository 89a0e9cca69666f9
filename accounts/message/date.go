package message

import (
	"bytes"
	"time"
)

// parseDate parses a Date field (RFC 5322 section 3.3 with the obsolete forms that
// occur): the day of the week, seconds and zone may be missing, years may have two digits.
// It reports false for a value that cannot be parsed.
func parseDate(v []byte) (time.Time, bool) {
	v = skipBlank(v)
	if i := bytes.IndexByte(v, ','); i >= 0 && i <= 12 {
		v = v[i+1:]
	} else if len(v) > 4 && !digit(v[0]) {
		v = v[letters(v):] // "Mon 2 Jan": without the comma
	}
	day, v, ok := cutNumber(skipBlank(v), 2)
	if !ok {
		return time.Time{}, false
	}
	v = skipDash(v)
	n := letters(v)
	month, ok := monthNumber(v[:n])
	if !ok {
		return time.Time{}, false
	}
	year, v, ok := cutYear(skipDash(v[n:]))
	if !ok || day < 1 || day > 31 {
		return time.Time{}, false
	}
	hour, minute, second, v, ok := cutClock(skipBlank(v))
	if !ok {
		return time.Time{}, false
	}
	return time.Date(year, month, day, hour, minute, second, 0, zone(skipBlank(v))), true
}

func digit(c byte) bool { return '0' <= c && c <= '9' }

func letters(b []byte) int {
	n := 0
	for n < len(b) && 'a' <= b[n]|0x20 && b[n]|0x20 <= 'z' {
		n++
	}
	return n
}

func cutNumber(b []byte, most int) (int, []byte, bool) {
	n, i := 0, 0
	for i < len(b) && i < most && digit(b[i]) {
		n = n*10 + int(b[i]-'0')
		i++
	}
	return n, b[i:], i > 0
}

// skipDash skips blanks and a hyphen, as in "2-Jan-2026".
func skipDash(b []byte) []byte {
	b = skipBlank(b)
	if len(b) > 0 && b[0] == '-' {
		b = skipBlank(b[1:])
	}
	return b
}

func monthNumber(b []byte) (time.Month, bool) {
	const names = "janfebmaraprmayjunjulaugsepoctnovdec"
	if len(b) < 3 {
		return 0, false
	}
	for m := range 12 {
		if equalFold(b[:3], names[3*m:3*m+3]) {
			return time.Month(m + 1), true
		}
	}
	return 0, false
}

// cutYear reads a year. RFC 5322 section 4.3 defines the meaning of fewer than four digits.
func cutYear(b []byte) (int, []byte, bool) {
	y, rest, ok := cutNumber(b, 4)
	switch n := len(b) - len(rest); {
	case !ok:
		return 0, b, false
	case n == 3, n == 2 && y >= 50:
		y += 1900
	case n == 2:
		y += 2000
	}
	return y, rest, true
}

func cutClock(b []byte) (hour, minute, second int, rest []byte, ok bool) {
	hour, rest, ok = cutNumber(b, 2)
	if !ok || len(rest) == 0 || rest[0] != ':' {
		return 0, 0, 0, rest, false
	}
	minute, rest, ok = cutNumber(rest[1:], 2)
	if ok && len(rest) > 0 && rest[0] == ':' {
		second, rest, ok = cutNumber(rest[1:], 2)
	}
	return hour, minute, second, rest, ok && hour < 24 && minute < 60 && second <= 60
}

// zone parses "+0100" or a name. An unknown zone is UTC (RFC 5322 section 4.3).
func zone(b []byte) *time.Location {
	if len(b) >= 5 && (b[0] == '+' || b[0] == '-') {
		n, rest, _ := cutNumber(b[1:], 4)
		if len(b)-len(rest) == 5 && n%100 < 60 && n < 2400 {
			return zoneAt(b[0] == '-', n/100*60+n%100)
		}
		return time.UTC
	}
	switch string(bytes.ToUpper(b[:letters(b)])) {
	case "EDT":
		return zoneAt(true, 4*60)
	case "EST", "CDT":
		return zoneAt(true, 5*60)
	case "CST", "MDT":
		return zoneAt(true, 6*60)
	case "MST", "PDT":
		return zoneAt(true, 7*60)
	case "PST":
		return zoneAt(true, 8*60)
	}
	return time.UTC
}

func zoneAt(west bool, minutes int) *time.Location {
	if minutes == 0 {
		return time.UTC
	}
	if west {
		minutes = -minutes
	}
	return time.FixedZone("", minutes*60)
}
