package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
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
}

func (c *idleCommand) Run(ctx context.Context, out *report) error {
	before, err := memory(c.PID)
	if err != nil {
		return err
	}
	prepare := ""
	if c.Select {
		prepare = "SELECT INBOX"
	}
	return c.sessions(ctx, c.Conns, prepare, func(cs []*imapConn) error {
		for _, k := range cs {
			if _, err := k.send("IDLE"); err != nil {
				return err
			}
			if l, err := k.line(); err != nil || len(l) == 0 || l[0] != '+' {
				return fmt.Errorf("IDLE: %q %w", l, err)
			}
		}
		if c.PID != 0 {
			after, err := memory(c.PID)
			if err != nil {
				return err
			}
			if err := out.print("memory of an idle connection", "kB", float64(after-before)/1024/float64(c.Conns)); err != nil {
				return err
			}
		}
		return c.notify(ctx, out, cs)
	})
}

// notify appends to account 0 and waits until each of its connections says EXISTS.
func (c *idleCommand) notify(ctx context.Context, out *report, cs []*imapConn) error {
	var listeners []*imapConn
	for i, k := range cs {
		if i%max(1, c.Accounts) == 0 {
			listeners = append(listeners, k)
		}
	}
	if c.Notify == 0 || !c.Select || len(listeners) == 0 {
		return nil
	}
	k, err := c.login(ctx, 0)
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
