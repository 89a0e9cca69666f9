package autoconfig

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"net/http"
	"strings"

	"golang.org/x/text/language"

	gate "gatepost/protocols/http"
	"gatepost/server/fault"
	"gatepost/server/qrcode"
	"gatepost/server/settings"
)

//go:embed setup.html
var setupPage string

//go:embed setup.css
var setupStyle string

// setupTemplates has the page in each language.
func setupTemplates() map[string]*template.Template {
	list := map[string]*template.Template{}
	for _, lang := range []string{"en", "ru"} {
		t := template.New("setup").Funcs(template.FuncMap{"t": translator(lang)})
		list[lang] = template.Must(t.Parse(setupPage)) // it is a part of the program; a test shows that it parses
	}
	return list
}

// setupPolicy lets the page have its style and its form, and nothing else.
func setupPolicy() string {
	sum := sha256.Sum256([]byte(setupStyle))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
}

// setupData is what stands on the page.
type setupData struct {
	Lang, Domain, Address, Problem string
	Style                          template.CSS
	Found                          bool
	Mail                           []setupServer
	Calendars, Contacts            string // URLs
	Base                           string // URL by which programs find both
	Profile                        string // URL
	QR                             string
	QRSize                         int
}

type setupServer struct {
	Name, Host, Security string
	Port                 int
}

var protocolNames = map[string]string{"imap": "IMAP", "pop3": "POP3", "smtp": "SMTP"}

// setup is the page for people: the settings of an address, and its profile.
func (p *Pages) setup(w http.ResponseWriter, r *http.Request) {
	q := gate.Of(r.Context())
	if len(q.Path) > 0 {
		gate.Refuse(w, r, fault.New("autoconfig.Setup", fault.NotFound, ""))
		return
	}
	d := setupData{Lang: pageLanguage(r), Domain: q.Domain, Address: strings.TrimSpace(r.URL.Query().Get("address")), Style: template.CSS(setupStyle)}
	status := http.StatusOK
	if d.Address != "" {
		o, err := p.offer(q, d.Address)
		switch fault.KindOf(err) {
		case fault.Invalid:
			status, d.Problem = http.StatusUnprocessableEntity, notAnAddress
		case fault.NoDomain:
			status, d.Problem = http.StatusNotFound, notOurDomain
		default:
			if err == nil {
				err = d.fill(o)
			}
			if err != nil {
				gate.Refuse(w, r, err)
				return
			}
		}
	}
	var b bytes.Buffer
	if err := p.templates[d.Lang].Execute(&b, d); err != nil {
		gate.Refuse(w, r, fault.Wrap("autoconfig.Setup", fault.Internal, err))
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", d.Lang)
	h.Set("Vary", "Accept-Language")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", setupPolicy())
	w.WriteHeader(status)
	// A client that is gone does not miss the page.
	_, _ = w.Write(b.Bytes())
}

// fill has what the domain offers.
func (d *setupData) fill(o *offer) (err error) {
	d.Found, d.Domain = true, o.domain
	for _, m := range o.mail {
		one := setupServer{Name: protocolNames[m.Protocol], Host: o.host, Port: m.Port, Security: "SSL/TLS"}
		if m.TLS == settings.TLSStart {
			one.Security = "STARTTLS"
		}
		d.Mail = append(d.Mail, one)
	}
	if o.calendars {
		d.Calendars = o.url + "/CalDAV/Calendar/"
	}
	if o.contacts {
		d.Contacts = o.url + "/CardDAV/Contacts/"
	}
	if o.calendars || o.contacts {
		d.Base = o.url + "/"
	}
	if o.url != "" && len(o.payloads(d.Address, 0)) > 0 {
		d.Profile = o.url + profilePath(d.Address)
		if d.QR, d.QRSize, err = qrcode.Draw(d.Profile); err != nil {
			d.QR, err = "", nil // an address as long as this is typed, or the link is sent
		}
	}
	return err
}

// pageLanguage is English or Russian, whichever the browser prefers.
func pageLanguage(r *http.Request) string {
	header := r.Header.Get("Accept-Language")
	if len(header) > 200 {
		return "en"
	}
	wanted, _, err := language.ParseAcceptLanguage(header)
	if err != nil || len(wanted) == 0 {
		return "en"
	}
	_, i, _ := language.NewMatcher([]language.Tag{language.English, language.Russian}).Match(wanted...)
	return []string{"en", "ru"}[i]
}
