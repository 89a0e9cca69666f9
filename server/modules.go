package server

import (
	"context"
	"net"
	"slices"
	"strings"
	"sync/atomic"

	"gatepost/server/dataformat"
	"gatepost/server/fault"
	"gatepost/server/settings"
)

// common are the settings that every module has beside its own.
type common struct {
	LogLevel int                `key:"LogLevel" default:"-1" level:"basic" since:"0.1" help:"records of this module that are written, 0 to 5; -1 for the server's level"`
	Listener settings.Listeners `key:"Listener" level:"basic" since:"0.1" help:"addresses and ports that the module accepts connections on"`
}

const keyListener = "Listener"

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

// module is a part that has a settings file.
type module struct {
	name string   // as GETMODULE takes it: SMTP
	file string   // in Settings/
	tags []string // of the log records that LogLevel is about
	// serve runs one listener of the module; nil for parts without one.
	serve func(ctx context.Context, ln net.Listener, l settings.Listener) error
	// check reads the part's own settings and returns what puts them in force.
	parse func(d dataformat.Dict) (apply func(), err error)
	// describe lists the declared settings, with their present values.
	describe func() []settings.Setting
	// changed, if any, is called after new settings are in force.
	changed func()
	// kept are keys that commands may set although nothing here reads them.
	kept []string

	common atomic.Pointer[common]
}

// newModule ties a settings file to the Live that a part reads.
func newModule[T any](name string, live *settings.Live[T], tags ...string) *module {
	m := &module{name: name, file: name + ".settings", tags: tags}
	m.common.Store(&common{LogLevel: -1})
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
		c.Listener = stockListeners[m.name]
	}
	apply, err := m.parse(d)
	if err != nil {
		return nil, err
	}
	return func() {
		apply()
		m.common.Store(c)
		if m.changed != nil {
			m.changed()
		}
	}, nil
}

// mainModule is the module of Main.settings. Commands reach it as the server's
// settings and not by name: a replacement would take DomainName away.
const mainModule = "Main"

func (s *Server) module(name string) (*module, error) {
	for _, m := range s.modules {
		if m.name != mainModule && strings.EqualFold(m.name, name) {
			return m, nil
		}
	}
	return nil, fault.Newf("server.Module", fault.NotFound, "unknown module %s", name)
}

// keptInMain are keys of Main.settings that programs for other servers set with
// UPDATESERVERSETTINGS: installers of helper programs read the dictionary, add
// their entry and write it back. They are kept, so that these programs run.
var keptInMain = []string{
	"AccountCacheSize", "AccountStatistics", "CrashRecovery", "ExternalAUTH", "ExternalBanner", "ExternalCDR", "ExternalFilters",
	"ExternalRADIUS", "HideAccountUnknown", "LicenseAccepted", "SeparateAdminRealms", "TLSTimeToLive",
}

// checkGiven refuses what a command gives under a key that nothing reads: it is
// misspelt, and would do nothing. What stands in the file may come back as GETMODULE
// has shown it, and may be removed.
func (m *module) checkGiven(given, file dataformat.Dict) error {
	common, own := settings.Describe(m.common.Load()), m.describe()
	for _, key := range settings.Unknown(given, common, own) {
		v := given[key]
		before, there := file[key]
		if there && (settings.IsDefault(v) || same(v)(before)) || slices.Contains(m.kept, key) {
			continue
		}
		return unknownSetting(key, common, own)
	}
	record := settings.Describe(new(settings.Listener))
	listeners, _ := given[keyListener].(dataformat.Array)
	before, _ := file[keyListener].(dataformat.Array)
	for _, l := range listeners {
		d, _ := l.(dataformat.Dict)
		if unknown := settings.Unknown(d, record); len(unknown) > 0 && !slices.ContainsFunc(before, same(l)) {
			return unknownSetting(unknown[0], record)
		}
	}
	return nil
}

// same tells values that are written alike.
func same(v dataformat.Value) func(dataformat.Value) bool {
	text := dataformat.Compact(v)
	return func(other dataformat.Value) bool { return dataformat.Compact(other) == text }
}

func unknownSetting(key string, declared ...[]settings.Setting) error {
	text := "unknown setting " + key
	if likely := settings.Likely(key, declared...); likely != "" {
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
