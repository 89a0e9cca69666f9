package imapmodel

import (
	"context"
	"fmt"
	"strings"
)

var someFlags = []string{`\Seen`, `\Answered`, `\Flagged`, `\Draft`, `\Deleted`, "$one", "$two", "$three"}

// full is with how many messages a client expunges many of them.
const full = 50

// step does one thing by chance.
func (c *client) step(ctx context.Context) error {
	n := len(c.view.messages)
	switch x := c.random.IntN(100); {
	case n > full:
		if _, err := c.do(false, `UID STORE %s +FLAGS.SILENT (\Deleted)`, c.uids(n/2)); err != nil {
			return err
		}
		_, err := c.do(false, "EXPUNGE")
		return err
	case x < 20 || n == 0:
		return c.append()
	case x < 45:
		return c.store()
	case x < 57:
		_, err := c.do(true, "FETCH %d:%d (UID FLAGS%s)", 1+c.random.IntN(n), 1+c.random.IntN(n), c.modSeq())
		return err
	case x < 62:
		_, err := c.do(true, "SEARCH ALL")
		return err
	case x < 67:
		return c.copies("UID COPY")
	case x < 72:
		return c.copies("UID MOVE")
	case x < 77:
		return c.replace()
	case x < 82:
		if c.random.IntN(2) == 0 {
			_, err := c.do(false, "UID EXPUNGE %s", c.uids(3))
			return err
		}
		_, err := c.do(false, "EXPUNGE")
		return err
	case x < 88:
		_, err := c.do(false, "NOOP")
		return err
	case x < 91:
		return c.idle()
	case x < 94:
		if c.random.IntN(2) == 0 {
			_, err := c.do(false, "ESEARCH IN (mailboxes (%s)) RETURN (COUNT MAX) UNSEEN", strings.Join(c.o.Boxes, " "))
			return err
		}
		_, err := c.do(false, "STATUS %s (MESSAGES UNSEEN)", c.anyBox())
		return err
	case x < 97:
		return c.selects(c.anyBox())
	}
	c.kill()
	return c.open(ctx)
}

// uids returns a set of some UIDs of the view.
func (c *client) uids(n int) string {
	set := make([]string, max(n, 1))
	for i := range set {
		set[i] = fmt.Sprint(c.view.messages[c.random.IntN(len(c.view.messages))].uid)
	}
	return strings.Join(set, ",")
}

func (c *client) flags() string {
	var list []string
	for range 1 + c.random.IntN(2) {
		list = append(list, someFlags[c.random.IntN(len(someFlags))])
	}
	return strings.Join(list, " ")
}

// message returns a message with an ID, as a literal.
func (c *client) message(id string) string {
	text := fmt.Sprintf("X-ID: %s\r\n\r\n%s", id, strings.Repeat("x", c.random.IntN(200)))
	return fmt.Sprintf("{%d+}\r\n%s", len(text), text)
}

func (c *client) append() error {
	id, box := c.world.newID(), c.anyBox()
	a, err := c.do(false, "APPEND %s (%s) %s", box, c.flags(), c.message(id))
	if err != nil || a.status != "OK" {
		return err
	}
	return c.given(box, a.added, id)
}

// given records the UID of a message that the server has taken.
func (c *client) given(box, set, id string) error {
	uids, err := numbers(set)
	if err != nil || len(uids) != 1 {
		return fmt.Errorf("APPENDUID %q", set)
	}
	c.world.gives(box, uids[0], id)
	return nil
}

func (c *client) replace() error {
	id, box := c.world.newID(), c.anyBox()
	a, err := c.do(false, "UID REPLACE %s %s %s", c.uids(1), box, c.message(id))
	if err != nil || a.status != "OK" {
		return err
	}
	return c.given(box, a.added, id)
}

func (c *client) store() error {
	n := len(c.view.messages)
	op := []string{"+FLAGS", "-FLAGS", "FLAGS"}[c.random.IntN(3)]
	if c.random.IntN(2) == 0 {
		op += ".SILENT"
	}
	condition := ""
	if c.qresync && c.random.IntN(3) == 0 {
		condition = fmt.Sprintf("(UNCHANGEDSINCE %d) ", max(c.view.known, 1))
	}
	silent := strings.HasSuffix(op, ".SILENT")
	flags := c.flags()
	var err error
	var seqs []int
	if c.random.IntN(2) == 0 {
		low, high := 1+c.random.IntN(n), 1+c.random.IntN(n)
		if low > high {
			low, high = high, low
		}
		for seq := low; seq <= min(high, low+9); seq++ {
			seqs = append(seqs, seq)
		}
		_, err = c.do(true, "STORE %d:%d %s%s (%s)", low, seqs[len(seqs)-1], condition, op, flags)
	} else {
		_, err = c.do(false, "UID STORE %s %s%s (%s)", c.uids(2), condition, op, flags)
	}
	if err != nil || !silent {
		return err
	}
	// The client does not compute the flags: it asks for them.
	if len(c.view.messages) == 0 {
		return nil
	}
	_, err = c.do(true, "FETCH 1:* (UID FLAGS%s)", c.modSeq())
	return err
}

func (c *client) copies(command string) error {
	box := c.anyBox()
	from := c.view.box
	a, err := c.do(false, "%s %s %s", command, c.uids(1+c.random.IntN(3)), box)
	if err != nil || a.copies == "" {
		return err
	}
	source, err := numbers(a.copied)
	if err != nil {
		return err
	}
	dest, err := numbers(a.copies)
	if err != nil {
		return err
	}
	if len(source) != len(dest) {
		return fmt.Errorf("COPYUID %s %s", a.copied, a.copies)
	}
	for i := range dest {
		c.world.mu.Lock()
		id := c.world.boxes[from].ids[source[i]]
		c.world.mu.Unlock()
		c.world.gives(box, dest[i], id)
	}
	return nil
}
