package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"

	"gatepost/accounts"
	"gatepost/server/control"
	"gatepost/server/fault"
)

// Postmaster is the account that owns the server.
const Postmaster = accounts.Postmaster

// Exists reports whether dir is a base directory.
func Exists(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "Settings", "Main.settings"))
	return err == nil
}

// Init creates the base directory with its Main Domain and sets postmaster's
// password. It refuses a directory that is one already. It returns the name of the
// Main Domain as it is stored.
func Init(ctx context.Context, c Config, password string) (domain string, err error) {
	if Exists(c.Base) {
		return "", fmt.Errorf("%s is a base directory already; 'gatepost serve --base %s' runs it", c.Base, c.Base)
	}
	// Before anything is on the disk: what is half done would be in the way of
	// the next try.
	domain, err = accounts.CheckDomainName(c.MainDomain)
	if err = cmp.Or(err, accounts.CheckPassword(password)); err != nil {
		return "", errors.New(fault.Text(err))
	}
	s, err := New(c)
	if err != nil {
		return "", err
	}
	if password != "" {
		err = s.accounts.SetPassword(ctx, domain, Postmaster, password, false)
	}
	return domain, errors.Join(err, s.Close())
}

// HasPassword reports whether postmaster has a password: without one, nobody
// can log in as postmaster yet.
func (s *Server) HasPassword(ctx context.Context) (bool, error) {
	a, err := s.accounts.Account(ctx, s.accounts.MainDomain(), Postmaster)
	if err != nil {
		return false, err
	}
	return a.HasPassword(), nil
}

// MainDomain is the name of the Main Domain.
func (s *Server) MainDomain() string { return s.accounts.MainDomain() }

// Connect returns a client of the server on a base directory: of the running
// one through its control socket, else of one that is opened for the purpose,
// without listeners and deliveries, and closed with the client.
func Connect(dir string) (*control.Client, error) {
	client, err := control.Dial(dir)
	if err == nil || !errors.Is(err, control.ErrNotRunning) {
		return client, err
	}
	if !Exists(dir) {
		return nil, cmp.Or(bereft(dir), fmt.Errorf("%s is not a base directory", dir))
	}
	s, err := New(Config{Base: dir, Messages: io.Discard})
	if err != nil {
		return nil, err
	}
	ours, theirs := net.Pipe()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.pwd.ServeControl(ctx, theirs)
		theirs.Close()
	}()
	client, err = control.NewClient(ours)
	closing := func() error {
		cancel()
		<-done
		return s.Close()
	}
	if err != nil {
		return nil, errors.Join(err, ours.Close(), closing())
	}
	client.OnClose(closing)
	return client, nil
}
