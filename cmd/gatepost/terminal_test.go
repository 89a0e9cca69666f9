package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// console is a program at a pseudo-terminal, and the person in front of it.
type console struct {
	t      *testing.T
	person *os.File // what the person types and sees
	tty    *os.File
	cmd    *exec.Cmd
	seen   strings.Builder
	before unix.Termios
}

// at starts gatepost at a terminal of its own.
func at(t *testing.T, args ...string) *console {
	t.Helper()
	c := &console{t: t}
	var err error
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	c.person, err = os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	check(err)
	t.Cleanup(func() { c.person.Close() })
	raw, err := c.person.SyscallConn()
	check(err)
	number := 0
	check(raw.Control(func(fd uintptr) {
		if err = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); err == nil {
			number, err = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		}
	}))
	check(err)
	c.tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	check(err)
	t.Cleanup(func() { c.tty.Close() })
	c.before = c.state()
	path, err := exec.LookPath("gatepost")
	check(err)
	c.cmd = exec.Command(path, args...)
	c.cmd.Stdin, c.cmd.Stdout, c.cmd.Stderr = c.tty, c.tty, c.tty
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	check(c.cmd.Start())
	t.Cleanup(func() { _ = c.cmd.Process.Kill() })
	return c
}

// state is how the terminal is set.
func (c *console) state() unix.Termios {
	c.t.Helper()
	state, err := unix.IoctlGetTermios(int(c.tty.Fd()), unix.TCGETS)
	if err != nil {
		c.t.Fatal(err)
	}
	return *state
}

// sees waits until a text is on the screen, after what was waited for before.
func (c *console) sees(text string) {
	c.t.Helper()
	if err := c.person.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		c.t.Fatal(err)
	}
	buf := make([]byte, 4096)
	for !strings.Contains(c.seen.String(), text) {
		n, err := c.person.Read(buf)
		c.seen.Write(buf[:n])
		if err != nil {
			c.t.Fatalf("%q is not on the screen (%v):\n%s", text, err, c.seen.String())
		}
	}
	_, rest, _ := strings.Cut(c.seen.String(), text)
	c.seen.Reset()
	c.seen.WriteString(rest)
}

func (c *console) types(keys string) {
	c.t.Helper()
	if _, err := io.WriteString(c.person, keys); err != nil {
		c.t.Fatal(err)
	}
}

// ends waits for the end of the program, and looks at its exit code and at the terminal.
func (c *console) ends(code int) {
	c.t.Helper()
	var exit *exec.ExitError
	switch err := c.cmd.Wait(); {
	case err != nil && !errors.As(err, &exit):
		c.t.Fatal(err)
	case c.cmd.ProcessState.ExitCode() != code:
		c.t.Errorf("exit code %d, not %d", c.cmd.ProcessState.ExitCode(), code)
	}
	if c.state() != c.before {
		c.t.Error("the terminal is not as it was")
	}
}

// someBase makes a base directory whose socket has a name that is short enough.
func someBase(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "gp")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "base")
}

const (
	ctrlC, ctrlD = "\x03", "\x04"
	up           = "\x1b[A"
)

func TestPromptsOfInitCanBeLeft(t *testing.T) {
	for _, keys := range []string{ctrlC, ctrlD, "half" + ctrlC, "secret\r" + ctrlC, "secret\r" + ctrlD} {
		base := someBase(t)
		c := at(t, "init", "--base", base, "--domain", "corp.test")
		c.sees("Password for postmaster: ")
		c.types(keys)
		c.sees("nothing was created: interrupted")
		c.ends(2)
		if _, err := os.Stat(base); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%q: the base directory is there (%v)", keys, err)
		}
	}
	base := someBase(t)
	c := at(t, "init", "--base", base, "--domain", "corp.test")
	c.sees("Password for postmaster: ")
	c.types("secret\r")
	c.sees("Again: ")
	if c.state() == c.before {
		t.Error("the password is echoed")
	}
	c.types("secret\r")
	c.sees("holds the server of corp.test")
	c.ends(0)
	interactive(t, base)
}

func interactive(t *testing.T, base string) {
	for _, way := range []string{"exit\r", "QUIT\r", ctrlD, ctrlC, "noop" + ctrlC, "help noop\r" + ctrlD} {
		c := at(t, "cli", "--base", base)
		c.sees("HELP lists the commands")
		c.sees(prompt)
		c.types(way)
		c.ends(0)
	}
	c := at(t, "cli", "--base", base)
	for _, step := range []struct{ keys, want string }{
		{"", "Gatepost at corp.test"},
		{"maind\t\r", "MAINDOMAINNAME"}, {"", "corp.test"}, // completed
		{up + "\r", "corp.test"}, // history
		{"createaccount\r", "500 parameter name is missing; syntax: CREATEACCOUNT name [type="},
		{"createaccount joe {x}\r", "syntax: CREATEACCOUNT name [type="},
		{"createaccount joe te\t\r", "TextMailbox"}, {"", "OK"},
		{"nonsense\r", "500 unknown command"},
		{"listac\t\r", "joe =  macnt;"},
		{"help create\r", "CREATEDOMAIN new [SHARED]"},
		{"help listaccounts\r", "LISTACCOUNTS [domain]\r\n"},
		{"help listaliases\r", "500 unknown command"},
		{"HELP\r", "VERIFYACCOUNTPASSWORD acct PASSWORD password"}, {"", "brackets mean"},
	} {
		c.types(step.keys)
		c.sees(step.want)
	}
	c.sees(prompt)
	if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	c.sees("interrupted")
	c.ends(2)
}

func TestCompletion(t *testing.T) {
	var told strings.Builder
	c := completer{[]string{"CREATEACCOUNT name [type=MultiMailbox|TextMailbox] [PATH path] [LEGACY|EXTERNAL] [{settings}]", "CREATEDOMAIN new", "NOOP"}, &told}
	for _, x := range []struct{ line, want, told string }{
		{"n", "NOOP ", ""}, {"cr", "CREATE", ""}, {"create", "CREATE", "CREATEACCOUNT  CREATEDOMAIN\n"}, {"x", "x", ""},
		{"createa", "CREATEACCOUNT ", ""}, {"help createa", "help CREATEACCOUNT ", ""},
		{"createaccount ", "createaccount ", ""}, {"CreateAccount x te", "CreateAccount x TextMailbox ", ""},
		{"createaccount x p", "createaccount x PATH ", ""}, {"createaccount x PATH", "createaccount x PATH ", ""}, {"noop x", "noop x", ""},
	} {
		told.Reset()
		got, pos, ok := c.key(x.line, len(x.line), '\t')
		if !ok || got != x.want || pos != len(got) || told.String() != x.told {
			t.Errorf("%q: %q at %d, told %q", x.line, got, pos, told.String())
		}
	}
	if got, pos, ok := c.key("n x", 1, '\t'); !ok || got != "NOOP  x" || pos != 5 {
		t.Errorf("inside a line: %q at %d", got, pos)
	}
	if _, _, ok := c.key("n", 1, 'x'); ok {
		t.Error("a letter completes")
	}
}
