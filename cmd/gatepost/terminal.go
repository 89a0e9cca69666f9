package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/term"
)

// errLeft says that a person has typed Ctrl-C, or Ctrl-D on an empty line.
var errLeft = errors.New("interrupted")

// terminal asks a person at a terminal. While it waits for a line the terminal is in raw
// mode, in which Ctrl-C and Ctrl-D are characters like others; before and after that it is
// as it was found.
type terminal struct {
	fd    int
	lines *term.Terminal
}

func newTerminal(in, out *os.File, prompt string) *terminal {
	both := struct {
		io.Reader
		io.Writer
	}{in, out}
	return &terminal{int(in.Fd()), term.NewTerminal(both, prompt)}
}

// line says something, if there is anything to say, and reads a line. Errors: errLeft.
func (t *terminal) line(ctx context.Context, say string) (string, error) {
	return t.read(ctx, func() (string, error) {
		if say != "" {
			if _, err := io.WriteString(t.lines, say); err != nil {
				return "", err
			}
		}
		return t.lines.ReadLine()
	})
}

// password reads a line that is not shown.
func (t *terminal) password(ctx context.Context, prompt string) (string, error) {
	return t.read(ctx, func() (string, error) { return t.lines.ReadPassword(prompt) })
}

// read calls a reading function in raw mode.
func (t *terminal) read(ctx context.Context, read func() (string, error)) (string, error) {
	before, err := term.MakeRaw(t.fd)
	if err != nil {
		return "", fmt.Errorf("set up the terminal: %w", err)
	}
	if width, height, err := term.GetSize(t.fd); err == nil && width > 0 {
		if err := t.lines.SetSize(width, height); err != nil {
			return "", errors.Join(err, term.Restore(t.fd, before))
		}
	}
	line, err := interruptible(ctx, read)
	if errors.Is(err, io.EOF) {
		err = errLeft
	}
	if back := term.Restore(t.fd, before); back != nil {
		err = errors.Join(err, fmt.Errorf("set back the terminal: %w", back))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr) // the next prompt of the shell stands on a line of its own
	}
	return line, err
}

// interruptible calls a reading function. When ctx ends first it returns errLeft, and leaves
// the reader behind: the process is about to end.
func interruptible(ctx context.Context, read func() (string, error)) (string, error) {
	type result struct {
		line string
		err  error
	}
	done := make(chan result, 1)
	go func() {
		line, err := read()
		done <- result{line, err}
	}()
	select {
	case r := <-done:
		return r.line, r.err
	case <-ctx.Done():
		return "", errLeft
	}
}
