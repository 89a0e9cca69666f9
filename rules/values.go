package rules

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"

	"gatepost/queue/envelope"
	"gatepost/router/address"
)

// The values that conditions compare. The second result is false for a message that has none.

func (r *Run) subject() (text, bool)   { return r.value(subject) }
func (r *Run) messageID() (text, bool) { return r.value(messageID) }

func (r *Run) from() (text, bool)    { return r.address(from) }
func (r *Run) sender() (text, bool)  { return r.address(sender) }
func (r *Run) replyTo() (text, bool) { return r.address(replyTo) }
func (r *Run) to() (text, bool)      { return r.address(to) }
func (r *Run) cc() (text, bool)      { return r.address(cc) }

func (r *Run) address(kind int) (text, bool) {
	l := r.list(kind)
	return l.first, len(l.mailboxes) > 0
}

func (r *Run) fromName() (text, bool) {
	m, ok := r.first(from)
	return newText(m.Name), ok
}

func (r *Run) toOrCcAddresses() []candidate { return r.toOrCc() }

func (r *Run) returnPath() (text, bool) {
	if rp := &r.in.Message.Envelope().ReturnPath; r.path.low == "" && !rp.IsNull() {
		r.path = newText(r.written(*rp))
	}
	return r.path, true
}

// written is the text of an address of the envelope; the null return-path is empty.
func (r *Run) written(a address.Address) string {
	if a.Domain == "" && !a.IsNull() {
		a.Domain = r.in.MainDomain
	}
	if a.Domain == "" {
		return a.Local
	}
	return a.String()
}

// recipients are those that the rules are about, as they were given.
func (r *Run) recipients() []candidate {
	if r.listed {
		return r.given
	}
	r.listed = true
	all := r.in.Message.Envelope().Recipients
	if some := r.in.Message.Recipients(); some != nil {
		for _, i := range some {
			r.give(&all[i])
		}
		return r.given
	}
	for i := range all {
		r.give(&all[i])
	}
	return r.given
}

func (r *Run) give(rcpt *envelope.Recipient) {
	c := candidate{value: newText(r.written(rcpt.Address))}
	if _, original, _ := strings.Cut(rcpt.Original, ";"); !strings.EqualFold(original, c.value.low) {
		c.original = newText(original)
	}
	r.given = append(r.given, c)
}

func (r *Run) routes() []candidate {
	if !r.routed {
		r.routed = true
		for _, route := range r.in.Message.Routes() {
			r.leads = append(r.leads, candidate{value: newText(route)})
		}
	}
	return r.leads
}

// source is authenticated, trusted or empty.
func (r *Run) source() (text, bool) {
	word := ""
	switch s := &r.in.Message.Envelope().Source; {
	case s.Account != "":
		word = "authenticated"
	case s.Trusted:
		word = "trusted"
	}
	return text{word, word}, true
}

// submitAddress is the submit tag and the peer, as the S line of the queue file has them.
func (r *Run) submitAddress() (text, bool) {
	if r.submitted.low == "" {
		s := &r.in.Message.Envelope().Source
		ip := s.IP.Unmap()
		if !ip.IsValid() {
			ip = netip.IPv4Unspecified()
		}
		r.submitted = newText(s.Tag + " [" + ip.String() + "]")
	}
	return r.submitted, true
}

// security tells whether the message is encrypted or signed, from its Content-Type (RFC 1847,
// 8551).
func (r *Run) security() (text, bool) { return newText(r.signedOrEncrypted()), true }

func (r *Run) signedOrEncrypted() string {
	i := r.find("Content-Type")
	if i < 0 {
		return ""
	}
	v := bytes.ToLower(r.fields[i].value)
	kind, _, _ := bytes.Cut(v, []byte(";"))
	pgp := bytes.Contains(v, []byte("pgp"))
	switch strings.TrimSpace(string(kind)) {
	case "multipart/signed":
		return securityOf(pgp, "signed")
	case "multipart/encrypted":
		return securityOf(pgp, "encrypted")
	case "application/pkcs7-mime", "application/x-pkcs7-mime":
		switch {
		case bytes.Contains(v, []byte("signed-data")):
			return securityOf(false, "signed")
		case bytes.Contains(v, []byte("certs-only")):
			return ""
		}
		return securityOf(false, "encrypted")
	}
	return ""
}

func securityOf(pgp bool, what string) string {
	if pgp {
		return "PGP " + what
	}
	return "S/MIME " + what
}

func (r *Run) calendarMethod() (text, bool) {
	if !r.methodAsked {
		r.methodAsked = true
		method, err := r.in.Message.CalendarMethod()
		r.fail(err)
		r.method = newText(method)
	}
	return r.method, r.method.low != ""
}

// mailboxes are the names of the account's mailboxes.
func (r *Run) mailboxes() []text {
	if !r.boxesAsked {
		r.boxesAsked = true
		boxes, err := r.in.Recipient.Mailboxes()
		r.fail(err)
		r.boxes = make([]text, len(boxes))
		for i, name := range boxes {
			r.boxes[i] = newText(name)
		}
	}
	return r.boxes
}

// remembers reports whether the account has an address in a dataset, or gets it there by a rule of
// this run.
func (r *Run) remembers(dataset, addr string) bool {
	for i := range r.added {
		if m := &r.added[i]; m.Dataset == dataset && strings.EqualFold(m.Address, addr) {
			return true
		}
	}
	if r.in.Recipient == nil {
		return false
	}
	has, err := r.in.Recipient.Remembers(dataset, addr)
	r.fail(err)
	return has
}

// freeBusy compares what the account's calendars say of now.
type freeBusy struct{ matcher }

func newFreeBusy(op Operation, param string) (check, error) {
	m, err := newMatcher(op, param)
	return &freeBusy{m}, err
}

func (c *freeBusy) holds(r *Run) bool {
	state, err := r.in.Recipient.FreeBusy()
	r.fail(err)
	return err == nil && c.fits(r, newText(state)) != c.op.negative()
}

func (c *freeBusy) saw(r *Run) string {
	state, err := r.in.Recipient.FreeBusy()
	if err != nil {
		return "it is not known"
	}
	return "it is " + state
}

// preference compares a preference of the account: its parameter is key:picture.
type preference struct {
	matcher
	key string
}

func newPreference(op Operation, param string) (check, error) {
	key, pic, ok := strings.Cut(param, ":")
	if key = strings.TrimSpace(key); !ok || key == "" {
		return nil, fmt.Errorf("%q is not the name of a preference, a colon and a value", param)
	}
	m, err := newMatcher(op, strings.TrimSpace(pic))
	return &preference{m, key}, err
}

func (c *preference) holds(r *Run) bool {
	return c.fits(r, newText(r.in.Recipient.Preference(c.key))) != c.op.negative()
}

func (c *preference) saw(r *Run) string { return "it is " + shown(r.in.Recipient.Preference(c.key)) }
