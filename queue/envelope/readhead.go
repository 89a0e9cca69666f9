package envelope

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"gatepost/router/address"
	"gatepost/server/fault"
)

// ReadHead reads the head of a queue file and leaves r at the message. A head
// that breaks the form gives fault.Corrupt, one of a newer version
// fault.Unsupported, and failures of r come back as they are.
func ReadHead(r *bufio.Reader) (*Envelope, Layout, error) {
	p := headReader{env: new(Envelope)}
	for {
		line, err := readLine(r)
		if err != nil {
			return nil, Layout{}, err
		}
		start := p.at
		p.at += int64(len(line))
		if p.at > MaxHead {
			return nil, Layout{}, corrupt("the envelope is too long")
		}
		line = bytes.TrimSuffix(line, []byte("\n"))
		line = bytes.TrimSuffix(line, []byte("\r"))
		if len(line) == 0 {
			break
		}
		if line[0] < 'A' || line[0] > 'Z' || len(line) > 1 && line[1] != ' ' {
			return nil, Layout{}, corrupt("a line of the envelope has no letter")
		}
		if len(line) == 1 {
			continue // a letter without a value
		}
		if err := p.line(start, line[0], string(line)); err != nil {
			return nil, Layout{}, err
		}
	}
	if !p.path || len(p.env.Recipients) == 0 {
		return nil, Layout{}, corrupt("the envelope is incomplete")
	}
	if p.layout.Version == 0 { // what older servers mean by these is not known
		p.env.Bulk, p.env.Junk, p.env.OnHold, p.env.Rejected = false, false, false, NotRejected
		p.env.RequireTLS, p.env.TLSOptional = false, false
		for i := range p.env.Recipients {
			p.env.Recipients[i].Expanded = false
		}
	}
	p.layout.Message = p.at
	return p.env, p.layout, nil
}

func corrupt(text string) error { return fault.New("envelope.ReadHead", fault.Corrupt, text) }

// readLine reads up to and with LF; the line is valid until the next read.
func readLine(r *bufio.Reader) ([]byte, error) {
	line, err := r.ReadSlice('\n')
	switch {
	case err == nil:
		if len(line) > MaxLine {
			return nil, corrupt("a line of the envelope is too long")
		}
		return line, nil
	case errors.Is(err, io.EOF):
		return nil, corrupt("the envelope has no end")
	case !errors.Is(err, bufio.ErrBufferFull):
		return nil, err
	}
	long := append([]byte(nil), line...)
	for len(long) <= MaxLine {
		line, err = r.ReadSlice('\n')
		long = append(long, line...)
		switch {
		case err == nil && len(long) <= MaxLine:
			return long, nil
		case errors.Is(err, io.EOF):
			return nil, corrupt("the envelope has no end")
		case err != nil && !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		}
	}
	return nil, corrupt("a line of the envelope is too long")
}

type headReader struct {
	env    *Envelope
	layout Layout
	at     int64
	path   bool // a P line was read
}

func (p *headReader) line(start int64, letter byte, line string) error {
	switch letter {
	case 'V':
		v, err := strconv.Atoi(strings.TrimSpace(line[2:]))
		if err != nil || v < 1 {
			return corrupt("the version is not a number")
		}
		if v > Version {
			return fault.Newf("envelope.ReadHead", fault.Unsupported, "queue file of version %d, we know %d", v, Version)
		}
		p.layout.Version = v
	case 'S':
		return p.source(line[2:])
	case 'A':
		return p.listener(line[2:])
	case 'O':
		p.env.Source.Trusted = strings.Contains(line[2:], "L")
		p.env.Bulk = strings.Contains(line[2:], "B")
		p.env.RequireTLS = strings.Contains(line[2:], "R")
	case 'E':
		return p.envelopeID(strings.Fields(line[2:]))
	case 'B':
		p.body(strings.Fields(line[2:]))
	case 'P':
		f, err := parsePath(line)
		if err != nil {
			return err
		}
		p.path = true
		p.layout.ReturnPath = start
		p.env.ReturnPath, p.env.ReturnPathLocal = f.addr, f.local
		p.env.RulesDone, p.env.Junk, p.env.TLSOptional = f.state == 'E', f.junk, f.optional
		p.env.Submitted = f.time
		p.env.OnHold = f.onHold
		if r := Rejected(f.rejected); r == RejectedWithReport || r == RejectedSilently {
			p.env.Rejected = r
		}
	case 'R':
		f, err := parsePath(line)
		if err != nil {
			return err
		}
		if f.addr.IsNull() {
			return corrupt("a recipient has no address")
		}
		if p.env.Submitted.IsZero() {
			p.env.Submitted = f.time
		}
		p.layout.Recipients = append(p.layout.Recipients, start)
		p.env.Recipients = append(p.env.Recipients, Recipient{
			Address: f.addr, Local: f.local, Notify: f.notify, State: State(f.state), Warned: f.warned, Expanded: f.expanded,
		})
	case 'N':
		return p.original(line[2:])
	case 'H':
		part, err := DecodeXText(line[2:])
		if err != nil || len(p.env.Personal)+len(part) > maxPersonal {
			return corrupt("the header fields of the recipients cannot be read")
		}
		p.env.Personal += part
	case 'K':
		n := len(p.env.Recipients)
		if token := line[2:]; n > 0 && validToken(token) {
			p.env.Recipients[n-1].Token = token
			return nil
		}
		return corrupt("the token of a recipient cannot be read")
	}
	return nil
}

func (p *headReader) source(s string) error {
	src := &p.env.Source
	if strings.HasPrefix(s, "<") {
		end := strings.LastIndex(s, "> ")
		if end < 0 {
			return corrupt("the authenticated sender has no end")
		}
		src.Account, s = s[1:end], s[end+2:]
	}
	tag, rest, _ := strings.Cut(strings.TrimSpace(s), " ")
	src.Tag = tag
	src.IP = parseIP(rest)
	return nil
}

func (p *headReader) listener(s string) error {
	for _, word := range strings.Fields(s) {
		if strings.HasPrefix(word, "[") {
			p.env.Source.LocalIP = parseIP(word)
		} else {
			p.env.Source.Domain = word
		}
	}
	return nil
}

// parseIP reads [192.0.2.1], [2001:db8::1] or [IPv6:2001:db8::1]. What is no
// address, or stands for the server itself, gives the zero Addr: older servers
// wrote other things here, and delivery does not depend on it.
func parseIP(s string) netip.Addr {
	s = strings.TrimSpace(s)
	s = strings.TrimSuffix(strings.TrimPrefix(s, "["), "]")
	s = strings.TrimPrefix(s, "IPv6:")
	ip, err := netip.ParseAddr(s)
	if err != nil || ip == netip.IPv4Unspecified() {
		return netip.Addr{}
	}
	return ip.Unmap().WithZone("")
}

func (p *headReader) envelopeID(words []string) error {
	if len(words) == 0 {
		return corrupt("the E line is empty")
	}
	if words[0] != "-" {
		id, err := DecodeXText(words[0])
		if err != nil {
			return corrupt("the ENVID is not xtext")
		}
		p.env.ID = EnvelopeID(id)
	}
	if len(words) > 1 {
		switch words[1] {
		case "FULL":
			p.env.Return = ReturnFull
		case "HDRS":
			p.env.Return = ReturnHeaders
		}
	}
	return nil
}

func (p *headReader) body(words []string) {
	for _, w := range words {
		switch w {
		case "8BITMIME":
			p.env.Body = Body8BitMIME
		case "BINARYMIME":
			p.env.Body = BodyBinaryMIME
		case "SMTPUTF8":
			p.env.SMTPUTF8 = true
		}
	}
}

func (p *headReader) original(s string) error {
	n := len(p.env.Recipients)
	if n == 0 {
		return corrupt("an N line without a recipient")
	}
	kind, text, ok := strings.Cut(strings.TrimSpace(s), ";")
	if !ok {
		return corrupt("an N line without an address type")
	}
	addr, err := DecodeXText(text)
	if err != nil {
		return corrupt("an N line is not xtext")
	}
	p.env.Recipients[n-1].Original = kind + ";" + addr
	return nil
}

// pathLine is a P or R line.
type pathLine struct {
	state    byte
	time     time.Time
	warned   int
	expanded bool
	junk     bool
	optional bool
	onHold   bool
	rejected byte
	notify   Notify
	addr     address.Address
	local    string // see Recipient.Local
}

func parsePath(line string) (pathLine, error) {
	var f pathLine
	if len(line) < addrColumn+2 || line[addrColumn] != '<' || !strings.HasSuffix(line, ">") {
		return f, corrupt("a path line has the wrong columns")
	}
	if f.state = line[stateColumn]; f.state < 'A' || f.state > 'Z' {
		return f, corrupt("a path line has no state")
	}
	t, err := time.ParseInLocation(timeLayout, line[dateColumn:dateColumn+len(timeLayout)], time.UTC)
	if err != nil {
		return f, corrupt("a path line has no date")
	}
	f.time = t
	if f.warned, err = strconv.Atoi(line[warnedColumn : warnedColumn+4]); err != nil || f.warned < 0 {
		return f, corrupt("a path line has no counter")
	}
	f.expanded, f.onHold = line[expandColumn] == 'E', line[expandColumn] == 'H'
	f.junk, f.rejected, f.optional = line[junkColumn] == 'J', line[rejectedColumn], line[optionalColumn] == 'N'
	flags := line[notifyColumn : notifyColumn+4]
	for i, n := range []Notify{NotifySuccess, NotifyFailure, NotifyDelay, NotifyGiven} {
		if flags[i] != '_' {
			f.notify |= n
		}
	}
	text := line[addrColumn+1 : len(line)-1]
	if text == "" {
		return f, nil
	}
	if f.addr, err = address.Parse(text); err != nil {
		return f, corrupt("an address does not parse")
	}
	f.local = address.WrittenLocal(text, f.addr)
	return f, nil
}
