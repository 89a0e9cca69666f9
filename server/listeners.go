package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"gatepost/server/fault"
	"gatepost/server/logs"
	"gatepost/server/settings"
)

// listeners runs what the modules' Listener settings name. reconcile alone
// changes the set, with the server's changing lock held.
type listeners struct {
	shift  int      // added to every port
	listen []string // addresses that take the place of an empty Address
	log    *slog.Logger

	ctx     context.Context // of all sessions, from Run
	running map[string]net.Listener
	wg      sync.WaitGroup
}

// wanted is one socket to have.
type wanted struct {
	module   *module
	listener settings.Listener
	address  string // host:port as bound
}

func (l *listeners) wanted(modules []*module) []wanted {
	var all []wanted
	for _, m := range modules {
		if m.serve == nil {
			continue
		}
		for _, spec := range m.common.Load().Listener {
			hosts := []string{spec.Address}
			if spec.Address == "" && len(l.listen) > 0 {
				hosts = l.listen
			}
			for _, host := range hosts {
				all = append(all, wanted{m, spec, net.JoinHostPort(host, strconv.Itoa(spec.Port+l.shift))})
			}
		}
	}
	return all
}

func (w wanted) key() string {
	l := w.listener
	return fmt.Sprintf("%s %s %s %d %q %q", w.module.name, w.address, l.TLS, l.PerIP, l.Allow.String(), l.Proxies.String())
}

// reconcile closes the listeners that the settings no longer have and opens the new ones. Sessions
// of a closed listener go on. Ports that cannot be bound are reported together;
// the others are served all the same.
func (l *listeners) reconcile(ctx context.Context, modules []*module) []error {
	if l.ctx == nil {
		return nil // not started yet
	}
	list, want := l.wanted(modules), map[string]bool{}
	for _, w := range list {
		want[w.key()] = true
	}
	for key, ln := range l.running {
		if !want[key] {
			delete(l.running, key)
			if err := ln.Close(); err != nil {
				l.log.Log(ctx, logs.LevelProblem, "a listener could not be closed", logs.AttrError, err)
			}
		}
	}
	var faults []error
	for _, w := range list {
		key := w.key()
		if _, ok := l.running[key]; ok {
			continue
		}
		ln, err := l.start(w)
		if err != nil {
			faults = append(faults, err)
			l.log.Log(ctx, logs.LevelFailure, "a listener could not be started", logs.AttrError, fault.Text(err))
			continue
		}
		l.running[key] = ln
	}
	return faults
}

func (l *listeners) start(w wanted) (net.Listener, error) {
	ln, err := (&net.ListenConfig{}).Listen(l.ctx, "tcp", w.address)
	if err != nil {
		return nil, bindFault(w, err)
	}
	l.wg.Go(func() {
		if err := w.module.serve(l.ctx, boundListener{ln, w.module}, w.listener); err != nil && l.ctx.Err() == nil {
			l.log.Log(l.ctx, logs.LevelFailure, "a listener has failed", "module", w.module.name, "address", w.address, logs.AttrError, err)
		}
	})
	l.log.Log(l.ctx, logs.LevelMajor, "listening", "module", w.module.name, "address", w.address, "tls", w.listener.TLS.String())
	return ln, nil
}

// bindFault names port, reason and remedy.
func bindFault(w wanted, err error) error {
	kind, remedy := fault.Unavailable, "give another address or port in Settings/"+w.module.file
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		remedy = "stop the program that has it (ss -ltnp shows it), use --port-shift, or " + remedy
	case errors.Is(err, syscall.EACCES), errors.Is(err, os.ErrPermission):
		kind, remedy = fault.Denied, "start it by systemd with the unit of docs/admin/gatepost.service, give the program CAP_NET_BIND_SERVICE, or use --port-shift"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		remedy = "the address is not one of this machine's; " + remedy
	}
	reason := err.Error()
	var sys syscall.Errno
	if errors.As(err, &sys) {
		reason = sys.Error()
	}
	return &fault.Error{Op: "server.Listen", Kind: kind, Err: err,
		Text: fmt.Sprintf("%s cannot listen on %s: %s; %s", w.module.name, strings.TrimPrefix(w.address, ":"), reason, remedy)}
}

// wait returns when all listeners and sessions have ended.
func (l *listeners) wait() { l.wg.Wait() }
