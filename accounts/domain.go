package accounts

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"gatepost/accounts/nametable"
	"gatepost/rules"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
	"gatepost/server/settings"
)

// keySuspended is the reserved key of domain.settings that says YES while a
// domain is suspended. Keys that start with # are the server's own: commands
// neither show nor change them.
const keySuspended = "#Suspended"

// domain is what the server knows of one domain: an immutable snapshot, but for the
// table of its names.
type domain struct {
	name      string
	dir       string          // absolute
	explicit  dataformat.Dict // without AccountDefaults and reserved keys
	defaults  dataformat.Dict // explicit account defaults
	settings  DomainSettings  // effective
	mailRules *rules.Set      // effective
	suspended bool
	loginFlow settings.Rate // FailedLoginFlow as accounts inherit it
	state     *serverState
	names     *nametable.Table[object] // aliases and forwarders; those of an account are its aliases
	rights    map[string][]string      // account → codes

	certificate func() *tls.Certificate // reads the domain's own at its first call
	authorities func() *x509.CertPool   // of client certificates, nil for none
}

// object is an entry of aliases.data: an alias of an account or a forwarder.
type object struct {
	account string // of an alias
	target  string // of a forwarder
}

// dataValue is the entry as it is kept in aliases.data and shown by
// LISTDOMAINOBJECTS: (account) for an alias, ((address)) for a forwarder.
func (o object) dataValue() dataformat.Value {
	if o.account != "" {
		return dataformat.Array{dataformat.String(o.account)}
	}
	return dataformat.Array{dataformat.Array{dataformat.String(o.target)}}
}

// readObject reads an entry of aliases.data; a bare string is an alias too.
func readObject(v dataformat.Value) (object, bool) {
	if s, ok := dataformat.Text(v); ok {
		return object{account: fold(s)}, s != ""
	}
	a, ok := v.(dataformat.Array)
	if !ok || len(a) != 1 {
		return object{}, false
	}
	if in, ok := a[0].(dataformat.Array); ok && len(in) == 1 {
		s, ok := dataformat.Text(in[0])
		return object{target: s}, ok && s != ""
	}
	s, ok := dataformat.Text(a[0])
	return object{account: fold(s)}, ok && s != ""
}

// domain returns the snapshot of a domain by its real name.
func (s *directory) domain(name string) (*domain, error) {
	return s.domains.Get(name, func() (*domain, error) { return s.loadDomain(name) })
}

// loadDomain reads the files of a domain. NoDomain when it has no directory.
func (s *directory) loadDomain(name string) (*domain, error) {
	const op = "accounts.Domain"
	st := s.state.Load()
	d := &domain{name: name, dir: filepath.Join(s.base, st.domainDir(name)), state: st}
	if name != st.mainDomain && (name == "" || !safeDomain(name)) {
		return nil, fault.New(op, fault.NoDomain, "")
	}
	if i, err := os.Stat(d.dir); errors.Is(err, fs.ErrNotExist) || err == nil && !i.IsDir() {
		return nil, fault.New(op, fault.NoDomain, "")
	} else if err != nil {
		return nil, fault.Wrap(op, fault.Internal, err)
	}
	given, err := dataformat.ReadDict(d.file(domainFile))
	if err != nil {
		return nil, dataformat.Unreadable(op, err)
	}
	d.suspended = strings.EqualFold(given.String(keySuspended), "YES")
	d.defaults = inheritable(nested(given, keyAccountDefaults))
	d.explicit = visible(given)
	delete(d.explicit, keyAccountDefaults)
	settings.LoadLayers(&d.settings, d.layers().dicts(), s.badSetting(name, domainFile))
	d.mailRules = loadRules(d.layers(), rules.Domain, s.badSetting(name, domainFile))
	d.loginFlow = inheritedFlow(accountLayers(nil, d))
	d.certificate = sync.OnceValue(func() *tls.Certificate { return d.readCertificate(s.badSetting(name, domainFile)) })
	d.authorities = sync.OnceValue(func() *x509.CertPool { return d.settings.ClientCertCA.pool() })
	if d.names, err = nametable.Load(d.file(aliasesFile), objectReader(s.badSetting(name, aliasesFile)), func(o object) string { return o.account }); err != nil {
		return nil, dataformat.Unreadable(op, err)
	}
	if err := d.readRights(); err != nil {
		return nil, dataformat.Unreadable(op, err)
	}
	return d, nil
}

// file is the path of a file in the domain's Settings directory.
func (d *domain) file(name string) string { return filepath.Join(d.dir, settingsDirectory, name) }

// objectReader reads entries of aliases.data and reports those that are neither
// aliases nor forwarders.
func objectReader(bad func(key string, reason error)) func(string, dataformat.Value) (object, bool) {
	return func(name string, v dataformat.Value) (object, bool) {
		o, ok := readObject(v)
		if !ok {
			bad(name, errors.New("neither an alias nor a forwarder"))
		}
		return o, ok
	}
}

// readRights reads who administers what.
func (d *domain) readRights() error {
	access, err := dataformat.ReadDict(d.file(accessFile))
	if err != nil {
		return err
	}
	d.rights = make(map[string][]string, len(access))
	for account := range access {
		d.rights[fold(account)] = access.Strings(account)
	}
	return nil
}

// visible copies a dictionary without the reserved keys.
func visible(d dataformat.Dict) dataformat.Dict {
	out := make(dataformat.Dict, len(d))
	for k, v := range d {
		if !reserved(k) {
			out[k] = v
		}
	}
	return out
}

func reserved(key string) bool { return strings.HasPrefix(key, "#") }
