package server

import (
	"context"

	"gatepost/accounts"
	"gatepost/protocols/http"
	"gatepost/protocols/pwd"
	"gatepost/protocols/smtp"
	"gatepost/server/settings"
)

// mount puts the parts on the two HTTP modules.
func (s *Server) mount(admins, users *http.Server) error {
	for _, h := range []*http.Server{admins, users} {
		if err := h.Mount("/{$}", http.Options{}, h.Front()); err != nil {
			return err
		}
		if err := h.MountCLI(commandLine{s.pwd}); err != nil {
			return err
		}
	}
	return users.MountAutoconfig(s.mailServices, s.usersHTTPS)
}

// commandLine is the command line of the PWD module for HTTP.
type commandLine struct{ pwd *pwd.Server }

func (c commandLine) Command(ctx context.Context, who *accounts.Account, peer accounts.Peer, line string) http.CommandAnswer {
	return http.CommandAnswer(c.pwd.Command(ctx, who, peer, line))
}

// mailServices lists the listeners for mail programs.
func (s *Server) mailServices() []http.MailService {
	var list []http.MailService
	for module, protocol := range map[string]string{"IMAP": "imap", "POP": "pop3", "SMTP": "smtp"} {
		for _, l := range s.moduleListeners(module) {
			if protocol == "smtp" && !smtp.Submission(l) {
				continue
			}
			list = append(list, http.MailService{Protocol: protocol, Port: l.Port + s.config.PortShift, TLS: l.TLS, Allow: l.Allow})
		}
	}
	return list
}

// usersHTTPS is the port of the first listener of HTTPU with TLS, or 0.
func (s *Server) usersHTTPS() int {
	for _, l := range s.moduleListeners("HTTPU") {
		if l.TLS == settings.TLSImplicit {
			return l.Port + s.config.PortShift
		}
	}
	return 0
}

// moduleListeners are the listeners that a module has now.
func (s *Server) moduleListeners(name string) settings.Listeners {
	for _, m := range s.modules {
		if m.name == name {
			return m.common.Load().Listener
		}
	}
	return nil
}
