package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// killCommand kills a Gatepost server under load, again and again, and looks
// after each restart whether it kept what it acknowledged: every message that
// was answered with 250 is in its mailbox exactly once, and check is clean. With --remote the
// mail is for another server, which is part of this program: every message has arrived there,
// those twice at most whose answer was on the way at a kill. With --groups it is for groups of two
// accounts, one of which is a member by way of another group too. With --lists it is for mailing lists of two subscribers. With --rules a rule of the server adds a
// field and stores a copy in an account, and a rule of each account mirrors its mail to another one. With --calendars
// clients make, change and delete items of calendars and address books: each is there as it was acknowledged, none that was deleted is
// back, and the changes since the last look give the same.
type killCommand struct {
	Server   string        `help:"The gatepost program; built from this module when not given." placeholder:"FILE"`
	Base     string        `help:"A new base directory; a temporary one when not given." placeholder:"DIR"`
	Runs     int           `help:"How often the server is killed." default:"50"`
	Conns    int           `help:"SMTP connections." default:"20"`
	Accounts int           `help:"Accounts that get mail." default:"20"`
	Longest  time.Duration `help:"Longest load before a kill." default:"1500ms"`
	Port     int           `help:"Number that is added to the server's ports." default:"23000"`
	Remote   bool          `help:"The mail is for another server."`
	Groups   bool          `help:"The mail is for groups."`
	Lists    bool          `help:"The mail is for mailing lists."`
	Rules    bool          `help:"Rules of the server and of accounts make copies of the mail."`

	Calendars bool `help:"Clients change calendars and address books, instead of mail."`

	other *remote
}

const (
	killDomain   = "kill.test"
	killPassword = "secret"
	// drainLimit is longer than the first retry interval, a minute: what met a full
	// disk waits for that long.
	drainLimit = 3 * time.Minute
)

func (c *killCommand) Run(ctx context.Context, out *report) error {
	work, err := os.MkdirTemp("", "gatebench-kill-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	if c.Base == "" {
		c.Base = filepath.Join(work, "base")
	}
	if err := c.build(ctx, work); err != nil {
		return err
	}
	if err := c.prepare(ctx, work); err != nil {
		return err
	}
	if c.Calendars {
		return c.runCalendars(ctx, out)
	}
	if c.Remote {
		serving, cancel := context.WithCancel(ctx)
		if c.other, err = newRemote(serving); err != nil {
			cancel()
			return err
		}
		defer c.other.sink.all.Wait()
		defer cancel()
		if _, err := c.gatepost(ctx, fmt.Sprintf("UPDATEMODULE SMTPSending {SmartHost=%q;}\n", c.other.addr), "cli"); err != nil {
			return err
		}
	}
	verify := &verifyCommand{Addr: c.addr(143), Password: killPassword}
	acknowledged := 0
	for run := range c.Runs {
		ledger := filepath.Join(work, "ledger-"+strconv.Itoa(run))
		if err := c.killUnderLoad(ctx, ledger, out); err != nil {
			return fmt.Errorf("run %d: %w", run+1, err)
		}
		verify.Ledger = append(verify.Ledger, ledger)
		if run%2 == 1 {
			if err := c.killAtStart(ctx); err != nil {
				return fmt.Errorf("run %d: %w", run+1, err)
			}
		}
		n, err := c.restartAndLook(ctx, verify)
		if err != nil {
			return fmt.Errorf("run %d: %w", run+1, err)
		}
		acknowledged = n
	}
	if c.Remote {
		return errors.Join(out.print("kills", "times", float64(c.Runs+c.Runs/2)), c.other.print(out, verify.Ledger))
	}
	return errors.Join(
		out.print("kills", "times", float64(c.Runs+c.Runs/2)),
		out.print("acknowledged, each there exactly once", "messages", float64(acknowledged)))
}

func (c *killCommand) addr(port int) string {
	return "127.0.0.1:" + strconv.Itoa(port+c.Port)
}

// build compiles the server when none was given.
func (c *killCommand) build(ctx context.Context, work string) error {
	if c.Server != "" {
		return nil
	}
	c.Server = filepath.Join(work, "gatepost")
	build := exec.CommandContext(ctx, "go", "build", "-o", c.Server, "gatepost/cmd/gatepost")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("build the server: %w", err)
	}
	return nil
}

// prepare makes the base directory and the accounts.
func (c *killCommand) prepare(ctx context.Context, work string) error {
	password := filepath.Join(work, "password")
	if err := os.WriteFile(password, []byte(killPassword+"\n"), 0o600); err != nil {
		return err
	}
	if _, err := c.gatepost(ctx, "", "init", "--domain", killDomain, "--password-file", password); err != nil {
		return err
	}
	var commands strings.Builder
	commands.WriteString("UPDATEMODULE DNR {Servers=(\"127.0.0.1:1\");}\n") // nobody answers there: the name servers of the machine are not asked
	for n := range c.Accounts {
		fmt.Fprintf(&commands, "CREATEACCOUNT u%03d {Password=%s;}\n", n, killPassword)
	}
	for n := range c.Accounts {
		if !c.Groups {
			break
		}
		fmt.Fprintf(&commands, "CREATEGROUP inner%03d {Members=(u%03d);}\n", n, n)
		fmt.Fprintf(&commands, "CREATEGROUP g%03d {Members=(u%03d,u%03d,inner%03d); Expand=YES; SetReplyTo=YES;}\n", n, n, (n+1)%c.Accounts, n)
	}
	for n := range c.Accounts {
		if !c.Lists {
			break
		}
		fmt.Fprintf(&commands, "CREATELIST l%03d FOR u%03d {Postings=\"from anybody\"; PostingFlow=(1000000, 1h);}\n", n, n)
		for _, member := range []int{n, (n + 1) % c.Accounts} {
			fmt.Fprintf(&commands, "LIST l%03d subscribe silently u%03d@%s\n", n, member, killDomain)
		}
	}
	if c.Rules {
		commands.WriteString("CREATEACCOUNT audit {Password=" + killPassword + ";}\n")
		commands.WriteString(`SETSERVERMAILRULES ((5, Audit, (("Any Recipient", is, "u*")), (("Add Header", "X-Seen: yes"), ("Store in", "~audit/INBOX"))))` + "\n")
		for n := range c.Accounts {
			fmt.Fprintf(&commands, "CREATEACCOUNT c%03d {Password=%s;}\n", n, killPassword)
			fmt.Fprintf(&commands, `SETACCOUNTMAILRULES u%03d ((5, Copy, (), (("Mirror to", "c%03d@%s"))))`+"\n", n, n, killDomain)
		}
	}
	_, err := c.gatepost(ctx, commands.String(), "cli")
	return err
}

// gatepost runs one command on the base directory and returns what it printed.
func (c *killCommand) gatepost(ctx context.Context, input string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, c.Server, append([]string{"--base", c.Base}, args...)...)
	cmd.Stdin = strings.NewReader(input)
	text, err := cmd.CombinedOutput()
	if err != nil {
		return string(text), fmt.Errorf("gatepost %s: %w\n%s", args[0], err, text)
	}
	return string(text), nil
}

// start runs the server until it is ready. The process is the caller's to end.
func (c *killCommand) start(ctx context.Context, wait bool) (*exec.Cmd, error) {
	cmd := exec.CommandContext(ctx, c.Server, "serve", "--base", c.Base, "--listen", "127.0.0.1", "--port-shift", strconv.Itoa(c.Port))
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	if !wait {
		return cmd, nil
	}
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		if lines.Text() == "ready" {
			go io.Copy(io.Discard, stdout) //nolint:errcheck // ends with the process
			return cmd, nil
		}
	}
	return nil, errors.Join(errors.New("the server ended before it was ready"), cmd.Wait())
}

// kill ends the process without a word, if it still runs.
func kill(cmd *exec.Cmd) error {
	if cmd.ProcessState != nil {
		return nil
	}
	if err := cmd.Process.Kill(); err != nil {
		return err
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); err != nil && !errors.As(err, &exit) {
		return err
	}
	return nil
}

func (c *killCommand) killUnderLoad(ctx context.Context, ledger string, out *report) error {
	cmd, err := c.start(ctx, true)
	if err != nil {
		return err
	}
	quiet := &report{w: io.Discard, json: out.json, command: out.command}
	load := &smtpCommand{Addr: c.addr(25), Conns: c.Conns, Size: 4096, From: "sender@bench.test",
		Rcpt: "u%03d@" + killDomain, Accounts: c.Accounts, Pipelining: true, Repeat: 1, Ledger: ledger}
	switch {
	case c.Remote:
		load.Rcpt = "u%03d@relay.test"
	case c.Groups:
		load.Rcpt = "g%03d@" + killDomain
	case c.Lists:
		load.Rcpt = "l%03d@" + killDomain
	}
	ended := make(chan error, 1)
	go func() { ended <- load.Run(ctx, quiet) }()
	select {
	case err := <-ended:
		return errors.Join(fmt.Errorf("the load ended before the server was killed: %w", err), kill(cmd))
	case <-time.After(20*time.Millisecond + rand.N(c.Longest)):
	}
	if err := kill(cmd); err != nil {
		return err
	}
	if err := <-ended; err != nil && !cutOff(err) {
		return err
	}
	switch {
	case c.Groups, c.Lists:
		letter := byte('g')
		if c.Lists {
			letter = 'l'
		}
		return others(ledger, letter, func(n int) []string {
			return []string{fmt.Sprintf("u%03d", n), fmt.Sprintf("u%03d", (n+1)%c.Accounts)}
		})
	case c.Rules:
		return others(ledger, 'u', func(n int) []string {
			return []string{fmt.Sprintf("u%03d", n), fmt.Sprintf("c%03d", n), "audit"}
		})
	}
	return nil
}

// others makes of a ledger one of those who get the messages: receivers says who they are for the
// number of the recipient, whose name is a letter and that number.
func others(ledger string, letter byte, receivers func(n int) []string) error {
	text, err := os.ReadFile(ledger)
	if err != nil {
		return err
	}
	var out strings.Builder
	for line := range strings.Lines(string(text)) {
		id, rest, _ := strings.Cut(line, "\t"+string(letter))
		number, reply, _ := strings.Cut(rest, "@")
		n, err := strconv.Atoi(number)
		if err != nil {
			return fmt.Errorf("%s: %q is not of %c and a number", ledger, line, letter)
		}
		for _, name := range receivers(n) {
			fmt.Fprintf(&out, "%s\t%s@%s", id, name, reply)
		}
	}
	return os.WriteFile(ledger, []byte(out.String()), 0o644)
}

// cutOff reports whether an error is what a killed server leaves to a client: one that
// was killed before its first answer leaves nothing else.
func cutOff(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) ||
		errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNREFUSED)
}

// killAtStart kills a server that has just begun to recover.
func (c *killCommand) killAtStart(ctx context.Context) error {
	cmd, err := c.start(ctx, false)
	if err != nil {
		return err
	}
	time.Sleep(rand.N(250 * time.Millisecond))
	return kill(cmd)
}

// restartAndLook lets the server recover and verifies all that it acknowledged
// so far. It returns how many messages that is.
func (c *killCommand) restartAndLook(ctx context.Context, verify *verifyCommand) (int, error) {
	cmd, err := c.start(ctx, true)
	if err != nil {
		return 0, err
	}
	err = c.drain(ctx)
	n := 0
	switch {
	case err != nil:
	case c.Remote:
		n, _, _, err = c.other.look(verify.Ledger)
	default:
		n, err = verify.look(ctx)
	}
	if err == nil {
		_, err = c.gatepost(ctx, "", "check")
	}
	return n, errors.Join(err, stop(cmd))
}

// drain waits until the queue is empty.
func (c *killCommand) drain(ctx context.Context) error {
	deadline := time.Now().Add(drainLimit)
	for {
		text, err := c.gatepost(ctx, "", "queue", "list")
		if err != nil {
			return err
		}
		waiting := strings.Count(text, "\n") - 1
		if waiting <= 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%d recipients still wait after %s:\n%.2000s", waiting, drainLimit, text)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// stop asks for an orderly stop.
func stop(cmd *exec.Cmd) error {
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		return err
	}
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("the server did not stop in order: %w", err)
	}
	return nil
}
