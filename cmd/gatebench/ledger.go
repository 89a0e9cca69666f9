package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
)

// A ledger is a file with one line for every message that a server has answered with 250:
// Message-ID, account and the rest of the reply, separated by tabs. A line is
// written before the client sends anything else, so a server that is killed owes
// every message in it.
type ledger struct {
	mu sync.Mutex
	f  *os.File // nil if nothing is written down
}

func openLedger(path string) (*ledger, error) {
	if path == "" {
		return &ledger{}, nil
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	return &ledger{f: f}, err
}

func (l *ledger) write(id, account, reply string) error {
	if l.f == nil {
		return nil
	}
	reply = strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, strings.TrimPrefix(reply, "250 "))
	line := strings.Join([]string{id, account, reply}, "\t") + "\n"
	l.mu.Lock()
	defer l.mu.Unlock()
	_, err := l.f.WriteString(line)
	return err
}

func (l *ledger) close() {
	if l.f != nil {
		l.f.Close()
	}
}

// errFindings says that messages are missing or there twice.
var errFindings = errors.New("the server did not keep its word")

type verifyCommand struct {
	Ledger   []string `help:"Ledgers; all of them together are looked for." required:"" placeholder:"FILE"`
	Addr     string   `help:"IMAP server." default:"127.0.0.1:143" placeholder:"HOST:PORT"`
	Password string   `help:"The password of all accounts." default:"secret"`
}

// Run prints each message of the ledgers that is missing, and each gatebench message that is there
// more than once. Messages that were not acknowledged may be there, but not twice.
func (c *verifyCommand) Run(ctx context.Context, out *report) error {
	f, err := c.compare(ctx)
	if err != nil {
		return err
	}
	for _, f := range []struct {
		name string
		n    int
	}{{"acknowledged", f.total}, {"missing", f.missing}, {"more than once", f.twice}, {"not in the ledger", f.extra + f.missing}} {
		if err := out.print(f.name, "messages", float64(f.n)); err != nil {
			return err
		}
	}
	return f.verdict()
}

// look is Run without a report: it returns how many messages were acknowledged.
func (c *verifyCommand) look(ctx context.Context) (int, error) {
	f, err := c.compare(ctx)
	if err != nil {
		return 0, err
	}
	return f.total, f.verdict()
}

// found counts what compare saw.
type found struct{ total, missing, twice, extra int }

func (f found) verdict() error {
	if f.missing+f.twice > 0 {
		return errFindings
	}
	return nil
}

func (c *verifyCommand) compare(ctx context.Context) (found, error) {
	var f found
	byAccount := map[string][]string{}
	for _, path := range c.Ledger {
		n, err := readLedger(path, byAccount)
		if err != nil {
			return f, err
		}
		f.total += n
	}
	accounts := make([]string, 0, len(byAccount))
	for a := range byAccount {
		accounts = append(accounts, a)
	}
	slices.Sort(accounts)
	for _, a := range accounts {
		there, err := messageIDs(ctx, c.Addr, a, c.Password)
		if err != nil {
			return f, fmt.Errorf("%s: %w", a, err)
		}
		for _, id := range byAccount[a] {
			if there[id] == 0 {
				f.missing++
				fmt.Fprintf(os.Stderr, "missing: <%s> in %s\n", id, a)
			}
		}
		for id, n := range there {
			if n > 1 && strings.HasSuffix(id, "@gatebench") {
				f.twice++
				fmt.Fprintf(os.Stderr, "%d times: <%s> in %s\n", n, id, a)
			}
		}
		f.extra += len(there) - len(byAccount[a])
	}
	return f, nil
}

// readLedger adds the Message-IDs of a ledger to those of each account. A last line
// without its end was not acknowledged to anybody: the client was killed.
func readLedger(path string, byAccount map[string][]string) (int, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	n := 0
	for line := range strings.Lines(string(text[:bytes.LastIndexByte(text, '\n')+1])) {
		fields := strings.Split(line, "\t")
		if len(fields) != 3 {
			return n, fmt.Errorf("%s: not a ledger line: %q", path, line)
		}
		byAccount[fields[1]] = append(byAccount[fields[1]], fields[0])
		n++
	}
	return n, nil
}

// messageIDs counts the Message-IDs in an account's INBOX.
func messageIDs(ctx context.Context, addr, account, password string) (map[string]int, error) {
	c, err := login(ctx, addr, account, password)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	n, err := c.messages("INBOX")
	if err == nil {
		_, err = c.do("EXAMINE INBOX", nil)
	}
	ids := map[string]int{}
	if err != nil || n == 0 {
		return ids, err
	}
	_, err = c.do("FETCH 1:* (BODY.PEEK[HEADER.FIELDS (MESSAGE-ID X-ORIGINAL-MESSAGE-ID)])", func(_, literal []byte) {
		if id := messageID(literal); id != "" {
			ids[id]++
		}
	})
	return ids, err
}
