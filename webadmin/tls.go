package webadmin

import (
	"net/http"
	"strings"
	"time"

	"gatepost/server/certificates"
	"gatepost/server/dataformat"
)

// This file has the page of a domain's key and certificate.

func tlsPages() []*page {
	return []*page{
		{path: "Users/Domains/{domain}/TLS", title: "TLS", call: "GETDOMAINCERTIFICATE", tab: true, get: (*call).tlsPage, post: map[string]func(*call) error{
			"generate": (*call).generateKey, "sign": (*call).selfSign, "request": (*call).signingRequest, "import": (*call).importDomainCertificate,
			"pkcs12": (*call).importPKCS12, "type": (*call).certificateType, "remove": (*call).removeCertificate}},
	}
}

// certificateSettings are the settings of a domain that this page is about.
var certificateSettings = []string{"CertificateType", "CertificateNames", "PrivateSecureKey", "SecureCertificate", "CAChain"}

// subjectField is a field of the certificate generator.
type subjectField struct{ Name, Label, Help, Value string }

type tlsView struct {
	Domain         string
	Type           string
	Key            string // what kind it is, "" for none
	Certificate    *certificateRow
	Kinds          []string
	Fields         []subjectField
	Request        string // a signing request that was made
	Chain          string // what was typed
	Error          string
	MayChange      bool
	MayType        bool
	Zone           *time.Location
	Types          []typeOption
	CertificatePEM string
	Names          string // CertificateNames, when it is ACME
	Hosts          []acmeHost
	ACMESettings   bool // whether the settings of ACME may be seen
}

// acmeHost is a host that gets its certificate by ACME.
type acmeHost struct {
	Name, Error string
	Certificate *certificateRow
}

type typeOption struct{ Value, Label string }

func (c *call) tlsPage() error { return c.drawTLS(http.StatusOK, &tlsView{}) }

func (c *call) drawTLS(status int, v *tlsView) error {
	v.Domain = c.params["domain"]
	d, err := c.actor.DomainCertificate(c.ctx(), v.Domain)
	if err != nil {
		return err
	}
	v.Type, v.Key, v.Zone = d.String("type"), d.String("key"), c.prefs.Zone
	v.Kinds, v.MayChange, v.MayType = certificates.KeyKinds, c.may("IMPORTDOMAINCERTIFICATE"), c.may("UPDATEDOMAINSETTINGS")
	v.Types = []typeOption{{"Test", c.T("the server's certificate")}, {"YES", c.T("the certificate below")},
		{"ACME", c.T("certificates that an authority gives by itself (ACME)")}, {"NO", c.T("nothing: they are refused")}}
	if d["fingerprint"] != nil {
		row := c.certificateRow(d)
		v.Certificate, v.CertificatePEM = &row, d.String("chainText")
	}
	for _, e := range arrayOf(d["hosts"]) {
		one, _ := e.(dataformat.Dict)
		h := acmeHost{Name: one.String("name"), Error: one.String("error")}
		if cert, ok := one["certificate"].(dataformat.Dict); ok {
			row := c.certificateRow(cert)
			h.Certificate = &row
		}
		v.Hosts = append(v.Hosts, h)
		v.Names = strings.TrimSpace(v.Names + " " + h.Name)
	}
	v.ACMESettings = c.may("GETMODULE")
	value := func(name, usual string) string {
		if c.r.Method == http.MethodPost && c.r.PostForm.Has(name) {
			return c.field(name)
		}
		return usual
	}
	v.Fields = []subjectField{
		{"CommonName", c.T("Common name"), c.T("The host name that programs connect to."), value("CommonName", v.Domain)},
		{"AlternativeNames", c.T("Alternative names"), c.T("All further names and addresses, with spaces between them. Browsers look at these."), value("AlternativeNames", "mail."+v.Domain)},
		{"Country", c.T("Country"), c.T("Two letters."), value("Country", "")},
		{"State", c.T("State or province"), "", value("State", "")},
		{"City", c.T("City"), "", value("City", "")},
		{"Organization", c.T("Organization"), "", value("Organization", "")},
		{"Unit", c.T("Unit"), "", value("Unit", "")},
		{"Contact", c.T("Contact"), c.T("A mail address."), value("Contact", "")},
	}
	return c.show(status, "tls", c.T("TLS of %s", v.Domain), v)
}

func arrayOf(v dataformat.Value) dataformat.Array {
	list, _ := v.(dataformat.Array)
	return list
}

// tlsDone says that something was done, or shows what was typed with the reason why not.
func (c *call) tlsDone(err error, text string, v *tlsView) error {
	if err == nil {
		return c.done(c.r.URL.EscapedPath(), &flash{Text: text})
	}
	if !kept(err) {
		return err
	}
	v.Error = c.reason(err)
	return c.drawTLS(http.StatusUnprocessableEntity, v)
}

func (c *call) generateKey() error {
	return c.tlsDone(c.actor.GenerateDomainKey(c.ctx(), c.params["domain"], c.field("kind")), c.T("The domain has a private key."), &tlsView{})
}

// subject is what the generator's fields say.
func (c *call) subject() dataformat.Dict {
	d := dataformat.Dict{}
	for _, name := range []string{"CommonName", "AlternativeNames", "Country", "State", "City", "Organization", "Unit", "Contact"} {
		if v := c.field(name); v != "" {
			d[name] = dataformat.String(v)
		}
	}
	return d
}

func (c *call) selfSign() error {
	err := c.actor.CreateDomainCertificate(c.ctx(), c.params["domain"], c.subject())
	return c.tlsDone(err, c.T("The certificate is in force for new connections."), &tlsView{})
}

func (c *call) signingRequest() error {
	text, err := c.actor.CertificateRequest(c.ctx(), c.params["domain"], c.subject())
	if err != nil {
		return c.tlsDone(err, "", &tlsView{})
	}
	return c.drawTLS(http.StatusOK, &tlsView{Request: text})
}

// importDomainCertificate puts a certificate in force. What was typed of the key does not come back.
func (c *call) importDomainCertificate() error {
	chain := c.field("chain")
	err := c.actor.ImportDomainCertificate(c.ctx(), c.params["domain"], chain, c.field("key"))
	return c.tlsDone(err, c.T("The certificate is in force for new connections."), &tlsView{Chain: certificatesOf(chain)})
}

func (c *call) importPKCS12() error {
	text, err := c.fileOr("")
	if err == nil {
		err = c.actor.ImportDomainPKCS12(c.ctx(), c.params["domain"], []byte(text), c.r.PostForm.Get("password"))
	}
	return c.tlsDone(err, c.T("The certificate is in force for new connections."), &tlsView{})
}

func (c *call) certificateType() error {
	d := dataformat.Dict{"CertificateType": dataformat.String(c.field("type"))}
	if c.r.PostForm.Has("names") {
		d["CertificateNames"] = dataformat.String("default")
		if names := strings.TrimSpace(c.field("names")); names != "" {
			d["CertificateNames"] = dataformat.String(names)
		}
	}
	err := c.actor.UpdateDomainSettings(c.ctx(), c.params["domain"], d)
	return c.tlsDone(err, c.T("Stored."), &tlsView{})
}

func (c *call) removeCertificate() error {
	err := c.actor.RemoveDomainCertificate(c.ctx(), c.params["domain"])
	return c.tlsDone(err, c.T("Key and certificate are removed. The server's certificate is shown."), &tlsView{})
}
