package acme

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/mholt/acmez/v3/acme"

	"gatepost/server/logs"
	"gatepost/server/program"
)

// hookLimit is how long DNSProgram may take for one record.
const hookLimit = 2 * time.Minute

// hook makes and removes TXT records by a program.
type hook struct {
	program string
	wait    time.Duration
	log     *slog.Logger
}

// Present makes the record.
func (h *hook) Present(ctx context.Context, c acme.Challenge) error { return h.run(ctx, "add", c) }

// Wait gives name servers time to have it.
func (h *hook) Wait(ctx context.Context, _ acme.Challenge) error {
	timer := time.NewTimer(h.wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// CleanUp removes the record.
func (h *hook) CleanUp(ctx context.Context, c acme.Challenge) error {
	return h.run(context.WithoutCancel(ctx), "remove", c)
}

func (h *hook) run(ctx context.Context, do string, c acme.Challenge) error {
	ctx, cancel := context.WithTimeout(ctx, hookLimit)
	defer cancel()
	p := &program.Program{Path: h.program, Args: []string{do, c.DNS01TXTRecordName(), c.DNS01KeyAuthorization()}, Dir: "/"}
	res, err := p.Run(ctx, strings.NewReader(""), 4096)
	if err == nil && res.Reason != "" {
		err = fmt.Errorf("DNSProgram %s %s: %s %s", do, c.DNS01TXTRecordName(), res.Reason, strings.TrimSpace(res.Errors))
	}
	if err != nil {
		h.log.Log(ctx, logs.LevelFailure, "DNSProgram failed", "do", do, "record", c.DNS01TXTRecordName(), logs.AttrError, err)
	}
	return err
}
