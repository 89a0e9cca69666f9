package ldapauth

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/url"
	"time"

	"github.com/go-ldap/ldap/v3"

	"gatepost/accounts"
)

// maxReceived is how many bytes a server may send on a connection.
const maxReceived = 256 << 10

// bounded is a connection of which only so much is read.
type bounded struct {
	net.Conn
	left int
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errors.New("the directory server sends too much")
	}
	n, err := b.Conn.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

// once puts a question to one server, within the time-out.
func once(ctx context.Context, s *accounts.LDAPSettings, server string, question func(*ldap.Conn) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.Timeout.Duration())
	defer cancel()
	conn, err := connect(ctx, s, server)
	if err != nil {
		return err
	}
	defer conn.Close()
	err = question(conn)
	if err != nil && ctx.Err() != nil {
		return errors.New("no answer within " + s.Timeout.String() + " seconds")
	}
	return err
}

// connect opens a connection that is encrypted as the settings want. It ends with the context.
func connect(ctx context.Context, s *accounts.LDAPSettings, server string) (*ldap.Conn, error) {
	u, err := url.Parse(server)
	if err != nil {
		return nil, err
	}
	secure := u.Scheme == "ldaps"
	port := map[bool]string{false: "389", true: "636"}[secure]
	raw, err := new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), port)))
	if err != nil {
		return nil, err
	}
	if deadline, ok := ctx.Deadline(); ok {
		err = raw.SetDeadline(deadline)
	}
	stop := context.AfterFunc(ctx, func() { raw.Close() })
	fail := func(err error) (*ldap.Conn, error) {
		stop()
		return nil, errors.Join(err, raw.Close())
	}
	if err != nil {
		return fail(err)
	}
	config, err := tlsOf(s, u.Hostname())
	if err != nil {
		return fail(err)
	}
	wire := net.Conn(&bounded{Conn: raw, left: maxReceived})
	if secure {
		t := tls.Client(wire, config)
		if err := t.HandshakeContext(ctx); err != nil {
			return fail(err)
		}
		wire = t
	}
	conn := ldap.NewConn(wire, secure)
	conn.SetTimeout(s.Timeout.Duration() + time.Second) // the context is stricter
	conn.Start()
	if !secure && bool(s.StartTLS) {
		if err := conn.StartTLS(config); err != nil {
			stop()
			return nil, errors.Join(errors.New("STARTTLS: "+err.Error()), conn.Close())
		}
	}
	return conn, nil
}

func tlsOf(s *accounts.LDAPSettings, host string) (*tls.Config, error) {
	c := &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
	if len(s.CA) == 0 {
		return c, nil
	}
	list, err := x509.ParseCertificates(s.CA)
	if err != nil {
		return nil, err
	}
	c.RootCAs = x509.NewCertPool()
	for _, one := range list {
		c.RootCAs.AddCert(one)
	}
	return c, nil
}
