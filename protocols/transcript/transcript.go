// Package transcript plays a written dialogue against a server and fails the
// test at the line where the server says something else. It serves every wire
// that talks in lines, over net.Pipe in a synctest bubble as well as over TCP.
//
// What else the tests of all wires need of a server's surroundings is here too: Pipes, a
// listener without a network; ServerTLS, a certificate; Log, where sessions write and
// the test reads.
//
// # Format
//
// A transcript is a txtar archive. Its comment, the text before the first
// "-- name --" line, is the dialogue; its files are longer texts to send or to
// expect. A line of the dialogue is
//
//	# comment               also empty lines
//	C: EHLO client.example  send the line with CRLF
//	C- abc\r\n\x00          send the bytes; escapes \r \n \t \\ \xNN; no line end is added
//	C* 5000 ab\r\n          send the bytes 5000 times
//	C< name                 send the archive's file with CRLF line ends
//	C! STARTTLS             turn the connection to TLS now, as client
//	C! CLOSE                close the connection
//	S: 250 ok               expect this line; it has to end in CRLF
//	S- abc\x00              expect these bytes
//	S*                      skip any lines up to the one that the next S: expects
//	S< name                 expect the lines of the archive's file
//	S! CLOSED               expect the end of the connection, in TLS with a close alert
//	! WAIT 10m              let time pass
//
// With a number after the letter, as in C1: and S2!, a dialogue has several
// connections. One is opened when it is first named.
//
// # Patterns
//
// In S: lines and the files of S<, <*> stands for any text, <name=regexp> for a
// text that the regular expression matches and that gets the name, <$name>
// for a text that a name was given to before. The last also works in C:, C< and in
// the text of C- and C*. A backslash before < makes it an ordinary letter.
package transcript

import (
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// Dial opens a connection to the server under test.
type Dial func() (net.Conn, error)

// Conn is a Dial that returns one connection that exists already.
func Conn(c net.Conn) Dial {
	return func() (net.Conn, error) { return c, nil }
}

// An Option changes how a transcript is played.
type Option func(*player)

// Set gives a name a text before the dialogue begins.
func Set(name, text string) Option { return func(p *player) { p.vars[name] = text } }

// TLS is the client's configuration for C! STARTTLS. By default no certificate
// is verified.
func TLS(c *tls.Config) Option { return func(p *player) { p.tls = c } }

// Timeout is how long the player waits for each expected line; 10 seconds by default.
func Timeout(d time.Duration) Option { return func(p *player) { p.timeout = d } }

// Play plays the transcript in the file at path. It fails t at the first line
// that does not fit, and closes the connections that it opened.
func Play(t testing.TB, dial Dial, path string, options ...Option) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := play(path, text, dial, options...); err != nil {
		text := err.Error()
		failure.Store(&text)
		t.Fatal(err)
	}
}

// failure is why a transcript of this process did not fit, for the one who is told that its test does not end.
var failure atomic.Pointer[string]

// play is Play without a test.
func play(path string, text []byte, dial Dial, options ...Option) error {
	d, err := parse(path, text)
	if err != nil {
		return err
	}
	p := &player{
		dialogue: d,
		dial:     dial,
		vars:     map[string]string{},
		tls:      &tls.Config{InsecureSkipVerify: true},
		timeout:  10 * time.Second,
		conns:    map[int]*conn{},
	}
	for _, o := range options {
		o(p)
	}
	defer p.close()
	for _, s := range d.steps {
		if err := p.play(s); err != nil {
			return fmt.Errorf("%s:%d: %s\n%w", path, s.line, s.source, err)
		}
	}
	return nil
}

// PlayAll plays every file that the pattern matches, each as a subtest with
// its own server: start is called for each, and returns how to reach it. A pattern
// that matches nothing fails the test.
func PlayAll(t *testing.T, pattern string, start func(t *testing.T) Dial, options ...Option) {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	if len(paths) == 0 {
		t.Fatalf("transcript: no file matches %s", pattern)
	}
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
		t.Run(name, func(t *testing.T) { Play(t, start(t), path, options...) })
	}
}
