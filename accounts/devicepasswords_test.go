package accounts

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// deviceStore has an account u with the password "right" and a device password for each of two programs.
func deviceStore(t *testing.T) (s *Store, phone, script string, login func(service, password string) error) {
	t.Helper()
	s = newStore(t)
	must(t, s.CreateAccount(ctx, "", "u", dict(t, "{Password=right;}")))
	phone, err := s.CreateDevicePassword(ctx, "", "u", "Téléphone", []string{"imap", "SMTP"})
	must(t, err)
	script, err = s.CreateDevicePassword(ctx, "", "u", "script", []string{"PWD"})
	must(t, err)
	return s, phone, script, func(service, password string) error {
		p := stranger
		p.Service, p.Page = service, service == "page"
		if p.Page {
			p.Service = "HTTP"
		}
		_, err := s.logins.CheckPassword(ctx, p, "", "u", password)
		return err
	}
}

// A device password is for its services, and for no page; the account's own password goes on.
func TestDevicePasswords(t *testing.T) {
	s, phone, script, login := deviceStore(t)
	must(t, s.AccountSettings("", "u").Update(ctx, dict(t, "{FailedLoginFlow=(-1,60);}")))
	if len(phone) != 29 || strings.Count(phone, "-") != 5 || phone == script {
		t.Errorf("made: %s, %s", phone, script)
	}
	for _, c := range []struct {
		service, password string
		ok                bool
	}{
		{"IMAP", phone, true}, {"SMTP", phone, true}, {"IMAP", strings.ToUpper(strings.ReplaceAll(phone, "-", "")), true}, {"IMAP", strings.ReplaceAll(phone, "-", " "), true},
		{"POP", phone, false}, {"PWD", phone, false}, {"page", phone, false}, {"HTTP", phone, false}, {"IMAP", phone[:28], false}, {"IMAP", phone + "a", false},
		{"PWD", script, true}, {"IMAP", script, false}, {"page", script, false},
		{"IMAP", "right", true}, {"page", "right", true}, {"PWD", "right", true}, {"IMAP", "", false},
	} {
		if err := login(c.service, c.password); (err == nil) != c.ok || err != nil && !fault.Is(err, fault.BadCredentials) {
			t.Errorf("%s %s: %v", c.service, c.password, err)
		}
	}
	// It is no password that an administrator verifies, and nothing shows it or its hash.
	wantKind(t, s.logins.VerifyPassword(ctx, "", "u", phone), fault.BadCredentials)
	d, err := s.AccountSettings("", "u").Get(ctx)
	must(t, err)
	all, err := s.AccountEffectiveSettings(ctx, "", "u")
	must(t, err)
	if d[keyDevices] != nil || all[keyDevices] != nil {
		t.Error("the settings show device passwords")
	}
	// Neither a replacement of the settings nor another password takes it away.
	must(t, s.AccountSettings("", "u").Set(ctx, dict(t, "{Password=other;}")))
	must(t, s.SetPassword(ctx, "", "u", "another", false))
	must(t, login("IMAP", phone))
	// What disables the account does.
	for _, disabled := range []string{"{AccessModes=None;}", "{AccessModes=(Mail,POP);}", "{UseAppPassword=NO;}"} {
		must(t, s.AccountSettings("", "u").Set(ctx, dict(t, disabled)))
		wantKind(t, login("IMAP", phone), fault.BadCredentials)
	}
	must(t, s.AccountSettings("", "u").Set(ctx, dict(t, "{UseAppPassword=NO;UseExtPassword=YES;RequireAPOP=YES;}")))
	must(t, login("IMAP", phone))
	clear := stranger
	clear.TLS = false
	if _, err := s.logins.CheckPassword(ctx, clear, "", "u", phone); !fault.Is(err, fault.BadCredentials) {
		t.Errorf("over a connection in clear: %v", err)
	}
}

// A wrong one costs what every failure costs, and counts like others.
func TestWrongDevicePasswordsCost(t *testing.T) {
	s, phone, _, login := deviceStore(t)
	wrong := strings.Map(func(r rune) rune {
		if r == 'a' {
			return 'b'
		}
		return r
	}, "aaaa"+phone[4:])
	before := s.logins.hashes.Load()
	must(t, login("IMAP", phone))
	if n := s.logins.hashes.Load() - before; n != 0 {
		t.Errorf("a right one took %d memory-hard hashes", n)
	}
	for _, p := range []struct{ service, password string }{{"IMAP", wrong}, {"POP", phone}} {
		before = s.logins.hashes.Load()
		wantKind(t, login(p.service, p.password), fault.BadCredentials)
		if n := s.logins.hashes.Load() - before; n != 1 {
			t.Errorf("a wrong one took %d memory-hard hashes", n)
		}
	}
	// Other addresses guess until they are blocked; then the right one does not help there.
	p := Peer{IP: stranger.IP.Next(), TLS: true, Service: "IMAP"}
	for range 12 {
		_, _ = s.logins.CheckPassword(ctx, p, "", "u", wrong)
	}
	if _, err := s.logins.CheckPassword(ctx, p, "", "u", phone); !LoginBlocked(err) {
		t.Errorf("from a blocked address: %v", err)
	}
	must(t, login("IMAP", phone)) // the account is known at its owner's address
}

// DevicePasswordsOnly, and a second factor, leave the account's own password to pages and the command line.
func TestDevicePasswordsOnly(t *testing.T) {
	s, phone, script, login := deviceStore(t)
	must(t, s.AccountSettings("", "u").Update(ctx, dict(t, "{DevicePasswordsOnly=YES;PasswordEncryption=clear;FailedLoginFlow=(-1,60);}")))
	for _, service := range []string{"IMAP", "POP", "SMTP", "WebCAL", "WebSite", "HTTP"} {
		wantKind(t, login(service, "right"), fault.BadCredentials)
	}
	try, err := s.logins.BeginLogin(ctx, stranger, "", "u")
	must(t, err)
	if _, ok := try.PlainPassword(); ok {
		t.Error("CRAM-MD5 is possible")
	}
	try.Abandoned()
	must(t, login("IMAP", phone))
	must(t, login("page", "right"))
	must(t, login("PWD", "right"))

	must(t, s.AccountSettings("", "u").Update(ctx, dict(t, "{DevicePasswordsOnly=default;}")))
	must(t, login("IMAP", "right"))
	secret := NewTOTPSecret()
	key, err := secretOf(secret)
	must(t, err)
	now := time.Unix(1_800_000_000, 0)
	s.factors.now = func() time.Time { return now }
	_, err = s.SetSecondFactor(ctx, "", "u", secret, totp(key, now.Unix()/30))
	must(t, err)
	wantKind(t, login("IMAP", "right"), fault.BadCredentials)
	must(t, login("IMAP", phone))
	must(t, login("page", "right")) // which asks for the code
	wantKind(t, login("PWD", "right"), fault.BadCredentials)
	must(t, login("PWD", script))
	now = now.Add(time.Minute)
	must(t, login("PWD", "right"+totp(key, now.Unix()/30)))
	must(t, s.AccountSettings("", "u").Update(ctx, dict(t, "{DevicePasswordsOnly=NO;}")))
	must(t, login("IMAP", "right"))
}

// Sessions end when their device password goes, and not when the account's own changes.
func TestSessionsOfDevicePasswords(t *testing.T) {
	s, phone, _, _ := deviceStore(t)
	ended := map[string]string{}
	watch := func(name, password string) *Watch {
		a, err := s.logins.CheckPassword(ctx, stranger, "", "u", password)
		must(t, err)
		return newSessions(s).Watch(a, stranger, func(reason string) { ended[name] = reason }) // nothing else compares these
	}
	device, own := watch("device", phone), watch("own", "right")
	must(t, s.AccountSettings("", "u").Update(ctx, dict(t, "{DevicePasswordsOnly=YES;}")))
	device.Check()
	if own.Check(); len(ended) != 1 || ended["own"] == "" {
		t.Errorf("with DevicePasswordsOnly: %v", ended)
	}
	must(t, s.SetPassword(ctx, "", "u", "other", false))
	if device.Check(); ended["device"] != "" {
		t.Errorf("with another password: %v", ended)
	}
	wantKind(t, s.RevokeDevicePassword(ctx, "", "u", "nothing"), fault.NotFound)
	must(t, s.RevokeDevicePassword(ctx, "", "u", "TÉLÉPHONE"))
	if device.Check(); ended["device"] != endRevoked {
		t.Errorf("revoked: %v", ended)
	}
	device.Stop()
	own.Stop()
}

// The last use is kept over a restart and a rename, and is not that of a later one of the name.
func TestLastUseOfDevicePasswords(t *testing.T) {
	b := newBase(t)
	s := b.open(t)
	must(t, s.CreateAccount(ctx, "", "u", nil))
	phone, err := s.CreateDevicePassword(ctx, "", "u", "phone", nil)
	must(t, err)
	_, err = s.CreateDevicePassword(ctx, "", "u", "unused", nil)
	must(t, err)
	look := func(account string, used bool) {
		t.Helper()
		list, err := s.DevicePasswords(ctx, "", account)
		must(t, err)
		if len(list) != 2 || list[0].Name != "phone" || list[0].Created.IsZero() || list[1].Service != "" || !list[1].Used.IsZero() {
			t.Fatalf("list: %+v", list)
		}
		if d := list[0]; used != (d.Service == "Relay" && d.Address == "192.0.2.1" && time.Since(d.Used) < time.Minute) {
			t.Errorf("last use: %+v", d)
		}
	}
	look("u", false)
	p := stranger
	p.Service = "SMTP"
	_, err = s.logins.CheckPassword(ctx, p, "", "u", phone)
	must(t, err)
	look("u", true)
	b.close(t, s)
	s = b.open(t)
	look("u", true)
	must(t, s.RenameAccount(ctx, "", "u", "", "v"))
	look("v", true)
	_, err = s.logins.CheckPassword(ctx, p, "", "v", phone)
	must(t, err)
	info, err := s.AccountInfo(ctx, "", "v")
	must(t, err)
	if info[keyDeviceUses[1:]] != nil {
		t.Error("the account's info shows the list")
	}
	must(t, s.RevokeDevicePassword(ctx, "", "v", "phone"))
	_, err = s.CreateDevicePassword(ctx, "", "v", "phone", nil)
	must(t, err)
	look("v", false)
	_, err = s.logins.CheckPassword(ctx, p, "", "v", phone)
	wantKind(t, err, fault.BadCredentials)
	// The secret is in no file.
	must(t, filepath.WalkDir(b.base, func(path string, e os.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			text, err := os.ReadFile(path)
			must(t, err)
			if strings.Contains(string(text), phone) || strings.Contains(string(text), strings.ReplaceAll(phone, "-", "")) {
				t.Errorf("%s has the secret", path)
			}
		}
		return err
	}))
	if strings.Contains(b.log.String(), phone) {
		t.Error("the log has the secret")
	}
	must(t, s.RevokeDevicePasswords(ctx, "", "v"))
	if list, err := s.DevicePasswords(ctx, "", "v"); err != nil || len(list) != 0 {
		t.Errorf("after all were revoked: %v %v", list, err)
	}
}

func TestDevicePasswordsAreBounded(t *testing.T) {
	s := newStore(t)
	must(t, s.CreateAccount(ctx, "", "u", nil))
	for _, name := range []string{"", "  ", "two\nlines", strings.Repeat("x", maxDeviceName+1), "\xff"} {
		_, err := s.CreateDevicePassword(ctx, "", "u", name, nil)
		wantKind(t, err, fault.Invalid)
	}
	_, err := s.CreateDevicePassword(ctx, "", "u", "x", []string{"IMAP", "SIP"})
	wantKind(t, err, fault.Invalid)
	for i := range maxDevices {
		_, err := s.CreateDevicePassword(ctx, "", "u", fmt.Sprint("device ", i), nil)
		must(t, err)
	}
	_, err = s.CreateDevicePassword(ctx, "", "u", "DEVICE 3", nil)
	wantKind(t, err, fault.Exists)
	_, err = s.CreateDevicePassword(ctx, "", "u", "one more", nil)
	wantKind(t, err, fault.TooMany)
	// What a file says that was damaged lets nobody in.
	a, err := s.Account(ctx, "", "u")
	must(t, err)
	must(t, s.editAccount("test", a, func(d dataformat.Dict) error {
		d[keyDevices] = dict(t, `{a={Hash="";Services=(IMAP);};b=(c);c={Hash=zz;};}`)
		return nil
	}))
	list, err := s.DevicePasswords(ctx, "", "u")
	must(t, err)
	if len(list) != 0 {
		t.Errorf("damaged: %v", list)
	}
}

func BenchmarkDeviceLogin(b *testing.B) {
	s := newStore(b)
	must(b, s.CreateAccount(ctx, "", "u", dict(b, "{Password=right;}")))
	var secret string
	for i := range maxDevices {
		var err error
		secret, err = s.CreateDevicePassword(ctx, "", "u", fmt.Sprint("device ", i), nil)
		must(b, err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.logins.CheckPassword(ctx, stranger, "", "u", secret); err != nil {
			b.Fatal(err)
		}
	}
}
