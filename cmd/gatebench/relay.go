package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// relayCommand sends messages to a server that passes them on, and receives them
// at the other end. How the server finds the sink is its own setting.
//
// With --hosts there are as many destinations, h0000.relay.test and so on, of which the
// first are silent, slow and refuse connections: the server is to pass the mail for the others
// on in time. Each has a loopback address of its own, and --routes prints what the server
// has to be told of them.
type relayCommand struct {
	Addr     string `help:"SMTP server that relays." default:"127.0.0.1:25" placeholder:"HOST:PORT"`
	Sink     string `help:"Where the server sends the messages to: an SMTP server of gatebench. With --hosts only the port counts." required:"" placeholder:"HOST:PORT"`
	Conns    int    `help:"Connections at a time." default:"20"`
	Messages int    `help:"Messages to send in all." default:"5000"`
	Size     int    `help:"Bytes of a message." default:"4096"`
	Repeat   int    `help:"Runs." default:"1"`

	Hosts    int           `help:"Destinations, with an address each; 0 for one, relay.test."`
	Silent   int           `help:"Of them those that accept connections and never say anything."`
	Slow     int           `help:"Of them those that take three seconds for each reply."`
	Refusing int           `help:"Of them those where nobody listens."`
	Limit    time.Duration `help:"How long the server may take for the rest after the last message was accepted." default:"1m"`
	Routes   string        `help:"Print the routes to the hosts, and do nothing: a Router Table of Gatepost, or a transport map of Postfix." enum:"gatepost,postfix," default:""`
}

func (c *relayCommand) Run(ctx context.Context, out *report) error {
	port, err := c.validate()
	if err != nil {
		return err
	}
	if c.Routes != "" {
		return c.printRoutes(out, port)
	}
	ctx, cancel := context.WithCancel(ctx)
	s := &sink{}
	defer s.all.Wait()
	defer cancel()
	var current atomic.Pointer[arrivals]
	s.took = func(id string) {
		if a := current.Load(); a != nil {
			a.took(id)
		}
	}
	if err := c.listen(ctx, s, port); err != nil {
		return err
	}
	var accepted, relayed []float64
	var waits []time.Duration
	var slowed int64
	for range c.Repeat {
		r := &smtpRun{ledger: &ledger{}, id: time.Now().UnixNano(), smtpCommand: &smtpCommand{Addr: c.Addr, Conns: c.Conns, Messages: c.Messages,
			Size: c.Size, From: "sender@bench.test", Rcpt: "u%03d@relay.test", Accounts: 100, Pipelining: true}}
		if c.Hosts > 0 {
			r.Rcpt, r.Accounts = "u@h%04d.relay.test", c.Hosts
		}
		a := newArrivals(c, r.id)
		current.Store(a)
		r.accept = a.accepted
		start := time.Now()
		err := parallel(c.Conns, func(int) error { return r.work(ctx) })
		sent := time.Since(start)
		if err == nil && r.refused.Load() > 0 {
			err = fmt.Errorf("%d messages were refused: %v", r.refused.Load(), r.refusal.Load())
		}
		if err != nil {
			return err
		}
		select {
		case <-a.all:
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(c.Limit):
			return fmt.Errorf("%d messages to hosts that answer did not arrive in %s", a.missing.Load(), c.Limit)
		}
		accepted = append(accepted, float64(c.Messages)/sent.Seconds())
		relayed = append(relayed, float64(a.good)/time.Since(start).Seconds())
		waits = append(waits, a.waits()...)
		slowed += a.slow.Load()
	}
	err = errors.Join(out.print("accepted", "/s", accepted...), out.print("relayed", "/s", relayed...))
	if c.Hosts > 0 {
		err = errors.Join(err, out.print("accepted until arrived", "ms", milliseconds(waits)...),
			out.print("arrived at slow hosts", "messages", float64(slowed)))
	}
	return err
}

func (c *relayCommand) validate() (port string, err error) {
	if _, port, err = net.SplitHostPort(c.Sink); err != nil {
		return "", fmt.Errorf("--sink: %w", err)
	}
	if c.Hosts > 250*250 || c.Hosts > 0 && c.bad() >= c.Hosts || c.Hosts == 0 && c.bad() > 0 || c.Routes != "" && c.Hosts == 0 {
		return "", errors.New("--hosts must be more than the silent, slow and refusing ones together, and 62,500 at most")
	}
	return port, nil
}

func (c *relayCommand) bad() int { return c.Silent + c.Slow + c.Refusing }

// manner is that of a host: the bad ones come first.
func (c *relayCommand) manner(host int) manner {
	switch {
	case host < c.Silent:
		return silent
	case host < c.Silent+c.Slow:
		return slow
	case host < c.bad():
		return refuses
	}
	return prompt
}

// hostIP is the loopback address of a host.
func hostIP(host int) string { return fmt.Sprintf("127.1.%d.%d", host/250, host%250+1) }

func (c *relayCommand) listen(ctx context.Context, s *sink, port string) error {
	if c.Hosts == 0 {
		_, err := s.listen(ctx, c.Sink, prompt)
		return err
	}
	for host := range c.Hosts {
		if m := c.manner(host); m != refuses {
			if _, err := s.listen(ctx, net.JoinHostPort(hostIP(host), port), m); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *relayCommand) printRoutes(out *report, port string) error {
	for host := range c.Hosts {
		domain := fmt.Sprintf("h%04d.relay.test", host)
		line := fmt.Sprintf("Relay:%s = %s@[%s]:%s._via\n", domain, domain, hostIP(host), port)
		if c.Routes == "postfix" {
			line = fmt.Sprintf("%s smtp:[%s]:%s\n", domain, hostIP(host), port)
		}
		if _, err := fmt.Fprint(out.w, line); err != nil {
			return err
		}
	}
	return nil
}

// arrivals keeps when each message of a run was accepted and arrived.
type arrivals struct {
	command *relayCommand
	run     string
	good    int // messages to hosts that answer at once
	missing atomic.Int64
	slow    atomic.Int64  // messages that arrived at slow hosts
	all     chan struct{} // of capacity 1: missing came to 0
	start   time.Time
	was     []atomic.Int64 // by message: nanoseconds from start until it was accepted
	came    []atomic.Int64 // until it arrived for the first time
}

func newArrivals(c *relayCommand, run int64) *arrivals {
	a := &arrivals{command: c, run: strconv.FormatInt(run, 10), all: make(chan struct{}, 1), start: time.Now(),
		was: make([]atomic.Int64, c.Messages), came: make([]atomic.Int64, c.Messages)}
	for n := range c.Messages {
		if a.manner(n) == prompt {
			a.good++
		}
	}
	a.missing.Store(int64(a.good))
	return a
}

func (a *arrivals) manner(message int) manner {
	if a.command.Hosts == 0 {
		return prompt
	}
	return a.command.manner(message % a.command.Hosts)
}

func (a *arrivals) accepted(message int) { a.was[message].Store(int64(time.Since(a.start))) }

func (a *arrivals) took(id string) {
	run, rest, _ := strings.Cut(strings.TrimSuffix(id, "@gatebench"), ".")
	n, err := strconv.Atoi(rest)
	if run != a.run || err != nil || n >= len(a.came) || !a.came[n].CompareAndSwap(0, int64(time.Since(a.start))) {
		return // of another run, or here already
	}
	switch {
	case a.manner(n) == slow:
		a.slow.Add(1)
	case a.missing.Add(-1) == 0:
		a.all <- struct{}{}
	}
}

// waits returns how long each message to a host that answers took.
func (a *arrivals) waits() (waits []time.Duration) {
	for n := range a.came {
		if a.manner(n) == prompt {
			waits = append(waits, max(0, time.Duration(a.came[n].Load()-a.was[n].Load())))
		}
	}
	return waits
}
