package wire

import "time"

const months = "JanFebMarAprMayJunJulAugSepOctNovDec"

// Date reads a date, quoted or not: 1-Feb-1994 (RFC 9051 section 9, date). It
// is returned as midnight UTC.
func (p *Parser) Date() time.Time {
	quoted := p.Skip('"')
	day := p.digits(1, 2)
	month, year := p.monthYear()
	if quoted {
		p.Expect('"')
	}
	return p.date(year, month, day, 0, 0, 0, time.UTC)
}

// DateTime reads a quoted date-time: " 1-Feb-1994 21:52:25 -0800".
func (p *Parser) DateTime() time.Time {
	p.Expect('"')
	p.Skip(' ')
	day := p.digits(1, 2)
	month, year := p.monthYear()
	p.Expect(' ')
	hour := p.digits(2, 2)
	p.Expect(':')
	minute := p.digits(2, 2)
	p.Expect(':')
	second := p.digits(2, 2)
	p.Expect(' ')
	sign := 1
	if p.Skip('-') {
		sign = -1
	} else {
		p.Expect('+')
	}
	zone := p.digits(4, 4)
	p.Expect('"')
	if p.OK() && (hour > 23 || minute > 59 || second > 60 || zone/100 > 23 || zone%100 > 59) {
		p.Fail("no such time")
	}
	offset := sign * (zone/100*3600 + zone%100*60)
	return p.date(year, month, day, hour, minute, second, time.FixedZone("", offset))
}

func (p *Parser) monthYear() (month, year int) {
	p.Expect('-')
	name := p.run(atomChar)
	// The run takes "Feb-1994" whole: a hyphen is an atom character.
	if len(name) != 8 || name[3] != '-' {
		p.Fail("a date expected, as 1-Feb-1994")
		return 0, 0
	}
	for _, c := range name[4:] {
		if c < '0' || c > '9' {
			p.Fail("a date expected, as 1-Feb-1994")
			return 0, 0
		}
		year = year*10 + int(c-'0')
	}
	for m := range 12 {
		if equalFold(name[:3], months[3*m:3*m+3]) {
			return m + 1, year
		}
	}
	p.Fail("there is no month of that name")
	return 0, 0
}

// digits reads a number of some digits.
func (p *Parser) digits(least, most int) int {
	d := p.run(digitChar)
	if len(d) < least || len(d) > most {
		p.Fail("a date or time is malformed")
		return 0
	}
	n := 0
	for _, c := range d {
		n = n*10 + int(c-'0')
	}
	return n
}

func (p *Parser) date(year, month, day, hour, minute, second int, zone *time.Location) time.Time {
	if !p.OK() {
		return time.Time{}
	}
	t := time.Date(year, time.Month(month), day, hour, minute, second, 0, zone)
	if day == 0 || second < 60 && t.Day() != day {
		p.Fail("there is no such day")
	}
	return t
}

// equalFold compares with a text of ASCII letters.
func equalFold(b []byte, s string) bool {
	if len(b) != len(s) {
		return false
	}
	for i := range b {
		if b[i]|0x20 != s[i]|0x20 {
			return false
		}
	}
	return true
}

// AppendDateTime appends a date-time in its quotes: " 1-Feb-1994 21:52:25 -0800". Years
// beyond four digits can't be written; they become 9999, and years before 0 become 0.
func AppendDateTime(dst []byte, t time.Time) []byte {
	if y := t.Year(); y > 9999 {
		t = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
	} else if y < 0 {
		t = time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	return t.AppendFormat(dst, `"_2-Jan-2006 15:04:05 -0700"`)
}
