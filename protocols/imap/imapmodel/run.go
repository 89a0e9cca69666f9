package imapmodel

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"regexp"
	"strconv"
	"sync"
	"time"
)

// Options say what to try.
type Options struct {
	Dial           func(context.Context) (net.Conn, error)
	User, Password string
	// Boxes are the mailboxes that are used. They are made if they do not exist, and should be empty.
	Boxes   []string
	Clients int
	For     time.Duration
	Seed    uint64
}

// Report counts what was done.
type Report struct {
	Commands, Kills int
}

// Run lets the clients work, and returns what disagreed with the model.
func Run(ctx context.Context, o Options) (Report, error) {
	w := newWorld(o.Boxes)
	if err := prepare(ctx, &o); err != nil {
		return Report{}, err
	}
	clients := make([]*client, o.Clients)
	for i := range clients {
		clients[i] = &client{number: i, o: &o, world: w, random: rand.New(rand.NewPCG(o.Seed, uint64(i))), qresync: i%2 == 0, saved: map[string]savedView{}, heard: map[string]string{}}
	}
	end := time.Now().Add(o.For)
	each(clients, func(i int) error {
		c := clients[i]
		if err := c.open(ctx); err != nil {
			return err
		}
		for time.Now().Before(end) && ctx.Err() == nil && w.failed() == nil {
			if err := c.step(ctx); err != nil {
				return err
			}
			if err := c.learn(); err != nil {
				return err
			}
		}
		return nil
	}, w)
	if w.failed() == nil {
		each(clients, func(i int) error { return clients[i].settle() }, w)
	}
	if w.failed() == nil {
		compareViews(clients, w)
	}
	for _, c := range clients {
		if c.s != nil {
			_ = c.s.conn.Close()
		}
	}
	return Report{Commands: w.commands, Kills: w.kills}, errors.Join(w.failed(), ctx.Err())
}

// each runs a function for all clients at the same time.
func each(clients []*client, run func(int) error, w *world) {
	var all sync.WaitGroup
	for i := range clients {
		all.Go(func() {
			if err := run(i); err != nil {
				w.fail("%w", err)
			}
		})
	}
	all.Wait()
}

// prepare makes the mailboxes.
func prepare(ctx context.Context, o *Options) error {
	c := &client{o: o, world: newWorld(o.Boxes), heard: map[string]string{}}
	var err error
	if c.s, err = dial(ctx, o); err != nil {
		return err
	}
	defer c.s.conn.Close()
	if a, err := c.do(false, "LOGIN %s %s", o.User, o.Password); err != nil || a.status != "OK" {
		return fmt.Errorf("LOGIN: %s %w", a.text, err)
	}
	for _, name := range o.Boxes {
		if _, err := c.do(false, "CREATE %s", name); err != nil {
			return err
		}
	}
	return nil
}

var statusNumbers = regexp.MustCompile(`(MESSAGES|UNSEEN) (\d+)`)

// compareViews compares the views of all clients with each other and with STATUS.
func compareViews(clients []*client, w *world) {
	for name := range w.boxes {
		c := clients[0]
		if err := c.selects(name); err != nil {
			w.fail("%w", err)
			return
		}
		there, unseen := map[uint32]string{}, 0
		for _, m := range c.view.messages {
			there[m.uid] = m.flags
			if !regexp.MustCompile(`(?i)\\Seen`).MatchString(m.flags) {
				unseen++
			}
		}
		for _, other := range clients[1:] {
			if other.view.box != name {
				continue
			}
			for _, m := range other.view.messages {
				if flags, ok := there[m.uid]; !ok || flags != m.flags {
					w.fail("%s: UID %d has (%s) for client %d, and (%s) for client 0", name, m.uid, m.flags, other.number, flags)
				}
			}
			if len(other.view.messages) != len(there) {
				w.fail("%s: client %d has %d messages, client 0 %d", name, other.number, len(other.view.messages), len(there))
			}
		}
		if err := c.askVanished(name); err != nil {
			w.fail("%w", err)
			return
		}
		w.end(name, there)
		a, err := c.do(false, "STATUS %s (MESSAGES UNSEEN)", name)
		if err != nil {
			w.fail("%w", err)
			return
		}
		for _, m := range statusNumbers.FindAllStringSubmatch(a.mailbox, -1) {
			want := len(there)
			if m[1] == "UNSEEN" {
				want = unseen
			}
			if m[2] != strconv.Itoa(want) {
				w.fail("%s: STATUS says %s, the views %d", name, m[0], want)
			}
		}
	}
}
