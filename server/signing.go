package server

import (
	"context"
	"time"

	"gatepost/protocols/mailauth"
	"gatepost/router/address"
	"gatepost/server/logs"
)

// rewritten is the return-path for a stranger's message that is passed on: an address of the Main Domain that
// stands for the given one. It reports false for one that stays as it is.
func (s *Server) rewritten(a address.Address) (address.Address, bool) {
	if _, ours := s.accounts.DomainName(a.Domain); ours || !s.rewrites() {
		return a, false
	}
	srs := mailauth.SRS{Secrets: s.secrets.All()}
	local, ok := srs.Forward(a.Local, a.Domain)
	return address.Address{Local: local, Domain: s.accounts.MainDomain()}, ok
}

// returnPathOf is the address that a name of the Main Domain stands for, if rewritten has made it.
func (s *Server) returnPathOf(local string) (address.Address, bool) {
	if !mailauth.IsSRS(local) {
		return address.Address{}, false
	}
	srs := mailauth.SRS{Secrets: s.secrets.All()}
	text, err := srs.Reverse(local)
	if err != nil {
		return address.Address{}, false
	}
	a, err := address.Parse(text)
	return a, err == nil
}

// leadsBack tells addresses of the Main Domain that lead to a return-path.
func (s *Server) leadsBack(a address.Address) bool {
	if !mailauth.IsSRS(a.Local) {
		return false
	}
	if real, ours := s.accounts.DomainName(a.Domain); a.Domain != "" && (!ours || real != s.accounts.MainDomain()) {
		return false
	}
	_, ok := s.returnPathOf(a.Local)
	return ok
}

// secretsCheck is how often rotateSecrets looks whether a secret is old.
const secretsCheck = 6 * time.Hour

// rotateSecrets keeps the secrets of return-paths and proofs fresh.
func (s *Server) rotateSecrets(ctx context.Context) {
	timer := time.NewTicker(secretsCheck)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			if err := s.secrets.Rotate(); err != nil {
				s.log.Log(ctx, logs.LevelFailure, "the secret of return-paths could not be replaced", logs.AttrError, err)
			}
		}
	}
}
