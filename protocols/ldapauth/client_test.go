package ldapauth

import (
	"context"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"

	"gatepost/accounts"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
	"gatepost/server/settings"
)

// fake is a directory server that knows some passwords, and answers each search with the same names.
type fake struct {
	passwords map[string]string // by the name that binds
	found     []string
	result    uint16        // of every bind, if it is not 0
	slow      chan struct{} // binds wait for it
	reached   chan struct{} // gets something when one does

	mu    sync.Mutex
	asked []string // binds, and filters of searches
	now   atomic.Int32
	most  atomic.Int32
}

func (f *fake) note(what string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, what)
}

// seen returns what was asked since the last time.
func (f *fake) seen() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := strings.Join(f.asked, " | ")
	f.asked = nil
	return s
}

// serve returns the URL of the server.
func (f *fake) serve(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var sessions sync.WaitGroup
	t.Cleanup(func() {
		ln.Close()
		sessions.Wait()
	})
	sessions.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			sessions.Go(func() { f.session(conn) })
		}
	})
	return "ldap://" + ln.Addr().String()
}

func (f *fake) session(conn net.Conn) {
	defer conn.Close()
	n := f.now.Add(1)
	defer f.now.Add(-1)
	for most := f.most.Load(); n > most && !f.most.CompareAndSwap(most, n); most = f.most.Load() {
	}
	for {
		p, err := ber.ReadPacket(conn)
		if err != nil || len(p.Children) < 2 {
			return
		}
		answer := func(tag int, code uint16) {
			a := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSequence, nil, "")
			a.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, p.Children[0].Value, ""))
			r := ber.Encode(ber.ClassApplication, ber.TypeConstructed, ber.Tag(tag), nil, "")
			r.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagEnumerated, int64(code), ""))
			r.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, "", ""))
			r.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, "text of the server", ""))
			a.AppendChild(r)
			_, _ = conn.Write(a.Bytes())
		}
		request := p.Children[1]
		switch request.Tag {
		case ldap.ApplicationBindRequest:
			name, _ := request.Children[1].Value.(string)
			password := request.Children[2].Data.String()
			f.note("bind " + name)
			if f.reached != nil {
				f.reached <- struct{}{}
			}
			if f.slow != nil {
				<-f.slow
			}
			code := f.result
			if want, ok := f.passwords[name]; code == 0 && (!ok || want != password) {
				code = ldap.LDAPResultInvalidCredentials
			}
			answer(ldap.ApplicationBindResponse, code)
		case ldap.ApplicationSearchRequest:
			filter, _ := ldap.DecompileFilter(request.Children[6])
			f.note("search " + filter)
			for _, dn := range f.found {
				a := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSequence, nil, "")
				a.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, p.Children[0].Value, ""))
				r := ber.Encode(ber.ClassApplication, ber.TypeConstructed, ldap.ApplicationSearchResultEntry, nil, "")
				r.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, dn, ""))
				r.AppendChild(ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSequence, nil, ""))
				a.AppendChild(r)
				_, _ = conn.Write(a.Bytes())
			}
			answer(ldap.ApplicationSearchResultDone, 0)
		default:
			return
		}
	}
}

// load reads settings of LDAP.
func load(t *testing.T, text string, servers ...string) *accounts.LDAPSettings {
	t.Helper()
	v, err := dataformat.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	d, list := v.(dataformat.Dict), dataformat.Array{}
	for _, s := range servers {
		list = append(list, dataformat.String(s))
	}
	d["LDAPServers"], d["LDAPStartTLS"] = list, dataformat.String("NO")
	var out accounts.DomainSettings
	if err := settings.Load(&out, d); err != nil {
		t.Fatal(err)
	}
	return &out.LDAPSettings
}

func wantKind(t *testing.T, what string, err error, kind fault.Kind) {
	t.Helper()
	if kind == 0 && err != nil || kind != 0 && !fault.Is(err, kind) {
		t.Errorf("%s: %v, want %v", what, err, kind)
	}
}

const template = `{LDAPBindDN="uid=%u,ou=people,dc=example,dc=com";}`

// An account binds with the name that the template gives it, or that a search finds; nothing in a name is more than a name.
func TestNamesThatBind(t *testing.T) {
	f := &fake{passwords: map[string]string{"uid=ann,ou=people,dc=example,dc=com": "right", "ann@example.com": "right", `cn=Ann\, A,dc=x`: "right", "cn=search": "key"},
		found: []string{`cn=Ann\, A,dc=x`}}
	url := f.serve(t)
	const search = `{LDAPSearchBase="dc=x";LDAPSearchFilter="(&(objectClass=person)(|(uid=%u)(mail=%u@%d)))";LDAPServiceDN="cn=search";LDAPServicePassword=key;}`
	for _, c := range []struct {
		settings, name, password string
		kind                     fault.Kind
		asked                    string
	}{
		{template, "ann", "right", 0, "bind uid=ann,ou=people,dc=example,dc=com"},
		{template, "ann", "wrong", fault.BadCredentials, "bind uid=ann,ou=people,dc=example,dc=com"},
		{template, "ann", "", fault.BadCredentials, ""},
		{template, "ann,ou=people", "right", fault.BadCredentials, `bind uid=ann\,ou=people,ou=people,dc=example,dc=com`},
		{template, `a"+b=c<`, "right", fault.BadCredentials, `bind uid=a\"\+b=c\<,ou=people,dc=example,dc=com`},
		{`{LDAPBindDN="%u@%d";}`, "ann", "right", 0, "bind ann@example.com"},
		{search, "ann", "right", 0, `bind cn=search | search (&(objectClass=person)(|(uid=ann)(mail=ann@example.com))) | bind cn=Ann\, A,dc=x`},
		{search, "ann", "", fault.BadCredentials, ""},
		{search, "*)(uid=*", "wrong", fault.BadCredentials, `bind cn=search | search (&(objectClass=person)(|(uid=\2a\29\28uid=\2a)(mail=\2a\29\28uid=\2a@example.com))) | bind cn=Ann\, A,dc=x`},
		{`{LDAPSearchBase="dc=x";}`, "ann", "right", 0, `search (uid=ann) | bind cn=Ann\, A,dc=x`},
		{`{LDAPSearchBase="dc=x";LDAPServiceDN="cn=search";LDAPServicePassword=bad;}`, "ann", "right", fault.Unavailable, "bind cn=search"},
		{`{LDAPSearchBase="dc=x";LDAPServiceDN="cn=search";}`, "ann", "right", fault.Unavailable, ""},
		{`{}`, "ann", "right", fault.Unavailable, ""},
	} {
		err := New().Verify(t.Context(), load(t, c.settings, url), c.name, "example.com", c.password)
		wantKind(t, c.settings+" "+c.name, err, c.kind)
		if asked := f.seen(); asked != c.asked {
			t.Errorf("%s %s %q: asked %s", c.settings, c.name, c.password, asked)
		}
	}
	f.found = append(f.found, "cn=other")
	err := New().Verify(t.Context(), load(t, search, url), "ann", "example.com", "right")
	if !fault.Is(err, fault.Unavailable) || !strings.Contains(fault.Explain(err), "several names") {
		t.Errorf("two names: %v", err)
	}
	f.found = nil
	wantKind(t, "no name", New().Verify(t.Context(), load(t, search, url), "ann", "example.com", "right"), fault.BadCredentials)
}

// What a server says of a bind is about the password, or about the server.
func TestResultsOfBinds(t *testing.T) {
	f := &fake{passwords: map[string]string{}}
	url := f.serve(t)
	for code, kind := range map[uint16]fault.Kind{
		ldap.LDAPResultInvalidCredentials: fault.BadCredentials, ldap.LDAPResultNoSuchObject: fault.BadCredentials, ldap.LDAPResultInappropriateAuthentication: fault.BadCredentials,
		ldap.LDAPResultConstraintViolation: fault.BadCredentials, ldap.LDAPResultBusy: fault.Unavailable, ldap.LDAPResultUnavailable: fault.Unavailable,
		ldap.LDAPResultUnwillingToPerform: fault.Unavailable, ldap.LDAPResultConfidentialityRequired: fault.Unavailable, ldap.LDAPResultOther: fault.Unavailable,
		ldap.LDAPResultInvalidDNSyntax: fault.Unavailable, ldap.LDAPResultReferral: fault.Unavailable,
	} {
		f.result = code
		wantKind(t, ldap.LDAPResultCodeMap[code], New().Verify(t.Context(), load(t, template, url), "ann", "example.com", "right"), kind)
	}
}

// The next server is asked when one does not answer, and the dead one last for a while.
func TestServersThatAreDown(t *testing.T) {
	f := &fake{passwords: map[string]string{"uid=ann,ou=people,dc=example,dc=com": "right"}}
	up := f.serve(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead := "ldap://" + ln.Addr().String()
	ln.Close()
	c := New()
	wantKind(t, "the first is dead", c.Verify(t.Context(), load(t, template, dead, up), "ann", "example.com", "right"), 0)
	if list := c.Failing(); len(list) != 1 || list[0].Server != dead || list[0].Domain != "example.com" || list[0].Reason == "" {
		t.Errorf("failing: %v", list)
	}
	if order := c.inOrder([]string{dead, up}); order[0] != up {
		t.Errorf("asked next: %v", order)
	}
	wantKind(t, "a wrong password", c.Verify(t.Context(), load(t, template, dead, up), "ann", "example.com", "wrong"), fault.BadCredentials)
	err = c.Verify(t.Context(), load(t, template, dead), "ann", "example.com", "right")
	if !fault.Is(err, fault.Unavailable) || !strings.Contains(fault.Explain(err), dead) {
		t.Errorf("all are dead: %v", err)
	}
	// STARTTLS is wanted, and the server has none: the password is not sent.
	s := load(t, template, up)
	s.StartTLS = true
	f.seen()
	wantKind(t, "without STARTTLS", c.Verify(t.Context(), s, "ann", "example.com", "right"), fault.Unavailable)
	if asked := f.seen(); asked != "" {
		t.Errorf("asked in clear: %s", asked)
	}
}

// A server that says nothing holds a login up for the time-out, and few connections.
func TestSlowServers(t *testing.T) {
	f := &fake{slow: make(chan struct{})}
	url := f.serve(t)
	t.Cleanup(func() { close(f.slow) })
	c, s := New(), load(t, `{LDAPBindDN="%u@%d";LDAPTimeout=1;}`, url)
	var logins sync.WaitGroup
	var unavailable atomic.Int32
	start := time.Now()
	for range 3 * maxOfDomain {
		logins.Go(func() {
			if err := c.Verify(context.Background(), s, "ann", "example.com", "right"); fault.Is(err, fault.Unavailable) {
				unavailable.Add(1)
			}
		})
	}
	logins.Wait()
	if took := time.Since(start); took > 5*time.Second || unavailable.Load() != 3*maxOfDomain || f.most.Load() > 2*maxOfDomain {
		t.Errorf("%v, %d unavailable, %d connections", took, unavailable.Load(), f.most.Load())
	}
	if len(c.domains) != 0 || len(c.all) != 0 {
		t.Errorf("left: %v, %d", c.domains, len(c.all))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	wantKind(t, "the client has gone", c.Verify(ctx, s, "ann", "example.com", "right"), fault.Canceled)
}

// Many who come together wait for each other.
func TestManyLogins(t *testing.T) {
	f := &fake{passwords: map[string]string{"ann@example.com": "right"}}
	c, s := New(), load(t, `{LDAPBindDN="%u@%d";LDAPTimeout=30;}`, f.serve(t))
	var logins sync.WaitGroup
	for range 10 * maxOfDomain {
		logins.Go(func() {
			if err := c.Verify(t.Context(), s, "ann", "example.com", "right"); err != nil {
				t.Error(err)
			}
		})
	}
	logins.Wait()
	if f.most.Load() > 2*maxOfDomain { // the server sees connections end a little later
		t.Errorf("%d connections", f.most.Load())
	}
}

// What a server sends without end is not read.
func TestServersThatSendTooMuch(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	sent := make(chan int, 1)
	go func() {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		n := 0
		// A sequence of 2 GB of small elements.
		_, err = conn.Write([]byte{0x30, 0x84, 0x7f, 0xff, 0xff, 0xff})
		for chunk := []byte(strings.Repeat("\x04\x00", 32<<10)); err == nil; n += len(chunk) {
			_, err = conn.Write(chunk)
		}
		sent <- n
	}()
	err = New().Verify(t.Context(), load(t, `{LDAPBindDN="%u@%d";LDAPTimeout=20;}`, "ldap://"+ln.Addr().String()), "ann", "example.com", "right")
	wantKind(t, "too much", err, fault.Unavailable)
	if n := <-sent; n > 32<<20 {
		t.Errorf("%d bytes were sent", n)
	}
}

func TestNamesThatAreFound(t *testing.T) {
	f := &fake{found: []string{"cn=ann"}}
	c, s := New(), load(t, `{LDAPSearchBase="dc=x";}`, f.serve(t))
	_, err := c.Find(t.Context(), s, "ann", "example.com")
	wantKind(t, "a name", err, 0)
	f.found = nil
	f.seen()
	for range 3 {
		_, err = c.Find(t.Context(), s, "nobody", "example.com")
		wantKind(t, "an unknown name", err, fault.NotFound)
	}
	if asked := f.seen(); asked != "search (uid=nobody)" {
		t.Errorf("asked: %s", asked)
	}
	_, err = c.Find(t.Context(), load(t, template, "ldap://127.0.0.1:1"), "ann", "example.com")
	wantKind(t, "without a search", err, fault.NotFound)
}

func FuzzTemplates(f *testing.F) {
	f.Add("(uid=%u)", "ann", "example.com")
	f.Add("(&(uid=%u)(d=%d)%%)", "*)(x=", `\`)
	f.Fuzz(func(t *testing.T, template, name, domain string) {
		filled, err := accounts.FillLDAP(template, name, domain, ldap.EscapeFilter)
		if err != nil {
			if !fault.Is(err, fault.Invalid) {
				t.Fatal(err)
			}
			return
		}
		// A name changes nothing of what a filter is but the values in it.
		plain, _ := accounts.FillLDAP(template, "x", "x", ldap.EscapeFilter)
		want, bad := ldap.CompileFilter(plain)
		got, err := ldap.CompileFilter(filled)
		if (bad == nil) != (err == nil) || bad == nil && shape(want) != shape(got) && !strings.Contains(template, "*") && name != "" && domain != "" && !strings.Contains(template, `\`) {
			t.Fatalf("%q: %v %v, %v %v", filled, err, shapeOf(got, err), bad, shapeOf(want, bad))
		}
	})
}

func shapeOf(p *ber.Packet, err error) string {
	if err != nil || p == nil {
		return ""
	}
	return shape(p)
}

// shape is the kinds of the parts of a filter.
func shape(p *ber.Packet) string {
	var b strings.Builder
	b.WriteByte('(')
	b.WriteByte(byte('a' + p.Tag%26))
	for _, c := range p.Children {
		b.WriteString(shape(c))
	}
	b.WriteByte(')')
	return b.String()
}

func TestConnectionsEndWithTheirContext(t *testing.T) {
	f := &fake{slow: make(chan struct{}), reached: make(chan struct{}, 1)}
	s := load(t, `{LDAPBindDN="%u@%d";LDAPTimeout=1m;}`, f.serve(t))
	t.Cleanup(func() { close(f.slow) })
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- New().Verify(ctx, s, "ann", "example.com", "right") }()
	<-f.reached
	cancel()
	select {
	case err := <-done:
		wantKind(t, "the client has gone", err, fault.Canceled)
	case <-time.After(10 * time.Second):
		t.Fatal("the question goes on")
	}
}
