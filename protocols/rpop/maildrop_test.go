package rpop

import (
	"bufio"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// maildrop is a POP3 account on another server.
type maildrop struct {
	mu       sync.Mutex
	messages []dropped
	noUIDL   bool
	lie      bool              // LIST says that all are small
	refuse   string            // a command that is refused
	step     func(what string) // called at each command, while the client waits
	sessions sync.WaitGroup
}

type dropped struct{ uidl, text string }

// clone copies what is there.
func (m *maildrop) clone() *maildrop {
	m.mu.Lock()
	defer m.mu.Unlock()
	return &maildrop{messages: slices.Clone(m.messages), noUIDL: m.noUIDL}
}

func (m *maildrop) dial() (net.Conn, error) {
	client, server := net.Pipe()
	m.sessions.Go(func() { m.serve(server) })
	return client, nil
}

func (m *maildrop) serve(c net.Conn) {
	defer c.Close()
	r := bufio.NewReader(c)
	m.mu.Lock()
	list := slices.Clone(m.messages)
	m.mu.Unlock()
	deleted := map[int]bool{}
	say := func(format string, args ...any) { fmt.Fprintf(c, format+"\r\n", args...) }
	say("+OK ready")
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		word, arg, _ := strings.Cut(strings.TrimSpace(line), " ")
		if m.step != nil {
			m.step("before " + word)
		}
		n, _ := strconv.Atoi(arg)
		if word == m.refuse {
			say("-ERR not now")
			continue
		}
		switch word {
		case "LIST", "UIDL":
			if word == "UIDL" && m.noUIDL {
				say("-ERR unknown command")
				break
			}
			say("+OK")
			for i, d := range list {
				if word == "LIST" {
					size := len(d.text)
					if m.lie {
						size = 10
					}
					say("%d %d", i+1, size)
				} else {
					say("%d %s", i+1, d.uidl)
				}
			}
			say(".")
		case "RETR":
			say("+OK")
			fmt.Fprint(c, strings.ReplaceAll("\n"+list[n-1].text, "\n.", "\n..")[1:])
			say(".")
		case "DELE":
			deleted[n] = true
			say("+OK")
		case "USER", "PASS":
			say("+OK")
		case "QUIT":
			m.mu.Lock()
			m.messages = slices.DeleteFunc(m.messages, func(d dropped) bool {
				i := slices.Index(list, d)
				return i >= 0 && deleted[i+1]
			})
			m.mu.Unlock()
			if m.step != nil {
				m.step("behind QUIT")
			}
			say("+OK")
			return
		default:
			say("-ERR unknown command")
		}
	}
}

func mail(subjects ...string) *maildrop {
	m := new(maildrop)
	for i, s := range subjects {
		m.messages = append(m.messages, dropped{fmt.Sprintf("uid%d", i), "Return-Path: <joe@far.example>\r\nFrom: joe@far.example\r\nSubject: " + s + "\r\n\r\nText of " + s + "\r\n.dot\r\n"})
	}
	return m
}
