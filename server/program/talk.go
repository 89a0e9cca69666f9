package program

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"sync"
	"time"

	"gatepost/server/fault"
)

// Dialogue is a running program that is spoken to by lines.
type Dialogue struct {
	program *Program
	cmd     *exec.Cmd
	in      io.WriteCloser
	limit   interface{ SetWriteDeadline(time.Time) error } // of in
	ended   <-chan struct{}                                // the process is a zombie, or gone
	done    chan struct{}                                  // everything has ended
	reason  string                                         // set before done is closed

	mu   sync.Mutex
	why  string        // why the server ends it
	deaf bool          // it has closed its input: it ends by itself, perhaps
	end  chan struct{} // closed when the server ends it
	once sync.Once
}

// Listener hears what a program says. Its functions are called one after the other, each from one goroutine of its
// own kind; a program that says more than they take waits.
type Listener struct {
	// Line gets each line of the standard output, without its end.
	Line func(line string)
	// Error gets each line of the standard error; long ones are cut.
	Error func(line string)
	// MaxLine bounds a line, in bytes with its end. A program with a longer one is ended.
	MaxLine int
}

// writeLimit is how long a program may take to read what it is sent.
const writeLimit = 30 * time.Second

// Talk starts the program and returns while it runs. Wait, or Done, tell of its end.
func (p *Program) Talk(l Listener) (*Dialogue, error) {
	cmd, err := p.command()
	if err != nil {
		return nil, err
	}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, p.broken(err)
	}
	file, ok := stdin.(interface{ SetWriteDeadline(time.Time) error })
	if !ok {
		return nil, p.broken(errors.New("a pipe has no deadline"))
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, p.broken(err)
	}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return nil, p.broken(err)
	}
	if err := p.start(cmd); err != nil {
		stdin.Close()
		stdout.Close()
		stderr.Close()
		return nil, err
	}
	d := &Dialogue{program: p, cmd: cmd, in: stdin, limit: file, done: make(chan struct{}), end: make(chan struct{}), ended: ended(cmd.Process.Pid)}
	var readers sync.WaitGroup
	readers.Go(func() { d.readOutput(stdout, l) })
	readers.Go(func() { readErrors(stderr, l.Error) })
	go d.run(&readers, stdout, stderr)
	return d, nil
}

// run ends the process when it is told to, and collects what it was.
func (d *Dialogue) run(readers *sync.WaitGroup, stdout, stderr io.Closer) {
	defer close(d.done)
	select {
	case <-d.ended:
	case <-d.end:
		d.waitIfDeaf()
	}
	byItself := isClosed(d.ended)
	finish(d.cmd.Process.Pid, d.ended, killAfter)
	read := make(chan struct{})
	go func() {
		defer close(read)
		readers.Wait()
	}()
	timer := time.NewTimer(abandonAfter)
	defer timer.Stop()
	select {
	case <-read:
	case <-timer.C: // a process outside of the group holds them open
		stdout.Close()
		stderr.Close()
		<-read
	}
	d.in.Close()
	_ = d.cmd.Wait() // the state tells
	d.mu.Lock()
	defer d.mu.Unlock()
	if byItself {
		d.reason = d.program.explainEnd(d.cmd.ProcessState, false)
	}
	if d.reason == "" {
		d.reason = d.why
	}
	if d.reason == "" {
		d.reason = "the program has ended"
	}
}

// waitIfDeaf lets a program end that has closed its input: how it ends tells more.
func (d *Dialogue) waitIfDeaf() {
	d.mu.Lock()
	deaf := d.deaf
	d.mu.Unlock()
	if !deaf {
		return
	}
	timer := time.NewTimer(time.Second)
	defer timer.Stop()
	select {
	case <-d.ended:
	case <-timer.C:
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// Write writes one line, without its end, in one write. An error says that the program does not take
// it; the program is then ended.
func (d *Dialogue) Write(line string) error {
	if err := d.limit.SetWriteDeadline(time.Now().Add(writeLimit)); err != nil {
		return fault.Wrap("program.Write", fault.Unavailable, err)
	}
	if _, err := io.WriteString(d.in, line+"\n"); err != nil {
		d.mu.Lock()
		d.deaf = true
		d.mu.Unlock()
		d.Kill("the program does not read what it is sent: " + cause(err))
		return fault.Wrap("program.Write", fault.Unavailable, err)
	}
	return nil
}

// CloseInput tells the program by the end of its input that there is nothing more to do.
func (d *Dialogue) CloseInput() { _ = d.in.Close() } // it may have ended

// Kill ends the program and returns at once. Reason says why, for Reason.
func (d *Dialogue) Kill(reason string) {
	d.once.Do(func() {
		d.mu.Lock()
		d.why = reason
		d.mu.Unlock()
		close(d.end)
	})
}

// Done is closed when the program has ended and the Listener has heard all.
func (d *Dialogue) Done() <-chan struct{} { return d.done }

// Reason says why the program has ended. It is for after Done.
func (d *Dialogue) Reason() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.reason
}

// PID is the number of the process.
func (d *Dialogue) PID() int { return d.cmd.Process.Pid }

// readOutput reads lines until the end, or until one is too long.
func (d *Dialogue) readOutput(src io.Reader, l Listener) {
	r := bufio.NewReaderSize(src, max(l.MaxLine, 16))
	for {
		line, err := r.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			d.Kill(fmt.Sprintf("the program has written a line of more than %d bytes", l.MaxLine))
			_, _ = io.Copy(io.Discard, src) // so that it does not wait for us; it ends
			return
		}
		if err == nil {
			l.Line(trimEnd(line))
		}
		if err != nil {
			if len(line) > 0 {
				l.Line(trimEnd(line))
			}
			return
		}
	}
}

// maxErrorLine bounds what is told of a line of the standard error.
const maxErrorLine = 1000

// readErrors reads lines until the end.
func readErrors(src io.Reader, tell func(string)) {
	r := bufio.NewReaderSize(src, maxErrorLine)
	for {
		line, err := r.ReadSlice('\n')
		if len(line) > 0 {
			tell(trimEnd(line))
		}
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = r.ReadSlice('\n')
		}
		if err != nil {
			return
		}
	}
}

func trimEnd(line []byte) string {
	n := len(line)
	if n > 0 && line[n-1] == '\n' {
		n--
	}
	if n > 0 && line[n-1] == '\r' {
		n--
	}
	return string(line[:n])
}
