package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"golang.org/x/term"

	"gatepost/server"
)

type initCommand struct {
	Domain       string `help:"Name of the Main Domain, such as example.com." placeholder:"NAME"`
	PasswordFile string `help:"File whose first line is postmaster's password." placeholder:"FILE" type:"existingfile"`
}

func (i *initCommand) Run(ctx context.Context, c *commands) error {
	dir, err := c.base()
	if err != nil {
		return err
	}
	if i.Domain == "" {
		return wrongUse("no Main Domain; give --domain NAME")
	}
	password, err := i.password(ctx)
	if err != nil {
		return err
	}
	domain, err := server.Init(ctx, server.Config{Base: dir, MainDomain: i.Domain, Messages: os.Stderr}, password)
	if err != nil {
		return err
	}
	fmt.Printf("%s holds the server of %s now. Run it with\n\n    %s serve --base %s\n\n", dir, domain, program(), quoted(dir))
	if password == "" {
		fmt.Print(withoutPassword(dir))
	}
	return nil
}

// password reads the file, or asks at a terminal; elsewhere there is none.
func (i *initCommand) password(ctx context.Context) (string, error) {
	if i.PasswordFile != "" {
		f, err := os.Open(i.PasswordFile)
		if err != nil {
			return "", err
		}
		defer f.Close()
		line, err := bufio.NewReader(io.LimitReader(f, 4096)).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return "", err
		}
		if line = strings.TrimRight(line, "\r\n"); line == "" {
			return "", wrongUse("the first line of %s is empty", i.PasswordFile)
		}
		return line, nil
	}
	if !term.IsTerminal(int(os.Stdin.Fd())) {
		return "", nil
	}
	person := newTerminal(os.Stdin, os.Stderr, "")
	var typed [2]string
	for n, prompt := range [2]string{"Password for postmaster: ", "Again: "} {
		var err error
		if typed[n], err = person.password(ctx, prompt); err != nil {
			return "", fmt.Errorf("nothing was created: %w", err)
		}
	}
	switch {
	case typed[0] == "":
		return "", errors.New("the password is empty")
	case typed[0] != typed[1]:
		return "", errors.New("the two passwords differ")
	}
	return typed[0], nil
}

func withoutPassword(dir string) string {
	return fmt.Sprintf("postmaster has no password yet, so nobody can log in as postmaster. To choose one, type\n\n"+
		"    %s cli --base %s\n    SETACCOUNTPASSWORD postmaster PASSWORD \"...\"\n\n", program(), quoted(dir))
}

// newBase is what serve says when it has made the base directory.
func newBase(dir, domain string) string {
	return fmt.Sprintf("There was no base directory %[1]s: this is a new one, without accounts and mail. Its Main Domain is %[2]s,\n"+
		"the name of this machine. If you meant another directory, stop the server and remove this one.\n"+
		"To choose the domain and postmaster's password, stop the server and type\n\n"+
		"    %[3]s init --base %[4]s --domain example.com\n\n", dir, domain, program(), quoted(dir))
}

// setupLinks says where a browser sets the password.
func setupLinks(anywhere, here string) string {
	text := ""
	if anywhere != "" {
		text = "Or set it in a browser with this one-time link, which is good until there is a password (the name may also be an\n" +
			"address of this machine; the browser warns of the certificate, which nobody has signed yet):\n\n    " + anywhere + "\n\n"
	}
	if here != "" {
		text += "On this machine, or through an SSH tunnel, the link is not needed:\n\n    " + here + "\n\n"
	}
	return text
}

type serveCommand struct {
	Listen    []string `help:"Addresses for listeners that name none; all when not given." placeholder:"IP"`
	PortShift int      `help:"Number that is added to every listener's port." placeholder:"N"`
}

func (v *serveCommand) Run(ctx context.Context, c *commands) error {
	dir, err := c.base()
	if err != nil {
		return err
	}
	fresh := !server.Exists(dir)
	s, err := server.New(server.Config{Base: dir, Listen: v.Listen, PortShift: v.PortShift, Messages: os.Stdout})
	if err != nil {
		return err
	}
	has, err := s.HasPassword(ctx)
	switch {
	case err != nil:
		return errors.Join(err, s.Close())
	case fresh:
		fmt.Print(newBase(dir, s.MainDomain()))
	case !has:
		fmt.Print(withoutPassword(dir))
	}
	fmt.Print(setupLinks(s.SetupLinks()))
	ended := make(chan struct{})
	defer close(ended)
	go notifyReady(s.Ready(), ended)
	reload := make(chan os.Signal, 1)
	signal.Notify(reload, syscall.SIGHUP)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range reload {
			_ = s.Reload(ctx) // it has logged an error, which shows it here too
		}
	}()
	err = s.Run(ctx)
	signal.Stop(reload)
	close(reload)
	<-done
	return errors.Join(err, s.Close())
}

type versionCommand struct{}

func (versionCommand) Run() error {
	fmt.Println("gatepost", server.Build())
	return nil
}
