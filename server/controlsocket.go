package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"time"

	"gatepost/server/control"
	"gatepost/server/logs"
	"gatepost/server/program"
)

// acceptRetry is the pause after a failure to accept.
const acceptRetry = time.Second

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
		defer s.removeControl(path)
		for {
			conn, err := ln.Accept()
			if ctx.Err() != nil {
				if err == nil {
					conn.Close()
				}
				return
			}
			if err != nil {
				// Out of descriptors, most likely. An administrator needs this socket all the more.
				s.log.Log(ctx, logs.LevelFailure, "the control socket does not accept connections; trying again", logs.AttrError, err)
				select {
				case <-ctx.Done():
				case <-time.After(acceptRetry):
				}
				continue
			}
			s.listeners.wg.Go(func() { s.controlSession(ctx, conn) })
		}
	})
	return nil
}

// removeControl removes the socket at the stop, while the directory is still
// locked: where it is, a server runs or was killed.
func (s *Server) removeControl(path string) {
	if err := os.Remove(path); err != nil {
		s.log.Log(context.Background(), logs.LevelFailure, "the control socket could not be removed", logs.AttrError, err)
	}
}

func (s *Server) controlSession(ctx context.Context, conn net.Conn) {
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	defer conn.Close()
	if unix, ok := conn.(*net.UnixConn); ok {
		// A program that mail was given to runs as the server's user if that is not root.
		switch sandboxed, err := program.FromSandbox(unix); {
		case err != nil:
			s.log.Log(ctx, logs.LevelProblem, "a client of the control socket is turned away, as nobody can tell who it is", logs.AttrError, err)
			return
		case sandboxed:
			s.log.Log(ctx, logs.LevelFailure, "a program in the sandbox has tried to administer the server, and is turned away")
			return
		}
	}
	s.pwd.ServeControl(ctx, conn)
}
