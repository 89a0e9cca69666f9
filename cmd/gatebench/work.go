package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

// server is what every IMAP command has to know.
type server struct {
	Addr     string `help:"IMAP server." default:"127.0.0.1:143" placeholder:"HOST:PORT"`
	Users    string `help:"Accounts, with a number." default:"u%03d@bench.test"`
	Accounts int    `help:"How many accounts there are; connection n uses number n modulo this." default:"1"`
	Password string `help:"The password of all of them." default:"secret"`
}

// load is how much is done.
type load struct {
	Conns  int `help:"Connections at a time." default:"1"`
	Repeat int `help:"Operations on each connection." default:"20"`
}

func (s *server) user(n int) string { return numbered(s.Users, n%max(1, s.Accounts)) }

func numbered(pattern string, n int) string {
	if strings.Contains(pattern, "%") {
		return fmt.Sprintf(pattern, n)
	}
	return pattern
}

func (s *server) login(ctx context.Context, n int) (*imapConn, error) {
	return login(ctx, s.Addr, s.user(n), s.Password)
}

// sessions logs in on each connection, prepares it, and closes all at the end.
func (s *server) sessions(ctx context.Context, conns int, prepare string, use func([]*imapConn) error) error {
	all := make([]*imapConn, conns)
	defer func() {
		for _, c := range all {
			if c != nil {
				c.Close()
			}
		}
	}()
	if err := parallel(conns, func(i int) (err error) {
		if all[i], err = s.login(ctx, i); err == nil && prepare != "" {
			_, err = all[i].do(prepare, nil)
		}
		return err
	}); err != nil {
		return err
	}
	return use(all)
}

// parallel calls f for 0 to n-1, each in a goroutine, and waits for all.
func parallel(n int, f func(i int) error) error {
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { errs[i] = f(i) })
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err // one says enough: the others mostly have the same reason
		}
	}
	return nil
}

// measure runs an operation so many times on each connection, and prints how long each took
// and how many there were in a second.
func measure(out *report, name string, l load, operation func(conn, turn int) error) error {
	taken := make([][]time.Duration, l.Conns)
	begin := time.Now()
	err := parallel(l.Conns, func(i int) error {
		taken[i] = make([]time.Duration, l.Repeat)
		for turn := range l.Repeat {
			start := time.Now()
			if err := operation(i, turn); err != nil {
				return err
			}
			taken[i][turn] = time.Since(start)
		}
		return nil
	})
	if err != nil {
		return err
	}
	all := time.Since(begin)
	var each []time.Duration
	for _, t := range taken {
		each = append(each, t...)
	}
	return errors.Join(
		out.print(name, "ms", milliseconds(each)...),
		out.print(name, "/s", float64(len(each))/all.Seconds()))
}
