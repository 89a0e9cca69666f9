package accounts

import (
	"context"
	"errors"
	"maps"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"gatepost/accounts/mailbox"
	"gatepost/accounts/nametable"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
	"gatepost/server/settings"
)

// This file keeps the remote accounts of accounts: those on other servers that are polled, and
// whose mail is delivered here. An account has them in account.settings under a reserved key,
// each under its name, with its password sealed. A server-wide table names the accounts that
// have any, so that nobody has to look into all of them:
//
//	Settings/RPOP.data   {"user@domain" = YES; ...}
//
// An account is in the table before it gets its first remote account. One that is in it and has
// none, or does not exist, does no harm, see ForgetPolled.

const (
	keyRPOPs   = "#RPOP"
	polledFile = "RPOP.data"

	// maxRemote bounds the remote accounts of one account, and maxRemoteName their names in bytes.
	maxRemote     = 50
	maxRemoteName = 100

	// shortestPoll is the least time between two polls of a remote account.
	shortestPoll = 15 * time.Second
)

// RemoteAccount is an account on another server that is polled. The keys of the first seven are
// those that scripts know.
type RemoteAccount struct {
	Name string // among the remote accounts of the account

	AuthName string          `key:"authName" help:"login name on the other server" since:"0.2"`
	Host     RemoteHost      `key:"domain" help:"the other server, as host or host:port" since:"0.2"`
	Password string          `key:"password" secret:"yes" help:"password there; it is stored sealed and never shown, and one that is not given stays as long as authName and domain do" since:"0.2"`
	Period   settings.Period `key:"period" default:"10m" help:"time between polls, 15s at least; ----- removes the record" since:"0.2"`
	APOP     settings.Flag   `key:"APOP" default:"NO" help:"the password is never sent as it is: a POP3 server without APOP is not logged in to" since:"0.2"`
	TLS      string          `key:"TLS" default:"If Offered" values:"NO|If Offered|YES|Implicit|STARTTLS" help:"encryption; YES is Implicit without a port and on ports 993 and 995, else STARTTLS" since:"0.2"`
	Leave    settings.Flag   `key:"leave" default:"NO" help:"messages stay on the other server" since:"0.2"`

	Protocol  string        `key:"protocol" default:"POP3" values:"POP3|IMAP" help:"how the other server is polled" since:"0.2"`
	Verify    settings.Flag `key:"verify" default:"YES" help:"the certificate has to be valid if encryption is not just If Offered" since:"0.2"`
	Enabled   settings.Flag `key:"enabled" default:"YES" help:"NO keeps the record and does not poll" since:"0.2"`
	RemoteBox string        `key:"remoteMailbox" default:"INBOX" help:"IMAP: the mailbox that is polled" since:"0.2"`
	Unseen    settings.Flag `key:"unseen" default:"NO" help:"IMAP: only messages that are not marked as read" since:"0.2"`
	MarkRead  settings.Flag `key:"markRead" default:"NO" help:"IMAP: messages that stay are marked as read" since:"0.2"`
	Mailbox   string        `key:"mailbox" help:"mailbox of the account that the mail goes to, if LOCAL allows direct addressing; empty for INBOX and the rules" since:"0.2"`
	Special   string        `key:"special" help:"header field with the original recipients, such as X-Real-To: each gets the message, instead of the account; only administrators may set it" since:"0.2"`
}

// RemoteSettings describes the settings of a remote account.
func RemoteSettings() []settings.Setting { return settings.Describe(new(RemoteAccount)) }

// RemoteNames are the names of the settings of a remote account.
func RemoteNames() *settings.Names { return settings.NamesOf(RemoteSettings()) }

// Validate checks the values together.
func (r *RemoteAccount) Validate() error {
	switch {
	case r.Host.Name == "":
		return settings.BadValue("domain", "the name of the other server is missing")
	case r.AuthName == "":
		return settings.BadValue("authName", "the login name is missing")
	case r.Period >= 0 && r.Period.Duration() < shortestPoll:
		return settings.BadValue("period", "%s at least", settings.Period(shortestPoll))
	case bool(r.Unseen || r.MarkRead) && r.Protocol != "IMAP":
		return errors.New("unseen and markRead need the protocol IMAP: POP3 does not know which messages were read")
	case bool(r.APOP) && r.Protocol != "POP3":
		return settings.BadValue("APOP", "it needs the protocol POP3")
	case !isFieldName(r.Special):
		return settings.BadValue("special", "%q is not the name of a header field", r.Special)
	}
	for key, text := range map[string]string{"authName": r.AuthName, "password": r.Password, "remoteMailbox": r.RemoteBox} {
		if len(text) > 1000 || strings.ContainsFunc(text, func(c rune) bool { return c < ' ' || c == 0x7f }) {
			return settings.BadValue(key, "it has a control character or more than 1000 bytes")
		}
	}
	if r.Mailbox != "" {
		if _, err := mailbox.CleanName(r.Mailbox); err != nil {
			return settings.BadValue("mailbox", "%s", fault.Text(err))
		}
	}
	return nil
}

// isFieldName reports whether a text may name a header field (RFC 5322 section 2.2), or is empty.
func isFieldName(s string) bool {
	return len(s) <= 76 && !strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c >= 0x7f || c == ':' })
}

// Encryption is TLS with YES resolved: NO, If Offered, Implicit or STARTTLS.
func (r *RemoteAccount) Encryption() string {
	switch {
	case r.TLS != "YES":
		return r.TLS
	case r.Host.Port == 0, r.Host.Port == 993, r.Host.Port == 995:
		return "Implicit"
	}
	return "STARTTLS"
}

// Address is the host and port to connect to.
func (r *RemoteAccount) Address() string {
	port := r.Host.Port
	if port == 0 {
		secure := r.Encryption() == "Implicit"
		switch {
		case r.Protocol == "IMAP" && secure:
			port = 993
		case r.Protocol == "IMAP":
			port = 143
		case secure:
			port = 995
		default:
			port = 110
		}
	}
	return net.JoinHostPort(r.Host.Name, strconv.Itoa(port))
}

// RemoteHost is a host with a port, or 0 for that of the protocol.
type RemoteHost struct {
	Name string
	Port int
}

// SetValue reads host, host:port, 192.0.2.1, [2001:db8::1] or [2001:db8::1]:port.
func (h *RemoteHost) SetValue(v dataformat.Value) error {
	text, ok := dataformat.Text(v)
	text = strings.TrimSpace(text)
	if !ok {
		return errors.New("a host is expected")
	}
	name, port, err := net.SplitHostPort(text)
	if err != nil {
		name, port = strings.TrimSuffix(strings.TrimPrefix(text, "["), "]"), "0"
	}
	n, err := strconv.Atoi(port)
	if err != nil || n < 0 || n > 65535 || len(name) > 255 || strings.ContainsFunc(name, func(c rune) bool { return c <= ' ' || strings.ContainsRune("/@[]\"\\\x7f", c) }) {
		return errors.New("it is not a host (such as mail.example.org or mail.example.org:995)")
	}
	*h = RemoteHost{Name: name, Port: n}
	return nil
}

// DataValue is the host as String prints it.
func (h RemoteHost) DataValue() dataformat.Value { return dataformat.String(h.String()) }

func (h RemoteHost) String() string {
	switch {
	case h.Port != 0:
		return net.JoinHostPort(h.Name, strconv.Itoa(h.Port))
	case strings.Contains(h.Name, ":"):
		return "[" + h.Name + "]"
	}
	return h.Name
}

// RPOPs returns the records of the remote accounts by their names, without passwords. Errors:
// NoDomain, NotFound.
func (s *Store) RPOPs(ctx context.Context, domain, name string) (dataformat.Dict, error) {
	a, err := s.Account(ctx, domain, name)
	if err != nil {
		return nil, err
	}
	out := dataformat.Dict{}
	for name, v := range nested(a.explicit, keyRPOPs) {
		if d, ok := v.(dataformat.Dict); ok {
			d = clone(d)
			delete(d, "password")
			out[name] = d
		}
	}
	return out, nil
}

// SetRPOPs replaces the remote accounts of an account. A record without a password keeps the
// one that it has, unless it names another login name or host: else whoever may change the
// record could have the password sent to a host of his own. Errors: NoDomain, NotFound, Invalid.
func (s *Store) SetRPOPs(ctx context.Context, domain, name string, given dataformat.Dict) error {
	const op = "accounts.SetRPOPs"
	records, err := s.givenRPOPs(op, given)
	if err != nil {
		return err
	}
	a, err := s.Account(ctx, domain, name)
	if err != nil {
		return err
	}
	k := accountKey{a.Domain, a.Name}
	if len(records) > 0 {
		if err := s.polled.set(op, k, true); err != nil {
			return err
		}
	}
	err = s.editAccount(op, a, func(d dataformat.Dict) error {
		before := nested(d, keyRPOPs)
		merged := dataformat.Dict{}
		for name, given := range records {
			r := keptPassword(given, before[name])
			if r["password"] == nil {
				return fault.Newf(op, fault.Invalid, "%s: a password is needed for a new record, another authName or another domain", name)
			}
			merged[name] = r
		}
		if d[keyRPOPs] = merged; len(merged) == 0 {
			delete(d, keyRPOPs)
		}
		return nil
	})
	if err == nil && len(records) > 0 {
		err = s.polled.set(op, k, true) // ForgetPolled may have come in between
	}
	s.polled.tell(k)
	return err
}

// givenRPOPs checks records, and seals their passwords.
func (s *Store) givenRPOPs(op string, given dataformat.Dict) (map[string]dataformat.Dict, error) {
	names := RemoteNames()
	out := map[string]dataformat.Dict{}
	for name, v := range given {
		d, ok := v.(dataformat.Dict)
		switch {
		case settings.IsDefault(v):
			continue
		case !ok:
			return nil, fault.Newf(op, fault.Invalid, "%s: a dictionary is expected", name)
		case name == "" || len(name) > maxRemoteName:
			return nil, fault.Newf(op, fault.Invalid, "the name of a record has 1 to %d bytes", maxRemoteName)
		}
		d, err := names.Respell(d)
		if err != nil {
			return nil, err
		}
		if period := d.String("period"); period != "" && strings.Trim(period, "-") == "" {
			continue // so do the pages of other servers ask to remove a row
		}
		if unknown := names.Unknown(d); len(unknown) > 0 {
			return nil, fault.Newf(op, fault.Invalid, "%s: unknown setting %s", name, unknown[0])
		}
		d = settings.Merge(nil, d)
		if err := settings.Load(new(RemoteAccount), d); err != nil {
			return nil, fault.Newf(op, fault.Invalid, "%s: %s", name, fault.Text(err))
		}
		if plain := d.String("password"); plain != "" {
			sealed, err := s.keys.New(plain, "A-crpt")
			if err != nil {
				return nil, fault.Wrap(op, fault.Internal, err)
			}
			d["password"] = dataformat.String(sealed)
		} else {
			delete(d, "password")
		}
		if out[name] = d; len(out) > maxRemote {
			return nil, fault.Newf(op, fault.Invalid, "an account has %d remote accounts at most", maxRemote)
		}
	}
	return out, nil
}

// keptPassword gives a record without a password the one that it has had.
func keptPassword(r dataformat.Dict, before dataformat.Value) dataformat.Dict {
	old, ok := before.(dataformat.Dict)
	if r["password"] != nil || !ok || old["password"] == nil || old.String("authName") != r.String("authName") ||
		!strings.EqualFold(old.String("domain"), r.String("domain")) {
		return r
	}
	r = maps.Clone(r)
	r["password"] = old["password"]
	return r
}

// RemoteAccounts returns the remote accounts of an account, sorted by name. One that cannot be
// read is left out and in the log.
func (s *Store) RemoteAccounts(a *Account) []RemoteAccount {
	bad := s.badSetting(a.Address(), accountFile)
	records := nested(a.explicit, keyRPOPs)
	var out []RemoteAccount
	for _, name := range slices.Sorted(maps.Keys(records)) {
		d, _ := records[name].(dataformat.Dict)
		var r RemoteAccount
		err := settings.Load(&r, d)
		if err == nil {
			r.Password, err = s.Unseal(r.Password)
		}
		if err != nil {
			bad(keyRPOPs+" "+name, err)
			continue
		}
		r.Name = name
		out = append(out, r)
	}
	return out
}

// OnPolled has a function called after the remote accounts of an account were changed, and after
// an account that has some was renamed. It must not wait for anything.
func (s *Store) OnPolled(f func(domain, name string)) { s.polled.told.Store(&f) }

// UsePolls has a function tell, for AccountInfo, how the polls of the remote accounts of an account went. It
// must not wait for anything.
func (s *Store) UsePolls(f func(domain, name string) dataformat.Dict) { s.polled.status.Store(&f) }

// Polled lists the accounts that have remote accounts, or have had some, as pairs of domain and name.
func (s *Store) Polled() [][2]string {
	var list [][2]string
	for address, domain := range s.polled.table.All() {
		list = append(list, [2]string{domain, strings.TrimSuffix(address, "@"+domain)})
	}
	slices.SortFunc(list, func(a, b [2]string) int { return slices.Compare(a[:], b[:]) })
	return list
}

// ForgetPolled takes an account out of the table if it has no remote accounts.
func (s *Store) ForgetPolled(ctx context.Context, domain, name string) error {
	a, err := s.Account(ctx, domain, name)
	switch {
	case err == nil && len(nested(a.explicit, keyRPOPs)) > 0:
		return nil
	case err != nil && !fault.Is(err, fault.NotFound) && !fault.Is(err, fault.NoDomain):
		return err
	}
	return s.polled.set("accounts.ForgetPolled", accountKey{s.realDomain(domain), fold(name)}, false)
}

// polled is the table of the accounts that have remote accounts.
type polled struct {
	table *nametable.Table[string] // addresses → domains
	mu    sync.Mutex               // held while the table changes
	told  atomic.Pointer[func(domain, name string)]

	status atomic.Pointer[func(domain, name string) dataformat.Dict] // see UsePolls
}

// load reads the table.
func (p *polled) load(base string) (err error) {
	p.table, err = nametable.Load(filepath.Join(base, settingsDirectory, polledFile), func(address string, _ dataformat.Value) (string, bool) {
		i := strings.LastIndexByte(address, '@')
		return address[i+1:], i > 0
	}, func(domain string) string { return domain })
	return err
}

// tell says that the remote accounts of an account may have changed.
func (p *polled) tell(k accountKey) {
	if f := p.told.Load(); f != nil {
		(*f)(k.domain, k.name)
	}
}

// set puts an account into the table, or takes it out.
func (p *polled) set(op string, k accountKey, there bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, is := p.table.Get(k.String()); is == there {
		return nil
	}
	update := dataformat.Dict{k.String(): dataformat.String("YES")}
	if !there {
		update[k.String()] = dataformat.Null{}
	}
	return fault.Wrap(op, fault.Internal, p.table.Change(update))
}

// move has the table follow the rename of an account, or of a domain if there is no name. It may
// be repeated.
func (p *polled) move(from, to accountKey) error {
	p.mu.Lock()
	addresses := []string{from.String()}
	if from.name == "" {
		addresses = p.table.Of(from.domain)
	} else if _, there := p.table.Get(from.String()); !there {
		addresses = nil
	}
	update := dataformat.Dict{}
	var moved []accountKey
	for _, address := range addresses {
		now := to
		if from.name == "" {
			now.name = strings.TrimSuffix(address, "@"+from.domain)
		}
		update[address], update[now.String()] = dataformat.Null{}, dataformat.String("YES")
		moved = append(moved, now)
	}
	err := p.table.Change(update)
	p.mu.Unlock()
	for _, k := range moved {
		p.tell(k)
	}
	return err
}
