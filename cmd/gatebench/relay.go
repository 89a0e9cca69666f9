package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// relayCommand sends messages to a server that passes them on, and receives them
// at the other end. How the server finds the sink is its own setting.
type relayCommand struct {
	Addr     string `help:"SMTP server that relays." default:"127.0.0.1:25" placeholder:"HOST:PORT"`
	Sink     string `help:"Where the server sends the messages to: an SMTP server of gatebench." required:"" placeholder:"HOST:PORT"`
	Conns    int    `help:"Connections at a time." default:"20"`
	Messages int    `help:"Messages to send in all." default:"5000"`
	Size     int    `help:"Bytes of a message." default:"4096"`
	Repeat   int    `help:"Runs." default:"1"`
}

// relayLimit is how long a server may take for the rest after the last was accepted.
const relayLimit = time.Minute

func (c *relayCommand) Run(ctx context.Context, out *report) error {
	ctx, cancel := context.WithCancel(ctx)
	s, err := listenSink(ctx, c.Sink)
	if err != nil {
		cancel()
		return err
	}
	defer s.all.Wait()
	defer cancel()
	var accepted, relayed []float64
	for range c.Repeat {
		r := &smtpRun{ledger: &ledger{}, id: time.Now().UnixNano(), smtpCommand: &smtpCommand{Addr: c.Addr, Conns: c.Conns, Messages: c.Messages,
			Size: c.Size, From: "sender@bench.test", Rcpt: "u%03d@relay.test", Accounts: 100, Pipelining: true}}
		s.missing.Store(int64(c.Messages))
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
		case <-s.arrived:
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(relayLimit):
			return fmt.Errorf("%d messages did not arrive in %s", s.missing.Load(), relayLimit)
		}
		accepted = append(accepted, float64(c.Messages)/sent.Seconds())
		relayed = append(relayed, float64(c.Messages)/time.Since(start).Seconds())
	}
	return errors.Join(out.print("accepted", "/s", accepted...), out.print("relayed", "/s", relayed...))
}

// A sink is an SMTP server that accepts all, keeps nothing and counts.
type sink struct {
	missing atomic.Int64
	arrived chan struct{} // of capacity 1: missing came to 0
	all     sync.WaitGroup
}

func listenSink(ctx context.Context, addr string) (*sink, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	s := &sink{arrived: make(chan struct{}, 1)}
	context.AfterFunc(ctx, func() { l.Close() })
	s.all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return // closed
			}
			s.all.Go(func() {
				defer context.AfterFunc(ctx, func() { c.Close() })()
				defer c.Close()
				s.serve(c)
			})
		}
	})
	return s, nil
}

// serve is one session; the client's errors end it, and its messages are missing.
func (s *sink) serve(c net.Conn) {
	in, out := bufio.NewReaderSize(c, 64<<10), bufio.NewWriter(c)
	fmt.Fprint(out, "220 sink.test ESMTP\r\n")
	for {
		if in.Buffered() == 0 && out.Flush() != nil {
			return
		}
		line, err := in.ReadSlice('\n')
		if err != nil {
			return
		}
		verb, _, _ := strings.Cut(strings.ToUpper(strings.TrimRight(string(line), "\r\n")), " ")
		switch verb {
		case "EHLO":
			fmt.Fprint(out, "250-sink.test\r\n250-PIPELINING\r\n250-SIZE\r\n250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n250 DSN\r\n")
		case "DATA":
			fmt.Fprint(out, "354 go on\r\n")
			if out.Flush() != nil || readText(in) != nil {
				return
			}
			fmt.Fprint(out, "250 2.0.0 taken\r\n")
			if s.missing.Add(-1) == 0 {
				s.arrived <- struct{}{}
			}
		case "QUIT":
			fmt.Fprint(out, "221 2.0.0 bye\r\n")
			out.Flush() //nolint:errcheck // the session is over
			return
		default:
			fmt.Fprint(out, "250 2.0.0 ok\r\n")
		}
	}
}

// readText reads a message to its final dot.
func readText(in *bufio.Reader) error {
	whole := true // the line before ended
	for {
		line, err := in.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
		if whole && string(line) == ".\r\n" {
			return nil
		}
		whole = err == nil
	}
}
