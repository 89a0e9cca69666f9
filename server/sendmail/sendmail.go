package sendmail

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"strings"

	"gatepost/protocols/pickup"
	"gatepost/router/address"
	"gatepost/server/fault"
)

// Sendmail runs sendmail with its arguments.
func (p *Program) Sendmail(args []string) error {
	o, err := parseOptions(args)
	if err != nil {
		return err
	}
	switch {
	case o.mode == 's':
		return p.smtp(o)
	case o.mode == 'p':
		return p.List()
	case o.mode == 'i':
		return nil // aliases are in force as soon as they are set
	case o.flush && len(o.to) == 0 && !o.fromHeader:
		return p.Flush()
	case o.mode == 'v':
		return p.verify(o.to)
	}
	return p.send(o)
}

// verify prints where addresses lead.
func (p *Program) verify(to []string) error {
	if len(to) == 0 {
		return failed(ExitUsage, "give the addresses that are to be verified")
	}
	var worst error
	for _, text := range to {
		list, err := pickup.Addresses(text)
		if err != nil {
			worst = err
			fmt.Fprintf(p.Stdout, "%s... %s\n", text, fault.Text(err))
		}
		for _, a := range list {
			said, err := p.Route(a.String())
			if err != nil {
				return err
			}
			if said == "" {
				worst = cmp.Or(worst, failed(ExitNoUser, "an address leads nowhere"))
				said = "leads nowhere"
			}
			fmt.Fprintf(p.Stdout, "%s... %s\n", a, said)
		}
	}
	return worst
}

// sender is the return-path of a message.
func (p *Program) sender(o *options) (address.Address, error) {
	if !o.fromGiven {
		return address.Address{Local: p.User}, nil
	}
	if strings.TrimSpace(o.from) == "" || strings.TrimSpace(o.from) == "<>" {
		return address.Address{}, nil
	}
	list, err := pickup.Addresses(o.from)
	if err == nil && len(list) != 1 {
		err = failed(ExitUsage, "option -f: one address is expected")
	}
	if err != nil {
		return address.Address{}, err
	}
	return list[0], nil
}

// send sends the message on standard input.
func (p *Program) send(o *options) error {
	from, err := p.sender(o)
	if err != nil {
		return err
	}
	var to recipients
	for _, text := range o.to {
		list, err := pickup.Addresses(text)
		if err != nil {
			return err
		}
		to.add(list)
	}
	if len(to.list) == 0 && !o.fromHeader {
		return failed(ExitUsage, "recipient addresses must be given as arguments, or in the message with the option -t")
	}
	in := p.Stdin
	if !o.dots {
		in = &untilDot{r: bufio.NewReader(p.Stdin)}
	}
	m, err := readMessage(in)
	if err != nil {
		return err
	}
	if o.fromHeader {
		named, err := m.header.Named()
		if err != nil {
			return err
		}
		to.add(named)
		if len(to.list) == 0 {
			return failed(ExitUsage, "no recipient addresses in the header of the message, nor as arguments")
		}
	}
	return p.submit(o, from, to.list, m)
}

// recipients is addresses, each once.
type recipients struct {
	list []address.Address
	seen map[address.Address]bool
}

func (r *recipients) add(list []address.Address) {
	if r.seen == nil {
		r.seen = map[address.Address]bool{}
	}
	for _, a := range list {
		if !r.seen[a] {
			r.seen[a] = true
			r.list = append(r.list, a)
		}
	}
}

// message is a message that is being read.
type message struct {
	header *pickup.Header
	body   io.Reader
}

// readMessage reads the header. Its lines are in memory, the body is not.
func readMessage(in io.Reader) (*message, error) {
	start, err := io.ReadAll(io.LimitReader(in, pickup.MaxHeader))
	if err != nil {
		return nil, failed(ExitIO, "read the message: %v", err)
	}
	h, rest, complete := pickup.ParseHeader(start)
	if !complete && len(start) == pickup.MaxHeader {
		return nil, failed(ExitData, "the header of the message is larger than 1 MB")
	}
	// What the sender says about the envelope stands on the command line.
	h.Remove(pickup.EnvelopeFields...)
	return &message{header: h, body: io.MultiReader(bytes.NewReader(rest), in)}, nil
}

// submit writes a message for the folder Submitted.
func (p *Program) submit(o *options, from address.Address, to []address.Address, m *message) error {
	f, err := p.create()
	if err != nil {
		return err
	}
	defer f.Abort()
	w := bufio.NewWriter(f)
	writeEnvelope(w, o, from, to)
	if o.name != "" && !m.header.Has("from") {
		fmt.Fprintf(w, "From: %s <%s>\n", pickup.Phrase(o.name), cmp.Or(from.String(), p.User))
	}
	if _, err := w.Write(m.header.AppendText(nil, "\n")); err != nil {
		return err
	}
	fmt.Fprintln(w)
	if _, err := io.Copy(w, m.body); err != nil {
		return fmt.Errorf("copy the message: %w", err)
	}
	return errors.Join(w.Flush(), f.Commit())
}

func writeEnvelope(w io.Writer, o *options, from address.Address, to []address.Address) {
	fmt.Fprintf(w, "Return-Path: <%s>\n", from)
	for _, a := range to {
		fmt.Fprintf(w, "Envelope-To: %s\n", a)
	}
	for _, f := range [][2]string{{"ID", o.id}, {"Ret", o.ret}, {"Notify", o.notify}} {
		if f[1] != "" {
			fmt.Fprintf(w, "Envelope-%s: %s\n", f[0], f[1])
		}
	}
}

// untilDot reads up to a line that is a dot.
type untilDot struct {
	r       *bufio.Reader
	line    []byte // read, not passed on
	inLine  bool   // the last line was passed on without its end
	ended   bool
	failure error
}

func (u *untilDot) Read(p []byte) (int, error) {
	for len(u.line) == 0 {
		if u.ended {
			return 0, io.EOF
		}
		if u.failure != nil {
			return 0, u.failure
		}
		part, err := u.r.ReadSlice('\n')
		start := !u.inLine
		u.inLine = errors.Is(err, bufio.ErrBufferFull)
		if err != nil && !u.inLine {
			u.failure = err
		}
		if start && string(bytes.TrimRight(part, "\r\n")) == "." {
			u.ended = true
			continue
		}
		u.line = part
	}
	n := copy(p, u.line)
	u.line = u.line[n:]
	return n, nil
}
