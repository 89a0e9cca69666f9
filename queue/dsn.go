package queue

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"gatepost/queue/envelope"
	"gatepost/router"
	"gatepost/router/address"
	"gatepost/server/fault"
)

// reportKind is what a delivery status notification is about.
type reportKind uint8

const (
	failureReport reportKind = iota
	delayReport
	successReport
)

func (k reportKind) String() string { return [...]string{"failure", "delay", "success"}[k] }

func (k reportKind) subject() string {
	return [...]string{"Undeliverable mail", "Message Delayed", "Message Delivered"}[k]
}

// report is one delivery status notification (RFC 3461 to 3464, RFC 6522, and
// RFC 6533 for addresses outside of ASCII).
type report struct {
	Kind     reportKind
	ID       envelope.QueueID // of the report
	Time     time.Time
	Host     string // Reporting-MTA
	From, To string
	Boundary string

	Envelope *envelope.Envelope // of the message that it is about
	Results  []reportResult

	// The message, as a part of a file, and how much of it is returned.
	File         string
	Offset, Size int64
	HeadersOnly  bool
	EightBit     bool // what is returned holds bytes above 127
}

// reportResult is one recipient in a report.
type reportResult struct {
	rcpt   int
	module router.Module
	queue  string // as people know it
	status envelope.Status
	until  time.Time // delay: when the server gives up; zero: not known
}

func (q *Queue) newReport(id envelope.QueueID, h *head, kind reportKind, about []outcome) *report {
	r := &report{
		Kind: kind, Time: time.Now(), Host: q.o.MainDomain(), Envelope: h.env, Boundary: newBoundary(),
		File: q.path(id, extMsg), Offset: h.layout.Message, Size: h.size,
	}
	limit := q.settings().FullReturn
	r.HeadersOnly = kind != failureReport || h.env.Return == envelope.ReturnHeaders ||
		h.env.Body == envelope.BodyBinaryMIME || limit.Exceeds(h.size)
	for _, o := range about {
		res := reportResult{rcpt: o.rcpt, module: o.module, queue: q.shortName(o.queue), status: o.status}
		if kind == delayReport {
			q.mu.Lock()
			if mod := q.modules[o.module]; mod != nil {
				if retry := mod.policy.Retry.with(o.status); retry.Expire > 0 {
					res.until = h.env.Submitted.Add(retry.Expire)
				}
			}
			q.mu.Unlock()
		}
		r.Results = append(r.Results, res)
	}
	r.EightBit = r.returnsEightBit()
	return r
}

func newBoundary() string {
	var b [12]byte
	rand.Read(b[:])
	return "report-" + hex.EncodeToString(b[:])
}

// returned opens the part of the message that the report returns.
func (r *report) returned() (io.ReadCloser, error) {
	f, err := os.Open(r.File)
	if err != nil {
		return nil, err
	}
	var src io.Reader = io.NewSectionReader(f, r.Offset, r.Size)
	if r.HeadersOnly {
		src = &headerReader{r: bufio.NewReader(src)}
	}
	return struct {
		io.Reader
		io.Closer
	}{src, f}, nil
}

func (r *report) returnsEightBit() bool {
	src, err := r.returned()
	if err != nil {
		return false // write meets the same error and says so
	}
	defer src.Close()
	buf := make([]byte, 16<<10)
	for {
		n, err := src.Read(buf)
		for _, c := range buf[:n] {
			if c >= 0x80 {
				return true
			}
		}
		if err != nil {
			return false
		}
	}
}

func (r *report) eightBit() bool { return r.EightBit || r.needsUTF8() || !ascii(r.text()) }

func (r *report) body() envelope.Body {
	if r.eightBit() {
		return envelope.Body8BitMIME
	}
	return envelope.Body7Bit
}

// needsUTF8 reports whether the header or a header in the report is UTF-8
// (RFC 6531, RFC 6533).
func (r *report) needsUTF8() bool {
	if !ascii(r.To) || !ascii(r.From) {
		return true
	}
	if r.Envelope.SMTPUTF8 && r.EightBit {
		return true
	}
	for _, res := range r.Results {
		rc := &r.Envelope.Recipients[res.rcpt]
		if !ascii(rc.Address.String()) || !ascii(rc.Original) {
			return true
		}
	}
	return false
}

// write writes the report as a message.
func (r *report) write(dst io.Writer) error {
	w := &lineWriter{w: bufio.NewWriter(dst)}
	utf, eight := r.needsUTF8(), r.eightBit()
	w.line("From: Mail Delivery Subsystem <", r.From, ">")
	w.line("To: <", clean(r.To), ">")
	w.line("Subject: ", r.Kind.subject())
	w.line("Date: ", r.Time.Format(time.RFC1123Z))
	w.line("Message-ID: <dsn-", r.ID.String(), "@", r.Host, ">")
	w.line("Auto-Submitted: auto-replied")
	w.line("MIME-Version: 1.0")
	w.line("Content-Type: multipart/report; report-type=delivery-status;")
	w.line("\tboundary=\"", r.Boundary, "\"")
	if eight {
		w.line("Content-Transfer-Encoding: 8bit")
	}
	w.line()

	text := r.text()
	w.part(r.Boundary, "text/plain; charset=utf-8", !ascii(text))
	w.raw(text)
	w.line()

	status, kind := r.status(), "message/delivery-status"
	if utf {
		kind = "message/global-delivery-status"
	}
	w.part(r.Boundary, kind, !ascii(status))
	w.raw(status)

	switch {
	case r.HeadersOnly && utf && r.EightBit:
		kind = "message/global-headers"
	case r.HeadersOnly:
		kind = "text/rfc822-headers"
	case utf && r.EightBit:
		kind = "message/global"
	default:
		kind = "message/rfc822"
	}
	w.line()
	w.part(r.Boundary, kind, r.EightBit)
	if err := r.copyReturned(w); err != nil {
		return err
	}
	w.line()
	w.line("--", r.Boundary, "--")
	return errors.Join(w.err, w.w.Flush())
}

func (r *report) copyReturned(w *lineWriter) error {
	src, err := r.returned()
	if err != nil {
		return err
	}
	defer src.Close()
	_, err = io.Copy(w.w, src)
	return err
}

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
		if res.module != enqueuer {
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

// status is the part for programs (RFC 3464 section 2).
func (r *report) status() string {
	w := &fieldWriter{}
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
			w.field("Diagnostic-Code", "smtp; "+res.status.Reply)
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
type fieldWriter struct{ b strings.Builder }

func (w *fieldWriter) field(name, value string) {
	w.b.WriteString(name + ":")
	width := len(name) + 1
	for _, word := range strings.Fields(clean(value)) {
		word = word[:min(len(word), maxReportLine)]
		if width+1+len(word) > 76 && width > len(name)+1 {
			w.b.WriteString("\r\n\t")
			width = 8
		} else {
			w.b.WriteString(" ")
			width++
		}
		w.b.WriteString(word)
		width += len(word)
	}
	w.b.WriteString("\r\n")
}

// headerReader passes the header of a message and ends before its body.
type headerReader struct {
	r    *bufio.Reader
	rest []byte
	cont bool // in the middle of a line
	done bool
}

func (h *headerReader) Read(p []byte) (int, error) {
	for len(h.rest) == 0 {
		if h.done {
			return 0, io.EOF
		}
		line, err := h.r.ReadSlice('\n')
		if !h.cont && len(bytes.TrimRight(line, "\r\n")) == 0 {
			h.done = true
			continue
		}
		h.cont = errors.Is(err, bufio.ErrBufferFull)
		if err != nil && !h.cont {
			h.done = true
		}
		h.rest = line
	}
	n := copy(p, h.rest)
	h.rest = h.rest[n:]
	return n, nil
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
