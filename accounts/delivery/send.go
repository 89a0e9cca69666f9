package delivery

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"time"

	"gatepost/accounts"
	"gatepost/queue"
	"gatepost/queue/envelope"
	"gatepost/router/address"
	"gatepost/server/fault"
)

// tagRule marks messages that rules send.
const tagRule = "RULE"

// holdAll has the queue hold what the plan sends. When it fails none is held.
func (t *Transport) holdAll(ctx context.Context, acc *accounts.Account, it *queue.Item, p *plan) (held []envelope.QueueID, err error) {
	if len(p.sends) == 0 {
		return nil, nil
	}
	defer func() {
		if err != nil {
			t.dropAll(held)
			held = nil
		}
	}()
	looped, err := sentBefore(it, acc)
	if err != nil {
		return nil, err
	}
	if looped {
		t.ruleProblem(ctx, acc, it, "a rule has sent the message before", nil)
		p.inbox = true
		return nil, nil
	}
	for i := range p.sends {
		to, err := t.others(ctx, acc, p.sends[i].To)
		if err != nil {
			return held, err
		}
		if len(to) == 0 {
			t.ruleProblem(ctx, acc, it, "a rule sends to the account itself", nil)
			p.inbox = true
			continue
		}
		id, err := t.hold(ctx, acc, it, &p.sends[i], to, p.nowhere)
		if err != nil && fault.KindOf(err).Temporary() {
			return held, err
		}
		if err != nil {
			t.ruleProblem(ctx, acc, it, "a rule cannot send", err, slog.String("rcpt", listed(to)))
			p.inbox = true
			continue
		}
		held = append(held, id)
	}
	return held, nil
}

// others are the addresses that are not the account's own.
func (t *Transport) others(ctx context.Context, acc *accounts.Account, to []address.Address) ([]address.Address, error) {
	var out []address.Address
	for _, a := range to {
		own, err := t.accounts.OwnsAddress(ctx, acc, a)
		if err != nil {
			return nil, err
		}
		if !own {
			out = append(out, a)
		}
	}
	return out, nil
}

// hold writes one message and has it held. only says that nobody else has the message.
func (t *Transport) hold(ctx context.Context, acc *accounts.Account, it *queue.Item, s *sending, to []address.Address, only bool) (envelope.QueueID, error) {
	env := &envelope.Envelope{
		Source:     envelope.Source{Tag: tagRule, Domain: acc.Domain, Trusted: true},
		ReturnPath: s.ReturnPath, SMTPUTF8: s.ReturnPath.NeedsUTF8(),
	}
	if s.Tag != "" {
		env.Source.Tag, env.Source.Account = s.Tag, acc.Address()
	}
	notify := envelope.NotifyNever
	if only && s.Text == nil {
		notify = envelope.NotifyFailure
		if src := &it.Envelope.Source; s.ReturnPath == it.Envelope.ReturnPath {
			env.Source.Trusted = src.Trusted || src.Account != "" // nobody vouches for the return-path of a stranger
		}
	}
	for _, a := range to {
		env.Recipients = append(env.Recipients, envelope.Recipient{Address: a, Notify: notify})
		env.SMTPUTF8 = env.SMTPUTF8 || a.NeedsUTF8()
	}
	if s.Text == nil {
		env.Body, env.SMTPUTF8, env.RequireTLS = it.Envelope.Body, env.SMTPUTF8 || it.Envelope.SMTPUTF8, it.Envelope.RequireTLS
	} else if bytes.ContainsFunc(s.Text, func(r rune) bool { return r >= 0x80 }) {
		env.Body = envelope.Body8BitMIME
	}
	sub, err := t.queue.BeginHeld(ctx, env)
	if err != nil {
		return 0, err
	}
	defer sub.Abort()
	_, err = sub.Write(appendReceived(nil, acc, sub.ID()))
	if err == nil && s.Text == nil {
		err = s.writeOriginal(sub, it)
	} else if err == nil {
		_, err = sub.Write(s.Text)
	}
	if err != nil {
		return 0, err
	}
	return sub.ID(), sub.Hold(ctx)
}

// writeOriginal writes the message that is delivered, as the rules have changed it.
func (s *sending) writeOriginal(w io.Writer, it *queue.Item) error {
	f, err := os.Open(it.File)
	if err != nil {
		return err
	}
	defer f.Close()
	head, skipped := s.Fields, int64(0)
	if h := s.header; h != nil {
		head, skipped = append(head[:len(head):len(head)], h.Text...), min(h.Replaced, it.Size)
	}
	if _, err := w.Write(head); err != nil {
		return err
	}
	_, err = io.Copy(w, io.NewSectionReader(f, it.Offset+skipped, it.Size-skipped))
	return err
}

// appendReceived appends the trace field of a message that the rules of an account send (RFC 5321 section
// 4.4). It counts as a hop, and tells sentBefore.
func appendReceived(b []byte, acc *accounts.Account, id envelope.QueueID) []byte {
	b = append(append(append(b, "Received: by "...), acc.Domain...), " (Gatepost) "...)
	b = append(append(b, sentBy(acc)...), "\r\n  id "...)
	b = strconv.AppendUint(b, uint64(id), 10)
	b = time.Now().AppendFormat(append(b, "; "...), time.RFC1123Z)
	return append(b, "\r\n"...)
}

// sentBy is the mark of an account's rules in a trace field.
func sentBy(acc *accounts.Account) string { return "(rules of " + acc.Address() + ")" }

// maxTrace bounds the search for trace fields.
const maxTrace = 256 << 10

// sentBefore reports whether the rules of the account have sent the message on before, and it has come
// back. Anybody can write such a field; then the message is not sent on, and stays.
func sentBefore(it *queue.Item, acc *accounts.Account) (bool, error) {
	f, err := os.Open(it.File)
	if err != nil {
		return false, err
	}
	defer f.Close()
	r := bufio.NewReader(io.NewSectionReader(f, it.Offset, min(it.Size, maxTrace)))
	mark := sentBy(acc)
	trace := false
	for {
		line, err := r.ReadString('\n')
		text := strings.TrimRight(line, "\r\n")
		if text == "" {
			return false, nil // the end of the header
		}
		if text[0] != ' ' && text[0] != '\t' {
			name, _, _ := strings.Cut(text, ":")
			trace = strings.EqualFold(strings.TrimRight(name, " \t"), "Received")
		}
		if trace && strings.Contains(text, mark) {
			return true, nil
		}
		if errors.Is(err, io.EOF) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
	}
}

func listed(to []address.Address) string {
	names := make([]string, len(to))
	for i, a := range to {
		names[i] = a.String()
	}
	return strings.Join(names, ",")
}
