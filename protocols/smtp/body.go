package smtp

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"time"

	"gatepost/accounts/message"
	"gatepost/queue/envelope"
	"gatepost/server/fault"
	"gatepost/server/logs"
)

// body is the message of one transaction on its way into the queue. After a
// failure it discards the rest of the message, so that the reply comes where the
// client expects it.
type body struct {
	sub       submission // nil once the message is aborted
	id        envelope.QueueID
	messageID string // of the Message-ID field
	limit     int64  // of the message as the client sends it; below 0: none
	size      int64  // taken so far
	stored    int64  // written to the queue file
	began     time.Time
	start     messageStart
	header    headerFilter           // until the header is complete
	binary    *message.BinaryEncoder // of a BINARYMIME message
	repair    bool
	repairs   repairer
	refused   *reply // why it was aborted, if for an octet that no message may hold
	spamtrap  bool   // a recipient is a spamtrap: the message is dropped
	session   *session
	banned    *bannedScanner // nil if no line is banned
	err       error
}

// startBody opens the queue file and writes the trace field.
func (s *session) startBody() (*body, error) {
	tx := s.tx
	b := &body{limit: s.sizeLimit(), repair: s.cfg.BareLineEnds == "Repair", spamtrap: tx.spamtrap, session: s, banned: s.bannedIn()}
	b.began = time.Now()
	tx.env.Submitted = b.began
	if tx.env.Body == envelope.BodyBinaryMIME {
		b.binary = &message.BinaryEncoder{Emit: b.writeText, StartsBody: func(line []byte, fields bool) bool {
			return !isFieldLine(line, fields) // see headerEnd
		}}
		tx.env.Body = envelope.Body8BitMIME
	}
	sub, err := s.srv.begin(s.ctx, tx.env)
	if err != nil {
		return nil, err
	}
	b.sub, b.id, tx.body = sub, sub.ID(), b
	if b.spamtrap {
		b.abort() // only its number was needed
		return b, nil
	}
	if s.account != nil || s.submission {
		b.header = &submissionHeader{session: s, id: b.id}
	} else {
		b.header = &headerEnd{}
	}
	b.store(s.appendMarks(s.appendReceived(make([]byte, 0, 512), b.id, time.Now())))
	return b, nil
}

// sizeLimit is the limit of the message that is being sent, below 0 for none.
func (s *session) sizeLimit() int64 {
	limit := int64(s.cfg.MaxMessageSize)
	if s.account != nil {
		if own := int64(s.account.Settings().MaxMailOutSize); own >= 0 && (limit < 0 || own < limit) {
			limit = own
		}
	}
	return limit
}

// write takes the next text of the message. Nothing in it is stuffed. Unless
// the message is BINARYMIME, it does not end between CR and LF.
func (b *body) write(text []byte) {
	b.size += int64(len(text))
	if b.limit >= 0 && b.size > b.limit {
		b.fail(errTooLarge)
	}
	if b.binary == nil && hasNUL(text) {
		b.refuse(&replyNULData)
	}
	b.encode(b.start.next(text))
}

// encode takes text from which the messageStart has taken what is no header. Binary parts become base64.
func (b *body) encode(text []byte) {
	switch {
	case b.sub == nil || len(text) == 0:
	case b.binary != nil:
		if _, err := b.binary.Write(text); err != nil {
			b.fail(err)
		}
	default:
		b.writeText(text)
	}
}

// writeText takes text that does not end between CR and LF.
func (b *body) writeText(text []byte) {
	if b.sub == nil {
		return
	}
	switch {
	case b.repair:
		text = b.repairs.next(text)
	case b.binary != nil && hasBare(text):
		b.refuse(&replyBareData)
		return
	}
	if b.binary != nil && hasNUL(text) {
		b.refuse(&replyNULData) // its binary parts are base64 by now
		return
	}
	b.lookForBanned(text)
	if b.sub == nil {
		return
	}
	if b.header != nil {
		out, done, err := b.header.write(text)
		if err != nil {
			b.fail(err)
			return
		}
		if done {
			b.header = nil
		}
		text = out
	}
	b.store(text)
}

// refuse aborts a message because of an octet in it. The first reason counts.
func (b *body) refuse(why *reply) {
	if b.refused == nil {
		b.refused = why
	}
	b.abort()
}

// store writes to the queue file.
func (b *body) store(text []byte) {
	if b.sub == nil || len(text) == 0 {
		return
	}
	if _, err := b.sub.Write(text); err != nil {
		b.fail(err)
	}
	b.stored += int64(len(text))
}

// fail aborts a message. The first failure counts.
func (b *body) fail(err error) {
	if b.err == nil {
		b.err = err
	}
	b.abort()
}

func (b *body) abort() {
	if b.sub != nil {
		b.sub.Abort()
		b.sub = nil
	}
}

// excess is how much more than the limit has come, or 0.
func (b *body) excess() int64 {
	if b.limit < 0 {
		return 0
	}
	return max(0, b.size-b.limit)
}

// close writes what was held back at the end of the message.
func (b *body) close() {
	b.encode(b.start.rest())
	if b.sub != nil && b.binary != nil {
		b.binary.Close(true)
	}
	if b.sub != nil && b.banned != nil {
		b.refuseBanned(b.banned.end())
	}
	if b.sub != nil && b.header != nil {
		out, err := b.header.close()
		if err != nil {
			b.fail(err)
		}
		b.store(out)
	}
}

// hasBare reports whether text holds a bare CR or LF.
func hasBare(text []byte) bool {
	n := bytes.Count(text, crlf)
	return bytes.Count(text, crlf[:1]) != n || bytes.Count(text, crlf[1:]) != n
}

func hasNUL(text []byte) bool { return bytes.IndexByte(text, 0) >= 0 }

// commit ends the message and the transaction, and answers.
func (s *session) commit(b *body) {
	b.close()
	env, routes := s.tx.env, s.tx.routes
	s.tx, s.lastProgress = nil, time.Now()
	if b.refused != nil {
		s.refuseMessage(env, *b.refused, nil)
		return
	}
	if b.err == nil && b.spamtrap {
		s.answerSpamtrap(b, env)
		return
	}
	if b.err == nil {
		b.err = s.refusedByAll(routes, b.stored)
	}
	if b.err == nil {
		var drop bool
		if drop, b.err = s.check(b, env); drop {
			s.dropMessage(b, env, "message dropped by a check")
			return
		}
	}
	if b.err == nil {
		b.messageID = b.sub.MessageID()
		b.err = s.commitCounted(b.sub)
		b.sub = nil
	}
	if b.err != nil {
		b.abort()
		s.refuseMessage(env, replyTo(b.err), b.err)
		return
	}
	s.srv.counts.Messages.Inc()
	s.srv.counts.Bytes.Add(b.size)
	s.logReceived(b, env)
	s.accepted(b.id)
}

// commitCounted commits a message if the account's MailOutFlow has room for it.
// Sessions of one account that began messages at once meet the limit here.
func (s *session) commitCounted(sub submission) error {
	if s.account == nil {
		return sub.Commit(s.ctx)
	}
	if s.srv.sent.Take(s.account.ID, s.account.Settings().MailOutFlow) > 0 {
		sub.Abort()
		return fault.New("smtp.commit", fault.RateLimited, "")
	}
	err := sub.Commit(s.ctx)
	if err != nil {
		s.srv.sent.GiveBack(s.account.ID)
	}
	return err
}

// accepted answers a message that was accepted. Errors before it are forgiven.
func (s *session) accepted(id envelope.QueueID) {
	s.errors, s.delivered = 0, true
	if s.stranger() && s.open() {
		s.srv.protection.Delivered(s.remote)
	}
	s.answerMessage(reply{code: 250, text: id.String() + " message accepted for delivery"})
	s.replyDue = true
}

// refuseMessage answers the end of a message that is not accepted. cause, if any, is
// for the log.
func (s *session) refuseMessage(env *envelope.Envelope, r reply, cause error) {
	level := logs.LevelProblem
	if r.code < 500 {
		level = logs.LevelFailure
	}
	attrs := []slog.Attr{slog.String(logs.AttrReturnPath, shown(env.ReturnPath)),
		slog.String(logs.AttrRecipient, listed(env.Recipients)), slog.Int(logs.AttrStatus, r.code)}
	if s.account != nil {
		attrs = append(attrs, slog.String(logs.AttrAccount, s.account.Address()))
	}
	if cause != nil && fault.Explain(cause) != r.text {
		attrs = append(attrs, slog.Any(logs.AttrError, cause))
	}
	s.log.LogAttrs(s.ctx, level, "message refused: "+r.text, attrs...)
	s.refused(cause, &r)
	s.answerMessage(r)
}

// answerSpamtrap answers a message with a spamtrap among its recipients: nobody
// gets it.
func (s *session) answerSpamtrap(b *body, env *envelope.Envelope) {
	const why = "spamtrap: message dropped"
	if s.cfg.Spamtrap != "Refuse" {
		s.dropMessage(b, env, why)
		return
	}
	s.log.LogAttrs(s.ctx, logs.LevelMajor, why, slog.Any(logs.AttrQueueID, b.id), slog.String(logs.AttrReturnPath, shown(env.ReturnPath)))
	r := refusal(550, 5, 7, 1, "message refused")
	s.refused(nil, &r)
	s.answerMessage(r)
}

func (s *session) logReceived(b *body, env *envelope.Envelope) {
	if !s.log.Enabled(context.Background(), logs.LevelMajor) {
		return
	}
	text := "received"
	if s.tls != nil {
		text += " encrypted"
	}
	if s.account != nil {
		text += "(" + s.account.Address() + ")"
	}
	attrs := append(make([]slog.Attr, 0, 5), slog.Any(logs.AttrQueueID, b.id), slog.Int64(logs.AttrSize, b.size),
		slog.String(logs.AttrReturnPath, shown(env.ReturnPath)), slog.String(logs.AttrRecipient, listed(env.Recipients)))
	if b.messageID != "" {
		attrs = append(attrs, slog.String(logs.AttrMessageID, b.messageID))
	}
	s.log.LogAttrs(s.ctx, logs.LevelMajor, text, attrs...)
}

// maxListed is how many recipients the record of a message names.
const maxListed = 20

func listed(rcpts []envelope.Recipient) string {
	var list []byte
	for i := range rcpts {
		if i == maxListed {
			return string(fmt.Appendf(list, " and %d more", len(rcpts)-i))
		}
		if i > 0 {
			list = append(list, ',')
		}
		list = append(list, rcpts[i].Address.String()...)
	}
	return string(list)
}
