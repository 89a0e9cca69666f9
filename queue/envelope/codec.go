package envelope

import (
	"net/netip"
	"strconv"
	"strings"
	"time"

	"gatepost/server/fault"
)

// The head of a queue file: lines that begin with a letter and a space, then
// one empty line, then the message. Lines of the head end in LF, the message
// has CRLF as on the wire. The order of the lines is free; letters that we do
// not know are skipped.
//
//	V 1                                          version of these lines
//	S <user@dom> SMTP [192.0.2.10]               authenticated sender, submit tag, peer
//	A dom [192.0.2.1]                            domain and local address of the listener
//	O L                                          L: from a user or the server; T: from a stranger; B: bulk mail;
//	                                             R: REQUIRETLS
//	E QQ314159 HDRS                              ENVID in xtext or -, RET or -
//	B 8BITMIME SMTPUTF8                          BODY, SMTPUTF8
//	H List-Unsubscribe:+20...+0D+0A              Envelope.Personal in xtext, one line for each 1000 bytes of it
//	P I 26-04-2019 15:57:14 0000 ____ ____ <a>   return-path; H___: on hold; _J__: for the Junk mailboxes;
//	                                             ___N: TLS-Required: No;
//	                                             __R_, __N_: rejected, with a report or without
//	R W 26-04-2019 15:57:14 0000 ____ _FY_ <b>   recipient, one line each; E___: expanded into others
//	N rfc822;b@dom                               ORCPT of the R line before it
//	K 4F6XT3PO                                   Token of the R line before it
//
// The letter after R is the State of the recipient: W waits, D was delivered or relayed,
// F failed, X expired or was rejected by an administrator; S was relayed, C was delivered
// and B failed, and the sender is still to be told; P was handed over, and the result is not known. P and R have fixed columns, so that a state letter and the counter after the
// time can be overwritten in place. Files without a V line come from older
// servers: their message may have LF as line end.
const (
	// Version is what AppendHead writes.
	Version = 1

	// MaxHead bounds the head that ReadHead accepts, MaxLine one line of it.
	MaxHead = 64 << 20
	MaxLine = 8 << 10

	maxPersonal = 8 << 10
	maxToken    = 64

	stateColumn    = 2
	dateColumn     = 4
	warnedColumn   = 24
	expandColumn   = 29
	junkColumn     = 30
	rejectedColumn = 31
	optionalColumn = 32
	notifyColumn   = 34
	addrColumn     = 39
	timeLayout     = "02-01-2006 15:04:05"
)

// Layout says where in a queue file the parts are that change or move.
type Layout struct {
	// Message is where the message starts, after the empty line.
	Message int64
	// ReturnPath and Recipients are the starts of the P line and of each R line.
	ReturnPath int64
	Recipients []int64
	// Version is the number of the V line, 0 without one.
	Version int
}

// StateAt is the offset of the state letter of recipient i.
func (l *Layout) StateAt(i int) int64 { return l.Recipients[i] + stateColumn }

// WarnedAt is the offset of the four digits that count the delay reports of recipient i.
func (l *Layout) WarnedAt(i int) int64 { return l.Recipients[i] + warnedColumn }

// RulesDoneAt is the offset of the letter that becomes E when the server rules are done.
func (l *Layout) RulesDoneAt() int64 { return l.ReturnPath + stateColumn }

// JunkAt is the offset of the letter that becomes J when the message is found to be junk.
func (l *Layout) JunkAt() int64 { return l.ReturnPath + junkColumn }

// OptionalAt is the offset of the letter that becomes N when the message has TLS-Required: No.
func (l *Layout) OptionalAt() int64 { return l.ReturnPath + optionalColumn }

// HoldAt is the offset of the letter that says whether an administrator has the message wait.
func (l *Layout) HoldAt() int64 { return l.ReturnPath + expandColumn }

// RejectedAt is the offset of the letter that says whether an administrator has ended the message.
func (l *Layout) RejectedAt() int64 { return l.ReturnPath + rejectedColumn }

// HoldLetter is the text for HoldAt.
func HoldLetter(onHold bool) string {
	if onHold {
		return "H"
	}
	return "_"
}

// RejectedLetter is the text for RejectedAt.
func RejectedLetter(r Rejected) string {
	if r == NotRejected {
		return "_"
	}
	return string(rune(r))
}

// FormatWarned is the text for WarnedAt.
func FormatWarned(n int) string {
	n = max(0, min(n, 9999))
	s := strconv.Itoa(n)
	return "0000"[len(s):] + s
}

// AppendHead appends the head of e, with the empty line that ends it. It fails
// with fault.Invalid when a value cannot stand in a line.
func AppendHead(dst []byte, e *Envelope) ([]byte, Layout, error) {
	w := headWriter{buf: dst, start: len(dst)}
	w.head(e)
	if len(w.buf)-w.start > MaxHead {
		w.bad = "so many recipients"
	}
	if w.bad != "" {
		return dst, Layout{}, fault.Newf("envelope.AppendHead", fault.Invalid, "%s cannot be stored in an envelope", w.bad)
	}
	w.layout.Message = int64(len(w.buf) - w.start)
	return w.buf, w.layout, nil
}

type headWriter struct {
	buf    []byte
	start  int
	layout Layout
	bad    string // what could not be written, or empty
}

func (w *headWriter) head(e *Envelope) {
	w.layout.Version = Version
	w.raw("V 1\n")
	w.source(&e.Source)
	w.options(e)
	if e.ID != "" || e.Return != ReturnDefault {
		w.raw("E ")
		switch e.ID {
		case "":
			w.raw("-")
		case "-": // the sign for none
			w.raw("+2D")
		default:
			w.buf = AppendXText(w.buf, string(e.ID))
		}
		w.raw([...]string{ReturnDefault: " -\n", ReturnFull: " FULL\n", ReturnHeaders: " HDRS\n"}[e.Return])
	}
	if e.Body != Body7Bit || e.SMTPUTF8 {
		w.raw([...]string{Body7Bit: "B 7BIT", Body8BitMIME: "B 8BITMIME", BodyBinaryMIME: "B BINARYMIME"}[e.Body])
		if e.SMTPUTF8 {
			w.raw(" SMTPUTF8")
		}
		w.raw("\n")
	}
	for rest := e.Personal; rest != ""; {
		part := rest[:min(len(rest), 1000)]
		rest = rest[len(part):]
		w.raw("H ")
		w.buf = AppendXText(w.buf, part)
		w.raw("\n")
	}
	if len(e.Personal) > maxPersonal {
		w.bad = "the header fields of the recipients"
	}
	state := byte('I')
	if e.RulesDone {
		state = 'E'
	}
	w.layout.ReturnPath = int64(len(w.buf) - w.start)
	junk := "_"
	if e.Junk {
		junk = "J"
	}
	optional := "_"
	if e.TLSOptional {
		optional = "N"
	}
	w.path('P', state, HoldLetter(e.OnHold)+junk+RejectedLetter(e.Rejected)+optional, e.Submitted, &Recipient{Address: e.ReturnPath, Local: e.ReturnPathLocal})
	w.layout.Recipients = make([]int64, len(e.Recipients))
	for i := range e.Recipients {
		r := &e.Recipients[i]
		w.layout.Recipients[i] = int64(len(w.buf) - w.start)
		state := r.State
		if state == 0 {
			state = Waiting
		}
		flags := "____"
		if r.Expanded {
			flags = "E___"
		}
		w.path('R', byte(state), flags, e.Submitted, r)
		w.original(r.Original)
		if r.Token != "" {
			if !validToken(r.Token) {
				w.bad = "the token of a recipient"
			}
			w.raw("K " + r.Token + "\n")
		}
	}
	w.raw("\n")
}

func (w *headWriter) source(s *Source) {
	w.raw("S ")
	if s.Account != "" {
		w.raw("<")
		w.text("the authenticated sender", s.Account)
		w.raw("> ")
	}
	tag := s.Tag
	if tag == "" {
		tag = "UNKNOWN"
	}
	if strings.ContainsAny(tag, " <[") {
		w.bad = "the submit tag"
	}
	w.text("the submit tag", tag)
	w.raw(" ")
	w.ip(s.IP)
	w.raw("\n")
	if s.Domain != "" || s.LocalIP.IsValid() {
		w.raw("A ")
		if s.Domain != "" {
			if strings.ContainsAny(s.Domain, " [") {
				w.bad = "the domain of the source"
			}
			w.text("the domain of the source", s.Domain)
		}
		if s.LocalIP.IsValid() {
			if s.Domain != "" {
				w.raw(" ")
			}
			w.ip(s.LocalIP)
		}
		w.raw("\n")
	}
}

func (w *headWriter) options(e *Envelope) {
	letters := "O T"
	if e.Source.Trusted {
		letters = "O L"
	}
	if e.Bulk {
		letters += "B"
	}
	if e.RequireTLS {
		letters += "R"
	}
	w.raw(letters + "\n")
}

func (w *headWriter) path(letter, state byte, flags string, t time.Time, r *Recipient) {
	w.buf = append(w.buf, letter, ' ', state, ' ')
	if y := t.UTC().Year(); y < 0 || y > 9999 {
		t = time.Time{}
	}
	w.buf = t.UTC().AppendFormat(w.buf, timeLayout)
	w.raw(" ")
	w.raw(FormatWarned(r.Warned))
	w.raw(" ")
	w.raw(flags)
	w.raw(" ")
	w.flag(r.Notify&NotifySuccess != 0, 'S')
	w.flag(r.Notify&NotifyFailure != 0, 'F')
	w.flag(r.Notify&NotifyDelay != 0, 'Y')
	w.flag(r.Notify&NotifyGiven != 0, 'N')
	w.raw(" <")
	if !r.Address.IsNull() {
		w.text("the address", r.Address.Written(r.Local))
	}
	w.raw(">\n")
}

func (w *headWriter) original(orcpt string) {
	if orcpt == "" {
		return
	}
	kind, addr, ok := strings.Cut(orcpt, ";")
	if !ok || strings.ContainsAny(kind, " ") {
		w.bad = "the original recipient"
		return
	}
	w.raw("N ")
	w.text("the original recipient", kind)
	w.raw(";")
	w.buf = AppendXText(w.buf, addr)
	w.raw("\n")
}

// validToken reports whether a token consists of letters and digits.
func validToken(token string) bool {
	return len(token) <= maxToken && !strings.ContainsFunc(token, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	})
}

func (w *headWriter) flag(set bool, letter byte) {
	if !set {
		letter = '_'
	}
	w.buf = append(w.buf, letter)
}

func (w *headWriter) ip(ip netip.Addr) {
	if !ip.IsValid() {
		w.raw("[0.0.0.0]")
		return
	}
	w.buf = append(w.buf, '[')
	w.buf = ip.Unmap().WithZone("").AppendTo(w.buf)
	w.buf = append(w.buf, ']')
}

func (w *headWriter) raw(s string) { w.buf = append(w.buf, s...) }

// text writes a value that came from outside: it must not be able to start a
// line of its own, nor to make a line that ReadHead refuses.
func (w *headWriter) text(what, s string) {
	if len(s) > MaxLine/2 || strings.ContainsAny(s, "\r\n\x00") {
		w.bad = what
		return
	}
	w.raw(s)
}
