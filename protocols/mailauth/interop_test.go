package mailauth

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The tests of this file ask other programs: dkimpy and opendkim (Debian's python3-dkim, python3-nacl, opendkim). They run
// only where GATEPOST_INTEROP is set.

func interop(t *testing.T) {
	if os.Getenv("GATEPOST_INTEROP") == "" {
		t.Skip("GATEPOST_INTEROP is not set")
	}
}

// python runs a script whose function txt answers from the table, with a message on its standard input.
func (n names) python(t *testing.T, script, text string) string {
	t.Helper()
	var table strings.Builder
	for name, values := range n {
		if name, ok := strings.CutPrefix(name, "TXT "); ok {
			fmt.Fprintf(&table, "  %q: b%q,\n", name, values[0])
		}
	}
	c := exec.Command("/usr/bin/python3", "-c", "import sys, dkim\ntable = {\n"+table.String()+"}\n"+
		"def txt(name, timeout=5):\n  return table.get(name.decode().rstrip('.'))\nmsg = sys.stdin.buffer.read()\n"+script)
	c.Stdin = strings.NewReader(text)
	var stderr bytes.Buffer
	c.Stderr = &stderr
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, &stderr)
	}
	return strings.TrimSpace(string(out))
}

func pemOf(t *testing.T, k Key) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(k.Signer)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func TestInteropDkimpyVerifies(t *testing.T) {
	interop(t)
	n := names{}
	rsaKey, edKey := n.key(t, "author.test", "r1", true), n.key(t, "author.test", "e1", false)
	for _, keys := range [][]Key{{rsaKey}, {edKey}, {rsaKey, edKey}} {
		signed := sign(t, letter, keys...)
		if got := n.python(t, "print([dkim.DKIM(msg).verify(idx=i, dnsfunc=txt) for i in range("+fmt.Sprint(len(keys))+")])", signed); strings.Contains(got, "False") {
			t.Errorf("%s: %s\n%s", keys[0].Selector, got, signed)
		}
	}
}

func TestInteropDkimpySigns(t *testing.T) {
	interop(t)
	n := names{}
	key := n.key(t, "author.test", "r1", true)
	for _, canon := range []string{"relaxed', b'relaxed", "simple', b'simple", "relaxed', b'simple"} {
		signed := n.python(t, "key = b'''"+pemOf(t, key)+"'''\nsys.stdout.buffer.write(dkim.sign(msg, b'r1', b'author.test', key, canonicalize=(b'"+canon+"')) + b'|')", letter)
		signed = strings.TrimSuffix(signed, "|") + letter
		if r := n.verify(t, "ann@author.test", signed); len(r.DKIM) != 1 || r.DKIM[0].Result != Pass {
			t.Errorf("%s: %+v\n%s", canon, r.DKIM, signed)
		}
	}
}

func TestInteropDkimpyVerifiesARC(t *testing.T) {
	interop(t)
	n := names{"TXT list.test": {"v=spf1 +all"}, "TXT _dmarc.author.test": {"v=DMARC1; p=reject"}}
	signed := sign(t, letter, n.key(t, "author.test", "r1", true))
	sealed := seal(t, n, signed, n.key(t, "list.test", "a1", true))
	sealed = seal(t, n, sealed, n.key(t, "second.test", "a2", true))
	if got := n.python(t, "cv, results, reason = dkim.arc_verify(msg, dnsfunc=txt)\nprint(cv.decode(), reason)", sealed); !strings.HasPrefix(got, "pass ") {
		t.Errorf("%s\n%s", got, sealed)
	}
}

func TestInteropDkimpySealsARC(t *testing.T) {
	interop(t)
	n := names{}
	key := n.key(t, "list.test", "a1", true)
	text := "Authentication-Results: lists.test; arc=none; spf=pass smtp.mailfrom=author.test; dmarc=pass header.from=author.test\r\n" + letter
	set := n.python(t, "key = b'''"+pemOf(t, key)+"'''\nsys.stdout.buffer.write(b''.join(dkim.arc_sign(msg, b'a1', b'list.test', key, b'lists.test')) + b'|')", text)
	r := n.verify(t, "x@list.test", strings.TrimSuffix(set, "|")+text)
	if r.ARC.Result != Pass || len(r.ARC.Sets) != 1 || !strings.Contains(r.ARC.Sets[0].Results, "dmarc=pass") {
		t.Errorf("%+v\n%s", r.ARC, set)
	}
}

func TestInteropOpendkimVerifies(t *testing.T) {
	interop(t)
	n := names{}
	signed := sign(t, letter, n.key(t, "author.test", "r1", true))
	dir := t.TempDir()
	keys := ""
	for name, values := range n {
		if name, ok := strings.CutPrefix(name, "TXT "); ok {
			keys += name + " " + values[0] + "\n"
		}
	}
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	config := write("conf", "TestPublicKeys "+write("keys", keys)+"\nMode v\nSyslog no\nBackground no\n")
	run := func(text string) string {
		out, err := exec.Command("opendkim", "-x", config, "-vv", "-t", write("message", text)).CombinedOutput()
		if err != nil {
			t.Logf("opendkim: %v", err)
		}
		return string(out)
	}
	if got := run(signed); !strings.Contains(got, "succeeded") {
		t.Errorf("%s", got)
	}
	if got := run(strings.Replace(signed, "yours", "mine", 1)); strings.Contains(got, "succeeded") {
		t.Errorf("a changed message: %s", got)
	}
}
