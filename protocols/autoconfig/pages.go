package autoconfig

import (
	"html/template"
	"net/http"
	"slices"

	"gatepost/accounts"
	gate "gatepost/protocols/http"
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

// protocolServices are the services that accounts need for a protocol. Mail is sent by anybody who may log in.
var protocolServices = map[string]string{"imap": "IMAP", "pop3": "POP"}

// Options are what the pages stand on.
type Options struct {
	Accounts *accounts.Store
	// Services lists the listeners of the moment.
	Services func() []MailService
	// Port is where clients find HTTPU over TLS, or 0.
	Port func() int
}

// Pages answer programs and people.
type Pages struct {
	o         Options
	templates map[string]*template.Template // of the page for people, by language
}

// New returns the pages.
func New(o Options) *Pages { return &Pages{o: o, templates: setupTemplates()} }

// maxRequest is the largest request of a program.
const maxRequest = 64 << 10

// Mount puts the pages on HTTPU.
func (p *Pages) Mount(h *gate.Server) error {
	open := gate.Options{Part: gate.PartAutoconfig, Clear: true}
	posted, folded, page := open, open, open
	posted.Methods, posted.FoldCase, posted.MaxBody = []string{http.MethodGet, http.MethodPost}, true, maxRequest
	folded.FoldCase = true
	page.Title = "Set up your programs"
	for _, m := range []struct {
		path    string
		options gate.Options
		handler http.HandlerFunc
	}{
		{"/mail/config-v1.1.xml", open, p.mozilla},
		{"/.well-known/autoconfig/mail/config-v1.1.xml", open, p.mozilla},
		{"/autodiscover/autodiscover.xml", posted, p.microsoft},
		{"/autodiscover/autodiscover.json/", folded, p.microsoftJSON},
		{"/apple/", open, p.apple},
		{"/setup/", page, p.setup},
	} {
		if err := h.Mount(m.path, m.options, m.handler); err != nil {
			return err
		}
	}
	return nil
}

// offer is what a domain offers to a client.
type offer struct {
	domain string // by its real name
	host   string // that programs connect to
	mail   []MailService
	// url is HTTPU over TLS, without a slash at the end; empty if there is none.
	url                 string
	calendars, contacts bool
}

// offer finds what the domain of an address offers. An address that is empty stands for the domain of the request. Whether the
// account exists makes no difference. Errors: Invalid, NoDomain.
func (p *Pages) offer(q *gate.Request, email string) (*offer, error) {
	const op = "autoconfig.Offer"
	o := &offer{domain: q.Domain}
	if email != "" {
		addr, err := address.Parse(email)
		if err != nil {
			return nil, fault.New(op, fault.Invalid, "This is not an e-mail address.")
		}
		real, ok := p.o.Accounts.DomainName(addr.Domain)
		if addr.Domain == "" || !ok {
			return nil, fault.New(op, fault.NoDomain, "This is not a domain of this server.")
		}
		o.domain = real
	}
	var err error
	if o.host, err = p.o.Accounts.PublicName(o.domain); err != nil {
		return nil, err
	}
	o.mail = p.usable(q, o.domain)
	if port := p.o.Port(); port != 0 {
		o.url = "https://" + gate.HostPort(o.host, port)
		dav := p.o.Accounts.Offers(o.domain, "WebCAL") && q.Reaches(gate.PartRoot) && q.Reaches(gate.PartPrincipals)
		o.calendars, o.contacts = dav && q.Reaches(gate.PartCalendars), dav && q.Reaches(gate.PartContacts)
	}
	return o, nil
}

// usable are the mail services for a client: of the domain, with TLS, since a password in clear is refused without, and
// open to its address; TLS from the first byte comes first (RFC 8314 section 3).
func (p *Pages) usable(q *gate.Request, domain string) []MailService {
	var list []MailService
	for _, m := range p.o.Services() {
		open := m.TLS != settings.TLSNone && (m.Allow.Empty() || m.Allow.Contains(q.Peer.IP))
		if service := protocolServices[m.Protocol]; service != "" {
			open = open && p.o.Accounts.Offers(domain, service)
		}
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

// best is the first service of a protocol.
func (o *offer) best(protocol string) (MailService, bool) {
	i := slices.IndexFunc(o.mail, func(m MailService) bool { return m.Protocol == protocol })
	if i < 0 {
		return MailService{}, false
	}
	return o.mail[i], true
}
