package imap

import (
	"io"
	"runtime"
	"time"

	"gatepost/protocols/internal/listen"
	"gatepost/server/fault"
)

// timeslice divides the processors among commands that work for long without writing. Every few
// milliseconds such a command checks whether the client and the session still exist, and waits for one of
// the server's processor slots. Short commands never wait. A timeslice belongs to the session's goroutine.
type timeslice struct {
	*responder
	left  int       // work until the clock is read again
	began time.Time // when the last pause ended
	held  bool      // the command holds a processor slot
	line  string    // a response that may be sent at any time, see pause

	// A command that tells how far it has come has total messages to look at and has looked at done.
	done, total uint32
	told        time.Time // when it told last, or began
}

// span is how long a command works between two pauses. The clock is read after each stride of work, which
// is counted in searched bytes and takes some hundred microseconds. The minimum costs of a key, a message and
// a file are given in bytes as well.
const (
	span        = 10 * time.Millisecond
	stride      = 64 << 10
	messageCost = 256
	keyCost     = 16
	openCost    = 8 << 10
)

// newProcessors returns the processor slots of a server: how many sessions may do long work at the
// same time. The others wait.
func newProcessors() chan struct{} { return make(chan struct{}, 2*runtime.GOMAXPROCS(0)) }

// timeslice returns the timeslice of a command. The line is empty where nothing may be sent because a
// response is under way.
func (r *responder) timeslice(line string) timeslice {
	now := time.Now()
	return timeslice{responder: r, left: stride, began: now, told: now, line: line}
}

// tellProgress tells the client that the command is under way (RFC 9585), if it has heard nothing for a while.
func (p *timeslice) tellProgress() error {
	if p.total == 0 || time.Since(p.told) < progressEvery {
		return nil
	}
	p.told = time.Now()
	p.out.Raw("* OK [INPROGRESS (").String(p.call.tag).Byte(' ').Number(uint64(p.done)).Byte(' ').Number(uint64(p.total))
	return p.out.Raw(")] Still working").CRLF().Flush()
}

// progressEvery is how often a long command tells its client that it is under way: clients give up a server that is
// silent for half a minute.
const progressEvery = 15 * time.Second

// work counts n bytes of work. An error ends the command.
func (p *timeslice) work(n int) error {
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

// end releases the processor slot.
func (p *timeslice) end() {
	if p.held {
		p.held = false
		<-p.processors
	}
}

// pause releases the slot, checks the client, and waits for a slot again. A client that has shut down its
// sending side may still read, or may be gone. It is sent the line: if it is gone, the system answers with a
// reset, which a later pause sees.
func (p *timeslice) pause() error {
	p.end()
	ctx := p.ctx
	if ctx.Err() != nil {
		return fault.Wrap("imap.pause", fault.Canceled, ctx.Err())
	}
	switch shut, gone := listen.PeerState(p.conn.Conn); {
	case gone:
		p.conn.readErr = io.ErrUnexpectedEOF
		return p.conn.readErr
	case shut:
		if p.line != "" {
			p.out.Raw(p.line).CRLF()
			p.line = ""
		}
		if err := p.out.Flush(); err != nil {
			return err
		}
	}
	if err := p.tellProgress(); err != nil {
		return err
	}
	select {
	case p.processors <- struct{}{}:
		p.held = true
		return nil
	case <-ctx.Done():
		return fault.Wrap("imap.pause", fault.Canceled, ctx.Err())
	}
}

// reader returns a reader that counts the bytes of r as work.
func (p *timeslice) reader(r io.Reader) io.Reader { return &timesliceReader{r, p} }

type timesliceReader struct {
	r io.Reader
	p *timeslice
}

func (r *timesliceReader) Read(b []byte) (int, error) {
	n, err := r.r.Read(b)
	if slow := r.p.work(n); slow != nil && (err == nil || err == io.EOF) {
		err = slow
	}
	return n, err
}
