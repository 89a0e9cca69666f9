// Package acme gets certificates from an authority that gives them to whoever shows to have the name (RFC 8555), and renews them.
//
// A Manager has one certificate for each host name that it is told to manage. Certificates, keys and the account at the authority are
// files below one directory; library certmagic keeps them, decides when to renew and how long to wait after a failure. A handshake
// never waits for the authority: until there is a certificate, Certificate returns none.
//
// # How a name is shown
//
//	HTTP       the authority fetches a file over HTTP, port 80 (RFC 8555 section 8.3): Answer has it. If nobody listens on
//	           that port, the library does for as long as it takes.
//	TLS        the authority makes a TLS connection to port 443 (RFC 8737): Handshake answers it, with the same help
//	DNS        a program of the administrator puts a TXT record into the DNS (RFC 8555 section 8.4): the only way for wildcards
//
// Nothing is asked of the authority before AgreeToTerms is YES.
package acme

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3"
	libacme "github.com/mholt/acmez/v3/acme"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"gatepost/server/fault"
	"gatepost/server/logs"
	"gatepost/server/settings"
)

// Settings are in Settings/ACME.settings.
type Settings struct {
	Directory    string          `key:"Directory" default:"https://acme-v02.api.letsencrypt.org/directory" level:"basic" since:"0.2" help:"address of the authority's directory"`
	AgreeToTerms settings.Flag   `key:"AgreeToTerms" default:"NO" level:"basic" since:"0.2" help:"you agree to the authority's terms of service; until then it is not asked"`
	Contact      string          `key:"Contact" level:"basic" since:"0.2" help:"mail address that the authority may write to"`
	Challenge    string          `key:"Challenge" default:"HTTP or TLS" values:"HTTP or TLS|HTTP|TLS|DNS" level:"basic" since:"0.2" help:"how the server shows that a name is its own: by HTTP on port 80, TLS on port 443, or a record in the DNS, which DNSProgram makes"`
	DNSProgram   string          `key:"DNSProgram" level:"advanced" since:"0.2" help:"program that makes and removes TXT records: it is started with add or remove, the name of the record and its text"`
	DNSWait      settings.Period `key:"DNSWait" default:"1m" level:"advanced" since:"0.2" help:"how long a new record needs until all name servers have it"`
	KeyKind      string          `key:"KeyKind" default:"ECDSA P-256" values:"ECDSA P-256|ECDSA P-384|RSA 2048|RSA 4096" level:"advanced" since:"0.2" help:"kind of the private keys"`
	EABKeyID     string          `key:"AccountKeyID" level:"advanced" since:"0.2" help:"for authorities that know their customers: the number of the account (external account binding)"`
	EABKey       string          `key:"AccountKey" secret:"yes" level:"advanced" since:"0.2" help:"and its key"`
	Roots        string          `key:"TrustedRoots" level:"expert" since:"0.2" help:"file with the certificates that sign the authority's own, in PEM; empty for those of the system"`
	HTTPPort     int             `key:"HTTPPort" default:"80" level:"expert" since:"0.2" help:"port of this machine that the authority's HTTP connections arrive at"`
	TLSPort      int             `key:"TLSPort" default:"443" level:"expert" since:"0.2" help:"port of this machine that the authority's TLS connections arrive at"`
}

// Validate checks what belongs together.
func (s *Settings) Validate() error {
	switch {
	case !strings.HasPrefix(s.Directory, "https://"):
		return settings.BadValue("Directory", "must begin with https://")
	case s.Challenge == "DNS" && s.DNSProgram == "":
		return settings.BadValue("DNSProgram", "is needed for Challenge DNS")
	case s.DNSProgram != "" && !filepath.IsAbs(s.DNSProgram):
		return settings.BadValue("DNSProgram", "must be a whole path")
	case (s.EABKeyID == "") != (s.EABKey == ""):
		return settings.BadValue("AccountKey", "and AccountKeyID belong together")
	case s.DNSWait < 0 || s.DNSWait.Duration() > time.Hour:
		return settings.BadValue("DNSWait", "must be 1h at most")
	case s.HTTPPort < 1 || s.HTTPPort > 65535:
		return settings.BadValue("HTTPPort", "is not a port")
	case s.TLSPort < 1 || s.TLSPort > 65535:
		return settings.BadValue("TLSPort", "is not a port")
	}
	return nil
}

var keyTypes = map[string]certmagic.KeyType{"ECDSA P-256": certmagic.P256, "ECDSA P-384": certmagic.P384, "RSA 2048": certmagic.RSA2048, "RSA 4096": certmagic.RSA4096}

// MaxNames bounds the names that a Manager has.
const MaxNames = 20_000

// Options are for New.
type Options struct {
	Settings *settings.Live[Settings]
	Dir      string // where certificates, keys and accounts are
	Listen   string // local address of listeners for challenges; empty for all
	Log      *slog.Logger
}

// Manager gets and renews certificates. It may be used by many goroutines at once.
type Manager struct {
	o       Options
	log     *slog.Logger
	ctx     context.Context
	cancel  context.CancelFunc
	running atomic.Pointer[running] // nil before the first name

	starting  sync.Mutex // held while settings are put in force; taken before mu
	work      sync.WaitGroup
	beginning sync.Mutex // held by who works on one name
	mu        sync.Mutex
	names     map[string]*State // nil once the Manager is closed
}

// running is what was made for one version of the settings.
type running struct {
	settings *Settings
	cache    *certmagic.Cache
	config   *certmagic.Config
	issuer   *certmagic.ACMEIssuer
}

// State is how it is with the certificate of a name.
type State struct {
	// Error is why the last try has failed, in words; empty if none has.
	Error string
	Since time.Time // of the last try
}

// New returns a Manager that has no names.
func New(o Options) *Manager {
	m := &Manager{o: o, log: o.Log.With(logs.AttrTag, "ACME"), names: map[string]*State{}}
	m.ctx, m.cancel = context.WithCancel(context.Background())
	return m
}

// Close ends what is under way.
func (m *Manager) Close() {
	m.cancel()
	m.starting.Lock()
	defer m.starting.Unlock()
	m.mu.Lock()
	m.names = nil
	m.mu.Unlock()
	m.work.Wait()
	if r := m.running.Load(); r != nil {
		r.cache.Stop()
	}
}

// Manage gets the certificate of a name, from the disk or from the authority, and has it renewed from then on. It does not wait for
// the authority. Errors: Unavailable while the terms are not agreed to; TooMany; Invalid for settings.
func (m *Manager) Manage(name string) error {
	const op = "acme.Manage"
	set := m.o.Settings.Get()
	if !set.AgreeToTerms {
		return fault.New(op, fault.Unavailable, "the authority is not asked before its terms are agreed to (AgreeToTerms of the settings ACME)")
	}
	if r := m.running.Load(); r != nil && r.settings == set {
		if _, ok := m.State(name); ok {
			return nil
		}
	}
	m.starting.Lock()
	defer m.starting.Unlock()
	begin, err := m.add(name)
	if err != nil {
		return err
	}
	if old := m.running.Load(); old == nil || old.settings != set {
		r, err := m.make(set)
		if err != nil {
			return err
		}
		m.running.Store(r)
		if old != nil {
			go old.cache.Stop() // which may wait for what is under way
			begin = m.managed()
		}
	}
	for _, name := range begin {
		m.work.Go(func() { m.begin(name) })
	}
	return nil
}

// add notes a name, and returns it if it is new.
func (m *Manager) add(name string) (begin []string, err error) {
	const op = "acme.Manage"
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.names == nil:
		return nil, fault.New(op, fault.Unavailable, "the server ends")
	case m.names[name] != nil:
		return nil, nil
	case len(m.names) >= MaxNames:
		return nil, fault.Newf(op, fault.TooMany, "more than %d names", MaxNames)
	}
	m.names[name] = &State{Since: time.Now()}
	return []string{name}, nil
}

func (m *Manager) managed() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Sorted(maps.Keys(m.names))
}

// begin has the library get a certificate, one name after the other. It may read files and ask for the state of a certificate, which
// nobody else waits for; it tells events meanwhile.
func (m *Manager) begin(name string) {
	m.beginning.Lock()
	defer m.beginning.Unlock()
	if m.ctx.Err() != nil {
		return
	}
	if err := m.running.Load().config.ManageAsync(m.ctx, []string{name}); err != nil {
		m.failed(name, err)
	}
}

// failed notes why a try has failed.
func (m *Manager) failed(name string, err error) {
	m.log.Log(m.ctx, logs.LevelFailure, "certificate not obtained: it will be tried again", "name", name, logs.AttrError, err)
	m.mu.Lock()
	defer m.mu.Unlock()
	if state := m.names[name]; state != nil && err != nil {
		state.Error, state.Since = err.Error(), time.Now()
	}
}

func (m *Manager) make(set *Settings) (*running, error) {
	const op = "acme.Settings"
	r := &running{settings: set}
	log := zap.New(&bridge{log: m.log})
	r.cache = certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert: func(certmagic.Certificate) (*certmagic.Config, error) { return r.config, nil },
		Logger:           log,
	})
	r.config = certmagic.New(r.cache, certmagic.Config{
		Storage:   &certmagic.FileStorage{Path: m.o.Dir},
		KeySource: certmagic.StandardKeyGenerator{KeyType: keyTypes[set.KeyKind]},
		OnEvent:   m.event,
		Logger:    log,
	})
	template := certmagic.ACMEIssuer{
		CA: set.Directory, Email: set.Contact, Agreed: true, Logger: log, ListenHost: m.o.Listen,
		AltHTTPPort: set.HTTPPort, AltTLSALPNPort: set.TLSPort,
		DisableHTTPChallenge:    set.Challenge == "TLS" || set.Challenge == "DNS",
		DisableTLSALPNChallenge: set.Challenge == "HTTP" || set.Challenge == "DNS",
	}
	if set.Challenge == "DNS" {
		template.DNS01Solver = &hook{program: set.DNSProgram, wait: set.DNSWait.Duration(), log: m.log}
	}
	if set.EABKeyID != "" {
		template.ExternalAccount = &libacme.EAB{KeyID: set.EABKeyID, MACKey: set.EABKey}
	}
	if set.Roots != "" {
		text, err := os.ReadFile(set.Roots)
		if err != nil {
			r.cache.Stop()
			return nil, fault.Newf(op, fault.Invalid, "TrustedRoots: %v", err)
		}
		template.TrustedRoots = x509.NewCertPool()
		if !template.TrustedRoots.AppendCertsFromPEM(text) {
			r.cache.Stop()
			return nil, fault.Newf(op, fault.Invalid, "TrustedRoots: there is no certificate in %s", set.Roots)
		}
	}
	r.issuer = certmagic.NewACMEIssuer(r.config, template)
	r.config.Issuers = []certmagic.Issuer{r.issuer}
	return r, nil
}

// event is told what became of a try.
func (m *Manager) event(_ context.Context, what string, data map[string]any) error {
	name, _ := data["identifier"].(string)
	switch what {
	case "cert_obtained":
		m.log.Log(m.ctx, logs.LevelMajor, "certificate obtained", "name", name, "renewal", data["renewal"])
		m.mu.Lock()
		defer m.mu.Unlock()
		if state := m.names[name]; state != nil {
			state.Error, state.Since = "", time.Now()
		}
	case "cert_failed":
		err, _ := data["error"].(error)
		m.failed(name, err)
	}
	return nil
}

// Keep stops to renew the certificates of names that are not in a list. Their files stay.
func (m *Manager) Keep(names []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var gone []certmagic.SubjectIssuer
	for name := range m.names {
		if !slices.Contains(names, name) {
			delete(m.names, name)
			gone = append(gone, certmagic.SubjectIssuer{Subject: name})
		}
	}
	if r := m.running.Load(); r != nil && len(gone) > 0 {
		r.cache.RemoveManaged(gone)
	}
}

// Certificate returns the certificate of a name, nil while there is none.
func (m *Manager) Certificate(name string) *tls.Certificate {
	r := m.running.Load()
	if r == nil {
		return nil
	}
	for _, c := range r.cache.AllMatchingCertificates(name) {
		if c.Leaf != nil && c.Leaf.VerifyHostname(name) == nil {
			return &c.Certificate
		}
	}
	return nil
}

// State returns how it is with a name; ok is false for one that is not managed.
func (m *Manager) State(name string) (s State, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if have := m.names[name]; have != nil {
		return *have, true
	}
	return State{}, false
}

// Handshake returns the TLS configuration for a connection by which the authority looks whether a name is here, nil for all others.
func (m *Manager) Handshake(hello *tls.ClientHelloInfo) *tls.Config {
	if len(hello.SupportedProtos) != 1 || hello.SupportedProtos[0] != acmez.ACMETLS1Protocol {
		return nil
	}
	r := m.running.Load()
	if r == nil || r.issuer.DisableTLSALPNChallenge {
		return nil
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{acmez.ACMETLS1Protocol}, GetCertificate: r.config.GetCertificate}
}

// Answer answers requests for /.well-known/acme-challenge/.
func (m *Manager) Answer(w http.ResponseWriter, req *http.Request) {
	if r := m.running.Load(); r != nil && r.issuer.HandleHTTPChallenge(w, req) {
		return
	}
	http.NotFound(w, req)
}

// bridge writes the library's records to the log of the server.
type bridge struct {
	log    *slog.Logger
	fields []zapcore.Field
}

func (b *bridge) Enabled(l zapcore.Level) bool { return l >= zapcore.InfoLevel }

func (b *bridge) With(fields []zapcore.Field) zapcore.Core {
	return &bridge{b.log, append(slices.Clone(b.fields), fields...)}
}

func (b *bridge) Check(e zapcore.Entry, c *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if b.Enabled(e.Level) {
		return c.AddCore(e, b)
	}
	return c
}

// Write keeps what happens of the library at the low level: what an administrator should know is told by events.
func (b *bridge) Write(e zapcore.Entry, fields []zapcore.Field) error {
	enc := zapcore.NewMapObjectEncoder()
	for _, f := range append(slices.Clone(b.fields), fields...) {
		f.AddTo(enc)
	}
	level := logs.LevelLowLevel
	if e.Level >= zapcore.WarnLevel {
		level = logs.LevelProblem
	}
	attrs := []any{"library", e.Message}
	for _, key := range []string{"identifier", "identifiers", "challenge_type", "problem", "error", "attempt", "retrying_in"} {
		if v, ok := enc.Fields[key]; ok {
			attrs = append(attrs, key, v)
		}
	}
	b.log.Log(context.Background(), level, "work on a certificate", attrs...)
	return nil
}

func (*bridge) Sync() error { return nil }
