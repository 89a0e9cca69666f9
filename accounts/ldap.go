package accounts

import (
	"context"
	"net/url"
	"strings"
	"time"

	"gatepost/router/names"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
	"gatepost/server/settings"
)

// LDAPSettings are how the passwords of a domain's accounts are verified by directory servers (LDAP, RFC 4511).
type LDAPSettings struct {
	Servers      []string        `key:"LDAPServers" help:"directory servers that know the passwords of accounts with UseExtPassword, as ldaps://host:port or ldap://host:port; the next one is asked if one does not answer. None: External Authentication alone is asked" since:"0.2"`
	StartTLS     settings.Flag   `key:"LDAPStartTLS" default:"YES" help:"connections to ldap:// are encrypted (STARTTLS) before a password is sent; with NO it is sent in clear" since:"0.2"`
	BindDN       string          `key:"LDAPBindDN" help:"the name that an account has at the directory server: uid=%u,ou=people,dc=example,dc=com, or %u@%d with Active Directory; %u is the name of the account, %d its domain, %% a percent sign. Not with LDAPSearchBase" since:"0.2"`
	SearchBase   string          `key:"LDAPSearchBase" help:"the name is searched for below this one, then bound with; also for ExternalOnUnknown" since:"0.2"`
	SearchFilter string          `key:"LDAPSearchFilter" default:"uid=%u" help:"what the search looks for, with %u and %d as above; with Active Directory sAMAccountName=%u; a filter (RFC 4515) whose outermost brackets may be left out" since:"0.2"`
	ServiceDN    string          `key:"LDAPServiceDN" help:"who searches: the name of an account of the directory server; empty for nobody" since:"0.2"`
	ServiceKey   string          `key:"LDAPServicePassword" secret:"yes" help:"its password" since:"0.2"`
	CA           Certificates    `key:"LDAPCA" help:"certificates, in PEM form, of the authorities that the servers' certificates are signed by; none for those that this machine trusts" since:"0.2"`
	Timeout      settings.Period `key:"LDAPTimeout" default:"5" help:"how long one server is waited for" since:"0.2"`
}

// LDAP asks directory servers. Nothing is locked while they are asked.
type LDAP interface {
	// Verify returns nil if a password is that of an account. Errors: fault.BadCredentials if it is not; fault.Unavailable
	// if no server can tell. An empty password is wrong.
	Verify(ctx context.Context, s *LDAPSettings, name, domain, password string) error
	// Find returns the person's name, or "", if the servers know the name of an account. Errors: fault.NotFound;
	// fault.Unavailable.
	Find(ctx context.Context, s *LDAPSettings, name, domain string) (person string, err error)
}

const (
	maxLDAPServers = 5
	maxLDAPTimeout = time.Minute
	// outsideLifetime is how long a password that a directory server or the operating system has verified is good without asking again.
	outsideLifetime = time.Minute
)

// asked reports whether directory servers are asked.
func (s *LDAPSettings) asked() bool { return len(s.Servers) > 0 }

// validate checks what the types do not.
func (s *LDAPSettings) validate() error {
	if len(s.Servers) > maxLDAPServers {
		return settings.BadValue("LDAPServers", "%d servers at most", maxLDAPServers)
	}
	for _, server := range s.Servers {
		u, err := url.Parse(server)
		if err != nil || u.Scheme != "ldap" && u.Scheme != "ldaps" || u.Hostname() == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
			return settings.BadValue("LDAPServers", "%q is not ldaps://host:port or ldap://host:port", server)
		}
	}
	for key, text := range map[string]string{"LDAPBindDN": s.BindDN, "LDAPSearchFilter": s.SearchFilter} {
		if _, err := FillLDAP(text, "", "", func(s string) string { return s }); err != nil {
			return settings.BadValue(key, "%s", fault.Text(err))
		}
	}
	if s.BindDN != "" && !strings.Contains(s.BindDN, "%u") {
		return settings.BadValue("LDAPBindDN", "%%u, the name of the account, is missing")
	}
	if f := s.SearchFilter; !strings.Contains(f, "%u") || strings.Count(f, "(") != strings.Count(f, ")") {
		return settings.BadValue("LDAPSearchFilter", "a filter with %%u, the name of the account, is expected")
	}
	if t := s.Timeout.Duration(); t < time.Second || t > maxLDAPTimeout {
		return settings.BadValue("LDAPTimeout", "must be 1s to 1m")
	}
	return nil
}

// FillLDAP fills a template: %u is a name, %d its domain, %% a percent sign. Errors: fault.Invalid.
func FillLDAP(template, name, domain string, escape func(string) string) (string, error) {
	var b strings.Builder
	for rest := template; ; {
		before, after, found := strings.Cut(rest, "%")
		b.WriteString(before)
		if !found {
			return b.String(), nil
		}
		switch {
		case strings.HasPrefix(after, "u"):
			b.WriteString(escape(name))
		case strings.HasPrefix(after, "d"):
			b.WriteString(escape(domain))
		case strings.HasPrefix(after, "%"):
			b.WriteByte('%')
		default:
			return "", fault.Newf("accounts.LDAP", fault.Invalid, "%q: only u, d and %% may follow a percent sign", template)
		}
		rest = after[1:]
	}
}

// noLDAP is the LDAP of a server without one.
type noLDAP struct{}

func (noLDAP) Verify(context.Context, *LDAPSettings, string, string, string) error {
	return fault.New("accounts.LDAP", fault.Unavailable, "directory servers are not asked here")
}

func (noLDAP) Find(context.Context, *LDAPSettings, string, string) (string, error) {
	return "", fault.New("accounts.LDAP", fault.Unavailable, "directory servers are not asked here")
}

// verifyLDAP asks the directory servers of the account's domain. It reports a wrong password, and a domain without
// servers, as false.
func (l *Logins) verifyLDAP(ctx context.Context, a *Account, password string) (bool, error) {
	s := &a.domain.settings.LDAPSettings
	if !s.asked() {
		return false, nil
	}
	switch err := l.store.ldap.Verify(ctx, s, a.Name, a.Domain, password); {
	case err == nil:
		l.rememberOutside(a, directoryServers, password)
		return true, nil
	case fault.Is(err, fault.BadCredentials):
		return false, nil
	default:
		return false, err
	}
}

// findLDAP makes the account of a name that nobody has here, if the directory servers know it.
func (s *directory) findLDAP(ctx context.Context, d *domain, name string) error {
	const op = "accounts.Object"
	set := &d.settings.LDAPSettings
	if !set.asked() || set.SearchBase == "" {
		return fault.New(op, fault.NotFound, "")
	}
	person, err := s.ldap.Find(ctx, set, name, d.name)
	if err != nil {
		return err
	}
	given := dataformat.Dict{"UseExtPassword": dataformat.String("YES")}
	if person != "" {
		given["RealName"] = dataformat.String(person)
	}
	if err := s.create(ctx, d.name, name, given); err != nil && !fault.Is(err, fault.Exists) {
		return fault.Wrap(op, fault.Internal, err)
	}
	s.log.Info("account made: a directory server knows the name", "account", name+"@"+d.name)
	return nil
}

// again looks once more at a name that there may be now.
func (s *directory) again(d *domain, name string) (names.Object, error) {
	d, err := s.domain(d.name)
	if err != nil {
		return names.Object{}, err
	}
	return s.object(d, name)
}
