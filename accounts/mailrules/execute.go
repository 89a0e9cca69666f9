package mailrules

import (
	"bytes"
	"context"
	"io"
	"strings"

	"gatepost/queue/envelope"
	"gatepost/rules"
	"gatepost/server/fault"
)

// execution is a program that a rule runs on a message.
type execution struct {
	rules.Execute
	mail    *mail
	file    string
	header  []byte // what rules have made of the header; nil if it is as it was
	account string // whose rule it is; empty for the server
	id      envelope.QueueID
}

// execute runs a program. refusal is what the program says why the message is to be refused. A program
// that ends with another status than 0 has failed.
func (r *Rules) execute(ctx context.Context, e *execution) (refusal string, err error) {
	const op = "mailrules.execute"
	if r.o.Programs == nil {
		return "", fault.New(op, fault.Unsupported, "this server runs no programs")
	}
	p := Program{Args: e.args(), Account: e.account, Limit: r.o.Settings.Get().ExecuteLimit.Duration(),
		Env: []string{"SENDER=" + e.mail.env.ReturnPath.String(), "MESSAGE_ID=" + e.id.String()}}
	if !e.File {
		f, err := e.mail.open()
		if err != nil {
			return "", fault.Wrap(op, fault.Internal, err)
		}
		defer f.Close()
		p.Message = f
		if e.header != nil {
			before, err := e.mail.Header()
			if err != nil {
				return "", fault.Wrap(op, fault.Internal, err)
			}
			skipped := int64(len(before))
			p.Message = io.MultiReader(bytes.NewReader(e.header), io.NewSectionReader(f, skipped, e.mail.size-skipped))
		}
	}
	ended, err := r.o.Programs.Run(ctx, p)
	switch text := strings.TrimSpace(ended.Stderr); {
	case err != nil:
		return "", err
	case e.Stderr && text != "":
		return text, nil
	case ended.Status != 0:
		return "", fault.Newf(op, fault.Rejected, "the program has ended with the status %d: %s", ended.Status, text)
	}
	return "", nil
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
			args = append(args, rcpt.Address.String())
		}
		if _, original, ok := strings.Cut(rcpt.Original, ";"); e.Originals {
			if !ok || strings.HasPrefix(original, "-") {
				original = rcpt.Address.String()
			}
			args = append(args, original)
		}
	}
	if e.File {
		args = append(args, e.file)
	}
	return args
}

func has(list []int, n int) bool {
	for _, x := range list {
		if x == n {
			return true
		}
	}
	return false
}
