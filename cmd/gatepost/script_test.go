package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"gatepost/protocols/transcript"
	"gatepost/server"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"gatepost": main, "sendmail": main, "mail": main, "mailq": main, "smailer": main})
}

// TestScript plays testdata/*.txtar: what a person types, and what he sees. Beside the commands of
// testscript there are
//
//	serve [FLAG ...]    starts "gatepost serve" and returns when it says ready
//	shutdown            sends SIGTERM and expects exit code 0 in time
//	crash               sends SIGKILL
//	settled             returns when no message waits in the folder Submitted or in the queue
//	waiting N           returns when N recipients wait in the queue
//	number VAR FLAG ... sets a variable to the number of the message that "gatepost queue list FLAG ..." finds first
//	dialogue FILE PORT ...
//	                    plays a transcript (package transcript) against the running server; its
//	                    connections go to the ports in this order
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireUniqueNames:  true,
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			// The name of a socket has a limit that the work directory may exceed.
			base, err := os.MkdirTemp("", "gp")
			if err != nil {
				return err
			}
			shift, err := freeShift()
			if err != nil {
				return err
			}
			r := &running{tb: env.T().(testing.TB), shift: shift}
			env.Defer(func() {
				r.end(syscall.SIGKILL)
				os.RemoveAll(base)
			})
			env.Values[running{}] = r
			env.Setenv("BASE", base+"/base")
			env.Setenv("GATEPOST_BASE", base+"/base")
			env.Setenv("SHIFT", strconv.Itoa(shift))
			return nil
		},
		Condition: func(cond string) (bool, error) {
			if cond != "root" {
				return false, fmt.Errorf("unknown condition %s", cond)
			}
			return os.Getuid() == 0, nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"serve":    serve,
			"shutdown": shutdown,
			"crash":    crash,
			"dialogue": dialogue,
			"settled":  settled,
			"waiting":  waiting,
			"number":   queueNumber,
		},
	})
}

// running is the server of a script.
type running struct {
	tb    testing.TB
	shift int
	cmd   *exec.Cmd
	ended chan error
}

func of(ts *testscript.TestScript) *running { return ts.Value(running{}).(*running) }

func serve(ts *testscript.TestScript, neg bool, args []string) {
	r := of(ts)
	if neg || r.cmd != nil {
		ts.Fatalf("usage: serve [FLAG ...], once")
	}
	for try := range 3 {
		if try > 0 { // another test process has taken one of the ports since they were looked at
			shift, err := freeShift()
			ts.Check(err)
			r.shift = shift
			ts.Setenv("SHIFT", strconv.Itoa(shift))
		}
		said, ok := r.launch(ts, args)
		if ok {
			return
		}
		r.cmd = nil
		if ended := <-r.ended; try == 2 || !strings.Contains(said, "address already in use") {
			ts.Fatalf("the server ended: %v\n%s", ended, said)
		}
	}
}

// launch starts the server and waits until it is ready, or has ended and what it said.
func (r *running) launch(ts *testscript.TestScript, args []string) (said string, ok bool) {
	cmd := exec.Command("gatepost", append([]string{"serve", "--listen", "127.0.0.1", "--port-shift", strconv.Itoa(r.shift)}, args...)...)
	path, err := exec.LookPath("gatepost")
	ts.Check(err)
	cmd.Path = path
	cmd.Env = append(os.Environ(), "GATEPOST_BASE="+ts.Getenv("GATEPOST_BASE"))
	errs := new(syncBuffer)
	cmd.Stderr = errs
	out, err := cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	r.cmd, r.ended = cmd, make(chan error, 1)
	ready := make(chan bool, 1)
	go func() {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if lines.Text() == "ready" {
				ready <- true
			}
		}
		err := cmd.Wait()
		close(ready)
		r.ended <- err
	}()
	select {
	case ok := <-ready:
		return errs.String(), ok
	case <-time.After(time.Minute):
		ts.Fatalf("the server was not ready in a minute")
		return "", false
	}
}

// syncBuffer keeps what is written to it, by whomever.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	os.Stderr.Write(p)
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// end sends the signal and waits for the end of the process.
func (r *running) end(sig syscall.Signal) error {
	if r.cmd == nil {
		return nil
	}
	defer func() { r.cmd = nil }()
	if err := r.cmd.Process.Signal(sig); err != nil {
		return err
	}
	select {
	case err := <-r.ended:
		return err
	case <-time.After(20 * time.Second):
		return fmt.Errorf("the server runs 20 s after %v", sig)
	}
}

func shutdown(ts *testscript.TestScript, neg bool, args []string) {
	ts.Check(of(ts).end(syscall.SIGTERM))
}

func crash(ts *testscript.TestScript, neg bool, args []string) {
	if err := of(ts).end(syscall.SIGKILL); err == nil {
		ts.Fatalf("the server ended by itself")
	}
}

func settled(ts *testscript.TestScript, neg bool, args []string) {
	base := ts.Getenv("GATEPOST_BASE")
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
		files, err := os.ReadDir(filepath.Join(base, "Submitted"))
		ts.Check(err)
		ts.Check(ts.Exec("gatepost", "mailq"))
		if len(files) == 0 && strings.Contains(ts.ReadFile("stdout"), "Mail queue is empty") {
			return
		}
	}
	ts.Fatalf("messages wait: %s", ts.ReadFile("stdout"))
}

func waiting(ts *testscript.TestScript, neg bool, args []string) {
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
		ts.Check(ts.Exec("gatepost", "queue", "list"))
		if strings.Count(ts.ReadFile("stdout"), "\n") == n+1 {
			return
		}
	}
	ts.Fatalf("other messages wait: %s", ts.ReadFile("stdout"))
}

func queueNumber(ts *testscript.TestScript, neg bool, args []string) {
	ts.Check(ts.Exec("gatepost", append([]string{"queue", "list"}, args[1:]...)...))
	_, rows, _ := strings.Cut(ts.ReadFile("stdout"), "\n")
	id, _, found := strings.Cut(rows, " ")
	if !found {
		ts.Fatalf("no message is found")
	}
	ts.Setenv(args[0], id)
}

func dialogue(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: dialogue FILE PORT ...")
	}
	r := of(ts)
	ports := args[1:]
	transcript.Play(r.tb, func() (net.Conn, error) {
		if len(ports) == 0 {
			return nil, errors.New("the transcript has more connections than dialogue has ports")
		}
		port, err := strconv.Atoi(ports[0])
		if err != nil {
			return nil, err
		}
		ports = ports[1:]
		return net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port+r.shift)))
	}, ts.MkAbs(args[0]))
}

// freeShift finds a shift at which all ports are free. It begins anywhere, so
// that scripts which run side by side do not find the same one.
func freeShift() (int, error) {
	for range 50 {
		shift := 12000 + mathrand.IntN(11000) // below the ports that connections to others get
		free := true
		for _, port := range server.StockPorts() {
			ln, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port+shift)))
			if err != nil {
				free = false
				break
			}
			ln.Close()
		}
		if free {
			return shift, nil
		}
	}
	return 0, fmt.Errorf("no free ports")
}
