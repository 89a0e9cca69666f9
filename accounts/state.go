package accounts

import (
	"fmt"
	"net"
	"net/netip"
	"path/filepath"

	"gatepost/accounts/nametable"
	"gatepost/accounts/password"
	"gatepost/server/dataformat"
	"gatepost/server/settings"
)

// The server-wide files of the directory, below Settings.
const (
	mainFile          = "Main.settings"          // key DomainName
	domainDefaultFile = "DomainDefault.settings" // domain defaults; key AccountDefaults
	domainAliasesFile = "DomainAliases.data"     // alias = domain;
	domainIPsFile     = "DomainIPs.data"         // "address" = domain;
	prefsFile         = "WebUserPrefs.settings"  // account preferences of the server
	clientIPsFile     = "ClientIPs.data"         // an IP list
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
	clientIPs       settings.IPList
	domainDefaults  dataformat.Dict // without AccountDefaults
	accountDefaults dataformat.Dict
	loginFlow       settings.Rate // FailedLoginFlow as accounts inherit it from the server
	prefs           dataformat.Dict
	reversible      bool // some password may be kept in a reversible form
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
	if st.mainDomain, err = checkDomainName("accounts.Open", main.String(keyDomainName)); err != nil {
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
	st.clientIPs, err = readClientIPs(filepath.Join(dir, clientIPsFile))
	return st, err
}

// readClientIPs reads the list; without a file only the machine itself is a client.
func readClientIPs(path string) (settings.IPList, error) {
	v, err := dataformat.ReadFile(path)
	if err != nil {
		return settings.IPList{}, err
	}
	if v == nil {
		return settings.ParseIPList("127.0.0.0/8\n::1")
	}
	var list settings.IPList
	if err := list.SetValue(v); err != nil {
		return list, fmt.Errorf("%s: %w", filepath.Base(path), err)
	}
	return list, nil
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
