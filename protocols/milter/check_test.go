package milter

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"net/textproto"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-milter"

	"gatepost/accounts"
	"gatepost/protocols/smtp"
	"gatepost/queue/envelope"
	"gatepost/router/address"
	"gatepost/server/fault"
)

// fake is a milter that notes what it sees and does what the test says.
type fake struct {
	milter.NoOpMilter
	mu   *sync.Mutex
	seen *[]string
	end  func(m *milter.Modifier) (milter.Response, error)
	rcpt milter.Response
	// actions are what it asks for; 0 is what most do.
	actions milter.OptAction
}

func (f fake) note(s ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	*f.seen = append(*f.seen, strings.Join(s, " "))
}

func (f fake) Connect(host string, family string, _ uint16, addr net.IP, m *milter.Modifier) (milter.Response, error) {
	f.note("connect", host, family, addr.String(), m.Macros["j"])
	return milter.RespContinue, nil
}
func (f fake) Helo(name string, _ *milter.Modifier) (milter.Response, error) {
	f.note("helo", name)
	return milter.RespContinue, nil
}
func (f fake) MailFrom(from string, m *milter.Modifier) (milter.Response, error) {
	f.note("mail", from, m.Macros["i"], m.Macros["{auth_authen}"])
	return milter.RespContinue, nil
}
func (f fake) RcptTo(to string, m *milter.Modifier) (milter.Response, error) {
	f.note("rcpt", to, m.Macros["{rcpt_addr}"])
	if f.rcpt != nil {
		return f.rcpt, nil
	}
	return milter.RespContinue, nil
}
func (f fake) Header(name, value string, _ *milter.Modifier) (milter.Response, error) {
	f.note("header", name+":"+value)
	return milter.RespContinue, nil
}
func (f fake) Headers(textproto.MIMEHeader, *milter.Modifier) (milter.Response, error) {
	return milter.RespContinue, nil
}
func (f fake) BodyChunk(chunk []byte, _ *milter.Modifier) (milter.Response, error) {
	f.note("body", string(chunk))
	return milter.RespContinue, nil
}
func (f fake) Body(m *milter.Modifier) (milter.Response, error) {
	if f.end != nil {
		return f.end(m)
	}
	return milter.RespAccept, nil
}

// listening runs a milter until the test ends, and returns its settings.
func listening(t *testing.T, f fake, protocol milter.OptProtocol) Settings {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if f.actions == 0 {
		f.actions = milter.OptAddHeader | milter.OptChangeHeader | milter.OptQuarantine
	}
	s := &milter.Server{NewMilter: func() milter.Milter { return f }, Actions: f.actions, Protocol: protocol}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(ln) // it ends by Close
	}()
	t.Cleanup(func() {
		s.Close()
		<-done
	})
	a, err := ParseAddress(ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return Settings{Enabled: true, Name: "M", LogLevel: 5, Address: a, Timeout: 0, OnFailure: "tempfail", Quarantine: "junk"}
}

const top = "Authentication-Results: corp.test; spf=pass\r\nReceived: from x\r\n\tby corp.test; now\r\n"

func incoming(t *testing.T, text string) *smtp.Message {
	t.Helper()
	addr := func(s string) address.Address {
		a, err := address.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	return &smtp.Message{ID: 42, Client: netip.MustParseAddr("192.0.2.7"), HELO: "far.test", Name: "corp.test", Account: &accounts.Account{Name: "alice", Domain: "corp.test"},
		Envelope: &envelope.Envelope{ReturnPath: addr("joe@far.test"), Recipients: []envelope.Recipient{{Address: addr("alice@corp.test")}, {Address: addr("bob@corp.test")}}},
		Text:     strings.NewReader(text), Size: int64(len(text))}
}

func check(t *testing.T, text string, list ...Settings) (smtp.Verdict, string) {
	t.Helper()
	for i := range list {
		if list[i].Timeout == 0 {
			list[i].Timeout = 5e9
		}
	}
	v, err := New(func() List { return list }, "0.2", slog.New(slog.DiscardHandler)).Check(t.Context(), incoming(t, text))
	if err != nil {
		t.Fatal(err)
	}
	if v.Header == nil {
		return v, text
	}
	return v, string(v.Header) + text[v.HeaderSize:]
}

func TestWhatAMilterSees(t *testing.T) {
	for _, protocol := range []milter.OptProtocol{0, milter.OptHeaderLeadingSpace} {
		var seen []string
		s := listening(t, fake{mu: new(sync.Mutex), seen: &seen}, protocol)
		text := top + "From: joe\r\nSubject:a\r\n  b\r\nX :  y\r\n\r\nbody\r\n" + strings.Repeat("0123456789\r\n", 6000)
		if v, got := check(t, text, s); got != text || v.Refuse != nil || v.Junk {
			t.Errorf("%+v", v)
		}
		got := strings.Join(seen, "\n")
		blank := ""
		if protocol == milter.OptHeaderLeadingSpace {
			blank = " "
		}
		for _, want := range []string{"connect [192.0.2.7] tcp4 192.0.2.7 corp.test\n", "helo far.test\n", "mail joe@far.test 42 alice@corp.test\n",
			"rcpt alice@corp.test alice@corp.test\nrcpt bob@corp.test bob@corp.test\n", "\nheader From:" + blank + "joe\nheader Subject:a\n  b\nheader X:", "\nbody body\r\n0123"} {
			if !strings.Contains(got, want) {
				t.Errorf("protocol %b: lacks %q:\n%.600s", protocol, want, got)
			}
		}
		if strings.Contains(got, "header Received") || strings.Contains(got, "header Authentication") || strings.Count(got, "\nbody ") != 2 {
			t.Errorf("sees too much:\n%.600s", got)
		}
	}
}

func TestChanges(t *testing.T) {
	text := top + "From: joe\r\nX-A: 1\r\nX-A: 2\r\n folded\r\nSubject: s\r\n\r\nbody\r\n"
	for name, c := range map[string]struct {
		end  func(m *milter.Modifier) error
		want string
	}{
		"add":      {func(m *milter.Modifier) error { return m.AddHeader("X-New", "a\n\tb") }, top + "From: joe\r\nX-A: 1\r\nX-A: 2\r\n folded\r\nSubject: s\r\nX-New: a\r\n\tb\r\n\r\nbody\r\n"},
		"top":      {func(m *milter.Modifier) error { return m.InsertHeader(0, "X-New", "a") }, "X-New: a\r\n" + text},
		"insert":   {func(m *milter.Modifier) error { return m.InsertHeader(1, "X-New", "a") }, top + "X-New: a\r\n" + text[len(top):]},
		"far":      {func(m *milter.Modifier) error { return m.InsertHeader(99, "X-New", "a") }, strings.Replace(text, "s\r\n\r\n", "s\r\nX-New: a\r\n\r\n", 1)},
		"change":   {func(m *milter.Modifier) error { return m.ChangeHeader(2, "x-a", "3") }, strings.Replace(text, "X-A: 2\r\n folded", "x-a: 3", 1)},
		"remove":   {func(m *milter.Modifier) error { return m.ChangeHeader(2, "X-A", "") }, strings.Replace(text, "X-A: 2\r\n folded\r\n", "", 1)},
		"none":     {func(m *milter.Modifier) error { return m.ChangeHeader(3, "X-A", "") }, text},
		"received": {func(m *milter.Modifier) error { return m.ChangeHeader(1, "Received", "") }, text},
		"bad name": {func(m *milter.Modifier) error { return m.AddHeader("X New", "a") }, text},
		"body":     {func(m *milter.Modifier) error { return m.ReplaceBody([]byte("other")) }, text},
		"injected": {func(m *milter.Modifier) error { return m.AddHeader("X-New", "a\n\nFrom: x\r\n.") }, strings.Replace(text, "s\r\n\r\n", "s\r\nX-New: a\r\n\tFrom: x\r\n\t.\r\n\r\n", 1)},
	} {
		var seen []string
		s := listening(t, fake{mu: new(sync.Mutex), seen: &seen, end: func(m *milter.Modifier) (milter.Response, error) { return milter.RespAccept, c.end(m) }}, 0)
		if _, got := check(t, text, s); got != c.want {
			t.Errorf("%s:\n got %q\nwant %q", name, got, c.want)
		}
	}
}

// A milter that has said so at its start changes the body and the envelope, and the next one sees that.
func TestBodyAndEnvelope(t *testing.T) {
	all := milter.OptChangeBody | milter.OptAddRcpt | milter.OptRemoveRcpt | milter.OptChangeFrom | milter.OptAddHeader
	text := top + "From: joe\r\n\r\nbody\r\n"
	var seen []string
	first := listening(t, fake{mu: new(sync.Mutex), seen: new([]string), actions: all, end: func(m *milter.Modifier) (milter.Response, error) {
		return milter.RespAccept, errors.Join(m.AddHeader("X-First", "1"), m.ReplaceBody([]byte("an\nother\r\n")), m.ReplaceBody([]byte("body")), m.AddRecipient("<carol@corp.test>"),
			m.AddRecipient("not an address"), m.AddRecipient("alice@corp.test"), m.DeleteRecipient("<bob@corp.test>"), m.DeleteRecipient("<nobody@corp.test>"), m.ChangeFrom("list@corp.test"))
	}}, 0)
	second := listening(t, fake{mu: new(sync.Mutex), seen: &seen}, 0)
	v, header := check(t, text, first, second)
	if got := header[:len(top+"From: joe\r\nX-First: 1\r\n")] + text[v.HeaderSize:v.BodyAt] + string(v.Body); got != top+"From: joe\r\nX-First: 1\r\n\r\nan\r\nother\r\nbody\r\n" {
		t.Errorf("the message is %q", got)
	}
	if v.ReturnPath == nil || v.ReturnPath.String() != "list@corp.test" || len(v.Add) != 1 || v.Add[0].String() != "carol@corp.test" || len(v.Remove) != 1 || v.Remove[0].String() != "bob@corp.test" {
		t.Errorf("from %v, add %v, remove %v", v.ReturnPath, v.Add, v.Remove)
	}
	got := strings.Join(seen, "\n")
	for _, want := range []string{"mail list@corp.test", "rcpt alice@corp.test", "rcpt carol@corp.test", "body an\r\nother\r\nbody"} {
		if !strings.Contains(got, want) {
			t.Errorf("the second milter does not see %q: %s", want, got)
		}
	}
	if strings.Contains(got, "rcpt bob") {
		t.Error("the second milter sees a recipient who was removed")
	}
	// What the two have not agreed on is not done.
	rude := listening(t, fake{mu: new(sync.Mutex), seen: new([]string), end: func(m *milter.Modifier) (milter.Response, error) {
		return milter.RespAccept, errors.Join(m.ReplaceBody([]byte("x")), m.AddRecipient("carol@corp.test"), m.DeleteRecipient("bob@corp.test"), m.ChangeFrom("x@corp.test"))
	}}, 0)
	if v, _ := check(t, text, rude); v.Body != nil || v.ReturnPath != nil || len(v.Add)+len(v.Remove) > 0 {
		t.Errorf("unasked: %+v", v)
	}
	empty := listening(t, fake{mu: new(sync.Mutex), seen: new([]string), actions: all, end: func(m *milter.Modifier) (milter.Response, error) {
		return milter.RespAccept, errors.Join(m.ReplaceBody(nil), m.ChangeFrom("<>"))
	}}, 0)
	if v, _ := check(t, "From: joe\r\n", empty); v.ReturnPath == nil || !v.ReturnPath.IsNull() {
		t.Errorf("the null return-path: %+v", v)
	}
}

// A milter sees what those before it have changed; one that is disabled sees nothing.
func TestSeveral(t *testing.T) {
	var seen []string
	first := listening(t, fake{mu: new(sync.Mutex), seen: new([]string), end: func(m *milter.Modifier) (milter.Response, error) {
		return milter.RespAccept, m.AddHeader("X-First", "1")
	}}, 0)
	off := first
	off.Enabled = false
	second := listening(t, fake{mu: new(sync.Mutex), seen: &seen, end: func(m *milter.Modifier) (milter.Response, error) {
		return milter.RespAccept, m.AddHeader("X-Second", "2")
	}}, 0)
	_, got := check(t, top+"From: joe\r\n\r\nbody\r\n", off, first, second)
	if want := top + "From: joe\r\nX-First: 1\r\nX-Second: 2\r\n\r\nbody\r\n"; got != want || !strings.Contains(strings.Join(seen, "\n"), "header X-First:1") {
		t.Errorf("%q, seen %q", got, seen)
	}
}

func TestVerdicts(t *testing.T) {
	text := top + "From: joe\r\n\r\nbody\r\n"
	reply := func(r milter.Response) fake {
		return fake{end: func(*milter.Modifier) (milter.Response, error) { return r, nil }}
	}
	quarantine := fake{end: func(m *milter.Modifier) (milter.Response, error) { return milter.RespAccept, m.Quarantine("spam") }}
	for name, c := range map[string]struct {
		f          fake
		quarantine string
		refuse     fault.Kind
		text       string
		drop, junk bool
	}{
		"accept":     {f: reply(milter.RespAccept)},
		"reject":     {f: reply(milter.RespReject), refuse: fault.Rejected, text: "content filter"},
		"tempfail":   {f: reply(milter.RespTempFail), refuse: fault.Unavailable, text: "try again"},
		"discard":    {f: reply(milter.RespDiscard), drop: true},
		"reply":      {f: reply(milter.NewResponseStr('y', "554 5.7.1 spam\r\n554 is refused")), refuse: fault.Rejected, text: "spam 554 is refused"},
		"greylisted": {f: reply(milter.NewResponseStr('y', "451 4.7.1 come back")), refuse: fault.Unavailable, text: "come back"},
		"recipient":  {f: fake{rcpt: milter.RespReject}, refuse: fault.Rejected},
		"junk":       {f: quarantine, quarantine: "junk", junk: true},
		"refused":    {f: quarantine, quarantine: "reject", refuse: fault.Rejected},
		"goes on":    {f: quarantine, quarantine: "accept"},
		"nonsense":   {f: reply(milter.NewResponseStr('Z', "x")), refuse: fault.Unavailable, text: "cannot be checked"},
		"bad code":   {f: reply(milter.NewResponseStr('y', "abc no")), refuse: fault.Unavailable},
		"hangs up":   {f: fake{end: func(*milter.Modifier) (milter.Response, error) { return nil, net.ErrClosed }}, refuse: fault.Unavailable},
		"never ending": {f: fake{end: func(m *milter.Modifier) (milter.Response, error) {
			for {
				if err := m.AddHeader("X-Long", strings.Repeat("x", 50_000)); err != nil {
					return nil, err
				}
			}
		}}, refuse: fault.Unavailable},
	} {
		c.f.mu, c.f.seen = new(sync.Mutex), new([]string)
		s := listening(t, c.f, 0)
		if c.quarantine != "" {
			s.Quarantine = c.quarantine
		}
		v, _ := check(t, text, s)
		if (v.Refuse != nil) != (c.refuse != 0) || v.Refuse != nil && fault.KindOf(v.Refuse) != c.refuse || !strings.Contains(fault.Text(v.Refuse), c.text) && c.text != "" || v.Drop != c.drop || v.Junk != c.junk {
			t.Errorf("%s: %+v", name, v)
		}
	}
}

func TestFailures(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close() // which nobody answers
	a, err := ParseAddress(ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	none := Settings{Enabled: true, Name: "None", Address: Address{"unix", t.TempDir() + "/none"}, OnFailure: "tempfail"}
	for _, s := range []Settings{none, {Enabled: true, Name: "Silent", Address: a, Timeout: 5e7, OnFailure: "tempfail"}} {
		if v, _ := check(t, top+"\r\n", s); !fault.Is(v.Refuse, fault.Unavailable) {
			t.Errorf("%s: %+v", s.Name, v)
		}
		s.OnFailure = "accept"
		if v, _ := check(t, top+"\r\n", s); v.Refuse != nil || v.Drop {
			t.Errorf("%s with OnFailure=accept: %+v", s.Name, v)
		}
	}
	if v, _ := check(t, top+"X: "+strings.Repeat("x", maxHeader)+"\r\n\r\n", none); !fault.Is(v.Refuse, fault.Unavailable) {
		t.Errorf("a large header: %+v", v)
	}
	mild := none
	mild.Name, mild.OnFailure = "Mild", "accept"
	if v, _ := check(t, top+"X: "+strings.Repeat("x", maxHeader)+"\r\n\r\n", mild, none); !fault.Is(v.Refuse, fault.Unavailable) {
		t.Errorf("a large header, and a milter that must see each message behind one that need not: %+v", v)
	}
	// The end of the time for all checks ends a milter that does not answer.
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	silent := Settings{Enabled: true, Name: "Silent", Address: a, Timeout: 60e9, OnFailure: "accept"}
	if v, err := New(func() List { return List{silent} }, "0", slog.New(slog.DiscardHandler)).Check(ctx, incoming(t, top)); err != nil || v.Refuse != nil {
		t.Errorf("%+v, %v", v, err)
	}
}

func TestAddress(t *testing.T) {
	for text, want := range map[string]string{
		"inet:8891@localhost": "inet:8891@localhost", "inet:8891": "inet:8891@localhost", "localhost:8891": "inet:8891@localhost", "inet:127.0.0.1:11332": "inet:11332@127.0.0.1",
		"inet6:8891@[::1]": "inet6:8891@::1", "[::1]:8891": "inet:8891@::1", "unix:/run/m.sock": "unix:/run/m.sock", "local:/run/m.sock": "unix:/run/m.sock", "/run/m.sock": "unix:/run/m.sock", "": "",
	} {
		a, err := ParseAddress(text)
		again, err2 := ParseAddress(a.String())
		if err != nil || err2 != nil || a.String() != want || again != a {
			t.Errorf("%q: %q, %v, %v", text, a, err, err2)
		}
	}
	for _, text := range []string{"localhost", "inet:0@x", "inet:70000@x", "unix:run", "inet:x@y z", "inet:8891@a/b", ":25"} {
		if a, err := ParseAddress(text); err == nil {
			t.Errorf("%q: %+v", text, a)
		}
	}
}

func FuzzHeader(f *testing.F) {
	f.Add("Received: x\r\nFrom: y\r\n z\r\n\r\nbody", "X-A", "v\n w", uint32(1))
	f.Fuzz(func(t *testing.T, text, name, value string, at uint32) {
		h, err := readHeader(strings.NewReader(text))
		if err != nil {
			return
		}
		if got := string(h.bytes()); got != text[:h.size] {
			t.Fatalf("%q becomes %q", text, got)
		}
		before := len(h.bytes())
		for _, code := range []milter.ModifyActCode{milter.ActAddHeader, milter.ActInsertHeader, milter.ActChangeHeader} {
			h.apply(&milter.ModifyAction{Code: code, HeaderName: name, HeaderValue: value, HeaderIndex: at}, at%2 == 0)
		}
		added, ok := newField(name, value, false)
		if ok && (strings.Contains(added.raw, "\r\n\r\n") || !strings.HasSuffix(added.raw, "\r\n") || strings.ContainsRune(added.raw, 0)) {
			t.Errorf("%q %q: %q", name, value, added.raw)
		}
		if !ok && len(h.bytes()) > before {
			t.Errorf("%q %q is no field and was added", name, value)
		}
	})
}
