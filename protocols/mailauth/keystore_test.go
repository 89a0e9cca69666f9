package mailauth

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"
	"time"

	"gatepost/server/fault"
)

func TestKeyStore(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "DKIM")
	s := OpenKeys(dir)
	s.now = func() time.Time { return time.Date(2026, 11, 30, 1, 2, 3, 0, time.UTC) }
	if keys, err := s.Active("here.test"); err != nil || len(keys) != 0 {
		t.Fatalf("%v, %v", keys, err)
	}
	first, err := s.Make("Here.test", "", Ed25519)
	if err != nil || first.State != KeyActive || first.Selector != "g202611e" || first.Name != "g202611e._domainkey.here.test" {
		t.Fatalf("%+v, %v", first, err)
	}
	n := names{"TXT " + first.Name: {first.Text}}
	keys, err := s.Active("here.test")
	if err != nil || len(keys) != 1 {
		t.Fatalf("%v, %v", keys, err)
	}
	if r := n.verify(t, "", sign(t, letter, keys...)); r.DKIM[0].Result != Pass {
		t.Errorf("%+v", r.DKIM)
	}
	next, err := s.Make("here.test", "", "ed25519")
	if err != nil || next.State != KeyNext || next.Selector != "g202611e2" {
		t.Fatalf("%+v, %v", next, err)
	}
	if err := s.Activate("here.test", next.Selector); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(dir, "here.test", "g202611e2.key"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	// What another process finds.
	again := OpenKeys(dir)
	list, err := again.List("here.test")
	if err != nil || len(list) != 2 || list[0].State != KeyOld || list[1].State != KeyActive || list[1].Text != next.Text || !list[1].Since.Equal(s.now()) {
		t.Fatalf("%+v, %v", list, err)
	}
	if err := again.Remove("here.test", first.Selector); err != nil {
		t.Fatal(err)
	}
	if list, err := again.List("here.test"); err != nil || len(list) != 1 {
		t.Errorf("%+v, %v", list, err)
	}
	if err := again.Retire("here.test", next.Selector); err != nil {
		t.Fatal(err)
	}
	if keys, err := again.Active("here.test"); err != nil || len(keys) != 0 {
		t.Errorf("%v, %v", keys, err)
	}
}

func TestKeysAreImported(t *testing.T) {
	s := OpenKeys(t.TempDir())
	key, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	if r, err := s.Import("here.test", "Mail", text); err != nil || r.Selector != "mail" || r.Algorithm != RSA || r.State != KeyActive {
		t.Errorf("%+v, %v", r, err)
	}
	for _, c := range []struct {
		domain, selector, text string
		kind                   fault.Kind
	}{
		{"here.test", "mail", string(text), fault.Exists},
		{"here.test", "", string(text), fault.Invalid},
		{"here.test", "../x", string(text), fault.Invalid},
		{"here.test", "a b", string(text), fault.Invalid},
		{"../here", "x", string(text), fault.Invalid},
		{"..", "x", string(text), fault.Invalid},
		{"[192.0.2.1]", "x", string(text), fault.Invalid},
		{"here.test", "x", "no key", fault.Invalid},
	} {
		if r, err := s.Import(c.domain, c.selector, []byte(c.text)); !fault.Is(err, c.kind) {
			t.Errorf("%+v: %+v, %v", c, r, err)
		}
	}
}

func TestDamagedKeyIsAnError(t *testing.T) {
	dir := t.TempDir()
	s := OpenKeys(dir)
	if _, err := s.Make("here.test", "a", Ed25519); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "here.test", "a.key"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s.Forget()
	if keys, err := s.Active("here.test"); !fault.Is(err, fault.Corrupt) {
		t.Errorf("%v, %v", keys, err)
	}
}
