package admin

import (
	"context"
	"net/netip"
	"strings"

	"gatepost/accounts"
	"gatepost/router"
	"gatepost/router/address"
	"gatepost/router/names"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
	"gatepost/server/logs"
)

// This file has the calls about the server as a whole.

// mainModule is the module whose settings have commands of their own.
const mainModule = "Main"

// module returns the name of the module that is meant. Only those that are listed can be
// read and changed by name.
func (o *operation) module(name string) (string, error) {
	list, err := o.admin.server.Modules(o)
	if err != nil {
		return "", err
	}
	for _, module := range list {
		if strings.EqualFold(module, name) {
			return module, nil
		}
	}
	return "", fault.New("admin.Module", fault.NotFound, "unknown module")
}

// Modules lists the modules that have settings.
func (a Actor) Modules(ctx context.Context) ([]string, error) {
	return look(ctx, a, "LISTMODULES", server, func(o *operation) ([]string, error) { return o.admin.server.Modules(o) })
}

// Module are the explicit settings of a module.
func (a Actor) Module(ctx context.Context, name string) (dataformat.Dict, error) {
	return look(ctx, a, "GETMODULE", named(name), func(o *operation) (dataformat.Dict, error) {
		module, err := o.module(name)
		if err != nil {
			return nil, err
		}
		return o.admin.server.Module(o, module)
	})
}

// SetModule replaces the explicit settings of a module.
func (a Actor) SetModule(ctx context.Context, name string, given dataformat.Dict) error {
	return a.setModule(ctx, "SETMODULE", name, given, a.admin.server.SetModule)
}

// UpdateModule merges settings into the explicit ones of a module.
func (a Actor) UpdateModule(ctx context.Context, name string, given dataformat.Dict) error {
	return a.setModule(ctx, "UPDATEMODULE", name, given, a.admin.server.UpdateModule)
}

func (a Actor) setModule(ctx context.Context, call, name string, given dataformat.Dict, set func(context.Context, string, dataformat.Dict) error) error {
	return do(ctx, a, call, named(name), func(o *operation) error {
		module, err := o.module(name)
		if err != nil {
			return err
		}
		read := func() (dataformat.Dict, error) { return o.admin.server.Module(o, module) }
		return o.settings(o.admin.server.SettingNames(module), given, read, func() error { return set(o, module, given) })
	})
}

// getServer shows settings that have a command of their own.
func (a Actor) getServer(ctx context.Context, call string, get func(context.Context) (dataformat.Dict, error)) (dataformat.Dict, error) {
	return look(ctx, a, call, server, func(o *operation) (dataformat.Dict, error) { return get(o) })
}

// changeServer writes settings that have a command of their own.
func (a Actor) changeServer(ctx context.Context, call, module string, given dataformat.Dict, get func(context.Context) (dataformat.Dict, error), set func(context.Context, dataformat.Dict) error) error {
	return do(ctx, a, call, server, func(o *operation) error {
		read := func() (dataformat.Dict, error) { return get(o) }
		return o.settings(o.admin.server.SettingNames(module), given, read, func() error { return set(o, given) })
	})
}

// ServerSettings are the settings of the server that are no module's.
func (a Actor) ServerSettings(ctx context.Context) (dataformat.Dict, error) {
	return a.getServer(ctx, "GETSERVERSETTINGS", a.admin.server.ServerSettings)
}

// UpdateServerSettings merges settings into those of the server. DomainName renames the Main
// Domain.
func (a Actor) UpdateServerSettings(ctx context.Context, given dataformat.Dict) error {
	return a.changeServer(ctx, "UPDATESERVERSETTINGS", mainModule, given, a.admin.server.ServerSettings, a.admin.server.UpdateServerSettings)
}

// QueueSettings are the explicit settings of the queue.
func (a Actor) QueueSettings(ctx context.Context) (dataformat.Dict, error) {
	return a.getServer(ctx, "GETQUEUESETTINGS", a.admin.server.QueueSettings)
}

// SetQueueSettings replaces the explicit settings of the queue.
func (a Actor) SetQueueSettings(ctx context.Context, given dataformat.Dict) error {
	return a.changeServer(ctx, "SETQUEUESETTINGS", "Queue", given, a.admin.server.QueueSettings, a.admin.server.SetQueueSettings)
}

// DNRSettings are the explicit settings of look-ups in the DNS.
func (a Actor) DNRSettings(ctx context.Context) (dataformat.Dict, error) {
	return a.getServer(ctx, "GETDNRSETTINGS", a.admin.server.DNRSettings)
}

// SetDNRSettings replaces the explicit settings of look-ups in the DNS.
func (a Actor) SetDNRSettings(ctx context.Context, given dataformat.Dict) error {
	return a.changeServer(ctx, "SETDNRSETTINGS", "DNR", given, a.admin.server.DNRSettings, a.admin.server.SetDNRSettings)
}

// UpdateDNRSettings merges settings into those of look-ups in the DNS.
func (a Actor) UpdateDNRSettings(ctx context.Context, given dataformat.Dict) error {
	return a.changeServer(ctx, "UPDATEDNRSETTINGS", "DNR", given, a.admin.server.DNRSettings, a.admin.server.UpdateDNRSettings)
}

// Network are the explicit settings of the protection against strangers.
func (a Actor) Network(ctx context.Context) (dataformat.Dict, error) {
	return a.getServer(ctx, "GETNETWORK", a.admin.networkSettings)
}

// SetNetwork replaces the explicit settings of the protection against strangers.
func (a Actor) SetNetwork(ctx context.Context, given dataformat.Dict) error {
	return a.changeServer(ctx, "SETNETWORK", protectionModule, given, a.admin.networkSettings, func(ctx context.Context, d dataformat.Dict) error {
		return a.admin.server.SetModule(ctx, protectionModule, d)
	})
}

// protectionModule is the module with those settings.
const protectionModule = "Protection"

func (a *Admin) networkSettings(ctx context.Context) (dataformat.Dict, error) {
	return a.server.Module(ctx, protectionModule)
}

// Banned are the patterns of lines for which mail of strangers is refused, where they differ from the stock ones.
func (a Actor) Banned(ctx context.Context) (dataformat.Dict, error) {
	return a.getServer(ctx, "GETBANNED", a.admin.bannedSettings)
}

// SetBanned replaces the patterns of lines for which mail of strangers is refused.
func (a Actor) SetBanned(ctx context.Context, given dataformat.Dict) error {
	return a.changeServer(ctx, "SETBANNED", bannedModule, given, a.admin.bannedSettings, func(ctx context.Context, d dataformat.Dict) error {
		return a.admin.server.SetModule(ctx, bannedModule, d)
	})
}

// bannedModule is the module with those settings.
const bannedModule = "Banned"

func (a *Admin) bannedSettings(ctx context.Context) (dataformat.Dict, error) {
	return a.server.Module(ctx, bannedModule)
}

// LogSettings are the explicit settings of the log.
func (a Actor) LogSettings(ctx context.Context) (dataformat.Dict, error) {
	return a.getServer(ctx, "GETLOGSETTINGS", a.admin.server.LogSettings)
}

// UpdateLogSettings merges settings into those of the log.
func (a Actor) UpdateLogSettings(ctx context.Context, given dataformat.Dict) error {
	return a.changeServer(ctx, "UPDATELOGSETTINGS", "Logs", given, a.admin.server.LogSettings, a.admin.server.UpdateLogSettings)
}

// RouterSettings are the explicit settings of the router, without its table.
func (a Actor) RouterSettings(ctx context.Context) (dataformat.Dict, error) {
	return a.getServer(ctx, "GETROUTERSETTINGS", a.admin.server.RouterSettings)
}

// SetRouterSettings replaces the explicit settings of the router; its table stays.
func (a Actor) SetRouterSettings(ctx context.Context, given dataformat.Dict) error {
	return a.changeServer(ctx, "SETROUTERSETTINGS", "Router", given, a.admin.server.RouterSettings, a.admin.server.SetRouterSettings)
}

// changeText writes a text. The record has the lines that differ.
func (a Actor) changeText(ctx context.Context, call, given string, get func(context.Context) (string, error), set func(context.Context, string) error) error {
	return do(ctx, a, call, server, func(o *operation) error {
		before, err := get(o)
		if err != nil {
			return err
		}
		o.old, o.new = narrowed(preferences, dataformat.String(before), dataformat.String(given))
		return set(o, given)
	})
}

// RouterTable is the text of the router's table.
func (a Actor) RouterTable(ctx context.Context) (string, error) {
	return look(ctx, a, "GETROUTERTABLE", server, func(o *operation) (string, error) { return o.admin.server.RouterTable(o) })
}

// SetRouterTable replaces the router's table.
func (a Actor) SetRouterTable(ctx context.Context, text string) error {
	return a.changeText(ctx, "SETROUTERTABLE", text, a.admin.server.RouterTable, a.admin.server.SetRouterTable)
}

// Route returns where an address leads.
func (a Actor) Route(ctx context.Context, op names.Operation, text string) (router.Route, error) {
	return look(ctx, a, "ROUTE", server, func(o *operation) (router.Route, error) {
		addr, err := address.Parse(text)
		if err != nil {
			return router.Route{}, err
		}
		return o.admin.router.Route(o, op, addr)
	})
}

// Explained is where an address leads, step by step. One that leads nowhere has Err.
type Explained struct {
	Steps []router.Step
	Route router.Route
	Err   error

	// From is whose reply Code and Reply are, see ExplainFrom; empty if nobody asked.
	From  string
	Code  int
	Reply string
}

// Explain returns the steps that lead from an address to its route.
func (a Actor) Explain(ctx context.Context, op names.Operation, text string) (Explained, error) {
	return look(ctx, a, "ROUTE", server, func(o *operation) (e Explained, err error) {
		addr, err := address.Parse(text)
		if err != nil {
			return e, err
		}
		e.Steps, e.Route, e.Err = o.admin.router.Explain(o, op, addr)
		return e, nil
	})
}

// ExplainFrom is Explain for mail, with what RCPT would answer to a source: the IP address of a client, or the
// name of an account that is authenticated. Errors: Invalid, NotFound.
func (a Actor) ExplainFrom(ctx context.Context, text, from string) (Explained, error) {
	const op = "admin.Route"
	return look(ctx, a, "ROUTE", server, func(o *operation) (e Explained, err error) {
		addr, err := address.Parse(text)
		if err != nil {
			return e, err
		}
		ip, err := netip.ParseAddr(strings.Trim(from, "[]"))
		var user *accounts.Account
		switch {
		case err == nil:
			ip = ip.Unmap().WithZone("")
			e.From = "a stranger at " + ip.String()
			if o.admin.acc.ClientIP(ip) {
				e.From = "the Client IP " + ip.String()
			}
			if words := o.admin.acc.Protection().State(ip, false); len(words) > 0 {
				e.From += " (" + strings.Join(words, ", ") + ")"
			}
		default:
			n := ParseName(from)
			if n.Domain == "" {
				n.Domain = o.admin.acc.MainDomain()
			}
			if user, err = o.admin.acc.Resolve(o, n.Domain, n.Local); err != nil {
				return e, fault.Newf(op, fault.KindOf(err), "%s: %s; --from takes an IP address or an account", from, fault.Text(err))
			}
			e.From = "the account " + user.Address()
		}
		e.Steps, e.Route, e.Err = o.admin.router.Explain(o, names.Mail, addr)
		e.Code, e.Reply, err = o.admin.server.RelayVerdict(o, ip, user, addr)
		return e, err
	})
}

// Helpers tells of each helper program.
func (a Actor) Helpers(ctx context.Context) (dataformat.Dict, error) {
	return look(ctx, a, "GETHELPERSINFO", server, func(o *operation) (dataformat.Dict, error) { return o.admin.server.Helpers(o) })
}

// LogFiles lists the files of the log, the newest first.
func (a Actor) LogFiles(ctx context.Context) ([]logs.FileInfo, error) {
	return look(ctx, a, "LISTLOGS", server, func(o *operation) ([]logs.FileInfo, error) { return o.admin.server.LogFiles(o) })
}

// ReadLog reads records of the log.
func (a Actor) ReadLog(ctx context.Context, q logs.Query) (*logs.Page, error) {
	return look(ctx, a, "READLOG", named(q.File), func(o *operation) (*logs.Page, error) { return o.admin.server.ReadLog(o, q) })
}

// ReadChanges reads those records that tell of changes by administrators.
func (a Actor) ReadChanges(ctx context.Context, q logs.Query) (*logs.Page, error) {
	return look(ctx, a, "READCHANGES", named(q.File), func(o *operation) (*logs.Page, error) {
		q.Keep = func(r logs.Record) bool {
			call, _, _ := strings.Cut(r.Text, " ")
			return rules[call].changes
		}
		return o.admin.server.ReadLog(o, q)
	})
}

// Check compares the index with the message files.
func (a Actor) Check(ctx context.Context) ([]string, error) {
	return look(ctx, a, "CHECK", server, func(o *operation) ([]string, error) { return o.admin.server.Check(o, false) })
}

// CheckTidy removes what crashes have left in the directories of accounts, and then checks.
func (a Actor) CheckTidy(ctx context.Context) ([]string, error) {
	return look(ctx, a, "CHECKTIDY", server, func(o *operation) ([]string, error) { return o.admin.server.Check(o, true) })
}

// Shutdown returns what stops the server, for the wire to call when its answer is out.
func (a Actor) Shutdown(ctx context.Context) (stop func(), err error) {
	return look(ctx, a, "SHUTDOWN", server, func(o *operation) (func(), error) { return o.admin.server.Shutdown, nil })
}
