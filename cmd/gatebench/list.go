package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/textproto"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// listCommand makes a Gatepost server with one mailing list, sends a posting to it, and looks whether each subscriber has it once:
// accounts of the server in their directories, the others at an SMTP server of gatebench, each with a return-path of his own. It measures when the
// first and the last have it, and what memory the server has meanwhile: altogether, with the files of the index that it maps, and what it has allocated.
// With --group it is a group, whose members share a return-path. With --warm another posting came before, so that the accounts have their mailboxes.
type listCommand struct {
	Server string        `help:"The gatepost program; built from this module when not given." placeholder:"FILE"`
	Base   string        `help:"A new base directory; a temporary one when not given." placeholder:"DIR"`
	Local  int           `help:"Subscribers that are accounts of the server." default:"10000"`
	Remote int           `help:"Subscribers elsewhere." default:"10000"`
	Size   int           `help:"Bytes of the posting." default:"4096"`
	Group  bool          `help:"A group instead of a mailing list."`
	Warm   bool          `help:"Another posting comes first and is not measured."`
	Port   int           `help:"Number that is added to the server's ports." default:"23000"`
	Limit  time.Duration `help:"How long the server may take." default:"5m"`
}

const listDomain = "list.test"

func (c *listCommand) Run(ctx context.Context, out *report) error {
	work, err := os.MkdirTemp("", "gatebench-list-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	k := &killCommand{Server: c.Server, Base: c.Base, Port: c.Port}
	if k.Base == "" {
		k.Base = filepath.Join(work, "base")
	}
	if err := k.build(ctx, work); err != nil {
		return err
	}
	if err := k.prepare(ctx, work); err != nil {
		return err
	}
	far := &farEnd{came: map[string]int{}, paths: map[string]bool{}}
	serving, cancel := context.WithCancel(ctx)
	s := &sink{took: func(string) {}, envelope: far.took}
	defer s.all.Wait()
	defer cancel()
	addr, err := s.listen(serving, "127.0.0.1:0", prompt)
	if err != nil {
		return err
	}
	if err := c.fill(ctx, k, addr.String()); err != nil {
		return err
	}
	cmd, err := k.start(ctx, true)
	if err != nil {
		return err
	}
	err = c.measure(ctx, k, cmd.Process.Pid, far, out)
	return errors.Join(err, stop(cmd))
}

// fill makes the accounts, as a script of the site would, and the list with its subscribers.
func (c *listCommand) fill(ctx context.Context, k *killCommand, smartHost string) error {
	domain := filepath.Join(k.Base, "Domains", listDomain)
	if err := writeSettings(filepath.Join(domain, "Settings"), "domain.settings", "{}\n"); err != nil {
		return err
	}
	for n := range c.Local {
		if err := writeSettings(c.account(k, n), "account.settings", "{}\n"); err != nil {
			return err
		}
	}
	var all []string
	for n := range c.Local {
		all = append(all, fmt.Sprintf("u%06d@%s", n, listDomain))
	}
	for n := range c.Remote {
		all = append(all, fmt.Sprintf("u%06d@far%02d.test", n, n%20))
	}
	var commands strings.Builder
	fmt.Fprintf(&commands, "UPDATEMODULE SMTPSending {SmartHost=%q;}\n", smartHost)
	if c.Group {
		fmt.Fprintf(&commands, "CREATEGROUP news@%s {Members=(%s);}\n", listDomain, strings.Join(all, ","))
	} else {
		fmt.Fprintf(&commands, "CREATEACCOUNT owner@%s\nCREATELIST news@%s FOR owner {Postings=\"from anybody\";}\n", listDomain, listDomain)
		for _, a := range all {
			fmt.Fprintf(&commands, "LIST news@%s feed silently %s\n", listDomain, a)
		}
	}
	_, err := k.gatepost(ctx, commands.String(), "cli")
	return err
}

func (c *listCommand) account(k *killCommand, n int) string {
	return filepath.Join(k.Base, "Domains", listDomain, fmt.Sprintf("u%06d.macnt", n))
}

// messages are the message files of an account.
func (c *listCommand) messages(k *killCommand, n int) ([]os.FileInfo, error) {
	names, err := filepath.Glob(filepath.Join(c.account(k, n), "Messages", "*", "*"))
	var out []os.FileInfo
	for _, name := range names {
		info, failed := os.Stat(name)
		if errors.Is(failed, os.ErrNotExist) {
			continue
		}
		err = errors.Join(err, failed)
		out = append(out, info)
	}
	return out, err
}

// measure sends the posting and waits until all have it.
func (c *listCommand) measure(ctx context.Context, k *killCommand, pid int, far *farEnd, out *report) error {
	ctx, cancel := context.WithTimeoutCause(ctx, c.Limit, errors.New("the subscribers did not have the posting in time"))
	defer cancel()
	if c.Warm {
		if err := c.post(k); err != nil {
			return err
		}
		if _, _, err := c.await(ctx, k, far, 1); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(10 * time.Second): // until files are removed and memory is given back
		}
	}
	before, err := memory(pid)
	if err != nil {
		return err
	}
	allocated, err := rollup(pid, "Pss_Anon:")
	if err != nil {
		return err
	}
	var curve, own []float64
	var watch sync.WaitGroup
	defer watch.Wait()
	watching, stopWatch := context.WithCancel(ctx)
	defer stopWatch()
	var failed atomic.Pointer[error]
	watch.Go(func() {
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			now, err := memory(pid)
			mine, failure := rollup(pid, "Pss_Anon:")
			if err := errors.Join(err, failure); err != nil {
				failed.Store(&err)
				return
			}
			curve, own = append(curve, float64(now)/1e6), append(own, float64(mine)/1e6)
			select {
			case <-watching.Done():
				return
			case <-tick.C:
			}
		}
	})
	if err := c.post(k); err != nil {
		return err
	}
	first, last, err := c.await(ctx, k, far, c.postings())
	if err != nil {
		return err
	}
	// What comes too often comes late.
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(2 * time.Second):
	}
	stopWatch()
	watch.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	return errors.Join(
		out.print("accepted until the first has it", "ms", first.Seconds()*1000),
		out.print("accepted until all have it", "ms", last.Seconds()*1000),
		out.print("memory before", "MB", float64(before)/1e6),
		out.print("memory meanwhile", "MB", curve...),
		out.print("allocated before", "MB", float64(allocated)/1e6),
		out.print("allocated meanwhile", "MB", own...),
		c.check(k, far), out.print("each there exactly once", "messages", float64(c.Local+c.Remote)))
}

// postings is how many each has in the end.
func (c *listCommand) postings() int {
	if c.Warm {
		return 2
	}
	return 1
}

// await waits until everybody has so many messages, and tells when the first and the last had them.
func (c *listCommand) await(ctx context.Context, k *killCommand, far *farEnd, want int) (first, last time.Duration, err error) {
	start := time.Now()
	for next := 0; ; {
		// Accounts are looked at in their order, each until it has the message; the first of all that has it may be another one.
		if first == 0 {
			if c.anyOf(k, 64, want) || far.count() > (want-1)*c.Remote {
				first = time.Since(start)
			}
		}
		for next < c.Local {
			have, err := c.messages(k, next)
			if err != nil {
				return 0, 0, err
			}
			if len(have) < want {
				break
			}
			next++
		}
		if next == c.Local && far.count() >= want*c.Remote {
			break
		}
		select {
		case <-ctx.Done():
			return 0, 0, fmt.Errorf("%w: %d of %d accounts, %d of %d others", context.Cause(ctx), next, c.Local, far.count(), c.Remote)
		case <-time.After(2 * time.Millisecond):
		}
	}
	return first, time.Since(start), nil
}

// anyOf reports whether one of n accounts that are spread over all has so many messages.
func (c *listCommand) anyOf(k *killCommand, n, want int) bool {
	for i := range min(n, c.Local) {
		if have, err := c.messages(k, i*c.Local/min(n, c.Local)); err == nil && len(have) >= want {
			return true
		}
	}
	return false
}

// check looks whether each has the posting once, in one file, and with a return-path of his own.
func (c *listCommand) check(k *killCommand, far *farEnd) error {
	bad := 0
	complain := func(format string, args ...any) {
		if bad++; bad <= 20 {
			fmt.Fprintf(os.Stderr, format+"\n", args...)
		}
	}
	want := c.postings()
	var file os.FileInfo
	for n := range c.Local {
		have, err := c.messages(k, n)
		switch {
		case err != nil:
			return err
		case len(have) != want:
			complain("u%06d has %d messages", n, len(have))
		case file != nil && !slices.ContainsFunc(have, func(f os.FileInfo) bool { return os.SameFile(file, f) }):
			complain("u%06d has another file", n)
		default:
			file = cmp.Or(file, have[0])
		}
	}
	far.mu.Lock()
	defer far.mu.Unlock()
	for n := range c.Remote {
		if to := fmt.Sprintf("u%06d@far%02d.test", n, n%20); far.came[to] != want {
			complain("%s has the message %d times", to, far.came[to])
		}
	}
	if paths := len(far.paths); !c.Group && paths != c.Remote {
		complain("%d subscribers elsewhere have %d return-paths", c.Remote, paths)
	}
	if bad > 0 {
		return errFindings
	}
	return nil
}

// post sends the posting.
func (c *listCommand) post(k *killCommand) error {
	conn, err := textproto.Dial("tcp", k.addr(25))
	if err != nil {
		return err
	}
	defer conn.Close()
	text := fmt.Sprintf("From: <sender@bench.test>\r\nTo: <news@%s>\r\nSubject: to all\r\nMessage-ID: <%d@gatebench>\r\n\r\n%s.", listDomain, time.Now().UnixNano(),
		strings.Repeat(strings.Repeat("x", 70)+"\r\n", max(1, c.Size/72)))
	for _, line := range []string{"", "EHLO bench.test", "MAIL FROM:<sender@bench.test>", "RCPT TO:<news@" + listDomain + ">", "DATA", text} {
		if line != "" {
			if err := conn.PrintfLine("%s", line); err != nil {
				return err
			}
		}
		want := 250
		switch line {
		case "":
			want = 220
		case "DATA":
			want = 354
		}
		if _, _, err := conn.ReadResponse(want); err != nil {
			return err
		}
	}
	return nil
}

// farEnd counts what the subscribers elsewhere get.
type farEnd struct {
	mu    sync.Mutex
	came  map[string]int
	paths map[string]bool
	n     atomic.Int64
}

func (f *farEnd) took(from string, to []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.paths[from] = true
	for _, a := range to {
		f.came[a]++
		f.n.Add(1)
	}
}

func (f *farEnd) count() int { return int(f.n.Load()) }
