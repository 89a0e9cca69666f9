package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// guessCommand tries wrong passwords by IMAP from many addresses, at all accounts in turn. Meanwhile the right user of one of them logs in from
// an address where he was before, and the user of an account that nobody guesses from an address that is new. A user of a guessed account at a new address has to wait (FailedLoginFlow): how
// often he is refused is printed.
type guessCommand struct {
	flooded
	Attempts  int           `help:"Wrong passwords in all." default:"50000"`
	Addresses int           `help:"Addresses they come from." default:"1000"`
	Conns     int           `help:"Connections at a time." default:"200"`
	Accounts  int           `help:"Accounts that are guessed." default:"50"`
	Limit     time.Duration `help:"No login of the right user may take longer." default:"5s"`
}

// guesses are what came of wrong passwords.
type guesses struct {
	answered, closed, away atomic.Int64 // told NO; told BYE, or the connection ended; got no session
}

func (c *guessCommand) Run(ctx context.Context, out *report) (err error) {
	if err := c.begin(ctx, c.Accounts, "CREATEACCOUNT quiet {Password="+killPassword+";}\n"); err != nil {
		return errors.Join(err, c.finish())
	}
	defer func() { err = errors.Join(err, c.finish()) }()
	addr := c.addr(143)
	right := func(name string, ip netip.Addr) (time.Duration, error) {
		start := time.Now()
		k, err := login(from(ctx, ip), addr, name+"@"+killDomain, killPassword)
		if err != nil {
			return 0, fmt.Errorf("the right user %s: %w", name, err)
		}
		k.Close()
		return time.Since(start), nil
	}
	home := addressOf(200, 1)
	if _, err := right("u000", home); err != nil {
		return err
	}
	var g guesses
	var all sync.WaitGroup
	flooding, end := context.WithCancel(ctx)
	defer all.Wait()
	defer end()
	begin := time.Now()
	for w := range c.Conns {
		all.Go(func() {
			for a := w; a < c.Addresses; a += c.Conns {
				g.from(from(flooding, addressOf(100, a*2)), addr, a, c.Attempts/c.Addresses, c.Accounts)
			}
		})
	}
	ended := make(chan struct{})
	go func() { all.Wait(); close(ended) }()
	var known, fresh []time.Duration
	lockedOut := 0
	for n := 0; ; n++ {
		d, err := right("u000", home)
		if err != nil {
			return err
		}
		known = append(known, d)
		if d, err = right("quiet", addressOf(202, n*2)); err != nil {
			return err
		}
		fresh = append(fresh, d)
		if _, err = right("u001", addressOf(203, n*2)); err != nil {
			lockedOut++
		}
		select {
		case <-ended:
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(200 * time.Millisecond):
			continue
		}
		break
	}
	took := time.Since(begin)
	stats, err := c.statistics(ctx, "failedAUTHs", "blockedAUTHs", "blockedAddresses")
	if err != nil {
		return err
	}
	verified := stats[0] - stats[1]
	if most := float64(c.Addresses * 20); verified > most {
		err = fmt.Errorf("%w: %.0f wrong passwords were looked at, and not %.0f at most", errFindings, verified, most)
	}
	return errors.Join(err,
		out.print("right user, his address", "ms", milliseconds(known)...), within(c.Limit, "a login of the right user", known),
		out.print("user of another account, new address", "ms", milliseconds(fresh)...), within(c.Limit, "a login from a new address", fresh),
		out.print("user of a guessed account, new address", "% refused", 100*float64(lockedOut)/float64(len(known))),
		out.print("wrong passwords", "", float64(g.answered.Load()+g.closed.Load()+g.away.Load())),
		out.print("their rate", "/s", float64(c.Attempts)/took.Seconds()),
		out.print("looked at by the server", "", verified), out.print("refused without a look", "", stats[1]),
		out.print("without a session", "", float64(g.away.Load())),
		out.print("addresses blocked", "", stats[2]))
}

// from tries wrong passwords from one address, on as many connections as the server makes it need.
func (g *guesses) from(ctx context.Context, addr string, address, attempts, accounts int) {
	var k *imapConn
	defer func() {
		if k != nil {
			k.Close()
		}
	}()
	for n := 0; n < attempts && ctx.Err() == nil; n++ {
		if k == nil {
			var err error
			if k, err = dialIMAP(ctx, addr); err != nil {
				g.away.Add(1)
				continue
			}
		}
		user := fmt.Sprintf("u%03d@%s", (address+n)%accounts, killDomain)
		_, err := k.do(fmt.Sprintf("LOGIN %s wrong%d.%d", user, address, n), nil)
		if err != nil && strings.Contains(err.Error(), ": NO") {
			g.answered.Add(1)
			continue
		}
		g.closed.Add(1)
		k.Close()
		k = nil
	}
}
