package main

import (
	"errors"
	"fmt"
	"os"
	"text/tabwriter"

	"gatepost/server/dataformat"
)

type gatewayCommand struct {
	List gatewayListCommand `cmd:"" help:"List the gateways."`
	Test gatewayTestCommand `cmd:"" help:"Connect to a gateway, log in and send a message, and tell each step."`
}

type gatewayListCommand struct{}

func (gatewayListCommand) Run(c *commands) error {
	v, err := ask(c, "LISTGATEWAYS")
	if err != nil {
		return err
	}
	names, ok := v.(dataformat.Array)
	if !ok {
		return errors.New("the answer of the server has no list")
	}
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "NAME\tHOST\tTLS\tUSER\tFOR")
	for _, n := range names {
		name, _ := dataformat.Text(n)
		v, err := ask(c, "GETGATEWAY "+dataformat.Quote(name))
		if err != nil {
			return err
		}
		d, _ := v.(dataformat.Dict)
		fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%s\n", name, gatewayHost(d), or(d.String("TLS"), "Verified"), or(d.String("User"), "-"), gatewayFor(d))
	}
	return out.Flush()
}

func gatewayHost(d dataformat.Dict) string {
	if port := d.String("Port"); port != "" {
		return d.String("Host") + ":" + port
	}
	return d.String("Host")
}

// gatewayFor says whose mail a gateway takes.
func gatewayFor(d dataformat.Dict) string {
	text := ""
	if d.String("Default") == "YES" {
		text = "all"
	}
	for _, s := range d.Strings("Senders") {
		if text != "" {
			text += ", "
		}
		text += s
	}
	if d.String("Enabled") == "NO" {
		text = "disabled"
	}
	return or(text, "destinations that name it")
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

type gatewayTestCommand struct {
	Name string `arg:"" help:"The gateway."`
	To   string `help:"Who gets the message; postmaster of the Main Domain if nobody is named." placeholder:"ADDRESS"`
}

func (g *gatewayTestCommand) Run(c *commands) error {
	command := "TESTGATEWAY " + dataformat.Quote(g.Name)
	if g.To != "" {
		command += " TO " + dataformat.Quote(g.To)
	}
	v, err := ask(c, command)
	if err != nil {
		return err
	}
	d, ok := v.(dataformat.Dict)
	if !ok {
		return errors.New("the answer of the server has no steps")
	}
	for _, step := range d.Strings("Steps") {
		fmt.Println(step)
	}
	if d.String("Success") != "YES" {
		return errSaidNo
	}
	return nil
}
