package server_test

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"gatepost/server/certificates"
)

// A certificate authority (pebble) gives certificates to domains, by each of the three challenges.
func TestInteropACME(t *testing.T) {
	if os.Getenv("GATEPOST_INTEROP") == "" {
		t.Skip("GATEPOST_INTEROP is not set")
	}
	pebble, err := exec.LookPath("pebble")
	if err != nil {
		t.Skip("there is no pebble")
	}
	r := start(t, "CREATEDOMAIN http.test", "CREATEDOMAIN tls.test", "CREATEDOMAIN dns.test", "CREATEDOMAIN foreign.test")
	dir := t.TempDir()
	records := filepath.Join(dir, "records")
	authority, roots := startPebble(t, pebble, dir, serveNames(t, records), port(t, r.addr(8100)), port(t, r.addr(9100)))

	// What is wanted: the domain, its settings of ACME, the names.
	r.cli(t, "UPDATEDOMAINSETTINGS http.test {CertificateType=ACME;CertificateNames=(http.test,mail.http.test);}")
	r.want(t, "GETDOMAINCERTIFICATE http.test", "terms are agreed")
	base := fmt.Sprintf("Directory=%q;AgreeToTerms=YES;Contact=\"postmaster@corp.test\";TrustedRoots=%q;HTTPPort=%d;TLSPort=%d;", authority, roots, port(t, r.addr(8100)), port(t, r.addr(9100)))
	hook := filepath.Join(dir, "hook")
	script := fmt.Sprintf("#!/bin/sh\nif [ \"$1\" = add ]; then echo \"$2 $3\" >> %s; fi\n", records)
	if err := os.WriteFile(hook, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		domain, challenge string
		names             []string
	}{
		{"http.test", "Challenge=HTTP;", []string{"http.test", "mail.http.test"}},
		{"tls.test", "Challenge=TLS;KeyKind=\"RSA 2048\";", []string{"tls.test", "mx.tls.test"}},
		{"dns.test", fmt.Sprintf("Challenge=DNS;DNSProgram=%q;DNSWait=0;", hook), []string{"dns.test", "*.dns.test"}},
	} {
		r.cli(t, "UPDATEMODULE ACME {"+base+c.challenge+"}")
		r.cli(t, fmt.Sprintf("UPDATEDOMAINSETTINGS %s {CertificateType=ACME;CertificateNames=(%q);}", c.domain, strings.Join(c.names, " ")))
		for _, name := range c.names {
			host := strings.Replace(name, "*", "any", 1)
			deadline := time.Now().Add(30 * time.Second)
			for !strings.Contains(issuer(t, r.addr(993), host), "Pebble") {
				if time.Now().After(deadline) {
					t.Fatalf("%s has no certificate of the authority: %v", host, r.cli(t, "GETDOMAINCERTIFICATE "+c.domain).Data)
				}
			}
			if got := issuer(t, r.addr(9100), host); !strings.Contains(got, "Pebble") {
				t.Errorf("%s over HTTPS is shown the certificate of %s", host, got)
			}
		}
	}
	// A host of somebody else is refused, and nothing is asked of the authority.
	r.cli(t, "UPDATEDOMAINSETTINGS foreign.test {CertificateType=ACME;CertificateNames=(http.test);}")
	r.want(t, "GETDOMAINCERTIFICATE foreign.test", "is no host of")
	// After a restart they come from the disk.
	r.halt(t)
	r.launch(t)
	deadline := time.Now().Add(10 * time.Second)
	for !strings.Contains(issuer(t, r.addr(993), "http.test"), "Pebble") {
		if time.Now().After(deadline) {
			t.Fatal("the certificate is gone after a restart")
		}
	}
}

func port(t *testing.T, addr string) int {
	t.Helper()
	_, text, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	n, _ := strconv.Atoi(text)
	return n
}

// issuer is who has signed the certificate that a client is shown.
func issuer(t *testing.T, addr, name string) string {
	t.Helper()
	c, err := tls.Dial("tcp", addr, &tls.Config{ServerName: name, InsecureSkipVerify: true}) //nolint:gosec // it is looked at
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	leaf := c.ConnectionState().PeerCertificates[0]
	if leaf.VerifyHostname(name) != nil {
		return "another name"
	}
	return leaf.Issuer.String()
}

// serveNames is a name server for which every name is this machine, and that has the TXT records of a file.
func serveNames(t *testing.T, records string) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0") // the authority asks over TCP
	if err != nil {
		t.Fatal(err)
	}
	s := &dns.Server{Listener: ln, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		name := strings.ToLower(q.Question[0].Name)
		head := dns.RR_Header{Name: q.Question[0].Name, Rrtype: q.Question[0].Qtype, Class: dns.ClassINET}
		switch q.Question[0].Qtype {
		case dns.TypeA:
			m.Answer = append(m.Answer, &dns.A{Hdr: head, A: net.IPv4(127, 0, 0, 1)})
		case dns.TypeTXT:
			text, _ := os.ReadFile(records)
			for line := range strings.Lines(string(text)) {
				if f := strings.Fields(line); len(f) == 2 && strings.TrimSuffix(name, ".") == f[0] {
					m.Answer = append(m.Answer, &dns.TXT{Hdr: head, Txt: []string{f[1]}})
				}
			}
		}
		_ = w.WriteMsg(m)
	})}
	go s.ActivateAndServe() //nolint:errcheck // it ends with Shutdown
	t.Cleanup(func() { _ = s.Shutdown() })
	return ln.Addr().String()
}

// startPebble runs an authority, and returns the address of its directory and the file with the certificate that it shows.
func startPebble(t *testing.T, program, dir, names string, httpPort, tlsPort int) (directory, roots string) {
	t.Helper()
	key, err := certificates.GenerateKey("ECDSA P-256")
	if err != nil {
		t.Fatal(err)
	}
	der, err := certificates.MakeSelfSigned(key, certificates.Subject{CommonName: "127.0.0.1"}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	free := func() string {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		return ln.Addr().String()
	}
	addr := free()
	config, err := json.Marshal(map[string]any{"pebble": map[string]any{"listenAddress": addr, "managementListenAddress": free(),
		"certificate": filepath.Join(dir, "ca.pem"), "privateKey": filepath.Join(dir, "ca.key"), "httpPort": httpPort, "tlsPort": tlsPort,
		"profiles": map[string]any{"default": map[string]any{"description": "usual", "validityPeriod": 7776000}}}})
	if err != nil {
		t.Fatal(err)
	}
	for file, text := range map[string]string{"ca.pem": certificates.EncodeCertificates(der), "ca.key": certificates.EncodeKey(key), "config.json": string(config)} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(program, "-config", filepath.Join(dir, "config.json"), "-dnsserver", names)
	cmd.Env = append(os.Environ(), "PEBBLE_VA_NOSLEEP=1", "PEBBLE_WFE_NONCEREJECT=0", "PEBBLE_AUTHZREUSE=0")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	listening := make(chan struct{})
	go func() {
		seen := false
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if !seen && strings.Contains(lines.Text(), "ACME directory available") {
				seen = true
				close(listening)
			}
		}
	}()
	select {
	case <-listening:
	case <-time.After(20 * time.Second):
		t.Fatal("pebble does not listen")
	}
	return "https://" + addr + "/dir", filepath.Join(dir, "ca.pem")
}
