package server

import (
	"context"
	"time"

	"gatepost/accounts"
	"gatepost/accounts/access"
	"gatepost/accounts/files"
	"gatepost/accounts/groupware"
	"gatepost/accounts/lists/archive"
	"gatepost/protocols/autoconfig"
	"gatepost/protocols/dav"
	"gatepost/protocols/http"
	"gatepost/protocols/listpages"
	"gatepost/protocols/pwd"
	"gatepost/server/settings"
)

// A mount puts a part on an HTTP module.
type mount func(h *http.Server) error

// FileStorage is the file storage of all accounts.
func (s *Server) FileStorage() *files.Store { return s.storage }

// SubscribeCalendar has a calendar of another server kept up to date in an account.
func (s *Server) SubscribeCalendar(ctx context.Context, a *accounts.Account, box, address string) error {
	return s.webcal.Subscribe(ctx, a, box, address)
}

// webDAV is CalDAV, CardDAV, the root by which clients find them (GET of that is the front page), and file storage.
func (s *Server) webDAV(h *http.Server) error {
	d := dav.New(groupware.New(s.accounts, access.New(s.accounts, s.router)))
	d.UseScheduling(s.scheduling)
	if err := d.Mount(h, h.Front()); err != nil {
		return err
	}
	if err := d.MountFreeBusy(h); err != nil {
		return err
	}
	if err := d.MountSites(h, s.storage); err != nil {
		return err
	}
	return d.MountFiles(h, s.storage)
}

func (s *Server) administratorsPages(h *http.Server) error { return s.pages.Mount(h) }

func (s *Server) commandLine(h *http.Server) error { return h.MountCLI(commandLine{s.pwd}) }

func (s *Server) autoconfiguration(h *http.Server) error {
	return autoconfig.New(autoconfig.Options{Accounts: s.accounts, Services: s.mailServices, Port: s.usersHTTPS}).Mount(h)
}

// A client address may ask for so many subscriptions on pages, and each answer takes as long at least as most
// questions take to be stored.
var (
	subscriptionLimit = settings.Rate{Count: 20, Period: settings.Period(time.Hour)}
	leastAnswer       = 300 * time.Millisecond
)

func (s *Server) mailingListPages(h *http.Server) error {
	pages, err := listpages.New(listpages.Options{Store: s.accounts, Manager: s.lists, Archive: archive.New(s.accounts), Admin: s.actors(), Limit: subscriptionLimit, Least: leastAnswer})
	if err != nil {
		return err
	}
	return pages.Mount(h)
}

// listPagesURL is the address of the pages of a domain's mailing lists: on the public host of the domain and the first
// listener of HTTPU with TLS. "" if there is no such listener. A host that stands for another domain, or for none, needs the
// domain in the path.
func (s *Server) listPagesURL(domain string) string {
	port := s.usersHTTPS()
	if port == 0 {
		return ""
	}
	host, err := s.accounts.PublicName(domain)
	if err != nil {
		return "" // the domain was deleted meanwhile
	}
	url := "https://" + http.HostPort(host, port) + "/Lists"
	if d, ok := s.http[usersModule].DomainOf(host); !ok || d != domain {
		url += "/@" + domain
	}
	return url
}

// commandLine is the command line of the PWD module for HTTP.
type commandLine struct{ pwd *pwd.Server }

func (c commandLine) Command(ctx context.Context, who *accounts.Account, peer accounts.Peer, line string) http.CommandAnswer {
	return http.CommandAnswer(c.pwd.Command(ctx, who, peer, line))
}

// mailServices lists the listeners for mail programs.
func (s *Server) mailServices() []autoconfig.MailService {
	var list []autoconfig.MailService
	for _, m := range s.modules {
		for _, l := range m.common.Load().Listener {
			if m.protocol == "" || !m.forUsers(l) {
				continue
			}
			list = append(list, autoconfig.MailService{Protocol: m.protocol, Port: l.Port + s.config.PortShift, TLS: l.TLS, Allow: l.Allow})
		}
	}
	return list
}

// usersHTTPS is the port by which clients reach HTTPU over TLS: its setting PublicPort, else that of the first listener with
// TLS; 0 if there is none.
func (s *Server) usersHTTPS() int {
	if port := s.users.Get().PublicPort; port != 0 {
		return port
	}
	return s.httpsPort(usersModule)
}

// httpsPort is the port of a module's first listener with TLS, or 0.
func (s *Server) httpsPort(name string) int {
	m, err := s.module(name)
	if err != nil {
		return 0
	}
	for _, l := range m.common.Load().Listener {
		if l.TLS == settings.TLSImplicit {
			return l.Port + s.config.PortShift
		}
	}
	return 0
}
