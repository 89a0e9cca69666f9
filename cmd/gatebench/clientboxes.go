package main

import (
	"math/rand/v2"
	"strings"
)

// mostBoxes is how many mailboxes a client makes at most.
const mostBoxes = 12

// ours are the mailboxes that the client has made.
func (c *client) ours() (boxes []string) {
	for _, b := range c.kept.of(aMailbox) {
		if strings.HasPrefix(b, c.prefix()) {
			boxes = append(boxes, b)
		}
	}
	return boxes
}

// ourMailbox returns one of them; it makes one if there is none.
func (c *client) ourMailbox() (string, error) {
	if len(c.ours()) == 0 {
		if err := c.createMailbox(); err != nil {
			return "", err
		}
	}
	boxes := c.ours()
	return boxes[rand.IntN(len(boxes))], nil
}

func (c *client) createMailbox() error {
	boxes := c.ours()
	if len(boxes) >= mostBoxes {
		return c.instead((*client).deleteMailbox)
	}
	box := c.name("box")
	if len(boxes) > 0 && rand.IntN(3) == 0 {
		box = boxes[rand.IntN(len(boxes))] + "/" + box
	}
	return c.promised("create mailbox", change{{aMailbox, box, ""}: {}}, func() error {
		_, err := c.imap.do("CREATE "+quote(box), nil)
		return err
	})
}

// leave makes INBOX the selected mailbox.
func (c *client) leave() error {
	_, err := c.imap.do("SELECT INBOX", nil)
	c.selected = inbox
	return err
}

func (c *client) renameMailbox() error {
	from, err := c.ourMailbox()
	if err == nil {
		err = c.leave()
	}
	if err != nil {
		return err
	}
	to := c.name("box")
	ch := c.kept.renamed(func(k key) (key, bool) {
		rest, ok := strings.CutPrefix(k.name, from)
		ok = ok && (rest == "" || rest[0] == '/') && (k.kind == aMailbox || k.kind == aMessage)
		return key{k.kind, to + rest, k.id}, ok
	})
	return c.promised("rename mailbox", ch, func() error {
		_, err := c.imap.do("RENAME "+quote(from)+" "+quote(to), nil)
		return err
	})
}

func (c *client) deleteMailbox() error {
	box, err := c.ourMailbox()
	if err == nil {
		err = c.leave()
	}
	if err != nil {
		return err
	}
	// One that others lie in is a name without messages afterwards: take the innermost.
	for _, b := range c.ours() {
		if strings.HasPrefix(b, box+"/") {
			box = b
		}
	}
	ch := change{}
	for k := range c.kept {
		if k.name == box && (k.kind == aMailbox || k.kind == aMessage) {
			ch[k] = nil
		}
	}
	return c.promised("delete mailbox", ch, func() error {
		_, err := c.imap.do("DELETE "+quote(box), nil)
		return err
	})
}
