package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	nethttp "net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"gatepost/accounts"
	"gatepost/protocols/http"
	"gatepost/server/acme"
	"gatepost/server/admin"
	"gatepost/server/certificates"
	"gatepost/server/counters"
	"gatepost/server/dataformat"
	"gatepost/server/durable"
	"gatepost/server/fault"
	"gatepost/server/logs"
)

// The server's certificate is Certificates/server.pem (the chain, own
// certificate first) with Certificates/server.key. At the first start a
// self-signed one is made, so that TLS works from the first minute; an
// administrator replaces the two files and reloads.
const (
	certificateFile = "server.pem"
	keyFile         = "server.key"
	// nextFile is key and chain together while they are put into the place of others, so that a crash leaves no
	// certificate with another one's key.
	nextFile = "server.next"
)

// replaceCertificate puts a chain and its key, which fit together, into the place of what is there.
func (s *Server) replaceCertificate(chain, key string) error {
	dir := s.base.path("Certificates")
	if err := durable.ReplaceFile(filepath.Join(dir, nextFile), []byte(key+"\n"+chain), 0o600); err != nil {
		return err
	}
	return finishReplacing(dir)
}

// finishReplacing does what is left to do when nextFile is there.
func finishReplacing(dir string) error {
	next := filepath.Join(dir, nextFile)
	text, err := os.ReadFile(next)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var key, chain []byte
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		switch {
		case block.Type == "CERTIFICATE":
			chain = append(chain, pem.EncodeToMemory(block)...)
		case strings.HasSuffix(block.Type, "PRIVATE KEY") && key == nil:
			key = pem.EncodeToMemory(block)
		}
	}
	if err := durable.ReplaceFile(filepath.Join(dir, keyFile), key, 0o600); err != nil {
		return err
	}
	if err := durable.ReplaceFile(filepath.Join(dir, certificateFile), chain, 0o644); err != nil {
		return err
	}
	if err := os.Remove(next); err != nil {
		return err
	}
	return durable.SyncDir(dir)
}

// loadCertificate reads the certificate, making a self-signed one for name when there is none.
func loadCertificate(dir, name string) (*tls.Certificate, error) {
	certPath, keyPath := filepath.Join(dir, certificateFile), filepath.Join(dir, keyFile)
	if err := finishReplacing(dir); err != nil {
		return nil, fmt.Errorf("replace the certificate: %w", err)
	}
	_, err := os.Stat(certPath)
	if errors.Is(err, fs.ErrNotExist) {
		if err := makeCertificate(certPath, keyPath, name); err != nil {
			return nil, fmt.Errorf("make a self-signed certificate: %w", err)
		}
	}
	return readPair(certPath, keyPath)
}

// readPair reads a certificate and its key. Errors name the file that is wrong.
func readPair(certPath, keyPath string) (*tls.Certificate, error) {
	certPEM, err := os.ReadFile(certPath)
	if err != nil {
		return nil, err
	}
	keyPEM, err := os.ReadFile(keyPath)
	if err != nil {
		return nil, err
	}
	wrong := func(file string, err error) (*tls.Certificate, error) {
		return nil, fault.New("server.Certificate", fault.Invalid, "Certificates/"+file+": "+fault.Text(err))
	}
	if _, err := certificates.ReadCertificates(certPEM); err != nil {
		return wrong(certificateFile, err)
	}
	key, err := certificates.ReadKey(keyPEM)
	if err != nil {
		return wrong(keyFile, err)
	}
	cert, err := (&certificates.Pair{Key: key, Certificate: certPEM}).TLS()
	if err != nil {
		return wrong(keyFile, err)
	}
	return cert, nil
}

// expirySoon is when a certificate should have been renewed.
const expirySoon = 14 * 24 * time.Hour

// logCertificate says what clients are shown.
func (s *Server) logCertificate(leaf *x509.Certificate) {
	issuer := leaf.Issuer.String()
	if certificates.SelfSigned(leaf) {
		issuer = "itself"
	}
	level, text := logs.LevelMajor, "certificate read"
	switch left := time.Until(leaf.NotAfter); {
	case left <= 0:
		level, text = logs.LevelFailure, "the certificate has expired: clients will refuse it"
	case left < expirySoon:
		level, text = logs.LevelProblem, "the certificate expires soon"
	}
	s.log.Log(context.Background(), level, text, "file", "Certificates/"+certificateFile, "names", strings.Join(certificates.Names(leaf), ","),
		"issuer", issuer, "expires", leaf.NotAfter.Format(time.RFC3339))
}

// dropOwnCertificate removes a certificate that was made here under another name.
func (s *Server) dropOwnCertificate() error {
	leaf := s.cert.Load().Leaf
	if !certificates.SelfSigned(leaf) || leaf.Subject.CommonName == s.accounts.MainDomain() {
		return nil
	}
	dir := s.base.path("Certificates")
	// The certificate first: its file says that the pair is whole.
	if err := os.Remove(filepath.Join(dir, certificateFile)); err != nil {
		return err
	}
	return os.Remove(filepath.Join(dir, keyFile))
}

// makeCertificate writes a self-signed certificate for name and the loopback
// addresses, valid for ten years.
func makeCertificate(certPath, keyPath, name string) error {
	key, err := certificates.GenerateKey("ECDSA P-256")
	if err != nil {
		return err
	}
	der, err := certificates.MakeSelfSigned(key, certificates.Subject{CommonName: name, Names: []string{"localhost", "127.0.0.1", "::1"}}, 10*365*24*time.Hour)
	if err != nil {
		return err
	}
	if err := durable.ReplaceFile(keyPath, []byte(certificates.EncodeKey(key)), 0o600); err != nil {
		return err
	}
	// The certificate comes last: its file says that the pair is whole.
	return durable.ReplaceFile(certPath, []byte(certificates.EncodeCertificates(der)), 0o644)
}

// tlsConfig offers TLS 1.2 and 1.3 (RFC 8996, RFC 9325) with the certificate that choose returns at the time of the
// handshake; for none, the handshake is refused as one for an unrecognized name (RFC 6066 section 3).
func tlsConfig(choose func(*tls.ClientHelloInfo) (*tls.Certificate, error)) *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: choose, CipherSuites: suites}
}

// suites are those of TLS 1.2 that encrypt and authenticate in one (RFC 9325 section 4.2).
var suites = []uint16{
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
}

// configFor returns the configuration for a client, nil for the usual one. Other mail servers on port 25 may have older suites of TLS 1.2: what
// they could not encrypt they would send in clear, whatever TLSMinVersion says.
func (s *Server) configFor(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	if c := s.acme.Handshake(hello); c != nil {
		return c, nil
	}
	if domain, sure := s.domainOfHost(hostName(hello)); sure {
		if kind, _ := s.accounts.Certificate(domain); kind == accounts.NoCertificate {
			return s.encryptFresh, nil // a ticket would let the client in without a certificate
		}
	}
	if local, err := netip.ParseAddrPort(hello.Conn.LocalAddr().String()); err == nil && int(local.Port()) == mailPort+s.config.PortShift {
		return s.encryptMail, nil
	}
	if s.main.Get().TLSMinVersion == "1.3" {
		return s.encryptNew, nil
	}
	return nil, nil
}

// configForLogins is configFor for the wires on which a client certificate is a login. Whether the client is asked for one is for the
// domain that it connects to. Its certificate is looked at when it logs in, and not in the handshake: other mail servers show what they
// have, and who has none that counts logs in otherwise. Where one is asked for no ticket is taken or given: a session that began
// elsewhere would come without the certificate, or with one of that time.
func (s *Server) configForLogins(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	usual, err := s.configFor(hello)
	if err != nil || usual != nil && usual != s.encryptMail && usual != s.encryptNew {
		return usual, err
	}
	pool := s.accounts.ClientAuthorities(s.domainOfClient(hello))
	if pool == nil {
		return usual, nil
	}
	c := s.encryptFresh.Clone()
	if usual != nil {
		c.CipherSuites, c.MinVersion = usual.CipherSuites, usual.MinVersion
	}
	c.ClientAuth, c.ClientCAs = tls.RequestClientCert, pool
	return c, nil
}

// domainOfClient returns the domain that a client connects to: the one whose host it names, else that of the local address; "" for none.
func (s *Server) domainOfClient(hello *tls.ClientHelloInfo) string {
	if name := hostName(hello); name != "" {
		if domain, _ := s.domainOfHost(name); domain != "" {
			return domain
		}
	}
	local, err := netip.ParseAddrPort(hello.Conn.LocalAddr().String())
	if err != nil {
		return ""
	}
	return s.accounts.DomainForIP(local.Addr())
}

// hostName is the name that a client gives, in lower case.
func hostName(hello *tls.ClientHelloInfo) string {
	return strings.ToLower(strings.TrimSuffix(hello.ServerName, "."))
}

// mailPort is where mail servers connect to each other.
const mailPort = 25

// acmePart gets certificates from an authority.
func (s *Server) acmePart() *module {
	set := live[acme.Settings]()
	m := newModule("ACME", set, "ACME")
	m.open = func() error {
		var listen string
		if len(s.config.Listen) > 0 {
			listen = s.config.Listen[0]
		}
		s.acme = acme.New(acme.Options{Settings: set, Dir: s.base.path("Certificates", "acme"), Listen: listen, Log: s.log})
		return nil
	}
	m.close = func() error {
		s.acme.Close()
		return nil
	}
	return m
}

// acmeChallenges is where an authority looks whether a name is here.
func (s *Server) acmeChallenges(h *http.Server) error {
	return h.Mount("/.well-known/acme-challenge/", http.Options{Clear: true}, nethttp.HandlerFunc(s.acme.Answer))
}

// acmeCertificate returns the certificate that the authority has given for a host of a domain, nil while there is none. Without a
// name it is for the first of the domain's hosts.
func (s *Server) acmeCertificate(domain, name string) *tls.Certificate {
	names, err := s.accounts.CertificateNames(domain)
	if err != nil {
		return nil
	}
	if name == "" {
		name = names[0]
	}
	for _, one := range names {
		if _, rest, _ := strings.Cut(name, "."); one != name && one != "*."+rest {
			continue
		}
		s.manage(domain, one)
		return s.acme.Certificate(name)
	}
	return nil
}

// manage has the certificate of a host kept, if the host is the domain's.
func (s *Server) manage(domain, name string) error {
	of, _ := s.domainOfHost(strings.TrimPrefix(name, "*."))
	if of != domain {
		return fault.Newf("server.Certificate", fault.Invalid, "%s is no host of %s", name, domain)
	}
	return s.acme.Manage(name)
}

// ACMEStates tells of each host of a domain that gets its certificate by ACME: name, and one of certificate (admin.DescribeCertificate) and error.
func (s *Server) ACMEStates(_ context.Context, domain string) (dataformat.Array, error) {
	names, err := s.accounts.CertificateNames(domain)
	if err != nil {
		return nil, err
	}
	list := dataformat.Array{}
	for _, name := range names {
		d := dataformat.Dict{"name": dataformat.String(name)}
		err := s.manage(domain, name)
		state, _ := s.acme.State(name)
		switch c := s.acme.Certificate(strings.Replace(name, "*", "any", 1)); {
		case fault.Is(err, fault.Invalid):
			d["error"] = dataformat.String(fault.Text(err))
		case c != nil:
			d["certificate"] = admin.DescribeCertificate(c)
		case err != nil:
			d["error"] = dataformat.String(fault.Text(err))
		case state.Error != "":
			d["error"] = dataformat.String(state.Error)
		}
		list = append(list, d)
	}
	return list, nil
}

// chooseCertificate returns what a client is shown: the certificate of the domain that it names (RFC 6066 section 3) or whose
// local address it has connected to, else the server's.
func (s *Server) chooseCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	server := s.cert.Load()
	name := hostName(hello)
	domain, sure := s.domainOfHost(name)
	if name == "" {
		if local, err := netip.ParseAddrPort(hello.Conn.LocalAddr().String()); err == nil {
			domain = s.accounts.DomainForIP(local.Addr())
		}
	}
	if domain == "" {
		return server, nil
	}
	kind, own := s.accounts.Certificate(domain)
	if kind == accounts.ACMECertificate {
		own = s.acmeCertificate(domain, name)
	}
	switch {
	case kind == accounts.NoCertificate && sure:
		return nil, nil
	case own == nil, name != "" && own.Leaf.VerifyHostname(name) != nil && (!sure || server.Leaf.VerifyHostname(name) == nil):
		return server, nil
	}
	return own, nil
}

// domainOfHost returns the domain that a host name belongs to. It is sure of the name of a domain, its aliases, and these
// with a label before them under which clients look for services; any other first label may be the host of somebody else.
func (s *Server) domainOfHost(name string) (domain string, sure bool) {
	if domain, sure = s.http[usersModule].DomainOf(name); sure {
		return domain, true
	}
	if _, rest, ok := strings.Cut(name, "."); ok {
		domain, _ = s.accounts.DomainName(rest)
	}
	return domain, false
}

const (
	// The certificates of domains are looked at so long after the start, and so often.
	firstCertificates = time.Minute
	certificatesEvery = 6 * time.Hour
)

// watchCertificates looks from time to time which certificates of domains end soon.
func (s *Server) watchCertificates(ctx context.Context) {
	timer := time.NewTimer(firstCertificates)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		s.lookAtCertificates(ctx, time.Now())
		timer.Reset(certificatesEvery)
	}
}

func (s *Server) lookAtCertificates(ctx context.Context, now time.Time) {
	names, err := s.accounts.Domains(ctx)
	if err != nil {
		s.log.Log(ctx, logs.LevelProblem, "the certificates of the domains could not be looked at", logs.AttrError, err)
		return
	}
	soon := s.monitoring.settings.Get().Certificate.Duration()
	var list []counters.Finding
	var managed []string
	for _, name := range names {
		if ctx.Err() != nil {
			return
		}
		kind, own := s.accounts.Certificate(name)
		if kind == accounts.ACMECertificate {
			hosts, err := s.accounts.CertificateNames(name)
			if err != nil {
				continue
			}
			managed = append(managed, hosts...)
			for _, host := range hosts {
				if err := s.manage(name, host); err != nil {
					s.log.Log(ctx, logs.LevelProblem, "no certificate is asked for", "domain", name, "name", host, logs.AttrError, err)
				}
			}
			own = s.acmeCertificate(name, "")
		}
		if own == nil {
			continue
		}
		left := own.Leaf.NotAfter.Sub(now)
		if left >= soon {
			continue
		}
		ended := left <= 0
		level, text := logs.LevelProblem, "the certificate of a domain ends soon"
		kind, args := "domain certificate ends", []any{name, int(left / (24 * time.Hour))}
		if ended {
			level, text = logs.LevelFailure, "the certificate of a domain has ended: clients refuse it"
			kind, args = "domain certificate over", []any{name}
		}
		s.log.Log(ctx, level, text, "domain", name, "names", strings.Join(certificates.Names(own.Leaf), ","), "expires", own.Leaf.NotAfter.Format(time.RFC3339))
		if len(list) < maxCertificates {
			list = append(list, counters.Finding{Kind: kind, Bad: true, About: name, Args: args})
		}
	}
	s.acme.Keep(managed)
	s.monitoring.certificates.set(list)
}
