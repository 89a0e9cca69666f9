package accounts

import (
	"path/filepath"
	"strings"

	"gatepost/accounts/nametable"
	"gatepost/router/address"
	"gatepost/router/names"
	"gatepost/server/fault"
)

// The places of the directory in the base directory.
const (
	mainDirectory     = "Accounts"
	domainsDirectory  = "Domains"
	settingsDirectory = "Settings"
	pendingDirectory  = "Pending"
	// subscribersDirectory holds the subscribers of mailing lists.
	subscribersDirectory = "Subscribers"

	accountSuffix = ".macnt"
)

// The files of a domain's Settings directory and of an account directory.
const (
	domainFile   = "domain.settings"
	templateFile = "template.settings"
	accessFile   = "access.settings"
	aliasesFile  = "aliases.data"

	accountFile = "account.settings"
	infoFile    = "account.info"
)

// accountKey names an account by its domain's real name and its own, both folded.
type accountKey struct{ domain, name string }

// String returns the address; that of a domain is its name.
func (k accountKey) String() string {
	if k.name == "" {
		return k.domain
	}
	return k.name + "@" + k.domain
}

// fold returns the one spelling of an object's name: names are told apart
// without regard to case, files have lower-case names.
func fold(name string) string { return nametable.Fold(name) }

// validateName returns the folded form of a name that an object may have.
func validateName(op, name string) (string, error) {
	n := fold(name)
	if !address.ValidName(n) {
		return "", fault.Newf(op, fault.Invalid, "%q is not a valid object name", name)
	}
	return n, nil
}

// validateDomainName returns the normal form of a name that a domain may have.
func validateDomainName(op, name string) (string, error) {
	n, err := address.NormalizeDomain(strings.TrimSpace(name))
	if err != nil || n == "" || !safeDomain(n) {
		return "", fault.Newf(op, fault.Invalid, "%q is not a valid domain name", name)
	}
	return n, nil
}

// newDomainName is validateDomainName for a name that is given now: it is not one that
// means something else to the router, and may be a host's (RFC 1123 2.1), except
// that underscores pass.
func newDomainName(op, name string) (string, error) {
	n, err := validateDomainName(op, name)
	if err != nil {
		return "", err
	}
	for label := range strings.SplitSeq(n, ".") {
		if strings.HasPrefix(label, "-") || strings.HasSuffix(label, "-") {
			return "", fault.Newf(op, fault.Invalid, "%q is not a valid domain name", name)
		}
	}
	if meaning, reserved := names.ReservedDomain(n); reserved {
		return "", fault.Newf(op, fault.Invalid,
			"%s cannot be the name of a domain: to the router it means %s; choose another, such as mail.example.com", n, meaning)
	}
	return n, nil
}

// CheckDomainName returns the form in which a new domain keeps its name. Errors:
// Invalid when none may have it.
func CheckDomainName(name string) (string, error) {
	return newDomainName("accounts.CheckDomainName", name)
}

// safeDomain reports whether a name can be the name of a domain directory: no
// name that goes up in the tree, is hidden, or is a literal.
func safeDomain(n string) bool {
	if len(n) > 255 || n[0] == '.' || n[len(n)-1] == '.' || strings.Contains(n, "..") {
		return false
	}
	for _, c := range []byte(n) {
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '.', c == '_':
		default:
			return false
		}
	}
	return true
}

// domainDir is the directory of a domain below the base directory.
func (st *serverState) domainDir(domain string) string {
	if domain == st.mainDomain {
		return mainDirectory
	}
	return filepath.Join(domainsDirectory, domain)
}
