package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// The kinds of what a client has on the server.
const (
	aMailbox   = "mailbox"
	aMessage   = "message" // named by its mailbox and its Message-ID
	anAccount  = "account"
	anAlias    = "aliases of"
	aPassword  = "password of"
	aSetting   = "real name of"
	aForwarder = "forwarder"
	aDomain    = "domain"
)

const inbox = "INBOX"

// A client does one thing at a time with what is its own on the server: one account's
// mailboxes over IMAP, mail to it over SMTP, and domains, accounts and forwarders with names
// of its own over PWD. It writes down what it is owed.
type client struct {
	promises
	n          int
	server     *powerServer
	used       *queueIDs
	operations []operation // those that it does
	names      int         // how many names it has given out

	imap     *imapConn
	selected string
	smtp     *smtpConn
	pwd      *pwdConn
}

// powerServer is where a client finds its server.
type powerServer struct {
	imap, smtp, pwd string
	domain          string
	password        string
}

func newClient(n int, server *powerServer, used *queueIDs, operations []operation) *client {
	return &client{promises: newPromises(), n: n, server: server, used: used, operations: operations}
}

func (c *client) account() string { return fmt.Sprintf("u%03d@%s", c.n, c.server.domain) }

// prefix is what its names of domains, accounts, aliases and forwarders begin with.
func (c *client) prefix() string { return fmt.Sprintf("c%d-", c.n) }

func (c *client) name(kind string) string {
	c.names++
	return c.prefix() + kind + strconv.Itoa(c.names)
}

// open connects to the server.
func (c *client) open(ctx context.Context) (err error) {
	c.close()
	if c.imap, err = login(ctx, c.server.imap, c.account(), c.server.password); err != nil {
		return err
	}
	c.selected = ""
	if c.smtp, err = dialSMTP(ctx, &smtpCommand{Addr: c.server.smtp, Pipelining: true}); err != nil {
		return err
	}
	c.pwd, err = dialPWD(ctx, c.server.pwd, "postmaster", c.server.password)
	return err
}

func (c *client) close() {
	if c.imap != nil {
		c.imap.Close()
	}
	if c.smtp != nil {
		c.smtp.Close()
	}
	if c.pwd != nil {
		c.pwd.Close()
	}
	c.imap, c.smtp, c.pwd = nil, nil, nil
}

// promised carries out an operation. When do returns nil, the server has promised the change, into which
// do may have put numbers.
func (c *client) promised(what string, ch change, do func() error) error {
	return c.promisedSteps(what, []change{ch}, do)
}

// promisedSteps is promised for what the server does in several steps.
func (c *client) promisedSteps(what string, steps []change, do func() error) error {
	c.ask(what, steps...)
	if err := do(); err != nil {
		return fmt.Errorf("%s of client %d: %w", what, c.n, err)
	}
	c.acknowledged()
	return nil
}

// An operation is something that a client does. It does what it needs for that before, and
// something else when there is too much of what it makes.
type operation struct {
	name  string
	do    func(*client) error
	frees bool // it gives blocks of the disk back
	later bool // the server has something to do afterwards, which may be cut too
}

// operations are all that a client can do. In a run with one client each of them is in its turn the
// last before the cut.
var operations = []operation{
	{name: "append", do: (*client).append},
	{name: "copy", do: (*client).copy},
	{name: "move", do: (*client).move},
	{name: "store", do: (*client).store},
	{name: "expunge", do: (*client).expunge, frees: true},
	{name: "create mailbox", do: (*client).createMailbox},
	{name: "rename mailbox", do: (*client).renameMailbox},
	{name: "delete mailbox", do: (*client).deleteMailbox, frees: true},
	{name: "send", do: (*client).send, later: true},
	{name: "send into nothing", do: (*client).sendToNobody, frees: true},
	{name: "create account", do: (*client).createAccount},
	{name: "rename account", do: (*client).renameAccount},
	{name: "delete account", do: (*client).deleteAccount, frees: true},
	{name: "set aliases", do: (*client).setAliases},
	{name: "set password", do: (*client).setPassword},
	{name: "set real name", do: (*client).setRealName},
	{name: "create forwarder", do: (*client).createForwarder},
	{name: "delete forwarder", do: (*client).deleteForwarder},
	{name: "create domain", do: (*client).createDomain},
	{name: "change domain", do: (*client).changeDomain},
	{name: "rename domain", do: (*client).renameDomain},
	{name: "delete domain", do: (*client).deleteDomain, frees: true},
}

// anything does an operation of any kind.
func (c *client) anything() error { return c.operations[rand.IntN(len(c.operations))].do(c) }

// instead does something else than to add to what there is too much of.
func (c *client) instead(remove func(*client) error) error {
	for _, o := range c.operations {
		if o.frees {
			return remove(c)
		}
	}
	return c.store()
}

// any returns one of the names of a kind, or "".
func (c *client) any(kind string) string {
	names := c.kept.of(kind)
	if len(names) == 0 {
		return ""
	}
	return names[rand.IntN(len(names))]
}

// digest says what a message is. The text is the message as it was sent: trace fields before it
// are left out, but noted.
func digest(text []byte) string {
	how := "as sent"
	if at := strings.Index(string(text), "From: Gate Bench <"); at > 0 {
		text, how = text[at:], "behind trace fields"
	}
	return fmt.Sprintf("%d bytes, %x, %s", len(text), sha256.Sum256(text), how)
}

// message is the text of an item with that flags.
func messageText(flags []string, digest string) string {
	flags = slices.DeleteFunc(slices.Sorted(slices.Values(flags)), func(f string) bool { return f == `\Recent` })
	return "(" + strings.Join(flags, " ") + ") " + digest
}

// split is the reverse of messageText.
func split(text string) (flags []string, digest string) {
	f, digest, _ := strings.Cut(strings.TrimPrefix(text, "("), ") ")
	return strings.Fields(f), digest
}

// queueIDs are the numbers that the server has given to messages. They never come back, not
// even when nothing is left of the message.
type queueIDs struct {
	mu   sync.Mutex
	seen map[string]bool
}

// use takes the number from the answer to a message's end.
func (q *queueIDs) use(reply string) error {
	fields := strings.Fields(reply)
	if len(fields) < 2 || fields[0] != "250" {
		return fmt.Errorf("a message was answered with %q", reply)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.seen[fields[1]] {
		return fmt.Errorf("%w: the queue ID %s was given out twice", errFindings, fields[1])
	}
	q.seen[fields[1]] = true
	return nil
}

// renamed is the change that gives what is under some keys other keys.
func (s state) renamed(to func(key) (key, bool)) change {
	ch := change{}
	for k, i := range maps.Clone(s) {
		if n, ok := to(k); ok {
			ch[k], ch[n] = nil, &i
		}
	}
	return ch
}
