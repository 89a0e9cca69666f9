package rpop

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"strconv"
	"strings"
	"time"

	"gatepost/accounts/message"
	"gatepost/queue"
	"gatepost/queue/envelope"
	"gatepost/router"
	"gatepost/router/address"
	"gatepost/router/names"
	"gatepost/server/fault"
)

const (
	// maxHeader bounds the part of a message that is looked at for recipients, in bytes.
	maxHeader = 256 << 10
	// maxRecipients bounds the recipients that a header may name.
	maxRecipients = 100

	tag = "RPOP"
)

// errTooLarge is the failure of a message that is larger than the limit.
var errTooLarge = errors.New("the message is larger than the limit")

// intake takes the text of one message and makes a submission of it. Lines end in CRLF whatever
// they ended in there.
type intake struct {
	ctx   context.Context
	poll  *poll
	limit int64 // of bytes; -1 for none

	head   []byte // the header, until it is whole
	sub    *queue.Submission
	sum    hash.Hash // nil unless the text is what tells the message apart
	size   int64
	last   byte // the last byte of what has come
	failed error
}

func (p *poll) intake(ctx context.Context, it *item, limit int64) *intake {
	in := &intake{ctx: ctx, poll: p, limit: limit}
	if it.uid == (uid{}) {
		in.sum = sha256.New()
	}
	return in
}

// Write takes a part of the text. An error is one of this server, or errTooLarge.
func (in *intake) Write(b []byte) (int, error) {
	n := len(b)
	for len(b) > 0 && in.failed == nil {
		i := bytes.IndexAny(b, "\r\n")
		if in.last == '\r' && b[0] != '\n' {
			in.put([]byte("\n")) // a bare CR is a line end
		}
		switch {
		case i < 0:
			in.put(b)
			in.last, b = b[len(b)-1], nil
			continue
		case i > 0:
			in.put(b[:i])
			in.last = b[i-1]
		}
		if b[i] == '\n' && in.last != '\r' {
			in.put([]byte("\r\n"))
		} else {
			in.put(b[i : i+1])
		}
		in.last, b = b[i], b[i+1:]
	}
	return n, in.failed
}

// put takes text in wire form.
func (in *intake) put(b []byte) {
	if in.failed != nil {
		return
	}
	in.size += int64(len(b))
	if in.limit >= 0 && in.size > in.limit {
		in.failed = errTooLarge
		return
	}
	if in.sum != nil {
		in.sum.Write(b)
	}
	if in.sub != nil {
		_, in.failed = in.sub.Write(b)
		return
	}
	in.head = append(in.head, b...)
	if end := in.headerEnd(); end >= 0 || len(in.head) > maxHeader {
		in.failed = in.begin()
	}
}

// headerEnd is the length of the header with its empty line, or -1. Text comes in pieces of a line at
// most, so that only the end has to be looked at.
func (in *intake) headerEnd() int {
	if bytes.HasSuffix(in.head, []byte("\r\n\r\n")) || len(in.head) == 2 && in.head[0] == '\r' && in.head[1] == '\n' {
		return len(in.head)
	}
	return -1
}

// begin makes the submission when the header is known.
func (in *intake) begin() error {
	head := in.head
	in.head = nil
	// A message has one Return-Path, from its last delivery (RFC 5321 section 4.4).
	returnPath, rest := cutReturnPath(head)
	to, err := in.poll.recipients(in.ctx, head)
	if err != nil {
		return err
	}
	env := &envelope.Envelope{
		Source:     envelope.Source{Tag: tag, IP: in.poll.ip, Domain: in.poll.acc.Domain},
		ReturnPath: returnPath, SMTPUTF8: returnPath.NeedsUTF8(), Body: envelope.Body8BitMIME,
		Recipients: to,
	}
	if in.sub, err = in.poll.queue.Begin(in.ctx, env); err != nil {
		return err
	}
	if _, err = in.sub.Write(in.poll.received(in.sub.ID(), env)); err == nil {
		_, err = in.sub.Write(rest)
	}
	return err
}

// hold ends the message and has the queue hold it.
func (in *intake) hold() (envelope.QueueID, error) {
	switch {
	case in.failed != nil:
	case in.size == 0:
		in.put([]byte("\r\n"))
	case in.last == '\r':
		in.put([]byte("\n"))
	case in.last != '\n':
		in.put([]byte("\r\n"))
	}
	if in.failed == nil && in.sub == nil {
		in.failed = in.begin()
	}
	if in.failed != nil {
		in.abort()
		return 0, in.failed
	}
	return in.sub.ID(), in.sub.Hold(in.ctx)
}

func (in *intake) abort() {
	if in.sub != nil {
		in.sub.Abort()
	}
}

// uid is that of a message from a server that has none.
func (in *intake) uid() uid { return uid(in.sum.Sum(nil)[:len(uid{})]) }

// cutReturnPath takes the Return-Path fields off a header.
func cutReturnPath(head []byte) (address.Address, []byte) {
	var path address.Address
	found := false
	var rest []byte
	for line := range fields(head) {
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok || !strings.EqualFold(string(bytes.TrimRight(name, " \t")), "Return-Path") {
			rest = append(rest, line...)
			continue
		}
		if !found {
			found = true
			path, _ = address.Parse(strings.TrimSpace(string(value))) // what is no address is none
		}
	}
	if !found {
		return path, head
	}
	return path, rest
}

// fields yields the fields of a header, with the lines that continue them.
func fields(head []byte) func(yield func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for len(head) > 0 {
			end := 0
			for {
				i := bytes.IndexByte(head[end:], '\n')
				if i < 0 {
					end = len(head)
					break
				}
				end += i + 1
				if end == len(head) || head[end] != ' ' && head[end] != '\t' {
					break
				}
			}
			if !yield(head[:end]) {
				return
			}
			head = head[end:]
		}
	}
}

// received is the trace field (RFC 5321 section 4.4).
func (p *poll) received(id envelope.QueueID, env *envelope.Envelope) []byte {
	b := []byte("Received: from " + p.record.Host.Name)
	if p.ip.IsValid() {
		literal := "[" + p.ip.String() + "]"
		if p.ip.Is6() {
			literal = "[IPv6:" + p.ip.String() + "]"
		}
		b = append(b, " ("+literal+")"...)
	}
	b = append(b, "\r\n  by "+p.acc.Domain+" (Gatepost RPOP)\r\n  with "+p.record.Protocol+" id "...)
	b = strconv.AppendUint(b, uint64(id), 10)
	if len(env.Recipients) == 1 {
		b = append(b, " for <"+env.Recipients[0].Address.String()+">"...)
	}
	b = time.Now().AppendFormat(append(b, "; "...), time.RFC1123Z)
	return append(b, "\r\n"...)
}

// recipients are those that a message goes to.
func (p *poll) recipients(ctx context.Context, head []byte) ([]envelope.Recipient, error) {
	if p.record.Special != "" {
		for _, lead := range [][]string{{p.record.Special}, {"To", "Cc"}} {
			if list, err := p.named(ctx, head, lead); err != nil || len(list) > 0 {
				return list, err
			}
		}
	}
	local := p.acc.Name
	if p.record.Mailbox != "" {
		local = p.record.Mailbox + "#" + local
	}
	return []envelope.Recipient{{Address: address.Address{Local: local, Domain: p.acc.Domain}, Notify: envelope.NotifyFailure}}, nil
}

// named are the addresses of header fields that lead to accounts of this server. An error is temporary.
func (p *poll) named(ctx context.Context, head []byte, names []string) ([]envelope.Recipient, error) {
	var list []envelope.Recipient
	known := map[address.Address]bool{}
	for line := range fields(head) {
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok || !contains(names, string(bytes.TrimRight(name, " \t"))) {
			continue
		}
		for e := range message.Addresses(value) {
			if e.Kind != message.Mailbox || len(e.Domain) == 0 || len(list) >= maxRecipients {
				continue
			}
			a, err := address.Parse(address.QuoteLocal(string(e.Local)) + "@" + string(e.Domain))
			if i := strings.LastIndexByte(a.Local, '#'); i > 0 { // who writes a header does not choose the mailbox
				a.Local = a.Local[i+1:]
			}
			if err != nil || known[a] || len(known) > 10*maxRecipients {
				continue
			}
			known[a] = true
			here, err := p.isHere(ctx, a)
			if err != nil {
				return nil, err
			}
			if here {
				list = append(list, envelope.Recipient{Address: a, Notify: envelope.NotifyFailure})
			}
		}
	}
	return list, nil
}

// isHere reports whether an address leads to an account of this server. An error says that nobody can tell now.
func (p *poll) isHere(ctx context.Context, a address.Address) (bool, error) {
	route, err := p.router.Route(ctx, names.Mail, a)
	if err != nil && fault.KindOf(err).Temporary() {
		return false, err
	}
	return err == nil && route.Module == router.LOCAL, nil
}

func contains(list []string, name string) bool {
	for _, s := range list {
		if strings.EqualFold(s, name) {
			return true
		}
	}
	return false
}

func tooLarge(size, limit int64) error {
	return fmt.Errorf("%w: %d bytes, limit %d", errTooLarge, size, limit)
}
