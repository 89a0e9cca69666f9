package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"

	"gatepost/server/control"
	"gatepost/server/logs"
)

// serveControl opens control.sock for the owner of the base directory. The
// directory is locked by this process, so that a socket found there was left
// by one that was killed.
func (s *Server) serveControl() error {
	path := s.base.path(control.Socket)
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the old control socket: %w", err)
	}
	ln, err := control.Listen(path)
	if err != nil {
		return fmt.Errorf("open the control socket: %w", err)
	}
	ctx := s.listeners.ctx
	stop := context.AfterFunc(ctx, func() { ln.Close() })
	s.listeners.wg.Go(func() {
		defer stop()
		for {
			conn, err := ln.Accept()
			if err != nil {
				if ctx.Err() == nil {
					s.log.Log(ctx, logs.LevelFailure, "control socket closed", logs.AttrError, err)
				}
				return
			}
			s.listeners.wg.Go(func() { s.controlSession(ctx, conn) })
		}
	})
	return nil
}

func (s *Server) controlSession(ctx context.Context, conn net.Conn) {
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	defer conn.Close()
	s.pwd.ServeControl(ctx, conn)
}
