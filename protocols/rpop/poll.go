package rpop

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"time"

	"gatepost/accounts"
	"gatepost/queue/envelope"
	"gatepost/server/fault"
	"gatepost/server/logs"
)

// A batch ends when it has so many messages or bytes: then they are remembered and let go.
const (
	batchMessages = 20
	batchBytes    = 16 << 20
)

// skippedFor is how long a message is left alone that could not be taken: the limit is another one then, or
// the other server can read it again.
const skippedFor = 24 * time.Hour

// poll is one poll of a remote account. It belongs to its goroutine.
type poll struct {
	*Poller
	acc    *accounts.Account
	record accounts.RemoteAccount
	set    *Settings
	log    *slog.Logger

	ip    netip.Addr // of the other server
	seen  *seen
	src   source
	bytes int64 // fetched by this poll: they may not be in the account yet

	batch map[uid]envelope.QueueID // held, and not remembered
	items []*item                  // of the batch
	held  int64                    // bytes of the batch

	fetched, left int
	unsettled     bool // the log says that the other server has refused to remove or mark something
	broken        bool // nothing more can be said to the other server
	more          bool // there are more messages than one poll fetches
	// undecided are messages of which it is not known whether the memory has them, and skipped when those
	// were tried that stay for skippedFor; both go from poll to poll.
	undecided []envelope.QueueID
	skipped   map[uid]time.Time
}

// identity tells remote accounts apart: one that is another has another memory.
func identity(r *accounts.RemoteAccount) uid {
	box := ""
	if r.Protocol == "IMAP" {
		box = r.RemoteBox
	}
	return digest(r.Protocol, r.Host.String(), r.AuthName, box)
}

// run polls.
func (p *poll) run(ctx context.Context) (err error) {
	if p.seen, err = openSeen(seenPath(p.acc.Dir(), p.record.Name), identity(&p.record)); err != nil {
		return fault.Wrap("rpop.Poll", fault.Internal, err)
	}
	if err := p.decide(); err != nil {
		return err
	}
	var from netip.Addr
	if from, err = p.sourceIP(); err != nil {
		return err
	}
	if p.src, p.ip, err = p.dialer.open(ctx, &p.record, p.set, from); err != nil {
		return there(err)
	}
	err = p.transfer(ctx)
	var failed *failure
	if p.broken || errors.As(err, &failed) {
		p.src.close()
		return err
	}
	return errors.Join(err, p.settled(p.src.quit()))
}

// settled is the failure of a removal or mark. That the other server refuses it keeps back no new mail: what was
// fetched is known, and the next poll asks for it again.
func (p *poll) settled(err error) error {
	var no *refusal
	if !errors.As(err, &no) {
		return there(err)
	}
	if !p.unsettled {
		p.unsettled = true
		p.log.LogAttrs(p.life, logs.LevelProblem, "messages that were fetched are not removed or marked there", slog.String(logs.AttrError, p.explain(err)))
	}
	return nil
}

// there marks a failure as one of the other server.
func there(err error) error {
	if f := new(failure); err == nil || errors.As(err, &f) {
		return err
	}
	return &failure{err: err}
}

// sourceIP is the local address of the connection.
func (p *poll) sourceIP() (netip.Addr, error) {
	text := p.set.SourceIP
	if list := p.acc.DomainSettings().IPAddresses; bool(p.set.UseDomainIP) && len(list) > 0 {
		text = list[0]
	}
	if text == "" {
		return netip.Addr{}, nil
	}
	return netip.ParseAddr(text)
}

// transfer fetches what is new.
func (p *poll) transfer(ctx context.Context) error {
	items, err := p.src.list()
	if err != nil {
		return there(err)
	}
	listed := make(map[uid]bool, len(items))
	var fresh, old []*item
	for _, it := range items {
		if it.uid != (uid{}) {
			listed[it.uid] = true
		}
		switch {
		case p.seen.has(it.uid):
			old = append(old, it)
		case time.Since(p.skipped[it.uid]) >= skippedFor:
			fresh = append(fresh, it)
		}
	}
	if err := p.seen.prune(listed); err != nil {
		return fault.Wrap("rpop.Poll", fault.Internal, err)
	}
	if err := p.settled(p.src.settle(old)); err != nil {
		return err
	}
	for _, it := range fresh {
		if p.fetched >= p.set.MaxMessages {
			p.more = true
			break
		}
		if err = p.take(ctx, it); err != nil {
			break
		}
		if len(p.batch) >= batchMessages || p.held >= batchBytes {
			if err = p.commit(); err != nil {
				return err
			}
		}
	}
	return errors.Join(err, p.commit())
}

// take fetches one message into the batch. A message that cannot be taken stays where it is.
func (p *poll) take(ctx context.Context, it *item) error {
	limit := p.limit()
	if err := p.fits(ctx, it.size, limit); err != nil {
		if errors.Is(err, errTooLarge) {
			p.leave(it, err)
			return nil
		}
		return err
	}
	in := p.intake(ctx, it, limit)
	err := p.src.fetch(it, in)
	switch {
	case in.failed != nil:
		in.abort()
		p.broken = true // the rest of the text is still to come
		if errors.Is(in.failed, errTooLarge) {
			p.leave(it, in.failed) // the next poll takes those behind it
			return refused("the server sends more than the %d bytes that it has told of", it.size)
		}
		return in.failed
	case errors.Is(err, errNoText):
		in.abort()
		return nil
	case err != nil:
		in.abort()
		var no *refusal
		if errors.As(err, &no) { // it is gone, or the server cannot read it
			p.leave(it, err)
			return nil
		}
		return there(err)
	}
	if it.uid == (uid{}) {
		it.uid = in.uid()
		if _, twice := p.batch[it.uid]; twice || p.seen.has(it.uid) {
			in.abort()
			p.items = append(p.items, it) // to be removed
			return nil
		}
	}
	id, err := in.hold()
	if err != nil {
		if fault.KindOf(err).Temporary() {
			return err
		}
		p.leave(it, err)
		return nil
	}
	if p.batch == nil {
		p.batch = map[uid]envelope.QueueID{}
	}
	p.batch[it.uid] = id
	p.items = append(p.items, it)
	p.held += in.size
	p.bytes += in.size
	p.fetched++
	p.log.LogAttrs(ctx, logs.LevelMajor, "fetched", slog.Uint64(logs.AttrQueueID, uint64(id)),
		slog.Int64(logs.AttrSize, in.size), slog.String(logs.AttrPeer, p.ip.String()))
	return nil
}

// limit is the largest message that is taken, or -1.
func (p *poll) limit() int64 {
	limit := int64(p.set.MaxMessageSize)
	if own := int64(p.acc.Settings().MaxMessageSize); own >= 0 && (limit < 0 || own < limit) {
		limit = own
	}
	return limit
}

// errFull is the failure of an account without room.
var errFull = fault.New("rpop.Poll", fault.OverQuota, "the account is full: the mail stays on the other server")

// fits says whether a message may be fetched: it is not too large, and the account has room.
func (p *poll) fits(ctx context.Context, size, limit int64) error {
	if limit >= 0 && size > limit {
		return tooLarge(size, limit)
	}
	if p.record.Special != "" {
		return nil
	}
	if most := int64(p.acc.Settings().MaxAccountSize); most >= 0 && size > most {
		return tooLarge(size, most)
	}
	err := p.acc.Mail().Fits(ctx, p.bytes+size)
	if fault.Is(err, fault.OverQuota) {
		return errFull
	}
	return err
}

// leave tells of a message that stays on the other server.
func (p *poll) leave(it *item, err error) {
	p.left++
	if it.uid != (uid{}) && len(p.skipped) < maxListed {
		p.skipped[it.uid] = time.Now()
	}
	p.log.LogAttrs(p.life, logs.LevelProblem, "a message stays on the other server", slog.Int64(logs.AttrSize, it.size), slog.String(logs.AttrError, p.explain(err)))
}

// explain is the text of an error for the log.
func (p *poll) explain(err error) string { return hide(fault.Explain(err), p.record.Password) }

// commit remembers the batch, lets it go, and settles it on the other server.
func (p *poll) commit() error {
	batch, items := p.batch, p.items
	p.batch, p.items, p.held = nil, nil, 0
	if len(batch) > 0 {
		ids := slices.Sorted(maps.Values(batch)) // the order in which they came
		p.undecided = append(p.undecided, ids...)
		if err := p.seen.add(batch); err != nil {
			return fault.Wrap("rpop.Poll", fault.Internal, fmt.Errorf("what was fetched cannot be remembered: %w", err))
		}
		for _, id := range ids {
			if err := p.queue.Publish(id); err != nil {
				return err
			}
		}
		p.undecided = p.undecided[:len(p.undecided)-len(batch)]
	}
	return p.settled(p.src.settle(items))
}

// decide lets go of messages that the memory has, and drops the others: they are fetched again. Those
// that have been let go before are not held any more.
func (p *poll) decide() error {
	for len(p.undecided) > 0 {
		id := p.undecided[0]
		var err error
		if p.seen.holds(id) {
			err = p.queue.Publish(id)
		} else {
			err = p.queue.Drop(id)
		}
		if err != nil {
			return err
		}
		p.undecided = p.undecided[1:]
	}
	return nil
}
