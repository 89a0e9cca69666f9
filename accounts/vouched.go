package accounts

import (
	"context"
	"net/netip"

	"gatepost/server/fault"
)

// This file has the logins without a password: a client certificate (clientcerts.go) or a token of an issuer (tokens.go) says
// whose it is. Nobody can guess one, so that failed logins of the account never keep its owner out, and one that fails counts
// for the address that it came from and for no account: nobody can lock others out with it.

// voucher is what lets somebody in without a password.
type voucher interface {
	// objection is why it does not let the account in as it is now, or "".
	objection(now *Account) string
}

// vouched ends a login of which a voucher is proved.
func (l *Logins) vouched(ctx context.Context, p Peer, domain, name string, v voucher) (*Account, error) {
	const op = "accounts.Vouched"
	a, err := l.store.Account(ctx, domain, name)
	switch kind := fault.KindOf(err); {
	case err == nil:
	case kind.Temporary() && kind != fault.Disabled:
		return nil, err
	default:
		l.ProofFailed(ctx, p, domain, name, "the account cannot be read: "+fault.Explain(err))
		return nil, badCredentials(op)
	}
	t := attempt{peer: p, key: accountKey{a.Domain, a.Name}}
	objection := v.objection(a)
	if objection == "" {
		objection = l.barred(a, p)
	}
	if objection != "" {
		l.ProofFailed(ctx, p, a.Domain, a.Name, objection)
		return nil, badCredentials(op)
	}
	b := *a
	b.voucher, t.account = v, &b
	l.noteLogin(t)
	return &b, nil
}

// ProofFailed counts and logs a failed login with something else than a password. The name is the one it claimed; an account knows
// addresses, and what fails from these in its name counts nowhere: all who share one are not kept out because of a program with an
// old token. The reason goes into the log.
func (l *Logins) ProofFailed(ctx context.Context, p Peer, domain, name, reason string) {
	t := claim(p, domain, name)
	if p.IP.IsValid() && !l.protection.Exempt(p.IP) && !l.knows(ctx, domain, name, p) {
		t.counters = l.ofAddress(p)
	}
	l.mu.Lock()
	for _, c := range t.counters {
		l.underWay[c.failureKey]++
	}
	l.mu.Unlock()
	reached, _ := l.end(&try{counters: t.counters}, failure)
	l.logFailure(t, reason)
	for _, c := range reached {
		l.logBlock(t, c)
	}
}

// ProofExpired logs a failed login with a proof that was right once: a program that will bring another one. It counts for no limit.
func (l *Logins) ProofExpired(p Peer, domain, name, reason string) {
	l.logFailure(claim(p, domain, name), reason)
}

// claim is a login in the name of an account, which is for the log.
func claim(p Peer, domain, name string) attempt {
	return attempt{peer: p, key: accountKey{domain, fold(name[:min(len(name), 256)])}}
}

// knows reports whether there is an account that has lately logged in from the address.
func (l *Logins) knows(ctx context.Context, domain, name string, p Peer) bool {
	a, err := l.store.Account(ctx, domain, name)
	return err == nil && l.isKnown(a, p.IP)
}

// ProofBlocked reports whether too many logins from the address have failed for another proof to be looked at, and logs that. The
// name is who it claims to be: an account gets in from the addresses that it knows.
func (l *Logins) ProofBlocked(ctx context.Context, p Peer, domain, name string) bool {
	if !p.IP.IsValid() || l.protection.Exempt(p.IP) {
		return false
	}
	blocked := l.blocked(l.ofAddress(p))
	if blocked == nil || l.knows(ctx, domain, name, p) {
		return false
	}
	l.counts.Blocked.Inc()
	l.logFailure(claim(p, domain, name), "blocked by "+string(blocked.cause))
	return true
}

// ofAddress is the limit of an address.
func (l *Logins) ofAddress(p Peer) []counter {
	return []counter{{failureKey{cause: ofAddress, network: network(p.IP)}, l.protection.LoginLimit()}}
}

// ReportFailure counts a failed login from an address, which something else than this server has seen.
func (l *Logins) ReportFailure(ctx context.Context, ip netip.Addr) {
	l.ProofFailed(ctx, Peer{IP: ip, Service: "elsewhere"}, l.store.MainDomain(), "?", "it was reported by an administrator")
}
