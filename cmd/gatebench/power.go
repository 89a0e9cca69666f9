package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// powerCommand cuts the power of a Gatepost server, again and again. What a killed server has
// written is in the page cache, whether it was synced or not; so its base directory is on a
// disk that loses what was not synced (disk.go), and after each cut a server on what is left has to have
// all that was acknowledged, as it was, once, and nothing else.
//
// In most runs one client does one thing after the other, and the power is cut at
// once when the last is acknowledged, which is of each kind in turn: with many clients the
// sync of one makes durable what another has forgotten. In some runs there are
// many; some begin with a new server; some cut the power again while the server recovers.
type powerCommand struct {
	Server  string        `help:"The gatepost program; built from this module when not given." placeholder:"FILE"`
	Dir     string        `help:"Where the image of the disk is: in memory, so that its own disk syncs nothing." default:"/dev/shm" placeholder:"DIR" type:"existingdir"`
	Runs    int           `help:"How many runs." default:"50"`
	Clients int           `help:"Clients in the runs with many." default:"6"`
	Longest time.Duration `help:"Longest load of many clients before a cut." default:"1s"`
	Size    int64         `help:"Bytes of the disk." default:"536870912"`
	Journal bool          `help:"Use a file system with a journal. Without one, a sync makes durable what it names and no more; only what frees nothing on the disk can be tested so." default:"true" negatable:""`
	Verbose bool          `help:"Tell what each run did."`
	Port    int           `help:"Number that is added to the server's ports." default:"23000"`
}

// Which runs do what.
const (
	freshEach = 8 // begins with a new server
	manyEach  = 4 // has many clients
	againEach = 3 // is cut again while the server recovers
	idleEach  = 4 // waits before the cut, for what the server does afterwards

	warmUp      = 8                       // operations before the last one, at most
	idle        = 1100 * time.Millisecond // the queue removes what it has delivered each second
	manyAliases = 1100
)

func (c *powerCommand) Run(ctx context.Context, out *report) (err error) {
	work, err := os.MkdirTemp("", "gatebench-power-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	d, err := newDisk(c.Dir, c.Size, c.Journal)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	p := &powerTest{powerCommand: c, work: work, disk: d, last: rand.IntN(len(operations))}
	p.server = &killCommand{Server: c.Server, Base: filepath.Join(d.mount, "base"), Accounts: c.Clients, Port: c.Port}
	if err := p.server.build(ctx, work); err != nil {
		return err
	}
	for run := range c.Runs {
		if err := p.run(ctx, run); err != nil {
			return fmt.Errorf("run %d, %s: %w", run+1, p.kind, err)
		}
		if p.Verbose {
			fmt.Fprintf(os.Stderr, "run %d, %s\n", run+1, p.kind)
		}
	}
	return errors.Join(
		out.print("power cuts", "times", float64(p.cuts)),
		out.print("acknowledged, each as it was promised", "operations", float64(p.done)))
}

// A powerTest is the course of the command.
type powerTest struct {
	*powerCommand
	work    string
	disk    *disk
	server  *killCommand
	clients []*client
	active  []*client // those that did something in this run
	kind    string    // of the run, for people
	last    int       // runs with one client so far
	cuts    int
	done    int
}

// run is one load, the cut, and the look at what is left.
func (p *powerTest) run(ctx context.Context, run int) error {
	fresh := run%freshEach == 0
	if err := p.prepare(ctx, fresh); err != nil {
		return err
	}
	cmd, err := p.server.start(ctx, true)
	if err != nil {
		return err
	}
	if fresh {
		err = p.begin(ctx)
	}
	switch {
	case err != nil:
	case run%manyEach == manyEach-1 && p.Journal:
		err = p.many(ctx, cmd)
	default:
		err = p.one(ctx, cmd)
	}
	for _, c := range p.clients {
		c.close()
	}
	if err := errors.Join(err, kill(cmd)); err != nil {
		return err
	}
	if err := p.cut(ctx); err != nil {
		return err
	}
	if run%againEach == againEach-1 {
		p.kind += ", cut again at the start"
		if err := p.server.killAtStart(ctx); err != nil {
			return err
		}
		if err := p.cut(ctx); err != nil {
			return err
		}
	}
	return p.restartAndLook(ctx)
}

func (p *powerTest) cut(ctx context.Context) error {
	p.cuts++
	return p.disk.cut(ctx)
}

// prepare makes the disk of a run, with a new server on it or with what is there.
func (p *powerTest) prepare(ctx context.Context, fresh bool) error {
	p.kind = "start"
	if !fresh {
		return p.disk.again(ctx)
	}
	if err := p.disk.format(ctx); err != nil {
		return err
	}
	if err := p.server.prepare(ctx, p.work); err != nil {
		return err
	}
	// So many names that a change of them is written beside them.
	aliases := make([]string, manyAliases)
	for n := range aliases {
		aliases[n] = fmt.Sprintf("alias%04d", n)
	}
	_, err := p.server.gatepost(ctx, "SETACCOUNTALIASES postmaster ("+strings.Join(aliases, ",")+")\n", "cli")
	return err
}

// begin makes the clients of a new server, which have what it gives to each account.
func (p *powerTest) begin(ctx context.Context) error {
	used := &queueIDs{seen: map[string]bool{}}
	where := &powerServer{imap: p.server.addr(143), smtp: p.server.addr(25), pwd: p.server.addr(106), domain: killDomain, password: killPassword}
	p.clients = nil
	for n := range p.Clients {
		c := newClient(n, where, used, p.operations())
		var err error
		if c.kept, err = c.look(ctx); err != nil {
			return err
		}
		p.clients = append(p.clients, c)
	}
	return nil
}

// operations are those that can be judged. Without a journal, a file whose removal was not made
// durable comes back with what others have written to its blocks since: that is not
// the server's fault.
func (p *powerTest) operations() []operation {
	if p.Journal {
		return operations
	}
	return slices.DeleteFunc(slices.Clone(operations), func(o operation) bool { return o.frees })
}

// one has one client do one thing after the other. The cut is due when the last is acknowledged.
func (p *powerTest) one(ctx context.Context, cmd *exec.Cmd) error {
	c := p.clients[rand.IntN(len(p.clients))]
	p.active = []*client{c}
	last := c.operations[p.last%len(c.operations)]
	p.last++
	p.kind = "one client, at last " + last.name
	if err := c.open(ctx); err != nil {
		return err
	}
	for range rand.IntN(warmUp + 1) {
		if err := c.anything(); err != nil {
			return err
		}
	}
	if err := last.do(c); err != nil {
		return err
	}
	if rand.IntN(idleEach) == 0 || last.later && rand.IntN(2) == 0 {
		p.kind += ", and a while later"
		time.Sleep(idle + rand.N(idle/2))
	}
	return kill(cmd)
}

// many has many clients work until the server is killed.
func (p *powerTest) many(ctx context.Context, cmd *exec.Cmd) error {
	p.kind, p.active = fmt.Sprintf("%d clients", len(p.clients)), p.clients
	if err := parallel(len(p.clients), func(i int) error { return p.clients[i].open(ctx) }); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() {
		ended <- parallel(len(p.clients), func(i int) error {
			for {
				if err := p.clients[i].anything(); err != nil {
					if cutOff(err) {
						return nil
					}
					return err
				}
			}
		})
	}()
	time.Sleep(20*time.Millisecond + rand.N(p.Longest))
	return errors.Join(kill(cmd), <-ended)
}

// restartAndLook lets a server recover on what the disk has, and looks at all of it.
func (p *powerTest) restartAndLook(ctx context.Context) error {
	cmd, err := p.server.start(ctx, true)
	if err != nil {
		return fmt.Errorf("%w: after the cut: %w", errFindings, err)
	}
	if err = p.server.drain(ctx); err == nil {
		err = p.compare(ctx)
	}
	if err == nil {
		err = p.check(ctx)
	}
	return errors.Join(err, stop(cmd))
}

// check looks for what does not fit together.
func (p *powerTest) check(ctx context.Context) error {
	if _, err := p.server.gatepost(ctx, "", "check"); err != nil {
		return fmt.Errorf("%w: %w", errFindings, err)
	}
	return nil
}

// compare looks for all that was promised to the clients of the run.
func (p *powerTest) compare(ctx context.Context) error {
	var broken error
	for _, c := range p.active {
		have, err := c.look(ctx)
		if err != nil {
			return fmt.Errorf("%w: look for what client %d has: %w", errFindings, c.n, err)
		}
		what := c.what
		if c.asked != nil {
			what += " (not answered)"
		}
		for _, finding := range c.judge(have) {
			fmt.Fprintf(os.Stderr, "%s of client %d, at last %s: %s\n", p.kind, c.n, what, finding)
			broken = errFindings
		}
		p.done += c.done
		c.done = 0
	}
	return broken
}
