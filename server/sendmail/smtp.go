package sendmail

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"gatepost/router/address"
	"gatepost/server/fault"
)

// maxCommand bounds a command line (RFC 5321 section 4.5.3.1.4, with room for extensions).
const maxCommand = 4096

// dialogue is SMTP on standard input and output (-bs), without a server.
type dialogue struct {
	p    *Program
	in   *bufio.Reader
	name string // of this machine

	from *address.Address
	to   recipients
}

// smtp speaks SMTP until QUIT or the end of the input.
func (p *Program) smtp(o *options) error {
	if len(o.to) > 0 || o.fromHeader {
		return failed(ExitUsage, "option -bs: recipients are given in the dialogue")
	}
	name, err := os.Hostname()
	if err != nil {
		name = "localhost"
	}
	d := &dialogue{p: p, in: bufio.NewReaderSize(p.Stdin, maxCommand), name: name}
	d.reply("220 %s ESMTP Gatepost", name)
	for {
		line, err := d.in.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			for errors.Is(err, bufio.ErrBufferFull) {
				_, err = d.in.ReadSlice('\n')
			}
			d.reply("500 5.5.2 the line is too long")
			continue
		}
		if err != nil && (len(line) == 0 || !errors.Is(err, io.EOF)) {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return failed(ExitIO, "read a command: %v", err)
		}
		if d.command(strings.TrimRight(string(line), "\r\n")) {
			return nil
		}
	}
}

func (d *dialogue) reply(format string, args ...any) {
	fmt.Fprintf(d.p.Stdout, format+"\r\n", args...)
}

func (d *dialogue) reset() { d.from, d.to = nil, recipients{} }

// command carries out one command, and reports whether it is the last.
func (d *dialogue) command(line string) (last bool) {
	verb, rest, _ := strings.Cut(line, " ")
	switch strings.ToUpper(verb) {
	case "HELO":
		d.reset()
		d.reply("250 %s", d.name)
	case "EHLO":
		d.reset()
		d.reply("250-%s\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n250 SMTPUTF8", d.name)
	case "MAIL":
		d.mail(rest)
	case "RCPT":
		d.rcpt(rest)
	case "DATA":
		d.data()
	case "RSET":
		d.reset()
		d.reply("250 2.0.0 OK")
	case "NOOP":
		d.reply("250 2.0.0 OK")
	case "VRFY":
		d.reply("252 2.5.0 send a message to find out")
	case "QUIT":
		d.reply("221 2.0.0 %s closes", d.name)
		return true
	default:
		d.reply("500 5.5.1 the command is not known")
	}
	return false
}

// path cuts FROM: or TO: off.
func path(rest, word string) (string, bool) {
	if len(rest) < len(word) || !strings.EqualFold(rest[:len(word)], word) {
		return "", false
	}
	return rest[len(word):], true
}

func (d *dialogue) mail(rest string) {
	text, ok := path(rest, "FROM:")
	if !ok || d.from != nil {
		d.reply("503 5.5.1 MAIL FROM:<address> is expected, once")
		return
	}
	from, params, err := address.ParseReturnPath(text)
	for param := range strings.FieldsSeq(params) {
		name, _, _ := strings.Cut(strings.ToUpper(param), "=")
		if name != "BODY" && name != "SMTPUTF8" && name != "SIZE" {
			d.reply("555 5.5.4 parameter %s is not known", name)
			return
		}
	}
	if err != nil {
		d.reply("501 5.1.7 %s", fault.Text(err))
		return
	}
	d.from = &from
	d.reply("250 2.1.0 sender accepted")
}

func (d *dialogue) rcpt(rest string) {
	text, ok := path(rest, "TO:")
	if !ok || d.from == nil {
		d.reply("503 5.5.1 RCPT TO:<address> is expected, after MAIL")
		return
	}
	to, params, err := address.ParsePath(text)
	switch {
	case err == nil && to.IsNull():
		err = fault.New("sendmail.Rcpt", fault.Invalid, "an address is expected")
		fallthrough
	case err != nil:
		d.reply("501 5.1.3 %s", fault.Text(err))
	case params != "":
		d.reply("555 5.5.4 RCPT has no parameters here")
	default:
		d.to.add([]address.Address{to})
		d.reply("250 2.1.5 recipient accepted")
	}
}

func (d *dialogue) data() {
	if len(d.to.list) == 0 {
		d.reply("503 5.5.1 DATA comes after RCPT")
		return
	}
	d.reply("354 end with a line that is a dot")
	text := &unstuffed{r: d.in}
	err := d.take(text)
	if _, drained := io.Copy(io.Discard, text); err == nil {
		err = drained
	}
	if err != nil {
		d.reply("451 4.3.0 %s", strings.Join(strings.Fields(err.Error()), " "))
		d.reset()
		return
	}
	d.reset()
	d.reply("250 2.0.0 message accepted for delivery")
}

func (d *dialogue) take(text io.Reader) error {
	m, err := readMessage(text)
	if err != nil {
		return err
	}
	return d.p.submit(&options{}, *d.from, d.to.list, m)
}

// unstuffed reads the text of DATA: up to the line with a dot, without doubled dots. A text that ends
// before is an error.
type unstuffed struct {
	r      *bufio.Reader
	line   []byte
	inLine bool
	ended  bool
}

func (u *unstuffed) Read(p []byte) (int, error) {
	for len(u.line) == 0 {
		if u.ended {
			return 0, io.EOF
		}
		part, err := u.r.ReadSlice('\n')
		start := !u.inLine
		u.inLine = errors.Is(err, bufio.ErrBufferFull)
		switch {
		case errors.Is(err, io.EOF):
			return 0, io.ErrUnexpectedEOF
		case err != nil && !u.inLine:
			return 0, err
		case start && (string(part) == ".\r\n" || string(part) == ".\n"):
			u.ended = true
			continue
		case start && part[0] == '.':
			part = part[1:]
		}
		u.line = part
	}
	n := copy(p, u.line)
	u.line = u.line[n:]
	return n, nil
}
