package listen

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
)

// handshake is the connection below a TLS handshake. It keeps what explains a
// failure.
type handshake struct {
	net.Conn
	done     bool
	began    bool    // the client has sent something
	answered bool    // and has got our certificate, or an alert
	last     [7]byte // the last bytes that the client has sent
}

func (h *handshake) Read(p []byte) (int, error) {
	n, err := h.Conn.Read(p)
	if n > 0 && !h.done {
		h.began = true
		got := p[max(0, n-len(h.last)):n]
		copy(h.last[:], h.last[len(got):])
		copy(h.last[len(h.last)-len(got):], got)
	}
	return n, err
}

func (h *handshake) Write(p []byte) (int, error) {
	if !h.done {
		h.answered = true
	}
	return h.Conn.Write(p)
}

// SyscallConn is for those who ask the system about the connection below TLS.
func (h *handshake) SyscallConn() (syscall.RawConn, error) {
	if c, ok := h.Conn.(syscall.Conn); ok {
		return c.SyscallConn()
	}
	return nil, errors.ErrUnsupported
}

// handshakeError is a failed handshake in the words of an administrator.
type handshakeError struct {
	text string
	err  error
}

func (e *handshakeError) Error() string { return e.text }
func (e *handshakeError) Unwrap() error { return e.err }

// errNoHandshake is the end of a connection on which the client said nothing.
var errNoHandshake = errors.New("the client closed the connection before the handshake")

// explain says why a handshake failed.
func (h *handshake) explain(err error) error {
	alert, told := h.alert(err)
	var header tls.RecordHeaderError
	text := ""
	switch {
	case told && strings.Contains(alert, "certificate"):
		text = "the client does not accept the server's certificate: " + alert
	case told:
		text = "the client ended the handshake: " + alert
	case errors.Is(err, os.ErrDeadlineExceeded):
		text = "the client did not complete the handshake in time"
	case errors.As(err, &header):
		text = "the client does not speak TLS"
	case !closed(err):
		return &handshakeError{strings.TrimPrefix(err.Error(), "tls: "), err}
	case !h.began:
		return errNoHandshake
	case h.answered:
		text = "the client closed the connection when it had seen the server's certificate: most likely it does not accept it"
	default:
		text = "the client closed the connection during the handshake"
	}
	return &handshakeError{text, err}
}

// alert returns the alert by which the client ended the handshake (RFC 8446 section
// 6.2). Some clients send it in the clear where TLS 1.3 wants it encrypted, and
// crypto/tls then finds a record of which it can make nothing: content type 21, two
// octets, level and description.
func (h *handshake) alert(err error) (string, bool) {
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "remote error" {
		return strings.TrimPrefix(op.Err.Error(), "tls: "), true
	}
	if r := h.last; r[0] == 21 && r[1] == 3 && r[3] == 0 && r[4] == 2 && (r[5] == 1 || r[5] == 2) {
		return strings.TrimPrefix(tls.AlertError(r[6]).Error(), "tls: "), true
	}
	return "", false
}

// closed tells whether the client has closed the connection.
func closed(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}
