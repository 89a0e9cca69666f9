package relay

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatepost/queue/envelope"
	"gatepost/server/resolver"
	"gatepost/server/settings"
)

// signedZone returns a resolver that asks unbound, which validates far.org by its keys. spoil, if not nil, changes the zone after it was
// signed. Without sign the zone has no keys.
func signedZone(t *testing.T, records string, sign bool, spoil func(zone string) string) *resolver.Resolver {
	t.Helper()
	dir := t.TempDir()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	run := func(name string, args ...string) string {
		t.Helper()
		cmd := exec.Command(name, args...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	text := "far.org. 300 IN SOA ns.far.org. x.far.org. 1 3600 600 86400 300\nfar.org. 300 IN NS ns.far.org.\nns.far.org. 300 IN A 127.0.0.1\n"
	for line := range strings.Lines(records) {
		if fields := strings.Fields(line); len(fields) > 2 {
			text += fields[0] + " 300 IN " + strings.Join(fields[1:], " ") + "\n"
		}
	}
	file := filepath.Join(dir, "zone")
	must(os.WriteFile(file, []byte(text), 0o600))
	anchor := ""
	if sign {
		key := run("ldns-keygen", "-a", "ECDSAP256SHA256", "-k", "far.org")
		run("ldns-signzone", "-f", "signed", "zone", key)
		anchor = "trust-anchor-file: " + filepath.Join(dir, key+".key")
		file = filepath.Join(dir, "signed")
	}
	if spoil != nil {
		b, err := os.ReadFile(file)
		must(err)
		changed := spoil(string(b))
		if changed == string(b) {
			t.Fatal("nothing is spoilt")
		}
		must(os.WriteFile(file, []byte(changed), 0o600))
	}
	probe, err := net.ListenPacket("udp", "127.0.0.1:0")
	must(err)
	port := probe.LocalAddr().(*net.UDPAddr).Port
	must(probe.Close())
	config := filepath.Join(dir, "unbound.conf")
	must(os.WriteFile(config, fmt.Appendf(nil, `server:
 interface: 127.0.0.1@%d
 do-daemonize: no
 do-ip6: no
 chroot: ""
 username: ""
 directory: %q
 pidfile: ""
 use-syslog: no
 log-time-ascii: no
 module-config: "validator iterator"
 %s
remote-control:
 control-enable: no
auth-zone:
 name: "far.org."
 zonefile: %q
 for-downstream: no
 for-upstream: yes
 fallback-enabled: no
`, port, dir, anchor, file), 0o600))
	var said bytes.Buffer
	cmd := exec.Command("unbound", "-d", "-c", config)
	cmd.Stdout, cmd.Stderr = &said, &said
	must(cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it is waited for
		_ = cmd.Wait()         // it was killed
		if t.Failed() {
			t.Logf("unbound said\n%s", said.String())
		}
	})
	server := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(port))
	r := resolver.New(settings.NewLive(&resolver.Settings{Servers: resolver.Servers{server}, TimeOut: settings.Period(3 * time.Second), Attempts: 3, Requests: 100,
		TrustAD: "Loopback"}), slog.New(slog.DiscardHandler))
	t.Cleanup(r.Close)
	for limit := time.Now().Add(20 * time.Second); ; { // until unbound listens
		if _, err := r.A(t.Context(), "ns.far.org"); err == nil || time.Now().After(limit) {
			return r
		}
	}
}

// What a validating resolver says of a signed zone decides: records that fit, do not fit, have a wrong signature, are not there.
func TestInteropSignedZone(t *testing.T) {
	if os.Getenv("GATEPOST_INTEROP") == "" {
		t.Skip("GATEPOST_INTEROP is not set")
	}
	for _, program := range []string{"unbound", "ldns-keygen", "ldns-signzone"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip("there is no " + program)
		}
	}
	const sts = "\n_mta-sts.far.org. TXT \"v=STSv1;id=1;\""
	own := func(s *securedStation) string { return tlsa("mx.far.org", 3, 1, 1, s.server.cert.Leaf) }
	other := func(s *securedStation) string { return tlsa("mx.far.org", 3, 1, 1, newAuthority(s.t).cert) }
	none := func(*securedStation) string { return "" }
	spoilTLSA := func(zone string) string {
		var out strings.Builder
		for line := range strings.Lines(zone) {
			if f := strings.Fields(line); len(f) > 7 && f[3] == "TLSA" {
				last := f[len(f)-1]
				line = strings.Replace(line, last, strings.Repeat("0", len(last)), 1)
			}
			io.WriteString(&out, line) // to memory
		}
		return out.String()
	}
	spoilMX := func(zone string) string { return strings.Replace(zone, "MX\t10 mx.far.org.", "MX\t11 mx.far.org.", 1) }
	for name, c := range map[string]struct {
		records  func(*securedStation) string
		unsigned bool
		spoil    func(string) string
		policy   string
		cert     func(*securedStation)
		require  bool
		want     string // the beginning
	}{
		"good":                    {records: own, want: encrypted},
		"mismatching":             {records: other, want: "delayed: mx.far.org has not proved who it is"},
		"bogus TLSA":              {records: own, spoil: spoilTLSA, want: "delayed: mx.far.org may have TLSA records, and they cannot be had"},
		"bogus MX":                {records: own, spoil: spoilMX, want: "delayed: "},
		"absent":                  {records: none, want: encrypted},
		"absent, no TLS":          {records: none, cert: func(s *securedStation) { s.server.cert = nil }, want: inClear},
		"mismatching, not signed": {records: other, unsigned: true, want: encrypted},
		"enforce":                 {records: none, policy: "enforce", want: encrypted},
		"enforce, wrong name":     {records: none, policy: "enforce", cert: func(s *securedStation) { s.server.cert = s.ca.issue(time.Time{}, "other.net") }, want: "delayed: mx.far.org has not proved who it is"},
		"testing, wrong name":     {records: none, policy: "testing", cert: func(s *securedStation) { s.server.cert = s.ca.issue(time.Time{}, "other.net") }, want: encrypted},
		"REQUIRETLS, good":        {records: own, require: true, want: encrypted},
		"REQUIRETLS, mismatching": {records: other, require: true, want: "failed: the sender requires encryption with proof (REQUIRETLS): mx.far.org has not proved who it is"},
		"REQUIRETLS, absent":      {records: none, require: true, want: encrypted}, // the name in the certificate, and DNSSEC for the MX
		"REQUIRETLS, not signed":  {records: none, unsigned: true, require: true, want: "failed: the sender requires encryption with proof (REQUIRETLS): nothing proves that mx.far.org is a mail server of far.org"},
		"REQUIRETLS, without TLS": {records: none, require: true, cert: func(s *securedStation) { s.server.cert = nil }, want: "failed: the sender requires encryption with proof (REQUIRETLS): mx.far.org offers no encryption"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSecuredStation(t)
			records := farZone + c.records(s)
			if c.cert != nil {
				c.cert(s)
			}
			if c.policy != "" {
				records += sts
				s.policy = "version: STSv1\nmode: " + c.policy + "\nmx: mx.far.org\nmax_age: 86400\n"
			}
			dns := signedZone(t, records, !c.unsigned, c.spoil)
			s.transport.finder.dns = dns
			s.usePolicies(dns)
			if got := s.result(func(e *envelope.Envelope) { e.RequireTLS = c.require }); !strings.HasPrefix(got, c.want) {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}
