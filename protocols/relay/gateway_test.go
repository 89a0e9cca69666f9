package relay

import (
	"context"
	"crypto/hmac"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/xdg-go/scram"

	"gatepost/queue"
	"gatepost/queue/envelope"
	"gatepost/router"
	"gatepost/router/address"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
	"gatepost/server/settings"
)

// set puts settings of sending and gateways in force, each in the form of a settings file.
func (s *station) configure(t *testing.T, sending, gateways string) {
	t.Helper()
	set, gws := new(Settings), new(GatewaySettings)
	if err := settings.Load(set, parsed(t, sending)); err != nil {
		t.Fatal(err)
	}
	if err := settings.Load(gws, dataformat.Dict{"Gateways": parsed(t, gateways)}); err != nil {
		t.Fatal(err)
	}
	s.set.Set(set)
	s.gateways.Set(gws)
}

func parsed(t *testing.T, text string) dataformat.Dict {
	t.Helper()
	v, err := dataformat.Parse([]byte("{" + text + "}"))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return v.(dataformat.Dict)
}

func TestWhichWayMailGoes(t *testing.T) {
	const gateways = `isp={Host=smtp.isp.net;User=joe;Password="sealed:x";Default=YES;};
		shop={Host="smtp.shop.net:2525";Senders=("billing@company.com","shop.org");};
		old={Host=smtp.old.net;Senders=("old.org");Enabled=NO;};`
	for name, c := range map[string]struct {
		sending, gateways, from, to string
		want                        string
	}{
		"MX":                                  {"", "", "joe@company.com", "a@far.org", "far.org:25 mx If Offered"},
		"the smart host":                      {"SmartHost=smart.net;", "", "joe@company.com", "a@far.org", "smart.net:25 If Offered"},
		"the smart host, Required as ever":    {"SmartHost=smart.net;SmartHostTLS=Required;", "", "joe@company.com", "a@far.org", "smart.net:25 Verified"},
		"the default gateway":                 {"SmartHost=smart.net;", gateways, "joe@company.com", "a@far.org", "smtp.isp.net:587 Verified isp"},
		"the default gateway, a report":       {"", gateways, "", "a@far.org", "smtp.isp.net:587 Verified isp"},
		"that of the sender":                  {"", gateways, "Billing@Company.com", "a@far.org", "smtp.shop.net:2525 Verified shop alone"},
		"that of the sender's domain":         {"", gateways, "x@shop.org", "a@far.org", "smtp.shop.net:2525 Verified shop alone"},
		"one that is disabled":                {"", gateways, "x@old.org", "a@far.org", "smtp.isp.net:587 Verified isp"},
		"a literal past the gateway":          {"", gateways, "joe@company.com", "a@[192.0.2.1]", "192.0.2.1:25 If Offered"},
		"a host of a record past the gateway": {"", gateways, "joe@company.com", "a@x.direct.2525", "x.direct:2525 If Offered"},

		"a gateway for a destination":           {"Destinations={far.org={Gateway=Shop;};};", gateways, "joe@company.com", "a@far.org", "smtp.shop.net:2525 Verified shop"},
		"a gateway that is not there":           {"Destinations={far.org={Gateway=gone;};};", gateways, "joe@company.com", "a@far.org", "there is no gateway gone"},
		"a gateway that is disabled":            {"Destinations={far.org={Gateway=old;};};", gateways, "joe@company.com", "a@far.org", "the gateway old is disabled"},
		"a destination past the gateway":        {"Destinations={far.org={Direct=YES;TLS=Verified;};};", gateways, "joe@company.com", "a@far.org", "far.org:25 mx Verified domain=far.org"},
		"a host for a destination":              {`Destinations={far.org={Host="mx.far.org:26";TLS=Required;};};`, gateways, "joe@company.com", "a@far.org", "mx.far.org:26 Required"},
		"a port for a destination":              {"Destinations={far.org={Port=26;};};", "", "joe@company.com", "a@far.org", "far.org:26 mx If Offered"},
		"implicit TLS for a destination":        {"Destinations={far.org={TLS=Implicit;};};", "", "joe@company.com", "a@far.org", "far.org:465 mx Implicit domain=far.org"},
		"all below a domain":                    {`Destinations={"*.far.org"={TLS=Never;};"*.b.far.org"={TLS=Required;};"*"={TLS=Verified;};};`, "", "joe@company.com", "a@a.b.far.org", "a.b.far.org:25 mx Required"},
		"all below a domain, the nearer":        {`Destinations={"*.far.org"={TLS=Never;};"*.b.far.org"={TLS=Required;};"*"={TLS=Verified;};};`, "", "joe@company.com", "a@c.far.org", "c.far.org:25 mx Never"},
		"the rest":                              {`Destinations={"*.far.org"={TLS=Never;};"*"={TLS=Required;};};`, "", "joe@company.com", "a@far.org", "far.org:25 mx Required"},
		"a source address":                      {`SourceIP="192.0.2.9";Destinations={far.org={SourceIP=("192.0.2.8","2001:db8::8");};};`, "", "joe@company.com", "a@far.org", "far.org:25 mx If Offered from 192.0.2.8 2001:db8::8"},
		"the source address of the module":      {`SourceIP="192.0.2.9";`, "", "joe@company.com", "a@far.org", "far.org:25 mx If Offered from 192.0.2.9 invalid IP"},
		"a policy for a host that a record has": {`Destinations={x.direct={TLS=Required;};};`, "", "joe@company.com", "a@x.direct", "x.direct:25 mx Required"},
		"mail has to wait":                      {"WithoutSmartHost=Wait;", "", "joe@company.com", "a@far.org", "no smart host is set"},
	} {
		s := &station{t: t, set: settings.NewLive(new(Settings)), gateways: settings.NewLive(new(GatewaySettings))}
		s.configure(t, c.sending, c.gateways)
		tr := &Transport{settings: s.set, gateways: s.gateways}
		env := new(envelope.Envelope)
		if c.from != "" {
			env.ReturnPath = s.addr(c.from)
		}
		r, _ := routes{}.Route(t.Context(), router.Mail, s.addr(c.to))
		w, none := tr.choices().wayOf(env, &r)
		got := ""
		if none != nil {
			got = none.Text
		} else {
			h := w.hop(w.name)
			got = fmt.Sprintf("%s:%d", h.host.Name, h.port())
			if w.mx {
				got += " mx"
			}
			got += " " + h.tls
			if h.login != nil {
				got += " " + h.login.name
			}
			if w.bySender {
				got += " alone"
			}
			if h.domain != "" {
				got += " domain=" + h.domain
			}
			if h.source != (source{}) {
				got += fmt.Sprintf(" from %v %v", h.source.v4, h.source.v6)
			}
		}
		if got != c.want {
			t.Errorf("%s: %s, not %s", name, got, c.want)
		}
	}
}

func TestBadGatewaysAndDestinationsAreRefused(t *testing.T) {
	for text, want := range map[string]string{
		`g={};`:                                                        "g: a Host is needed",
		`g={Host=h;User=u;TLS="If Offered";};`:                         "g: with a User TLS is Required, Verified or Implicit",
		`g={Host=h;Password=p;};`:                                      "g: a Password needs a User",
		`g={Host="h:1";Port=2;};`:                                      "g: Host and Port name different ports",
		`g={Host=h;SenderAddress=joe;};`:                               `g: SenderAddress: "joe" is not a complete address`,
		`g={Host=h;Senders=("a b");};`:                                 `g: Senders: "a b" is neither an address nor a domain`,
		`g={Host="lmtp:/run/x";User=joe;};`:                            "g: Host: at a socket there is no Port and no User",
		`"a b"={Host=h;};`:                                             "a b: this cannot be the name of a gateway",
		`g={Host=h;};G={Host=h;};`:                                     "it is given twice",
		`a={Host=h;Default=YES;};b={Host=h;Default=YES;};`:             "a and b are both the default",
		`a={Host=h;Senders=("x.org");};b={Host=h;Senders=("X.org");};`: "a and b are both for x.org",
		`g=x;`: "g: a dictionary is expected",
	} {
		err := settings.Load(new(GatewaySettings), dataformat.Dict{"Gateways": parsed(t, text)})
		if !fault.Is(err, fault.Invalid) || !strings.Contains(fault.Text(err), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
	for text, want := range map[string]string{
		`"a b"={};`:                                    `"a b" is not a domain, *.domain or *`,
		`"*.[192.0.2.1]"={};`:                          "is not a domain",
		`x.org={};X.org={};`:                           "x.org is given twice",
		`x.org={Gateway=g;Host=h;};`:                   "x.org: of Gateway, Host and Direct one can be given",
		`x.org={Port=70000;};`:                         "x.org: Port: 70000 is not a port number",
		`x.org={RetryFor=never;};`:                     "x.org: RetryEvery, RetryEveryFor, RetryThenEvery and RetryFor end at some time",
		`x.org={SourceIP=("192.0.2.1","192.0.2.2");};`: "x.org: SourceIP: two addresses of one family",
		`x.org={TLS=Sometimes;};`:                      "x.org: TLS: ",
	} {
		err := settings.Load(new(Settings), dataformat.Dict{"Destinations": parsed(t, text)})
		if !fault.Is(err, fault.Invalid) || !strings.Contains(fault.Text(err), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, src := range []any{new(Gateway), new(Destination)} {
		if err := settings.Check(src); err != nil && !strings.Contains(err.Error(), "a Host is needed") {
			t.Error(err)
		}
	}
}

// login is a server with AUTH; it takes the password secret.
func login(mechs string) *peer {
	question := ""
	var proof *scram.ServerConversation
	return &peer{ehlo: "250-smtp.isp.net\r\n250-AUTH " + mechs + "\r\n250 PIPELINING\r\n", say: func(_ int, line string) string {
		ok, no := "235 welcome\r\n", "535 5.7.8 wrong password\r\n"
		is := func(text string) bool { return line == base64.StdEncoding.EncodeToString([]byte(text)) }
		switch {
		case line == "AUTH PLAIN "+base64.StdEncoding.EncodeToString([]byte("\x00joe\x00secret")):
			return ok
		case strings.HasPrefix(line, "AUTH PLAIN"):
			return no
		case line == "AUTH LOGIN":
			question = "user"
			return "334 VXNlcm5hbWU6\r\n"
		case question == "user":
			question = "password"
			if !is("joe") {
				question = ""
				return no
			}
			return "334 UGFzc3dvcmQ6\r\n"
		case question == "password":
			question = ""
			if is("secret") {
				return ok
			}
			return no
		case strings.HasPrefix(line, "AUTH SCRAM-SHA-256 "), question == "scram":
			if question == "" {
				proof = scramServer()
			}
			question = ""
			sent, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(line, "AUTH SCRAM-SHA-256 "))
			if proof.Done() && err == nil && len(sent) == 0 && proof.Valid() {
				return ok
			}
			answer, err := proof.Step(string(sent))
			if err != nil {
				return no
			}
			question = "scram"
			return "334 " + base64.StdEncoding.EncodeToString([]byte(answer)) + "\r\n"
		case line == "AUTH CRAM-MD5":
			question = "cram"
			return "334 " + base64.StdEncoding.EncodeToString([]byte("<1@isp>")) + "\r\n"
		case question == "cram":
			question = ""
			sum := hmac.New(md5.New, []byte("secret"))
			sum.Write([]byte("<1@isp>"))
			if is("joe " + hex.EncodeToString(sum.Sum(nil))) {
				return ok
			}
			return no
		}
		return fine(line)
	}}
}

// scramServer is the server's half of a login with SCRAM-SHA-256 (RFC 7677), for joe.
func scramServer() *scram.ServerConversation {
	client, err := scram.SHA256.NewClient("joe", "secret", "")
	if err != nil {
		panic(err)
	}
	stored, err := client.GetStoredCredentialsWithError(scram.KeyFactors{Salt: "salt of the server", Iters: 4096})
	if err != nil {
		panic(err)
	}
	server, err := scram.SHA256.NewServer(func(user string) (scram.StoredCredentials, error) {
		if user != "joe" {
			return stored, fmt.Errorf("no user %s", user)
		}
		return stored, nil
	})
	if err != nil {
		panic(err)
	}
	return server.NewConversation()
}

func TestGatewayLogsIn(t *testing.T) {
	for name, c := range map[string]struct{ mechs, gateway, want string }{
		"PLAIN":            {"LOGIN PLAIN", "Password=\"sealed:secret\";TLS=Never;", "relayed: relayed via smtp.isp.net a@far.org 2.0.0"},
		"LOGIN":            {"LOGIN", "Password=\"sealed:secret\";TLS=Never;", "relayed: relayed via smtp.isp.net a@far.org 2.0.0"},
		"CRAM-MD5":         {"CRAM-MD5 PLAIN", "Password=\"sealed:secret\";TLS=Never;", "relayed: relayed via smtp.isp.net a@far.org 2.0.0"},
		"SCRAM":            {"PLAIN SCRAM-SHA-256", "Password=\"sealed:secret\";TLS=Never;", "relayed: relayed via smtp.isp.net a@far.org 2.0.0"},
		"SCRAM, wrong":     {"SCRAM-SHA-256", "Password=\"sealed:x\";TLS=Never;", "delayed: gateway ISP: the server refused the password: 535 5.7.8 wrong password a@far.org 4.7.8"},
		"a wrong password": {"PLAIN", "Password=\"sealed:x\";TLS=Never;", "delayed: gateway ISP: the server refused the password: 535 5.7.8 wrong password a@far.org 4.7.8"},
		"another way":      {"XOAUTH2", "Password=\"sealed:x\";TLS=Never;", "delayed: gateway ISP: the server offers none of the ways to log in that there are here (SCRAM-SHA-256, CRAM-MD5, PLAIN, LOGIN), only XOAUTH2 a@far.org 4.7.8"},
		"no TLS":           {"PLAIN", "Password=\"sealed:secret\";", "delayed: connection with smtp.isp.net is broken: TLS is required and not offered a@far.org 4.4.2"},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := newStation(t, nil)
			defer s.stop()
			s.zone.Set(t, "smtp.isp.net. A 192.0.2.30")
			s.configure(t, "", "ISP={Host=smtp.isp.net;User=joe;Default=YES;"+c.gateway+"};")
			p := login(c.mechs)
			go p.serve(s)
			s.send(mailText, nil, "a@far.org")
			s.want("SMTP(far.org) " + c.want)
			if len(s.dialed) != 1 || s.dialed[0] != "192.0.2.30:587" {
				t.Errorf("%s: dialed %v", name, s.dialed)
			}
		})
	}
}

func TestSenderOfAGateway(t *testing.T) {
	const author = "From: =?utf-8?q?J=C3=BCrgen?= <j@company.com>\r\nSender: s@company.com\r\n"
	for name, c := range map[string]struct{ gateway, header, path, want string }{
		"in From":               {`SenderAddress="shop@isp.net";SenderName="The Shop";`, author, "shop@isp.net", "From: \"The Shop\" <shop@isp.net>\r\nSubject: x\r\nReply-To: =?utf-8?q?J=C3=BCrgen?= <j@company.com>\r\n"},
		"in From, his name":     {`SenderAddress="shop@isp.net";`, author, "shop@isp.net", "From: =?utf-8?q?J=C3=BCrgen?= <shop@isp.net>\r\nSubject: x\r\nReply-To: =?utf-8?q?J=C3=BCrgen?= <j@company.com>\r\n"},
		"replies go elsewhere":  {`SenderAddress="shop@isp.net";`, author + "Reply-To: r@company.com\r\n", "shop@isp.net", "From: =?utf-8?q?J=C3=BCrgen?= <shop@isp.net>\r\nReply-To: r@company.com\r\nSubject: x\r\n"},
		"folded, and two":       {`SenderAddress="shop@isp.net";`, "FROM :\r\n Joe\r\n\t<joe@company.com>\r\nFrom: x@company.com\r\n", "shop@isp.net", "From: \"Joe\" <shop@isp.net>\r\nSubject: x\r\nReply-To:\r\n Joe\r\n\t<joe@company.com>\r\n"},
		"no From":               {`SenderAddress="shop@isp.net";`, "", "shop@isp.net", "Subject: x\r\nFrom: <shop@isp.net>\r\n"},
		"in Sender":             {`SenderAddress="shop@isp.net";SenderField=Sender;`, author, "shop@isp.net", "From: =?utf-8?q?J=C3=BCrgen?= <j@company.com>\r\nSender: <shop@isp.net>\r\nSubject: x\r\n"},
		"the return-path stays": {`SenderAddress="shop@isp.net";SenderField=Sender;ReplaceReturnPath=NO;`, "From: j@company.com\r\n", "joe@company.com", "From: j@company.com\r\nSubject: x\r\nSender: <shop@isp.net>\r\n"},
		"in the return-path":    {`SenderAddress="shop@isp.net";SenderField=None;`, author, "shop@isp.net", author + "Subject: x\r\n"},
		"nowhere":               {"", author, "joe@company.com", author + "Subject: x\r\n"},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := newStation(t, nil)
			defer s.stop()
			s.zone.Set(t, "smtp.isp.net. A 192.0.2.30")
			s.configure(t, "", "isp={Host=smtp.isp.net;Default=YES;TLS=Never;"+c.gateway+"};")
			server := newServer(s)
			go server.serve()
			s.send(c.header+"Subject: x\r\n\r\nFrom: body\r\n", nil, "a@far.org")
			synctest.Wait()
			if server.count() != 1 {
				t.Fatalf("%s: %v", name, s.results.lines)
			}
			if got, want := server.last(), c.want+"\r\nFrom: body\r\n"; got != want {
				t.Errorf("%s:\n%s\nnot\n%s", name, got, want)
			}
			g := s.gateways.Get().Gateways.of(address.Address{})
			if path, _ := g.returnPath(&envelope.Envelope{ReturnPath: s.addr("joe@company.com"), Recipients: make([]envelope.Recipient, 1)}, 0); path.String() != c.path {
				t.Errorf("%s: return-path %s", name, path)
			}
			if path, _ := g.returnPath(&envelope.Envelope{Recipients: make([]envelope.Recipient, 1)}, 0); !path.IsNull() {
				t.Errorf("%s: null return-path became %s", name, path)
			}
		})
	}
}

func TestDestinationHasRetriesOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, nil)
		defer s.stop()
		s.zone.Set(t, "far.org. A 192.0.2.1")
		s.configure(t, "Destinations={far.org={RetryEvery=10m;RetryFor=25m;Channels=3;};};", "")
		s.transport.dialer.dial = world{"192.0.2.1": "refused"}.dial(s)
		s.send(mailText, nil, "a@far.org")
		synctest.Wait()
		info, _ := s.q.Info(router.SMTP, "far.org")
		if in := time.Until(info.DelayedTill); in != 10*time.Minute {
			t.Errorf("tried again in %v", in)
		}
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		s.results.mu.Lock()
		defer s.results.mu.Unlock()
		if last := s.results.lines[len(s.results.lines)-1]; !strings.HasPrefix(last, "SMTP(far.org) failed for good:") || len(s.results.lines) != 4 {
			t.Errorf("%s", last)
		}
	})
}

// What one sender's gateway does holds up nobody else's mail for the same domain.
func TestGatewayOfASenderStopsNoQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, nil)
		defer s.stop()
		s.zone.Set(t, "far.org. A 192.0.2.1\nsmtp.shop.net. A 192.0.2.2")
		s.configure(t, "", "shop={Host=smtp.shop.net;Senders=(shop.org);};")
		s.transport.dialer.dial = world{"192.0.2.2": "refused"}.dial(s)
		s.send(mailText, func(e *envelope.Envelope) { e.ReturnPath = s.addr("x@shop.org") }, "a@far.org")
		synctest.Wait()
		s.send(mailText, nil, "b@far.org")
		s.want("SMTP(far.org) delayed: cannot connect to smtp.shop.net: connection refused a@far.org 4.4.1", "SMTP(far.org) relayed: relayed via far.org b@far.org 2.0.0")
	})
}

func TestTestOfAGateway(t *testing.T) {
	const isp = `Host=smtp.isp.net;User=joe;Password="sealed:secret";TLS=Never;`
	for name, c := range map[string]struct {
		gateway string
		peer    *peer
		dial    error
		want    string
	}{
		"all is well": {isp, login("PLAIN"), nil, `smtp.isp.net has the address 192.0.2.30
connected to 192.0.2.30, port 587
the connection is not encrypted
logged in as joe (PLAIN)
the server took a message to <postmaster@mail.company.com>: 250 ok
connect success!`},
		"the password": {strings.Replace(isp, "sealed:secret", "sealed:swordfish", 1), login("PLAIN"), nil, `smtp.isp.net has the address 192.0.2.30
the server refused the password: 535 5.7.8 wrong password`},
		"the host": {strings.Replace(isp, "smtp.isp.net", "smtp.ips.net", 1), nil, nil, `the host smtp.ips.net does not exist, or has no address: correct Host`},
		"the port": {isp, nil, fmt.Errorf("connection refused"), `smtp.isp.net has the address 192.0.2.30
cannot connect to 192.0.2.30:587: connection refused`},
		"no TLS": {strings.Replace(isp, "Never", "Verified", 1), login("PLAIN"), nil, `smtp.isp.net has the address 192.0.2.30
the server offers no encryption at port 587: use TLS=Implicit with port 465, or TLS=Never if nobody can read along on the way to it`},
		"the sender": {isp + "Enabled=NO;", &peer{ehlo: "250-x\r\n250 AUTH PLAIN\r\n", say: func(_ int, line string) string {
			switch {
			case strings.HasPrefix(line, "AUTH"):
				return "235 ok\r\n"
			case strings.HasPrefix(line, "MAIL"):
				return "553 5.7.1 not owned by auth user\r\n"
			}
			return fine(line)
		}}, nil, `the gateway is disabled: no mail takes it, but it can be tested
smtp.isp.net has the address 192.0.2.30
connected to 192.0.2.30, port 587
the connection is not encrypted
logged in as joe (PLAIN)
the server refused the return-path <postmaster@mail.company.com>: 553 5.7.1 not owned by auth user; set SenderAddress to one that it takes`},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := newStation(t, nil)
			defer s.stop()
			s.zone.Set(t, "smtp.isp.net. A 192.0.2.30")
			s.configure(t, "", "isp={"+c.gateway+"};")
			s.refuse = c.dial
			if c.peer != nil {
				go c.peer.serve(s)
			}
			steps, ok, err := s.transport.TestGateway(t.Context(), "ISP", "")
			if got := strings.Join(steps, "\n"); got != c.want || err != nil || ok != strings.HasSuffix(c.want, "success!") {
				t.Errorf("%s: %v, %v\n%s", name, ok, err, got)
			}
		})
	}
	s := newStation(t, nil)
	defer s.stop()
	if _, _, err := s.transport.TestGateway(t.Context(), "none", ""); !fault.Is(err, fault.NotFound) {
		t.Error(err)
	}
	s.configure(t, "", "isp={"+isp+"};")
	if _, _, err := s.transport.TestGateway(t.Context(), "isp", "joe"); !fault.Is(err, fault.Invalid) {
		t.Error(err)
	}
}

// The address to connect from is used, and an address of the other family is passed over.
func TestSourceIP(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	d := newDialer(func() string { return "x" })
	var from SourceIPs
	if err := from.SetValue(dataformat.String("127.0.0.9")); err != nil {
		t.Fatal(err)
	}
	to := l.Addr().(*net.TCPAddr).AddrPort()
	c, err := d.dialFrom(context.Background(), "tcp", to.String(), from.source(), to)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got := c.LocalAddr().(*net.TCPAddr).IP.String(); got != "127.0.0.9" {
		t.Errorf("from %s", got)
	}
	from = nil
	if err := from.SetValue(dataformat.String("2001:db8::1")); err != nil {
		t.Fatal(err)
	}
	if _, err := d.dialFrom(context.Background(), "tcp", to.String(), from.source(), to); err == nil || !strings.Contains(err.Error(), "SourceIP") {
		t.Error(err)
	}
}

var _ queue.Grouper = (*Transport)(nil)
