package program

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
)

// Result is what a program came to.
type Result struct {
	// Exit is the exit code, or -1 after a signal.
	Exit int
	// Signal is the signal that has ended it, or 0.
	Signal syscall.Signal
	// Stopped says that the context had ended and the server has ended the program.
	Stopped bool
	// Output and Errors are the beginnings of what it wrote to its standard output and error.
	Output, Errors string
	// Reason says in words how it has failed, and what helps if that is known; empty if it did not.
	Reason string
}

// Run runs the program with an input and waits for its end. It keeps maxOutput bytes each of its output
// and errors. When ctx ends, the program is stopped. An error says that the program was not started.
func (p *Program) Run(ctx context.Context, stdin io.Reader, maxOutput int) (*Result, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	cmd, err := p.command()
	if err != nil {
		return nil, err
	}
	output, errs := &head{max: maxOutput}, &head{max: maxOutput}
	if stdin != nil {
		cmd.Stdin = &input{Reader: stdin, ready: make(chan struct{})}
	}
	cmd.Stdout, cmd.Stderr = output, errs
	if err := p.start(cmd); err != nil {
		return nil, err
	}
	done := ended(cmd.Process.Pid)
	res := new(Result)
	select {
	case <-done:
	case <-ctx.Done():
		select {
		case <-done: // it was faster
		default:
			res.Stopped = true
		}
	}
	finish(cmd.Process.Pid, done, killAfter)
	err = cmd.Wait()
	state := cmd.ProcessState
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) && !errors.Is(err, exec.ErrWaitDelay) {
		return nil, p.broken(err) // the input could not be read
	}
	res.Output, res.Errors = output.String(), errs.String()
	res.Exit = state.ExitCode()
	if ws, ok := state.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		res.Signal = ws.Signal()
	}
	res.Reason = p.explainEnd(state, res.Stopped)
	return res, nil
}

// input is a reader that gives nothing before the program has its limits: a program that acts upon its input
// acts under them.
type input struct {
	io.Reader
	ready chan struct{} // is closed once the limits are set
}

func (r *input) Read(p []byte) (int, error) {
	<-r.ready
	return r.Reader.Read(p)
}

// head keeps the beginning of what is written to it.
type head struct {
	max int

	mu  sync.Mutex
	buf []byte
}

func (h *head) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if room := h.max - len(h.buf); room > 0 {
		h.buf = append(h.buf, p[:min(room, len(p))]...)
	}
	return len(p), nil
}

func (h *head) String() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return string(h.buf)
}

// explainEnd says how a program has failed, or "".
func (p *Program) explainEnd(state *os.ProcessState, stopped bool) string {
	ws, ok := state.Sys().(syscall.WaitStatus)
	switch {
	case stopped:
		return "the program was stopped"
	case ok && ws.Signaled():
		return explainSignal(ws.Signal())
	case state.ExitCode() != 0:
		return "the program ended with exit code " + itoa(state.ExitCode())
	}
	return ""
}
