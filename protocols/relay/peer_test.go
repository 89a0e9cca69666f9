package relay

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gatepost/server/dataformat"
)

// A peer is a mail server that a test makes odd: say answers each line of each
// connection, which are counted from 1. An answer that ends in hangUp closes the
// connection, an empty one says nothing.
type peer struct {
	ehlo string
	say  func(conn int, line string) string

	mu    sync.Mutex
	heard []string // "1 MAIL FROM:<...>", without the text of messages
}

const (
	hangUp     = "CLOSE"
	pipelining = "250-mx.test\r\n250 PIPELINING\r\n"
	stepwise   = "250 mx.test\r\n"
)

// fine is what a server answers that takes everything.
func fine(line string) string {
	switch line {
	case "DATA":
		return "354 go\r\n"
	case "QUIT":
		return "221 bye\r\n" + hangUp
	}
	return "250 ok\r\n"
}

func (p *peer) serve(s *station) {
	for n := 1; ; n++ {
		select {
		case c := <-s.waiting:
			go p.session(n, c)
		case <-s.t.Context().Done():
			return
		}
	}
}

func (p *peer) session(n int, c net.Conn) {
	defer c.Close()
	r := bufio.NewReader(c)
	io.WriteString(c, "220 mx.test\r\n")
	for inText := false; ; {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		if inText && line != "." {
			continue
		}
		answer := p.answer(n, line)
		inText = strings.HasPrefix(answer, "354")
		answer, closing := strings.CutSuffix(answer, hangUp)
		io.WriteString(c, answer)
		if closing {
			return
		}
	}
}

func (p *peer) answer(n int, line string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.heard = append(p.heard, fmt.Sprintf("%d %s", n, line))
	if strings.HasPrefix(line, "EHLO") {
		return p.ehlo
	}
	return p.say(n, line)
}

// play sends mail to a peer, in one batch and through one connection at a time,
// and waits for a while.
func (p *peer) play(t *testing.T, mail func(s *station), during time.Duration, check func(s *station)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, dataformat.Dict{"SmartHost": dataformat.String("mx.test"), "ChannelsPerHost": dataformat.String("1")})
		defer s.stop()
		go p.serve(s)
		s.hold(func() { mail(s) })
		time.Sleep(during)
		synctest.Wait()
		check(s)
	})
}
