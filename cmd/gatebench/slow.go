package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// slowCommand holds connections to port 25, from many addresses, that send a byte a second after the greeting,
// and connect again when they are closed. Meanwhile a Client IP, a stranger and a user deliver messages, one after the other on a new connection each.
type slowCommand struct {
	flooded
	Conns    int           `help:"Slow connections." default:"5000"`
	Again    time.Duration `help:"A connection that is closed comes again after it." default:"5s"`
	Prompt   time.Duration `help:"DelayPrompt of the server: strangers wait so long for the greeting." default:"5s"`
	Settle   time.Duration `help:"How long the slow ones are alone." default:"15s"`
	Messages int           `help:"Messages of each of the others." default:"20"`
	Limit    time.Duration `help:"No message of a Client IP, a user or a stranger who wrote before may take longer." default:"1s"`
}

func (c *slowCommand) Run(ctx context.Context, out *report) (err error) {
	if err := c.begin(ctx, 5, fmt.Sprintf("UPDATEMODULE SMTP {DelayPrompt=%s;}\n", c.Prompt)); err != nil {
		return errors.Join(err, c.finish())
	}
	defer func() { err = errors.Join(err, c.finish()) }()
	// The stranger has written here before, a newcomer has not.
	if err := deliver(from(ctx, addressOf(200, 1)), &smtpCommand{Addr: c.addr(25), Pipelining: true}, "first@slow", ""); err != nil {
		return err
	}
	flooding, end := context.WithCancel(ctx)
	var f slowFlood
	var all sync.WaitGroup
	for i := range c.Conns {
		all.Go(func() {
			f.keep(from(flooding, addressOf(100, i*2)), c.addr(25), c.Again, time.Duration(i)*10*time.Second/time.Duration(c.Conns))
		})
	}
	defer all.Wait()
	defer end()
	if err := pause(ctx, c.Settle); err != nil {
		return err
	}
	kinds := []struct {
		name, auth string
		port       int
		from       netip.Addr
	}{
		{"Client IP", "", 25, trusted},
		{"user on 587", "u001@" + killDomain + ":" + killPassword, 587, addressOf(201, 1)},
		{"stranger who wrote before", "", 25, addressOf(200, 1)},
	}
	taken := make([][]time.Duration, len(kinds))
	var open []float64
	var newcomers []time.Duration
	refused := 0
	begin := time.Now()
	for n := range c.Messages {
		for i, k := range kinds {
			start := time.Now()
			o := &smtpCommand{Addr: c.addr(k.port), Auth: k.auth, Pipelining: true}
			if err := deliver(from(ctx, k.from), o, fmt.Sprintf("%d-%d@slow", i, n), k.auth); err != nil {
				return fmt.Errorf("%s: %w", k.name, err)
			}
			taken[i] = append(taken[i], time.Since(start))
		}
		// A newcomer comes from another address each time.
		start := time.Now()
		err := deliver(from(ctx, addressOf(202, n*2)), &smtpCommand{Addr: c.addr(25), Pipelining: true}, fmt.Sprintf("new-%d@slow", n), "")
		switch {
		case err == nil:
			newcomers = append(newcomers, time.Since(start))
		case strings.Contains(err.Error(), "421"), cutOff(err):
			refused++
		default:
			return fmt.Errorf("newcomer: %w", err)
		}
		open = append(open, float64(f.open.Load()))
		if err := pause(ctx, 200*time.Millisecond); err != nil {
			return err
		}
	}
	used, err := memory(c.process.Process.Pid)
	if err != nil {
		return err
	}
	for i, k := range kinds {
		err = errors.Join(err, out.print(k.name+", connect to 250", "ms", milliseconds(taken[i])...), within(c.Limit, "a message of a "+k.name, taken[i]))
	}
	if len(newcomers) > 0 {
		err = errors.Join(err, out.print("newcomer, with the wait to be greeted", "ms", milliseconds(newcomers)...))
	}
	blocked, failed := c.statistics(ctx, "blockedAddresses")
	if failed != nil {
		return errors.Join(err, failed)
	}
	return errors.Join(err, out.print("newcomers who have to come again", "", float64(refused)), out.print("addresses blocked", "", blocked...),
		out.print("slow connections with a greeting", "", open...),
		out.print("refused or ended connections", "/s", float64(f.ended.Load())/(c.Settle+time.Since(begin)).Seconds()),
		out.print("memory of the server", "MB", float64(used)/1e6))
}

// deliver sends one message on a connection of its own.
func deliver(ctx context.Context, o *smtpCommand, id, auth string) error {
	k, err := dialSMTP(ctx, o)
	if err != nil {
		return err
	}
	defer k.Close()
	sender := "sender@bench.test"
	if auth != "" {
		sender, _, _ = strings.Cut(auth, ":")
	}
	to := "u000@" + killDomain
	reply, _, err := k.transaction(sender, to, newMessage(id, sender, to, 4096))
	if err != nil || !strings.HasPrefix(reply, "250") {
		return fmt.Errorf("%s %w", reply, err)
	}
	k.quit()
	return nil
}

// slowFlood counts the slow connections.
type slowFlood struct {
	open, ended atomic.Int64
}

// keep holds a slow connection, again and again, until ctx is done.
func (f *slowFlood) keep(ctx context.Context, addr string, again, first time.Duration) {
	for wait := first; pause(ctx, wait) == nil; wait = again {
		w, err := dial(ctx, addr)
		if err == nil {
			f.drip(ctx, w)
			w.Close()
		}
		f.ended.Add(1)
	}
}

// drip waits for the greeting and then sends a byte a second, until the server closes the connection.
func (f *slowFlood) drip(ctx context.Context, w *wire) {
	if err := w.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		return
	}
	line, err := bufio.NewReaderSize(w, 512).ReadSlice('\n')
	if err != nil || !strings.HasPrefix(string(line), "220") {
		return
	}
	f.open.Add(1)
	defer f.open.Add(-1)
	for i := 0; pause(ctx, time.Second) == nil; i++ {
		if _, err := w.Write([]byte{"EHLO slow.example.net "[i%22]}); err != nil {
			return
		}
	}
}

// pause waits, and returns an error when ctx is done before.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
