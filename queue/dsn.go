package queue

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"time"

	"gatepost/queue/envelope"
	"gatepost/router"
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
	// expired says that the time was over after answers that were temporary.
	expired bool
}

func (q *Queue) newReport(id envelope.QueueID, h *head, kind reportKind, about []outcome) *report {
	r := &report{
		Kind: kind, Time: time.Now(), Host: q.o.MainDomain(), Envelope: h.env, Boundary: newBoundary(),
		File: q.path(id, extMsg), Offset: h.layout.Message, Size: h.size,
	}
	limit := q.settings().FullReturn
	r.HeadersOnly = kind != failureReport || h.env.Return == envelope.ReturnHeaders || h.env.RequireTLS ||
		h.env.Body == envelope.BodyBinaryMIME || limit.Exceeds(h.size)
	for _, o := range about {
		res := reportResult{rcpt: o.rcpt, module: o.module, queue: q.shortName(o.queue), status: o.status,
			expired: o.state == envelope.Expired && o.status.Code[0] == 4}
		if o.module == router.SYSTEM {
			q.coverUp(&res, h.env)
		}
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

// TextDelivered is what LOCAL says of a message that is in a mailbox.
const TextDelivered = "Delivered to the user mailbox"

// coverUp makes a result of SYSTEM read as that of an account: what goes to NULL or
// SPAMTRAP is dropped silently, also to a sender who asks (spec: router 7).
func (q *Queue) coverUp(res *reportResult, env *envelope.Envelope) {
	res.module = router.LOCAL
	res.queue = q.shortName(env.Recipients[res.rcpt].Address.String())
	res.status.Text = TextDelivered
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
		src = &headerReader{r: bufio.NewReader(src), room: maxReturnedHeader}
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

// maxReturnedHeader bounds the header that a report returns: messages are accepted
// with headers as large as they are themselves.
const maxReturnedHeader = 64 << 10

// headerReader passes the header of a message and ends before its body, or before
// the line for which there is no room. A line that is larger than its buffer ends
// where the room does.
type headerReader struct {
	r    *bufio.Reader
	room int
	rest []byte
	cont bool // in the middle of a line
	done bool
}

func (h *headerReader) Read(p []byte) (int, error) {
	for len(h.rest) == 0 {
		if h.done {
			return 0, io.EOF
		}
		h.rest = h.piece()
	}
	n := copy(p, h.rest)
	h.rest = h.rest[n:]
	return n, nil
}

// piece reads a line, or a part of a long one.
func (h *headerReader) piece() []byte {
	line, err := h.r.ReadSlice('\n')
	begins := !h.cont
	h.cont = errors.Is(err, bufio.ErrBufferFull)
	h.done = err != nil && !h.cont
	switch {
	case begins && len(bytes.TrimRight(line, "\r\n")) == 0:
		h.done = true
		return nil
	case len(line) > h.room:
		h.done = true
		if begins {
			return nil
		}
		return []byte("\r\n")
	}
	h.room -= len(line)
	return line
}
