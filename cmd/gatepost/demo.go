package main

import (
	"context"
	"os"

	"gatepost/server/demo"
)

type demoCommand struct {
	Once      bool `help:"Stop after the proof."`
	PortShift int  `help:"Number that is added to every port; by default one at which all are free." placeholder:"N"`
}

func (d *demoCommand) Run(ctx context.Context) error {
	return demo.Run(ctx, demo.Options{Once: d.Once, PortShift: d.PortShift, Program: program(), Out: os.Stdout})
}
