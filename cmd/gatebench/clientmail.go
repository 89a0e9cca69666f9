package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"
)

// mostMessages is how many messages a client has at most.
const mostMessages = 80

// message makes a message for the client.
func (c *client) message() (id string, text []byte) {
	c.names++
	id = fmt.Sprintf("power.%d.%d.%d@gatebench", time.Now().UnixNano(), c.n, c.names)
	size := 400 + rand.IntN(6000)
	if rand.IntN(8) == 0 {
		size *= 20
	}
	return id, newMessage(id, "sender@bench.test", c.account(), size)
}

func (c *client) append() error {
	if len(c.kept.of(aMessage)) >= mostMessages {
		return c.instead((*client).expunge)
	}
	return c.appendTo(c.any(aMailbox))
}

func (c *client) appendTo(box string) error {
	id, text := c.message()
	i := &item{text: messageText(nil, digest(text))}
	return c.promised("append", change{{aMessage, box, id}: i}, func() error {
		if err := c.imap.append(quote(box), text); err != nil {
			return err
		}
		uids, err := uidsOf(c.imap.status)
		if err == nil && len(uids) == 1 {
			i.uid = uids[0]
		}
		return err
	})
}

// some returns a few messages of one mailbox, with their UIDs; it appends one if there is none.
func (c *client) some(most int) (box string, keys []key, set string, err error) {
	if err := c.lookIntoInbox(); err != nil {
		return "", nil, "", err
	}
	boxes := c.kept.of(aMessage)
	if len(boxes) == 0 {
		if err := c.appendTo(inbox); err != nil {
			return "", nil, "", err
		}
		boxes = []string{inbox}
	}
	box = boxes[rand.IntN(len(boxes))]
	for k, i := range c.kept {
		if k.kind == aMessage && k.name == box && i.uid != 0 {
			keys = append(keys, k)
		}
	}
	if len(keys) == 0 { // they have been sent and are on their way
		if err := c.appendTo(box); err != nil {
			return "", nil, "", err
		}
		return c.some(most)
	}
	// In the order of UIDs, as COPYUID has them (RFC 4315).
	keys = keys[:1+rand.IntN(min(most, len(keys)))]
	slices.SortFunc(keys, func(a, b key) int { return int(c.kept[a].uid) - int(c.kept[b].uid) })
	var uids []string
	for _, k := range keys {
		uids = append(uids, strconv.Itoa(int(c.kept[k].uid)))
	}
	if c.selected != box {
		if _, err := c.imap.do("SELECT "+quote(box), nil); err != nil {
			return "", nil, "", err
		}
		c.selected = box
	}
	return box, keys, strings.Join(uids, ","), nil
}

// lookIntoInbox takes the UIDs of messages that were sent.
func (c *client) lookIntoInbox() error {
	waiting := false
	for k, i := range c.kept {
		waiting = waiting || k.kind == aMessage && k.name == inbox && i.uid == 0
	}
	if !waiting {
		return nil
	}
	if _, err := c.imap.do("SELECT INBOX", nil); err != nil {
		return err
	}
	c.selected = inbox
	_, err := c.imap.do("UID FETCH 1:* (UID BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])", func(line, literal []byte) {
		k := key{aMessage, inbox, messageID(literal)}
		if i, ok := c.kept[k]; ok && i.uid == 0 {
			i.uid = uidOf(string(line))
			c.kept[k] = i
		}
	})
	return err
}

func (c *client) copy() error {
	if len(c.kept.of(aMessage)) >= mostMessages {
		return c.instead((*client).expunge)
	}
	return c.transfer("copy", "UID COPY", false)
}

func (c *client) move() error { return c.transfer("move", "UID MOVE", true) }

func (c *client) transfer(what, command string, leave bool) error {
	from, keys, set, err := c.some(3)
	if err != nil {
		return err
	}
	to := c.any(aMailbox)
	ch, copies := change{}, []*item{}
	for _, k := range keys {
		n := key{aMessage, to, k.id}
		if _, there := c.kept[n]; there || to == from {
			return c.store() // a message is in a mailbox once, so that it can be told from a second one
		}
		i := &item{text: c.kept[k].text}
		copies = append(copies, i)
		if ch[n] = i; leave {
			ch[k] = nil
		}
	}
	return c.promised(what, ch, func() error {
		code := ""
		_, err := c.imap.do(command+" "+set+" "+quote(to), func(line, _ []byte) {
			if strings.Contains(string(line), "[COPYUID ") { // before MOVE's answer, RFC 6851
				code = string(line)
			}
		})
		if err != nil {
			return err
		}
		if !leave {
			code = c.imap.status
		}
		uids, err := uidsOf(code)
		if err == nil && len(uids) != len(copies) {
			err = fmt.Errorf("%d messages and %q", len(copies), code)
		}
		for n, i := range copies {
			if err == nil {
				i.uid = uids[n]
			}
		}
		return err
	})
}

func (c *client) store() error {
	_, keys, set, err := c.some(3)
	if err != nil {
		return err
	}
	flag := []string{`\Seen`, `\Flagged`, `\Answered`, "word"}[rand.IntN(4)]
	sign := "+"
	if flags, _ := split(c.kept[keys[0]].text); slices.Contains(flags, flag) {
		sign = "-"
	}
	return c.setFlag("store", keys, set, sign, flag)
}

// setFlag sets or removes a flag.
func (c *client) setFlag(what string, keys []key, set, sign, flag string) error {
	ch := change{}
	for _, k := range keys {
		i := c.kept[k]
		flags, digest := split(i.text)
		flags = slices.DeleteFunc(flags, func(f string) bool { return f == flag })
		if sign == "+" {
			flags = append(flags, flag)
		}
		i.text = messageText(flags, digest)
		ch[k] = &i
	}
	return c.promised(what, ch, func() error {
		_, err := c.imap.do("UID STORE "+set+" "+sign+"FLAGS.SILENT ("+flag+")", nil)
		return err
	})
}

func (c *client) expunge() error {
	_, keys, set, err := c.some(10)
	if err != nil {
		return err
	}
	if err := c.setFlag("mark for expunge", keys, set, "+", `\Deleted`); err != nil {
		return err
	}
	ch := change{}
	for _, k := range keys {
		ch[k] = nil
	}
	return c.promised("expunge", ch, func() error {
		_, err := c.imap.do("UID EXPUNGE "+set, nil)
		return err
	})
}

// send sends the client a message.
func (c *client) send() error {
	if len(c.kept.of(aMessage)) >= mostMessages {
		return c.instead((*client).expunge)
	}
	id, text := c.message()
	trace := append([]byte("Received: \r\n"), text...)
	return c.promised("send", change{{aMessage, inbox, id}: {text: messageText(nil, digest(trace))}}, func() error {
		return c.sendTo(c.account(), text)
	})
}

// sendToNobody sends a message that the server takes and drops: only its queue ID was used.
func (c *client) sendToNobody() error {
	_, text := c.message()
	return c.promised("send into nothing", change{}, func() error {
		return c.sendTo("null@"+c.server.domain, text)
	})
}

func (c *client) sendTo(rcpt string, text []byte) error {
	reply, _, err := c.smtp.transaction("sender@bench.test", rcpt, text)
	if err != nil {
		return err
	}
	return c.used.use(reply)
}

// uidsOf reads the UIDs of the new messages in the code APPENDUID or COPYUID of an answer (RFC 4315).
func uidsOf(answer string) (uids []uint32, err error) {
	_, code, _ := strings.Cut(answer, "[")
	code, _, _ = strings.Cut(code, "]")
	f := strings.Fields(code)
	if !(len(f) == 3 && f[0] == "APPENDUID") && !(len(f) == 4 && f[0] == "COPYUID") {
		return nil, fmt.Errorf("no UID in the answer %q", answer)
	}
	for r := range strings.SplitSeq(f[len(f)-1], ",") {
		first, last, ranged := strings.Cut(r, ":")
		if !ranged {
			last = first
		}
		a, err1 := strconv.ParseUint(first, 10, 32)
		b, err2 := strconv.ParseUint(last, 10, 32)
		if err := errors.Join(err1, err2); err != nil {
			return nil, err
		}
		for ; a <= b; a++ {
			uids = append(uids, uint32(a))
		}
	}
	return uids, nil
}
