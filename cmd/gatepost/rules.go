package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/mail"
	"os"
	"strconv"
	"strings"

	"gatepost/server/dataformat"
)

type rulesCommand struct {
	Test rulesTestCommand `cmd:"" help:"Say which rules match a message and why, and what would happen. Nothing of it is done."`
}

type rulesTestCommand struct {
	Level   string   `enum:"server,domain,account" default:"account" help:"Whose rules: server, domain or account (those of its domain too)."`
	Target  string   `help:"The account that the message is for, with the levels domain and account."`
	From    string   `help:"The return-path; without it, that of the message, or its From address."`
	To      []string `help:"The recipients; without it, the target, or the To and Cc addresses."`
	As      string   `help:"The account that sends the message, as after a login."`
	Queue   string   `xor:"message" help:"The number of a message of the queue, instead of a file."`
	Mailbox string   `xor:"message" help:"A mailbox of the target, instead of a file."`
	UID     int      `name:"uid" help:"The message in the mailbox; without it, the newest one."`
	Message string   `arg:"" optional:"" help:"The file with the message; - is standard input."`
}

// maxTried is how much of a message is sent to the server. The rules see its size; of its body
// they only look for a calendar part.
const maxTried = 2 << 20

func (r *rulesTestCommand) Run(c *commands) error {
	if r.Queue != "" || r.Mailbox != "" {
		return r.ask(c, r.stored())
	}
	if r.Message == "" {
		return errors.New("the file with the message is expected, or --queue, or --mailbox")
	}
	text, size, err := r.read()
	if err != nil {
		return err
	}
	request := dataformat.Dict{
		"level": dataformat.String(r.Level), "target": dataformat.String(r.Target), "as": dataformat.String(r.As),
		"message": dataformat.String(text), "size": dataformat.Number(size),
	}
	header := mail.Header{}
	if m, err := mail.ReadMessage(bytes.NewReader(text)); err == nil {
		header = m.Header
	}
	from := r.From
	if from == "" {
		from = strings.TrimSpace(header.Get("Return-Path"))
	}
	if list, err := header.AddressList("From"); from == "" && err == nil && len(list) > 0 {
		from = list[0].Address
	}
	request["from"] = dataformat.String(from)
	to := r.To
	if len(to) == 0 && r.Level == "server" {
		for _, name := range []string{"To", "Cc"} {
			list, err := header.AddressList(name)
			if err != nil && !errors.Is(err, mail.ErrHeaderNotPresent) {
				return fmt.Errorf("the field %s: %w; give the recipients with --to", name, err)
			}
			for _, a := range list {
				to = append(to, a.Address)
			}
		}
	}
	request["to"] = list(to)
	return r.ask(c, request)
}

// stored names a message that the server has.
func (r *rulesTestCommand) stored() dataformat.Dict {
	d := dataformat.Dict{"level": dataformat.String(r.Level), "to": list(r.To)}
	uid := ""
	if r.UID > 0 {
		uid = strconv.Itoa(r.UID)
	}
	for key, v := range map[string]string{"target": r.Target, "as": r.As, "from": r.From, "queue": r.Queue, "mailbox": r.Mailbox, "uid": uid} {
		if v != "" {
			d[key] = dataformat.String(v)
		}
	}
	return d
}

func list(all []string) dataformat.Array {
	out := dataformat.Array{}
	for _, a := range all {
		out = append(out, dataformat.String(a))
	}
	return out
}

// ask shows what the server answers.
func (r *rulesTestCommand) ask(c *commands, request dataformat.Dict) error {
	v, err := ask(c, "GATEPOST RULES TEST "+dataformat.Compact(request))
	if err != nil {
		return err
	}
	report, _ := dataformat.Text(v)
	fmt.Print(report)
	return nil
}

// read returns the beginning of the message, with CRLF line ends, and the size of all of it.
func (r *rulesTestCommand) read() (text []byte, size int64, err error) {
	in := io.Reader(os.Stdin)
	if r.Message != "-" {
		f, err := os.Open(r.Message)
		if err != nil {
			return nil, 0, err
		}
		defer f.Close()
		in = f
	}
	all, err := io.ReadAll(in)
	if err != nil {
		return nil, 0, err
	}
	all = bytes.ReplaceAll(bytes.ReplaceAll(all, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n"))
	return all[:min(len(all), maxTried)], int64(len(all)), nil
}
