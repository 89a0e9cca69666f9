package pickup

import (
	"bytes"
	"mime"
	"strings"

	"gatepost/accounts/message"
	"gatepost/queue/envelope"
	"gatepost/router/address"
	"gatepost/server/fault"
)

// MaxHeader bounds the header of a message, which is held in memory.
const MaxHeader = 1 << 20

// Header is the header of a message as a program wrote it.
type Header struct {
	fields []field
}

type field struct {
	name string // in lower case
	text []byte // the whole field without its last line end; lines end in LF or CRLF
}

// value is what follows the colon, with its folds.
func (f *field) value() []byte {
	_, value, _ := bytes.Cut(f.text, []byte(":"))
	return value
}

// ParseHeader reads the header at the start of text. rest is what follows it and the empty line. A
// line that is no field ends the header too: a text without a header is all body. complete is
// false if text ends within the header. A first line "From ", as in files of mailboxes, is left out.
func ParseHeader(text []byte) (h *Header, rest []byte, complete bool) {
	h = new(Header)
	for first := true; ; first = false {
		line, after, ended := bytes.Cut(text, []byte("\n"))
		trimmed := bytes.TrimSuffix(line, []byte("\r"))
		switch {
		case !ended && len(line) == 0:
			return h, nil, false
		case len(trimmed) == 0:
			return h, after, true
		case first && (bytes.HasPrefix(line, []byte("From ")) || bytes.HasPrefix(line, []byte(">From "))):
		case trimmed[0] == ' ' || trimmed[0] == '\t':
			if len(h.fields) == 0 {
				return h, text, true
			}
			last := &h.fields[len(h.fields)-1]
			last.text = append(append(last.text, '\n'), trimmed...)
		default:
			name, _, ok := bytes.Cut(trimmed, []byte(":"))
			name = bytes.TrimRight(name, " \t")
			if !ok || !isFieldName(name) {
				return h, text, true
			}
			h.fields = append(h.fields, field{name: strings.ToLower(string(name)), text: bytes.Clone(trimmed)})
		}
		if text = after; !ended {
			return h, nil, false
		}
	}
}

// maxFieldName is how long the name of a field may be: a line (RFC 5322 section 2.1.1).
const maxFieldName = 998

func isFieldName(name []byte) bool {
	for _, c := range name {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return len(name) > 0 && len(name) <= maxFieldName
}

// get returns the value of the first field of a name, which is in lower case.
func (h *Header) get(name string) (value []byte, ok bool) {
	for i := range h.fields {
		if h.fields[i].name == name {
			return h.fields[i].value(), true
		}
	}
	return nil, false
}

// Has reports whether there is a field of a name, which is given in lower case.
func (h *Header) Has(name string) bool { _, ok := h.get(name); return ok }

// Remove takes fields away, by their names in lower case.
func (h *Header) Remove(names ...string) {
	kept := h.fields[:0]
	for _, f := range h.fields {
		if !oneOf(f.name, names) {
			kept = append(kept, f)
		}
	}
	h.fields = kept
}

func oneOf(name string, names []string) bool {
	for _, n := range names {
		if n == name {
			return true
		}
	}
	return false
}

// EnvelopeFields are the fields that stand for the envelope, in lower case.
var EnvelopeFields = []string{"return-path", "envelope-to", "envelope-ignore", "envelope-id", "envelope-ret", "envelope-notify"}

// AppendText appends the fields, each line with the line end.
func (h *Header) AppendText(dst []byte, lineEnd string) []byte {
	for i := range h.fields {
		for line := range bytes.SplitSeq(h.fields[i].text, []byte("\n")) {
			dst = append(append(dst, bytes.TrimSuffix(line, []byte("\r"))...), lineEnd...)
		}
	}
	return dst
}

// Named returns the recipients that To, Cc and Bcc name, or Resent-To, Resent-Cc and Resent-Bcc if
// there is one of these. Errors are fault.Invalid and name the field and what is wrong in it.
func (h *Header) Named() ([]address.Address, error) {
	names := []string{"resent-to", "resent-cc", "resent-bcc"}
	if !h.Has(names[0]) && !h.Has(names[1]) && !h.Has(names[2]) {
		names = []string{"to", "cc", "bcc"}
	}
	return h.addresses(names...)
}

// recipients returns who gets the message.
func (h *Header) recipients() ([]address.Address, error) {
	if h.Has("envelope-to") {
		return h.addresses("envelope-to")
	}
	to, err := h.Named()
	if err != nil {
		return nil, err
	}
	not, err := h.addresses("envelope-ignore")
	if err != nil || len(not) == 0 {
		return to, err
	}
	ignored := map[address.Address]bool{}
	for _, a := range not {
		ignored[a] = true
	}
	kept := to[:0]
	for _, a := range to {
		if !ignored[a] {
			kept = append(kept, a)
		}
	}
	return kept, nil
}

// addresses returns the addresses of all fields of some names, each once.
func (h *Header) addresses(names ...string) ([]address.Address, error) {
	var all list
	for i := range h.fields {
		if f := &h.fields[i]; oneOf(f.name, names) {
			if err := all.add(f.name, f.value()); err != nil {
				return nil, err
			}
		}
	}
	return all.addresses, nil
}

// Addresses reads addresses as people write them to a program: one, or several with commas between,
// with names or without.
func Addresses(text string) ([]address.Address, error) {
	var all list
	if !strings.ContainsAny(text, ",<>\"() ") {
		a, err := address.Parse(text)
		if err != nil {
			return nil, fault.Newf("pickup.Addresses", fault.Invalid, "%q is no address: %s", text, fault.Text(err))
		}
		return []address.Address{a}, nil
	}
	if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return nil, fault.Newf("pickup.Addresses", fault.Invalid, "the argument %q has control characters", text)
	}
	err := all.add("the argument", []byte(text))
	return all.addresses, err
}

// list is addresses, each once.
type list struct {
	addresses []address.Address
	seen      map[address.Address]bool
}

func (l *list) add(where string, value []byte) error {
	for e := range message.Addresses(value) {
		if e.Kind != message.Mailbox {
			continue
		}
		a, err := parse(e)
		if err != nil {
			return fault.Newf("pickup.Header", fault.Invalid, "%s: %q is no address: %s", where, written(e), fault.Text(err))
		}
		if l.seen == nil {
			l.seen = map[address.Address]bool{}
		}
		if !l.seen[a] {
			l.seen[a] = true
			l.addresses = append(l.addresses, a)
		}
	}
	return nil
}

// written is an entry as the text of an error shows it.
func written(e message.Address) string {
	switch {
	case len(e.Local) == 0:
		return string(e.Name)
	case len(e.Domain) == 0:
		return string(e.Local)
	}
	return string(e.Local) + "@" + string(e.Domain)
}

// parse reads an entry of a list. One that has only a name is none.
func parse(e message.Address) (address.Address, error) {
	switch {
	case len(e.Local) == 0:
		return address.Address{}, fault.New("pickup.Header", fault.Invalid, "there is no address")
	case len(e.Domain) == 0:
		return address.Parse(address.QuoteLocal(string(e.Local)))
	}
	// Unquoted, a local part such as a%b is what it says to the router.
	local := string(e.Local)
	if strings.ContainsAny(local, " \t\"(),:;<>@[\\]") {
		local = address.QuoteLocal(local)
	}
	return address.Parse(local + "@" + string(e.Domain))
}

// returnPath is the return-path that the header names, and false if it names none.
func (h *Header) returnPath() (address.Address, bool, error) {
	if v, ok := h.get("return-path"); ok {
		a, rest, err := address.ParseReturnPath(string(bytes.TrimSpace(v)))
		if err == nil && rest != "" {
			err = fault.Newf("pickup.Header", fault.Invalid, "return-path: %q follows the address", rest)
		}
		return a, true, err
	}
	for _, name := range []string{"sender", "from"} {
		v, ok := h.get(name)
		if !ok {
			continue
		}
		for e := range message.Addresses(v) {
			if e.Kind == message.Mailbox {
				a, err := parse(e)
				return a, true, err
			}
		}
	}
	return address.Address{}, false, nil
}

// reports reads what the sender wants to be told.
func (h *Header) reports(env *envelope.Envelope) (notify envelope.Notify, err error) {
	bad := func(name string, v []byte) error {
		return fault.Newf("pickup.Header", fault.Invalid, "%s: %q is not understood", name, bytes.TrimSpace(v))
	}
	if v, ok := h.get("envelope-id"); ok {
		id, err := envelope.DecodeXText(string(bytes.TrimSpace(v)))
		if err != nil || len(v) > 200 {
			return 0, bad("envelope-id", v)
		}
		env.ID = envelope.EnvelopeID(id)
	}
	if v, ok := h.get("envelope-ret"); ok {
		switch strings.ToUpper(string(bytes.TrimSpace(v))) {
		case "FULL":
			env.Return = envelope.ReturnFull
		case "HDRS":
			env.Return = envelope.ReturnHeaders
		default:
			return 0, bad("envelope-ret", v)
		}
	}
	v, ok := h.get("envelope-notify")
	if !ok {
		return envelope.NotifyDefault, nil
	}
	notify, ok = ParseNotify(string(bytes.TrimSpace(v)))
	if !ok {
		return 0, bad("envelope-notify", v)
	}
	return notify, nil
}

// ParseNotify reads the NOTIFY parameter of RFC 3461 section 4.1.
func ParseNotify(text string) (n envelope.Notify, ok bool) {
	if strings.EqualFold(text, "NEVER") {
		return envelope.NotifyNever, true
	}
	for word := range strings.SplitSeq(text, ",") {
		switch strings.ToUpper(strings.TrimSpace(word)) {
		case "SUCCESS":
			n |= envelope.NotifySuccess
		case "FAILURE":
			n |= envelope.NotifyFailure
		case "DELAY":
			n |= envelope.NotifyDelay
		default:
			return 0, false
		}
	}
	if n == envelope.NotifyDefault {
		n |= envelope.NotifyGiven
	}
	return n, true
}

// qualified are the fields whose addresses get the Main Domain if they have none.
var qualified = []string{"from", "sender", "reply-to", "to", "cc", "resent-from", "resent-sender", "resent-to", "resent-cc"}

// qualify adds the domain to addresses without one. A field in which all have one stays as it is.
func (h *Header) qualify(domain string) {
	for i := range h.fields {
		f := &h.fields[i]
		if !oneOf(f.name, qualified) {
			continue
		}
		bare := false
		for e := range message.Addresses(f.value()) {
			bare = bare || e.Kind == message.Mailbox && len(e.Local) > 0 && len(e.Domain) == 0
		}
		if !bare {
			continue
		}
		name, value, _ := bytes.Cut(f.text, []byte(":"))
		text := append(bytes.Clone(name), ':')
		between := " "
		for e := range message.Addresses(value) {
			if e.Kind == message.GroupEnd {
				text, between = append(text, ';'), ",\n "
				continue
			}
			text = append(text, between...)
			between = ",\n "
			if e.Kind == message.GroupStart {
				text, between = append(appendPhrase(text, e.Name), ':'), " "
				continue
			}
			text = appendMailbox(text, e, domain)
		}
		f.text = text
	}
}

func appendMailbox(dst []byte, e message.Address, domain string) []byte {
	if len(e.Domain) > 0 {
		domain = string(e.Domain)
	}
	if len(e.Local) == 0 { // a name alone: nobody can answer it, and nothing is made up
		return appendPhrase(dst, e.Name)
	}
	addr := address.QuoteLocal(string(e.Local)) + "@" + domain
	if len(e.Name) == 0 {
		return append(dst, addr...)
	}
	dst = append(appendPhrase(dst, e.Name), " <"...)
	return append(append(dst, addr...), '>')
}

// appendPhrase appends a display name, in quotes if it needs them (RFC 5322 section 3.2.5).
// Encoded-words stay as they are.
func appendPhrase(dst, name []byte) []byte {
	if bytes.HasPrefix(name, []byte("=?")) && bytes.HasSuffix(name, []byte("?=")) || !bytes.ContainsAny(name, "()<>[]:;@\\,.\"") {
		return append(dst, name...)
	}
	dst = append(dst, '"')
	for _, c := range name {
		if c == '"' || c == '\\' {
			dst = append(dst, '\\')
		}
		dst = append(dst, c)
	}
	return append(dst, '"')
}

// Phrase is a display name as it is written before an address: in quotes if it needs them, as an
// encoded-word if it is not US-ASCII (RFC 2047).
func Phrase(name string) string {
	if encoded := mime.QEncoding.Encode("utf-8", name); encoded != name {
		return encoded
	}
	return string(appendPhrase(nil, []byte(name)))
}
