package delivery

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/accounts"
	"gatepost/accounts/access"
	"gatepost/accounts/mailbox"
	"gatepost/accounts/message"
	"gatepost/queue"
	"gatepost/queue/envelope"
	"gatepost/router"
	"gatepost/server/fault"
	"gatepost/server/logs"
	"gatepost/server/rate"
	"gatepost/server/settings"
)

// Transport delivers LOCAL queues. It is a queue.Repeatable: the store knows by the queue
// ID what an account has.
type Transport struct {
	accounts  *accounts.Store
	settings  *settings.Live[Settings]
	log       *slog.Logger
	messages  *summaries
	flow      *rate.Table[uint64] // deliveries by account ID, against MailInpFlow
	waiting   waiting
	queue     Queue
	rules     Rules     // nil: there are none
	signer    Signer    // nil: nothing is signed
	calendars Calendars // nil: there are none
	posting   Posting
	junk      JunkFilter // nil: nothing is scored
	// ruled has the messages to which rules were applied in some account, and that come again after a
	// crash or a failure.
	ruled sync.Map // envelope.QueueID → true
}

// Queue is what the transport needs of the queue that it delivers for.
type Queue interface {
	Waker
	// BeginHeld begins a message that rules send, see queue.Submission.Hold.
	BeginHeld(ctx context.Context, env *envelope.Envelope) (*queue.Submission, error)
	Held() []envelope.QueueID
	Publish(id envelope.QueueID) error
	Drop(id envelope.QueueID) error
}

// maxFlows bounds the accounts whose deliveries are counted. Only those with a limit are.
const maxFlows = 100000

// Posting tells who may send mail into a mailbox by its own address, and which mailbox an alias means.
type Posting interface {
	// Mailbox returns the mailbox that a name means to an account, see access.Resolver.
	Mailbox(ctx context.Context, user *accounts.Account, name string) (access.Mailbox, error)
	// MayPost reports whether a sender may; nil is one who has not logged in.
	MayPost(ctx context.Context, sender, owner *accounts.Account, box string) (bool, error)
}

// New returns the transport of the LOCAL module, which delivers for a queue. rules may be nil.
func New(acc *accounts.Store, q Queue, posting Posting, rules Rules, cfg *settings.Live[Settings], log *slog.Logger) *Transport {
	t := &Transport{accounts: acc, settings: cfg, log: logs.Component(log, "LOCAL"), messages: newSummaries(),
		flow: rate.New[uint64](maxFlows), waiting: waiting{waker: q, watch: watchMailboxes}, queue: q, posting: posting, rules: rules}
	acc.OnChange(t.waiting.wakeThose)
	return t
}

// A Signer signs mail between domains of this server.
type Signer interface {
	// SignsLocal reports whether SignLocal has anything to do. It answers from memory.
	SignsLocal() bool
	// SignLocal returns the fields that are put before a message which is delivered in a domain: complete lines with
	// CRLF, or nothing.
	SignLocal(ctx context.Context, id envelope.QueueID, env *envelope.Envelope, text io.ReaderAt, size int64, domain string) ([]byte, error)
}

// UseSigner has mail signed. It is called before the transport is used.
func (t *Transport) UseSigner(s Signer) { t.signer = s }

// A JunkFilter says how much mail looks like junk.
type JunkFilter interface {
	// Score returns 0 to 100 for a message, by its queue ID; known is false when it cannot tell.
	Score(ctx context.Context, acc *accounts.Account, id uint64, text io.ReaderAt, size int64) (score int, known bool, err error)
}

// UseJunkFilter has mail scored. It is called before the transport is used.
func (t *Transport) UseJunkFilter(f JunkFilter) { t.junk = f }

// score is the score of a message of a stranger, or of another server, for an account. Mail that cannot be scored is delivered without.
func (t *Transport) score(ctx context.Context, acc *accounts.Account, it *queue.Item) (score int, known bool) {
	if t.junk == nil || it.Envelope.Source.Trusted || !bool(acc.Settings().JunkFilter) {
		return 0, false
	}
	f, err := os.Open(it.File)
	if err == nil {
		defer f.Close()
		score, known, err = t.junk.Score(ctx, acc, uint64(it.ID), io.NewSectionReader(f, it.Offset, it.Size), it.Size)
	}
	if err != nil {
		t.log.LogAttrs(ctx, logs.LevelProblem, "a message has no junk score", slog.Uint64(logs.AttrQueueID, uint64(it.ID)), slog.Any(logs.AttrError, err))
		return 0, false
	}
	return score, known
}

// signatures are the fields of the signer for a message. One that cannot be signed is delivered without: whoever reads
// it knows that it comes from this server.
func (t *Transport) signatures(ctx context.Context, acc *accounts.Account, it *queue.Item) []byte {
	if t.signer == nil || !t.signer.SignsLocal() {
		return nil
	}
	f, err := os.Open(it.File)
	var fields []byte
	if err == nil {
		defer f.Close()
		fields, err = t.signer.SignLocal(ctx, it.ID, it.Envelope, io.NewSectionReader(f, it.Offset, it.Size), it.Size, acc.Domain)
	}
	if err != nil {
		t.log.LogAttrs(ctx, logs.LevelProblem, "a message was not signed", slog.Uint64(logs.AttrQueueID, uint64(it.ID)), slog.Any(logs.AttrError, err))
		return nil
	}
	return fields
}

// Sync makes durable what was delivered so far, before the queue removes its files.
func (t *Transport) Sync(ctx context.Context) error { return t.accounts.Mail().SyncLinks(ctx) }

// Forget tells the store of queue files that are gone for good.
func (t *Transport) Forget(ids []envelope.QueueID) {
	plain := make([]uint64, len(ids))
	for i, id := range ids {
		t.ruled.Delete(id)
		plain[i] = uint64(id)
	}
	t.accounts.Mail().Forget(plain)
}

// ForgetBut makes the store forget messages that are not in the queue: a crash
// can come between the end of a queue file and Forget. Before, it lets go what rules
// were sending when the server ended. The call comes after the queue was opened and before it runs.
func (t *Transport) ForgetBut(ctx context.Context, queued func(envelope.QueueID) bool) error {
	if err := t.settleHeld(ctx); err != nil {
		return err
	}
	return t.accounts.Mail().ForgetBut(ctx, func(id uint64) bool { return queued(envelope.QueueID(id)) })
}

// Deliver puts the messages of a batch into the account that the queue is named after.
func (t *Transport) Deliver(ctx context.Context, b *queue.Batch) {
	name, domain := b.Items[0].Routes[0].Name, b.Items[0].Routes[0].Domain
	acc, err := t.accounts.Account(ctx, domain, name)
	if err == nil && !acc.Enabled("Mail") && t.waiting.add(acc, b.Queue) {
		acc, err = t.accounts.Account(ctx, domain, name)
	}
	if err != nil {
		if kind := fault.KindOf(err); kind == fault.Internal || kind == fault.Corrupt {
			for _, it := range b.Items { // the report says no more than "internal error"
				t.log.Warn("not delivered", "account", name+"@"+domain, "queue_id", it.ID, "error", err)
			}
		}
		reportAll(b.Items, failed(err))
		return
	}
	if !acc.Enabled("Mail") {
		reportAll(b.Items, t.disabled())
		return
	}
	t.deliverTo(ctx, acc, b)
}

// part is one copy of a message with its deliveries: one, or those that rules have made of it.
type part struct {
	copy  messageCopy
	first int // of the deliveries
	n     int
	rules *applied // nil without rules
}

// deliverTo delivers what passes the checks in one call of the store.
func (t *Transport) deliverTo(ctx context.Context, acc *accounts.Account, b *queue.Batch) {
	items := b.Items
	var parts []part
	var deliveries []mailbox.Delivery
	have := t.rules != nil && t.rules.Have(acc)
	for i, it := range items {
		if ctx.Err() != nil {
			break
		}
		if wait := t.flow.Take(acc.ID, acc.Settings().MailInpFlow); wait > 0 {
			reportAll(items[i:], t.overFlow(max(wait, time.Second)))
			break
		}
		sum, st := t.examine(acc, it)
		if st != nil {
			reportAll(items[i:i+1], *st)
			continue
		}
		_, before := t.ruled.Load(it.ID)
		ruled := have || before && (t.rules != nil || t.calendars != nil) || t.calendars != nil && t.calendars.Concerns(sum)
		signed := t.signatures(ctx, acc, it)
		copies, err := t.copies(ctx, acc, it)
		if err != nil {
			if ctx.Err() == nil {
				reportAll(items[i:i+1], failed(err))
			}
			continue
		}
		score, known := t.score(ctx, acc, it)
		for _, c := range copies {
			c.signed = signed
			if known {
				c.scored(acc, score)
			}
			if c.alias != nil {
				t.deliverAliased(ctx, acc, &c, sum)
				continue
			}
			p := part{copy: c, first: len(deliveries), n: 1}
			if ruled && c.named == "" {
				a, st := t.apply(ctx, acc, it, &c, sum)
				if st != nil {
					if ctx.Err() == nil {
						c.report(*st)
					}
					continue
				}
				p.rules, p.n = &a, len(a.deliveries)
				deliveries = append(deliveries, a.deliveries...)
			} else {
				deliveries = append(deliveries, c.delivery(it, acc, sum))
			}
			parts = append(parts, p)
		}
	}
	var errs []error
	if len(deliveries) > 0 {
		errs = t.store(ctx, acc, b.Queue, deliveries)
	}
	for i := range parts {
		t.settle(ctx, acc, &parts[i], deliveries, errs)
	}
}

// settle reports a part after the commit.
func (t *Transport) settle(ctx context.Context, acc *accounts.Account, p *part, deliveries []mailbox.Delivery, errs []error) {
	st := delivered
	var err error
	failed := p.first
	for i := p.first; i < p.first+p.n && err == nil; i++ {
		err, failed = errs[i], i
	}
	if p.rules != nil {
		st = p.rules.status
		err = t.finish(acc, p.copy.item, p.rules, err)
	}
	if err != nil {
		if p.rules != nil {
			t.ruled.Store(p.copy.item.ID, true)
		}
		if fault.Is(err, fault.Canceled) && ctx.Err() != nil {
			return // the server stops; the queue keeps it
		}
		st = t.refused(ctx, acc, &deliveries[failed], err)
	}
	p.copy.report(st)
}

// store puts messages into the mailboxes. What does not fit is tried once more
// when the store begins to watch the account for freed space.
func (t *Transport) store(ctx context.Context, acc *accounts.Account, queue string, all []mailbox.Delivery) []error {
	errs := acc.Mail().Deliver(ctx, all)
	var refused []int
	for i, err := range errs {
		if fault.Is(err, fault.OverQuota) {
			refused = append(refused, i)
		}
	}
	if len(refused) == 0 || !t.waiting.add(acc, queue) {
		return errs
	}
	again := make([]mailbox.Delivery, len(refused))
	for i, at := range refused {
		again[i] = all[at]
	}
	for i, err := range acc.Mail().Deliver(ctx, again) {
		errs[refused[i]] = err
	}
	return errs
}

var delivered = envelope.Status{Action: envelope.ActionDelivered, Code: envelope.Code{2, 0, 0}, Text: queue.TextDelivered}

// examine reads the message and checks what needs no store. A status ends it.
func (t *Transport) examine(acc *accounts.Account, it *queue.Item) (*message.Summary, *envelope.Status) {
	if err := acc.AcceptsSize(it.Size); err != nil {
		code := envelope.Code{5, 2, 3}
		if fault.Is(err, fault.OverQuota) {
			code = envelope.Code{5, 2, 2}
		}
		return nil, &envelope.Status{Action: envelope.ActionFailed, Code: code, Text: fault.Text(err)}
	}
	sum, err := t.messages.get(it)
	if err != nil {
		st := failed(err)
		return nil, &st
	}
	return sum, nil
}

// messageCopy is one copy of a message in one mailbox, for one or more recipients.
type messageCopy struct {
	item    *queue.Item
	mailbox string
	named   string          // the mailbox that the address names
	alias   *access.Mailbox // that named stands for, if it is an alias
	number  uint32          // tells the copies in one account apart, see mailbox.Delivery
	rcpts   []int
	realTo  []string
	signed  []byte // fields of the signer
	junk    []byte // the field with the score
}

// junkStars is what rules compare: an X for each 5 points above 50 that were begun. A message that nothing is known of has none.
func junkStars(score int) string { return "XXXXXXXXXX"[:min(max((score-50+4)/5, 0), 10)] }

// scored puts the score into a copy, and a copy for INBOX with a high one into the Junk mailbox.
func (c *messageCopy) scored(acc *accounts.Account, score int) {
	c.junk = fmt.Appendf(nil, "X-Junk-Score: %d [%s]\r\n", score, junkStars(score))
	if limit := acc.Settings().JunkScore; limit > 0 && score >= limit && c.mailbox == "" {
		c.mailbox = acc.SpecialMailbox(imap.MailboxAttrJunk)
	}
}

// copies groups the recipients of a message in one account by mailbox: each
// mailbox gets one copy.
func (t *Transport) copies(ctx context.Context, acc *accounts.Account, it *queue.Item) ([]messageCopy, error) {
	junk := ""
	if it.Envelope.Junk {
		junk = acc.SpecialMailbox(imap.MailboxAttrJunk)
	}
	var out []messageCopy
	for i, rcpt := range it.Recipients {
		r := it.Routes[i]
		box, alias, err := t.named(ctx, acc, it, rcpt, r.Mailbox)
		if err != nil {
			return nil, err
		}
		at := -1
		for j := range out {
			if out[j].named == box {
				at = j
			}
		}
		if at < 0 {
			at = len(out)
			c := messageCopy{item: it, mailbox: cmp.Or(box, junk), named: box, alias: alias}
			if box != "" {
				c.number = uint32(rcpt) + 1
			}
			out = append(out, c)
		}
		out[at].rcpts = append(out[at].rcpts, rcpt)
		out[at].realTo = append(out[at].realTo, realTo(acc, r))
	}
	return out, nil
}

// realTo is the address that X-Real-To shows: the one that was routed to the account.
func realTo(acc *accounts.Account, r router.Route) string {
	a := r.Address
	if a.IsNull() {
		return acc.Address()
	}
	if a.Domain == "" {
		a.Domain = acc.Domain
	}
	return a.String()
}

func (c *messageCopy) delivery(it *queue.Item, acc *accounts.Account, sum *message.Summary) mailbox.Delivery {
	return mailbox.Delivery{
		QueueID: uint64(it.ID), Copy: c.number,
		File: it.File, Offset: it.Offset, Size: it.Size,
		Prefix: slices.Concat(prefix(it.Envelope, acc, c.rcpts[0], c.realTo), c.signed, c.junk), Summary: sum,
		Mailbox: c.mailbox,
	}
}

func (c *messageCopy) report(st envelope.Status) { c.item.ReportAll(c.rcpts, st) }

// prefix makes the fields that stand before the message in this account.
func prefix(env *envelope.Envelope, acc *accounts.Account, rcpt int, realTo []string) []byte {
	b := make([]byte, 0, 128+64*len(realTo))
	b = append(b, "Return-Path: <"...)
	if from, _ := env.ReturnPathFor(rcpt); !from.IsNull() {
		b = append(b, from.String()...)
	}
	b = append(b, ">\r\n"...)
	for _, a := range realTo {
		b = append(append(append(b, "X-Real-To: <"...), a...), ">\r\n"...)
	}
	b = append(append(append(b, "Delivered-To: "...), acc.Address()...), "\r\n"...)
	return append(b, env.PersonalFor(rcpt)...)
}

func reportAll(items []*queue.Item, st envelope.Status) {
	for _, it := range items {
		it.ReportAll(it.Recipients, st)
	}
}
