package accounts

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gatepost/accounts/mailbox"
	"gatepost/router/address"
	"gatepost/router/names"
	"gatepost/server/fault"
)

var loopback9 = netip.MustParseAddr("127.0.0.9")

func TestObjects(t *testing.T) {
	s := newStore(t)
	must(t, s.CreateAccount(ctx, "", "anna", nil))
	must(t, s.SetAccountAliases(ctx, "", "anna", []string{"a1"}))
	must(t, s.Forwarders().Create(ctx, "", "fwd", "john@other.com"))
	for name, want := range map[string]names.Object{
		"anna": {Kind: names.Account, Name: "anna"}, "ANNA": {Kind: names.Account, Name: "anna"},
		"A1": {Kind: names.Alias, Name: "anna"}, "fwd": {Kind: names.Forwarder, Name: "fwd", Target: "john@other.com"},
		"nobody": {}, "": {}, "../anna": {}, "Settings": {}, "anna.macnt": {},
	} {
		o, err := s.Object(ctx, "company.com", name)
		if err != nil || o != want {
			t.Errorf("Object(%q) = %+v, %v", name, o, err)
		}
	}
	_, err := s.Object(ctx, "nowhere.com", "anna")
	wantKind(t, err, fault.NoDomain)
}

func TestUnknownPolicy(t *testing.T) {
	s := newStore(t)
	policy := func(domain string, op names.Operation) names.Policy {
		t.Helper()
		p, err := s.UnknownPolicy(domain, op)
		must(t, err)
		return p
	}
	if p := policy("company.com", names.Mail); p.Action != names.Reject {
		t.Errorf("%+v", p)
	}
	must(t, s.DomainSettings("").Update(ctx, dict(t, `{MailToUnknown="Rerouted to";MailRerouteAddress="*@old.com";AccessToUnknown="Rerouted to";AccessRerouteAddress=guest;}`)))
	if p := policy("company.com", names.Mail); p != (names.Policy{Action: names.Reroute, Address: "*@old.com"}) {
		t.Errorf("%+v", p)
	}
	if p := policy("company.com", names.Access); p != (names.Policy{Action: names.Reroute, Address: "guest"}) {
		t.Errorf("%+v", p)
	}
	if p := policy("company.com", names.Signal); p.Action != names.Reject {
		t.Errorf("%+v", p)
	}
}

func TestAddressesAssignedToDomains(t *testing.T) {
	s := newStore(t)
	must(t, s.CreateDomain(ctx, "d.com", nil))
	if d := s.DomainForIP(loopback9); d != "company.com" {
		t.Errorf("at first %s", d)
	}
	must(t, s.DomainSettings("d.com").Update(ctx, dict(t, "{IPAddresses=(127.0.0.9,\"2001:db8::1\");}")))
	if d := s.DomainForIP(netip.MustParseAddr("::ffff:127.0.0.9")); d != "d.com" {
		t.Errorf("assigned %s", d)
	}
	if d, own := s.OwnIP(netip.MustParseAddr("2001:db8::1")); d != "d.com" || !own {
		t.Errorf("OwnIP %s %v", d, own)
	}
	if d, own := s.OwnIP(netip.MustParseAddr("192.0.2.77")); d != "" || own {
		t.Errorf("stranger's %s %v", d, own)
	}
	for _, taken := range []error{
		s.CreateDomain(ctx, "e.com", dict(t, `{IPAddresses=(127.0.0.8,"2001:DB8::1");}`)),
		s.DomainSettings("company.com").Update(ctx, dict(t, "{IPAddresses=(127.0.0.8,127.0.0.9);}")),
	} {
		wantKind(t, taken, fault.Exists)
	}
	if got, _ := s.OwnIP(netip.MustParseAddr("127.0.0.8")); got != "" {
		t.Errorf("a refused list assigned an address to %q", got)
	}
	must(t, s.DomainSettings("d.com").Update(ctx, dict(t, "{IPAddresses=default;}")))
	if d := s.DomainForIP(loopback9); d != "company.com" {
		t.Errorf("taken away %s", d)
	}
}

func TestOwnsAddress(t *testing.T) {
	s := newStore(t)
	must(t, s.CreateDomain(ctx, "d.com", nil))
	must(t, s.SetDomainAliases(ctx, "", []string{"alias.com"}))
	for _, n := range []string{"anna", "berta"} {
		must(t, s.CreateAccount(ctx, "", n, nil))
	}
	must(t, s.CreateAccount(ctx, "d.com", "anna", nil))
	must(t, s.SetAccountAliases(ctx, "", "anna", []string{"a1"}))
	must(t, s.Forwarders().Create(ctx, "d.com", "f1", "a1@company.com"))
	must(t, s.Forwarders().Create(ctx, "", "f2", "f1@d.com"))
	must(t, s.Forwarders().Create(ctx, "", "f3", "anna"))
	must(t, s.Forwarders().Create(ctx, "", "loop", "loop@company.com"))
	must(t, s.Forwarders().Create(ctx, "", "out", "anna@example.net"))
	a, err := s.Account(ctx, "", "anna")
	must(t, err)
	for text, want := range map[string]bool{
		"anna@company.com": true, "ANNA@Company.com": true, "a1@alias.com": true, "anna+list@company.com": true, "a1+x@company.com": true,
		"f1@d.com": true, "f2@company.com": true, "f3@company.com": true, "anna": true,
		"berta@company.com": false, "anna@d.com": false, "anna@example.net": false, "nobody@company.com": false, "loop@company.com": false,
		"out@company.com": false, "postmaster@company.com": false,
	} {
		addr, err := address.Parse(text)
		must(t, err)
		if got, err := s.OwnsAddress(ctx, a, addr); err != nil || got != want {
			t.Errorf("OwnsAddress(%s) = %v, %v", text, got, err)
		}
	}
	if got, err := s.OwnsAddress(ctx, a, address.Address{}); got || err != nil {
		t.Errorf("the null address: %v %v", got, err)
	}
}

func TestForwarders(t *testing.T) {
	s := newStore(t)
	must(t, s.Forwarders().Create(ctx, "", "Jim", "john@other.com"))
	must(t, s.Forwarders().Create(ctx, "", "tim", "John@OTHER.com"))
	wantKind(t, s.Forwarders().Create(ctx, "", "bad", "@"), fault.Invalid)
	list, err := s.Forwarders().List(ctx, "")
	wantList(t, list, err, "jim", "tim")
	list, err = s.Forwarders().To(ctx, "", "john@other.com")
	wantList(t, list, err, "jim", "tim")
	must(t, s.Forwarders().Rename(ctx, "", "JIM", "Kim"))
	wantKind(t, s.Forwarders().Rename(ctx, "", "kim", "tim"), fault.Exists)
	wantKind(t, s.Forwarders().Rename(ctx, "", "jim", "x"), fault.NotFound)
	if target, err := s.Forwarders().Target(ctx, "", "kim"); target != "john@other.com" || err != nil {
		t.Errorf("%q %v", target, err)
	}
	must(t, s.Forwarders().Delete(ctx, "", "kim"))
	wantKind(t, s.Forwarders().Delete(ctx, "", "kim"), fault.NotFound)
	_, err = s.Forwarders().Target(ctx, "", "postmaster")
	wantKind(t, err, fault.NotFound)
}

func TestListObjectsInPages(t *testing.T) {
	s := newStore(t)
	must(t, s.CreateDomain(ctx, "d.com", nil))
	for _, n := range []string{"a", "b", "c"} {
		must(t, s.CreateAccount(ctx, "d.com", n, nil))
	}
	must(t, s.SetAccountAliases(ctx, "d.com", "a", []string{"bb"}))
	must(t, s.Forwarders().Create(ctx, "d.com", "f", "x@y.z"))
	o := ListOptions{Limit: 2, Accounts: true, Aliases: true, Forwarders: true}
	var seen []string
	for {
		l, err := s.ListObjects(ctx, "d.com", o)
		must(t, err)
		if l.Accounts != 3 || l.Aliases != 1 || l.Forwarders != 1 || len(l.Names) > 2 {
			t.Fatalf("%+v", l)
		}
		seen = append(seen, l.Names...)
		if !l.More {
			break
		}
		o.After = l.Names[len(l.Names)-1]
	}
	wantList(t, seen, nil, "a", "b", "bb", "c", "f")
	l, err := s.ListObjects(ctx, "d.com", ListOptions{Limit: 10, Filter: "B", Accounts: true})
	must(t, err)
	wantList(t, l.Names, nil, "b")
}

func TestRights(t *testing.T) {
	s := newStore(t)
	must(t, s.CreateDomain(ctx, "d.com", dict(t, "{AdminDomain=boss.com;}")))
	must(t, s.CreateDomain(ctx, "boss.com", nil))
	for _, d := range []string{"", "d.com", "boss.com"} {
		must(t, s.CreateAccount(ctx, d, "u", nil))
	}
	rights := func(domain, name string) Rights {
		t.Helper()
		a, err := s.Account(ctx, domain, name)
		must(t, err)
		r, err := s.RightsOf(a)
		must(t, err)
		return r
	}
	r := rights("", "postmaster")
	if !r.Server(RightMonitor) || !r.Domain("d.com", "CanCreateAccounts") || !r.Setting("d.com", "MaxAccountSize") {
		t.Error("Master cannot do everything")
	}
	if r = rights("", "u"); r.Server(RightMonitor) || r.Administers("company.com") {
		t.Error("everybody has rights")
	}
	wantKind(t, s.SetAccountRights(ctx, "d.com", "u", []string{"Master"}), fault.Invalid)
	wantKind(t, s.SetAccountRights(ctx, "d.com", "nobody", []string{"Domain"}), fault.NotFound)
	must(t, s.SetAccountRights(ctx, "d.com", "u", []string{"Domain", "BasicSettings", "MaxAccountSize"}))
	r = rights("d.com", "u")
	for key, want := range map[string]bool{"RealName": true, "Password": true, "MaxAccountSize": true, "MaxWebSize": false} {
		if r.Setting("d.com", key) != want || r.Setting("company.com", key) {
			t.Errorf("Setting(%s)", key)
		}
	}
	if !r.Administers("d.com") || r.Administers("company.com") || r.Domain("d.com", "CanCreateAccounts") || r.Server("Domain") {
		t.Error("domain administrator")
	}
	must(t, s.SetAccountRights(ctx, "boss.com", "u", []string{"Domain", "CanCreateAccounts"}))
	if rights("boss.com", "u").Administers("d.com") {
		t.Error("another domain without the right")
	}
	must(t, s.SetAccountRights(ctx, "boss.com", "u", []string{"Domain", "CanCreateAccounts", rightOtherDomains}))
	if r = rights("boss.com", "u"); !r.Domain("d.com", "CanCreateAccounts") || r.Administers("company.com") {
		t.Error("administrator of other domains")
	}
	must(t, s.SetAccountRights(ctx, "d.com", "u", nil))
	if rights("d.com", "u").Administers("d.com") {
		t.Error("rights that were taken away")
	}
	// A right of a server that somebody writes into a secondary domain's file is none.
	must(t, os.WriteFile(filepath.Join(s.base, "Domains", "d.com", "Settings", accessFile), []byte("{u=(Master);}"), 0o600))
	must(t, s.Reload())
	if rights("d.com", "u").Server(RightMaster) {
		t.Error("Master in a secondary domain")
	}
}

func TestClientIPsStartAsLoopback(t *testing.T) {
	s := newStore(t)
	for ip, want := range map[string]bool{"127.0.0.1": true, "::1": true, "192.0.2.1": false, "::ffff:127.0.0.1": true} {
		if s.ClientIP(netip.MustParseAddr(ip)) != want {
			t.Errorf("ClientIP(%s) = %v", ip, !want)
		}
	}
	must(t, s.SetClientIPs(ctx, "192.0.2.0/24\n!192.0.2.7"))
	if s.ClientIP(netip.MustParseAddr("127.0.0.1")) || !s.ClientIP(stranger.IP) || s.ClientIP(netip.MustParseAddr("192.0.2.7")) {
		t.Error("the new list")
	}
	wantKind(t, s.SetClientIPs(ctx, "192.0.2.0/40"), fault.Invalid)
	if s.ClientIPs().String() != "192.0.2.0/24\n!192.0.2.7" {
		t.Errorf("%q", s.ClientIPs())
	}
}

func TestConcurrentUseKeepsTheDirectoryWhole(t *testing.T) {
	s := newStore(t)
	must(t, s.CreateDomain(ctx, "d.com", nil))
	var wg sync.WaitGroup
	var mu sync.Mutex
	made := map[string]int{}
	for w := range 4 {
		wg.Go(func() {
			for i := range 6 {
				name := fmt.Sprintf("n%d", i)
				if err := s.CreateAccount(ctx, "d.com", name, nil); err == nil {
					mu.Lock()
					made[name]++
					mu.Unlock()
				} else if !fault.Is(err, fault.Exists) {
					t.Errorf("create: %v", err)
				}
				if err := s.AccountSettings("d.com", name).Update(ctx, dict(t, fmt.Sprintf("{k%d=v;}", w))); err != nil {
					t.Errorf("update: %v", err)
				}
				if err := s.SetAccountAliases(ctx, "d.com", name, []string{fmt.Sprintf("%s-%d", name, w)}); err != nil {
					t.Errorf("aliases: %v", err)
				}
			}
		})
	}
	wg.Wait()
	for i := range 6 {
		name := fmt.Sprintf("n%d", i)
		if made[name] != 1 {
			t.Errorf("%s was made %d times", name, made[name])
		}
		d, err := s.AccountSettings("d.com", name).Get(ctx)
		wantDict(t, d, err, "{k0=v;k1=v;k2=v;k3=v;}")
		list, err := s.AccountAliases(ctx, "d.com", name)
		if len(list) != 1 || err != nil {
			t.Errorf("aliases %v %v", list, err)
		}
	}
	// Of two that rename and delete one account, one wins.
	for i := range 6 {
		name := fmt.Sprintf("n%d", i)
		errs := make(chan error, 2)
		wg.Go(func() { errs <- s.RenameAccount(ctx, "d.com", name, "", name) })
		wg.Go(func() { errs <- s.DeleteAccount(ctx, "d.com", name) })
		wg.Wait()
		a, b := <-errs, <-errs
		if (a == nil) == (b == nil) {
			t.Errorf("%s: %v, %v", name, a, b)
		}
	}
	list, err := s.Accounts(ctx, "d.com")
	wantList(t, list, err)
}

// What a start reads does not grow with the number of domains and accounts.
func TestStartDoesNotWalkTheDirectory(t *testing.T) {
	p := newBase(t)
	s := p.open(t)
	must(t, s.Close())
	for i := range 500 {
		must(t, os.MkdirAll(filepath.Join(p.base, "Domains", fmt.Sprintf("d%d.com", i), "u.macnt"), 0o700))
	}
	start := time.Now()
	s = p.open(t)
	t.Logf("open took %v", time.Since(start))
	if n := s.domains.Len(); n > 1 {
		t.Errorf("%d domains were read", n)
	}
	for i := range 500 {
		must(t, os.RemoveAll(filepath.Join(p.base, "Domains", fmt.Sprintf("d%d.com", i))))
	}
}

func BenchmarkObject(b *testing.B) {
	s := newStore(b)
	must(b, s.CreateAccount(ctx, "", "u", nil))
	for name, object := range map[string]string{"account": "u", "unknown": "nobody"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Object(ctx, "company.com", object); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkLoadAccount(b *testing.B) {
	s := newStore(b)
	must(b, s.CreateAccount(ctx, "", "u", dict(b, "{Password=x;RealName=y;}")))
	b.ReportAllocs()
	for b.Loop() {
		s.accounts.Drop(accountKey{"company.com", "u"})
		if _, err := s.Account(ctx, "", "u"); err != nil {
			b.Fatal(err)
		}
	}
}

func TestDomainThatCannotBeReadStaysOurs(t *testing.T) {
	for name, damage := range map[string]struct {
		kind fault.Kind
		make func(path string) error
	}{
		"damaged":               {fault.Corrupt, func(path string) error { return os.WriteFile(path, []byte("{ bad"), 0o600) }},
		"refused by the system": {fault.Internal, func(path string) error { return os.Mkdir(path, 0o700) }},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t)
			must(t, s.CreateDomain(ctx, "d.com", nil))
			must(t, s.CreateAccount(ctx, "d.com", "u", nil))
			file := filepath.Join(s.base, "Domains", "d.com", "Settings", domainFile)
			must(t, os.RemoveAll(file))
			must(t, damage.make(file))
			must(t, s.Reload())
			if real, ok := s.DomainName("d.com"); real != "d.com" || !ok {
				t.Errorf("DomainName %q, %v", real, ok)
			}
			_, err := s.Object(ctx, "d.com", "u")
			wantKind(t, err, damage.kind)
			_, err = s.UnknownPolicy("d.com", names.Mail)
			wantKind(t, err, damage.kind)
			wantKind(t, s.CreateDomain(ctx, "d.com", nil), fault.Exists)
			wantKind(t, s.SetDomainAliases(ctx, "", []string{"d.com"}), fault.Exists)
			var found []mailbox.Finding
			must(t, s.Mail().Check(ctx, func(f mailbox.Finding) { found = append(found, f) }))
			if len(found) != 1 || found[0].Dir != filepath.Join(s.base, "Domains", "d.com") || !strings.Contains(found[0].Text, domainFile) {
				t.Errorf("the check finds %v", found)
			}
			must(t, os.RemoveAll(file))
			must(t, s.Reload())
		})
	}
}
