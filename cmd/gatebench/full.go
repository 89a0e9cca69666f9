package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// fullCommand fills the disk of a Gatepost server with mail and looks whether it
// says so (452), goes on by itself when there is room again, and has every
// message that it acknowledged.
type fullCommand struct {
	Dir      string `help:"A directory on a small file system of its own, such as a tmpfs of 64 MB." required:"" placeholder:"DIR" type:"existingdir"`
	Server   string `help:"The gatepost program; built from this module when not given." placeholder:"FILE"`
	Accounts int    `help:"Accounts that get mail." default:"20"`
	Ballast  int    `help:"Bytes that are given free when the disk is full." default:"16000000"`
	Port     int    `help:"Number that is added to the server's ports." default:"23000"`
}

func (c *fullCommand) Run(ctx context.Context, out *report) error {
	work, err := os.MkdirTemp("", "gatebench-full-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	k := &killCommand{Server: c.Server, Base: filepath.Join(c.Dir, "base"), Accounts: c.Accounts, Port: c.Port}
	if err := k.build(ctx, work); err != nil {
		return err
	}
	if err := k.prepare(ctx, work); err != nil {
		return err
	}
	ballast := filepath.Join(c.Dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, c.Ballast), 0o600); err != nil {
		return fmt.Errorf("write the ballast: %w", err)
	}
	cmd, err := k.start(ctx, true)
	if err != nil {
		return err
	}
	verify := &verifyCommand{Addr: k.addr(143), Password: killPassword}
	err = c.fill(ctx, k, work, verify, out)
	if err == nil {
		err = os.Remove(ballast)
	}
	if err == nil {
		err = c.recover(ctx, k, work, verify, out)
	}
	return errors.Join(err, stop(cmd))
}

// load is one run of messages, 50 to a connection, into a ledger that verify looks at.
func (c *fullCommand) load(k *killCommand, ledger string, messages int, verify *verifyCommand) *smtpCommand {
	verify.Ledger = append(verify.Ledger, ledger)
	return &smtpCommand{Addr: k.addr(25), Conns: 10, Messages: messages, Size: 64 << 10, From: "sender@bench.test",
		Rcpt: "u%03d@" + killDomain, Accounts: c.Accounts, Repeat: 1, Pipelining: true, Ledger: ledger}
}

// fill sends until the server refuses, and looks at what it says.
func (c *fullCommand) fill(ctx context.Context, k *killCommand, work string, verify *verifyCommand, out *report) error {
	l := c.load(k, filepath.Join(work, "filling"), 0, verify)
	if err := l.Run(ctx, out); err != nil {
		return err
	}
	if !strings.HasPrefix(l.refusal, "452 ") {
		return fmt.Errorf("a full disk was answered with %q", l.refusal)
	}
	fmt.Fprintf(os.Stderr, "the server says %q\n", l.refusal)
	// Another, right away: the refusal stands, and the server lives.
	again := c.load(k, filepath.Join(work, "full"), 0, verify)
	return again.Run(ctx, out)
}

// recover sends into the room that was made, and verifies everything.
func (c *fullCommand) recover(ctx context.Context, k *killCommand, work string, verify *verifyCommand, out *report) error {
	after := c.load(k, filepath.Join(work, "after"), 50, verify)
	if err := after.Run(ctx, out); err != nil {
		return err
	}
	if after.refusal != "" {
		return fmt.Errorf("with room again the server says %q", after.refusal)
	}
	if err := k.drain(ctx); err != nil {
		return err
	}
	n, err := verify.look(ctx)
	if err != nil {
		return err
	}
	if _, err := k.gatepost(ctx, "", "check"); err != nil {
		return err
	}
	return out.print("acknowledged, each there exactly once", "messages", float64(n))
}
