package pwd

import (
	"io"
	"strings"
	"sync"
	"testing"

	"gatepost/protocols/transcript"
	"time"
)

// begin sends the beginning of a line and returns when the session has read it.
func (c *client) begin(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		c.t.Fatal(err)
	}
}

const answerBusy = "501 too many long commands at a time, try again later"

func TestLongLinesShareABudget(t *testing.T) {
	s := newSite(t, false)
	half := strings.Repeat("x", 1<<20)
	first, second := s.patient(t, "postmaster", "secret"), s.login(t, "postmaster", "secret")
	first.begin("ECHO " + half)
	second.begin("ECHO " + half)
	// Others take what is left but for a megabyte: one line can grow when the
	// other one is given up, not both.
	others := s.pwd.lines.limit - s.pwd.lines.used.Load() - 1<<20
	if !s.pwd.lines.take(others) {
		t.Fatal("the budget is used up")
	}
	second.expect(half, answerBusy)
	// Short lines need no budget, and who waits holds nothing back.
	second.expect("ECHO "+strings.Repeat("y", 1000), "201 "+strings.Repeat("y", 1000))
	first.expect(half, "201 "+half+half)
	second.expect("ECHO "+half+half, "201 "+half+half)
	first.expect("NOOP", "200 OK")
	second.expect("NOOP", "200 OK")
	s.pwd.lines.give(others)
	if used := s.pwd.lines.used.Load(); used != 0 {
		t.Errorf("%d bytes are not given back", used)
	}
}

func TestManyLongLinesAtOnceEndAndGiveBack(t *testing.T) {
	s := newSite(t, false)
	s.pwd.lines.limit = 2 << 20
	line := "ECHO " + strings.Repeat("x", 200<<10)
	var all sync.WaitGroup
	for range 10 {
		c := s.login(t, "postmaster", "secret")
		all.Go(func() {
			for range 5 {
				if got := c.say(line); got != answerBusy && got != "201 "+line[5:] {
					t.Errorf("%.60q", got)
				}
			}
			c.expect("NOOP", "200 OK")
		})
	}
	all.Wait()
	c := s.login(t, "postmaster", "secret")
	c.expect(line, "201 "+line[5:])
	c.expect("NOOP", "200 OK")
	if used := s.pwd.lines.used.Load(); used != 0 {
		t.Errorf("%d bytes are not given back", used)
	}
}

// A line of 10 MB can hold five million values, which take thirty times as much.
func TestValuesCountInTheBudget(t *testing.T) {
	s := newSite(t, false)
	c := s.login(t, "postmaster", "secret")
	c.expect("ECHO ("+strings.Repeat("a,", 2<<20)+"a)", "500 line is too long")
	c.expect("SETDOMAINALIASES nowhere.com ("+strings.Repeat("a.example.com,", 100_000)+"a.b)", "512 unknown secondary domain name")
	c.expect("NOOP", "200 OK")
	if used := s.pwd.lines.used.Load(); used != 0 {
		t.Errorf("%d bytes are not given back", used)
	}
}

func TestLongLineHasToEndInTime(t *testing.T) {
	transcript.Bubble(t, func(t *testing.T) {
		s := newSite(t, false)
		c := s.patient(t, "postmaster", "secret")
		c.begin("ECHO " + strings.Repeat("x", 1<<20))
		start := time.Now()
		if got := c.line(); got != "501 connection timed out\r\n" || time.Since(start) != lineTimeout {
			t.Errorf("%q after %v", got, time.Since(start))
		}
		waitClosed(c)
		if used := s.pwd.lines.used.Load(); used != 0 {
			t.Errorf("%d bytes are not given back", used)
		}
		c = s.patient(t, "postmaster", "secret")
		time.Sleep(time.Hour)
		c.expect("NOOP", "200 OK")
	})
}
