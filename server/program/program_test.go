package program

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"gatepost/server/fault"
)

// script writes a program of the shell.
func script(t *testing.T, body string) *Program {
	t.Helper()
	dir := t.TempDir()
	name := filepath.Join(dir, "program")
	if err := os.WriteFile(name, []byte("#!/bin/sh\n"+body), 0o755); err != nil {
		t.Fatal(err)
	}
	return &Program{Path: name, Dir: dir}
}

func run(t *testing.T, p *Program, stdin string) *Result {
	t.Helper()
	res, err := p.Run(t.Context(), strings.NewReader(stdin), 1000)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// A program gets its arguments as they are, its input, and no environment of the server.
func TestRun(t *testing.T) {
	t.Setenv("SECRET", "x")
	p := script(t, `cat; printf '%s|' "$@" "$SECRET" "$SENDER" "$PWD"; echo oops >&2; exit 3`)
	p.Args = []string{"a b", "$(id)", ";", ""}
	p.Env = []string{"SENDER=joe@far.org"}
	res := run(t, p, "text\n")
	if want := "text\na b|$(id)|;|||joe@far.org|" + p.Dir + "|"; res.Output != want {
		t.Errorf("output %q, want %q", res.Output, want)
	}
	if res.Exit != 3 || res.Errors != "oops\n" || res.Reason != "the program ended with exit code 3" || res.Stopped {
		t.Errorf("%+v", res)
	}
	if res := run(t, script(t, "exit 0"), strings.Repeat("unread ", 100_000)); res.Exit != 0 || res.Reason != "" {
		t.Errorf("a program that does not read its input: %+v", res)
	}
	if res := run(t, script(t, "yes | head -c 1000000"), ""); len(res.Output) != 1000 || res.Exit != 0 {
		t.Errorf("%d bytes of output, exit code %d", len(res.Output), res.Exit)
	}
	if res := run(t, script(t, "kill -SEGV $$"), ""); res.Signal != syscall.SIGSEGV || !strings.Contains(res.Reason, "SIGSEGV") {
		t.Errorf("%+v", res)
	}
}

// What a program has started ends with it, also when time is over.
func TestGroupEnds(t *testing.T) {
	p := script(t, `sleep 300 & echo $!; [ -z "$1" ] || wait`)
	for _, stop := range []bool{false, true} {
		ctx, cancel := context.WithCancel(t.Context())
		if stop {
			p.Args = []string{"stay"}
			time.AfterFunc(50*time.Millisecond, cancel)
		}
		began := time.Now()
		res, err := p.Run(ctx, strings.NewReader(""), 100)
		cancel()
		if err != nil || res.Stopped != stop || time.Since(began) > 10*time.Second {
			t.Fatalf("stop %v: %+v, %v", stop, res, err)
		}
		pid, err := strconv.Atoi(strings.TrimSpace(res.Output))
		if err != nil {
			t.Fatal(err)
		}
		if fd, err := unix.PidfdOpen(pid, 0); err == nil { // it is being ended
			n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 10_000)
			if n != 1 {
				t.Errorf("stop %v: process %d lives on: %v", stop, pid, err)
			}
			unix.Close(fd)
		}
	}
}

func TestLimits(t *testing.T) {
	p := script(t, `read x; head -c 100000 /dev/zero > big || exit 1; wc -c < big`)
	p.Limits = Limits{FileSize: 5000, Files: 50, CPU: 10 * time.Second}
	if res := run(t, p, "go\n"); res.Exit == 0 {
		t.Errorf("a larger file than allowed: %+v", res)
	}
	p = script(t, "read x; ulimit -n; ulimit -c; ulimit -v")
	p.Limits = Limits{Files: 50, Memory: 1 << 30}
	if res := run(t, p, "go\n"); res.Output != "50\n0\n1048576\n" {
		t.Errorf("limits are %q", res.Output)
	}
}

func TestLimitOfProcesses(t *testing.T) {
	p := script(t, "read x; grep processes /proc/self/limits")
	p.Limits = Limits{Processes: 77}
	if res := run(t, p, "go\n"); strings.Join(strings.Fields(res.Output), " ") != "Max processes 77 77 processes" {
		t.Errorf("the limit is %q", res.Output)
	}
}

// A program that cannot be started tells why, and what helps.
func TestExplain(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, c := range []struct {
		path, dir, unit string
		kind            fault.Kind
		text            string
	}{
		{dir + "/none", dir, "", fault.NotFound, "there is no program"},
		{dir, dir, "", fault.Denied, "is a directory"},
		{file("plain", "#!/bin/sh\n", 0o644), dir, "", fault.Denied, "chmod +x"},
		{file("inter", "#!/no/such/perl -w\n", 0o755), dir, "", fault.NotFound, `"/no/such/perl" is missing`},
		{file("dos", "#!/bin/sh\r\n", 0o755), dir, "", fault.NotFound, `\\r`},
		{file("text", "hello\n", 0o755), dir, "", fault.Denied, "first line"},
		{file("ok", "#!/bin/sh\n", 0o755), dir + "/none", "", fault.NotFound, "no working directory"},
		{"/root/none/x", dir, "1", fault.NotFound, "ProtectHome"},
		{"relative", dir, "", fault.Invalid, "absolute"},
	} {
		t.Setenv("INVOCATION_ID", c.unit)
		p := &Program{Path: c.path, Dir: c.dir}
		_, err := p.Run(t.Context(), strings.NewReader(""), 10)
		if fault.KindOf(err) != c.kind || !strings.Contains(fault.Text(err), c.text) {
			t.Errorf("%s: %v %v, want %v with %q", c.path, fault.KindOf(err), err, c.kind, c.text)
		}
	}
}

func TestSandboxHides(t *testing.T) {
	base := t.TempDir()
	for _, name := range []string{"Settings/secret", "programs/data"} {
		if err := os.MkdirAll(filepath.Join(base, filepath.Dir(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(base, name), []byte(filepath.Base(name)+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	program := filepath.Join(base, "programs", "p")
	body := "#!/bin/sh\ncat $1/Settings/secret 2>&1; ls $1 2>&1; touch $1/x 2>&1; cat $1/programs/data; cat /etc/hostname >/dev/null && echo etc; echo w > $2/w && cat $2/w\n"
	if err := os.WriteFile(program, []byte(body), 0o755); err != nil {
		t.Fatal(err)
	}
	p := &Program{Path: program, Args: []string{base, t.TempDir()}, Dir: filepath.Join(base, "programs"),
		Sandbox: &Sandbox{Hide: []string{base}, Show: []string{filepath.Join(base, "programs")}}}
	res, err := p.Run(t.Context(), strings.NewReader(""), 5000)
	if err != nil && strings.Contains(err.Error(), "landlock") {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(res.Output, "ermission denied") != 3 || !strings.Contains(res.Output, "data\netc\nw\n") || strings.Contains(res.Output, "secret\n") {
		t.Errorf("%+v", res)
	}
	if _, err := os.ReadFile(filepath.Join(base, "Settings", "secret")); err != nil {
		t.Errorf("the server is bounded too: %v", err)
	}
}

func TestSandboxNetwork(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	perl := `use Socket; socket(my $u, AF_UNIX, SOCK_STREAM, 0) and print "unix "; socket(my $s, AF_INET, SOCK_STREAM, 0) or die "no socket: $!"; connect($s, sockaddr_in(` + port + `, inet_aton("127.0.0.1"))) and print "connected"`
	p := &Program{Path: "/usr/bin/perl", Args: []string{"-e", perl}, Dir: "/", Sandbox: &Sandbox{}}
	if res := run(t, p, ""); res.Output != "unix connected" {
		t.Errorf("with the network: %+v", res)
	}
	p.Sandbox.NoNetwork = true
	if res := run(t, p, ""); res.Output != "unix " || !strings.Contains(res.Errors, "Permission denied") {
		t.Errorf("without: %+v", res)
	}
}

func TestSandboxUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can change the user")
	}
	nobody, err := FindUser("nobody")
	if err != nil {
		t.Skip(err)
	}
	p := &Program{Path: "/usr/bin/perl", Args: []string{"-e", `print "$< $> $( ", kill(0, getppid) ? "can" : "cannot"`}, Dir: "/", Sandbox: &Sandbox{User: nobody}}
	res := run(t, p, "")
	if !strings.HasPrefix(res.Output, "65534 65534 65534 cannot") {
		t.Errorf("%+v", res)
	}
	if _, err := FindUser("no such user"); !fault.Is(err, fault.NotFound) {
		t.Error(err)
	}
}

// said gathers what a program says.
type said struct {
	mu    sync.Mutex
	lines []string
	errs  []string
	more  chan struct{}
}

func (s *said) listener() Listener {
	s.more = make(chan struct{}, 1000)
	add := func(list *[]string) func(string) {
		return func(line string) {
			s.mu.Lock()
			*list = append(*list, line)
			s.mu.Unlock()
			s.more <- struct{}{}
		}
	}
	return Listener{Line: add(&s.lines), Error: add(&s.errs), MaxLine: 100}
}

func (s *said) get() (lines, errs string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.lines, ","), strings.Join(s.errs, ",")
}

func TestTalk(t *testing.T) {
	var s said
	d, err := script(t, `echo "* hello"; while read n w; do echo "$n OK $w"; done; echo bye >&2; exit 4`).Talk(s.listener())
	if err != nil {
		t.Fatal(err)
	}
	<-s.more
	for _, line := range []string{"1 INTF", "2 FILE"} {
		if err := d.Write(line); err != nil {
			t.Fatal(err)
		}
		<-s.more
	}
	d.CloseInput()
	<-d.Done()
	if lines, errs := s.get(); lines != "* hello,1 OK INTF,2 OK FILE" || errs != "bye" || d.Reason() != "the program ended with exit code 4" {
		t.Errorf("%q %q %q", lines, errs, d.Reason())
	}
}

// A program that breaks the dialogue is ended, and the reason is told.
func TestTalkEnds(t *testing.T) {
	for body, want := range map[string]string{
		`exec sleep 300`:                       "because the test says so",
		`trap "" TERM; while :; do :; done`:    "because the test says so",
		`head -c 200 /dev/zero; exec sleep 30`: "a line of more than 100 bytes",
		`kill -9 $$`:                           "SIGKILL",
		`exec <&-; exec sleep 30`:              "does not read",
		`exit 0`:                               "has ended",
	} {
		var s said
		d, err := script(t, body).Talk(s.listener())
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case strings.Contains(want, "test"):
			d.Kill(want)
		case strings.Contains(want, "read"):
			for d.Write("x") == nil {
			}
		}
		<-d.Done()
		if !strings.Contains(d.Reason(), want) {
			t.Errorf("%s: %q, want %q", body, d.Reason(), want)
		}
	}
}

// A program gets its input after its limits.
func TestInputAfterLimits(t *testing.T) {
	in := &input{Reader: strings.NewReader("go\n"), ready: make(chan struct{})}
	got := make(chan int)
	go func() {
		n, _ := in.Read(make([]byte, 10))
		got <- n
	}()
	select {
	case <-got:
		t.Fatal("the input was read before the limits were set")
	default:
	}
	close(in.ready)
	if n := <-got; n != 3 {
		t.Errorf("%d bytes", n)
	}
}
