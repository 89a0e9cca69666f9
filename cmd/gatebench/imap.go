package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// An imapConn is one IMAP session.
type imapConn struct {
	*wire
	in  *bufio.Reader
	tag int
	cmd []byte
	// status is the answer to the last command that wait has seen the end of.
	status string
}

// deadline bounds each wait for a server that hangs.
const deadline = 5 * time.Minute

// A wire is a connection that the end of the run closes, so that every wait ends.
type wire struct {
	net.Conn
	forget func() bool
}

// sourceKey is the key of a context whose connections come from an address of this machine.
type sourceKey struct{}

// from returns a context whose connections come from an address of this machine.
func from(ctx context.Context, ip netip.Addr) context.Context {
	return context.WithValue(ctx, sourceKey{}, ip)
}

func dial(ctx context.Context, addr string) (*wire, error) {
	d := net.Dialer{Timeout: 30 * time.Second}
	if ip, ok := ctx.Value(sourceKey{}).(netip.Addr); ok {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(ip, 0))
	}
	c, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return &wire{c, context.AfterFunc(ctx, func() { c.Close() })}, nil
}

func (w *wire) Close() error {
	w.forget()
	return w.Conn.Close()
}

func dialIMAP(ctx context.Context, addr string) (*imapConn, error) {
	c, err := dial(ctx, addr)
	if err != nil {
		return nil, err
	}
	k := &imapConn{wire: c, in: bufio.NewReaderSize(c, 64<<10)}
	if greeting, err := k.line(); err != nil || !strings.HasPrefix(string(greeting), "* OK") {
		c.Close()
		return nil, fmt.Errorf("greeting %q: %w", greeting, err)
	}
	return k, nil
}

// login opens a session of an account.
func login(ctx context.Context, addr, user, password string) (*imapConn, error) {
	c, err := dialIMAP(ctx, addr)
	if err != nil {
		return nil, err
	}
	if _, err := c.do("LOGIN "+quote(user)+" "+quote(password), nil); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// line reads a line without its end; it is valid until the next call. A line longer than
// the buffer is cut: only its end matters then.
func (c *imapConn) line() ([]byte, error) {
	l, err := c.in.ReadSlice('\n')
	for err == bufio.ErrBufferFull {
		l, err = c.in.ReadSlice('\n')
	}
	return bytes.TrimRight(l, "\r\n"), err
}

// send sends a command and returns its tag.
func (c *imapConn) send(command string) (string, error) {
	c.tag++
	tag := strconv.Itoa(c.tag)
	c.cmd = append(append(append(append(c.cmd[:0], tag...), ' '), command...), '\r', '\n')
	if err := c.SetDeadline(time.Now().Add(deadline)); err != nil {
		return "", err
	}
	_, err := c.Write(c.cmd)
	return tag, err
}

// do sends a command and reads to its end. It returns the number of untagged lines; each
// is passed to untagged, if given, with the text of a literal at its end.
func (c *imapConn) do(command string, untagged func(line, literal []byte)) (int, error) {
	tag, err := c.send(command)
	if err != nil {
		return 0, err
	}
	return c.wait(tag, command, untagged)
}

func (c *imapConn) wait(tag, command string, untagged func(line, literal []byte)) (int, error) {
	n := 0
	for {
		l, err := c.line()
		if err != nil {
			return n, err
		}
		if len(l) > 0 && l[0] == '*' {
			if n++; untagged != nil {
				l = bytes.Clone(l)
			}
			literal, err := c.literals(l, untagged != nil)
			if err != nil {
				return n, err
			}
			if untagged != nil {
				untagged(l, literal)
			}
			continue
		}
		status, ok := strings.CutPrefix(string(l), tag+" ")
		switch {
		case !ok:
			return n, fmt.Errorf("%s: unexpected line %q", command, l)
		case !strings.HasPrefix(status, "OK"):
			return n, fmt.Errorf("%s: %s", command, status)
		}
		c.status = status
		return n, nil
	}
}

// literals reads the literals that a line ends with, and what follows each. It
// returns the first one's text if it is wanted.
func (c *imapConn) literals(l []byte, wanted bool) ([]byte, error) {
	var first []byte
	for {
		size, ok := literalSize(l)
		if !ok {
			return first, nil
		}
		var err error
		if wanted && first == nil {
			first = make([]byte, size)
			_, err = io.ReadFull(c.in, first)
		} else {
			_, err = c.in.Discard(size)
		}
		if err == nil {
			l, err = c.line()
		}
		if err != nil {
			return nil, err
		}
	}
}

// literalSize reads "{123}" at the end of a line.
func literalSize(l []byte) (int, bool) {
	if len(l) < 3 || l[len(l)-1] != '}' {
		return 0, false
	}
	i := bytes.LastIndexByte(l, '{')
	if i < 0 {
		return 0, false
	}
	n, err := strconv.Atoi(string(l[i+1 : len(l)-1]))
	return n, err == nil && n >= 0
}

// append appends a message with a literal that waits for the server.
func (c *imapConn) append(mailbox string, message []byte) error {
	command := fmt.Sprintf("APPEND %s {%d}", mailbox, len(message))
	tag, err := c.send(command)
	if err != nil {
		return err
	}
	for {
		l, err := c.line()
		if err != nil {
			return err
		}
		if len(l) > 0 && l[0] == '+' {
			break
		}
		if len(l) > 0 && l[0] != '*' {
			return fmt.Errorf("%s: %s", command, l)
		}
	}
	if _, err := c.Write(append(message, '\r', '\n')); err != nil {
		return err
	}
	_, err = c.wait(tag, command, nil)
	return err
}

// messages asks how many messages a mailbox has.
func (c *imapConn) messages(mailbox string) (int, error) {
	count := -1
	_, err := c.do("STATUS "+mailbox+" (MESSAGES)", func(l, _ []byte) {
		if i := bytes.LastIndex(l, []byte("(MESSAGES ")); i >= 0 {
			if n, err := strconv.Atoi(string(bytes.TrimRight(l[i+10:], ")"))); err == nil {
				count = n
			}
		}
	})
	if err == nil && count < 0 {
		err = fmt.Errorf("STATUS %s: no answer", mailbox)
	}
	return count, err
}
