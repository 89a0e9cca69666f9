package drop

import (
	"bytes"
	"context"
	"mime"
	"mime/quotedprintable"
	"strings"
	"time"

	"gatepost/queue/envelope"
	"gatepost/server/fault"
)

// tag is the submit tag of messages that are made of items, and that of the log.
const tag = "DROP"

// rfc5322 is the form of dates in a message.
const rfc5322 = "Mon, 02 Jan 2006 15:04:05 -0700"

// A result is what becomes of an item.
type result struct {
	ID     envelope.QueueID // of the message that is sent; 0 for none
	Reason string           // why none is sent
	Later  bool             // the item is deferred, not refused
}

// The kinds of results, by the sub-folders of a drop folder.
const (
	sent  = "sent"
	later = "defer"
	never = "drop"
)

func (r *result) kind() string {
	switch {
	case r.Reason == "":
		return sent
	case r.Later:
		return later
	}
	return never
}

// consider says what becomes of an item that the queue has not seen. The result has no reason if it may be
// sent. The error is temporary: the item stays where it is.
func (in *Intake) consider(ctx context.Context, it *Item, senders Addresses) (parsed, result, error) {
	p, err := it.parse()
	if err != nil {
		return p, result{Reason: fault.Text(err)}, nil
	}
	if len(senders) > 0 && !senders.has(p.from) {
		return p, result{Reason: p.from.String() + " is not one of the Senders in the settings", Later: true}, nil
	}
	ok, err := in.o.MaySend(ctx, p.from)
	if err == nil && !ok {
		return p, result{Reason: p.from.String() + " is neither an account of this server nor a sender of one of its gateways", Later: true}, nil
	}
	return p, result{}, err
}

// hold makes the message of an item, which the queue holds. A refusal is a result; an error is temporary, and
// nothing is held.
func (in *Intake) hold(ctx context.Context, source string, p parsed) (result, error) {
	main := in.o.MainDomain()
	text, encoding := encodeBody(p.content)
	env := &envelope.Envelope{
		Source: envelope.Source{Tag: tag, Domain: main, Trusted: true}, ReturnPath: p.from,
		Recipients: []envelope.Recipient{{Address: p.to, Notify: envelope.NotifyDefault}},
		SMTPUTF8:   p.from.NeedsUTF8() || p.to.NeedsUTF8(),
	}
	sub, err := in.o.Queue.Begin(ctx, env)
	if err != nil {
		return refusal(err)
	}
	defer sub.Abort()
	sub.Unattended()
	id := sub.ID().String()
	now := time.Now()
	date := p.time
	if date.IsZero() {
		date = now
	}
	var h bytes.Buffer
	for _, line := range []string{
		"Received: by " + main + " (Gatepost DROP, from " + source + ")\r\n\twith DROP id " + id + "; " + now.Format(rfc5322),
		"From: " + p.from.String(), "To: " + p.to.String(), "Subject: " + encodeTopic(p.topic), "Date: " + date.Format(rfc5322),
		"Message-ID: <drop-" + id + "@" + main + ">", "MIME-Version: 1.0", "Content-Type: text/plain; charset=utf-8",
		"Content-Transfer-Encoding: " + encoding, "",
	} {
		h.WriteString(line + "\r\n")
	}
	if _, err = sub.Write(h.Bytes()); err == nil {
		_, err = sub.Write(text)
	}
	if err == nil {
		err = sub.Hold(ctx)
	}
	if err != nil {
		return refusal(err)
	}
	return result{ID: sub.ID()}, nil
}

// refusal divides failures into those that are the item's, and those that pass.
func refusal(err error) (result, error) {
	if fault.KindOf(err).Temporary() {
		return result{}, err
	}
	return result{Reason: fault.Text(err)}, nil
}

// lineLimit is the highest length of a line in octets without its end (RFC 5322 section 2.1.1).
const lineLimit = 998

// encodeBody returns a text with CRLF line ends, and how it is encoded (RFC 2045 section 6): as it is if it is
// ASCII with lines that are not too long.
func encodeBody(text string) ([]byte, string) {
	text = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text)
	text = strings.TrimRight(text, "\n") + "\n"
	plain := true
	for line := range strings.Lines(text) {
		plain = plain && len(line) <= lineLimit && isPlain(line[:len(line)-1])
	}
	if plain {
		return []byte(strings.ReplaceAll(text, "\n", "\r\n")), "7bit"
	}
	var b bytes.Buffer
	w := quotedprintable.NewWriter(&b)
	_, _ = w.Write([]byte(strings.ReplaceAll(text, "\n", "\r\n"))) // a Buffer takes all
	_ = w.Close()
	return b.Bytes(), "quoted-printable"
}

func isPlain(s string) bool {
	for i := range len(s) {
		if (s[i] < ' ' || s[i] > '~') && s[i] != '\t' {
			return false
		}
	}
	return true
}

// maxTopic bounds a subject, in bytes.
const maxTopic = 2000

// encodeTopic is a subject as a header field has it, folded (RFC 2047, RFC 5322 section 2.2.3).
func encodeTopic(s string) string {
	s = strings.ToValidUTF8(s, "?")
	if len(s) > maxTopic {
		s = strings.ToValidUTF8(s[:maxTopic], "")
	}
	text := mime.QEncoding.Encode("utf-8", s)
	if text == s && len(s) > lineLimit-20 && !strings.Contains(s, " ") {
		text = mime.BEncoding.Encode("utf-8", s+"\u200b") // a word that cannot be folded
	}
	var out strings.Builder
	length := len("Subject:")
	for i, word := range strings.Split(text, " ") {
		if i > 0 {
			if length+1+len(word) > 78 {
				out.WriteString("\r\n")
				length = 0
			}
			out.WriteByte(' ')
			length++
		}
		out.WriteString(word)
		length += len(word)
	}
	return out.String()
}
