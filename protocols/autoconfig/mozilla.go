package autoconfig

import (
	"encoding/xml"
	"io"
	"net/http"

	gate "gatepost/protocols/http"
	"gatepost/server/fault"
	"gatepost/server/settings"
)

// clientConfig is Mozilla's format
// (https://wiki.mozilla.org/Thunderbird:Autoconfiguration:ConfigFileFormat).
type clientConfig struct {
	XMLName  xml.Name        `xml:"clientConfig"`
	Version  string          `xml:"version,attr"`
	Provider mozillaProvider `xml:"emailProvider"`
	Contacts *mozillaDAV     `xml:"addressBook"`
	Calendar *mozillaDAV     `xml:"calendar"`
}

// mozillaDAV is where calendars or contacts are.
type mozillaDAV struct {
	Type           string `xml:"type,attr"`
	Username       string `xml:"username"`
	Authentication string `xml:"authentication"`
	URL            string `xml:"serverURL"`
}

type mozillaProvider struct {
	ID        string          `xml:"id,attr"`
	Domain    string          `xml:"domain"`
	Name      string          `xml:"displayName"`
	ShortName string          `xml:"displayShortName"`
	Incoming  []mozillaServer `xml:"incomingServer"`
	Outgoing  []mozillaServer `xml:"outgoingServer"`
}

type mozillaServer struct {
	Type           string `xml:"type,attr"`
	Hostname       string `xml:"hostname"`
	Port           int    `xml:"port"`
	SocketType     string `xml:"socketType"`
	Authentication string `xml:"authentication"`
	Username       string `xml:"username"`
}

func (p *Pages) mozilla(w http.ResponseWriter, r *http.Request) {
	q := gate.Of(r.Context())
	o, err := p.offer(q, r.URL.Query().Get("emailaddress"))
	if err != nil {
		gate.Refuse(w, r, err)
		return
	}
	domain := o.domain
	c := clientConfig{Version: "1.1", Provider: mozillaProvider{ID: domain, Domain: domain, Name: domain, ShortName: domain}}
	for _, m := range o.mail {
		s := mozillaServer{
			Type: m.Protocol, Hostname: o.host, Port: m.Port, SocketType: "SSL",
			Authentication: "password-cleartext", Username: "%EMAILADDRESS%",
		}
		if m.TLS == settings.TLSStart {
			s.SocketType = "STARTTLS"
		}
		if m.Protocol == "smtp" {
			c.Provider.Outgoing = append(c.Provider.Outgoing, s)
		} else {
			c.Provider.Incoming = append(c.Provider.Incoming, s)
		}
	}
	dav := func(kind string) *mozillaDAV {
		return &mozillaDAV{Type: kind, Username: "%EMAILADDRESS%", Authentication: "http-basic", URL: o.url + "/"}
	}
	if o.contacts {
		c.Contacts = dav("carddav")
	}
	if o.calendars {
		c.Calendar = dav("caldav")
	}
	writeXML(w, r, c)
}

// writeXML answers with a document.
func writeXML(w http.ResponseWriter, r *http.Request, v any) {
	text, err := xml.MarshalIndent(v, "", "  ")
	if err != nil {
		gate.Refuse(w, r, fault.Wrap("autoconfig.XML", fault.Internal, err))
		return
	}
	w.Header().Set("Content-Type", "text/xml; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	// A client that is gone does not miss it.
	_, _ = io.WriteString(w, xml.Header+string(text)+"\n")
}
