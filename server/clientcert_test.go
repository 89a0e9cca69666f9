package server_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"fmt"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"gatepost/server/certificates"
)

// clientAuthority signs certificates of clients.
type clientAuthority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func newClientAuthority(t *testing.T) *clientAuthority {
	t.Helper()
	a := &clientAuthority{}
	c := a.sign(t, &x509.Certificate{Subject: pkix.Name{CommonName: "Client authority"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	a.cert, a.key = c.Leaf, c.PrivateKey.(*ecdsa.PrivateKey)
	return a
}

// sign makes a key and a certificate of it.
func (a *clientAuthority) sign(t *testing.T, c *x509.Certificate) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c.SerialNumber, c.NotBefore, c.NotAfter = big.NewInt(time.Now().UnixNano()), time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := c, key
	if a.key != nil {
		parent, signer = a.cert, a.key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

func (a *clientAuthority) of(t *testing.T, address string) tls.Certificate {
	return a.sign(t, &x509.Certificate{EmailAddresses: []string{address}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
}

func (a *clientAuthority) pem() string { return certificates.EncodeCertificates(a.cert.Raw) }

// dialogue talks to a server by lines.
type dialogue struct {
	net.Conn
	in *bufio.Reader
}

func talk(c net.Conn) *dialogue {
	_ = c.SetDeadline(time.Now().Add(30 * time.Second)) // a test that waits for something else fails soon
	return &dialogue{c, bufio.NewReader(c)}
}

// ask sends a line, if it is not empty, and returns what comes until a line with one of the beginnings.
func (d *dialogue) ask(t *testing.T, line string, last ...string) string {
	t.Helper()
	if line != "" {
		if _, err := fmt.Fprintf(d, "%s\r\n", line); err != nil {
			t.Fatal(err)
		}
	}
	var all strings.Builder
	for {
		got, err := d.in.ReadString('\n')
		all.WriteString(got)
		if err != nil {
			t.Fatalf("after %q: %s%v", line, all.String(), err)
		}
		for _, l := range last {
			if strings.HasPrefix(got, l) {
				return all.String()
			}
		}
	}
}

// one cache for all names: what a client could do, and clients do with one name.
type oneTicket struct{ tls.ClientSessionCache }

func (c oneTicket) Get(string) (*tls.ClientSessionState, bool)  { return c.ClientSessionCache.Get("") }
func (c oneTicket) Put(_ string, s *tls.ClientSessionState)     { c.ClientSessionCache.Put("", s) }
func newTickets() tls.ClientSessionCache                        { return oneTicket{tls.NewLRUClientSessionCache(4)} }
func plainConfig(name string, c ...tls.Certificate) *tls.Config { return clientTLS(name, nil, c...) }

func clientTLS(name string, tickets tls.ClientSessionCache, c ...tls.Certificate) *tls.Config {
	return &tls.Config{ServerName: name, InsecureSkipVerify: true, Certificates: c, ClientSessionCache: tickets} //nolint:gosec // a test of the other end
}

// With a certificate of the domain's authority its owner logs in to SMTP, IMAP and POP, and nobody else does.
func TestClientCertificates(t *testing.T) {
	r := start(t)
	ca := newClientAuthority(t)
	r.cli(t, "CREATEDOMAIN asks.test {ClientCertReq=YES;ClientCertCA=\""+strings.ReplaceAll(ca.pem(), "\n", "\\e")+"\";}")
	r.cli(t, "CREATEACCOUNT carl@asks.test {UseCertificateAuth=YES;}")
	carl, stranger := ca.of(t, "carl@asks.test"), newClientAuthority(t).of(t, "carl@asks.test")
	tickets := newTickets()
	imap := func(c *tls.Config) (*dialogue, string) {
		t.Helper()
		conn, err := tls.Dial("tcp", r.addr(993), c)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		d := talk(conn)
		return d, d.ask(t, "", "* OK")
	}
	for name, c := range map[string]struct {
		config  *tls.Config
		offered bool
	}{
		"the certificate":           {plainConfig("asks.test", carl), true},
		"on a host of the domain":   {plainConfig("mail.asks.test", carl), true},
		"none":                      {plainConfig("asks.test"), false},
		"of a stranger's authority": {plainConfig("asks.test", stranger), false},
		"on another domain":         {plainConfig(testDomain, carl), false},
	} {
		if _, greeting := imap(c.config); strings.Contains(greeting, "AUTH=EXTERNAL") != c.offered || !strings.Contains(greeting, "AUTH=PLAIN") {
			t.Errorf("%s: %s", name, greeting)
		}
	}
	// A session that began under a name without a certificate is not resumed where one is asked for, and one that began with a certificate
	// is not resumed at all.
	for i, name := range []string{testDomain, "asks.test", "asks.test", testDomain, testDomain} {
		d, greeting := imap(clientTLS(name, tickets, carl))
		resumed := d.Conn.(*tls.Conn).ConnectionState().DidResume
		if asks := name != testDomain; strings.Contains(greeting, "AUTH=EXTERNAL") != asks || resumed != (i == 4 || i == 3) {
			t.Errorf("%d. %s, resumed %v: %s", i, name, resumed, greeting)
		}
	}
	d, _ := imap(plainConfig("asks.test", carl))
	if got := d.ask(t, "1 AUTHENTICATE EXTERNAL =", "1 "); !strings.HasPrefix(got, "1 OK") {
		t.Error(got)
	}
	d, _ = imap(plainConfig("asks.test", carl))
	if got := d.ask(t, "1 AUTHENTICATE EXTERNAL "+base64.StdEncoding.EncodeToString([]byte("alice@"+testDomain)), "1 "); !strings.HasPrefix(got, "1 NO [AUTHENTICATIONFAILED]") && !strings.HasPrefix(got, "1 NO") {
		t.Error(got)
	}
	d, _ = imap(plainConfig("asks.test", stranger))
	if got := d.ask(t, "1 AUTHENTICATE EXTERNAL =", "1 "); !strings.HasPrefix(got, "1 NO") {
		t.Error(got)
	}

	pop, err := tls.Dial("tcp", r.addr(995), plainConfig("asks.test", carl))
	if err != nil {
		t.Fatal(err)
	}
	defer pop.Close()
	p := talk(pop)
	p.ask(t, "", "+OK")
	if got := p.ask(t, "CAPA", "."); !strings.Contains(got, "SASL EXTERNAL ") {
		t.Error(got)
	}
	if got := p.ask(t, "AUTH EXTERNAL =", "+OK", "-ERR"); !strings.HasPrefix(got, "+OK") {
		t.Error(got)
	}

	for _, port := range []int{25, 587, 465} {
		var conn net.Conn
		if conn, err = net.Dial("tcp", r.addr(port)); err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if port != 465 {
			s := talk(conn)
			s.ask(t, "", "220 ")
			s.ask(t, "EHLO laptop.test", "250 ")
			s.ask(t, "STARTTLS", "220 ")
		}
		s := talk(tls.Client(conn, plainConfig("asks.test", carl)))
		if port == 465 {
			s.ask(t, "", "220 ")
		}
		greeting := s.ask(t, "EHLO laptop.test", "250 ")
		if port == 25 && !strings.Contains(greeting, "AUTH") {
			continue // the listener offers no logins
		}
		if !strings.Contains(greeting, "AUTH EXTERNAL ") {
			t.Errorf("%d: %s", port, greeting)
		}
		if got := s.ask(t, "AUTH EXTERNAL =", "2", "4", "5"); got != "235 2.7.0 carl@asks.test authenticated\r\n" && !strings.HasPrefix(got, "235 ") {
			t.Errorf("%d: %s", port, got)
		}
	}

	// Browsers are not asked: they would ask their users.
	asked := false
	config := plainConfig("asks.test")
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		asked = true
		return &carl, nil
	}
	web, err := tls.Dial("tcp", r.addr(9100), config)
	if err != nil {
		t.Fatal(err)
	}
	if web.Close(); asked {
		t.Error("HTTPU asks for a certificate")
	}
}
