package server

import (
	"context"
	"iter"
	"maps"
	"net"
	"slices"
	"strings"
	"sync/atomic"

	"gatepost/router"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
	"gatepost/server/settings"
)

// common are the settings that modules have beside their own: those that write log records
// a level, those that accept connections their listeners.
type common struct {
	LogLevel int                `key:"LogLevel" default:"-1" level:"basic" since:"0.1" help:"records of this module that are written, 0 to 5; -1 for the server's level"`
	Listener settings.Listeners `key:"Listener" level:"basic" since:"0.1" help:"addresses and ports that the module accepts connections on"`
}

const (
	keyListener = "Listener"
	keyLogLevel = "LogLevel"
)

// Validate checks level and listeners.
func (c *common) Validate() error {
	if c.LogLevel != -1 {
		if err := checkLevel("LogLevel", c.LogLevel); err != nil {
			return err
		}
	}
	for i := range c.Listener {
		if err := c.Listener[i].Validate(); err != nil {
			return err
		}
	}
	return nil
}

// module is a part of the server. table.go makes all of them. Functions that a module
// has no use for are nil.
type module struct {
	name string   // as GETMODULE takes it: SMTP
	file string   // in Settings/; empty for a part without settings
	tags []string // of the log records that LogLevel is about
	// stock are the listeners while the settings name none; nil for parts that have none.
	stock settings.Listeners
	// kept are settings that commands may give and that do nothing yet.
	kept []settings.Setting
	// protocol is what autoconfiguration calls the module, and forUsers tells its listeners
	// for mail programs.
	protocol string
	forUsers func(settings.Listener) bool
	// wire is what is counted of its connections; open sets it.
	wire *wire
	// queues names the logical queues of a module that delivers.
	queues router.Module

	// open builds the part of those that were opened before it.
	open func() error
	// run works until ctx ends: after that nothing is delivered any more.
	run func(ctx context.Context) error
	// serve runs one listener; those of all modules end before run does. open sets it.
	serve func(ctx context.Context, ln net.Listener, l settings.Listener) error
	// keep returns what is written of settings that a command gives: secrets sealed.
	keep func(given dataformat.Dict) (dataformat.Dict, error)
	// close ends what open has begun.
	close func() error
	// changed is called after new settings are in force.
	changed func()

	// levels, if any, are the log levels of the tags of parts of the module; -1 is the module's.
	levels func() map[string]int

	// parse reads the part's own settings and returns what puts them in force.
	parse func(d dataformat.Dict) (apply func(), err error)
	// describe lists the declared settings, with their present values.
	describe func() []settings.Setting

	opened   bool
	common   atomic.Pointer[common]
	sessions atomic.Int64 // its share of the descriptors
}

// newPart makes a module without settings.
func newPart(name string) *module {
	m := &module{name: name}
	m.common.Store(&common{LogLevel: -1})
	return m
}

// newModule ties a settings file to the Live that a part reads.
func newModule[T any](name string, live *settings.Live[T], tags ...string) *module {
	m := newPart(name)
	m.file, m.tags = name+".settings", tags
	m.parse = func(d dataformat.Dict) (func(), error) {
		fresh := new(T)
		if err := settings.Load(fresh, d); err != nil {
			return nil, err
		}
		return func() { live.Set(fresh) }, nil
	}
	m.describe = func() []settings.Setting { return settings.Describe(live.Get()) }
	return m
}

// check reads common and own settings and returns what puts both in force.
func (m *module) check(d dataformat.Dict) (func(), error) {
	c := new(common)
	if err := settings.Load(c, d); err != nil {
		return nil, err
	}
	if _, named := d[keyListener]; !named {
		c.Listener = m.stock
	}
	apply, err := m.parse(d)
	if err != nil {
		return nil, err
	}
	return func() {
		apply()
		m.common.Store(c)
		if m.changed != nil && m.opened {
			m.changed()
		}
	}, nil
}

// configured are the modules that have settings.
func (s *Server) configured() iter.Seq[*module] {
	return func(yield func(*module) bool) {
		for _, m := range s.modules {
			if m.file != "" && !yield(m) {
				return
			}
		}
	}
}

// mainModule is the module of Main.settings. Commands reach it as the server's
// settings and not by name: a replacement would take DomainName away.
const mainModule = "Main"

// module finds the module with a name, in any case. Errors: NotFound.
func (s *Server) module(name string) (*module, error) {
	for m := range s.configured() {
		if m.name != mainModule && strings.EqualFold(m.name, name) {
			return m, nil
		}
	}
	return nil, fault.Newf("server.Module", fault.NotFound, "unknown module %s", name)
}

// declared lists the settings that the module has, with their present values.
func (m *module) declared() []settings.Setting {
	shared := slices.DeleteFunc(settings.Describe(m.common.Load()), func(s settings.Setting) bool {
		return s.Key == keyListener && m.stock == nil || s.Key == keyLogLevel && m.tags == nil
	})
	for i := range shared {
		if shared[i].Key == keyListener {
			shared[i].Default = dataformat.Compact(m.stock.DataValue())
		}
	}
	return append(shared, m.describe()...)
}

// names are the names of the settings that the module has or keeps.
func (m *module) names() *settings.Names { return settings.NamesOf(m.declared(), m.kept) }

// keptMainSettings are those of Main.settings that programs for other servers set with
// UPDATESERVERSETTINGS: installers of helper programs read the dictionary, add their entry and
// write it back. They are kept, so that these programs run.
type keptMainSettings struct {
	ExternalBanner      settings.Free `key:"ExternalBanner" feature:"web interface" help:"the program that makes banners"`
	ExternalCDR         settings.Free `key:"ExternalCDR" feature:"calls" help:"the program that gets records of calls"`
	ExternalRADIUS      settings.Free `key:"ExternalRADIUS" feature:"RADIUS" help:"the program that answers RADIUS requests"`
	AccountStatistics   settings.Free `key:"AccountStatistics" feature:"statistics" help:"whether messages and logins of accounts are counted"`
	SeparateAdminRealms settings.Free `key:"SeparateAdminRealms" feature:"WebAdmin" help:"whether each part of WebAdmin asks for a login of its own"`
	HideAccountUnknown  settings.Free `key:"HideAccountUnknown" feature:"nothing: no login tells whether an account exists" help:"whether unknown names are told"`
	AccountCacheSize    settings.Free `key:"AccountCacheSize" feature:"nothing: the caches have fixed bounds" help:"accounts that are kept in memory"`
	CrashRecovery       settings.Free `key:"CrashRecovery" feature:"nothing: what a crash leaves is always recovered" help:"what happens after a crash"`
	LicenseAccepted     settings.Free `key:"LicenseAccepted" feature:"nothing: there is no licence to accept" help:"mark of an installer"`
	TLSTimeToLive       settings.Free `key:"TLSTimeToLive" feature:"nothing: TLS sessions are resumed by tickets" help:"how long TLS sessions can be resumed"`
}

// respell returns what a command gives under the declared names. It refuses a key that
// nothing reads: it is misspelt, and would do nothing. What stands in the file may come
// back as GETMODULE has shown it, and may be removed.
func (m *module) respell(given, file dataformat.Dict) (dataformat.Dict, error) {
	names := m.names()
	given, err := names.Respell(given)
	if err != nil {
		return nil, err
	}
	for _, key := range names.Unknown(given) {
		v := given[key]
		before, there := file[key]
		if there && (settings.IsDefault(v) || same(v)(before)) {
			continue
		}
		return nil, unknownSetting(key, names)
	}
	for key, v := range given {
		s, _ := names.Find(key)
		all, ok := v.(dataformat.Dict)
		if len(s.Entries) == 0 || !ok {
			continue
		}
		before, _ := file[key].(dataformat.Dict)
		if given[key], err = respellEntries(s.Entries, all, before); err != nil {
			return nil, err
		}
	}
	return given, m.respellListeners(given, file)
}

// respellEntries does the same for the entries of a dictionary of dictionaries.
func respellEntries(declared []settings.Setting, all, before dataformat.Dict) (dataformat.Dict, error) {
	names := settings.NamesOf(declared)
	out := maps.Clone(all)
	for name, e := range all {
		d, ok := e.(dataformat.Dict)
		if !ok || before[name] != nil && same(e)(before[name]) {
			continue
		}
		d, err := names.Respell(d)
		if err != nil {
			return nil, err
		}
		if unknown := names.Unknown(d); len(unknown) > 0 {
			return nil, unknownSetting(unknown[0], names)
		}
		out[name] = d
	}
	return out, nil
}

// respellListeners does the same for each listener.
func (m *module) respellListeners(given, file dataformat.Dict) error {
	listeners, ok := given[keyListener].(dataformat.Array)
	if !ok {
		return nil
	}
	names := settings.NamesOf(settings.Describe(new(settings.Listener)))
	before, _ := file[keyListener].(dataformat.Array)
	listeners = slices.Clone(listeners)
	for i, l := range listeners {
		d, ok := l.(dataformat.Dict)
		if !ok || slices.ContainsFunc(before, same(l)) {
			continue
		}
		d, err := names.Respell(d)
		if err != nil {
			return err
		}
		if unknown := names.Unknown(d); len(unknown) > 0 {
			return unknownSetting(unknown[0], names)
		}
		listeners[i] = d
	}
	given[keyListener] = listeners
	return nil
}

// same tells values that are written alike.
func same(v dataformat.Value) func(dataformat.Value) bool {
	text := dataformat.Compact(v)
	return func(other dataformat.Value) bool { return dataformat.Compact(other) == text }
}

func unknownSetting(key string, names *settings.Names) error {
	text := "unknown setting " + key
	if likely := names.Likely(key); likely != "" {
		text += "; is " + likely + " meant?"
	}
	return fault.New("server.Change", fault.Invalid, text)
}

// joinFaults makes one error of several, with the kind of the first and all
// their texts.
func joinFaults(errs []error) error {
	switch len(errs) {
	case 0:
		return nil
	case 1:
		return errs[0]
	}
	texts := make([]string, len(errs))
	for i, err := range errs {
		texts[i] = fault.Text(err)
	}
	return &fault.Error{Op: "server", Kind: fault.KindOf(errs[0]), Text: strings.Join(texts, "; ")}
}
