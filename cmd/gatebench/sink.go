package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"
)

// A sink is an SMTP server that accepts all and keeps nothing but the Message-IDs that it
// hands to took, each before it is acknowledged.
type sink struct {
	took func(id string)
	// unsure hears of a message after which the client said nothing more: whether it has
	// seen the answer is not known.
	unsure func(id string)
	// envelope, if any, hears of the return-path and the recipients of each message, before it is acknowledged.
	envelope func(from string, to []string)
	all      sync.WaitGroup
}

// A manner is how a sink treats its clients.
type manner int

const (
	prompt  manner = iota
	slow           // each reply comes after slowReply
	silent         // connections are accepted, and nothing is ever said
	refuses        // nobody listens
)

const slowReply = 3 * time.Second

// listen accepts connections at an address until ctx ends.
func (s *sink) listen(ctx context.Context, addr string, m manner) (net.Addr, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() { l.Close() })
	s.all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return // closed
			}
			s.all.Go(func() {
				defer context.AfterFunc(ctx, func() { c.Close() })()
				defer c.Close()
				if m == silent {
					io.Copy(io.Discard, c) //nolint:errcheck // until the client gives up
					return
				}
				if id := s.serve(c, m); id != "" && s.unsure != nil {
					s.unsure(id)
				}
			})
		}
	})
	return l.Addr(), nil
}

// serve is one session; the client's errors end it. It returns the message that was taken
// last, if no command has followed.
func (s *sink) serve(c net.Conn, m manner) (last string) {
	in, out := bufio.NewReaderSize(c, 64<<10), bufio.NewWriter(c)
	reply := func(text string) {
		if m == slow {
			time.Sleep(slowReply)
		}
		out.WriteString(text) //nolint:errcheck // Flush has the error
	}
	var from string
	var to []string
	reply("220 sink.test ESMTP\r\n")
	for {
		if in.Buffered() == 0 && out.Flush() != nil {
			return last
		}
		line, err := in.ReadSlice('\n')
		if err != nil {
			return last
		}
		last = ""
		if s.envelope != nil {
			switch arg := pathOf(string(line)); {
			case len(line) > 4 && strings.EqualFold(string(line[:4]), "MAIL"):
				from, to = arg, nil
			case len(line) > 4 && strings.EqualFold(string(line[:4]), "RCPT"):
				to = append(to, arg)
			}
		}
		verb, _, _ := strings.Cut(strings.ToUpper(strings.TrimRight(string(line), "\r\n")), " ")
		switch verb {
		case "EHLO":
			reply("250-sink.test\r\n250-PIPELINING\r\n250-SIZE\r\n250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n250 DSN\r\n")
		case "DATA":
			reply("354 go on\r\n")
			if out.Flush() != nil {
				return ""
			}
			id, err := readText(in)
			if err != nil {
				return ""
			}
			last = id
			s.took(id)
			if s.envelope != nil {
				s.envelope(from, to)
			}
			reply("250 2.0.0 taken\r\n")
		case "QUIT":
			fmt.Fprint(out, "221 2.0.0 bye\r\n")
			out.Flush() //nolint:errcheck // the session is over
			return ""
		default:
			reply("250 2.0.0 ok\r\n")
		}
	}
}

// pathOf is the address between angle brackets.
func pathOf(line string) string {
	_, rest, _ := strings.Cut(line, "<")
	path, _, _ := strings.Cut(rest, ">")
	return path
}

// readText reads a message to its final dot and returns its Message-ID.
func readText(in *bufio.Reader) (id string, err error) {
	field := []byte("Message-ID: <")
	whole := true // the line before ended
	for {
		line, err := in.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return "", err
		}
		switch {
		case !whole:
		case string(line) == ".\r\n":
			return id, nil
		case id == "" && bytes.HasPrefix(line, field):
			rest, _, _ := bytes.Cut(line[len(field):], []byte(">"))
			id = string(rest)
		}
		whole = err == nil
	}
}
