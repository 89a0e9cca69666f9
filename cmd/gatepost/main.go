// Command gatepost is the mail server and everything to administer it.
//
// "gatepost --help" lists the subcommands; docs/man/gatepost.md describes them.
// Exit codes: 0 done, 1 the command ran and said no (an error answer, findings
// of check), 2 it could not run, 78 (EX_CONFIG of sysexits.h) it could not run and will
// not before the command line, the settings or the base directory are mended.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/alecthomas/kong"

	"gatepost/server"
	"gatepost/server/fault"
)

// errSaidNo ends a command with exit code 1; what it had to say is printed.
var errSaidNo = errors.New("said no")

type commands struct {
	Base         string           `help:"Base directory." env:"GATEPOST_BASE" placeholder:"DIR"`
	PrintVersion kong.VersionFlag `name:"version" help:"Print the version."`

	Demo     demoCommand     `cmd:"" help:"Run a throw-away server that proves itself with a message and says what to try."`
	Init     initCommand     `cmd:"" help:"Create a base directory."`
	Serve    serveCommand    `cmd:"" help:"Run the server in the foreground."`
	Cli      cliCommand      `cmd:"" help:"Run CLI commands as postmaster, from the arguments or standard input."`
	Check    checkCommand    `cmd:"" help:"Compare the index with the message files."`
	Route    routeCommand    `cmd:"" help:"Explain where an address leads."`
	DNS      dnsCommand      `cmd:"" name:"dns" help:"Print the DNS records that a domain needs, or check them."`
	TLS      tlsCommand      `cmd:"" name:"tls" help:"Say what encryption mail to a domain would have, and try it."`
	Queue    queueCommand    `cmd:"" help:"Look into the queue, and change what waits in it."`
	Rules    rulesCommand    `cmd:"" help:"Try rules on a message."`
	Import   importCommand   `cmd:"" help:"Make accounts of a table, or store the calendars or contacts that another program has exported."`
	Export   exportCommand   `cmd:"" help:"Write accounts, calendars or contacts to files."`
	Messages messagesCommand `cmd:"" help:"Find messages in the mailboxes of all accounts, or remove them."`
	Backup   backupCommand   `cmd:"" help:"Make backups, and look at them."`
	Restore  restoreCommand  `cmd:"" help:"Restore a backup, or an account or a mailbox of it."`
	Gateway  gatewayCommand  `cmd:"" help:"List and test the servers that take mail for elsewhere."`
	Sendmail programCommand  `cmd:"" help:"Send a message from standard input, as the program sendmail." passthrough:""`
	Mail     programCommand  `cmd:"" help:"Send a text from standard input, as the program mail." passthrough:""`
	Mailq    programCommand  `cmd:"" help:"List the queue, as the program mailq." passthrough:""`
	Smailer  programCommand  `cmd:"" help:"List or send what waits in a drop folder or drop table, as the program smailer." passthrough:""`

	Version versionCommand `cmd:"" help:"Print the version."`
	Help    helpCommand    `cmd:"" help:"Print this list, or the arguments and flags of a command."`
}

func main() {
	if name, args, base, ok := asProgram(os.Args); ok {
		os.Exit(runProgram(name, args, base))
	}
	if lent() {
		fail(wrongUse("this program is set-user-ID or set-group-ID, and then only sends mail: call it sendmail or mail"))
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	var c commands
	parser, err := kong.New(&c, kong.Name("gatepost"), kong.UsageOnError(),
		kong.Description("A mail and groupware server in one program."),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}), kong.Vars{"version": "gatepost " + server.Build()})
	if err != nil {
		fail(err)
	}
	call, err := parser.Parse(os.Args[1:])
	if err != nil {
		fail(misused(err))
	}
	call.BindTo(ctx, (*context.Context)(nil))
	switch err := call.Run(&c); {
	case errors.Is(err, errSaidNo):
		os.Exit(1)
	case err != nil:
		fail(err)
	}
}

// misused adds to an error of the command line where to look.
func misused(err error) error { return wrongUse("%v; 'gatepost --help' lists the commands", err) }

func wrongUse(format string, args ...any) error {
	return fault.Newf("gatepost", fault.Invalid, format, args...)
}

// The exit codes of commands that could not run.
const (
	exitFailed = 2
	exitConfig = 78 // EX_CONFIG
)

func fail(err error) {
	fmt.Fprintln(os.Stderr, "gatepost:", fault.Explain(err))
	code := exitFailed
	switch fault.KindOf(err) {
	case fault.Invalid, fault.Denied, fault.Corrupt, fault.Unsupported:
		code = exitConfig // trying again does not help
	}
	os.Exit(code)
}

// base is the base directory, which every command but demo and version needs.
func (c *commands) base() (string, error) {
	if c.Base == "" {
		return "", wrongUse("no base directory; give --base DIR or set GATEPOST_BASE")
	}
	return filepath.Abs(c.Base)
}

type helpCommand struct {
	Command []string `arg:"" optional:"" help:"The command; without one, all are listed."`
}

// Run is --help in other words. Parsing ends the process when it meets that flag.
func (h helpCommand) Run(call *kong.Context) error {
	if _, err := call.Kong.Parse(append(h.Command, "--help")); err != nil {
		return misused(err)
	}
	return nil
}
