package server

import (
	"context"

	"gatepost/accounts"
	"gatepost/accounts/access"
	"gatepost/accounts/groupware"
	"gatepost/protocols/dav"
	"gatepost/protocols/http"
	"gatepost/protocols/pwd"
	"gatepost/server/settings"
)

// A mount puts a part on an HTTP module.
type mount func(h *http.Server) error

// calendars are CalDAV, CardDAV and the root by which clients find them; GET of that is the front page.
func (s *Server) calendars(h *http.Server) error {
	store := groupware.New(s.accounts, access.New(s.accounts, s.router))
	return dav.New(store).Mount(h, h.Front())
}

func (s *Server) administratorsPages(h *http.Server) error { return s.pages.Mount(h) }

func (s *Server) commandLine(h *http.Server) error { return h.MountCLI(commandLine{s.pwd}) }

func (s *Server) autoconfiguration(h *http.Server) error {
	return h.MountAutoconfig(s.mailServices, s.usersHTTPS)
}

// commandLine is the command line of the PWD module for HTTP.
type commandLine struct{ pwd *pwd.Server }

func (c commandLine) Command(ctx context.Context, who *accounts.Account, peer accounts.Peer, line string) http.CommandAnswer {
	return http.CommandAnswer(c.pwd.Command(ctx, who, peer, line))
}

// mailServices lists the listeners for mail programs.
func (s *Server) mailServices() []http.MailService {
	var list []http.MailService
	for _, m := range s.modules {
		for _, l := range m.common.Load().Listener {
			if m.protocol == "" || !m.forUsers(l) {
				continue
			}
			list = append(list, http.MailService{Protocol: m.protocol, Port: l.Port + s.config.PortShift, TLS: l.TLS, Allow: l.Allow})
		}
	}
	return list
}

// usersHTTPS is the port of the first listener of HTTPU with TLS, or 0.
func (s *Server) usersHTTPS() int { return s.httpsPort(usersModule) }

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
