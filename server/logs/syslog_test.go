package logs

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// kept is a sink.
type kept struct {
	mu  sync.Mutex
	all []string
}

func (l *kept) Line(line []byte, _ bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, string(line))
}

func (l *kept) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.all, "")
}

func TestSyslog(t *testing.T) {
	for _, network := range []string{"udp", "unixgram"} {
		addr := "127.0.0.1:0"
		if network == "unixgram" {
			addr = filepath.Join(t.TempDir(), "log")
		}
		server, err := net.ListenPacket(network, addr)
		if err != nil {
			t.Fatal(err)
		}
		defer server.Close()
		o := &SyslogOptions{Server: server.LocalAddr().String(), Level: 3, Facility: 2}
		if network == "udp" {
			o.Source = "127.0.0.9"
		}
		if err := o.Validate(); err != nil {
			t.Fatal(err)
		}
		var files kept
		s := NewSyslog(&files, func() *SyslogOptions { return o })
		log := New(s, func() *Levels { return &Levels{Default: 5, Precision: 3, Dated: network == "udp"} })
		Session(log, "SMTPI", 7, "[192.0.2.1]").Log(t.Context(), LevelMajor, "received", AttrQueueID, "12", "size", 5)
		log.Log(t.Context(), LevelLowLevel, "not this")
		log.Log(t.Context(), LevelFailure, "a failure\nin two lines "+strings.Repeat("x", 20_000))
		s.Close()
		for i, want := range []string{
			`^<21>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}(Z|[+-]\d\d:\d\d) \S+ gatepost \d+ SMTPI - SMTPI-000007\(\[192\.0\.2\.1\]\) \[12\] received size=5$`,
			`^<19>1 \S+ \S+ gatepost \d+ SYSTEM - SYSTEM a failure\\x0ain two lines x+$`,
		} {
			b := make([]byte, 64<<10)
			n, from, err := server.ReadFrom(b)
			if err != nil {
				t.Fatal(err)
			}
			if got := string(b[:n]); !regexp.MustCompile(want).MatchString(got) || n > syslogLongest+200 {
				t.Errorf("%s, message %d: %d bytes, %.300q", network, i, n, got)
			}
			if network == "udp" && !strings.HasPrefix(from.String(), "127.0.0.9:") {
				t.Errorf("from %s", from)
			}
		}
		if got := files.String(); strings.Count(got, "\n") != 3 {
			t.Errorf("the files have %.300q", got)
		}
	}
}

// Nothing waits for a log server that is not there, and the files say so.
func TestSyslogWithoutAServer(t *testing.T) {
	var on atomic.Bool
	on.Store(true)
	o := &SyslogOptions{Server: filepath.Join(t.TempDir(), "gone"), Level: 5}
	var files kept
	s := NewSyslog(&files, func() *SyslogOptions {
		if on.Load() {
			return o
		}
		return nil
	})
	log := New(s, func() *Levels { return &Levels{Default: 5} })
	for i := range 3 * syslogWaiting {
		log.Info(fmt.Sprint(i))
	}
	on.Store(false)
	s.Close()
	log.Info("behind the end")
	got := files.String()
	if n := strings.Count(got, "\n"); n != 3*syslogWaiting+2 || strings.Count(got, "the log server cannot be reached") != 1 {
		t.Errorf("%d lines", n)
	}
	on.Store(true)
	log.Info("nobody takes it")
}

func TestSyslogOptions(t *testing.T) {
	for server, ok := range map[string]bool{"192.0.2.1": true, "192.0.2.1:1514": true, "[2001:db8::1]:514": true, "2001:db8::1": true, "/dev/log": true, "log.example.com": false, "192.0.2.1:0": false, "x": false} {
		o := &SyslogOptions{Server: server}
		if err := o.Validate(); (err == nil) != ok {
			t.Errorf("%s: %v", server, err)
		}
	}
	if err := (&SyslogOptions{Server: "192.0.2.1", Source: "x"}).Validate(); err == nil {
		t.Error("any source will do")
	}
}

func BenchmarkLineWithoutSyslog(b *testing.B) {
	s := NewSyslog(discard{}, func() *SyslogOptions { return nil })
	defer s.Close()
	log := New(s, func() *Levels { return &Levels{Default: 5} })
	for b.Loop() {
		log.Log(b.Context(), slog.LevelInfo, "x")
	}
}

type discard struct{}

func (discard) Line(line []byte, _ bool) { _, _ = io.Discard.Write(line) }
