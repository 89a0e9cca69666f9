package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"

	"gatepost/queue"
	"gatepost/queue/envelope"
	"gatepost/router"
	"gatepost/server/logs"
	"gatepost/server/settings"
)

// Transport sends what waits in SMTP queues. It implements queue.Transport and queue.Grouper.
type Transport struct {
	settings *settings.Live[Settings]
	dialer   *dialer
	idle     idleConns
	signer   Signer // nil: nothing is signed
	log      *slog.Logger
}

// New returns the transport of the SMTP module. helo returns this server's name. signer may be nil.
func New(cfg *settings.Live[Settings], helo func() string, signer Signer, log *slog.Logger) *Transport {
	t := &Transport{settings: cfg, signer: signer, log: logs.Component(log, "SMTP")}
	t.dialer = newDialer(func() string {
		if name := cfg.Get().HELOName; name != "" {
			return name
		}
		return helo()
	})
	return t
}

// Close ends idle connections. It comes after the end of the queue's Run.
func (t *Transport) Close() { t.idle.close() }

// job is one message with the recipients that go to one hop.
type job struct {
	item  *queue.Item
	rcpts []target
}

// Deliver sends the messages of a batch, those for one hop through one connection.
func (t *Transport) Deliver(ctx context.Context, b *queue.Batch) {
	hops, jobs := t.split(b)
	for _, h := range hops {
		if ctx.Err() != nil {
			return
		}
		t.send(ctx, b, h, jobs[h])
	}
}

// split sorts the recipients of a batch by hop. Nearly always there is one.
func (t *Transport) split(b *queue.Batch) ([]hop, map[hop][]job) {
	s := t.settings.Get()
	var hops []hop
	jobs := map[hop][]job{}
	for _, it := range b.Items {
		for i, rcpt := range it.Recipients {
			h, ok := hopOf(s, it.Routes[i])
			if !ok {
				it.Report(rcpt, noHost(s))
				continue
			}
			list, known := jobs[h]
			if !known {
				hops = append(hops, h)
			}
			if n := len(list); n == 0 || list[n-1].item != it {
				list = append(list, job{item: it})
			}
			last := &list[len(list)-1]
			last.rcpts = append(last.rcpts, targetOf(rcpt, &it.Envelope.Recipients[rcpt], &it.Routes[i]))
			jobs[h] = list
		}
	}
	return hops, jobs
}

// hopOf returns where a route leads: to the host that it names, found by its
// address records, else to the smart host.
func hopOf(s *Settings, r router.Route) (hop, bool) {
	name := strings.TrimSuffix(strings.TrimPrefix(r.Host, "["), "]")
	if len(name) > 5 && strings.EqualFold(name[:5], "IPv6:") {
		name = name[5:]
	}
	if name != "" {
		return hop{host: Host{Name: name, Port: r.Port}, tls: "If Offered"}, true
	}
	if s.SmartHost.IsZero() {
		return hop{}, false
	}
	return hop{host: s.SmartHost, tls: s.SmartHostTLS}, true
}

func noHost(s *Settings) envelope.Status {
	st := envelope.Status{Action: envelope.ActionDelayed, Code: envelope.Code{4, 4, 4}, Text: "no smart host is set", Queue: true}
	if s.WithoutHost == "Return" {
		st.Action, st.Code, st.Queue = envelope.ActionFailed, envelope.Code{5, 4, 4}, false
	}
	return st
}

// send sends messages to one hop, through one connection after another if need be.
func (t *Transport) send(ctx context.Context, b *queue.Batch, h hop, jobs []job) {
	s := sender{t: t, ctx: ctx, batch: b, hop: h, host: displayName(h.host.Name)}
	defer s.done()
	for i := range jobs {
		if ctx.Err() != nil || i > 0 && !b.More() {
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

// sender sends the messages of one batch to one hop.
type sender struct {
	t       *Transport
	ctx     context.Context
	batch   *queue.Batch
	hop     hop
	host    string
	c       *conn
	release func() // of the connection's tie to ctx
	worn    bool   // the connection has served before: that it ends says nothing about the host
}

// message sends one message. A status that is returned stops the whole batch:
// the hop cannot be used now.
func (s *sender) message(j *job) *envelope.Status {
	rest := j.rcpts
	j.rcpts = nil
	var fields []byte // of the signer
	signed := false
	for len(rest) > 0 {
		if s.c == nil {
			if err := s.connect(); err != nil {
				if s.ctx.Err() != nil {
					return nil // the server stops: not tried
				}
				j.rcpts = rest
				st := s.connectStatus(err)
				return &st
			}
		}
		if !signed {
			var err error
			if fields, err = s.sign(j.item); err != nil {
				if s.ctx.Err() == nil { // else not tried
					j.rcpts = rest
					j.report(s.unsignedStatus(j.item, err))
				}
				return nil
			}
			signed = true
		}
		n := len(rest)
		if limit := s.c.ext.rcptMax; limit > 0 {
			n = min(n, limit)
		}
		tr := transaction{c: s.c, item: j.item, fields: fields, host: s.host, rcpts: rest[:min(n, defaultRcptMax)]}
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
	st.Queue = true
	var r *refusal
	if errors.As(err, &r) {
		st.Text, st.Reply = "connection closed by "+s.host, r.reply.String()
	}
	return open, &st
}

// unreadable is what the log and the recipient's state say of a *fileError. The host has
// nothing to do with it.
const unreadable = "the message file cannot be read"

func (s *sender) brokenStatus() envelope.Status {
	return envelope.Status{Action: envelope.ActionDelayed, Code: envelope.Code{4, 4, 2}, Remote: s.host,
		Text: "connection with " + s.host + " is broken"}
}

func (s *sender) connect() error {
	if c := s.t.idle.take(s.hop); c != nil {
		s.c, s.worn, s.release = c, true, c.obey(s.ctx)
		return nil
	}
	c, err := s.t.dialer.connect(s.ctx, s.hop)
	if err != nil {
		// The outcome of each recipient is in the log, with the cause.
		s.t.log.Log(s.ctx, logs.LevelLowLevel, "no connection", logs.AttrNextHop, s.host, logs.AttrError, err)
		return err
	}
	s.batch.Answered()
	s.t.log.Log(s.ctx, logs.LevelLowLevel, "connected", logs.AttrNextHop, s.host, logs.AttrPeer, c.net.RemoteAddr().String())
	s.c, s.worn, s.release = c, false, c.obey(s.ctx)
	return nil
}

// drop closes the connection at once.
func (s *sender) drop() {
	s.release()
	s.c.abort()
	s.c = nil
}

// done keeps the connection for the next batch.
func (s *sender) done() {
	if s.c == nil {
		return
	}
	s.release()
	if s.ctx.Err() != nil {
		s.c.abort()
		return
	}
	s.t.idle.put(s.c)
}

// connectStatus turns a failure to get a connection into a status for the queue.
func (s *sender) connectStatus(err error) envelope.Status {
	st := envelope.Status{Action: envelope.ActionDelayed, Code: envelope.Code{4, 4, 1}, Remote: s.host, Queue: true}
	var r *refusal
	var dns *net.DNSError
	var op *net.OpError
	switch {
	case errors.As(err, &r):
		st.Text, st.Code, st.Reply = "connection refused by "+s.host, r.reply.enhanced(), r.reply.String()
		if r.reply.permanent() && r.stage != "STARTTLS" {
			st.Action, st.Queue = envelope.ActionFailed, false
		} else if st.Code[0] != 4 {
			st.Code = envelope.Code{4, 3, 2}
		}
	case errors.As(err, &dns):
		st.Code, st.Text = envelope.Code{4, 4, 3}, "address of "+s.host+" not found"
	case errors.As(err, &op) && op.Op == "dial":
		st.Text = fmt.Sprintf("cannot connect to %s: %v", s.host, op.Err)
	default:
		st.Code, st.Text = envelope.Code{4, 4, 2}, fmt.Sprintf("connection with %s is broken: %s", s.host, cleaned(err.Error()))
	}
	return st
}
