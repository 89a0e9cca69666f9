package accounts

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

func rpops(t *testing.T, text string) dataformat.Dict {
	t.Helper()
	v, err := dataformat.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return v.(dataformat.Dict)
}

const ispRecord = `{isp={domain=pop.isp.example;authName=joe;password=s3cret;period=5m;leave=YES;APOP=YES;TLS=YES;};}`

func TestRemoteAccountsKeepTheirPasswords(t *testing.T) {
	s := newStore(t)
	ctx := t.Context()
	must(t, s.CreateAccount(ctx, "", "joe", nil))
	must(t, s.SetRPOPs(ctx, "", "joe", rpops(t, ispRecord)))
	got, err := s.RPOPs(ctx, "", "joe")
	must(t, err)
	if text := dataformat.Compact(got); strings.Contains(text, "assword") || !strings.Contains(text, "pop.isp.example") {
		t.Errorf("shown: %s", text)
	}
	file, err := os.ReadFile(filepath.Join(s.base, "Accounts", "joe.macnt", accountFile))
	must(t, err)
	if strings.Contains(string(file), "s3cret") {
		t.Error("the password is in account.settings")
	}
	explicit, err := s.AccountSettings("", "joe").Get(ctx)
	must(t, err)
	if _, shown := explicit[keyRPOPs]; shown {
		t.Error("the settings show the records")
	}
	remote := func() RemoteAccount {
		t.Helper()
		a, err := s.Account(ctx, "", "joe")
		must(t, err)
		list := s.RemoteAccounts(a)
		if len(list) != 1 {
			t.Fatalf("%d remote accounts", len(list))
		}
		return list[0]
	}
	if r := remote(); r.Password != "s3cret" || r.Name != "isp" || r.Address() != "pop.isp.example:995" || !bool(r.Leave) {
		t.Errorf("%+v", r)
	}
	// What was read is written back, with a change.
	got["isp"].(dataformat.Dict)["leave"] = dataformat.String("NO")
	must(t, s.SetRPOPs(ctx, "", "joe", got))
	if r := remote(); r.Password != "s3cret" || bool(r.Leave) {
		t.Errorf("%+v", r)
	}
	// The password does not go to another host.
	got["isp"].(dataformat.Dict)["domain"] = dataformat.String("evil.example")
	if err := s.SetRPOPs(ctx, "", "joe", got); !fault.Is(err, fault.Invalid) {
		t.Errorf("another host: %v", err)
	}
	if r := remote(); r.Host.Name != "pop.isp.example" {
		t.Errorf("%+v", r)
	}
	must(t, s.SetRPOPs(ctx, "", "joe", rpops(t, `{isp={period=-----;};}`)))
	if got, err = s.RPOPs(ctx, "", "joe"); err != nil || len(got) > 0 {
		t.Errorf("%v %v", got, err)
	}
	must(t, s.ForgetPolled(ctx, "", "joe"))
	if list := s.Polled(); len(list) > 0 {
		t.Errorf("still polled: %v", list)
	}
}

func TestBadRemoteAccounts(t *testing.T) {
	s := newStore(t)
	ctx := t.Context()
	must(t, s.CreateAccount(ctx, "", "joe", nil))
	for text, want := range map[string]string{
		`{a={authName=x;password=y;};}`:                                 "domain",
		`{a={domain=h;password=y;};}`:                                   "authName",
		`{a={domain=h;authName=x;};}`:                                   "password is needed",
		`{a={domain=h;authName=x;password=y;period=3;};}`:               "15s at least",
		`{a={domain=h;authName="x\r\nDELE 1";password=y;};}`:            "control character",
		`{a={domain="h/..";authName=x;password=y;};}`:                   "not a host",
		`{a={domain=h;authName=x;password=y;unseen=YES;};}`:             "IMAP",
		`{a={domain=h;authName=x;password=y;protocol=IMAP;APOP=YES;};}`: "POP3",
		`{a={domain=h;authName=x;password=y;special="To: x";};}`:        "header field",
		`{a={domain=h;authName=x;password=y;leeve=YES;};}`:              "unknown setting leeve",
		`{a=b;}`: "dictionary",
	} {
		err := s.SetRPOPs(ctx, "", "joe", rpops(t, text))
		if !fault.Is(err, fault.Invalid) || !strings.Contains(fault.Text(err), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// The table of polled accounts follows renames of accounts and domains, and outlives a restart.
func TestPolledFollowsRenames(t *testing.T) {
	here := newBase(t)
	s := here.open(t)
	ctx := t.Context()
	must(t, s.CreateDomain(ctx, "sub.example", nil))
	for domain, name := range map[string]string{"": "joe", "sub.example": "ann"} {
		must(t, s.CreateAccount(ctx, domain, name, nil))
		must(t, s.SetRPOPs(ctx, domain, name, rpops(t, ispRecord)))
	}
	var told []string
	s.OnPolled(func(domain, name string) { told = append(told, name+"@"+domain) })
	must(t, s.RenameAccount(ctx, "", "joe", "sub.example", "jim"))
	must(t, s.RenameDomain(ctx, "sub.example", "new.example"))
	want := [][2]string{{"new.example", "ann"}, {"new.example", "jim"}}
	if got := s.Polled(); !slices.Equal(got, want) {
		t.Errorf("polled: %v", got)
	}
	slices.Sort(told)
	if !slices.Equal(told, []string{"ann@new.example", "jim@new.example", "jim@sub.example"}) {
		t.Errorf("told: %v", told)
	}
	must(t, s.RenameDomain(ctx, "", "main2.example"))
	must(t, s.Close())
	s = here.open(t)
	if got := s.Polled(); !slices.Equal(got, want) {
		t.Errorf("polled after a restart: %v", got)
	}
}
