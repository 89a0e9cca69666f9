package relay

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gatepost/queue/envelope"
)

// fileOf returns the queue file of the message with a text.
func (s *station) fileOf(text string) (found string) {
	s.t.Helper()
	err := filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if bytes.HasSuffix(data, []byte(text)) {
			found = path
		}
		return err
	})
	if err != nil || found == "" {
		s.t.Fatalf("file of %q: %q, %v", text, found, err)
	}
	return found
}

// A disk that fails is not the next server's fault: the text is not ended, so that it takes
// no half of it, and the other messages go on.
func TestMessageFileThatCannotBeRead(t *testing.T) {
	const binary = "250-mx.test\r\n250-CHUNKING\r\n250 BINARYMIME\r\n"
	const text = "Subject: lost\r\n\r\nfirst line\r\nsecond line\r\n"
	spoil := map[string]func(path string) error{
		"gone":       os.Remove,
		"short":      func(path string) error { return os.Truncate(path, fileSize(path)-5) },
		"unreadable": func(path string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o700)) },
	}
	for _, ehlo := range []string{pipelining, stepwise, binary} {
		for how, spoil := range spoil {
			var s *station
			p := &peer{ehlo: ehlo}
			p.say = func(n int, line string) string {
				if n == 1 && strings.HasPrefix(line, "RCPT TO:<a@") {
					if err := spoil(s.fileOf(text)); err != nil {
						t.Error(err)
					}
				}
				if strings.HasPrefix(line, "BDAT") {
					return ""
				}
				return fine(line)
			}
			p.play(t, func(now *station) {
				s = now
				s.send(text, func(e *envelope.Envelope) {
					if ehlo == binary {
						e.Body = envelope.BodyBinaryMIME
					}
				}, "a@far.org")
				s.send(mailText, nil, "b@far.org")
			}, time.Second, func(s *station) {
				s.want("SMTP(far.org) delayed: the message file cannot be read a@far.org 4.3.0",
					"SMTP(far.org) relayed: relayed via mx.test b@far.org 2.0.0")
				if slices.Contains(p.heard, "1 .") || len(s.dialed) != 2 {
					t.Errorf("%s: %q", how, p.heard)
				}
			})
		}
	}
}

// Whether a server without SMTPUTF8 can take the message is in its header.
func TestHeaderThatCannotBeReadIsNoReasonToFail(t *testing.T) {
	const text = "Subject: lost\r\n\r\n"
	p := &peer{ehlo: pipelining}
	var s *station
	p.say = func(_ int, line string) string {
		if strings.HasPrefix(line, "MAIL") { // of the first message
			if err := os.Remove(s.fileOf(text)); err != nil {
				t.Error(err)
			}
		}
		return fine(line)
	}
	p.play(t, func(now *station) {
		s = now
		s.send(mailText, nil, "b@far.org")
		s.send(text, func(e *envelope.Envelope) { e.SMTPUTF8 = true }, "a@far.org")
	}, time.Second, func(s *station) {
		s.want("SMTP(far.org) relayed: relayed via mx.test b@far.org 2.0.0",
			"SMTP(far.org) delayed: the message file cannot be read a@far.org 4.3.0")
	})
}

func fileSize(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}
