package imapmodel

import (
	"fmt"
	"regexp"
	"strings"
	"time"
)

// follows reports whether the client follows the result of a search (RFC 5267), and notified whether it is told of the mailboxes that it has not
// selected (RFC 5465). EXPUNGE responses wait for a command all the same: the model has sequence numbers in its commands.
func (c *client) follows() bool  { return c.number%3 == 1 }
func (c *client) notified() bool { return c.number%4 >= 2 }

// askNotify asks to be told of all mailboxes.
func (c *client) askNotify() error {
	if !c.notified() {
		return nil
	}
	const events = "(MessageNew MessageExpunge FlagChange)"
	_, err := c.do(false, "NOTIFY SET STATUS (selected-delayed %s) (mailboxes (%s) %s)", events, strings.Join(c.o.Boxes, " "), events)
	return err
}

const followed = "UNDELETED"

// follow asks for a result and its changes.
func (c *client) follow() error {
	if !c.follows() {
		return nil
	}
	c.followed, c.followTag = map[uint32]bool{}, c.s.next()
	_, err := c.do(false, "UID SEARCH RETURN (ALL UPDATE) %s", followed)
	return err
}

var (
	esearch     = regexp.MustCompile(`^\(TAG "([^"]+)"\) UID(?: (ALL|ADDTO|REMOVEFROM) (?:\(0 )?([0-9:,]+))?`)
	statusWords = regexp.MustCompile(`^"?([^" ]+)"? \(MESSAGES (\d+) UIDNEXT (\d+)`)
)

// result takes an ESEARCH response.
func (c *client) result(text string) error {
	m := esearch.FindStringSubmatch(text)
	if m == nil || m[1] != c.followTag || m[2] == "" {
		return nil
	}
	uids, err := numbers(m[3])
	if err != nil {
		return err
	}
	for _, uid := range uids {
		switch was := c.followed[uid]; {
		case m[2] == "REMOVEFROM" && !was:
			return fmt.Errorf("REMOVEFROM of UID %d, which the result does not have", uid)
		case m[2] == "ADDTO" && was:
			return fmt.Errorf("ADDTO of UID %d, which the result has", uid)
		case m[2] == "REMOVEFROM":
			delete(c.followed, uid)
		default:
			c.followed[uid] = true
		}
	}
	return nil
}

// hears takes a STATUS response.
func (c *client) hears(text string) {
	if m := statusWords.FindStringSubmatch(text); m != nil && m[1] != c.view.box {
		c.heard[m[1]] = m[2] + " " + m[3]
	}
}

// quiet is how long it takes until everything is told.
const quiet = 300 * time.Millisecond

// settleFollowed compares what the client was told with what is there in the end.
func (c *client) settleFollowed() error {
	if c.follows() {
		told := c.followed
		if err := c.follow(); err != nil {
			return err
		}
		for uid := range c.followed {
			if !told[uid] {
				c.world.fail("client %d, %s: UID %d was not added to the result", c.number, c.view.box, uid)
			}
			delete(told, uid)
		}
		for uid := range told {
			c.world.fail("client %d, %s: UID %d was not removed from the result", c.number, c.view.box, uid)
		}
	}
	if !c.notified() {
		return nil
	}
	time.Sleep(quiet)
	if _, err := c.do(false, "NOOP"); err != nil {
		return err
	}
	heard := c.heard
	c.heard = map[string]string{}
	for name, was := range heard {
		if _, err := c.do(false, "STATUS %s (MESSAGES UIDNEXT)", name); err != nil {
			return err
		}
		if now := c.heard[name]; now != was {
			c.world.fail("client %d: it was told that %s has %s, and it has %s", c.number, name, was, now)
		}
	}
	return nil
}
