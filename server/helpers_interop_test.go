package server_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// daemon runs a program in the foreground until the test ends, and waits until it listens.
func daemon(t *testing.T, network, address, program string, args ...string) {
	t.Helper()
	cmd := exec.Command(program, args...)
	var log strings.Builder
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-ended
		if t.Failed() {
			t.Logf("%s: %s", program, log.String())
		}
	})
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if conn, err := net.Dial(network, address); err == nil {
			conn.Close()
			return
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("%s has ended: %v\n%s", program, err, log.String())
		case <-tick.C:
		}
	}
}

// freePort is a port of loopback that nobody has.
func freePort(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return strconv.Itoa(ln.Addr().(*net.TCPAddr).Port)
}

func helperScript(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("testdata", "helpers", name))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// write writes a file of the test.
func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// filtered makes a filter of a program, and a rule that asks it about every message.
func (r *running) filtered(t *testing.T, program string) {
	t.Helper()
	r.cli(t, fmt.Sprintf(`UPDATESERVERSETTINGS {ExternalFilters=({Enabled=YES;Name=F;ProgramName=%q;});}`, program))
	r.cli(t, `SETSERVERMAILRULES ((5, F, (), ((ExternalFilter, F))))`)
}

// clamd, with a signature of the test, finds what it looks for; a clean message gets a field.
func TestInteropClamd(t *testing.T) {
	needPrograms(t, "clamd", "python3", "curl")
	dir := t.TempDir()
	socket := filepath.Join(dir, "clamd.sock")
	write(t, dir, "test.ndb", "Gatepost.Test.Virus:0:*:"+fmt.Sprintf("%x", "this text is the virus of the test")+"\n")
	conf := write(t, dir, "clamd.conf", fmt.Sprintf("Foreground yes\nLocalSocket %s\nDatabaseDirectory %s\nLogFile %s/log\n", socket, dir, dir))
	daemon(t, "unix", socket, "clamd", "-c", conf)
	r := start(t)
	r.filtered(t, helperScript(t, "clamd.py")+" "+socket)
	subject := "clean " + rand.Text()
	if err := r.submit(t, "bob@"+testDomain, "alice@"+testDomain, subject); err != nil {
		t.Fatal(err)
	}
	if got := r.waitFor(t, "alice", subject); !strings.Contains(got, "\nX-Virus-Scanned: clamd\n") {
		t.Errorf("the clean message:\n%s", got)
	}
	err := r.submit(t, "bob@"+testDomain, "alice@"+testDomain, "this text is the virus of the test")
	if err == nil || !strings.Contains(err.Error(), "550") || !strings.Contains(err.Error(), "Gatepost.Test.Virus") {
		t.Errorf("the virus: %v", err)
	}
}

// spamd scores messages: GTUBE is spam.
func TestInteropSpamd(t *testing.T) {
	needPrograms(t, "spamd", "perl", "curl")
	port := freePort(t)
	daemon(t, "tcp", "127.0.0.1:"+port, "spamd", "-L", "-x", "-i", "127.0.0.1", "-p", port, "-m", "1", "--helper-home-dir="+t.TempDir())
	r := start(t)
	r.filtered(t, helperScript(t, "spamd.pl")+" "+port)
	for text, flag := range map[string]string{"hello": "NO", "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X": "YES"} {
		subject := text + " " + rand.Text()
		if err := r.submit(t, "bob@"+testDomain, "alice@"+testDomain, subject); err != nil {
			t.Fatal(err)
		}
		_, tail, _ := strings.Cut(subject, " ")
		if got := r.waitFor(t, "alice", tail); !strings.Contains(got, "\nX-Spam-Flag: "+flag+"\n") || !strings.Contains(got, "\nX-Junk-Score: ") {
			t.Errorf("%s:\n%s", text, got)
		}
	}
}

// OpenDKIM signs what comes from this machine, over the milter protocol.
func TestInteropOpenDKIM(t *testing.T) {
	needPrograms(t, "opendkim", "curl")
	dir := t.TempDir()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	file := write(t, dir, "key", string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})))
	port := freePort(t)
	conf := write(t, dir, "conf", fmt.Sprintf("Mode s\nDomain %s\nSelector sel\nKeyFile %s\nSocket inet:%s@127.0.0.1\nInternalHosts 127.0.0.1\nCanonicalization relaxed/simple\nRequireSafeKeys no\n", testDomain, file, port))
	daemon(t, "tcp", "127.0.0.1:"+port, "opendkim", "-f", "-x", conf)
	r := start(t)
	r.cli(t, `UPDATESERVERSETTINGS {Milters=({Enabled=YES;Name=OpenDKIM;Address="inet:`+port+`@127.0.0.1";});}`)
	subject := "signed " + rand.Text()
	if err := r.submit(t, "bob@"+testDomain, "alice@"+testDomain, subject); err != nil {
		t.Fatal(err)
	}
	if got := r.waitFor(t, "alice", subject); !strings.Contains(got, "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/simple; d="+testDomain+"; s=sel;") {
		t.Errorf("not signed:\n%s", got)
	}
}

// A script knows the users of an LDAP server: it makes their accounts at their first mail and login.
func TestInteropLDAP(t *testing.T) {
	needPrograms(t, "slapd", "slapadd", "ldapwhoami", "ldapsearch", "perl")
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "db"), 0o700); err != nil {
		t.Fatal(err)
	}
	conf := write(t, dir, "slapd.conf", fmt.Sprintf("include /etc/ldap/schema/core.schema\ninclude /etc/ldap/schema/cosine.schema\ninclude /etc/ldap/schema/inetorgperson.schema\n"+
		"pidfile %s/pid\nmodulepath /usr/lib/ldap\nmoduleload back_mdb\ndatabase mdb\nsuffix dc=corp,dc=test\ndirectory %s/db\naccess to attrs=userPassword by anonymous auth\naccess to * by * read\n", dir, dir))
	ldif := write(t, dir, "users.ldif", "dn: dc=corp,dc=test\nobjectClass: dcObject\nobjectClass: organization\ndc: corp\no: Corp\n\n"+
		"dn: uid=carol,dc=corp,dc=test\nobjectClass: inetOrgPerson\nuid: carol\ncn: Carol\nsn: C\nuserPassword: pass \"word\n")
	run(t, nil, nil, "slapadd", "-f", conf, "-l", ldif)
	port := freePort(t)
	daemon(t, "tcp", "127.0.0.1:"+port, "slapd", "-d", "0", "-f", conf, "-h", "ldap://127.0.0.1:"+port)
	r := start(t)
	r.cli(t, "SETACCOUNTPASSWORD postmaster PASSWORD secret")
	r.cli(t, fmt.Sprintf(`UPDATESERVERSETTINGS {ExternalAUTH={Enabled=YES;ProgramName="%s ldap://127.0.0.1:%s dc=corp,dc=test %s secret";};}`, helperScript(t, "ldap.pl"), port, r.port(106)))
	r.cli(t, "UPDATEDOMAINSETTINGS "+testDomain+" {ExternalOnUnknown=YES;}")
	if err := r.submit(t, "bob@"+testDomain, "carol@"+testDomain, "first mail"); err != nil {
		t.Errorf("mail for a user of LDAP: %v", err)
	}
	if err := r.submit(t, "bob@"+testDomain, "nobody@"+testDomain, "no mail"); err == nil || !strings.HasPrefix(err.Error(), "550") {
		t.Errorf("mail for nobody: %v", err)
	}
	for password, want := range map[string]string{`pass "word`: "a OK", "wrong": "a NO [AUTHENTICATIONFAILED]"} {
		if got := r.login(t, "carol@"+testDomain, password); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s", password, got)
		}
	}
}
