package server_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

const slapdConfig = `include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile %[1]s/pid
argsfile %[1]s/args
TLSCertificateFile %[2]s
TLSCertificateKeyFile %[3]s
# What servers do that take a bind without a password for one that succeeds.
allow bind_anon_cred bind_anon_dn
security simple_bind=0
database mdb
suffix "dc=corp,dc=test"
rootdn "cn=root,dc=corp,dc=test"
rootpw rootpw
directory %[1]s/db
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact="cn=search,dc=corp,dc=test" read by anonymous auth by * none
`

const slapdEntries = `dn: dc=corp,dc=test
objectClass: dcObject
objectClass: organization
dc: corp
o: Corp

dn: ou=people,dc=corp,dc=test
objectClass: organizationalUnit
ou: people

dn: cn=search,dc=corp,dc=test
objectClass: person
cn: search
sn: search
userPassword: searchpw

dn: uid=alice,ou=people,dc=corp,dc=test
objectClass: inetOrgPerson
uid: alice
cn: Alice
sn: A
userPassword: in the directory

dn: cn=Nina\, N,ou=people,dc=corp,dc=test
objectClass: inetOrgPerson
uid: nina
cn: Nina, N
sn: N
displayName:: TmluYSDQndC+0LLQsNGP
userPassword: nina's own
`

// localCertificate returns a certificate of this machine that it has signed itself, and its key, in PEM form.
func localCertificate(t *testing.T) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, c, c, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}))
}

// Passwords and names of OpenLDAP: with STARTTLS and ldaps, by a template and by a search.
func TestInteropDirectoryServer(t *testing.T) {
	needPrograms(t, "/usr/sbin/slapd", "/usr/sbin/slapadd")
	r := start(t)
	dir := t.TempDir()
	if err := os.Mkdir(dir+"/db", 0o700); err != nil {
		t.Fatal(err)
	}
	cert, key := localCertificate(t)
	certFile, keyFile := write(t, dir, "cert.pem", cert), write(t, dir, "key.pem", key)
	config := write(t, dir, "slapd.conf", fmt.Sprintf(slapdConfig, dir, certFile, keyFile))
	run(t, strings.NewReader(slapdEntries), nil, "/usr/sbin/slapadd", "-q", "-f", config)
	plain, secure := freePort(t), freePort(t)
	daemon(t, "tcp", "127.0.0.1:"+plain, "/usr/sbin/slapd", "-d", "0", "-f", config, "-h", "ldap://127.0.0.1:"+plain+" ldaps://127.0.0.1:"+secure)
	r.cli(t, "UPDATEACCOUNTSETTINGS alice {UseExtPassword=YES;FailedLoginFlow=(-1,60);}")
	domain := func(settings string) {
		t.Helper()
		r.cli(t, "UPDATEDOMAINSETTINGS corp.test {"+settings+"}")
	}
	ca := fmt.Sprintf("LDAPCA=%q;", cert)
	ca = strings.ReplaceAll(ca, `\n`, `\e`)
	const template = `LDAPBindDN="uid=%u,ou=people,dc=corp,dc=test";LDAPSearchBase="";`
	const search = `LDAPBindDN="";LDAPSearchBase="dc=corp,dc=test";LDAPServiceDN="cn=search,dc=corp,dc=test";LDAPServicePassword=searchpw;`
	for _, c := range []struct{ settings, right string }{
		{ca + template + `LDAPServers=("ldap://127.0.0.1:` + plain + `");`, "a OK"},
		{search + `LDAPServers=("ldaps://127.0.0.1:` + secure + `");`, "a OK"},
		{search + `LDAPServers=("ldaps://127.0.0.1:1","ldaps://127.0.0.1:` + secure + `");`, "a OK"},
		{`LDAPCA="";`, "a NO [UNAVAILABLE]"}, // nobody vouches for its certificate
		{ca + `LDAPServicePassword=wrong;`, "a NO [UNAVAILABLE]"},
		{`LDAPServicePassword=searchpw;LDAPServers=("ldap://127.0.0.1:` + secure + `");LDAPTimeout=1;`, "a NO [UNAVAILABLE]"},
		{search + `LDAPTimeout=5;LDAPServers=("ldap://127.0.0.1:` + plain + `");`, "a OK"},
	} {
		domain(c.settings)
		// First the wrong ones: what is right is remembered for a minute.
		for _, wrong := range []string{"", "wrong", "searchpw"} {
			if got := r.login(t, "alice@corp.test", wrong); !strings.HasPrefix(got, "a NO") {
				t.Errorf("%s: %q: %s", c.settings, wrong, got)
			}
		}
		if got := r.login(t, "alice@corp.test", "in the directory"); !strings.HasPrefix(got, c.right) {
			t.Errorf("%s: %s", c.settings, got)
		}
		domain(`LDAPSearchFilter="(&(uid=%u)(objectClass=inetOrgPerson))";`)
	}
	if got := r.login(t, "alice@corp.test", testPassword); !strings.HasPrefix(got, "a OK") {
		t.Errorf("the password that is stored here: %s", got)
	}
	// A name that the directory knows gets an account with the first mail for it.
	if err := r.submit(t, "bob@corp.test", "nina@corp.test", "x"); err == nil {
		t.Error("mail for a name that is not asked about")
	}
	domain("ExternalOnUnknown=YES;")
	if err := r.submit(t, "bob@corp.test", "nina@corp.test", "welcome"); err != nil {
		t.Errorf("mail for a name that the directory knows: %v", err)
	}
	if err := r.submit(t, "bob@corp.test", "nobody@corp.test", "x"); err == nil || !strings.HasPrefix(err.Error(), "550") {
		t.Errorf("mail for a name that it does not know: %v", err)
	}
	if got := r.login(t, "nina@corp.test", "nina's own"); !strings.HasPrefix(got, "a OK") {
		t.Errorf("the new account: %s", got)
	}
	if name := r.cli(t, "GETACCOUNTONESETTING nina@corp.test RealName").Text; !strings.Contains(name, "Новая") {
		t.Errorf("the new account is %s's", name)
	}
	if log := r.log(t); strings.Contains(log, "in the directory") || strings.Contains(log, "searchpw") || strings.Contains(log, "nina's own") {
		t.Error("a password is in the log")
	}
	if settings := r.cli(t, "GETACCOUNTSETTINGS nina@corp.test").Text; !strings.Contains(settings, "UseExtPassword=YES") {
		t.Errorf("the new account: %s", settings)
	}
}
