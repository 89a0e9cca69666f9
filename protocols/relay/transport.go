package relay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"gatepost/protocols/relay/mtasts"
	"gatepost/queue"
	"gatepost/queue/envelope"
	"gatepost/router/address"
	"gatepost/server/logs"
	"gatepost/server/resolver"
	"gatepost/server/settings"
)

// Transport sends what waits in SMTP queues. It implements queue.Transport and queue.Grouper.
type Transport struct {
	settings *settings.Live[Settings]
	gateways *settings.Live[GatewaySettings]
	finder   *finder
	dialer   *dialer
	idle     idleConns
	dead     deadAddresses
	holds    holds
	turns    turns
	wake     func(queue string) bool // lets an SMTP queue try now
	domain   func() string
	signer   Signer // nil: nothing is signed
	policies *mtasts.Policies
	sessions func(Session) // nil: nobody is told
	counts   Counts
	// passedOn rewrites return-paths, see UseReturnPaths.
	passedOn func(address.Address) (address.Address, bool)
	log      *slog.Logger
}

// New returns the transport of the SMTP module. Hosts are found through dns; helo returns this server's
// domain, own knows its others and reads passwords. signer may be nil; policies too, for none. wake lets
// an SMTP queue try now, and says whether there is one.
func New(cfg *settings.Live[Settings], gateways *settings.Live[GatewaySettings], dns *resolver.Resolver, helo func() string, own Directory, signer Signer,
	policies *mtasts.Policies, wake func(queue string) bool, log *slog.Logger) *Transport {
	t := &Transport{settings: cfg, gateways: gateways, domain: helo, signer: signer, policies: policies, wake: wake, log: logs.Component(log, "SMTP")}
	name := func() string {
		if name := cfg.Get().HELOName; name != "" {
			return name
		}
		return helo()
	}
	t.finder = &finder{dns, own, name}
	t.dialer = newDialer(name)
	t.dialer.told = func(host string, r reply) {
		if t.log.Enabled(context.Background(), logs.LevelLowLevel) {
			t.log.Log(context.Background(), logs.LevelLowLevel, "rsp: "+strings.ReplaceAll(r.String(), "\n", " / "), logs.AttrNextHop, host)
		}
	}
	t.dialer.reveal = own.Unseal
	return t
}

// UseReturnPaths has the return-paths of strangers' messages that forwarders pass on rewritten (SRS). The
// function reports false for one that stays as it is. It is called before the transport is used.
func (t *Transport) UseReturnPaths(passedOn func(address.Address) (address.Address, bool)) {
	t.passedOn = passedOn
}

// Close ends idle connections. It comes after the end of the queue's Run.
func (t *Transport) Close() { t.idle.close() }

// job is one message with the recipients that go one way.
type job struct {
	item  *queue.Item
	rcpts []target
}

// token is that of the recipient, if it has one; it is the only one then.
func (j *job) token() string { return j.item.Envelope.Recipients[j.rcpts[0].rcpt].Token }

// Deliver sends the messages of a batch, those that go one way through one connection.
func (t *Transport) Deliver(ctx context.Context, b *queue.Batch) {
	if turned := t.turns.of(b.Queue); turned != nil {
		t.sendBack(ctx, b, turned)
		return
	}
	if t.apart(b) {
		return
	}
	ways, jobs := t.split(b)
	for _, w := range ways {
		if ctx.Err() != nil {
			return
		}
		t.send(ctx, b, w, jobs[w])
	}
}

// split sorts the recipients of a batch by their ways. Nearly always there is one.
func (t *Transport) split(b *queue.Batch) ([]way, map[way][]job) {
	c := t.choices()
	var ways []way
	jobs := map[way][]job{}
	for _, it := range b.Items {
		for i, rcpt := range it.Recipients {
			w, none := c.wayOf(it.Envelope, &it.Routes[i])
			if none != nil {
				it.Report(rcpt, *none)
				continue
			}
			w.require, w.optional = it.Envelope.RequireTLS, it.Envelope.TLSOptional && !it.Envelope.RequireTLS
			list, known := jobs[w]
			if !known {
				ways = append(ways, w)
			}
			// A recipient with a token has a message, and a return-path, of its own.
			if n := len(list); n == 0 || list[n-1].item != it || it.Envelope.Recipients[rcpt].Token != "" || list[n-1].token() != "" {
				list = append(list, job{item: it})
			}
			last := &list[len(list)-1]
			last.rcpts = append(last.rcpts, targetOf(rcpt, &it.Envelope.Recipients[rcpt], &it.Routes[i]))
			jobs[w] = list
		}
	}
	return ways, jobs
}

func noHost(s *Settings) envelope.Status {
	st := envelope.Status{Action: envelope.ActionDelayed, Code: envelope.Code{4, 4, 4}, Text: "no smart host is set", Queue: true}
	if s.WithoutHost == "Return" {
		st.Action, st.Code, st.Queue = envelope.ActionFailed, envelope.Code{5, 4, 4}, false
	}
	return st
}

// send sends messages one way, through one connection after another if need be.
func (t *Transport) send(ctx context.Context, b *queue.Batch, w way, jobs []job) {
	s := sender{t: t, ctx: ctx, batch: b, way: w, host: displayName(w.name)}
	s.all(jobs)
}

// all sends messages until the way cannot be used.
func (s *sender) all(jobs []job) {
	defer s.done()
	for i := range jobs {
		if s.ctx.Err() != nil || i > 0 && !s.batch.More() {
			return
		}
		if st := s.message(&jobs[i]); st != nil {
			for _, j := range jobs[i:] {
				j.report(*st)
			}
			return
		}
	}
}

func (j *job) report(st envelope.Status) {
	var open []int
	for _, r := range j.rcpts {
		if !r.settled {
			open = append(open, r.rcpt)
		}
	}
	j.item.ReportAll(open, st)
}

// displayName is a host as reports show it.
func displayName(host string) string {
	if isIP(host) {
		return "[" + host + "]"
	}
	return host
}

// sender sends the messages of one batch that go one way.
type sender struct {
	t       *Transport
	ctx     context.Context
	batch   *queue.Batch
	way     way
	host    string // that is connected, or was tried last
	c       *conn
	release func() // of the connection's tie to ctx
	secure  security
	worn    bool    // the connection has served before: that it ends says nothing about the host
	turned  *turned // whose connection it is, if the host has made it
}

// message sends one message. A status that is returned stops the whole batch:
// the way cannot be used now.
func (s *sender) message(j *job) *envelope.Status {
	rest := j.rcpts
	j.rcpts = nil
	var dressed *text
	for len(rest) > 0 {
		if s.c == nil {
			if err := s.connect(); err != nil {
				if s.ctx.Err() != nil {
					return nil // the server stops: not tried
				}
				j.rcpts = rest
				st := s.way.timed(s.connectStatus(err))
				return &st
			}
		}
		if dressed == nil {
			t, err := s.dress(j.item, rest[0].rcpt)
			if err != nil {
				if s.ctx.Err() == nil { // else not tried
					j.rcpts = rest
					j.report(s.way.timed(s.unsignedStatus(j.item, err)))
				}
				return nil
			}
			dressed = &t
		}
		n := len(rest)
		if limit := s.c.ext.rcptMax; limit > 0 {
			n = min(n, limit)
		}
		tr := transaction{c: s.c, item: j.item, text: *dressed, way: s.way, host: s.host, rcpts: rest[:min(n, defaultRcptMax)], passedOn: s.t.passedOn}
		rest = rest[len(tr.rcpts):]
		again, err := tr.run()
		rest = append(again, rest...)
		if err == nil {
			s.worn = s.c.used
			continue
		}
		open, st := s.lost(&tr, err)
		rest = append(open, rest...)
		if st != nil {
			j.rcpts = rest
			return st
		}
	}
	return nil
}

// lost handles a connection that broke, or that cannot be used any more because our own file
// ended in the middle of the text. It returns recipients to try again through a new one, or
// a status that stops the batch.
func (s *sender) lost(tr *transaction, err error) (open []target, stop *envelope.Status) {
	level, event := logs.LevelProblem, "connection broken"
	unread := errors.As(err, new(*fileError))
	if unread {
		level, event = logs.LevelFailure, unreadable
	}
	s.t.log.Log(s.ctx, level, event, logs.AttrNextHop, s.host, logs.AttrQueueID, uint64(tr.item.ID), logs.AttrError, err)
	worn, stopping := s.worn, s.ctx.Err() != nil
	s.drop()
	for _, r := range tr.rcpts {
		if !r.settled {
			open = append(open, r)
		}
	}
	var b *broken
	errors.As(err, &b)
	switch {
	case stopping:
		return nil, nil // what has no result counts as not tried
	case unread:
		tr.settleAll(envelope.Status{Action: envelope.ActionDelayed, Code: envelope.Code{4, 3, 0}, Text: unreadable})
		return nil, nil
	case b.begun:
		// It may be this message that the peer cannot bear: the others go on.
		tr.settleAll(s.brokenStatus())
		return nil, nil
	case worn:
		// Many servers take some messages per connection and then end it, by 421
		// or without a word. A new connection tells whether the host is fine; each
		// makes a transaction or stops the batch.
		return open, nil
	}
	st := s.brokenStatus()
	st.Queue = s.turned == nil
	var r *refusal
	if errors.As(err, &r) {
		st.Text, st.Reply = "connection closed by "+s.host, r.reply.String()
	}
	st = s.way.timed(st)
	return open, &st
}

// unreadable is what the log and the recipient's state say of a *fileError. The host has
// nothing to do with it.
const unreadable = "the message file cannot be read"

func (s *sender) brokenStatus() envelope.Status {
	return envelope.Status{Action: envelope.ActionDelayed, Code: envelope.Code{4, 4, 2}, Remote: s.host,
		Text: "connection with " + s.host + " is broken"}
}

// tries are the attempts to get one connection.
type tries struct {
	left   int       // tries
	until  time.Time // none begins after it: hosts that take long must not take hours together
	later  []try     // addresses that were dead lately
	failed []failure
}

// try is an address of a host.
type try struct {
	hop hop
	to  netip.AddrPort
}

// failure is an attempt that failed.
type failure struct {
	host string
	err  error
}

// final reports whether the host refuses all mail for good.
func (f failure) final() bool {
	if unsafe := (*insecure)(nil); errors.As(f.err, &unsafe) {
		return unsafe.code[0] == 5
	}
	r, ok := f.refusal()
	return ok && r.reply.permanent() && r.stage != "STARTTLS"
}

func (f failure) refusal() (r *refusal, ok bool) {
	ok = errors.As(f.err, &r)
	return r, ok
}

// verdict returns the failure that stands for all of them: what a server said rather than that
// another could not be reached, and nothing final while another may take the mail later.
func (t *tries) verdict() failure {
	rank := func(f failure) int {
		_, said := f.refusal()
		said = said || errors.As(f.err, new(*authError))
		switch {
		case f.final():
			return 0
		case !said:
			return 1
		}
		return 2
	}
	return slices.MaxFunc(t.failed, func(a, b failure) int { return cmp.Compare(rank(a), rank(b)) })
}

// connect gets a connection: one that waits for the next batch, or a new one to the first host of the
// way that takes it, the best ones first.
func (s *sender) connect() error {
	if s.turned != nil {
		return errTurnOver
	}
	if isSocket(s.way.name) {
		return s.connectSocket()
	}
	var err error
	if s.secure, err = s.t.securityOf(s.ctx, s.way); err != nil {
		return err
	}
	if s.secure.problem != nil {
		s.tell(hop{}, netip.Addr{}, netip.Addr{}, resultNoPolicy, s.secure.problem)
	}
	t := tries{left: maxTries, until: time.Now().Add(maxTrying)}
	err = s.t.finder.each(s.ctx, s.way, func(hosts []exchanger) bool { return s.connectAny(hosts, &t) })
	for _, a := range t.later {
		if s.enough(&t) {
			break
		}
		s.try(a, &t)
	}
	if s.c != nil {
		return nil
	}
	if len(t.failed) == 0 {
		return cmp.Or(err, s.ctx.Err())
	}
	f := t.verdict()
	s.host = f.host
	return f.err
}

// connectAny tries hosts of one preference, and reports whether there is a connection or no sense in
// further tries.
func (s *sender) connectAny(hosts []exchanger, t *tries) (enough bool) {
	hops := make([]hop, len(hosts))
	usable := make([]bool, len(hosts))
	for i, h := range hosts {
		var err error
		if hops[i], err = s.t.secured(s.ctx, s.way, s.secure, s.way.hop(h.name)); err != nil {
			s.t.log.Log(s.ctx, logs.LevelLowLevel, "no connection", logs.AttrNextHop, h.name, logs.AttrError, err)
			t.failed = append(t.failed, failure{displayName(h.name), err})
			s.tellRefused(hops[i], err)
			continue
		}
		if usable[i] = true; s.take(hops[i]) {
			return true
		}
	}
	for i, h := range hosts {
		hop := hops[i]
		if !usable[i] {
			continue
		}
		for _, ip := range h.ips {
			a := try{hop, netip.AddrPortFrom(ip, uint16(hop.port()))}
			if s.t.dead.has(a.to) {
				t.later = append(t.later, a)
				continue
			}
			s.try(a, t)
			if s.enough(t) {
				return true
			}
		}
	}
	return false
}

// take uses a connection that waits.
func (s *sender) take(h hop) bool {
	c := s.t.idle.take(h)
	if c != nil {
		s.use(c, true)
	}
	return c != nil
}

// enough reports whether there is a connection, or no further try to be made.
func (s *sender) enough(t *tries) bool {
	return s.c != nil || t.left == 0 || s.ctx.Err() != nil || time.Now().After(t.until)
}

// try connects to one address.
func (s *sender) try(a try, t *tries) {
	t.left--
	c, err := s.t.dialer.connect(s.ctx, a.hop, a.to)
	host := displayName(a.hop.host.Name)
	if err == nil {
		s.t.dead.remove(a.to)
		s.batch.Answered()
		s.t.log.Log(s.ctx, logs.LevelLowLevel, "connected", logs.AttrNextHop, host, logs.AttrPeer, a.to.String())
		s.tellConnected(c, a.to)
		s.use(c, false)
		return
	}
	if s.ctx.Err() != nil {
		return
	}
	s.tellFailed(a.hop, a.to, err)
	// The outcome of each recipient is in the log, with the cause.
	s.t.log.Log(s.ctx, logs.LevelLowLevel, "no connection", logs.AttrNextHop, host, logs.AttrPeer, a.to.String(), logs.AttrError, err)
	f := failure{host, err}
	if unreachable(err) {
		s.t.dead.add(a.to)
	}
	t.failed = append(t.failed, f)
}

// unreachable reports whether nobody has answered at an address.
func unreachable(err error) bool {
	var op *net.OpError
	var timeout net.Error
	return errors.As(err, &op) && op.Op == "dial" || errors.As(err, &timeout) && timeout.Timeout()
}

// use takes a connection for the messages of the batch.
func (s *sender) use(c *conn, worn bool) {
	s.c, s.worn, s.release = c, worn, c.obey(s.ctx)
	s.host = displayName(c.hop.host.Name)
}

// drop closes the connection at once.
func (s *sender) drop() {
	s.release()
	s.c.abort()
	s.c = nil
	if s.turned != nil {
		s.turned.give(nil)
	}
}

// done keeps the connection for the next batch.
func (s *sender) done() {
	if s.c == nil {
		return
	}
	if s.ctx.Err() != nil {
		s.drop()
		return
	}
	s.release()
	if s.turned != nil {
		s.turned.give(s.c)
		return
	}
	s.t.idle.put(s.c)
}

// connectStatus turns a failure to get a connection into a status for the queue.
func (s *sender) connectStatus(err error) envelope.Status {
	st := envelope.Status{Action: envelope.ActionDelayed, Code: envelope.Code{4, 4, 1}, Remote: s.host, Queue: true}
	var r *refusal
	var no *noWay
	var login *authError
	var op *net.OpError
	var unsafe *insecure
	switch {
	case errors.As(err, &unsafe):
		st.Code, st.Text = unsafe.code, unsafe.text
		if unsafe.code[0] == 5 {
			st.Action, st.Queue = envelope.ActionFailed, false
		}
	case errors.Is(err, errTurnOver):
		return turnOver(s.turned.host)
	case errors.As(err, &no):
		return no.status
	case errors.As(err, &login):
		st.Code, st.Text = envelope.Code{4, 7, 8}, "gateway "+s.way.gateway.name+": "+login.text
		if login.reply != nil {
			st.Reply = login.reply.String()
		}
	case errors.As(err, &r):
		st.Text, st.Code, st.Reply = "connection refused by "+s.host, r.reply.enhanced(), r.reply.String()
		if r.reply.permanent() && r.stage != "STARTTLS" {
			st.Action, st.Queue = envelope.ActionFailed, false
		} else if st.Code[0] != 4 {
			st.Code = envelope.Code{4, 3, 2}
		}
	case errors.As(err, &op) && op.Op == "dial":
		st.Text = fmt.Sprintf("cannot connect to %s: %v", s.host, op.Err)
	default:
		st.Code, st.Text = envelope.Code{4, 4, 2}, fmt.Sprintf("connection with %s is broken: %s", s.host, cleaned(err.Error()))
	}
	return st
}
