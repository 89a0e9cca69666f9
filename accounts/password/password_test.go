package password

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatepost/server/dataformat"
)

func testKeys(t testing.TB) Keys {
	t.Helper()
	k, err := OpenKeys(filepath.Join(t.TempDir(), KeyFile))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestImportedFormsVerify(t *testing.T) {
	long := strings.Repeat("p", 100)
	k := testKeys(t)
	for stored, password := range map[string]string{
		"$1$saltstri$YMyguxXMBpd2TEZ.vS/3q1":                                                                                      "Hello world!",
		"{CRYPT}$1$abcdefgh$hrDbr1kiyfxniRQePyjXx1":                                                                               long,
		"$5$saltstri$AcFF27v62S0zwgTU0yv0eKFexEp411.69eNIGyiG0L5":                                                                 "Hello world!",
		"$5$abc$bBHLwRRW2Li0XKaX13kz/g2fkDil4Jx46aNvd.48MS8":                                                                      "",
		"$6$saltstri$TuQo8ue714Ctf4Zl7Ctg70/YwYXvMiZP8AgmExw/pTqWoUKmQ9LD2WQO4j78UOYkYf3xOZCXu6asrMlXdzzMM1":                      "Hello world!",
		"$6$abcdefgh$kpTLTt/vdfwQAAW51hVcdXw8nIOfbLIwdWN/FhBOXAzMRLsxtw20rZc6eI..ngQem.nNTtMks9wxwrLOEyWcR0":                      long,
		"$6$rounds=10000$saltstringsaltst$OW1/O6BYHV6BcXZu8QVeXbDWra3Oeqh0sbHbbMCVNSnCM/UrjmM0Dp8vOuZeHBy/YTBmSK6H9qs/y3RnOaw5v.": "Hello world!",
		"$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a":                                                            "secret",
		"{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=":                                                                                       "secret",
		"{SSHA}Wcm1xEisNjqp921ALcHfuQ7avFdzYWx0MTIzNA==":                                                                          "secret",
		"{MD5}Xr4ilOzQ4PCOq3aQ0qbuaQ==":                                                                                           "secret",
		"{md5}5ebe2294ecd0e0f08eab7690d2a6ee69":                                                                                   "secret",
		"{PLAIN}secret":                                                                                                           "secret",
		"{CLEAR}{SHA}x":                                                                                                           "{SHA}x",
		"secret":                                                                                                                  "secret",
		"{not a scheme}":                                                                                                          "{not a scheme}",
	} {
		p, err := k.Parse(stored)
		if err != nil {
			t.Errorf("%s: %v", stored, err)
			continue
		}
		if ok, _ := p.Verify(password); !ok {
			t.Errorf("%s: the right password is refused", stored)
		}
		if ok, _ := p.Verify(password + "x"); ok {
			t.Errorf("%s: a wrong password is accepted", stored)
		}
	}
}

func TestFormsThatCannotBeVerifiedSaySo(t *testing.T) {
	k := testKeys(t)
	for _, stored := range []string{
		"\x01vendor", "\x02abJnggxhB/yWI", "{CRYPT}abJnggxhB/yWI", "{NTLM}0123", "{SHA}short", "{SHA}****", "{GP1}x", "{A-CRPT}AAAA",
		"{A-CRPT}!", "$9$x", "$2y$31$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a", "{GP1}scram-sha-256:1:a:b:c$argon2id:1:1:1:a:b",
	} {
		if p, err := k.Parse(stored); err == nil {
			t.Errorf("%q is read as %T", stored, p)
		}
	}
}

func TestNewPasswordsAreStoredOneWayByDefault(t *testing.T) {
	k := testKeys(t)
	for _, encryption := range []string{"SCRAM-SHA-256", "U-crpt", "MD5", "SHA1"} {
		stored, err := k.New("pencil", encryption)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(stored, "pencil") || !strings.HasPrefix(stored, hashMark) {
			t.Errorf("%s: %s", encryption, stored)
		}
		p, err := k.Parse(stored)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := p.(Reversible); ok {
			t.Errorf("%s is reversible", encryption)
		}
		if ok, slow := p.Verify("pencil"); !ok || !slow {
			t.Errorf("%s: verify = %v %v", encryption, ok, slow)
		}
		if ok, _ := p.Verify("pen"); ok {
			t.Errorf("%s: a wrong password is accepted", encryption)
		}
		if again := p.(*Hash).String(); again != stored {
			t.Errorf("printed again: %s", again)
		}
	}
}

func TestReversibleForms(t *testing.T) {
	k := testKeys(t)
	for _, password := range []string{"secret", "{SHA}looks like a form", "$1$x", "\x01", "päß", "a b", ""} {
		for _, encryption := range []string{"clear", "A-crpt"} {
			stored, err := k.New(password, encryption)
			if err != nil {
				t.Fatal(err)
			}
			if stored == "" {
				continue // an empty password is none
			}
			if encryption == "A-crpt" && password != "" && strings.Contains(stored, password) {
				t.Errorf("%q is in %q", password, stored)
			}
			p, err := k.Parse(stored)
			if err != nil {
				t.Errorf("%s %q: %v", encryption, password, err)
				continue
			}
			plain, err := p.(Reversible).Reveal()
			if err != nil || plain != password {
				t.Errorf("%s %q: revealed %q, %v", encryption, password, plain, err)
			}
		}
	}
	other := testKeys(t)
	if _, err := other.Parse(k.seal("secret")); err == nil {
		t.Error("a password that was sealed with another key is read")
	}
}

func TestStoredFormsCanBeWrittenBack(t *testing.T) {
	k := testKeys(t)
	scram, err := k.New("pencil", "SCRAM-SHA-256")
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]bool{
		scram: true, k.seal("x"): true, "{CLEAR}x": true, "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=": true,
		"secret": false, "{SHA}bad": false, "{GP1}bad": false, "Pa$$w0rd": false,
	} {
		if got := k.IsStored(text); got != want {
			t.Errorf("IsStored(%q) = %v", text, got)
		}
	}
}

// RFC 7677 section 3, with its salt and iterations.
func TestScramVector(t *testing.T) {
	salt, err := b64.DecodeString("W22ZaJ0SNY7soEsUEjb6gQ")
	if err != nil {
		t.Fatal(err)
	}
	c, err := deriveSCRAM(SHA256, "pencil", salt, 4096)
	if err != nil {
		t.Fatal(err)
	}
	// ServerSignature of the RFC's exchange.
	const auth = "n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0," +
		"s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
	if got := b64.EncodeToString(derive(c.ServerKey, auth)); got != "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4" {
		t.Errorf("ServerSignature %s", got)
	}
	// The RFC's ClientProof is ClientKey XOR ClientSignature, and StoredKey the hash of ClientKey.
	key, err := b64.DecodeString("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ")
	if err != nil {
		t.Fatal(err)
	}
	for i, b := range derive(c.StoredKey, auth) {
		key[i] ^= b
	}
	if sum := sha256.Sum256(key); !bytes.Equal(sum[:], c.StoredKey) {
		t.Error("the RFC's ClientProof does not fit StoredKey")
	}
}

// RFC 5802 section 5, with its salt and iterations.
func TestScramSHA1Vector(t *testing.T) {
	salt, err := base64.StdEncoding.DecodeString("QSXCR+Q6sek8bf92")
	if err != nil {
		t.Fatal(err)
	}
	c, err := deriveSCRAM(SHA1, "pencil", salt, 4096)
	if err != nil {
		t.Fatal(err)
	}
	const auth = "n=user,r=fyko+d2lbbFgONRv9qkxdawL,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j," +
		"s=QSXCR+Q6sek8bf92,i=4096,c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j"
	mac := func(key []byte) []byte {
		m := hmac.New(sha1.New, key)
		m.Write([]byte(auth))
		return m.Sum(nil)
	}
	if got := base64.StdEncoding.EncodeToString(mac(c.ServerKey)); got != "rmF9pqV8S7suAoZWja4dJRkFsKQ=" {
		t.Errorf("ServerSignature %s", got)
	}
	key, err := base64.StdEncoding.DecodeString("v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=") // ClientProof
	if err != nil {
		t.Fatal(err)
	}
	for i, b := range mac(c.StoredKey) {
		key[i] ^= b
	}
	if sum := sha1.Sum(key); !bytes.Equal(sum[:], c.StoredKey) {
		t.Error("the RFC's ClientProof does not fit StoredKey")
	}
}

// A hash of the time before SCRAM-SHA-1 is read, and completed by the password.
func TestHashIsCompleted(t *testing.T) {
	k := testKeys(t)
	stored, err := k.New("pencil", "")
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(stored, "$")
	old := parts[0] + "$" + parts[1]
	p, err := k.Parse(old)
	if err != nil {
		t.Fatal(err)
	}
	h := p.(*Hash)
	if _, ok := h.SCRAM(SHA1); ok || h.String() != old {
		t.Fatalf("the old form is read as %s", h)
	}
	full, err := h.Complete("pencil")
	if err != nil {
		t.Fatal(err)
	}
	c, ok := full.SCRAM(SHA1)
	want, err := DeriveSCRAM(SHA1, "pencil", c.Salt)
	if err != nil || !ok || !bytes.Equal(c.StoredKey, want.StoredKey) || c.Iterations != want.Iterations {
		t.Errorf("%v %v", c, err)
	}
	if again, err := full.Complete("pencil"); again != full || err != nil {
		t.Error("a complete hash is changed")
	}
	if !Same(old, full.String()) || !Same("x", "x") || Same("x", "y") || Same("", old) {
		t.Error("Same")
	}
	if other, err := k.New("pencil", ""); err != nil || Same(other, stored) {
		t.Errorf("the password set again is the same: %v", err)
	}
	for _, bad := range []string{stored + "$x", old + "$scram-sha-1:1:AA:AA:AA", old + "$" + strings.TrimPrefix(parts[0], hashMark), parts[0]} {
		if _, err := k.Parse(bad); err == nil {
			t.Errorf("%s is read", bad)
		}
	}
}

func TestPasswordsAreComparedAsSASLprepSaysThem(t *testing.T) {
	k := testKeys(t)
	stored, err := k.New("I\u00ADX", "SCRAM-SHA-256") // RFC 4013: soft hyphen maps to nothing
	if err != nil {
		t.Fatal(err)
	}
	p, err := k.Parse(stored)
	if err != nil {
		t.Fatal(err)
	}
	if ok, _ := p.Verify(Prepare("IX")); !ok {
		t.Error("IX is refused")
	}
}

func TestKeyFileIsPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), KeyFile)
	a, err := OpenKeys(path)
	if err != nil {
		t.Fatal(err)
	}
	i, err := os.Stat(path)
	if err != nil || i.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", i.Mode(), err)
	}
	b, err := OpenKeys(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(a.salt(SHA256, "n@d")) != string(b.salt(SHA256, "n@d")) {
		t.Error("salts of unknown names change with a restart")
	}
	if string(a.salt(SHA256, "n@d")) == string(a.salt(SHA256, "m@d")) {
		t.Error("two names have one salt")
	}
	if string(a.salt(SHA1, "n@d")) != string(b.salt(SHA1, "n@d")) || string(a.salt(SHA1, "n@d")) == string(a.salt(SHA256, "n@d")) {
		t.Error("the salts for SCRAM-SHA-1")
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenKeys(path); err == nil {
		t.Error("a key file that others can read is accepted")
	}
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := dataformat.WriteFile(path, dataformat.String("x"), dataformat.StyleCompact); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenKeys(path); err == nil {
		t.Error("a damaged key file is replaced or accepted")
	}
}

func FuzzParse(f *testing.F) {
	k := testKeys(f)
	for _, s := range []string{"secret", "{GP1}scram-sha-256:1:a:b:c$argon2id:1:8:1:a:b", "{A-CRPT}AAAA", "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=", "$6$rounds=1000$a$b", "$5$$", "$1$"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, stored string) {
		p, err := k.Parse(stored)
		if err != nil {
			return
		}
		if v, ok := p.(*Hash); ok && v.argon.memory > 1024 || strings.Contains(stored, "rounds=") {
			return // slow on purpose
		}
		p.Verify("x")
	})
}
