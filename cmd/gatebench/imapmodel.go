package main

import (
	"context"
	"net"
	"time"

	"gatepost/protocols/imap/imapmodel"
)

type imapModelCommand struct {
	server
	Clients int      `help:"Clients at a time." default:"50"`
	Minutes float64  `help:"For how long." default:"10"`
	Boxes   []string `help:"Mailboxes of the account that all clients share. They should not exist." default:"Model1,Model2,Model3"`
	Seed    uint64   `help:"What the clients do by chance follows from it; 0 for another one each time."`
}

// Run is the long form of a test of protocols/imap.
func (c *imapModelCommand) Run(ctx context.Context, out *report) error {
	if c.Seed == 0 {
		c.Seed = uint64(time.Now().UnixNano())
	}
	var d net.Dialer
	done, err := imapmodel.Run(ctx, imapmodel.Options{
		Dial: func(ctx context.Context) (net.Conn, error) { return d.DialContext(ctx, "tcp", c.Addr) },
		User: c.user(0), Password: c.Password, Boxes: c.Boxes, Clients: c.Clients,
		For: time.Duration(c.Minutes * float64(time.Minute)), Seed: c.Seed,
	})
	if err != nil {
		return err
	}
	if err := out.print("commands that agreed with the model", "", float64(done.Commands)); err != nil {
		return err
	}
	return out.print("clients that were killed and came back", "", float64(done.Kills))
}
