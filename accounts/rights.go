package accounts

import (
	"context"
	"slices"

	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// The server rights. They count only in the Main Domain.
const (
	RightMaster    = "Master"
	RightSettings  = "Settings"
	RightUsers     = "UserAccounts"
	RightMonitor   = "Monitor"
	RightDirectory = "Directory"
	// RightRejectQueues lets messages of the queue be put on hold and ended.
	RightRejectQueues = "CanRejectQueues"
)

// RightDomain makes an account an administrator of its domain. With it go codes
// for what may be done: CanCreateAccounts, BasicSettings, the names of settings ...
const RightDomain = "Domain"

// RightMailboxes lets an administrator of a domain use the mailboxes of its accounts.
const RightMailboxes = "CanAccessMailboxes"

// RightFiles lets an administrator of a domain use the files of its accounts.
const RightFiles = "CanAccessWebSites"

// rightOtherDomains extends an administrator's rights to the domains that name
// the administrator's domain as AdminDomain.
const rightOtherDomains = "CanAdminOtherDomains"

var serverRights = []string{RightMaster, RightSettings, RightUsers, RightMonitor, RightDirectory, RightRejectQueues}

// Rights is what an account may do to others.
type Rights struct {
	domain string
	server bool // the account is in the Main Domain
	codes  []string
	store  *directory
}

// MasterRights are the rights of the owner of the base directory.
func (s *directory) MasterRights() Rights {
	return Rights{domain: s.MainDomain(), server: true, codes: []string{RightMaster}, store: s}
}

// RightsOf returns the present rights of an account.
func (s *directory) RightsOf(a *Account) (Rights, error) {
	return s.RightsOfName(a.Domain, a.Name)
}

// Server reports whether the account has a server right. Master includes all.
func (r Rights) Server(code string) bool {
	return r.server && (slices.Contains(r.codes, RightMaster) || slices.Contains(r.codes, code))
}

// Administers reports whether the account may administer a domain at all.
func (r Rights) Administers(domain string) bool {
	if r.Server(RightUsers) {
		return true
	}
	if !slices.Contains(r.codes, RightDomain) {
		return false
	}
	if domain == r.domain {
		return true
	}
	if !slices.Contains(r.codes, rightOtherDomains) {
		return false
	}
	d, err := r.store.domain(domain)
	return err == nil && d.settings.AdminDomain != "" && r.store.realDomain(d.settings.AdminDomain) == r.domain
}

// Domain reports whether the account has a right in a domain, such as
// CanCreateAccounts or the name of a setting.
func (r Rights) Domain(domain, code string) bool {
	return r.Server(RightUsers) || r.Administers(domain) && slices.Contains(r.codes, code)
}

// Any reports whether the account has any right over others.
func (r Rights) Any() bool {
	return slices.Contains(r.codes, RightDomain) || r.server && slices.ContainsFunc(r.codes, func(c string) bool {
		return slices.Contains(serverRights, c)
	})
}

// AnyServer reports whether the account has any server right.
func (r Rights) AnyServer() bool {
	return r.server && slices.ContainsFunc(r.codes, func(c string) bool { return slices.Contains(serverRights, c) })
}

// Covers reports whether the account holds whatever another one holds. Who does
// not cover an account must not get hold of it: neither of its password nor of
// its name.
func (r Rights) Covers(other Rights) bool {
	admin := slices.Contains(other.codes, RightDomain)
	for _, c := range other.codes {
		switch {
		case slices.Contains(serverRights, c):
			if other.server && !r.Server(c) {
				return false
			}
		case c == RightDomain:
			if !r.Administers(other.domain) {
				return false
			}
		case admin && !r.Domain(other.domain, c):
			return false
		}
	}
	return true
}

// RightsOfName returns the rights that go with a name of a domain, whether or not
// there is such an account now. Errors: NoDomain.
func (s *directory) RightsOfName(domain, name string) (Rights, error) {
	d, err := s.domain(s.realDomain(domain))
	if err != nil {
		return Rights{}, err
	}
	return Rights{domain: d.name, server: d.name == s.MainDomain(), codes: d.rights[fold(name)], store: s}, nil
}

// basicSettings are what the right BasicSettings covers.
var basicSettings = []string{
	"RealName", keyPassword, keyEncryption, "UseAppPassword", "UseExtPassword", "UseCertificateAuth", "RequireAPOP", "PWDAllowed",
	"PasswordRecovery", "FailedLoginFlow", "LogLogin", "MinPasswordLength", "PasswordComplexity", "RefuseCommonPasswords", "PasswordHistory", "DevicePasswordsOnly",
}

// Setting reports whether the account may change a setting of the accounts of a domain.
func (r Rights) Setting(domain, key string) bool {
	return r.Domain(domain, key) || r.Domain(domain, "BasicSettings") && slices.Contains(basicSettings, key)
}

// AccountRights lists the rights of an account. Errors: NoDomain, NotFound.
func (s *directory) AccountRights(ctx context.Context, domain, name string) ([]string, error) {
	a, err := s.Account(ctx, domain, name)
	if err != nil {
		return nil, err
	}
	d, err := s.domain(a.Domain)
	if err != nil {
		return nil, err
	}
	return slices.Clone(d.rights[a.Name]), nil
}

// Administrators lists the accounts of a domain that have rights, with their codes. Errors: NoDomain.
func (s *directory) Administrators(domain string) (map[string][]string, error) {
	d, err := s.domain(s.realDomain(domain))
	if err != nil {
		return nil, err
	}
	out := make(map[string][]string, len(d.rights))
	for name, codes := range d.rights {
		if len(codes) > 0 {
			out[name] = slices.Clone(codes)
		}
	}
	return out, nil
}

// domainRights are the codes of an administrator of a domain, besides the names
// of settings.
var domainRights = []string{
	RightDomain, rightOtherDomains, "BasicSettings", "WebUserSettings", "RulesAllowed", "SignalRulesAllowed",
	"CanCreateAccounts", "CanCreateSpecialAccounts", "CanCreateAliases", "CanCreateTelnums", "CanCreateGroups",
	"CanCreateForwarders", "CanCreateNamedTasks", "CanCreateLists", "CanAccessLists", RightMailboxes, "CanModifyRPOP", "CanModifyRSIP",
	"CanModifySkins", "CanModifyPBXApps", "CanCreateWebUserSessions", "CanImpersonate", "CanCreditAccounts", "CentralDirectory",
}

// ServerRights lists the codes of administrators of the server.
func ServerRights() []string { return slices.Clone(serverRights) }

// DomainRights lists the codes of administrators of a domain, besides the names of settings.
func DomainRights() []string { return slices.Clone(domainRights) }

// isRight reports whether a word is the code of a right.
func isRight(code string) bool {
	if slices.Contains(serverRights, code) || slices.Contains(domainRights, code) {
		return true
	}
	_, account := builtInAccount()[code]
	_, domain := builtInDomain()[code]
	return account || domain
}

// SetAccountRights replaces the rights of an account. Server rights are for
// accounts of the Main Domain, whose postmaster keeps Master: with that taken
// away nobody could give it back but the owner of the base directory. Errors:
// NoDomain, NotFound, Invalid, Denied.
func (s *Store) SetAccountRights(ctx context.Context, domain, name string, codes []string) error {
	const op = "accounts.SetAccountRights"
	a, d, unlock, err := s.holdAccount(ctx, op, domain, name)
	if err != nil {
		return err
	}
	defer unlock()
	if a.Domain != s.MainDomain() && slices.ContainsFunc(codes, func(c string) bool { return slices.Contains(serverRights, c) }) {
		return fault.New(op, fault.Invalid, "server rights can be given only to accounts of the main domain")
	}
	for _, c := range codes {
		if !isRight(c) {
			return fault.Newf(op, fault.Invalid, "%q is not a right", c)
		}
	}
	if isSuperuser := a.Name == Postmaster && a.Domain == s.MainDomain(); isSuperuser && !slices.Contains(codes, RightMaster) {
		return fault.New(op, fault.Denied, "the postmaster of the main domain keeps the right Master")
	}
	return fault.Wrap(op, fault.Internal, s.setRights(d, a.Name, codes))
}

// setRights writes the rights of an account; the caller holds the name space.
func (s *Store) setRights(d *domain, account string, codes []string) error {
	if len(codes) == 0 && len(d.rights[account]) == 0 {
		return nil
	}
	return s.editDomain(d, accessFile, func(e dataformat.Dict) error {
		for k := range e {
			if fold(k) == account {
				delete(e, k)
			}
		}
		if len(codes) == 0 {
			return nil
		}
		list := make(dataformat.Array, len(codes))
		for i, c := range codes {
			list[i] = dataformat.String(c)
		}
		e[account] = list
		return nil
	})
}
