package webadmin

import (
	"net/http"
	"strings"

	"gatepost/server/admin"
	"gatepost/server/dataformat"
)

// This file has the steps of the first run that come after the password. Each can be left out, and come back to.

func startPages() []*page {
	return []*page{
		{path: "Start/Server", title: "Server", call: "UPDATESERVERSETTINGS", get: (*call).startServer, post: map[string]func(*call) error{"update": (*call).setStartServer}},
		{path: "Start/DNS", title: "DNS records", call: "GETSERVERSETTINGS", get: (*call).startDNS, post: map[string]func(*call) error{"check": (*call).checkStartDNS}},
		{path: "Start/Certificate", title: "Certificate", call: "GETSERVERSETTINGS", get: (*call).startCertificate},
		{path: "Start/Account", title: "First account", call: "GETSERVERSETTINGS", get: (*call).startAccount, post: map[string]func(*call) error{"account": (*call).createFirstAccount}},
		{path: "Start/Message", title: "Test message", call: "SENDTESTMESSAGE", get: (*call).startMessage, post: map[string]func(*call) error{"send": (*call).sendTest}},
		{path: "Start/Clients", title: "Mail programs", call: "GETSERVERSETTINGS", get: (*call).startClients},
	}
}

// startOf is what every step has.
type startOf struct {
	Steps            []crumb
	Next             string
	Domain, Error    string
	Languages, Zones []choice
	New              newObject
	Created          string
	Records          []dnsRecord
	Findings         []finding
	Checked          bool
	Host             string
	Secure           string
	Test             *testJourney
	Clients          []mailClient
}

// dnsRecord is a record to make.
type dnsRecord struct{ Name, Type, Value, Why string }

func (c *call) start(path string) *startOf {
	s := &startOf{Domain: c.Accounts.MainDomain(), Secure: c.secureAddress()}
	found := false
	for _, p := range startPages() {
		if found {
			s.Next, found = "/"+p.path, false
		}
		here := p.path == path
		found = here
		s.Steps = append(s.Steps, crumb{Title: c.T(p.title), Link: "/" + p.path, Here: here})
	}
	s.Host = "mail." + s.Domain
	if strings.HasPrefix(s.Domain, "mail.") {
		s.Host = s.Domain
	}
	return s
}

func (c *call) startServer() error { return c.drawStartServer(http.StatusOK, c.start("Start/Server")) }

func (c *call) drawStartServer(status int, s *startOf) error {
	for _, l := range languages {
		s.Languages = append(s.Languages, choice{l.code, l.name, l.code == c.prefs.Language})
	}
	zone := zones[0]
	if d, err := c.actor.ServerAccountPrefs(c.ctx()); err == nil && d.String("TimeZone") != "" {
		zone = d.String("TimeZone")
	}
	s.Zones = choices(zones, zone)
	return c.show(status, "start-server", c.T("Your server"), s)
}

// setStartServer stores name, time zone and language. The name comes first: it is what can be refused.
func (c *call) setStartServer() error {
	s := c.start("Start/Server")
	s.Domain = strings.ToLower(strings.TrimSpace(c.field("domain")))
	if s.Domain != c.Accounts.MainDomain() {
		if err := c.actor.UpdateServerSettings(c.ctx(), dataformat.Dict{"DomainName": dataformat.String(s.Domain)}); err != nil {
			if !kept(err) {
				return err
			}
			s.Error = c.reason(err)
			return c.drawStartServer(http.StatusUnprocessableEntity, s)
		}
	}
	prefs := dataformat.Dict{}
	if z := c.field("zone"); z != "" {
		prefs["TimeZone"] = dataformat.String(z)
	}
	if l := c.field("language"); isLanguage(l) {
		prefs["Language"] = dataformat.String(languageWord(l))
	}
	if err := c.actor.UpdateServerAccountPrefs(c.ctx(), prefs); err != nil {
		return err
	}
	if err := c.actor.UpdateAdminPrefs(c.ctx(), prefs); err != nil {
		return err
	}
	return c.redirect(s.Next)
}

func (c *call) startDNS() error { return c.drawStartDNS(false) }

func (c *call) checkStartDNS() error { return c.drawStartDNS(true) }

func (c *call) drawStartDNS(check bool) error {
	s := c.start("Start/DNS")
	var err error
	if s.Records, s.Findings, err = c.records(s.Domain, check); err != nil {
		return err
	}
	s.Checked = check
	return c.show(http.StatusOK, "start-dns", c.T("DNS records"), s)
}

func (c *call) startCertificate() error {
	return c.show(http.StatusOK, "start-certificate", c.T("Certificate"), c.start("Start/Certificate"))
}

func (c *call) startAccount() error {
	s := c.start("Start/Account")
	return c.show(http.StatusOK, "start-account", c.T("First account"), s)
}

func (c *call) createFirstAccount() error {
	s := c.start("Start/Account")
	s.New = newObject{Name: strings.TrimSpace(c.field("name")), RealName: strings.TrimSpace(c.field("realname"))}
	pass := c.r.PostForm.Get("password")
	given := dataformat.Dict{"Password": dataformat.String(pass)}
	if s.New.RealName != "" {
		given["RealName"] = dataformat.String(s.New.RealName)
	}
	switch {
	case s.New.Name == "":
		s.Error = c.T("The account needs a name.")
	case pass == "":
		s.Error = c.T("The password is empty.")
	case pass != c.r.PostForm.Get("again"):
		s.Error = c.T("The two passwords differ.")
	}
	if s.Error == "" {
		err := c.actor.CreateAccount(c.ctx(), admin.Name{Local: s.New.Name, Domain: s.Domain}, given, admin.Storage{})
		if err == nil {
			return c.done(s.Next, &flash{Text: c.T("The account %s has been created.", strings.ToLower(s.New.Name)+"@"+s.Domain)})
		}
		if !kept(err) {
			return err
		}
		s.Error = c.reason(err)
	}
	return c.show(http.StatusUnprocessableEntity, "start-account", c.T("First account"), s)
}
