package main

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/term"

	"gatepost/server/control"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
	"gatepost/server/sendmail"
)

// stockBase is the base directory of the programs that others start without saying which:
// sendmail, mail and mailq.
const stockBase = "/var/gatepost"

// programs are what gatepost is by the name that it is called by, and by a subcommand of that name.
var programs = map[string]func(p *sendmail.Program, args []string) error{
	"sendmail":   (*sendmail.Program).Sendmail,
	"mail":       (*sendmail.Program).Mail,
	"mailx":      (*sendmail.Program).Mail,
	"mailq":      func(p *sendmail.Program, _ []string) error { return p.List() },
	"newaliases": func(*sendmail.Program, []string) error { return nil }, // aliases are in force as soon as they are set
}

func isProgram(name string) bool { return name == smailerName || programs[name] != nil }

// asProgram finds out whether one of the programs was called, with which arguments, and which base
// directory is named before them.
func asProgram(argv []string) (name string, args []string, base string, ok bool) {
	name = filepath.Base(argv[0])
	if isProgram(name) {
		return name, argv[1:], "", true
	}
	args = argv[1:]
	if len(args) > 0 {
		if dir, is := strings.CutPrefix(args[0], "--base="); is {
			base, args = dir, args[1:]
		} else if args[0] == "--base" && len(args) > 1 {
			base, args = args[1], args[2:]
		}
	}
	if len(args) > 0 && isProgram(args[0]) {
		return args[0], args[1:], base, true
	}
	return "", nil, "", false
}

// programCommand stands for a program in the list of commands; main runs it, whose arguments are
// not of our making.
type programCommand struct {
	Args []string `arg:"" optional:"" help:"Arguments, see docs/man/sendmail.md."`
}

// Run is never called: asProgram finds the program before.
func (programCommand) Run() error {
	return wrongUse("--base DIR stands before the name of the program")
}

// lent reports whether the process has a user or a group that is not its caller's: nothing that the
// caller gives may then lead it elsewhere than the stock base directory.
func lent() bool { return os.Geteuid() != os.Getuid() || os.Getegid() != os.Getgid() }

// runProgram runs one of the programs and returns its exit code.
func runProgram(name string, args []string, base string) int {
	c := &commands{Base: base}
	if c.Base == "" {
		c.Base = os.Getenv("GATEPOST_BASE")
	}
	if c.Base == "" || lent() {
		c.Base = stockBase
	}
	p := &sendmail.Program{
		Base: c.Base, User: loginName(), Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		Terminal: term.IsTerminal(int(os.Stdin.Fd())),
		List:     func() error { return asAdministrator(mailq(c)) },
		Flush:    func() error { return flush(c) },
		Route:    func(address string) (string, error) { return verified(c, address) },
	}
	var err error
	if name == smailerName {
		err = smailer(c, args)
	} else {
		err = programs[name](p, args)
	}
	if err != nil {
		text := err.Error()
		if fault.KindOf(err) == fault.Invalid {
			text = fault.Text(err)
		}
		fmt.Fprintf(os.Stderr, "%s: %s\n", name, text)
	}
	return sendmail.Code(err)
}

func loginName() string {
	uid := strconv.Itoa(os.Getuid())
	if u, err := user.LookupId(uid); err == nil && u.Username != "" {
		return u.Username
	}
	return "uid" + uid
}

// asAdministrator says in what a program could not do which needs the right to administer.
func asAdministrator(err error) error {
	if err == nil {
		return nil
	}
	code := sendmail.ExitUnavail
	if errors.Is(err, os.ErrPermission) || fault.KindOf(err) == fault.Invalid {
		code = sendmail.ExitPerm
	}
	return &sendmail.Error{Code: code, Text: fault.Explain(err)}
}

// flush has the queues tried now, if the caller may; scripts that call it as anybody go on.
func flush(c *commands) error {
	client, err := control.Dial(c.Base)
	if errors.Is(err, os.ErrPermission) || errors.Is(err, control.ErrNotRunning) {
		return nil
	}
	if err != nil {
		return asAdministrator(err)
	}
	a, err := client.Do("GATEPOST QUEUE KICK")
	if err = errors.Join(err, client.Close()); err != nil {
		return asAdministrator(err)
	}
	if !a.OK() {
		return &sendmail.Error{Code: sendmail.ExitUnavail, Text: a.Text}
	}
	return nil
}

// verified says where an address leads; "" if nowhere.
func verified(c *commands, address string) (string, error) {
	v, err := ask(c, "GATEPOST ROUTE "+dataformat.Quote(address)+" MAIL")
	if err != nil {
		return "", asAdministrator(err)
	}
	d, _ := v.(dataformat.Dict)
	route := d.Strings("Route")
	if len(route) != 3 {
		return "", nil
	}
	return fmt.Sprintf("deliverable: %s(%s)%s", route[0], route[1], route[2]), nil
}
