package http

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"time"

	"gatepost/protocols/internal/listen"
	"gatepost/server/fault"
)

const (
	minRate   = 100 // bytes in a second, of a body that takes long
	longBody  = 6   // times BodyTimeout after which minRate holds
	dropLimit = 5 * time.Second
)

// body is the body of a request: it gives the client its time and turns what can go wrong into
// failures that Refuse can tell.
type body struct {
	from     io.ReadCloser
	control  *http.ResponseController
	stopping context.Context // done when the server stops
	timeout  time.Duration
	began    time.Time
	got      int64
	err      error // io.EOF after the end
}

// newBody returns the body of a request, or nil if it has none.
func (k *session) newBody(w *response, r *http.Request, timeout time.Duration) *body {
	if r.Body == http.NoBody || r.ContentLength == 0 {
		return nil
	}
	b := &body{from: r.Body, control: w.control, stopping: k.ctx, timeout: timeout, began: time.Now()}
	b.wait()
	return b
}

// wait gives the client the time for the next piece. Deadlines fail only on a connection that is
// closed, which the next read tells.
func (b *body) wait() {
	end := time.Now().Add(b.timeout)
	if slow := b.began.Add(longBody*b.timeout + time.Duration(b.got/minRate)*time.Second); slow.Before(end) {
		end = slow
	}
	_ = b.control.SetReadDeadline(end)
}

func (b *body) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	b.wait()
	n, err := b.from.Read(p)
	b.got += int64(n)
	switch {
	case err == io.EOF:
		b.err = err
		// Package net/http reads on for the next request; that is not to end this one.
		_ = b.control.SetReadDeadline(time.Time{})
	case err != nil && b.stopping.Err() != nil:
		reason, _ := listen.Ended(b.stopping) // empty when the server stops
		b.err = &fault.Error{Op: "http.Body", Kind: fault.Canceled, Text: reason, Err: err}
	case err != nil:
		b.err = bodyFault(err)
	}
	return n, b.err
}

func (b *body) Close() error { return b.from.Close() }

// leave bounds the time in which net/http drops what the part has not read. A nil body has nothing
// to drop.
func (b *body) leave() {
	if b != nil && b.err != io.EOF {
		_ = b.control.SetReadDeadline(time.Now().Add(dropLimit))
	}
}

func bodyFault(err error) error {
	const op = "http.Body"
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return &fault.Error{Op: op, Kind: fault.TooLarge, Err: err}
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &statusError{http.StatusRequestTimeout, "The body of the request did not come in time."}
	case errors.Is(err, http.ErrBodyReadAfterClose):
		return &fault.Error{Op: op, Kind: fault.Internal, Err: err}
	}
	return &fault.Error{Op: op, Kind: fault.Invalid, Text: "The body of the request is cut or malformed.", Err: err}
}
