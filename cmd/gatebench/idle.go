package main

import (
	"bufio"
	"bytes"
	"compress/flate"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

type idleCommand struct {
	server
	Conns  int  `help:"Idle connections." default:"1000"`
	PID    int  `help:"Process of the server; its children count too. Without it no memory is measured."`
	Notify int  `help:"Messages to append to see how soon all connections of account 0 hear of them." default:"5"`
	Select bool `help:"Select INBOX before IDLE." default:"true" negatable:""`

	TLS      bool          `name:"tls" help:"TLS from the beginning; the certificate is not checked. Without it --addr is a port without TLS."`
	Compress bool          `help:"COMPRESS=DEFLATE."`
	Settle   time.Duration `help:"How often memory is measured until it stays the same." default:"2s"`
}

// Run opens one half of the connections, measures, opens the other half and measures again: what the server needs for its first work, as for
// the mailboxes of the accounts, is not counted as memory of connections.
func (c *idleCommand) Run(ctx context.Context, out *report) error {
	first, err := c.open(ctx, c.Conns/2)
	defer closeAll(first)
	if err != nil {
		return err
	}
	before, err := c.settled(ctx)
	if err != nil {
		return err
	}
	second, err := c.open(ctx, c.Conns-c.Conns/2)
	defer closeAll(second)
	if err != nil {
		return err
	}
	if c.PID != 0 {
		after, err := c.settled(ctx)
		if err != nil {
			return err
		}
		if err := out.print("memory of an idle connection", "kB", float64(after-before)/1024/float64(max(1, len(second)))); err != nil {
			return err
		}
	}
	return c.notify(ctx, out, first, second)
}

// settled waits until the memory of the server stays about the same, and returns it.
func (c *idleCommand) settled(ctx context.Context) (int64, error) {
	was := int64(0)
	for range 20 {
		now, err := memory(c.PID)
		if err != nil || now-was < now/100 && was-now < now/100 {
			return now, err
		}
		was = now
		select {
		case <-time.After(c.Settle):
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	return was, nil
}

// open logs in on connections and has them wait in IDLE.
func (c *idleCommand) open(ctx context.Context, n int) ([]*imapConn, error) {
	all := make([]*imapConn, n)
	return all, parallel(n, func(i int) (err error) {
		if all[i], err = c.openOne(ctx, i); err != nil {
			return err
		}
		tag, err := all[i].send("IDLE")
		if err != nil {
			return err
		}
		for {
			l, err := all[i].line()
			if err != nil || bytes.HasPrefix(l, []byte(tag)) {
				return fmt.Errorf("IDLE: %q %w", l, err)
			}
			if len(l) > 0 && l[0] == '+' {
				return all[i].SetDeadline(time.Time{})
			}
		}
	})
}

func (c *idleCommand) openOne(ctx context.Context, i int) (*imapConn, error) {
	w, err := dial(ctx, c.Addr)
	if err != nil {
		return nil, err
	}
	if c.TLS {
		w.Conn = tls.Client(w.Conn, &tls.Config{InsecureSkipVerify: true}) // the certificate of a test
	}
	k := &imapConn{wire: w, in: bufio.NewReaderSize(w, 4<<10)}
	if _, err := k.line(); err != nil {
		return k, err
	}
	commands := []string{"LOGIN " + quote(c.user(i)) + " " + quote(c.Password)}
	if c.Compress {
		commands = append(commands, "COMPRESS DEFLATE")
	}
	if c.Select {
		commands = append(commands, "SELECT INBOX")
	}
	for _, command := range commands {
		if _, err := k.do(command, nil); err != nil {
			return k, err
		}
		if strings.HasPrefix(command, "COMPRESS") {
			w.Conn = stored{w.Conn}
			k.in = bufio.NewReaderSize(flate.NewReader(bufio.NewReaderSize(w.Conn, 512)), 512)
		}
	}
	return k, nil
}

// stored is a connection on which what is written goes as stored blocks of DEFLATE, which need no memory.
type stored struct{ net.Conn }

func (s stored) Write(p []byte) (int, error) {
	n := uint16(len(p)) // commands are short
	b := []byte{0, byte(n), byte(n >> 8), byte(^n), byte(^n >> 8)}
	if _, err := s.Conn.Write(append(b, p...)); err != nil {
		return 0, err
	}
	return len(p), nil
}

func closeAll(all []*imapConn) {
	for _, k := range all {
		if k != nil {
			k.Close()
		}
	}
}

// notify appends to account 0 and waits until each of its connections says EXISTS.
func (c *idleCommand) notify(ctx context.Context, out *report, halves ...[]*imapConn) error {
	var listeners []*imapConn
	for _, half := range halves {
		for i, k := range half {
			if i%max(1, c.Accounts) == 0 {
				listeners = append(listeners, k)
			}
		}
	}
	if c.Notify == 0 || !c.Select || len(listeners) == 0 {
		return nil
	}
	k, err := c.openOne(ctx, 0)
	if err != nil {
		return err
	}
	defer k.Close()
	var taken []time.Duration
	for range c.Notify {
		heard := make(chan error, 1)
		start := time.Now()
		go func() {
			heard <- parallel(len(listeners), func(i int) error { return listeners[i].exists() })
		}()
		err := k.append("INBOX", newMessage(fmt.Sprint(start.UnixNano()), c.user(0), c.user(0), 4096))
		if err != nil {
			k.Close()
			return errors.Join(err, <-heard)
		}
		if err := <-heard; err != nil {
			return err
		}
		taken = append(taken, time.Since(start))
	}
	return out.print(fmt.Sprintf("APPEND until %d idle ones know", len(listeners)), "ms", milliseconds(taken)...)
}

// exists waits for an untagged EXISTS.
func (c *imapConn) exists() error {
	if err := c.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return err
	}
	for {
		l, err := c.line()
		if err != nil {
			return fmt.Errorf("waiting for EXISTS: %w", err)
		}
		if bytes.HasSuffix(l, []byte(" EXISTS")) {
			return nil
		}
	}
}

// memory adds the proportional memory of a process and all below it, in bytes.
func memory(pid int) (int64, error) {
	if pid == 0 {
		return 0, nil
	}
	children, err := processTree()
	if err != nil {
		return 0, err
	}
	var sum int64
	todo := []int{pid}
	for len(todo) > 0 {
		p := todo[0]
		todo = append(todo[1:], children[p]...)
		n, err := proportional(p)
		if err != nil && p == pid {
			return 0, err
		}
		sum += n // a child that has ended meanwhile has none
	}
	return sum, nil
}

// processTree maps each process to its children.
func processTree() (map[int][]int, error) {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	children := map[int][]int{}
	for _, path := range stats {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		// "pid (name) state parent …": the name may hold anything.
		_, rest, _ := strings.Cut(string(text[bytes.LastIndexByte(text, ')')+1:]), " ")
		fields := strings.Fields(rest)
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil || len(fields) < 2 {
			continue
		}
		if parent, err := strconv.Atoi(fields[1]); err == nil {
			children[parent] = append(children[parent], pid)
		}
	}
	return children, nil
}

func proportional(pid int) (int64, error) { return rollup(pid, "Pss:") }

// rollup is a line of the memory of a process, in bytes.
func rollup(pid int, name string) (int64, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if rest, ok := strings.CutPrefix(s.Text(), name); ok {
			kb, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kb * 1024, err
		}
	}
	return 0, fmt.Errorf("process %d: no %s", pid, name)
}
