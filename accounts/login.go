package accounts

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"time"

	"gatepost/accounts/cache"
	"gatepost/accounts/password"
	tally "gatepost/server/counters"
	"gatepost/server/fault"
	"gatepost/server/logs"
	"gatepost/server/settings"
)

// Logins lets people in.
type Logins struct {
	*limits
	counts    LoginCounts
	store     *Store
	addresses *cache.Cache[uint64, []knownAddress] // by account ID, see known.go
	noting    sync.Mutex                           // held while a list of addresses changes, in memory
}

func newLogins(s *Store) *Logins {
	return &Logins{limits: newLimits(), store: s, addresses: cache.New[uint64, []knownAddress](maxKnownCache)}
}

// Logins returns what lets people in.
func (s *Store) Logins() *Logins { return s.logins }

// Peer is the client of a login.
type Peer struct {
	// IP is the client's address, LocalIP ours. A zero IP is the server itself.
	IP, LocalIP netip.Addr
	// TLS says that the connection is encrypted.
	TLS bool
	// Service is the service that the login is for, as AccessModes names it
	// (IMAP, POP, PWD, Relay ...); an account that may not use it cannot log in.
	Service string
	// AnyService says that who is logged in is told when the service is disabled: the caller asks Account.Enabled.
	AnyService bool
	// Page says that somebody has typed the password into a page: device passwords are for programs.
	Page bool
	// Mechanism is the SASL mechanism, empty for a command with a password.
	Mechanism string
	// Log, of the session, gets the record of the login. Nil: the Store's log gets
	// it, with service and address.
	Log *slog.Logger
	// Again says that the same name and password have logged in on the connection before, as
	// HTTP has them with each request. It is no news for the log.
	Again bool
}

// LoginCounts are tries to log in by service.
type LoginCounts struct {
	Succeeded, Failed tally.Labelled
	// Blocked are those of the failed ones that were not tried, as too many had failed before.
	Blocked tally.Counter
}

// Counts has what is counted.
func (l *Logins) Counts() *LoginCounts { return &l.counts }

// badText is the one answer to every login that fails.
const badText = "incorrect password or account name"

func badCredentials(op string) error { return fault.New(op, fault.BadCredentials, badText) }

// errBlocked is the cause of a failed login whose password was not looked at.
var errBlocked = errors.New("logins are blocked")

// LoginBlocked tells whether a login has failed because of others that had failed before, and not by its password. Names that do not
// exist are blocked like others.
func LoginBlocked(err error) bool { return errors.Is(err, errBlocked) }

// CheckPassword verifies the password of the account with a name in a domain and
// returns the account. Unknown names, wrong passwords, disabled services, accounts whose
// files are damaged, and blocked accounts and addresses get the same error,
// BadCredentials, after the same time; a program that External Authentication asks takes its own.
// Other errors: Busy, Canceled, Unavailable when that program cannot tell, which counts as no failed login.
//
// At the command line an account with a second factor gives a code right behind its password. A device password
// of the service does instead of the account's own, see devicepasswords.go; Account.DeviceName tells that it has.
func (l *Logins) CheckPassword(ctx context.Context, p Peer, domain, name, password string) (*Account, error) {
	if p.Service != servicePWD {
		return l.checkPassword(ctx, p, domain, name, password)
	}
	return l.checkWithCode(ctx, p, domain, name, password)
}

func (l *Logins) checkPassword(ctx context.Context, p Peer, domain, name, password string) (*Account, error) {
	const op = "accounts.CheckPassword"
	t, err := l.attempt(ctx, p, domain, name)
	if err != nil {
		return nil, err
	}
	a := t.account
	wrong := "wrong password"
	if d := t.deviceOf(password); d != nil && d.isFor(p) {
		t.account = a.as(d)
		for _, c := range t.counters {
			l.reset(c)
		}
		l.noteLogin(t)
		return t.account, nil
	} else if d != nil {
		wrong = "the device password is not for this service"
	}
	usable := t.refusal == "" && !(bool(a.settings.RequireAPOP) && !p.TLS)
	if t.blocked == nil && (usable && l.remembers(a, password) || t.outside && (p.TLS || !bool(a.settings.RequireAPOP)) && l.remembersOutside(a, password)) {
		for _, c := range t.counters {
			l.reset(c)
		}
		l.noteLogin(t)
		return a, nil
	}
	wait, cancel := l.inTime(ctx)
	defer cancel()
	if err := l.reserve(wait, &t); err != nil {
		return nil, err
	}
	if t.blocked != nil {
		l.pretend(ctx)
		return nil, &fault.Error{Op: op, Kind: fault.BadCredentials, Text: badText, Err: errBlocked}
	}
	defer l.end(t.try, unknown) // unless it has ended
	ok, err := l.verifyInLine(wait, t.try, usable, a, password)
	if err != nil {
		return nil, l.refused(t, err)
	}
	if !ok && t.outside && !(bool(a.settings.RequireAPOP) && !p.TLS) {
		outer, err := l.outsideInLine(wait, t, password)
		switch {
		case err != nil && wait.Err() != nil:
			return nil, l.refused(t, gaveUp(wait))
		case err != nil:
			// It may be right; but who can compare passwords with one that is stored here must not guess on and on meanwhile.
			reason := "external authentication cannot tell: " + fault.Explain(err)
			if usable && !l.sameAsLast(t, password) {
				l.failed(t, reason)
			} else {
				l.logFailure(t, reason)
			}
			return nil, fault.Wrap(op, fault.Internal, err)
		}
		if outer != nil {
			t.account = outer
			l.succeeded(t)
			return outer, nil
		}
		t.refusal = "" // the password was wrong
	}
	if !ok && l.repeats(t, password) {
		l.end(t.try, unknown)
		l.logFailure(t, "wrong password, the same as before")
		return nil, badCredentials(op)
	}
	if !ok {
		l.failed(t, wrong)
		return nil, badCredentials(op)
	}
	a = l.complete(ctx, a, password)
	l.remember(a, password)
	l.succeeded(t)
	return a, nil
}

// reserve starts the try, or finds that it is blocked now.
func (l *Logins) reserve(wait context.Context, t *attempt) (err error) {
	if t.blocked == nil {
		if t.try, t.blocked, err = l.begin(wait, t.counters); err != nil {
			return l.refused(*t, err)
		}
	}
	if t.blocked != nil {
		l.counts.Blocked.Inc()
		l.logFailure(*t, "blocked by "+string(t.blocked.cause))
	}
	return nil
}

// refused logs a login that was not carried out for want of time.
func (l *Logins) refused(t attempt, err error) error {
	if fault.Is(err, fault.Busy) {
		l.busy.Log(l.store.log, logs.LevelProblem, "login refused: its password could not be checked within "+loginWait.String(),
			accountAttr(t.key), slog.String("service", t.peer.Service), slog.String(logs.AttrPeer, t.peer.IP.String()))
	}
	return err
}

// verifyInLine is verify for a try, which waits for its turn if it is suspect.
func (l *Logins) verifyInLine(wait context.Context, t *try, usable bool, a *Account, given string) (ok bool, err error) {
	leave, err := l.inLine(wait, t)
	if err != nil {
		return false, err
	}
	defer leave()
	return l.verify(wait, usable, a, given)
}

// outsideInLine is verifyOutside for a try, which waits for its turn unless its address is a known one, and it is not suspect.
func (l *Logins) outsideInLine(wait context.Context, t attempt, given string) (*Account, error) {
	if t.counters[0].cause != ofBoth || l.isSuspect(t.try) {
		select {
		case l.askers <- struct{}{}:
			defer func() { <-l.askers }()
		case <-wait.Done():
			return nil, gaveUp(wait)
		}
	}
	return l.verifyOutside(wait, t.account, t.peer.Service, given)
}

// verify compares the password with the account's. Every failure costs exactly
// one memory-hard hash.
func (l *Logins) verify(wait context.Context, usable bool, a *Account, given string) (ok bool, err error) {
	prepared := password.Prepare(given)
	if usable {
		if _, quick := a.password.(password.Reversible); quick {
			if ok, _ = a.password.Verify(prepared); ok {
				return true, nil
			}
			usable = false
		}
	}
	err = l.hash(wait, func() {
		slow := false
		if usable && l.remembers(a, given) { // another login was faster
			ok = true
			return
		}
		if usable {
			ok, slow = a.password.Verify(prepared)
		}
		if !ok && !slow {
			password.DummyVerify(prepared)
		}
	})
	return ok && err == nil, err
}

// VerifyPassword reports whether a password is the account's, for an administrator: it is
// no login, so that no service has to be enabled, wrong ones count nowhere, and failed
// logins do not block it. Errors: NoDomain, NotFound, BadCredentials, Busy, Canceled.
func (l *Logins) VerifyPassword(ctx context.Context, domain, name, password string) error {
	a, err := l.store.Account(ctx, domain, name)
	if err != nil {
		return err
	}
	wait, cancel := l.inTime(ctx)
	defer cancel()
	ok, err := l.verify(wait, a.password != nil, a, password)
	if err == nil && !ok && a.asksOutside() {
		var outer *Account
		outer, err = l.verifyOutside(ctx, a, "", password)
		if ok = outer != nil; fault.Is(err, fault.Unavailable) {
			err = fault.New("accounts.VerifyPassword", fault.Unavailable, "nobody can tell: "+fault.Explain(err))
		}
	}
	if err == nil && !ok {
		err = badCredentials("accounts.VerifyPassword")
	}
	return err
}

// attempt is one try to log in.
type attempt struct {
	peer     Peer
	key      accountKey
	account  *Account // nil if there is none, or it cannot be read
	counters []counter
	blocked  *counter // the limit that failures have reached, or nil
	refusal  string   // why the account cannot log in with any password that is stored here, or ""
	outside  bool     // External Authentication may know another one
	devices  bool     // a device password may be accepted
	try      *try     // once it has begun
}

// attempt looks at everything but the password.
func (l *Logins) attempt(ctx context.Context, p Peer, domain, name string) (attempt, error) {
	t := attempt{peer: p, key: accountKey{l.store.realDomain(domain), fold(name)}}
	if len(t.key.name) > 256 || len(t.key.domain) > 256 {
		t.key = accountKey{} // nobody; keeps the tables small
	}
	trusted := !p.IP.IsValid() || l.protection.Exempt(p.IP)
	var flow settings.Rate
	a, err := l.store.Account(ctx, t.key.domain, t.key.name)
	switch kind := fault.KindOf(err); {
	case err == nil:
		t.account, flow = a, a.settings.FailedLoginFlow
		barred := l.barred(a, p)
		only := a.onlyDevices(p)
		t.outside = barred == "" && only == "" && a.asksOutside()
		t.devices = barred == "" && a.noDevice() == "" && !(bool(a.settings.RequireAPOP) && !p.TLS)
		t.refusal = cmp.Or(a.noPassword(), barred, only)
		trusted = trusted || l.isKnown(a, p.IP)
	case kind == fault.Busy, kind == fault.Canceled, kind == fault.Unavailable:
		return t, err
	case kind == fault.NotFound, kind == fault.NoDomain:
		flow, t.refusal = l.defaultFlow(t.key.domain), "unknown account"
	default:
		// A stranger must not learn that there is an account by what is wrong with it.
		flow, t.refusal = l.defaultFlow(t.key.domain), "the account cannot be read: "+fault.Explain(err)
	}
	t.counters = counters(t.key, flow, l.protection.LoginLimit(), p.IP, trusted)
	t.blocked = l.blocked(t.counters)
	return t, nil
}

// deviceOf returns the device password that a text is, if it may be accepted now; nil if it is none.
func (t *attempt) deviceOf(given string) *device {
	if !t.devices || t.blocked != nil {
		return nil
	}
	return t.account.deviceOf(given)
}

// noPassword says why no password that is stored here is accepted, or "".
func (a *Account) noPassword() string {
	switch {
	case a.password == nil:
		return "no usable password"
	case !bool(a.settings.UseAppPassword):
		return "UseAppPassword is off"
	}
	return ""
}

// barred says why an account cannot log in for a service with any password, or "".
func (l *Logins) barred(a *Account, p Peer) string {
	switch {
	case a.domain.suspended:
		return "the domain is suspended"
	case !p.AnyService && !a.Enabled(p.Service):
		return "the service is disabled"
	case p.Service == servicePWD && a.Setting(KeySecondFactor) != nil && !codeFits(p.Mechanism):
		return "the account has a second factor, which this mechanism has no room for"
	case !a.Enabled("Mobile") && p.IP.IsValid() && !l.store.DomainClientIP(a.Domain, p.IP):
		return "Mobile is disabled and the address is not a client's"
	}
	return ""
}

// defaultFlow is the FailedLoginFlow that an account of a domain inherits: it
// holds for names that do not exist, so that they behave as others do.
func (l *Logins) defaultFlow(domain string) settings.Rate {
	if d, err := l.store.domain(domain); err == nil {
		return d.loginFlow
	}
	return l.store.state.Load().loginFlow
}

// inheritedFlow reads FailedLoginFlow. It is part of the snapshots of server and domains, so
// that a name that does not exist takes no longer than others.
func inheritedFlow(chain layers) settings.Rate {
	var inherited AccountSettings
	settings.LoadLayers(&inherited, chain.dicts(), func(string, error) {}) // it was reported when it was given
	return inherited.FailedLoginFlow
}

// Login is one try to log in by a mechanism that the caller runs. It counts as a
// failed one until it has ended; only the first end counts, so that the caller can
// defer Abandoned.
type Login struct {
	logins *Logins
	attempt
}

// BeginLogin begins a login before anything is said that depends on its name. It may wait
// for others under way, see loginWait. Errors: BadCredentials when too many have failed;
// Busy, Canceled.
func (l *Logins) BeginLogin(ctx context.Context, p Peer, domain, name string) (*Login, error) {
	const op = "accounts.BeginLogin"
	t, err := l.attempt(ctx, p, domain, name)
	if err != nil {
		return nil, err
	}
	wait, cancel := l.inTime(ctx)
	defer cancel()
	if err := l.reserve(wait, &t); err != nil {
		return nil, err
	}
	if t.blocked != nil {
		return nil, badCredentials(op)
	}
	return &Login{l, t}, nil
}

// PlainPassword returns the password itself, for mechanisms that need it
// (CRAM-MD5, APOP). It reports false when the account does not exist, cannot log
// in, or keeps its password one-way; the caller then goes through the motions
// with a password that matches nothing.
func (l *Login) PlainPassword() (string, bool) {
	if l.refusal != "" {
		return "", false
	}
	r, ok := l.account.password.(password.Reversible)
	if !ok {
		return "", false
	}
	plain, err := r.Reveal() // worked when the account was read
	return plain, err == nil
}

// Succeeded ends a login that was right.
func (l *Login) Succeeded() { l.logins.succeeded(l.attempt) }

// OneWay reports whether the account keeps its password in a form that cannot be turned
// back, so that mechanisms that need the password itself always fail.
func (l *Login) OneWay() bool {
	if l.account == nil || l.account.password == nil {
		return false
	}
	_, reversible := l.account.password.(password.Reversible)
	return !reversible
}

// Failed ends a login that was wrong, for a reason that goes into the log.
func (l *Login) Failed(reason string) { l.logins.failed(l.attempt, reason) }

// Abandoned ends a login of which nobody can say whether it was right.
func (l *Login) Abandoned() { l.logins.end(l.try, unknown) }

func (l *Logins) succeeded(t attempt) {
	l.end(t.try, success)
	l.noteLogin(t)
}

// noteLogin keeps and logs a login.
func (l *Logins) noteLogin(t attempt) {
	if t.account == nil {
		return
	}
	l.store.info.note(t.account, t.peer, l.noteKnown(t.account, t.peer.IP))
	if !t.peer.Again {
		l.counts.Succeeded.Inc(t.peer.Service)
	}
	level := logs.LevelProblem
	switch {
	case t.peer.Again:
		level = logs.LevelAll
	case bool(t.account.settings.LogLogin):
		level = logs.LevelMajor
	}
	attrs := []slog.Attr{slog.Bool(logs.AttrTLS, t.peer.TLS)}
	if d := t.account.device; d != nil {
		attrs = append(attrs, slog.String("device", d.name))
	}
	l.logLogin(t, level, "login", attrs...)
}

func (l *Logins) failed(t attempt, reason string) {
	reached, first := l.end(t.try, failure)
	if !first {
		return
	}
	if t.refusal != "" {
		reason = t.refusal
	}
	l.logFailure(t, reason)
	for _, c := range reached {
		l.logBlock(t, c)
	}
}

// logBlock says that logins are blocked from now on, why, and for how long.
func (l *Logins) logBlock(t attempt, c reachedLimit) {
	var attrs []slog.Attr
	if c.cause != ofAddress {
		attrs = append(attrs, accountAttr(c.account))
	}
	l.store.log.LogAttrs(l.store.life, logs.LevelProblem, "logins blocked", append(attrs, slog.String("cause", string(c.cause)),
		slog.Int("failures", c.failures), slog.String("for", c.wait.Round(time.Second).String()),
		slog.String("last_peer", t.peer.IP.String()))...)
}

func (l *Logins) logFailure(t attempt, reason string) {
	l.counts.Failed.Inc(t.peer.Service)
	l.logLogin(t, logs.LevelProblem, "login failed", slog.String("reason", reason))
}

// logLogin writes the record of a try to log in: to the log of its session, whose
// tag and number tell service and address, if it has one.
func (l *Logins) logLogin(t attempt, level slog.Level, text string, more ...slog.Attr) {
	attrs := append(make([]slog.Attr, 0, 5), accountAttr(t.key))
	log := t.peer.Log
	if log == nil {
		log = l.store.log
		attrs = append(attrs, slog.String("service", t.peer.Service), slog.String(logs.AttrPeer, t.peer.IP.String()))
	}
	if t.peer.Mechanism != "" {
		attrs = append(attrs, slog.String("mechanism", t.peer.Mechanism))
	}
	log.LogAttrs(l.store.life, level, text, append(attrs, more...)...)
}

// accountAttr names an account in a record. Package auth marks the name of nobody with
// "?"; the reason says that it is unknown.
func accountAttr(k accountKey) slog.Attr {
	return slog.String(logs.AttrAccount, strings.TrimPrefix(k.String(), "?"))
}
