package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"gatepost/server"
	"gatepost/server/control"
	"gatepost/server/dataformat"
)

type cliCommand struct {
	Command []string `arg:"" optional:"" help:"The command; without one, commands are read from standard input, one per line." passthrough:""`
}

// trailingBase reads a --base behind the command and removes it there: kong does not parse
// what follows the first word of a command.
func (l *cliCommand) trailingBase(c *commands) {
	n := len(l.Command)
	if n == 0 {
		return
	}
	if dir, ok := strings.CutPrefix(l.Command[n-1], "--base="); ok {
		c.Base, l.Command = dir, l.Command[:n-1]
	} else if n > 1 && l.Command[n-2] == "--base" {
		c.Base, l.Command = l.Command[n-1], l.Command[:n-2]
	}
}

func (l *cliCommand) Run(ctx context.Context, c *commands) error {
	l.trailingBase(c)
	dir, err := c.base()
	if err != nil {
		return err
	}
	client, err := server.Connect(dir)
	if err != nil {
		return err
	}
	// Ctrl-C ends a command whose answer takes long.
	stop := context.AfterFunc(ctx, client.Interrupt)
	defer stop()
	switch {
	case len(l.Command) > 0:
		err = runCommand(client, strings.Join(l.Command, " "))
	case term.IsTerminal(int(os.Stdin.Fd())) && term.IsTerminal(int(os.Stdout.Fd())):
		err = interact(ctx, client)
	default:
		err = runCommands(ctx, client, os.Stdin)
	}
	if ctx.Err() != nil {
		err = errLeft
	}
	return errors.Join(err, client.Close())
}

// runCommands runs what it reads until the end; one error answer does not stop
// the others, but the exit code tells.
func runCommands(ctx context.Context, client *control.Client, in io.Reader) error {
	lines := bufio.NewReaderSize(in, 64<<10)
	var said error
	for {
		line, readErr := interruptible(ctx, func() (string, error) { return lines.ReadString('\n') })
		if command := strings.TrimSpace(line); command != "" {
			if strings.EqualFold(command, "EXIT") {
				return said
			}
			err := runCommand(client, command)
			if err != nil && !errors.Is(err, errSaidNo) {
				return err
			}
			if err != nil {
				said = err
			}
			if strings.EqualFold(command, "QUIT") {
				return said
			}
		}
		if errors.Is(readErr, io.EOF) {
			return said
		}
		if readErr != nil {
			return readErr
		}
	}
}

func runCommand(client *control.Client, command string) error {
	a, err := client.Do(command)
	if err != nil {
		return err
	}
	show(command, a)
	switch {
	case !a.OK():
		return errSaidNo
	case a.Data == nil && a.Text != "OK":
		fmt.Fprintln(os.Stderr, a.Text) // what a person should know, beside the data that programs read
	}
	return nil
}

// ask runs a command whose answer is data.
func ask(c *commands, command string) (dataformat.Value, error) {
	a, err := give(c, command)
	if err != nil {
		return nil, err
	}
	if a.Data == nil {
		return nil, errors.New(a.Text)
	}
	return a.Data, nil
}

// order runs a command that answers nothing.
func order(c *commands, command string) error {
	a, err := give(c, command)
	if err == nil && !a.OK() {
		err = errors.New(a.Text)
	}
	return err
}

func give(c *commands, command string) (control.Answer, error) {
	dir, err := c.base()
	if err != nil {
		return control.Answer{}, err
	}
	client, err := server.Connect(dir)
	if err != nil {
		return control.Answer{}, err
	}
	a, err := client.Do(command)
	return a, errors.Join(err, client.Close())
}

type checkCommand struct {
	Tidy    bool `help:"First remove the files that crashes have left in the directories of accounts."`
	Reindex bool `help:"First make the search index anew."`
}

func (k checkCommand) Run(c *commands) error {
	dir, err := c.base()
	if err != nil {
		return err
	}
	if k.Reindex {
		lines, err := server.Reindex(dir)
		for _, line := range lines {
			fmt.Println(line)
		}
		if err != nil {
			return err
		}
	}
	findings, err := server.Check(context.Background(), dir, k.Tidy)
	if err != nil {
		return err
	}
	clean := true
	for _, line := range findings {
		fmt.Println(line)
		clean = clean && server.IsNote(line)
	}
	if !clean {
		return errSaidNo
	}
	fmt.Println("clean")
	return nil
}

type routeCommand struct {
	Address string `arg:"" help:"The address to route."`
	Type    string `arg:"" optional:"" enum:"mail,access,signal," default:"" help:"What it is routed for: mail (the default), access or signal."`
	Mail    bool   `help:"Route it as a recipient of mail." xor:"type"`
	Access  bool   `help:"Route it as a login name." xor:"type"`
	Signal  bool   `help:"Route it as the target of a call." xor:"type"`
	From    string `placeholder:"IP|USER" help:"Say what RCPT answers to a client at this address, or to this account."`
}

// operation is what the address is routed for.
func (r *routeCommand) operation() (string, error) {
	given := r.Type
	for word, flag := range map[string]bool{"mail": r.Mail, "access": r.Access, "signal": r.Signal} {
		if !flag {
			continue
		}
		if given != "" && given != word {
			return "", wrongUse("both %s and --%s are given", given, word)
		}
		given = word
	}
	if r.From != "" && given != "" && given != "mail" {
		return "", wrongUse("--from is about mail, not %s", given)
	}
	return cmp.Or(given, "mail"), nil
}

// stepsOfLoop is how many steps of a routing loop are shown: the others repeat them.
const stepsOfLoop = 3

func (r *routeCommand) Run(c *commands) error {
	as, err := r.operation()
	if err != nil {
		return err
	}
	more := as
	if r.From != "" {
		more = "FROM " + dataformat.Quote(r.From)
	}
	v, err := ask(c, "GATEPOST ROUTE "+dataformat.Quote(r.Address)+" "+more)
	if err != nil {
		return err
	}
	d, ok := v.(dataformat.Dict)
	if !ok {
		return errors.New("the answer of the server has no route")
	}
	fmt.Printf("%s as %s\n", r.Address, as)
	steps, _ := d["Steps"].(dataformat.Array)
	looped := strings.HasSuffix(d.String("Error"), "loop")
	for i, e := range steps {
		if looped && i == stepsOfLoop {
			fmt.Println("  ...")
			break
		}
		st, _ := e.(dataformat.Dict)
		by := "built in: " + st.String("Text")
		if line := st.String("Line"); line != "0" {
			by = "line " + line + ": " + st.String("Text")
		}
		mark := ""
		if st.String("Relay") == "YES" {
			mark = ", marked for relaying"
		}
		fmt.Printf("  %s -> %s   (%s%s)\n", st.String("From"), st.String("To"), by, mark)
	}
	refused := d.String("Error")
	if route := d.Strings("Route"); refused != "" {
		fmt.Println("refused:", refused)
	} else if len(route) != 3 {
		return errors.New("the answer of the server has no route")
	} else {
		fmt.Printf("%s(%s)%s\n", route[0], route[1], route[2])
		fmt.Println(d.String("Verdict"))
	}
	if r.From != "" {
		fmt.Printf("to %s: %s\n", d.String("Client"), d.String("Reply"))
		refused = cmp.Or(refused, strings.TrimPrefix(d.String("Code"), "250"))
	}
	if refused != "" {
		return errSaidNo
	}
	return nil
}
