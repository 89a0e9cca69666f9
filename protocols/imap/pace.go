package imap

import (
	"io"
	"runtime"
	"time"

	"gatepost/protocols/internal/listen"
	"gatepost/server/fault"
)

// pace keeps a command that works for long without writing from being a burden: every few
// milliseconds it notices that the client is gone or the session has to end, and waits until it is
// its turn. Short commands never wait. It belongs to the session's goroutine.
type pace struct {
	s     *session
	left  int       // work until the next look at the clock
	began time.Time // when the last pause ended
	turn  bool      // it holds one of the server's turns
	line  string    // what may be sent at any time, see pause
}

// span is how long a command works between two pauses. The clock is looked at after each stride of
// work, in bytes that are searched: some hundred microseconds. What a key, a message and a file cost at
// least is put into bytes too.
const (
	span        = 10 * time.Millisecond
	stride      = 64 << 10
	messageCost = 256
	keyCost     = 16
	openCost    = 8 << 10
)

// newTurns makes the turns of a server: so many sessions may do long work at the
// same time. Others wait in line, a span of each that is before them.
func newTurns() chan struct{} { return make(chan struct{}, 2*runtime.GOMAXPROCS(0)) }

// newPace returns the pace of a command. Within a response nothing else may be sent, then
// line is empty.
func newPace(s *session, line string) pace {
	return pace{s: s, left: stride, began: time.Now(), line: line}
}

// work counts n bytes of work. An error ends the command.
func (p *pace) work(n int) error {
	if p.left -= n; p.left > 0 {
		return nil
	}
	p.left = stride
	if time.Since(p.began) < span {
		return nil
	}
	err := p.pause()
	p.began = time.Now()
	return err
}

// end gives the turn back.
func (p *pace) end() {
	if p.turn {
		p.turn = false
		<-p.s.srv.turns
	}
}

// pause has no turn while it writes. A client that has shut down its sending side may still
// read, or be gone altogether; what it is sent then comes back as an error, which a later
// pause sees.
func (p *pace) pause() error {
	p.end()
	ctx := p.s.ctx
	if ctx.Err() != nil {
		return fault.Wrap("imap.pause", fault.Canceled, ctx.Err())
	}
	switch shut, gone := listen.PeerState(p.s.link.Conn); {
	case gone:
		p.s.link.failed = io.ErrUnexpectedEOF
		return p.s.link.failed
	case shut:
		if p.line != "" {
			p.s.out.Raw(p.line).CRLF()
			p.line = ""
		}
		if err := p.s.out.Flush(); err != nil {
			return err
		}
	}
	select {
	case p.s.srv.turns <- struct{}{}:
		p.turn = true
		return nil
	case <-ctx.Done():
		return fault.Wrap("imap.pause", fault.Canceled, ctx.Err())
	}
}

// reader returns r with its bytes counted as work.
func (p *pace) reader(r io.Reader) io.Reader { return &pacedReader{r, p} }

type pacedReader struct {
	r io.Reader
	p *pace
}

func (r *pacedReader) Read(b []byte) (int, error) {
	n, err := r.r.Read(b)
	if slow := r.p.work(n); slow != nil && (err == nil || err == io.EOF) {
		err = slow
	}
	return n, err
}
