package queue

import (
	"bufio"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"gatepost/queue/envelope"
	"gatepost/router"
	"gatepost/router/address"
	"gatepost/server/fault"
)

// text is the part for people. Its shape is known to tools that read bounces.
func (r *report) text() string {
	var b strings.Builder
	for i := range r.Results {
		res := &r.Results[i]
		addr := clean(r.Envelope.Recipients[res.rcpt].Address.String())
		if res.module != router.SMTP {
			addr = "<" + addr + ">"
		}
		switch r.Kind {
		case failureReport:
			b.WriteString("Failed to deliver to '")
		case delayReport:
			b.WriteString("Delivery is delayed to '")
		case successReport:
			b.WriteString("Delivered to '")
		}
		b.WriteString(addr + "'\r\n")
		if res.module != enqueuer && res.module != RulesModule {
			kind := "domain"
			if res.module == router.LOCAL {
				kind = "account"
			}
			b.WriteString(string(res.module) + " module(" + kind + " " + clean(res.queue) + ") reports:\r\n")
		}
		appendReason(&b, &res.status)
		if !res.until.IsZero() {
			b.WriteString("The server goes on trying until " + res.until.UTC().Format(time.RFC1123Z) + "\r\n")
		}
		if res.expired {
			b.WriteString("The server has tried since " + r.Envelope.Submitted.UTC().Format(time.RFC1123Z) + " and gives up.\r\n" +
				"The failure was temporary: the message may get through when it is sent again later.\r\n")
		}
		b.WriteString("\r\n")
	}
	return b.String()
}

// appendReason writes the words of a status, each line indented by a blank. What
// a remote host said stands on lines of its own after them.
func appendReason(b *strings.Builder, st *envelope.Status) {
	text := st.Text
	if text == "" {
		text = st.Action.String()
	}
	if st.Reply != "" {
		text += ":\n" + st.Reply
	}
	for line := range strings.Lines(text) {
		line = clean(strings.TrimRight(line, "\r\n"))
		for len(line) > maxReportLine {
			cut := maxReportLine
			for cut > 0 && !utf8.RuneStart(line[cut]) {
				cut--
			}
			b.WriteString(" " + line[:cut] + "\r\n")
			line = line[cut:]
		}
		b.WriteString(" " + line + "\r\n")
	}
}

// maxReportLine keeps lines below the limit of RFC 5321 section 4.5.3.1.6.
const maxReportLine = 900

// status is the part for programs (RFC 3464 section 2). In message/delivery-status it
// has to be 7bit (section 2.1), only message/global-delivery-status may be UTF-8.
func (r *report) status() string {
	w := &fieldWriter{utf8: r.needsUTF8()}
	w.field("Reporting-MTA", "dns; "+r.Host)
	if r.Envelope.ID != "" {
		w.field("Original-Envelope-Id", string(r.Envelope.ID))
	}
	w.field("Arrival-Date", r.Envelope.Submitted.UTC().Format(time.RFC1123Z))
	for i := range r.Results {
		res := &r.Results[i]
		rc := &r.Envelope.Recipients[res.rcpt]
		w.b.WriteString("\r\n")
		if rc.Original != "" {
			kind, addr, _ := strings.Cut(rc.Original, ";")
			w.field("Original-Recipient", kind+"; "+addr)
		}
		w.field("Final-Recipient", addressType(rc.Address)+"; "+rc.Address.String())
		w.field("Action", r.action(res))
		w.field("Status", r.code(res).String())
		if res.status.Remote != "" {
			w.field("Remote-MTA", "dns; "+res.status.Remote)
		}
		if res.status.Reply != "" {
			w.field("Diagnostic-Code", "smtp; "+strings.Join(strings.Fields(clean(res.status.Reply)), " "))
		}
		if r.Kind != successReport {
			w.field("Last-Attempt-Date", r.Time.UTC().Format(time.RFC1123Z))
		}
		if !res.until.IsZero() {
			w.field("Will-Retry-Until", res.until.UTC().Format(time.RFC1123Z))
		}
	}
	return w.b.String()
}

func (r *report) action(res *reportResult) string {
	switch r.Kind {
	case failureReport:
		return envelope.ActionFailed.String()
	case delayReport:
		return envelope.ActionDelayed.String()
	}
	return res.status.Action.String()
}

// code is the status code, with a class that fits the report.
func (r *report) code(res *reportResult) envelope.Code {
	c := res.status.Code
	if res.expired {
		return c
	}
	c[0] = [...]int{failureReport: 5, delayReport: 4, successReport: 2}[r.Kind]
	return c
}

func addressType(a address.Address) string {
	if !ascii(a.String()) {
		return "utf-8"
	}
	return "rfc822"
}

// kindOfRefusal reports whether a report is refused for good.
func kindOfRefusal(err error) bool { return !fault.KindOf(err).Temporary() }

// lineWriter writes lines that end in CRLF and keeps the first error.
type lineWriter struct {
	w   *bufio.Writer
	err error
}

func (w *lineWriter) line(parts ...string) {
	for _, p := range parts {
		w.raw(p)
	}
	w.raw("\r\n")
}

func (w *lineWriter) raw(s string) {
	if _, err := w.w.WriteString(s); err != nil && w.err == nil {
		w.err = err
	}
}

// part starts a part of the multipart.
func (w *lineWriter) part(boundary, kind string, eight bool) {
	w.line("--", boundary)
	w.line("Content-Type: ", kind)
	if eight {
		w.line("Content-Transfer-Encoding: 8bit")
	}
	w.line()
}

// fieldWriter writes header fields, folded at blanks.
type fieldWriter struct {
	b    strings.Builder
	utf8 bool // they may be UTF-8
}

// fieldWidth is where lines are folded.
const fieldWidth = 76

// field writes a field that is value again when it is unfolded: blanks may be part of
// an address. Words that no line can hold get a blank.
func (w *fieldWriter) field(name, value string) {
	w.b.WriteString(name + ": ")
	value = clean(value)
	limit, written := maxReportLine, func(s string) string { return s }
	if !w.utf8 && !ascii(value) {
		limit, written = maxReportLine/3, escaped // \x{FC} for two bytes
	}
	for width, first := len(name)+2, true; value != ""; first = false {
		blanks := len(value) - len(strings.TrimLeft(value, " \t"))
		end := len(value)
		if i := strings.IndexAny(value[blanks:], " \t"); i >= 0 {
			end = blanks + i
		}
		if !first && width+end > fieldWidth && blanks < end {
			w.b.WriteString("\r\n")
			width = 0
		}
		if end > limit {
			end = limit
			for end > 0 && !utf8.RuneStart(value[end]) {
				end--
			}
		}
		word := written(value[:end])
		w.b.WriteString(word)
		width += len(word)
		value = value[end:]
		if value != "" && value[0] != ' ' && value[0] != '\t' {
			value = " " + value
		}
	}
	w.b.WriteString("\r\n")
}

// escaped writes what is outside of ASCII as RFC 6533 section 3 has it for those who
// cannot read UTF-8: \x{E9}.
func escaped(s string) string {
	if ascii(s) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if r < utf8.RuneSelf {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, `\x{%X}`, r)
		}
	}
	return b.String()
}

func ascii(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// clean makes text from outside safe to stand in a line.
func clean(s string) string {
	s = strings.ToValidUTF8(s, "?")
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}
