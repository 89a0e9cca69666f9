package imapmodel

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// view is what a client knows of its selected mailbox.
type view struct {
	box      string
	validity uint32
	known    uint64 // the change number up to which it knows everything
	messages []message
}

// message is one of a view. What the client was not told is zero.
type message struct {
	uid    uint32
	modSeq uint64
	flags  string
	told   bool // of the flags
}

func (v *view) index(uid uint32) int {
	return slices.IndexFunc(v.messages, func(m message) bool { return m.uid == uid })
}

// unknown returns the index of a message whose UID the client does not know yet and which may be this one, or -1.
func (v *view) unknown(uid uint32) int {
	from := 0 // behind the last message with a lower UID
	for i, m := range v.messages {
		if m.uid > uid {
			break
		}
		if m.uid != 0 {
			from = i + 1
		}
	}
	if from < len(v.messages) && v.messages[from].uid == 0 {
		return from
	}
	return -1
}

// answer is what the responses to one command have told besides the view.
type answer struct {
	status  string // OK, NO, BAD
	text    string // of the tagged response
	highest uint64 // HIGHESTMODSEQ
	modSeq  uint64 // the greatest MODSEQ
	copied  string // COPYUID: the UIDs of the source and of the copies
	copies  string
	added   string // APPENDUID
	mailbox string // STATUS
	fetched map[uint32]message
}

// untagged takes an untagged response into the view. steady says that no message may leave the view now.
func (c *client) untagged(text string, steady bool, a *answer) error {
	word, rest, _ := strings.Cut(text, " ")
	if n, err := strconv.Atoi(word); err == nil {
		if c.resync != nil {
			return c.resynced(n, rest, a)
		}
		return c.numbered(n, rest, steady, a)
	}
	switch word {
	case "OK":
		for _, m := range codeNumber.FindAllStringSubmatch(rest, -1) {
			n, err := strconv.ParseUint(m[2], 10, 64)
			if err != nil {
				return err
			}
			switch m[1] {
			case "HIGHESTMODSEQ":
				a.highest = n
			case "UIDVALIDITY":
				c.view.validity = uint32(n)
			}
		}
		if m := codeCopy.FindStringSubmatch(rest); m != nil {
			a.copied, a.copies = m[1], m[2]
		}
		if m := codeAppend.FindStringSubmatch(rest); m != nil {
			a.added = m[1]
		}
	case "VANISHED":
		set, earlier := strings.CutPrefix(rest, "(EARLIER) ")
		if steady && !earlier {
			return fmt.Errorf("VANISHED %s while a command by sequence numbers is answered", set)
		}
		uids, err := numbers(set)
		if err != nil {
			return err
		}
		for _, uid := range uids {
			if c.resync != nil {
				delete(c.resync.cache, uid)
				c.forget(uid)
				continue
			}
			i := c.view.index(uid)
			if i < 0 {
				i = c.view.unknown(uid)
			}
			if i < 0 && !earlier {
				return fmt.Errorf("VANISHED of UID %d, which the view does not have", uid)
			}
			c.forget(uid)
			if i >= 0 {
				c.remove(i)
			}
		}
	case "ESEARCH":
		return c.result(rest)
	case "SEARCH":
		return c.searched(rest)
	case "FLAGS":
		c.keywords = slices.DeleteFunc(strings.Fields(strings.Trim(rest, "()")), func(f string) bool { return strings.HasPrefix(f, `\`) })
	case "STATUS":
		a.mailbox = rest
		c.hears(rest)
	case "BYE":
		return fmt.Errorf("BYE %s", rest)
	}
	return nil
}

// numbered is untagged for responses that begin with a number.
func (c *client) numbered(n int, rest string, steady bool, a *answer) error {
	word, rest, _ := strings.Cut(rest, " ")
	switch word {
	case "EXISTS":
		if n < len(c.view.messages) {
			return fmt.Errorf("EXISTS has fallen from %d to %d", len(c.view.messages), n)
		}
		c.view.messages = append(c.view.messages, make([]message, n-len(c.view.messages))...)
	case "EXPUNGE":
		switch {
		case steady:
			return fmt.Errorf("EXPUNGE %d while a command by sequence numbers is answered", n)
		case n < 1 || n > len(c.view.messages):
			return fmt.Errorf("EXPUNGE %d of %d messages", n, len(c.view.messages))
		case c.qresync:
			return fmt.Errorf("EXPUNGE after ENABLE QRESYNC")
		}
		if uid := c.view.messages[n-1].uid; uid != 0 {
			c.forget(uid)
		}
		c.remove(n - 1)
	case "FETCH":
		return c.fetch(n, rest, a)
	}
	return nil
}

// fetch takes a FETCH response into the view.
func (c *client) fetch(n int, text string, a *answer) error {
	if n < 1 || n > len(c.view.messages) {
		return fmt.Errorf("FETCH of %d, of %d messages", n, len(c.view.messages))
	}
	m := &c.view.messages[n-1]
	if uid := uint32(group(fetchUID, text)); uid != 0 {
		switch {
		case m.uid != 0 && m.uid != uid:
			return fmt.Errorf("message %d has UID %d, and had %d", n, uid, m.uid)
		case n > 1 && c.view.messages[n-2].uid >= uid, n < len(c.view.messages) && c.view.messages[n].uid != 0 && c.view.messages[n].uid <= uid:
			return fmt.Errorf("UID %d of message %d is not between those of its neighbours", uid, n)
		}
		m.uid = uid
	}
	modSeq := group(fetchModSeq, text)
	if modSeq != 0 {
		if modSeq < m.modSeq {
			return fmt.Errorf("ModSeq of UID %d has fallen from %d to %d", m.uid, m.modSeq, modSeq)
		}
		a.modSeq = max(a.modSeq, modSeq)
	}
	if f := fetchFlags.FindStringSubmatch(text); f != nil {
		m.flags, m.told = normal(f[1]), true
		for _, flag := range strings.Fields(m.flags) {
			if !strings.HasPrefix(flag, `\`) && !slices.Contains(c.keywords, flag) {
				return fmt.Errorf("the keyword %s is not in FLAGS", flag)
			}
		}
		if modSeq != 0 && m.uid != 0 {
			c.world.sees(c.view.box, m.uid, modSeq, m.flags)
		}
	}
	m.modSeq = max(m.modSeq, modSeq)
	if id := fetchID.FindStringSubmatch(text); id != nil && m.uid != 0 {
		c.world.means(c.view.box, m.uid, id[1])
	}
	if m.uid != 0 {
		if a.fetched == nil {
			a.fetched = map[uint32]message{}
		}
		a.fetched[m.uid] = *m
	}
	return nil
}

// searched checks the result of SEARCH ALL, which names each message of the view.
func (c *client) searched(rest string) error {
	if n := len(strings.Fields(rest)); n != len(c.view.messages) {
		return fmt.Errorf("SEARCH ALL has found %d of %d messages", n, len(c.view.messages))
	}
	return nil
}

// resynced takes a response to SELECT.
func (c *client) resynced(n int, rest string, a *answer) error {
	word, text, _ := strings.Cut(rest, " ")
	switch word {
	case "EXISTS":
		c.resync.exists = n
	case "FETCH":
		m := message{uid: uint32(group(fetchUID, text)), modSeq: group(fetchModSeq, text), told: true}
		if f := fetchFlags.FindStringSubmatch(text); f == nil || m.uid == 0 || m.modSeq == 0 {
			return fmt.Errorf("a FETCH response to SELECT without UID, FLAGS or MODSEQ: %s", text)
		} else {
			m.flags = normal(f[1])
		}
		c.world.sees(c.view.box, m.uid, m.modSeq, m.flags)
		c.resync.cache[m.uid] = m
	}
	return nil
}

// forget records that a message is expunged.
func (c *client) forget(uid uint32) { c.world.expunges(c.view.box, uid) }

func (c *client) remove(i int) { c.view.messages = slices.Delete(c.view.messages, i, i+1) }
