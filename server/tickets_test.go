package server

import (
	"crypto/tls"
	"net"
	"testing"

	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// session makes an encrypted session, and says whether it took up an earlier one.
func session(t *testing.T, config *tls.Config, cache tls.ClientSessionCache, most uint16) (resumed bool, err error) {
	t.Helper()
	client, served := net.Pipe()
	defer client.Close()
	go func() {
		defer served.Close()
		c := tls.Server(served, config)
		if c.HandshakeContext(t.Context()) == nil {
			_, _ = c.Write([]byte("x")) // brings the ticket
		}
	}()
	c := tls.Client(client, &tls.Config{ServerName: "corp.test", InsecureSkipVerify: true, ClientSessionCache: cache, MaxVersion: most}) //nolint:gosec // what is offered is looked at
	if err := c.HandshakeContext(t.Context()); err != nil {
		return false, err
	}
	_, err = c.Read(make([]byte, 1))
	return c.ConnectionState().DidResume, err
}

// A ticket is of use until its key is old.
func TestTicketsEnd(t *testing.T) {
	s := open(t)
	cache := tls.NewLRUClientSessionCache(0)
	for i, want := range []bool{false, true} {
		if resumed, err := session(t, s.encrypt, cache, 0); err != nil || resumed != want {
			t.Errorf("session %d: %v, %v", i, resumed, err)
		}
	}
	for range ticketKeys - 1 {
		s.tickets.rotate()
	}
	if resumed, err := session(t, s.encryptLogins, cache, 0); err != nil || !resumed {
		t.Errorf("the oldest key: %v, %v", resumed, err)
	}
	for range ticketKeys {
		s.tickets.rotate()
	}
	if resumed, err := session(t, s.encrypt, cache, 0); err != nil || resumed {
		t.Errorf("a key that is forgotten: %v, %v", resumed, err)
	}
	if err := s.UpdateServerSettings(t.Context(), dataformat.Dict{"TLSTimeToLive": dataformat.String("8d")}); !fault.Is(err, fault.Invalid) {
		t.Error(err)
	}
}

// TLSMinVersion holds everywhere but on port 25.
func TestTLSMinVersion(t *testing.T) {
	s := open(t)
	if err := s.UpdateServerSettings(t.Context(), dataformat.Dict{"TLSMinVersion": dataformat.String("1.3")}); err != nil {
		t.Fatal(err)
	}
	for name, config := range map[string]*tls.Config{"usual": s.encrypt, "logins": s.encryptLogins} {
		if _, err := session(t, config, nil, tls.VersionTLS12); err == nil {
			t.Errorf("%s: TLS 1.2 is taken", name)
		}
		if _, err := session(t, config, nil, 0); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := session(t, s.encryptMail, nil, tls.VersionTLS12); err != nil {
		t.Errorf("port 25: %v", err)
	}
}
