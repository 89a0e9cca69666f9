package relay

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// hop is where a connection leads, and how it is made.
type hop struct {
	host   Host
	tls    string // a value of Destination.TLS
	domain string // whose name serves in the certificate too, or empty
	source source
	login  *Gateway // whose user logs in; nil: nobody

	proof   proof
	tlsa    string // the records that the certificate is compared with, see joinTLSA
	base    string // the name that has them
	require bool   // for messages with REQUIRETLS
}

// port is the port of the host.
func (h hop) port() int {
	switch {
	case h.host.Port != 0:
		return h.host.Port
	case h.host.LMTP:
		return portLMTP
	case h.tls == tlsImplicit:
		return portSMTPS
	}
	return portSMTP
}

// conn is one SMTP session with a hop, ready for a transaction. It belongs to
// one goroutine.
type conn struct {
	hop   hop
	raw   net.Conn // never changes: the stop may touch it at any time
	net   net.Conn // raw, or TLS on it
	r     *bufio.Reader
	w     *bufio.Writer
	ext   extensions
	mech  string // of the login
	used  bool   // a transaction was made
	clean bool   // and it ended so that no RSET is needed

	limits timeouts
	ends   atomic.Int64 // Unix nanoseconds after which nothing may last; 0: no such time
	told   func(reply)  // each reply, for the log
}

// stopGrace is how long a transaction may go on when the server stops: enough
// for the reply to a final dot that is on its way.
const stopGrace = 3 * time.Second

// obey makes the connection end soon after ctx, until release is called.
func (c *conn) obey(ctx context.Context) (release func()) {
	stop := context.AfterFunc(ctx, func() {
		end := time.Now().Add(stopGrace)
		c.ends.Store(end.UnixNano())
		c.raw.SetDeadline(end)
	})
	return func() { stop() }
}

// within lets a step take limit, or less if the stop comes first. set is
// SetReadDeadline or SetWriteDeadline.
func (c *conn) within(limit time.Duration, set func(time.Time) error) error {
	t := time.Now().Add(limit)
	if err := set(t); err != nil {
		return err
	}
	// Looked at after t is set: a stop that came just before has a deadline that t
	// overwrote; one that comes later overwrites t.
	if n := c.ends.Load(); n != 0 && t.UnixNano() > n {
		return set(time.Unix(0, n))
	}
	return nil
}

// abort closes the connection at once. The last word of TLS, which may have to wait
// for the peer, is not said.
func (c *conn) abort() { c.raw.Close() }

// extensions is what the peer offered.
type extensions struct {
	pipelining, eightBit, binary, chunking, utf8, dsn, startTLS, requireTLS, size bool
	maxSize                                                                       int64
	rcptMax                                                                       int
	auth                                                                          []string // mechanisms
}

// refusal is a reply that ended the attempt to get a connection.
type refusal struct {
	stage string
	reply reply
}

func (r *refusal) Error() string { return r.stage + ": " + r.reply.String() }

// dialer opens connections.
type dialer struct {
	limits timeouts
	helo   func() string
	dial   func(ctx context.Context, network, address string) (net.Conn, error)
	config func(server string, verify bool) *tls.Config
	told   func(host string, r reply)          // each reply, for the log
	reveal func(stored string) (string, error) // the password of a gateway
}

func newDialer(helo func() string) *dialer {
	var d net.Dialer
	// A session that is resumed costs the server no signature and both one round trip less. One that was
	// made without verification is not resumed where that is wanted.
	sessions := tls.NewLRUClientSessionCache(maxTLSSessions)
	config := func(server string, verify bool) *tls.Config {
		c := clientTLS(server, verify)
		c.ClientSessionCache = sessions
		return c
	}
	return &dialer{limits: standardTimeouts, helo: helo, dial: d.DialContext, config: config, told: func(string, reply) {}}
}

// maxTLSSessions bounds the TLS sessions that can be resumed, one for each host.
const maxTLSSessions = 2000

// clientTLS is the TLS configuration towards a server. Without verification
// encryption still keeps passive listeners out (RFC 7435).
func clientTLS(server string, verify bool) *tls.Config {
	return &tls.Config{ServerName: server, InsecureSkipVerify: !verify, MinVersion: tls.VersionTLS12}
}

// connect opens a connection to an address of the hop and says EHLO. When encryption is only wanted
// and does not come about, it is tried once more without.
func (d *dialer) connect(ctx context.Context, h hop, to netip.AddrPort) (*conn, error) {
	c, err := d.open(ctx, h, to)
	var failed *tlsError
	if h.tls == ifOffered && errors.As(err, &failed) && ctx.Err() == nil {
		clear := h
		clear.tls = "Never"
		if c, err = d.open(ctx, clear, to); err == nil {
			c.hop = h
		}
	}
	if err != nil {
		err = h.missed(err)
	}
	return c, err
}

// tlsError is a failure of encryption, after which clear text may do.
type tlsError struct{ err error }

func (e *tlsError) Error() string { return "TLS: " + e.err.Error() }
func (e *tlsError) Unwrap() error { return e.err }

// openSocket connects to the socket of a program on this machine, whose mail needs no encryption.
func (d *dialer) openSocket(ctx context.Context, h hop) (*conn, error) {
	clear := h
	clear.tls = "Never"
	c, err := d.open(ctx, clear, netip.AddrPort{})
	if err == nil {
		c.hop = h
	}
	return c, err
}

func (d *dialer) open(ctx context.Context, h hop, to netip.AddrPort) (c *conn, err error) {
	network, address := "tcp", to.String()
	if isSocket(h.host.Name) {
		network, address = "unix", h.host.Name
	}
	dialing, cancel := context.WithTimeout(ctx, d.limits.dial)
	raw, err := d.dialFrom(dialing, network, address, h.source, to)
	cancel()
	if err != nil {
		return nil, err
	}
	c = &conn{hop: h, raw: raw, net: raw, limits: d.limits}
	c.told = func(r reply) { d.told(displayName(h.host.Name), r) }
	release := c.obey(ctx)
	defer func() {
		release()
		if err != nil {
			raw.Close()
		}
	}()
	if h.tls == tlsImplicit {
		if err := c.handshake(ctx, d.verified(h)); err != nil {
			return nil, err
		}
	}
	c.buffers()
	if err := c.greet(d.helo()); err != nil {
		return nil, err
	}
	switch {
	case (h.tls == tlsRequired || h.tls == tlsVerified) && !c.ext.startTLS:
		return nil, errNoTLS
	case h.tls != tlsNever && h.tls != tlsImplicit && c.ext.startTLS:
		config := d.config(h.host.Name, false)
		switch {
		case h.proof == proofDANE:
			config = d.byTLSA(h)
		case h.tls == tlsVerified:
			config = d.verified(h)
		}
		if err := c.startTLS(ctx, config); err != nil {
			return nil, err
		}
		if err := c.hello(d.helo()); err != nil {
			return nil, err
		}
	}
	if h.require && !h.host.LMTP && !c.ext.requireTLS {
		return nil, unproven(h.host.Name + " does not take such mail")
	}
	if g := h.login; g != nil && g.User != "" {
		password, err := d.reveal(g.Password)
		if err != nil {
			return nil, &authError{text: "the password of the gateway cannot be read; set it again"}
		}
		return c, c.login(g.User, password)
	}
	return c, nil
}

// errNoTLS is the failure of a server that would get the mail in clear.
var errNoTLS = errors.New("TLS is required and not offered")

// dialFrom connects from an address of this server, if one is to be used.
func (d *dialer) dialFrom(ctx context.Context, network, address string, s source, to netip.AddrPort) (net.Conn, error) {
	if network == "unix" {
		return d.dial(ctx, network, address)
	}
	from, ok := s.towards(to.Addr())
	if !ok {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("no SourceIP of this family is set")}
	}
	if !from.IsValid() {
		return d.dial(ctx, network, address)
	}
	own := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))}
	return own.DialContext(ctx, network, address)
}

// verified is the TLS configuration towards a server whose certificate has to be one of the host, or of the
// domain whose mail server it is.
func (d *dialer) verified(h hop) *tls.Config {
	config := d.config(h.host.Name, true)
	if h.domain == "" {
		return config
	}
	config.InsecureSkipVerify = true // it is verified here, for two names
	config.VerifyConnection = func(s tls.ConnectionState) error {
		chain := x509.NewCertPool()
		for _, cert := range s.PeerCertificates[1:] {
			chain.AddCert(cert)
		}
		options := x509.VerifyOptions{Roots: config.RootCAs, Intermediates: chain, DNSName: h.host.Name}
		_, err := s.PeerCertificates[0].Verify(options)
		if err != nil {
			options.DNSName = h.domain
			if _, other := s.PeerCertificates[0].Verify(options); other == nil {
				return nil
			}
			return &tls.CertificateVerificationError{UnverifiedCertificates: s.PeerCertificates, Err: err}
		}
		return nil
	}
	return config
}

func (c *conn) buffers() {
	c.r = bufio.NewReaderSize(c.net, 4<<10)
	c.w = bufio.NewWriterSize(c.net, 16<<10)
}

// greet reads the greeting and says EHLO.
func (c *conn) greet(helo string) error {
	rep, err := c.read(c.limits.greeting)
	if err != nil {
		return fmt.Errorf("greeting: %w", err)
	}
	if rep.code != 220 {
		return &refusal{"greeting", rep}
	}
	return c.hello(helo)
}

// hello says EHLO, or HELO to a server that does not know it.
func (c *conn) hello(name string) error {
	verb := "EHLO "
	if c.hop.host.LMTP {
		verb = "LHLO "
	}
	rep, err := c.command(c.limits.greeting, verb+name)
	if err != nil {
		return fmt.Errorf("EHLO: %w", err)
	}
	c.ext = extensions{}
	if rep.code/100 == 5 && !c.hop.host.LMTP {
		if rep, err = c.command(c.limits.greeting, "HELO "+name); err != nil {
			return fmt.Errorf("HELO: %w", err)
		}
	} else {
		c.ext.read(rep.lines)
	}
	if rep.code != 250 {
		return &refusal{"EHLO", rep}
	}
	return nil
}

// read takes the lines of an EHLO reply in; the first is a greeting.
func (e *extensions) read(lines []string) {
	for _, line := range lines[min(1, len(lines)):] {
		word, args, _ := strings.Cut(line, " ")
		switch strings.ToUpper(word) {
		case "PIPELINING":
			e.pipelining = true
		case "8BITMIME":
			e.eightBit = true
		case "BINARYMIME":
			e.binary = true
		case "CHUNKING":
			e.chunking = true
		case "SMTPUTF8":
			e.utf8 = true
		case "DSN":
			e.dsn = true
		case "STARTTLS":
			e.startTLS = true
		case "REQUIRETLS":
			e.requireTLS = true
		case "AUTH":
			e.auth = strings.Fields(strings.ToUpper(args))
		case "SIZE":
			e.size = true
			if n, err := strconv.ParseInt(strings.TrimSpace(args), 10, 64); err == nil && n > 0 {
				e.maxSize = n
			}
		case "LIMITS": // RFC 9422
			for _, limit := range strings.Fields(args) {
				name, value, _ := strings.Cut(limit, "=")
				if n, err := strconv.Atoi(value); err == nil && n > 0 && strings.EqualFold(name, "RCPTMAX") {
					e.rcptMax = n
				}
			}
		}
	}
}

func (c *conn) startTLS(ctx context.Context, config *tls.Config) error {
	rep, err := c.command(c.limits.mail, "STARTTLS")
	if err != nil {
		return &tlsError{err}
	}
	if rep.code != 220 {
		return &tlsError{&refusal{"STARTTLS", rep}}
	}
	if c.r.Buffered() > 0 {
		return &tlsError{errors.New("the server sent more before encryption")}
	}
	if err := c.handshake(ctx, config); err != nil {
		return err
	}
	c.buffers()
	return nil
}

func (c *conn) handshake(ctx context.Context, config *tls.Config) error {
	secure := tls.Client(c.net, config)
	limited, cancel := context.WithTimeout(ctx, c.limits.mail)
	defer cancel()
	if err := secure.HandshakeContext(limited); err != nil {
		return &tlsError{err}
	}
	c.net = secure
	return nil
}

// tlsVersion is the version of the encryption, such as TLS1.3, or empty; with what the host has proved, as in TLS1.3+DANE.
func (c *conn) tlsVersion() string {
	t, ok := c.net.(*tls.Conn)
	if !ok {
		return ""
	}
	version := strings.ReplaceAll(tls.VersionName(t.ConnectionState().Version), " ", "")
	if c.hop.proof == proofDANE || c.hop.proof == proofMTASTS {
		version += "+" + string(c.hop.proof)
	}
	return version
}

// command sends one command and reads its reply.
func (c *conn) command(limit time.Duration, line string) (reply, error) {
	if err := c.send(limit, line); err != nil {
		return reply{}, err
	}
	return c.read(limit)
}

// send writes commands to the peer.
func (c *conn) send(limit time.Duration, lines ...string) error {
	if err := c.within(limit, c.net.SetWriteDeadline); err != nil {
		return err
	}
	for _, line := range lines {
		c.w.WriteString(line)
		c.w.WriteString("\r\n")
	}
	return c.w.Flush()
}

// read reads one reply.
func (c *conn) read(limit time.Duration) (reply, error) {
	if err := c.within(limit, c.net.SetReadDeadline); err != nil {
		return reply{}, err
	}
	rep, err := readReply(c.r)
	if rep.code != 0 && c.told != nil {
		c.told(rep)
	}
	return rep, err
}

// usable reports whether an idle connection can take another transaction: a
// server that said something in the meantime, such as 421, is leaving.
func (c *conn) usable() bool {
	if c.r.Buffered() > 0 {
		return false
	}
	if err := c.net.SetReadDeadline(time.Unix(1, 0)); err != nil {
		return false
	}
	_, err := c.r.Peek(1)
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// quit ends the session politely.
func (c *conn) quit() {
	if c.send(c.limits.quit, "QUIT") == nil {
		c.read(c.limits.quit)
	}
	c.net.Close()
}

// isIP reports whether a host is an IP address.
func isIP(name string) bool {
	_, err := netip.ParseAddr(name)
	return err == nil
}
