package relay

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"time"

	"gatepost/queue"
	"gatepost/queue/envelope"
	"gatepost/server/fault"
	"gatepost/server/logs"
)

// ATRN (RFC 2645): a server that is not always reachable connects, logs in, and turns the connection: from
// there on we are the client, and send what waits for its domains through it. The queues take it like any
// other connection, with the difference that there is no second one.

// turnIdle is how long a turned connection waits for a message that could go through it: sending
// may be switched off, or all channels be in use.
const turnIdle = 4 * time.Minute

// turned is a connection that was turned, for the mail of one queue after the other.
type turned struct {
	host string // as reports name it

	mu   sync.Mutex
	c    *conn      // nil while a batch has it, and after its end
	over bool       // the connection has ended, or is to
	free *sync.Cond // no batch has it
	busy bool       // a batch has it
	idle *time.Timer
	end  context.CancelFunc // of the turn
}

// turns knows which queues have a turned connection.
type turns struct {
	mu      sync.Mutex
	byQueue map[string]*turned
}

// of returns the connection that takes the mail of a queue now, or nil.
func (t *turns) of(queue string) *turned {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.byQueue[queue]
}

// claim gives a queue to a connection, unless another one has it.
func (t *turns) claim(queue string, c *turned) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.byQueue[queue] != nil {
		return false
	}
	if t.byQueue == nil {
		t.byQueue = map[string]*turned{}
	}
	t.byQueue[queue] = c
	return true
}

func (t *turns) release(queue string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.byQueue, queue)
}

// IsTurned reports whether the mail of a queue goes through a connection now that somebody has turned.
func (t *Transport) IsTurned(queue string) bool { return t.turns.of(queue) != nil }

// Turn sends what waits in queues through a connection of which the other side is the server from now on: it
// greets. quiet waits until nothing is left in a queue that could be tried now. Turn returns when that is so
// for all queues, or the connection or ctx has ended; the caller closes the connection. The results of the
// messages are in the queue; what the other side did not take waits as if it had not asked. A queue that
// has a turned connection already is left out.
func (t *Transport) Turn(ctx context.Context, nc net.Conn, host string, queues []string, quiet func(ctx context.Context, queue string) error) error {
	raw := nc
	if secure, ok := nc.(*tls.Conn); ok {
		raw = secure.NetConn()
	}
	c := &conn{raw: raw, net: nc, limits: t.dialer.limits}
	c.told = func(r reply) { t.dialer.told(host, r) }
	defer c.obey(ctx)()
	c.buffers()
	if err := c.greet(t.dialer.helo()); err != nil {
		return fault.Wrap("relay.Turn", fault.Unavailable, err)
	}
	turning, end := context.WithCancel(ctx)
	defer end()
	tc := &turned{host: host, c: c, end: end}
	tc.free = sync.NewCond(&tc.mu)
	tc.idle = time.AfterFunc(turnIdle, end)
	defer tc.idle.Stop()
	for _, queue := range queues {
		if turning.Err() != nil {
			break
		}
		if !t.turns.claim(queue, tc) {
			t.log.Log(ctx, logs.LevelProblem, "another connection takes the mail of the domain now", logs.AttrPeer, host, "domain", queue)
			continue
		}
		t.wake(queue)
		// An error means that the turn has ended, which the next round sees.
		_ = quiet(turning, queue)
		t.turns.release(queue)
	}
	if c := tc.close(); c != nil && ctx.Err() == nil {
		c.quit()
	}
	return nil
}

// take gives a batch the connection, or returns nil if another batch has it or it has ended.
func (tc *turned) take(b *queue.Batch) *conn {
	tc.mu.Lock()
	defer tc.mu.Unlock()
	if tc.over || tc.c == nil {
		return nil
	}
	// Before the next one asks: what is too much for a host that answers only has to wait.
	b.Answered()
	c := tc.c
	tc.c, tc.busy = nil, true
	tc.idle.Stop()
	return c
}

// give ends the use of the connection by a batch. c is nil if it has broken.
func (tc *turned) give(c *conn) {
	tc.mu.Lock()
	defer tc.mu.Unlock()
	tc.c, tc.busy = c, false
	if c == nil {
		tc.over = true
		tc.end()
	} else {
		tc.idle.Reset(turnIdle)
	}
	tc.free.Broadcast()
}

func (tc *turned) isOver() bool {
	tc.mu.Lock()
	defer tc.mu.Unlock()
	return tc.over
}

// close waits until no batch has the connection, and returns it if it still works. No batch gets it after that.
func (tc *turned) close() *conn {
	tc.mu.Lock()
	defer tc.mu.Unlock()
	tc.over = true
	for tc.busy {
		tc.free.Wait()
	}
	return tc.c
}

// errTurnOver is the end of a turned connection: there is no other one.
var errTurnOver = errors.New("the turned connection has ended")

// turnOver is what becomes of mail that a turned connection did not take.
func turnOver(host string) envelope.Status {
	return envelope.Status{Action: envelope.ActionDelayed, Code: envelope.Code{4, 4, 2}, Remote: host,
		Text: "the connection by which " + host + " fetched its mail has ended"}
}

// sendBack sends a batch through a turned connection.
func (t *Transport) sendBack(ctx context.Context, b *queue.Batch, tc *turned) {
	c := tc.take(b)
	if c == nil {
		st := turnOver(tc.host)
		// While the turn lasts, it is the other batches that are too many.
		st.Queue = !tc.isOver()
		for _, it := range b.Items {
			it.ReportAll(it.Recipients, st)
		}
		return
	}
	jobs := make([]job, len(b.Items))
	for i, it := range b.Items {
		jobs[i].item = it
		for k, rcpt := range it.Recipients {
			jobs[i].rcpts = append(jobs[i].rcpts, targetOf(rcpt, &it.Envelope.Recipients[rcpt], &it.Routes[k]))
		}
	}
	s := sender{t: t, ctx: ctx, batch: b, turned: tc}
	s.use(c, false)
	s.host = tc.host
	s.all(jobs)
}
