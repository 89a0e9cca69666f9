package relay

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"

	"gatepost/queue"
	"gatepost/queue/transporttest"
	"gatepost/router"
	"gatepost/router/address"
	"gatepost/server/dataformat"
	"gatepost/server/resolver/resolvertest"
	"gatepost/server/settings"
)

// farEnd is a mail server that refuses bad@ and, for a time, puts later@ off.
type farEnd struct {
	mu    sync.Mutex
	met   map[string]int // by recipient and subject
	later bool
}

func TestTransport(t *testing.T) {
	transporttest.Run(t, func(t *testing.T, _ string) *transporttest.Subject {
		f := &farEnd{met: map[string]int{}, later: true}
		set := new(Settings)
		if err := settings.Load(set, dataformat.Dict{"SmartHost": dataformat.String("mx.test")}); err != nil {
			t.Fatal(err)
		}
		return &transporttest.Subject{
			Module: router.SMTP,
			Open: func(*queue.Queue, *queue.Counter) (queue.Transport, func()) {
				tr := New(settings.NewLive(set), settings.NewLive(new(GatewaySettings)), resolvertest.New(t, mxTest).Resolver(), func() string { return "server.test" }, ourselves{}, nil, nil, nil, slog.New(slog.DiscardHandler))
				tr.dialer.dial = f.dial
				return tr, tr.Close
			},
			Route: func(a address.Address) router.Route {
				return router.Route{Module: router.SMTP, Queue: a.Domain, Address: a, AsGiven: true}
			},
			Good: [2]string{"good@far.org", "other@far.org"}, Bad: "bad@far.org", Later: "later@far.org",
			Relent: func() {
				f.mu.Lock()
				defer f.mu.Unlock()
				f.later = false
			},
			Met: func(rcpt, subject string) int {
				f.mu.Lock()
				defer f.mu.Unlock()
				return f.met[rcpt+" "+subject]
			},
		}
	})
}

func (f *farEnd) dial(context.Context, string, string) (net.Conn, error) {
	client, server := net.Pipe()
	go f.session(server)
	return client, nil
}

func (f *farEnd) session(c net.Conn) {
	defer c.Close()
	r := bufio.NewReader(c)
	io.WriteString(c, "220 mx.test\r\n")
	var subject string
	var accepted []string
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		_, arg, _ := strings.Cut(line, ":<")
		arg, _, _ = strings.Cut(arg, ">")
		switch word, _, _ := strings.Cut(strings.TrimSpace(line), " "); word {
		case "EHLO":
			io.WriteString(c, "250-mx.test\r\n250 PIPELINING\r\n")
		case "MAIL":
			_, subject, _ = strings.Cut(arg, "+")
			subject, _, _ = strings.Cut(subject, "@")
			accepted = nil
			io.WriteString(c, "250 ok\r\n")
		case "RCPT":
			io.WriteString(c, f.rcpt(arg, subject, &accepted))
		case "DATA":
			if len(accepted) == 0 {
				io.WriteString(c, "554 no valid recipients\r\n")
				continue
			}
			io.WriteString(c, "354 go\r\n")
			for line != ".\r\n" {
				if line, err = r.ReadString('\n'); err != nil {
					return
				}
			}
			f.count(subject, accepted...)
			io.WriteString(c, "250 ok\r\n")
		case "QUIT":
			io.WriteString(c, "221 bye\r\n")
			return
		default:
			io.WriteString(c, "250 ok\r\n")
		}
	}
}

func (f *farEnd) rcpt(to, subject string, accepted *[]string) string {
	f.mu.Lock()
	later := f.later
	f.mu.Unlock()
	switch {
	case strings.HasPrefix(to, "bad@"):
		f.count(subject, to)
		return "550 5.1.1 no such user\r\n"
	case strings.HasPrefix(to, "later@") && later:
		return "450 4.2.0 greylisted\r\n"
	}
	*accepted = append(*accepted, to)
	return "250 ok\r\n"
}

func (f *farEnd) count(subject string, rcpts ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range rcpts {
		f.met[r+" "+subject]++
	}
}
