package server

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"

	"gatepost/accounts"
	"gatepost/server/control"
	"gatepost/server/logs"
	"gatepost/server/settings"
)

// Postmaster is the account that owns the server.
const Postmaster = accounts.Postmaster

// Exists reports whether dir is a base directory.
func Exists(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "Settings", "Main.settings"))
	return err == nil
}

// Init creates the base directory with its Main Domain and sets postmaster's
// password. It does the same for one that is there and not in use: a start has made
// it, or an Init with a misspelt name. It returns the name of the Main Domain as it is
// stored.
func Init(ctx context.Context, c Config, password string) (domain string, err error) {
	// Names and password are validated before anything is written: a half-made base
	// directory would make the next attempt fail.
	domain, err = accounts.CheckDomainName(c.MainDomain)
	if err = cmp.Or(err, accounts.CheckPassword(password)); err != nil {
		return "", err
	}
	s, err := New(c)
	if err != nil {
		return "", err
	}
	err = s.name(ctx, domain)
	if err == nil && password != "" {
		err = s.accounts.SetPassword(ctx, domain, Postmaster, password, false)
	}
	return domain, errors.Join(err, s.Close())
}

// name gives the Main Domain the name that it was made with or, while nothing
// depends on the old one, another.
func (s *Server) name(ctx context.Context, domain string) error {
	old := s.accounts.MainDomain()
	has, err := s.HasPassword(ctx)
	if err != nil || old == domain && !has {
		return err
	}
	unused, err := s.unused(ctx)
	switch {
	case err != nil:
		return err
	case old == domain:
		return badBase("%s is a base directory already, of the server of %s; 'gatepost serve' runs it", s.base.dir, old)
	case !unused:
		return badBase("%s is a base directory already, of the server of %s, and has accounts or mail; "+
			"\"gatepost cli 'UPDATESERVERSETTINGS {DomainName=%s;}'\" gives it another name", s.base.dir, old, domain)
	}
	if err := s.accounts.RenameDomain(ctx, old, domain); err != nil {
		return err
	}
	s.log.Log(ctx, logs.LevelMajor, "the Main Domain was renamed", "from", old, "to", domain)
	if err := s.dropOwnCertificate(); err != nil {
		return err
	}
	return s.reloadCertificate()
}

// unused reports whether the server holds nothing but what a first start makes.
func (s *Server) unused(ctx context.Context) (bool, error) {
	domains, err := s.accounts.Domains(ctx)
	if err != nil || len(domains) != 1 || s.queue.Len() > 0 {
		return false, err
	}
	list, err := s.accounts.ListObjects(ctx, domains[0], accounts.ListOptions{Limit: 1, Accounts: true, Aliases: true, Forwarders: true})
	if err != nil || list.Accounts != 1 || list.Aliases+list.Forwarders > 0 {
		return false, err
	}
	postmaster, err := s.accounts.Account(ctx, domains[0], Postmaster)
	if err != nil {
		return false, err
	}
	usage, err := postmaster.Mail().Usage(ctx)
	return usage.Messages == 0, err
}

// HasPassword reports whether postmaster has a password. Without one postmaster cannot log in.
func (s *Server) HasPassword(ctx context.Context) (bool, error) {
	a, err := s.accounts.Account(ctx, s.accounts.MainDomain(), Postmaster)
	if err != nil {
		return false, err
	}
	return a.HasPassword(), nil
}

// newSetupSecret makes what the one-time link has, if postmaster has no password.
func (s *Server) newSetupSecret() (string, error) {
	has, err := s.HasPassword(context.Background())
	if err != nil || has {
		return "", err
	}
	return rand.Text(), nil
}

// SetupLinks are the addresses of the page that sets postmaster's password: with the one-time
// link from anywhere, and without it on this machine. They are empty when there is a password, and
// where HTTPA has no such listener.
func (s *Server) SetupLinks() (anywhere, here string) {
	if s.setupSecret == "" {
		return "", ""
	}
	if port := s.httpsPort(adminsModule); port != 0 {
		anywhere = fmt.Sprintf("https://%s:%d/?link=%s", s.MainDomain(), port, s.setupSecret)
	}
	if m, err := s.module(adminsModule); err == nil {
		for _, l := range m.common.Load().Listener {
			if l.TLS != settings.TLSImplicit && here == "" {
				here = fmt.Sprintf("http://localhost:%d/", l.Port+s.config.PortShift)
			}
		}
	}
	return anywhere, here
}

// MainDomain is the name of the Main Domain.
func (s *Server) MainDomain() string { return s.accounts.MainDomain() }

// Connect returns a client of the server on a base directory: of the running
// one through its control socket, else of one that is opened for the purpose,
// without listeners and deliveries, and closed with the client.
func Connect(dir string) (*control.Client, error) {
	client, err := control.Dial(dir)
	if errors.Is(err, fs.ErrPermission) {
		err = cmp.Or(checkOwner(dir), err)
	}
	if err == nil || !errors.Is(err, control.ErrNotRunning) {
		return client, err
	}
	if !Exists(dir) {
		return nil, cmp.Or(checkMainSettings(dir), badBase("%s is not a base directory", dir))
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
