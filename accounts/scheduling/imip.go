package scheduling

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"mime"
	"mime/quotedprintable"
	"strconv"
	"strings"
	"time"

	"gatepost/accounts"
	"gatepost/accounts/groupware"
	"gatepost/accounts/icalendar"
)

const product = "-//Gatepost//Calendar//EN"

// The parameters that are of one copy, and not told.
var ownParams = []string{"SCHEDULE-AGENT", "SCHEDULE-STATUS", "SCHEDULE-FORCE-SEND", paramReplied}

// paramReplied keeps with an attendee the DTSTAMP of his last reply, so that an older one changes nothing.
const paramReplied = "X-REPLIED"

// calendarText makes the iTIP text of a notice. sentBy is the address of the user who acts for the owner of the calendar, or "".
func (n *notice) calendarText(now time.Time, own func(string) bool, sentBy string) []byte {
	root := &node{name: "VCALENDAR", lines: []line{newLine("VERSION", "2.0"), newLine("PRODID", product), newLine("METHOD", n.method)}}
	root.inner = append(root.inner, n.from.zonesOf(n.parts)...)
	for _, p := range n.parts {
		p = p.clone()
		var inner []*node
		for _, i := range p.inner {
			if i.name != "VALARM" {
				inner = append(inner, i)
			}
		}
		p.inner = inner
		p.removeNamed("CREATED", "LAST-MODIFIED")
		p.remove(func(l *line) bool { return strings.HasPrefix(l.Name, "X-MOZ-") })
		p.set(newLine("DTSTAMP", icalendar.Moment{Civil: now.Unix(), Kind: icalendar.UTC}.String()))
		if p.line("SEQUENCE") == nil {
			p.set(newLine("SEQUENCE", "0"))
		}
		if n.method == "CANCEL" {
			p.removeNamed("RRULE", "RDATE", "EXDATE", "EXRULE")
			p.remove(func(l *line) bool { return l.Name == "ATTENDEE" && !contains(n.to, l.address()) })
			p.set(newLine("STATUS", "CANCELLED"))
			p.set(newLine("SEQUENCE", strconv.Itoa(p.number("SEQUENCE")+n.raise)))
		}
		for i := range p.lines {
			l := &p.lines[i]
			if l.Name != "ATTENDEE" && l.Name != "ORGANIZER" {
				continue
			}
			for _, name := range ownParams {
				if _, there := l.Param(name); there {
					l.setParam(name, "")
				}
			}
			if sentBy != "" && own(l.address()) && (l.Name == "ORGANIZER") == (n.method != "REPLY") {
				l.setParam("SENT-BY", "mailto:"+sentBy)
			}
		}
		root.inner = append(root.inner, p)
	}
	return root.append(nil)
}

func contains(list []string, s string) bool {
	for _, other := range list {
		if other == s {
			return true
		}
	}
	return false
}

// letter is the mail of a notice.
type letter struct {
	owner    *accounts.Account
	from     string // the address of the owner as the event has it
	sender   string // of the user who acts for him, or ""
	to       []string
	method   string
	calendar []byte
	part     *node
	object   *object
	now      time.Time
	quiet    bool
}

// headerQuiet is a field of messages that only bring copies of accounts of this server up to date: nobody reads them.
const headerQuiet = "X-Calendar-Update"

// bytes writes the message: a text for people and the same as iTIP, and that once more as a file (RFC 6047 section 2.4).
func (m *letter) bytes() []byte {
	words := wordsFor(m.owner)
	subject, text := m.words(words)
	var b bytes.Buffer
	field := func(name, value string) { fmt.Fprintf(&b, "%s: %s\r\n", name, value) }
	domain := m.owner.Domain
	thread := sha256.Sum256([]byte(m.object.uid()))
	name := strings.TrimSpace(m.owner.Settings().RealName)
	from := "<" + m.from + ">"
	if name != "" {
		from = phrase(name) + " " + from
	}
	field("From", from)
	if m.sender != "" {
		field("Sender", "<"+m.sender+">")
	}
	field("To", "<"+strings.Join(m.to, ">,\r\n\t<")+">")
	field("Date", m.now.In(locationOf(m.owner)).Format("Mon, 02 Jan 2006 15:04:05 -0700"))
	field("Subject", encoded(subject))
	field("Message-ID", "<calendar."+rand.Text()+"@"+domain+">")
	field("References", "<calendar."+hex.EncodeToString(thread[:12])+"@"+domain+">")
	field("Auto-Submitted", "auto-generated")
	if m.quiet {
		field(headerQuiet, "yes")
	}
	field("MIME-Version", "1.0")
	mixed, alternative := "mixed-"+rand.Text(), "alternative-"+rand.Text()
	field("Content-Type", "multipart/mixed; boundary=\""+mixed+"\"")
	fmt.Fprintf(&b, "\r\n--%s\r\nContent-Type: multipart/alternative; boundary=\"%s\"\r\n", mixed, alternative)
	fmt.Fprintf(&b, "\r\n--%s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n", alternative)
	q := quotedprintable.NewWriter(&b)
	_, _ = q.Write([]byte(strings.ReplaceAll(text, "\n", "\r\n"))) // into memory
	_ = q.Close()
	fmt.Fprintf(&b, "\r\n--%s\r\nContent-Type: text/calendar; charset=utf-8; method=%s; component=%s\r\nContent-Transfer-Encoding: base64\r\n\r\n", alternative, m.method, m.part.name)
	writeBase64(&b, m.calendar)
	fmt.Fprintf(&b, "\r\n--%s--\r\n", alternative)
	fmt.Fprintf(&b, "\r\n--%s\r\nContent-Type: application/ics; name=\"invite.ics\"\r\nContent-Disposition: attachment; filename=\"invite.ics\"\r\nContent-Transfer-Encoding: base64\r\n\r\n", mixed)
	writeBase64(&b, m.calendar)
	fmt.Fprintf(&b, "\r\n--%s--\r\n", mixed)
	return b.Bytes()
}

func writeBase64(b *bytes.Buffer, text []byte) {
	for len(text) > 0 {
		n := min(len(text), 57)
		b.WriteString(base64.StdEncoding.EncodeToString(text[:n]))
		b.WriteString("\r\n")
		text = text[n:]
	}
}

// oneLine is a text without line breaks and control characters, not too long.
func oneLine(s string) string {
	s = strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))), " ")
	if len(s) > 300 {
		s = strings.ToValidUTF8(s[:300], "") + "…"
	}
	return s
}

// encoded is a text of a header field: encoded words, each on its line.
func encoded(s string) string {
	s = oneLine(s)
	if q := mime.QEncoding.Encode("utf-8", s); q != s {
		return strings.ReplaceAll(mime.BEncoding.Encode("utf-8", s), "?= =?", "?=\r\n =?")
	}
	return s
}

// phrase is a display name.
func phrase(s string) string {
	s = oneLine(s)
	if q := encoded(s); q != s {
		return q
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// locationOf is the time zone of an account.
func locationOf(a *accounts.Account) *time.Location {
	if z := a.Preference("TimeZone"); z != "" && z != "HostOS" {
		if l, err := time.LoadLocation(z); err == nil {
			return l
		}
	}
	return time.Local
}

// when tells the time of a component for people, in the zone of an account.
func (m *letter) when(n *node) string {
	start := n.line("DTSTART")
	if start == nil {
		start = n.line("DUE")
	}
	if start == nil {
		return ""
	}
	at, err := m.object.cal.Moment(&start.Property)
	if err != nil {
		return ""
	}
	civil := func(l *line) (time.Time, bool) {
		v, err := m.object.cal.Moment(&l.Property)
		if err != nil {
			return time.Time{}, false
		}
		if v.Kind == icalendar.UTC || v.Kind == icalendar.Zoned {
			utc, err := m.object.cal.Instant(&l.Property, groupware.ZoneOf(m.owner))
			return time.Unix(utc, 0).In(locationOf(m.owner)), err == nil
		}
		return time.Unix(v.Civil, 0).UTC(), true
	}
	t, ok := civil(start)
	if !ok {
		return ""
	}
	const day, clock = "2006-01-02", "15:04"
	if at.Kind == icalendar.Date {
		return t.Format(day)
	}
	text := t.Format(day + " " + clock)
	if l := n.line("DTEND"); l != nil {
		if end, ok := civil(l); ok && end.After(t) {
			if end.Format(day) == t.Format(day) {
				text += "–" + end.Format(clock)
			} else {
				text += " – " + end.Format(day+" "+clock)
			}
		}
	}
	if at.Kind != icalendar.Floating {
		text += t.Format(" MST")
	}
	return text
}
