package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"
)

type smtpCommand struct {
	Addr       string `help:"SMTP server." default:"127.0.0.1:25" placeholder:"HOST:PORT"`
	Conns      int    `help:"Connections at a time." default:"20"`
	Messages   int    `help:"Messages to send in all; 0 means until the server or the user ends it." default:"5000"`
	Size       int    `help:"Bytes of a message." default:"4096"`
	Words      int    `help:"How many different words the messages are made of, as of fill; 0: one line again and again."`
	From       string `help:"Return-path." default:"sender@bench.test"`
	Rcpt       string `help:"Recipients, with a number." default:"u%03d@bench.test"`
	Accounts   int    `help:"How many recipients there are." default:"100"`
	PerConn    int    `help:"Messages on one connection; 0 for no limit." default:"0"`
	Auth       string `help:"Log in with AUTH PLAIN." placeholder:"USER:PASSWORD"`
	Pipelining bool   `help:"Send MAIL, RCPT and DATA in one packet where offered." default:"true" negatable:""`
	Repeat     int    `help:"Runs." default:"1"`
	Readable   string `help:"IMAP server: wait until every message is visible there." placeholder:"HOST:PORT"`
	Password   string `help:"The password of all recipients." default:"secret"`
	Ledger     string `help:"File that every message answered with 250 is written to." placeholder:"FILE"`

	refusal string // one of the answers other than 250 of a run with a ledger
}

// An smtpRun is one run of the command.
type smtpRun struct {
	*smtpCommand
	id     int64 // makes Message-IDs unique
	ledger *ledger
	next   atomic.Int64
	// accepted counts answers 250, refused other answers, unknown messages whose end was sent
	// and not answered.
	accepted, refused, unknown atomic.Int64
	refusal                    atomic.Value // one of the other answers
	accept                     func(n int)  // hears of answers 250; may be nil
}

func (c *smtpCommand) Run(ctx context.Context, out *report) error {
	var accepted, readable []float64
	l, err := openLedger(c.Ledger)
	if err != nil {
		return err
	}
	defer l.close()
	for range c.Repeat {
		r := &smtpRun{smtpCommand: c, id: time.Now().UnixNano(), ledger: l}
		var view *mailboxes
		if c.Readable != "" {
			if view, err = openMailboxes(ctx, c); err != nil {
				return err
			}
		}
		start := time.Now()
		err := parallel(c.Conns, func(int) error { return r.work(ctx) })
		sent := time.Since(start)
		if c.Ledger != "" {
			// Why it ended is the business of the test that ended it.
			c.refusal, _ = r.refusal.Load().(string)
			if err := r.count(out, err); err != nil {
				return err
			}
			continue
		}
		switch n := r.refused.Load(); {
		case err != nil:
			return err
		case n > 0:
			return fmt.Errorf("%d messages were refused: %v", n, r.refusal.Load())
		}
		accepted = append(accepted, float64(r.accepted.Load())/sent.Seconds())
		if view != nil {
			if err := view.wait(ctx, c.Messages); err != nil {
				return err
			}
			readable = append(readable, float64(c.Messages)/time.Since(start).Seconds())
			view.close()
		}
	}
	if c.Ledger != "" {
		return nil
	}
	if err := out.print("accepted", "/s", accepted...); err != nil || len(readable) == 0 {
		return err
	}
	return out.print("readable", "/s", readable...)
}

// count prints how messages fared. A run without any answer is an error.
func (r *smtpRun) count(out *report, ended error) error {
	if r.accepted.Load()+r.refused.Load()+r.unknown.Load() == 0 && ended != nil {
		return ended
	}
	return errors.Join(
		out.print("acknowledged", "messages", float64(r.accepted.Load())),
		out.print("unanswered", "messages", float64(r.unknown.Load())),
		out.print("refused", "messages", float64(r.refused.Load())))
}

// work sends messages on one connection after the other until there are no more.
func (r *smtpRun) work(ctx context.Context) error {
	for {
		more, err := r.session(ctx)
		if err != nil || !more {
			return err
		}
	}
}

// session sends messages on one connection, and reports whether there may be more.
func (r *smtpRun) session(ctx context.Context) (more bool, err error) {
	c, err := dialSMTP(ctx, r.smtpCommand)
	if err != nil {
		return false, err
	}
	defer c.Close()
	for sent := 0; r.PerConn == 0 || sent < r.PerConn; sent++ {
		n := int(r.next.Add(1)) - 1
		if r.Messages > 0 && n >= r.Messages {
			c.quit()
			return false, nil
		}
		rcpt := numbered(r.Rcpt, n%max(1, r.Accounts))
		id := fmt.Sprintf("%d.%d@gatebench", r.id, n)
		text := newMessage(id, r.From, rcpt, r.Size)
		if r.Words > 0 {
			text = newWords(id, r.From, rcpt, r.Size, n, r.Words)
		}
		reply, asked, err := c.transaction(r.From, rcpt, text)
		switch {
		case err != nil:
			if asked {
				r.unknown.Add(1)
			}
			return false, err
		case !strings.HasPrefix(reply, "250"):
			r.refused.Add(1)
			r.refusal.Store(reply)
			return false, nil
		}
		r.accepted.Add(1)
		if r.accept != nil {
			r.accept(n)
		}
		if err := r.ledger.write(id, rcpt, reply); err != nil {
			return false, err
		}
	}
	c.quit()
	return true, nil
}

// An smtpConn is one SMTP session.
type smtpConn struct {
	*wire
	in         *bufio.Reader
	pipelining bool
	out        []byte
}

func dialSMTP(ctx context.Context, o *smtpCommand) (*smtpConn, error) {
	w, err := dial(ctx, o.Addr)
	if err != nil {
		return nil, err
	}
	c := &smtpConn{wire: w, in: bufio.NewReaderSize(w, 4<<10)}
	if err := c.open(o); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func (c *smtpConn) open(o *smtpCommand) error {
	if _, err := c.expect("220"); err != nil {
		return err
	}
	features, err := c.ask("EHLO gatebench.test", "250")
	if err != nil {
		return err
	}
	c.pipelining = o.Pipelining && strings.Contains(features, "PIPELINING")
	if o.Auth != "" {
		user, password, _ := strings.Cut(o.Auth, ":")
		token := base64.StdEncoding.EncodeToString([]byte("\x00" + user + "\x00" + password))
		_, err = c.ask("AUTH PLAIN "+token, "235")
	}
	return err
}

// reply reads a reply with all its lines.
func (c *smtpConn) reply() (string, error) {
	if err := c.SetDeadline(time.Now().Add(deadline)); err != nil {
		return "", err
	}
	var all []byte
	for {
		l, err := c.in.ReadSlice('\n')
		if err != nil {
			return "", err
		}
		all = append(all, l...)
		if len(l) < 4 || l[3] != '-' {
			return string(bytes.TrimRight(all, "\r\n")), nil
		}
	}
}

func (c *smtpConn) expect(code string) (string, error) {
	r, err := c.reply()
	if err == nil && !strings.HasPrefix(r, code) {
		err = fmt.Errorf("SMTP: %s", r)
	}
	return r, err
}

func (c *smtpConn) ask(command, code string) (string, error) {
	if _, err := c.Write([]byte(command + "\r\n")); err != nil {
		return "", err
	}
	return c.expect(code)
}

// transaction sends one message and returns the reply to its end, or another reply that was not
// what it should. asked says that the end was sent.
func (c *smtpConn) transaction(from, rcpt string, message []byte) (reply string, asked bool, err error) {
	commands := [...]string{"MAIL FROM:<" + from + ">", "RCPT TO:<" + rcpt + ">", "DATA"}
	codes := [...]string{"250", "250", "354"}
	if c.pipelining {
		if _, err := c.Write([]byte(strings.Join(commands[:], "\r\n") + "\r\n")); err != nil {
			return "", false, err
		}
	}
	for i := range commands {
		if !c.pipelining {
			if _, err := c.Write([]byte(commands[i] + "\r\n")); err != nil {
				return "", false, err
			}
		}
		if r, err := c.reply(); err != nil || !strings.HasPrefix(r, codes[i]) {
			return r, false, err
		}
	}
	// Benchmark messages have no line that begins with a dot.
	c.out = append(append(c.out[:0], message...), ".\r\n"...)
	if _, err := c.Write(c.out); err != nil {
		return "", true, err
	}
	reply, err = c.reply()
	return reply, true, err
}

// quit says goodbye; whether the server still answers does not matter.
func (c *smtpConn) quit() {
	if _, err := c.ask("QUIT", "221"); err != nil {
		return
	}
}
