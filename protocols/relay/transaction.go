package relay

import (
	"bufio"
	"errors"
	"io"
	"os"
	"strconv"
	"strings"

	"gatepost/queue"
	"gatepost/queue/envelope"
	"gatepost/router"
	"gatepost/router/address"
)

// defaultRcptMax is how many recipients a transaction has at most; RFC 5321
// section 4.5.3.1.8 lets every server take that many.
const defaultRcptMax = 100

// transaction sends one message to some of its recipients.
type transaction struct {
	c     *conn
	item  *queue.Item
	text  text
	way   way
	rcpts []target
	host  string // as reports name it

	// passedOn is Transport.passedOn.
	passedOn func(address.Address) (address.Address, bool)
}

// size is the size of the message as it is sent.
func (t *transaction) size() int64 { return t.item.Size - t.text.skip + int64(len(t.text.head)) }

// returnPath is the return-path that the server gets.
func (t *transaction) returnPath() address.Address {
	a, _ := t.mailFrom()
	return a
}

// mailFrom is the return-path that the server gets, and its local part as it came. That of a stranger's message
// which a forwarder passes on to another domain is rewritten, so that it is one of this server's: SPF of
// the stranger's domain does not let this server send.
func (t *transaction) mailFrom() (address.Address, string) {
	a, local := t.way.returnPath(t.item, t.rcpts[0].rcpt)
	env := t.item.Envelope
	stranger := env.Source.IP.IsValid() && env.Source.Account == "" && !env.Source.Trusted
	if t.passedOn == nil || !stranger || a.IsNull() || a != env.ReturnPath || !t.forwarded() {
		return a, local
	}
	if to, ok := t.passedOn(a); ok {
		return to, ""
	}
	return a, local
}

// forwarded reports whether a recipient leads into another domain than the sender has named.
func (t *transaction) forwarded() bool {
	for _, r := range t.rcpts {
		if r.to.Domain != t.item.Envelope.Recipients[r.rcpt].Address.Domain {
			return true
		}
	}
	return false
}

// target is one recipient of a transaction.
type target struct {
	rcpt    int // index in the envelope
	to      address.Address
	local   string // the local part as it came, see envelope.Recipient
	settled bool
}

// targetOf is where a recipient leads. A local part that nobody has changed on the way
// goes out as it came (RFC 5321 section 2.3.11): what stands in quotes belongs to the
// domain, even where the router reads it as another address.
func targetOf(rcpt int, r *envelope.Recipient, route *router.Route) target {
	t := target{rcpt: rcpt, to: route.Address}
	if route.AsGiven && strings.HasPrefix(r.Local, `"`) {
		t.to = r.Address
	}
	if t.to == r.Address {
		t.local = r.Local
	}
	return t
}

// broken is a failure of the connection: nothing more can be sent through it.
type broken struct {
	err   error
	begun bool // the message itself was being sent: what has no result may have arrived
}

func (b *broken) Error() string { return b.err.Error() }
func (b *broken) Unwrap() error { return b.err }

// run makes the transaction and reports every recipient that has a result. It
// returns the recipients that the server wants in another transaction, and an
// error when the connection is of no more use; recipients without a result are
// then the caller's.
func (t *transaction) run() (again []target, err error) {
	switch st, err := t.unfit(); {
	case err != nil:
		return nil, &broken{err: err}
	case st != nil:
		t.settleAll(*st)
		return nil, nil
	}
	if t.c.used && !t.c.clean {
		if err := t.reset(); err != nil {
			return nil, err
		}
	}
	t.c.used, t.c.clean = true, false
	if t.c.ext.pipelining {
		return t.pipelined()
	}
	return t.stepwise()
}

// unfit says why the message cannot go through this server at all; a *fileError when nobody
// can say now.
func (t *transaction) unfit() (*envelope.Status, error) {
	failed := func(code envelope.Code, text string) *envelope.Status {
		return &envelope.Status{Action: envelope.ActionFailed, Code: code, Remote: t.host, Text: text}
	}
	if t.c.ext.maxSize > 0 && t.size() > t.c.ext.maxSize {
		return failed(envelope.Code{5, 3, 4}, "message is too large for "+t.host), nil
	}
	if !t.c.ext.utf8 && t.needsUTF8() {
		if is, err := t.isUTF8(); is || err != nil {
			return failed(envelope.Code{5, 6, 7}, t.host+" does not take internationalized mail"), err
		}
	}
	if t.item.Envelope.RequireTLS && !t.way.lmtp && (!t.c.ext.requireTLS || t.c.tlsVersion() == "") {
		return failed(envelope.Code{5, 7, 30}, unproven(t.host+" does not take such mail").Error()), nil
	}
	if t.binary() && !(t.c.ext.binary && t.c.ext.chunking) {
		return failed(envelope.Code{5, 6, 3}, "binary message cannot be sent to "+t.host), nil
	}
	return nil, nil
}

// needsUTF8 reports whether the transaction needs SMTPUTF8 (RFC 6531 section 3.4).
func (t *transaction) needsUTF8() bool {
	if t.item.Envelope.SMTPUTF8 || t.returnPath().NeedsUTF8() {
		return true
	}
	for i := range t.rcpts {
		if t.rcpts[i].to.NeedsUTF8() {
			return true
		}
	}
	return false
}

// isUTF8 reports whether an address or the header is outside of ASCII: clients
// ask for SMTPUTF8 also where it is not needed, and that mail can pass everywhere.
func (t *transaction) isUTF8() (bool, error) {
	if t.returnPath().NeedsUTF8() {
		return true, nil
	}
	for i := range t.rcpts {
		if t.rcpts[i].to.NeedsUTF8() {
			return true, nil
		}
	}
	f, err := os.Open(t.item.File)
	if err != nil {
		return false, &fileError{err}
	}
	defer f.Close()
	return headerBeyondASCII(bufio.NewReader(io.NewSectionReader(f, t.item.Offset, t.item.Size)))
}

func headerBeyondASCII(r *bufio.Reader) (bool, error) {
	for column := 0; ; column++ {
		c, err := r.ReadByte()
		switch {
		case errors.Is(err, io.EOF):
			return false, nil
		case err != nil:
			return false, &fileError{err}
		case c >= 0x80:
			return true, nil
		case c == '\n' && column == 0:
			return false, nil
		case c == '\r':
			column--
		case c == '\n':
			column = -1
		}
	}
}

// binary reports whether the message can only be sent in chunks (RFC 3030).
func (t *transaction) binary() bool { return t.item.Envelope.Body == envelope.BodyBinaryMIME }

func (t *transaction) reset() error {
	rep, err := t.c.command(t.c.limits.mail, "RSET")
	if err != nil {
		return &broken{err: err}
	}
	if rep.code == 421 || !rep.positive() {
		return &broken{err: &refusal{"RSET", rep}}
	}
	return nil
}

// pipelined sends MAIL, all RCPT and DATA at once and reads the replies.
func (t *transaction) pipelined() ([]target, error) {
	lines := make([]string, 0, len(t.rcpts)+2)
	lines = append(lines, t.mail())
	for i := range t.rcpts {
		lines = append(lines, t.rcpt(i))
	}
	if !t.chunked() {
		lines = append(lines, "DATA")
	}
	if err := t.c.send(t.c.limits.mail, lines...); err != nil {
		return nil, &broken{err: err}
	}
	mail, err := t.c.read(t.c.limits.mail)
	if err != nil {
		return nil, &broken{err: err}
	}
	if mail.code == 421 {
		return nil, &broken{err: &refusal{"MAIL", mail}}
	}
	replies := make([]reply, len(t.rcpts))
	for i := range replies {
		if replies[i], err = t.c.read(t.c.limits.rcpt); err != nil {
			return nil, &broken{err: err}
		}
		if replies[i].code == 421 {
			return nil, &broken{err: &refusal{"RCPT", replies[i]}}
		}
	}
	if t.chunked() {
		return t.pipelinedChunk(mail, replies)
	}
	data, err := t.c.read(t.c.limits.data)
	if err != nil {
		return nil, &broken{err: err}
	}
	if mail.code != 250 {
		t.settleAll(mail.status("return-path rejected by", t.host))
		return nil, t.endUnwanted(data)
	}
	again, accepted := t.judgeRecipients(replies)
	if len(accepted) == 0 {
		return again, t.endUnwanted(data)
	}
	return again, t.body(data, accepted)
}

// stepwise waits for each reply, for servers without PIPELINING.
func (t *transaction) stepwise() ([]target, error) {
	mail, err := t.c.command(t.c.limits.mail, t.mail())
	if err != nil {
		return nil, &broken{err: err}
	}
	if mail.code == 421 {
		return nil, &broken{err: &refusal{"MAIL", mail}}
	}
	if mail.code != 250 {
		t.settleAll(mail.status("return-path rejected by", t.host))
		return nil, nil
	}
	replies := make([]reply, len(t.rcpts))
	for i := range t.rcpts {
		if replies[i], err = t.c.command(t.c.limits.rcpt, t.rcpt(i)); err != nil {
			return nil, &broken{err: err}
		}
		if replies[i].code == 421 {
			return nil, &broken{err: &refusal{"RCPT", replies[i]}}
		}
	}
	again, accepted := t.judgeRecipients(replies)
	if len(accepted) == 0 {
		return again, nil
	}
	if t.chunked() {
		return again, t.chunk(accepted)
	}
	data, err := t.c.command(t.c.limits.data, "DATA")
	if err != nil {
		return again, &broken{err: err}
	}
	return again, t.body(data, accepted)
}

// judgeRecipients reports recipients that were refused. 452 after others were
// accepted means "too many", and so does the 552 of RFC 821: the rest follows in
// another transaction (RFC 5321 section 4.5.3.1.10). Where it was meant for the
// recipient, such as for a full mailbox, it comes again there and stands.
func (t *transaction) judgeRecipients(replies []reply) (again []target, accepted []int) {
	for i, rep := range replies {
		switch {
		case rep.code == 250 || rep.code == 251 || rep.code == 252:
			accepted = append(accepted, i)
		case (rep.code == 452 || rep.code == 552) && len(accepted) > 0:
			again = append(again, t.rcpts[i])
			t.rcpts[i].settled = true
		default:
			t.settle(i, rep.status("recipient rejected by", t.host))
		}
	}
	return again, accepted
}

// endUnwanted gets over a DATA that was sent ahead although nobody is left to
// receive the message.
func (t *transaction) endUnwanted(data reply) error {
	if data.code != 354 {
		return nil
	}
	if t.c.hop.host.LMTP {
		return &broken{err: noRecipients} // nobody can say whether an answer comes
	}
	if err := t.c.send(t.c.limits.data, "."); err != nil {
		return &broken{err: err}
	}
	if _, err := t.c.read(t.c.limits.final); err != nil {
		return &broken{err: err}
	}
	return nil
}

// body sends the message and reports the recipients that were accepted.
func (t *transaction) body(data reply, accepted []int) error {
	if data.code == 421 {
		return &broken{err: &refusal{"DATA", data}}
	}
	if data.code != 354 {
		t.settleThese(accepted, data.status("message text rejected by", t.host))
		return nil
	}
	if err := t.c.copyMessage(t.text, t.item); err != nil {
		return t.cutShort(err, accepted)
	}
	return t.finalReply(accepted)
}

// chunk sends the message as it is, in one BDAT command.
func (t *transaction) chunk(accepted []int) error {
	if err := t.c.send(t.c.limits.data, "BDAT "+strconv.FormatInt(t.size(), 10)+" LAST"); err != nil {
		return &broken{err: err}
	}
	err := t.c.copyFile(t.text, t.item, func(p []byte) error {
		_, err := t.c.w.Write(p)
		return err
	})
	if err == nil {
		err = t.c.w.Flush()
	}
	if err != nil {
		return t.cutShort(err, accepted)
	}
	return t.finalReply(accepted)
}

// cutShort ends a transaction whose text could not be sent to its end. A server
// that has enough of a text may say so in the middle of it and hang up: what it
// said is still there after the write has failed, and stands. That it took the
// message it cannot say, as it does not have all of it.
func (t *transaction) cutShort(err error, accepted []int) error {
	lost := &broken{err: err, begun: true}
	if errors.As(err, new(*fileError)) {
		return lost // it still waits for text
	}
	early, _ := t.c.read(t.c.limits.quit)
	if early.code < 400 {
		return lost
	}
	t.judgeText(early, accepted)
	if early.code == 421 {
		return &broken{err: &refusal{"DATA", early}}
	}
	return lost
}

// finalReply takes the answer to the whole message. One that breaks off or that
// breaks a rule counts by its code, as only the code does (RFC 5321 section 4.2):
// a message that was taken must not be sent again. The connection ends with it.
func (t *transaction) finalReply(accepted []int) error {
	if t.c.hop.host.LMTP {
		return t.finalReplies(accepted)
	}
	final, err := t.c.read(t.c.limits.final)
	if err != nil && final.code == 0 {
		return &broken{err: err, begun: true}
	}
	t.judgeText(final, accepted)
	switch {
	case err != nil:
		return &broken{err: err, begun: true}
	case final.code == 421:
		return &broken{err: &refusal{"DATA", final}}
	}
	return nil
}

// judgeText reports the recipients that were accepted.
func (t *transaction) judgeText(final reply, accepted []int) {
	if final.code/100 != 2 {
		t.settleThese(accepted, final.status("message text rejected by", t.host))
		return
	}
	t.c.clean = true
	t.settleThese(accepted, envelope.Status{
		Action: envelope.ActionRelayed, Code: envelope.Code{2, 0, 0}, Text: "relayed via " + t.host,
		Remote: t.host, Reply: final.String(), TLS: t.c.tlsVersion(), Passed: t.c.ext.dsn,
	})
}

func (t *transaction) settle(i int, st envelope.Status) { t.settleThese([]int{i}, st) }

func (t *transaction) settleThese(list []int, st envelope.Status) {
	open := make([]int, 0, len(list))
	for _, i := range list {
		if r := &t.rcpts[i]; !r.settled {
			r.settled = true
			open = append(open, r.rcpt)
		}
	}
	t.item.ReportAll(open, t.way.timed(st))
}

func (t *transaction) settleAll(st envelope.Status) {
	all := make([]int, len(t.rcpts))
	for i := range all {
		all[i] = i
	}
	t.settleThese(all, st)
}
