package http

import (
	"errors"
	"io"
	"net/http"
	"time"
)

// response is the http.ResponseWriter of a part: it gives the client a time limit for each piece,
// and keeps what the log wants to know. A part cannot take the connection over.
type response struct {
	to      http.ResponseWriter
	control *http.ResponseController
	timeout time.Duration
	stream  bool // HTTP/2, where a deadline that passes ends the request even if nothing is written

	status  int   // 0 before the header is out
	size    int64 // of the body
	failure error // of Refuse, for the log
}

func newResponse(to http.ResponseWriter, r *http.Request, timeout time.Duration) *response {
	return &response{to: to, control: http.NewResponseController(to), timeout: timeout, stream: r.ProtoMajor >= 2}
}

// extend gives the client the time for another piece. Deadlines fail only on a connection that is
// closed, which the next write tells.
func (w *response) extend() { _ = w.control.SetWriteDeadline(time.Now().Add(w.timeout)) }

// rest is called after a piece: a part may take longer than a client for the next one.
func (w *response) rest() {
	if w.stream {
		_ = w.control.SetWriteDeadline(time.Time{})
	}
}

func (w *response) Header() http.Header { return w.to.Header() }

func (w *response) WriteHeader(status int) {
	if status >= 200 && w.status == 0 {
		w.status = status
	}
	w.to.WriteHeader(status)
}

func (w *response) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	w.extend()
	defer w.rest()
	n, err := w.to.Write(p)
	w.size += int64(n)
	return n, err
}

// piece is how much of a file goes out within one time limit.
const piece = 256 << 10

// ReadFrom lets files go out without a copy, in pieces.
func (w *response) ReadFrom(src io.Reader) (int64, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	defer w.rest()
	var all int64
	for {
		w.extend()
		n, err := io.CopyN(w.to, src, piece)
		all += n
		w.size += n
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return all, err
		}
	}
}

// FlushError sends what is buffered.
func (w *response) FlushError() error {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	w.extend()
	defer w.rest()
	return w.control.Flush()
}

// Flush is FlushError for callers that do not look; the next write fails, too.
func (w *response) Flush() { _ = w.FlushError() }
