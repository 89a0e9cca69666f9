package server

import (
	"context"
	"net/netip"
	"strings"

	"gatepost/accounts"
	"gatepost/router/address"
	"gatepost/rules"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
	"gatepost/server/logs"
	"gatepost/server/settings"
)

// The methods of this file are what calls of administrators need of the server as a whole
// (admin.Server).

// Version is the version of the server.
func (s *Server) Version() string { return Version }

// RouterTable is the text of the Router Table.
func (s *Server) RouterTable(context.Context) (string, error) { return s.routing.Get().Table, nil }

// SetRouterTable replaces the table; one with a bad line changes nothing.
func (s *Server) SetRouterTable(ctx context.Context, text string) error {
	return s.UpdateModule(ctx, "Router", dataformat.Dict{"RouterTable": dataformat.String(text)})
}

// RouterSettings are the router's settings without the table.
func (s *Server) RouterSettings(ctx context.Context) (dataformat.Dict, error) {
	d, err := s.Module(ctx, "Router")
	delete(d, "RouterTable")
	return d, err
}

// SetRouterSettings replaces the router's settings; the table stays.
func (s *Server) SetRouterSettings(ctx context.Context, d dataformat.Dict) error {
	if d["RouterTable"] != nil {
		return fault.New("server.SetRouterSettings", fault.Invalid, "the table is set with SETROUTERTABLE")
	}
	return s.edit(ctx, "Router", d, func(old, given dataformat.Dict) dataformat.Dict {
		n := replace(old, given)
		if table := old["RouterTable"]; table != nil {
			n["RouterTable"] = table
		}
		return n
	})
}

// Modules lists the names that Module takes.
func (s *Server) Modules(context.Context) ([]string, error) {
	list := make([]string, 0, len(s.modules))
	for m := range s.configured() {
		if m != s.mainModule {
			list = append(list, m.name)
		}
	}
	return list, nil
}

// Module returns the explicit settings of a module.
func (s *Server) Module(_ context.Context, name string) (dataformat.Dict, error) {
	m, err := s.module(name)
	if err != nil {
		return nil, err
	}
	return s.explicit(m)
}

func (s *Server) explicit(m *module) (dataformat.Dict, error) {
	s.changing.Lock()
	defer s.changing.Unlock()
	return readSettings(s.base.path("Settings", m.file))
}

// SettingNames are the names of a module's settings.
func (s *Server) SettingNames(name string) *settings.Names {
	for _, m := range s.modules {
		if strings.EqualFold(m.name, name) {
			return m.names()
		}
	}
	return settings.NamesOf()
}

// SetModule replaces the explicit settings of a module.
func (s *Server) SetModule(ctx context.Context, name string, d dataformat.Dict) error {
	return s.edit(ctx, name, d, replace)
}

// replace makes new explicit settings of the given ones alone.
func replace(_, given dataformat.Dict) dataformat.Dict { return settings.Merge(nil, given) }

// UpdateModule merges an update into the explicit settings of a module.
func (s *Server) UpdateModule(ctx context.Context, name string, update dataformat.Dict) error {
	return s.edit(ctx, name, update, settings.Merge)
}

func (s *Server) edit(ctx context.Context, name string, given dataformat.Dict, edit func(old, given dataformat.Dict) dataformat.Dict) error {
	m, err := s.module(name)
	if err != nil {
		return err
	}
	return s.change(ctx, m, given, edit)
}

// RelayVerdict is what RCPT would answer to a client.
func (s *Server) RelayVerdict(ctx context.Context, ip netip.Addr, account *accounts.Account, to address.Address) (int, string, error) {
	if s.receiver == nil {
		return 0, "", fault.New("server.RelayVerdict", fault.Unavailable, "the SMTP receiver is not open")
	}
	code, text := s.receiver.Verdict(ctx, ip, account, to)
	return code, text, nil
}

// WriteLog writes a record of an administrator.
func (s *Server) WriteLog(ctx context.Context, level int, text string) {
	s.log.Log(ctx, logs.Level(level), text)
}

// LogAll has everything logged, whatever the settings say, or ends that. It does not outlive the process.
func (s *Server) LogAll(_ context.Context, on bool) {
	s.changing.Lock()
	defer s.changing.Unlock()
	s.logAll = on
	s.setLevels()
}

// Helpers tells of each helper program.
func (s *Server) Helpers(context.Context) (dataformat.Dict, error) {
	return s.helpers.Statistics(), nil
}

// ServerSettings are those of Main.settings.
func (s *Server) ServerSettings(context.Context) (dataformat.Dict, error) {
	return s.explicit(s.mainModule)
}

// UpdateServerSettings merges an update into Main.settings. The name of the
// Main Domain is changed by renaming the domain.
func (s *Server) UpdateServerSettings(ctx context.Context, update dataformat.Dict) error {
	const key = "DomainName"
	update, err := settings.NamesOf([]settings.Setting{{Key: key}}).Respell(update)
	if err != nil {
		return err
	}
	if v := update[key]; v != nil {
		name, ok := dataformat.Text(v)
		if !ok || settings.IsDefault(v) {
			return fault.New("server.UpdateServerSettings", fault.Invalid, "DomainName: a domain name is expected")
		}
		delete(update, key)
		// Programs write back what they have read, and the name with it.
		if !strings.EqualFold(name, s.accounts.MainDomain()) {
			if err := s.renameMainDomain(ctx, name, update); err != nil {
				return err
			}
		}
	}
	if len(update) == 0 {
		return nil
	}
	return s.change(ctx, s.mainModule, update, settings.Merge)
}

// renameMainDomain holds off changes of Main.settings, in which the name stands. The
// rest of the update is validated first, so that a refused update renames nothing.
func (s *Server) renameMainDomain(ctx context.Context, name string, rest dataformat.Dict) error {
	s.changing.Lock()
	defer s.changing.Unlock()
	old, err := readSettings(s.base.path("Settings", s.mainModule.file))
	if err != nil {
		return err
	}
	if rest, err = s.mainModule.respell(rest, old); err != nil {
		return err
	}
	if _, err := s.mainModule.check(settings.Merge(old, rest)); err != nil {
		return err
	}
	return s.accounts.RenameDomain(ctx, s.accounts.MainDomain(), name)
}

// QueueSettings are the settings of the queue.
func (s *Server) QueueSettings(ctx context.Context) (dataformat.Dict, error) {
	return s.Module(ctx, "Queue")
}

// SetQueueSettings replaces the settings of the queue.
func (s *Server) SetQueueSettings(ctx context.Context, d dataformat.Dict) error {
	return s.SetModule(ctx, "Queue", d)
}

// dnrModule is the module of look-ups in the DNS.
const dnrModule = "DNR"

// DNRSettings are the settings of look-ups in the DNS.
func (s *Server) DNRSettings(ctx context.Context) (dataformat.Dict, error) {
	return s.Module(ctx, dnrModule)
}

// SetDNRSettings replaces the settings of look-ups in the DNS.
func (s *Server) SetDNRSettings(ctx context.Context, d dataformat.Dict) error {
	return s.SetModule(ctx, dnrModule, d)
}

// UpdateDNRSettings merges an update into the settings of look-ups in the DNS.
func (s *Server) UpdateDNRSettings(ctx context.Context, update dataformat.Dict) error {
	return s.UpdateModule(ctx, dnrModule, update)
}

// logModule is the module of the log files. It writes no records of its own, so that a
// LogLevel among its settings is the server's.
const logModule = "Logs"

// LogSettings are the settings of the log files, and the server's LogLevel.
func (s *Server) LogSettings(ctx context.Context) (dataformat.Dict, error) {
	d, err := s.Module(ctx, logModule)
	if err != nil {
		return nil, err
	}
	main, err := s.ServerSettings(ctx)
	if err != nil {
		return nil, err
	}
	if level, ok := main[keyLogLevel]; ok {
		d[keyLogLevel] = level
	}
	return d, nil
}

// UpdateLogSettings changes settings of the log files, and the server's LogLevel. One
// that is refused changes nothing.
func (s *Server) UpdateLogSettings(ctx context.Context, update dataformat.Dict) error {
	files, level := dataformat.Dict{}, dataformat.Dict{}
	for key, v := range update {
		if strings.EqualFold(key, keyLogLevel) {
			level[key] = v
		} else {
			files[key] = v
		}
	}
	if len(level) == 0 {
		return s.UpdateModule(ctx, logModule, files)
	}
	if err := s.validate(s.mainModule, level); err != nil {
		return err
	}
	if len(files) > 0 {
		if err := s.UpdateModule(ctx, logModule, files); err != nil {
			return err
		}
	}
	return s.UpdateServerSettings(ctx, level)
}

// validate checks an update of a module and changes nothing.
func (s *Server) validate(m *module, update dataformat.Dict) error {
	old, err := s.explicit(m)
	if err != nil {
		return err
	}
	if update, err = m.respell(update, old); err != nil {
		return err
	}
	_, err = m.check(settings.Merge(old, update))
	return err
}

// ServerMailRules are the rules of the server.
func (s *Server) ServerMailRules() *rules.Set { return s.rules.ServerRules() }

// SetServerMailRules replaces the rules of the server.
func (s *Server) SetServerMailRules(set *rules.Set) error { return s.rules.SetServerRules(set) }

// signalRulesFile keeps the call rules of the server, which nothing applies.
const signalRulesFile = "SignalRules.settings"

// ServerSignalRules are the call rules of the server.
func (s *Server) ServerSignalRules() (dataformat.Array, error) {
	s.changing.Lock()
	defer s.changing.Unlock()
	v, err := dataformat.ReadFile(s.base.path("Settings", signalRulesFile))
	list, _ := v.(dataformat.Array)
	return list, dataformat.Unreadable("server.SignalRules", err)
}

// SetServerSignalRules replaces the call rules of the server.
func (s *Server) SetServerSignalRules(list dataformat.Array) error {
	s.changing.Lock()
	defer s.changing.Unlock()
	err := dataformat.WriteFile(s.base.path("Settings", signalRulesFile), list, dataformat.StyleOld)
	return fault.Wrap("server.SetSignalRules", fault.Internal, err)
}

// LogFiles lists the files of the log.
func (s *Server) LogFiles(context.Context) ([]logs.FileInfo, error) { return s.files.List() }

// ReadLog reads records of a file of the log.
func (s *Server) ReadLog(ctx context.Context, q logs.Query) (*logs.Page, error) {
	return s.files.Read(ctx, q)
}
