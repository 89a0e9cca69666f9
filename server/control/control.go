// Package control is the client of a running server's control socket.
//
// The owner of a base directory administers the server through control.sock in
// it, without a password: the socket's mode is 0600. What is spoken there is
// the CLI of port 106 in its INLINE mode (protocols/pwd), with the rights of
// postmaster, and the GATEPOST verbs that only exist here.
package control

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"gatepost/server/dataformat"
)

// Socket is the name of the socket in the base directory.
const Socket = "control.sock"

const staging = ".new"

// MaxPath is how long the path of a base directory can be, in bytes: the name of
// a socket in it ends in a zero byte and fits into sun_path.
const MaxPath = len(syscall.RawSockaddrUnix{}.Path) - 1 - len("/"+Socket+staging)

// ErrNotRunning is Dial's error when no server runs on the base directory.
var ErrNotRunning = errors.New("no server runs on this base directory")

// Listen opens the socket for the owner of the base directory alone. The name
// appears only when its mode is right: connecting needs write permission on it.
func Listen(path string) (net.Listener, error) {
	staged := path + staging
	if err := os.Remove(staged); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: staged, Net: "unix"})
	if err != nil {
		return nil, err
	}
	ln.SetUnlinkOnClose(false)
	if err := errors.Join(os.Chmod(staged, 0o600), os.Rename(staged, path)); err != nil {
		return nil, errors.Join(err, ln.Close())
	}
	return ln, nil
}

// Client is a connection to a running server.
type Client struct {
	conn    net.Conn
	r       *bufio.Reader
	closing func() error
}

// Answer is what a command came back with.
type Answer struct {
	Code int    // 200, 201 or an error code
	Text string // the text after the code
	// Data is the object of a 201 answer.
	Data dataformat.Value
}

// OK says that the command was carried out.
func (a Answer) OK() bool { return a.Code < 400 }

// Dial connects to the server that runs on the base directory.
func Dial(base string) (*Client, error) {
	conn, err := net.DialTimeout("unix", filepath.Join(base, Socket), 5*time.Second)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return nil, fmt.Errorf("%w: %s", ErrNotRunning, base)
	}
	if err != nil {
		return nil, fmt.Errorf("connect to the server: %w", err)
	}
	c, err := NewClient(conn)
	if err != nil {
		conn.Close()
		return nil, err
	}
	return c, nil
}

// NewClient starts a session on a connection, which stays the caller's when
// there is an error.
func NewClient(conn net.Conn) (*Client, error) {
	c := &Client{conn: conn, r: bufio.NewReaderSize(conn, 64<<10)}
	if _, err := c.read(); err != nil { // the greeting
		return nil, err
	}
	if _, err := c.Do("INLINE"); err != nil {
		return nil, err
	}
	return c, nil
}

// OnClose names what else is closed after the connection.
func (c *Client) OnClose(fn func() error) { c.closing = fn }

// Do runs one command. Line ends in it, which a data object may hold, become
// spaces: a command is one line.
func (c *Client) Do(command string) (Answer, error) {
	line := strings.NewReplacer("\r\n", " ", "\n", " ", "\r", " ").Replace(strings.TrimSpace(command))
	if _, err := c.conn.Write([]byte(line + "\r\n")); err != nil {
		return Answer{}, fmt.Errorf("send the command: %w", err)
	}
	return c.read()
}

func (c *Client) read() (Answer, error) {
	line, err := c.r.ReadString('\n')
	if err != nil {
		return Answer{}, fmt.Errorf("read the answer: %w", err)
	}
	line = strings.TrimRight(line, "\r\n")
	var a Answer
	code, text, _ := strings.Cut(line, " ")
	if _, err := fmt.Sscanf(code, "%d", &a.Code); err != nil {
		return Answer{}, fmt.Errorf("the server answered %q", line)
	}
	a.Text = text
	if a.Code == 201 {
		if a.Data, err = dataformat.Parse([]byte(text)); err != nil {
			return Answer{}, fmt.Errorf("the server's answer does not parse: %w", err)
		}
	}
	return a, nil
}

// Interrupt ends a command that waits for its answer, and with it the connection. Close is
// to be called all the same.
func (c *Client) Interrupt() {
	// An error means that the connection has ended already.
	_ = c.conn.SetDeadline(time.Unix(1, 0))
}

// Close ends the connection.
func (c *Client) Close() error {
	err := c.conn.Close()
	if c.closing != nil {
		err = errors.Join(err, c.closing())
	}
	return err
}
