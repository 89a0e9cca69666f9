package http

import (
	"encoding/xml"
	"io"
	"net/http"
	"slices"

	"gatepost/router/address"
	"gatepost/server/fault"
	"gatepost/server/settings"
)

// A MailService is a listener that mail programs can use.
type MailService struct {
	Protocol string // imap, pop3 or smtp
	Port     int    // as it is bound
	TLS      settings.TLSMode
	Allow    settings.IPList // who may connect; empty for all
}

// same tells services that mail programs see as one: those of two local addresses.
func (m MailService) same(other MailService) bool {
	return m.Protocol == other.Protocol && m.Port == other.Port
}

// protocolOrder is how services are listed: mail programs take the first that works.
var protocolOrder = []string{"imap", "pop3", "smtp"}

// MountAutoconfig mounts what mail programs ask for settings: Mozilla's config-v1.1.xml and Microsoft's
// autodiscover.xml. services lists the listeners of the moment.
func (s *Server) MountAutoconfig(services func() []MailService) error {
	a := &autoconfig{server: s, services: services}
	for _, path := range []string{"/mail/config-v1.1.xml", "/.well-known/autoconfig/mail/config-v1.1.xml"} {
		title := ""
		if path == "/mail/config-v1.1.xml" {
			title = "Settings for mail programs"
		}
		if err := s.Mount(path, Options{Title: title, Part: PartAutoconfig, Clear: true}, http.HandlerFunc(a.mozilla)); err != nil {
			return err
		}
	}
	return s.Mount("/autodiscover/autodiscover.xml", Options{
		Methods: []string{http.MethodGet, http.MethodPost}, FoldCase: true, MaxBody: inMemory, Part: PartAutoconfig, Clear: true,
	}, http.HandlerFunc(a.microsoft))
}

type autoconfig struct {
	server   *Server
	services func() []MailService
}

// usable are the services for a client: with TLS, since a password in clear is refused without, and
// open to its address; TLS from the first byte comes first (RFC 8314 section 3).
func (a *autoconfig) usable(q *Request) []MailService {
	var list []MailService
	for _, m := range a.services() {
		open := m.TLS != settings.TLSNone && (m.Allow.Empty() || m.Allow.Contains(q.Peer.IP))
		if open && !slices.ContainsFunc(list, m.same) {
			list = append(list, m)
		}
	}
	slices.SortStableFunc(list, func(x, y MailService) int {
		if d := slices.Index(protocolOrder, x.Protocol) - slices.Index(protocolOrder, y.Protocol); d != 0 {
			return d
		}
		return int(y.TLS) - int(x.TLS)
	})
	return list
}

// host finds the domain of an address and the host that its mail programs connect to. An address that is
// empty stands for the domain of the request. Whether the account exists makes no difference.
func (a *autoconfig) host(q *Request, email string) (domain, host string, err error) {
	const op = "http.Autoconfig"
	domain = q.Domain
	if email != "" {
		addr, err := address.Parse(email)
		if err != nil {
			return "", "", fault.New(op, fault.Invalid, "This is not an e-mail address.")
		}
		real, ok := a.server.accounts.DomainName(addr.Domain)
		if addr.Domain == "" || !ok {
			return "", "", fault.New(op, fault.NoDomain, "This is not a domain of this server.")
		}
		domain = real
	}
	host, err = a.server.accounts.PublicName(domain)
	return domain, host, err
}

// clientConfig is Mozilla's format
// (https://wiki.mozilla.org/Thunderbird:Autoconfiguration:ConfigFileFormat).
type clientConfig struct {
	XMLName  xml.Name        `xml:"clientConfig"`
	Version  string          `xml:"version,attr"`
	Provider mozillaProvider `xml:"emailProvider"`
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

func (a *autoconfig) mozilla(w http.ResponseWriter, r *http.Request) {
	q := Of(r.Context())
	domain, host, err := a.host(q, r.URL.Query().Get("emailaddress"))
	if err != nil {
		Refuse(w, r, err)
		return
	}
	c := clientConfig{Version: "1.1", Provider: mozillaProvider{ID: domain, Domain: domain, Name: domain, ShortName: domain}}
	for _, m := range a.usable(q) {
		s := mozillaServer{
			Type: m.Protocol, Hostname: host, Port: m.Port, SocketType: "SSL",
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
	writeXML(w, r, c)
}

// writeXML answers with a document.
func writeXML(w http.ResponseWriter, r *http.Request, v any) {
	text, err := xml.MarshalIndent(v, "", "  ")
	if err != nil {
		Refuse(w, r, fault.Wrap("http.XML", fault.Internal, err))
		return
	}
	w.Header().Set("Content-Type", "text/xml; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	// A client that is gone does not miss it.
	_, _ = io.WriteString(w, xml.Header+string(text)+"\n")
}
