package main

import (
	"context"
	"fmt"
	"time"
)

// mailboxes are the recipients' INBOXes, watched through one session each.
type mailboxes struct {
	conns  []*imapConn
	before []int
}

// openMailboxes logs in to every account and counts what is there.
func openMailboxes(ctx context.Context, c *smtpCommand) (*mailboxes, error) {
	n := max(1, c.Accounts)
	m := &mailboxes{conns: make([]*imapConn, n), before: make([]int, n)}
	for i := range n {
		k, err := login(ctx, c.Readable, numbered(c.Rcpt, i), c.Password)
		if err != nil {
			m.close()
			return nil, fmt.Errorf("%s: %w", numbered(c.Rcpt, i), err)
		}
		m.conns[i] = k
		if m.before[i], err = k.messages("INBOX"); err != nil {
			m.close()
			return nil, err
		}
	}
	return m, nil
}

// wait returns when each account has got its share of the messages.
func (m *mailboxes) wait(ctx context.Context, messages int) error {
	const pause = 2 * time.Millisecond
	n := len(m.conns)
	giveUp := time.Now().Add(10 * time.Minute)
	for i, k := range m.conns {
		want := m.before[i] + messages/n
		if i < messages%n {
			want++
		}
		for {
			have, err := k.messages("INBOX")
			if err != nil {
				return err
			}
			if have >= want {
				break
			}
			if time.Now().After(giveUp) {
				return fmt.Errorf("account %d has %d messages of %d after ten minutes", i, have, want)
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(pause):
			}
		}
	}
	return nil
}

func (m *mailboxes) close() {
	for _, k := range m.conns {
		if k != nil {
			k.Close()
		}
	}
}
