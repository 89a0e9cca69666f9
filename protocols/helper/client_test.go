package helper

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gatepost/server/dataformat"
	"gatepost/server/fault"
	"gatepost/server/program"
)

// fake is a helper in this process. Its script reads lines and says others, until it returns.
type fake struct {
	in     chan string
	done   chan struct{}
	killed chan struct{}
	eof    chan struct{}
	say    func(string)
	once   sync.Once
	closed sync.Once
	reason string
}

func (f *fake) Write(line string) error {
	select {
	case f.in <- line:
		return nil
	case <-f.done:
		return errors.New("broken pipe")
	}
}
func (f *fake) CloseInput()           { f.closed.Do(func() { close(f.eof) }) }
func (f *fake) Kill(reason string)    { f.once.Do(func() { f.reason = reason; close(f.killed) }) }
func (f *fake) Done() <-chan struct{} { return f.done }
func (f *fake) Reason() string        { return f.reason }
func (f *fake) PID() int              { return 1 }

// read returns the next line, or false at the end.
func (f *fake) read() (string, bool) {
	select {
	case line := <-f.in:
		return line, true
	case <-f.killed:
	case <-f.eof:
		select {
		case line := <-f.in:
			return line, true
		default:
		}
	}
	return "", false
}

// fakes starts scripts, the last one again and again.
type fakes struct {
	scripts []func(*fake)
	starts  int
}

func (s *fakes) start(_ string, l program.Listener) (process, error) {
	script := s.scripts[min(s.starts, len(s.scripts)-1)]
	s.starts++
	if script == nil {
		return nil, fault.New("test", fault.NotFound, "there is no program")
	}
	f := &fake{in: make(chan string, 100), done: make(chan struct{}), killed: make(chan struct{}), eof: make(chan struct{}), say: l.Line, reason: "the program has ended"}
	go func() {
		defer close(f.done)
		script(f)
	}()
	return f, nil
}

// good answers everything at once.
func good(f *fake) {
	for {
		line, ok := f.read()
		if !ok {
			return
		}
		n, rest, _ := strings.Cut(line, " ")
		switch {
		case strings.HasPrefix(rest, "INTF"):
			f.say(n + " INTF 3")
		default:
			f.say(n + " OK " + rest)
		}
	}
}

// deaf reads everything and answers INTF alone.
func deaf(f *fake) {
	for {
		line, ok := f.read()
		if !ok {
			return
		}
		if n, rest, _ := strings.Cut(line, " "); strings.HasPrefix(rest, "INTF") {
			f.say(n + " INTF 3")
		}
	}
}

// crash ends at the first command.
func crash(f *fake) {
	for {
		line, ok := f.read()
		if n, rest, _ := strings.Cut(line, " "); ok && strings.HasPrefix(rest, "INTF") {
			f.say(n + " INTF 3")
			continue
		}
		return
	}
}

// testClient runs f with a client in a bubble.
func testClient(t *testing.T, settings string, scripts []func(*fake), f func(t *testing.T, c *client, s *fakes)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &fakes{scripts: scripts}
		c := newClient(filterKind, "F", s.start, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		go c.run(ctx)
		c.configure(parseSettings(t, settings))
		synctest.Wait()
		f(t, c, s)
		cancel()
		<-c.gone
	})
}

func parseSettings(t testing.TB, text string) Settings {
	t.Helper()
	v, err := dataformat.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	var s Settings
	if err := s.SetValue(v); err != nil {
		t.Fatal(err)
	}
	return s
}

// asked sends a command and returns what came of it, and after what time.
func asked(c *client, text string) (string, time.Duration, error) {
	began := time.Now()
	got, err := c.ask(context.Background(), text)
	return got, time.Since(began), err
}

const standard = `{Enabled=YES;Name=F;ProgramName=x;Timeout=1m;RestartPause=5s;}`

func TestAsk(t *testing.T) {
	testClient(t, standard, []func(*fake){good}, func(t *testing.T, c *client, s *fakes) {
		for range 3 {
			if got, took, err := asked(c, "FILE a"); got != "OK FILE a" || err != nil || took != 0 {
				t.Errorf("%q, %v after %v", got, err, took)
			}
		}
		c.configure(parseSettings(t, `{Enabled=NO;ProgramName=x;}`))
		synctest.Wait()
		if _, _, err := asked(c, "FILE a"); !fault.Is(err, fault.NotFound) || c.stats.snapshot().String("state") != "disabled" {
			t.Errorf("disabled: %v", err)
		}
		c.configure(parseSettings(t, standard))
		synctest.Wait()
		if got, _, err := asked(c, "FILE b"); got != "OK FILE b" || err != nil || s.starts != 2 {
			t.Errorf("enabled again: %q, %v, %d starts", got, err, s.starts)
		}
	})
}

// A helper that does not answer in time is ended, started again, and gets the command again.
func TestTimeout(t *testing.T) {
	testClient(t, standard, []func(*fake){deaf, good}, func(t *testing.T, c *client, s *fakes) {
		got, took, err := asked(c, "FILE a")
		if got != "OK FILE a" || err != nil || took != 65*time.Second || s.starts != 2 {
			t.Errorf("%q, %v after %v, %d starts", got, err, took, s.starts)
		}
	})
}

// A command with which the helper ends three times has failed; others go on.
func TestPoison(t *testing.T) {
	poisoned := func(f *fake) {
		for {
			line, ok := f.read()
			if !ok {
				return
			}
			n, rest, _ := strings.Cut(line, " ")
			if rest == "FILE bad" {
				return
			}
			f.say(n + " OK")
		}
	}
	testClient(t, standard, []func(*fake){poisoned}, func(t *testing.T, c *client, s *fakes) {
		if _, took, err := asked(c, "FILE bad"); !errors.Is(err, errFailed) || took != 15*time.Second {
			t.Errorf("bad: %v after %v", err, took)
		}
		if got, _, err := asked(c, "FILE good"); got != "OK" || err != nil {
			t.Errorf("good: %q, %v", got, err)
		}
	})
}

// Without Auto-Restart everything fails until the settings are given again.
func TestNoRestart(t *testing.T) {
	testClient(t, `{Enabled=YES;ProgramName=x;RestartPause=never;}`, []func(*fake){crash, good}, func(t *testing.T, c *client, s *fakes) {
		for range 2 {
			if _, took, err := asked(c, "FILE a"); !errors.Is(err, errFailed) || took != 0 {
				t.Errorf("%v after %v", err, took)
			}
		}
		c.configure(parseSettings(t, `{Enabled=YES;ProgramName=x;RestartPause=never;}`))
		synctest.Wait()
		if got, _, err := asked(c, "FILE a"); got != "OK FILE a" || err != nil {
			t.Errorf("given again: %q, %v", got, err)
		}
	})
}

// A program that cannot be started puts commands off, and is tried less and less often.
func TestNoProgram(t *testing.T) {
	testClient(t, standard, []func(*fake){nil}, func(t *testing.T, c *client, s *fakes) {
		if _, took, err := asked(c, "FILE a"); !errors.Is(err, errDown) || took != time.Minute {
			t.Errorf("%v after %v", err, took)
		}
		if _, took, err := asked(c, "FILE b"); !errors.Is(err, errDown) || took != time.Minute {
			t.Errorf("%v after %v", err, took)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if s.starts < 12 || s.starts > 20 {
			t.Errorf("%d starts", s.starts)
		}
		s.scripts = []func(*fake){good}
		s.starts = 0
		c.configure(parseSettings(t, standard))
		synctest.Wait()
		if got, took, err := asked(c, "FILE c"); got == "" || err != nil || took != 0 {
			t.Errorf("with the program: %q, %v after %v", got, err, took)
		}
	})
}

// Answers come in any order, among remarks and noise.
func TestOrder(t *testing.T) {
	reversed := func(f *fake) {
		f.say("* before INTF")
		var held []string
		for {
			line, ok := f.read()
			if !ok {
				return
			}
			n, rest, _ := strings.Cut(line, " ")
			if strings.HasPrefix(rest, "INTF") {
				f.say(n + " OK") // whatever it says
				continue
			}
			if held = append(held, n+" OK "+rest); len(held) == 3 {
				f.say("Unknown command")
				f.say("999 OK")
				f.say("* remark")
				for i := range held {
					f.say(held[2-i])
					f.say(held[2-i])
				}
				held = nil
			}
		}
	}
	testClient(t, standard, []func(*fake){reversed}, func(t *testing.T, c *client, s *fakes) {
		var all sync.WaitGroup
		for i := range 6 {
			all.Go(func() {
				text := fmt.Sprintf("FILE %d", i)
				if got, _, err := asked(c, text); got != "OK "+text || err != nil {
					t.Errorf("%s: %q, %v", text, got, err)
				}
			})
		}
		all.Wait()
	})
}

// A helper that reads with a buffer looks at its next line only when another comes.
func TestNudge(t *testing.T) {
	buffered := func(f *fake) {
		var held []string
		answer := func() {
			n, rest, _ := strings.Cut(held[0], " ")
			held = held[1:]
			f.say(n + " OK " + rest)
		}
		for {
			line, ok := f.read()
			if !ok {
				return
			}
			held = append(held, line)
			for more := true; more; {
				select {
				case line := <-f.in:
					held = append(held, line)
				default:
					more = false
				}
			}
			answer()
		}
	}
	testClient(t, standard, []func(*fake){buffered}, func(t *testing.T, c *client, s *fakes) {
		var all sync.WaitGroup
		began := time.Now()
		for range 5 {
			all.Go(func() {
				if _, _, err := asked(c, "FILE x"); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if took := time.Since(began); took > 30*time.Second || s.starts != 1 {
			t.Errorf("%v, %d starts", took, s.starts)
		}
	})
}

// Nobody waits for INTF for ever, and no more commands are open than may be.
func TestIntroAndConcurrent(t *testing.T) {
	var mu sync.Mutex
	open, most := 0, 0
	slow := func(f *fake) {
		for {
			line, ok := f.read()
			if !ok {
				return
			}
			n, rest, _ := strings.Cut(line, " ")
			if strings.HasPrefix(rest, "INTF") || rest == "QUIT" {
				continue
			}
			mu.Lock()
			open++
			most = max(most, open)
			mu.Unlock()
			go func() {
				time.Sleep(time.Second)
				mu.Lock()
				open--
				mu.Unlock()
				f.say(n + " OK")
			}()
		}
	}
	testClient(t, `{Enabled=YES;ProgramName=x;Concurrent=2;}`, []func(*fake){slow}, func(t *testing.T, c *client, s *fakes) {
		began := time.Now()
		var all sync.WaitGroup
		for range 6 {
			all.Go(func() {
				if got, _, err := asked(c, "FILE x"); got != "OK" || err != nil {
					t.Errorf("%q, %v", got, err)
				}
			})
		}
		all.Wait()
		if took := time.Since(began); took != 8*time.Second || most != 2 {
			t.Errorf("%v, %d open", took, most)
		}
		time.Sleep(time.Second)
	})
}

// Who gives up is not answered, and costs nothing.
func TestCanceled(t *testing.T) {
	testClient(t, standard, []func(*fake){deaf, good}, func(t *testing.T, c *client, s *fakes) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := c.ask(ctx, "FILE a"); !fault.Is(err, fault.Canceled) {
			t.Error(err)
		}
	})
}
