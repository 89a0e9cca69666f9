package accounts

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"gatepost/accounts/nametable"
	"gatepost/accounts/password"
	"gatepost/router/address"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
	"gatepost/server/protection"
	"gatepost/server/settings"
)

// The server-wide files of the directory, below Settings.
const (
	mainFile          = "Main.settings"          // key DomainName
	domainDefaultFile = "DomainDefault.settings" // domain defaults; key AccountDefaults
	domainAliasesFile = "DomainAliases.data"     // alias = domain;
	domainIPsFile     = "DomainIPs.data"         // "address" = domain;
	prefsFile         = "WebUserPrefs.settings"  // account preferences of the server
)

const (
	keyDomainName      = "DomainName"
	keyAccountDefaults = "AccountDefaults"
	keyServiceClasses  = "ServiceClasses"
	keyPassword        = "Password"
	keyEncryption      = "PasswordEncryption"

	// keyReversible is the reserved key of DomainDefault.settings that says that
	// a password was stored in a reversible form somewhere.
	keyReversible = "#Reversible"
)

// serverState is what the directory knows server-wide: an immutable snapshot.
type serverState struct {
	mainDomain      string
	domainAliases   *nametable.Table[string] // alias → real name
	addresses       map[netip.Addr]string    // local address → the domain it is assigned to
	own             map[netip.Addr]bool      // addresses of this machine
	domainDefaults  dataformat.Dict          // without AccountDefaults
	accountDefaults dataformat.Dict
	loginFlow       settings.Rate // FailedLoginFlow as accounts inherit it from the server
	prefs           dataformat.Dict
	reversible      bool     // some password may be kept in a reversible form
	issuers         bool     // some domain has an issuer of tokens
	issuersOf       []string // domains with one of their own
}

// serverFiles are the server-wide files of the directory and what they say.
type serverFiles struct {
	base       string // directory, absolute
	log        *slog.Logger
	protection *protection.Protection
	locks      keyLocks // of files by path, of "identify " + path

	state   atomic.Pointer[serverState]
	stateMu sync.Mutex // held while a server-wide file changes

	onLoad  func()                             // drops what was made from the state before
	onAlias func(match func(name string) bool) // drops what is known of names that are no domain of ours
}

// loadState reads the server-wide files. aliases, if not nil, is the table of domain
// aliases as it is.
func loadState(base string, aliases *nametable.Table[string]) (*serverState, error) {
	dir := filepath.Join(base, settingsDirectory)
	st := &serverState{domainAliases: aliases, addresses: map[netip.Addr]string{}, own: ownAddresses()}
	main, err := dataformat.ReadDict(filepath.Join(dir, mainFile))
	if err != nil {
		return nil, err
	}
	if st.mainDomain, err = validateDomainName("accounts.Open", main.String(keyDomainName)); err != nil {
		return nil, fmt.Errorf("%s: %w", mainFile, err)
	}
	defaults, err := dataformat.ReadDict(filepath.Join(dir, domainDefaultFile))
	if err != nil {
		return nil, err
	}
	st.accountDefaults = inheritable(nested(defaults, keyAccountDefaults))
	st.loginFlow = inheritedFlow(layers{{OfServer, st.accountDefaults}})
	st.domainDefaults = visible(defaults)
	delete(st.domainDefaults, keyAccountDefaults)
	st.issuersOf = defaults.Strings(keyIssuers)
	st.issuers = len(st.issuersOf) > 0 || hasIssuer(st.domainDefaults)
	st.reversible = defaults.String(keyReversible) != "" || password.IsReversible(st.accountDefaults.String(keyEncryption))

	if aliases == nil {
		real := func(_ string, v dataformat.Value) (string, bool) { return dataformat.Text(v) }
		st.domainAliases, err = nametable.Load(filepath.Join(dir, domainAliasesFile), real, func(domain string) string { return domain })
		if err != nil {
			return nil, err
		}
	}
	assigned, err := dataformat.ReadDict(filepath.Join(dir, domainIPsFile))
	if err != nil {
		return nil, err
	}
	for text := range assigned {
		if ip, err := netip.ParseAddr(text); err == nil {
			st.addresses[ip.Unmap()] = assigned.String(text)
		}
	}
	if st.prefs, err = dataformat.ReadDict(filepath.Join(dir, prefsFile)); err != nil {
		return nil, err
	}
	return st, nil
}

// ownAddresses lists the addresses of this machine.
func ownAddresses() map[netip.Addr]bool {
	own := map[netip.Addr]bool{}
	list, err := net.InterfaceAddrs()
	if err != nil {
		return own // a system without interfaces; literals are then nobody's
	}
	for _, a := range list {
		if n, ok := a.(*net.IPNet); ok {
			if ip, ok := netip.AddrFromSlice(n.IP); ok {
				own[ip.Unmap()] = true
			}
		}
	}
	return own
}

// domainName resolves a name to the real name of a domain, by the server-wide
// names alone; whether a secondary domain exists is for the file system.
func (st *serverState) domainName(name string) string {
	if real, ok := st.domainAliases.Get(name); ok {
		return real
	}
	return name
}

// Reload reads the settings anew: what was edited in the files holds from now on.
// On an error in a server-wide file the old settings stay.
func (s *serverFiles) Reload() error {
	s.stateMu.Lock()
	defer s.stateMu.Unlock()
	return errors.Join(s.load(nil), s.protection.Reload())
}

// load replaces the server-wide snapshot and forgets what was made from the old one.
// aliases as in loadState.
func (s *serverFiles) load(aliases *nametable.Table[string]) error {
	st, err := loadState(s.base, aliases)
	if err != nil {
		return err
	}
	s.state.Store(st)
	s.onLoad()
	return nil
}

// errUnchanged as the result of an edit says that there is nothing to write.
var errUnchanged = errors.New("unchanged")

// edit changes a file that holds a dictionary: it reads the file, lets change
// work on the dictionary and writes it back, as one step for everybody who uses
// edit. change must not wait for anything but the disk.
func (s *serverFiles) edit(path string, change func(dataformat.Dict) error) error {
	unlock := s.locks.lock(path)
	defer unlock()
	d, err := dataformat.ReadDict(path)
	if err != nil {
		return dataformat.Unreadable("accounts.Edit", err)
	}
	if err := change(d); errors.Is(err, errUnchanged) {
		return nil
	} else if err != nil {
		return err
	}
	return dataformat.WriteFile(path, d, dataformat.StyleOld)
}

// editState changes a server-wide file and takes the result into use.
func (s *serverFiles) editState(file string, change func(dataformat.Dict) error) error {
	s.stateMu.Lock()
	defer s.stateMu.Unlock()
	if err := s.edit(filepath.Join(s.base, settingsDirectory, file), change); err != nil {
		return err
	}
	return s.load(s.state.Load().domainAliases)
}

// editDomainAliases changes domain aliases. No snapshot depends on them but that of
// the names that are no domain of ours.
func (s *serverFiles) editDomainAliases(update dataformat.Dict) error {
	s.stateMu.Lock()
	defer s.stateMu.Unlock()
	if err := s.state.Load().domainAliases.Change(update); err != nil {
		// What is on the disk now holds, also after the next start.
		return errors.Join(err, s.load(nil))
	}
	s.onAlias(func(name string) bool { _, ok := update[name]; return ok })
	return nil
}

// realDomain resolves what a caller calls a domain to the name that its files
// have: in lower case, aliases replaced, the Main Domain for "".
func (s *serverFiles) realDomain(name string) string {
	st := s.state.Load()
	name = strings.TrimSuffix(fold(name), ".")
	if name == "" {
		return st.mainDomain
	}
	if !isPlain(name) {
		if n, err := address.NormalizeDomain(name); err == nil {
			name = n
		}
	}
	return st.domainName(name)
}

// isPlain reports whether a name has ASCII only.
func isPlain(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// MainDomain returns the name of the Main Domain.
func (s *serverFiles) MainDomain() string { return s.state.Load().mainDomain }

// OwnIP reports whether an address is one of this machine's, and the domain that
// it is assigned to, if any.
func (s *serverFiles) OwnIP(ip netip.Addr) (domain string, own bool) {
	st := s.state.Load()
	ip = ip.Unmap().WithZone("")
	domain = st.addresses[ip]
	return domain, domain != "" || st.own[ip] || isThisHost(ip)
}

// DomainForIP returns the domain that names without a domain belong to on a
// connection to a local address: the domain that the address is assigned to, or
// the Main Domain.
func (s *serverFiles) DomainForIP(local netip.Addr) string {
	st := s.state.Load()
	if d := st.addresses[local.Unmap().WithZone("")]; d != "" {
		return d
	}
	return st.mainDomain
}

// Reversible reports whether some password of this server may be stored in a
// form that APOP and CRAM-MD5 can use.
func (s *serverFiles) Reversible() bool { return s.state.Load().reversible }

// freeAddresses refuses an address that another domain has: a login without a
// domain on it would go astray.
func (s *serverFiles) freeAddresses(op, domain string, explicit dataformat.Dict) error {
	ips, err := addressesOf(op, explicit)
	if err != nil {
		return err
	}
	assigned := s.state.Load().addresses
	for _, ip := range ips {
		if d, ok := assigned[ip]; ok && d != domain {
			return fault.Newf(op, fault.Exists, "IPAddresses: %s is assigned to %s", ip, d)
		}
	}
	return nil
}

// assignAddresses keeps the server-wide table of the domains' local addresses.
func (s *serverFiles) assignAddresses(domain string, explicit dataformat.Dict) error {
	const op = "accounts.UpdateDomainSettings"
	ips, err := addressesOf(op, explicit)
	if err != nil {
		return err
	}
	assigned := s.state.Load().addresses
	same := true
	for ip, d := range assigned {
		same = same && (d == domain) == slices.Contains(ips, ip)
	}
	for _, ip := range ips {
		same = same && assigned[ip] == domain
	}
	if same {
		return nil
	}
	return fault.Wrap(op, fault.Internal, s.editState(domainIPsFile, func(d dataformat.Dict) error {
		for k := range d {
			if d.String(k) == domain {
				delete(d, k)
			}
		}
		for _, ip := range ips {
			d[ip.String()] = dataformat.String(domain)
		}
		return nil
	}))
}

// isThisHost reports whether ip always means this machine. Other addresses of
// 127.0.0.0/8 do not: they may be given to other servers of it.
func isThisHost(ip netip.Addr) bool {
	ip = ip.Unmap()
	return ip.IsUnspecified() || ip == netip.AddrFrom4([4]byte{127, 0, 0, 1}) || ip == netip.IPv6Loopback()
}

// addressesOf reads IPAddresses.
func addressesOf(op string, d dataformat.Dict) ([]netip.Addr, error) {
	if settings.IsDefault(d["IPAddresses"]) {
		return nil, nil
	}
	var out []netip.Addr
	for _, text := range d.Strings("IPAddresses") {
		ip, err := netip.ParseAddr(text)
		if err != nil {
			return nil, fault.Newf(op, fault.Invalid, "IPAddresses: %q is not an IP address", text)
		}
		out = append(out, ip.Unmap())
	}
	return out, nil
}
