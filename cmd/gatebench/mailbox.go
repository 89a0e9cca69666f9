package main

import (
	"context"
	"fmt"
	"time"
)

// opened is a command that is measured with INBOX selected.
type opened struct {
	server
	load
}

// run measures a command under a name. With perMessage it has to answer with at least one
// untagged line for each message.
func (o *opened) run(ctx context.Context, out *report, name, command string, perMessage bool) error {
	return o.sessions(ctx, o.Conns, "SELECT INBOX", func(cs []*imapConn) error {
		want := 0
		if perMessage {
			n, err := cs[0].messages("INBOX")
			if err != nil {
				return err
			}
			if want = n; n == 0 {
				return fmt.Errorf("%s has no messages: use fill first", o.user(0))
			}
		}
		return measure(out, name, o.load, func(i, _ int) error {
			lines, err := cs[i].do(command, nil)
			if err == nil && i == 0 && lines < want {
				err = fmt.Errorf("%s: %d lines for %d messages", command, lines, want)
			}
			return err
		})
	})
}

type fetchFlags struct{ opened }

func (c *fetchFlags) Run(ctx context.Context, out *report) error {
	return c.run(ctx, out, "FETCH 1:* (UID FLAGS)", "FETCH 1:* (UID FLAGS)", true)
}

type fetchEnvelope struct{ opened }

func (c *fetchEnvelope) Run(ctx context.Context, out *report) error {
	return c.run(ctx, out, "FETCH 1:* (ENVELOPE RFC822.SIZE)", "FETCH 1:* (ENVELOPE RFC822.SIZE)", true)
}

type fetchList struct{ opened }

func (c *fetchList) Run(ctx context.Context, out *report) error {
	return c.run(ctx, out, "FETCH of the header list", "UID FETCH 1:* (UID RFC822.SIZE FLAGS BODY.PEEK[HEADER.FIELDS (From To Cc Bcc Subject Date "+
		"Message-ID Priority X-Priority References Newsgroups In-Reply-To Content-Type Reply-To Received)])", true)
}

type fetchBody struct{ opened }

func (c *fetchBody) Run(ctx context.Context, out *report) error {
	return c.run(ctx, out, "FETCH 1:* (BODY.PEEK[])", "FETCH 1:* (BODY.PEEK[])", true)
}

type searchCommand struct {
	opened
	Key string `arg:"" help:"Search key, such as 'SUBJECT x' or 'BODY x'." default:"SUBJECT benchmark"`
}

func (c *searchCommand) Run(ctx context.Context, out *report) error {
	return c.run(ctx, out, "SEARCH "+c.Key, "SEARCH "+c.Key, false)
}

type selectCommand struct{ opened }

func (c *selectCommand) Run(ctx context.Context, out *report) error {
	return c.run(ctx, out, "SELECT INBOX", "SELECT INBOX", false)
}

type noopCommand struct{ opened }

func (c *noopCommand) Run(ctx context.Context, out *report) error {
	return c.run(ctx, out, "NOOP", "NOOP", false)
}

type storeCommand struct{ opened }

func (c *storeCommand) Run(ctx context.Context, out *report) error {
	return c.sessions(ctx, c.Conns, "SELECT INBOX", func(cs []*imapConn) error {
		return measure(out, "STORE", c.load, func(i, turn int) error {
			_, err := cs[i].do(fmt.Sprintf("STORE 1 %cFLAGS.SILENT (\\Flagged)", "+-"[turn%2]), nil)
			return err
		})
	})
}

type loginCommand struct {
	server
	load
}

func (c *loginCommand) Run(ctx context.Context, out *report) error {
	return measure(out, "LOGIN+LOGOUT", c.load, func(i, _ int) error {
		k, err := c.login(ctx, i)
		if err != nil {
			return err
		}
		defer k.Close()
		_, err = k.do("LOGOUT", nil)
		return err
	})
}

type appendCommand struct {
	server
	load
	Size    int    `help:"Bytes of a message." default:"4096"`
	Mailbox string `help:"Where to." default:"INBOX"`
}

func (c *appendCommand) Run(ctx context.Context, out *report) error {
	return c.sessions(ctx, c.Conns, "", func(cs []*imapConn) error {
		run := time.Now().UnixNano()
		return measure(out, "APPEND", c.load, func(i, turn int) error {
			id := fmt.Sprintf("append.%d.%d.%d@gatebench", run, i, turn)
			return cs[i].append(c.Mailbox, newMessage(id, c.user(i), c.user(i), c.Size))
		})
	})
}

type fillCommand struct {
	server
	Messages int    `help:"How many messages the mailbox shall have." default:"5000"`
	Size     int    `help:"Bytes of a message." default:"4096"`
	Mailbox  string `help:"Which mailbox of each account." default:"INBOX"`
	Words    int    `help:"How many different words the messages are made of, some often and most seldom; the word number 1 is 'bababa', and the message N has the word 'needleN'. 0: one line again and again."`
}

func (c *fillCommand) Run(ctx context.Context, out *report) error {
	const conns = 4
	run := time.Now().UnixNano()
	for a := range max(1, c.Accounts) {
		err := parallel(conns, func(i int) error {
			k, err := c.login(ctx, a)
			if err != nil {
				return err
			}
			defer k.Close()
			have, err := k.messages(c.Mailbox)
			for n := have + i; err == nil && n < c.Messages; n += conns {
				id := fmt.Sprintf("fill.%d.%d.%d@gatebench", run, a, n)
				text := newMessage(id, c.user(a), c.user(a), c.Size)
				if c.Words > 0 {
					text = newWords(id, c.user(a), c.user(a), c.Size, n, c.Words)
				}
				err = k.append(c.Mailbox, text)
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("%s: %w", c.user(a), err)
		}
	}
	return nil
}
