package mailrules

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"

	"gatepost/accounts/delivery"
	"gatepost/queue/envelope"
	"gatepost/router/address"
	"gatepost/rules"
	"gatepost/server/fault"
)

// execution is a program that a rule runs on a message.
type execution struct {
	rules.Execute
	mail    *mail
	header  []byte // what rules have made of the header; nil if it is as it was
	account string // whose rule it is; empty for the server
	id      envelope.QueueID

	programs *delivery.Programs
	n        int // which of them it is
}

// execute runs a program, unless it has ended with success before a crash. refusal is what the program says why the message is to be refused. A program
// that ends with another status than 0 has failed.
func (r *Rules) execute(ctx context.Context, e *execution) (refusal string, err error) {
	const op = "mailrules.execute"
	if r.o.Programs == nil {
		return "", fault.New(op, fault.Unsupported, "this server runs no programs")
	}
	p := Program{Args: e.args(), Message: e.message, File: e.File, Limit: r.o.Settings.Get().ExecuteLimit.Duration(),
		Env: []string{"SENDER=" + e.mail.env.ReturnPath.String(), "ACCOUNT=" + e.account, "MESSAGE_ID=" + e.id.String()}}
	if run, err := e.programs.Begin(ctx, e.n); err != nil || !run {
		return "", err
	}
	ended, err := r.o.Programs.Run(ctx, p)
	switch text := strings.TrimSpace(ended.Stderr); {
	case err != nil && passes(err):
		return "", errors.Join(err, e.programs.NotRun(ctx, e.n))
	case err != nil:
		return "", err
	case e.Stderr && text != "":
		return text, nil
	case ended.Status != 0:
		return "", fault.Newf(op, fault.Rejected, "the program has ended with the status %d: %s", ended.Status, text)
	}
	return "", e.programs.Ended(ctx, e.n)
}

// args are the arguments with what the options of the rule add.
func (e *execution) args() []string {
	args := append([]string(nil), e.Args...)
	if e.ReturnPath {
		args = append(args, "-f", "<"+e.mail.env.ReturnPath.String()+">")
	}
	for i := range e.mail.env.Recipients {
		rcpt := &e.mail.env.Recipients[i]
		if e.mail.rcpts != nil && !has(e.mail.rcpts, i) {
			continue
		}
		if e.Recipients {
			args = append(args, argument(rcpt.Address))
		}
		if _, original, ok := strings.Cut(rcpt.Original, ";"); e.Originals {
			if !ok || strings.HasPrefix(original, "-") || strings.ContainsRune(original, 0) {
				original = argument(rcpt.Address)
			}
			args = append(args, original)
		}
	}
	return args
}

// argument writes an address as an argument of a program. One that would look like an option gets quotes, which
// mean the same (RFC 5321 section 4.1.2).
func argument(a address.Address) string {
	s := a.String()
	if !strings.HasPrefix(s, "-") {
		return s
	}
	return `"` + a.Local + `"@` + a.Domain
}

// message opens the message as the rules have changed it.
func (e *execution) message() (io.ReadCloser, error) {
	f, err := e.mail.open()
	if err != nil || e.header == nil && len(e.mail.before) == 0 {
		return f, err
	}
	given, err := e.mail.Header()
	if err != nil {
		f.Close()
		return nil, err
	}
	header := e.header
	if header == nil {
		header = given
	}
	skipped := int64(len(given) - len(e.mail.before))
	rest := io.NewSectionReader(f, skipped, e.mail.size-skipped)
	return &joined{io.MultiReader(bytes.NewReader(header), rest), f}, nil
}

// joined is a header and the rest of a message.
type joined struct {
	io.Reader
	io.Closer
}

func has(list []int, n int) bool {
	for _, x := range list {
		if x == n {
			return true
		}
	}
	return false
}
