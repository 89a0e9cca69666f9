package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// flooded is a Gatepost server that is made for one run, and that only one address of this machine is trusted by.
type flooded struct {
	Server string `help:"The gatepost program; built from this module when not given." placeholder:"FILE"`
	Port   int    `help:"Number that is added to the server's ports." default:"23000"`

	*killCommand `kong:"-"`
	process      *exec.Cmd
	work         string
}

// begin starts the server, after commands of its command line.
func (f *flooded) begin(ctx context.Context, accounts int, commands string) (err error) {
	if f.work, err = os.MkdirTemp("", "gatebench-flood-"); err != nil {
		return err
	}
	f.killCommand = &killCommand{Server: f.Server, Base: filepath.Join(f.work, "base"), Port: f.Port, Accounts: accounts}
	if err := f.build(ctx, f.work); err != nil {
		return err
	}
	if err := f.prepare(ctx, f.work); err != nil {
		return err
	}
	if _, err := f.gatepost(ctx, "SETCLIENTIPS \""+trusted.String()+"\"\n"+commands, "cli"); err != nil {
		return err
	}
	f.process, err = f.killCommand.start(ctx, true)
	return err
}

// finish stops the server and removes what it has made.
func (f *flooded) finish() error {
	var err error
	if f.process != nil {
		err = stop(f.process)
	}
	return errors.Join(err, os.RemoveAll(f.work))
}

// trusted is the Client IP of such a server.
var trusted = netip.MustParseAddr("127.0.0.1")

// addressOf is the address n of a network of this machine: 127.net.0.0/16.
func addressOf(network byte, n int) netip.Addr {
	return netip.AddrFrom4([4]byte{127, network, byte(n >> 8), byte(n&0xff | 1)})
}

// within is a figure that has to be small.
func within(limit time.Duration, what string, taken []time.Duration) error {
	for _, d := range taken {
		if d > limit {
			return fmt.Errorf("%w: %s took %s, and not %s at most", errFindings, what, d.Round(time.Millisecond), limit)
		}
	}
	return nil
}

// statistics reads elements of the server's statistics.
func (f *flooded) statistics(ctx context.Context, elements ...string) ([]float64, error) {
	var out []float64
	for _, e := range elements {
		text, err := f.gatepost(ctx, "", "cli", "GETSTATELEMENT "+e)
		if err != nil {
			return nil, err
		}
		n, err := strconv.ParseFloat(strings.Trim(strings.TrimSpace(text), `"#`), 64)
		if err != nil {
			return nil, fmt.Errorf("GETSTATELEMENT %s: %q", e, text)
		}
		out = append(out, n)
	}
	return out, nil
}
