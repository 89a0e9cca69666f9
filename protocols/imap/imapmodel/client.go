package imapmodel

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// client is one client. It belongs to one goroutine.
type client struct {
	number   int
	o        *Options
	world    *world
	random   *rand.Rand
	s        *session
	qresync  bool
	keywords []string
	view     view
	synced   uint32  // the UID up to which the view has everything
	resync   *resync // while SELECT is answered
	// saved are the views of mailboxes that a QRESYNC client has left.
	saved map[string]savedView
	// followed is a result whose changes are told, heard what STATUS has said of mailboxes since they were left.
	followed  map[uint32]bool
	followTag string
	heard     map[string]string
}

type savedView struct {
	view   view
	synced uint32
}

// resync is what SELECT tells.
type resync struct {
	exists int
	cache  map[uint32]message
}

// do sends a command and takes in what it is answered. Steady commands let no message leave the view.
func (c *client) do(steady bool, command string, args ...any) (answer, error) {
	text := fmt.Sprintf(command, args...)
	tag, err := c.s.send(text)
	if err != nil {
		return answer{}, err
	}
	return c.finish(tag, steady, text)
}

// finish reads up to the tagged response.
func (c *client) finish(tag string, steady bool, text string) (a answer, err error) {
	for {
		r, err := c.s.read()
		if err != nil {
			return a, fmt.Errorf("%s: %w", text, err)
		}
		if r.tag == "*" {
			if err := c.untagged(r.text, steady, &a); err != nil {
				return a, fmt.Errorf("client %d, %s: %.100q: %w: %.200s", c.number, c.view.box, text, err, r.text)
			}
			continue
		}
		if r.tag != tag {
			return a, fmt.Errorf("client %d: %.100q: response %s %.100s", c.number, text, r.tag, r.text)
		}
		if a.status, a.text, _ = strings.Cut(r.text, " "); a.status == "BAD" {
			return a, fmt.Errorf("client %d, %s with %d messages: %.100q: BAD %s", c.number, c.view.box, len(c.view.messages), text, a.text)
		}
		if err := c.untagged("OK "+a.text, steady, &a); err != nil {
			return a, err
		}
		c.world.mu.Lock()
		c.world.commands++
		c.world.mu.Unlock()
		if a.highest == 0 {
			a.highest = a.modSeq
		}
		c.view.known = max(c.view.known, a.highest)
		return a, nil
	}
}

// open connects and selects a mailbox.
func (c *client) open(ctx context.Context) (err error) {
	if c.s, err = dial(ctx, c.o); err != nil {
		return err
	}
	if _, err := c.do(false, "LOGIN %s %s", c.o.User, c.o.Password); err != nil {
		return err
	}
	switch {
	case c.qresync:
		_, err = c.do(false, "ENABLE QRESYNC")
	case c.number%4 == 1:
		_, err = c.do(false, "ENABLE CONDSTORE")
	}
	if err != nil {
		return err
	}
	if err := c.askNotify(); err != nil {
		return err
	}
	return c.selects(c.anyBox())
}

// askVanished asks for all that was ever expunged in a mailbox: no client hears of messages that come and go between two of its commands.
func (c *client) askVanished(name string) error {
	c.resync = &resync{cache: map[uint32]message{}}
	_, err := c.do(false, "SELECT %s (QRESYNC (%d 1))", name, c.view.validity)
	c.resync = nil
	return err
}

// modSeq is what a client that knows CONDSTORE asks for with flags. One in four does not.
func (c *client) modSeq() string {
	if c.number%4 == 3 {
		return ""
	}
	return " MODSEQ"
}

func (c *client) anyBox() string { return c.o.Boxes[c.random.IntN(len(c.o.Boxes))] }

// selects selects a mailbox, by QRESYNC if the client knows it, and reads all of it.
func (c *client) selects(name string) error {
	if c.notified() && c.view.box != "" {
		// What is told without a command is of this mailbox as long as it is selected.
		if _, err := c.do(false, "UNSELECT"); err != nil {
			return err
		}
	}
	c.leave()
	old, known := c.saved[name]
	c.view = view{box: name}
	delete(c.heard, name)
	c.followTag = ""
	before := c.world.highest(name)
	command := "SELECT " + name
	c.resync = &resync{cache: map[uint32]message{}}
	if known && c.qresync {
		for _, m := range old.view.messages {
			if m.uid != 0 && m.uid <= old.synced && m.told {
				c.resync.cache[m.uid] = m
			}
		}
		command += fmt.Sprintf(" (QRESYNC (%d %d))", old.view.validity, max(old.view.known, 1))
	} else {
		old.synced = 0
	}
	a, err := c.do(false, "%s", command)
	if err != nil {
		return err
	}
	if a.status != "OK" {
		return fmt.Errorf("%s: %s %s", command, a.status, a.text)
	}
	c.world.selects(name, c.view.validity, before, a.highest)
	r := c.resync
	c.resync = nil
	c.view.messages = make([]message, r.exists)
	c.view.known = a.highest
	all, err := c.do(false, "UID FETCH 1:* (FLAGS%s BODY.PEEK[HEADER.FIELDS (X-ID)])", c.modSeq())
	if err != nil {
		return err
	}
	if known && c.qresync {
		c.compare(name, r.cache, all.fetched, old.synced, a.highest)
	}
	if err := c.follow(); err != nil {
		return err
	}
	return c.learn()
}

// compare compares what QRESYNC made of the cache with what is there.
func (c *client) compare(name string, cache, there map[uint32]message, synced uint32, highest uint64) {
	for uid, m := range there {
		had, ok := cache[uid]
		switch {
		case !ok && uid <= synced:
			c.world.fail("client %d, %s: after QRESYNC UID %d is missing", c.number, name, uid)
		case !ok, m.modSeq > highest: // new, or changed since
		case m.modSeq != had.modSeq: // see world.sees for the flags
			c.world.fail("client %d, %s: after QRESYNC UID %d has (%s) of %d, and should have (%s) of %d", c.number, name, uid, had.flags, had.modSeq, m.flags, m.modSeq)
		}
	}
	for uid := range cache {
		if _, ok := there[uid]; !ok {
			c.world.fail("client %d, %s: after QRESYNC UID %d is left, which was expunged", c.number, name, uid)
		}
	}
}

// leave remembers the view for the next time.
func (c *client) leave() {
	if c.view.box != "" && c.qresync {
		c.saved[c.view.box] = savedView{c.view, c.synced}
	}
	c.view, c.synced = view{}, 0
}

// learn asks for the messages of which the client knows nothing yet.
func (c *client) learn() error {
	for {
		first := 0
		for i, m := range c.view.messages {
			if m.uid == 0 || !m.told {
				first = i + 1
				break
			}
		}
		if first == 0 {
			if n := len(c.view.messages); n > 0 {
				c.synced = max(c.synced, c.view.messages[n-1].uid)
			}
			return nil
		}
		if _, err := c.do(true, "FETCH %d:* (UID FLAGS%s BODY.PEEK[HEADER.FIELDS (X-ID)])", first, c.modSeq()); err != nil {
			return err
		}
	}
}

// kill drops the connection, half of the time after a command whose answer is not read.
func (c *client) kill() {
	if c.random.IntN(2) == 0 && len(c.view.messages) > 0 {
		_, _ = c.s.send([]string{"UID STORE 1:* +FLAGS (\\Flagged)", "EXPUNGE", "NOOP", "UID FETCH 1:* (FLAGS MODSEQ)"}[c.random.IntN(4)])
	}
	_ = c.s.conn.Close()
	c.leave()
	c.world.mu.Lock()
	c.world.kills++
	c.world.mu.Unlock()
}

// settle brings the view up to date when nobody changes anything any more, and compares it with what is there.
func (c *client) settle() error {
	if _, err := c.do(false, "NOOP"); err != nil {
		return err
	}
	if err := c.learn(); err != nil {
		return err
	}
	was := map[uint32]string{}
	for _, m := range c.view.messages {
		was[m.uid] = m.flags
	}
	a, err := c.do(false, "UID FETCH 1:* (FLAGS%s)", c.modSeq())
	if err != nil {
		return err
	}
	if len(a.fetched) != len(was) {
		c.world.fail("client %d, %s: %d messages in the end, and the view has %d", c.number, c.view.box, len(a.fetched), len(was))
	}
	for uid, m := range a.fetched {
		if flags, ok := was[uid]; !ok || flags != m.flags {
			c.world.fail("client %d, %s: UID %d has (%s) in the end, and the view (%s)", c.number, c.view.box, uid, m.flags, flags)
		}
	}
	return c.settleFollowed()
}

// idle waits in IDLE for a moment.
func (c *client) idle() error {
	tag, err := c.s.send("IDLE")
	if err != nil {
		return err
	}
	var a answer
	for {
		r, err := c.s.read()
		if err != nil {
			return err
		}
		if r.tag == "+" {
			break
		}
		if err := c.untagged(r.text, false, &a); err != nil {
			return fmt.Errorf("client %d, %s: IDLE: %w", c.number, c.view.box, err)
		}
	}
	if err := c.s.conn.SetReadDeadline(time.Now().Add(time.Duration(1+c.random.IntN(30)) * time.Millisecond)); err != nil {
		return err
	}
	_, _ = c.s.in.Peek(1) // whether something has come or not
	if err := c.s.conn.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	if _, err := c.s.conn.Write([]byte("DONE\r\n")); err != nil {
		return err
	}
	_, err = c.finish(tag, false, "IDLE")
	return err
}
