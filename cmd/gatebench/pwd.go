package main

import (
	"bufio"
	"context"
	"fmt"
	"strings"
	"time"
)

// A pwdConn is a session of an administrator on port 106.
type pwdConn struct {
	*wire
	in *bufio.Reader
}

func dialPWD(ctx context.Context, addr, user, password string) (*pwdConn, error) {
	w, err := dial(ctx, addr)
	if err != nil {
		return nil, err
	}
	c := &pwdConn{wire: w, in: bufio.NewReaderSize(w, 64<<10)}
	if err := c.open(user, password); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func (c *pwdConn) open(user, password string) error {
	if _, err := c.reply("the greeting"); err != nil {
		return err
	}
	for _, command := range []string{"USER " + user, "PASS " + password, "INLINE"} {
		if _, err := c.do(command); err != nil {
			return err
		}
	}
	return nil
}

// A refusal is an answer that says no.
type refusal struct{ command, reply string }

func (r *refusal) Error() string { return fmt.Sprintf("%.200s: %s", r.command, r.reply) }

// do carries out a command and returns the data of its answer.
func (c *pwdConn) do(command string) (string, error) {
	if _, err := c.Write([]byte(command + "\r\n")); err != nil {
		return "", err
	}
	return c.reply(command)
}

func (c *pwdConn) reply(command string) (string, error) {
	if err := c.SetDeadline(time.Now().Add(deadline)); err != nil {
		return "", err
	}
	line, err := c.in.ReadString('\n')
	if err != nil {
		return "", err
	}
	line = strings.TrimRight(line, "\r\n")
	code, text, _ := strings.Cut(line, " ")
	switch code {
	case "200", "300":
		return "", nil
	case "201":
		return text, nil
	}
	return "", &refusal{command, line}
}

// list carries out a command that answers with an array or a dictionary, and returns
// the words of the array, or the keys, that begin with a prefix.
func (c *pwdConn) list(command, prefix string) (words []string, err error) {
	text, err := c.do(command)
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune("(){},;", r) }) {
		word, _, _ = strings.Cut(word, "=")
		if word = strings.Trim(word, `"`); strings.HasPrefix(word, prefix) {
			words = append(words, word)
		}
	}
	return words, err
}
