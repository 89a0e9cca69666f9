package ldapauth

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-ldap/ldap/v3"

	"gatepost/accounts"
	"gatepost/server/fault"
)

const (
	maxConnections = 64
	maxOfDomain    = 16
	badFor         = 30 * time.Second // a server that could not be asked is the last one for that long
	failingFor     = 10 * time.Minute // and is shown as failing
	unknownFor     = 30 * time.Second // a name that is unknown is not asked about again
	maxKept        = 10_000           // names and servers; then all are forgotten
)

// Client asks directory servers. It implements accounts.LDAP.
type Client struct {
	all chan struct{} // a token per connection

	mu      sync.Mutex
	domains map[string]*turns    // by the domain that asks, while one does
	failed  map[string]Failure   // by the server's URL
	unknown map[string]time.Time // until when, by name@domain
}

// turns are the connections of a domain.
type turns struct {
	slots chan struct{} // a token per connection
	users int           // who have one, or wait for one
}

// Failure is a server that could not be asked.
type Failure struct {
	Server, Domain string
	At             time.Time
	Reason         string
}

// New returns a Client.
func New() *Client {
	return &Client{all: make(chan struct{}, maxConnections), domains: map[string]*turns{}, failed: map[string]Failure{}, unknown: map[string]time.Time{}}
}

// Failing lists the servers that could not be asked lately, by name.
func (c *Client) Failing() []Failure {
	c.mu.Lock()
	defer c.mu.Unlock()
	var list []Failure
	for _, f := range c.failed {
		if time.Since(f.At) < failingFor {
			list = append(list, f)
		}
	}
	slices.SortFunc(list, func(a, b Failure) int { return cmp.Compare(a.Server, b.Server) })
	return list
}

// Verify implements accounts.LDAP.
func (c *Client) Verify(ctx context.Context, s *accounts.LDAPSettings, name, domain, password string) error {
	const op = "ldapauth.Verify"
	if password == "" {
		return fault.New(op, fault.BadCredentials, "")
	}
	return c.ask(ctx, op, s, domain, func(conn *ldap.Conn) error {
		dn, _, err := who(conn, s, name, domain)
		if err != nil {
			return err
		}
		return conn.Bind(dn, password)
	})
}

// Find implements accounts.LDAP.
func (c *Client) Find(ctx context.Context, s *accounts.LDAPSettings, name, domain string) (person string, err error) {
	const op = "ldapauth.Find"
	key := name + "@" + domain
	if s.SearchBase == "" || c.isUnknown(key) {
		return "", fault.New(op, fault.NotFound, "")
	}
	err = c.ask(ctx, op, s, domain, func(conn *ldap.Conn) (err error) {
		_, person, err = who(conn, s, name, domain)
		return err
	})
	if fault.Is(err, fault.BadCredentials) {
		c.noteUnknown(key)
		err = fault.New(op, fault.NotFound, "")
	}
	return person, err
}

// errUnknown is a name that a server does not know.
var errUnknown = errors.New("the directory server does not know the name")

// who returns the name to bind with and, after a search, the person's name.
func who(conn *ldap.Conn, s *accounts.LDAPSettings, name, domain string) (dn, person string, err error) {
	if s.SearchBase == "" {
		if s.BindDN == "" {
			return "", "", errors.New("neither LDAPBindDN nor LDAPSearchBase is set")
		}
		escape := func(s string) string { return s }
		if strings.Contains(s.BindDN, "=") { // else it is user@domain or DOMAIN\user, which is no distinguished name
			escape = ldap.EscapeDN
		}
		dn, err = accounts.FillLDAP(s.BindDN, name, domain, escape)
		return dn, "", err
	}
	if s.ServiceDN != "" {
		if err := conn.Bind(s.ServiceDN, s.ServiceKey); err != nil {
			return "", "", errors.New("LDAPServiceDN is refused: " + err.Error())
		}
	}
	filter, err := accounts.FillLDAP(s.SearchFilter, name, domain, ldap.EscapeFilter)
	if err != nil {
		return "", "", err
	}
	if !strings.HasPrefix(filter, "(") {
		filter = "(" + filter + ")"
	}
	found, err := conn.Search(ldap.NewSearchRequest(s.SearchBase, ldap.ScopeWholeSubtree, ldap.NeverDerefAliases, 2, int(s.Timeout.Duration()/time.Second), false,
		filter, []string{"displayName", "cn"}, nil))
	switch {
	case ldap.IsErrorWithCode(err, ldap.LDAPResultSizeLimitExceeded), err == nil && len(found.Entries) > 1:
		return "", "", errors.New("the search finds several names with " + filter)
	case err != nil:
		return "", "", errors.New("the search below LDAPSearchBase fails: " + err.Error())
	case len(found.Entries) == 0 || found.Entries[0].DN == "":
		return "", "", errUnknown
	}
	e := found.Entries[0]
	return e.DN, cmp.Or(e.GetAttributeValue("displayName"), e.GetAttributeValue("cn")), nil
}

// wrong are the answers to a bind that are about the name and the password, and not about the server.
var wrong = []uint16{ldap.LDAPResultInvalidCredentials, ldap.LDAPResultNoSuchObject, ldap.LDAPResultInappropriateAuthentication,
	ldap.LDAPResultConstraintViolation}

// ask puts a question to one server after the other until one answers.
func (c *Client) ask(ctx context.Context, op string, s *accounts.LDAPSettings, domain string, question func(*ldap.Conn) error) error {
	done, err := c.room(ctx, s, domain)
	if err != nil {
		return err
	}
	defer done()
	var last error
	for _, server := range c.inOrder(s.Servers) {
		err := once(ctx, s, server, question)
		switch {
		case err == nil:
			c.noteGood(server)
			return nil
		case errors.Is(err, errUnknown), ldap.IsErrorAnyOf(err, wrong...):
			c.noteGood(server)
			return &fault.Error{Op: op, Kind: fault.BadCredentials, Err: err}
		case ctx.Err() != nil:
			return fault.Wrap(op, fault.Canceled, ctx.Err())
		}
		c.noteBad(server, domain, err)
		last = errors.New(server + ": " + err.Error())
	}
	return &fault.Error{Op: op, Kind: fault.Unavailable, Text: "the directory server does not work now", Err: last}
}

// room waits until a connection may be made, for the time-out at most.
func (c *Client) room(ctx context.Context, s *accounts.LDAPSettings, domain string) (done func(), err error) {
	const op = "ldapauth.Room"
	c.mu.Lock()
	own := c.domains[domain]
	if own == nil {
		own = &turns{slots: make(chan struct{}, maxOfDomain)}
		c.domains[domain] = own
	}
	own.users++
	c.mu.Unlock()
	leave := func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if own.users--; own.users == 0 {
			delete(c.domains, domain)
		}
	}
	t := time.NewTimer(s.Timeout.Duration())
	defer t.Stop()
	var held []chan struct{}
	for _, slots := range []chan struct{}{own.slots, c.all} {
		select {
		case slots <- struct{}{}:
			held = append(held, slots)
			continue
		case <-t.C:
			err = fault.New(op, fault.Unavailable, "too many questions to directory servers at a time")
		case <-ctx.Done():
			err = fault.Wrap(op, fault.Canceled, ctx.Err())
		}
		break
	}
	done = func() {
		for _, slots := range held {
			<-slots
		}
		leave()
	}
	if err != nil {
		done()
		return nil, err
	}
	return done, nil
}

// inOrder has the servers that could not be asked a moment ago last.
func (c *Client) inOrder(servers []string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := slices.Clone(servers)
	slices.SortStableFunc(out, func(a, b string) int {
		bad := func(s string) int {
			if f, ok := c.failed[s]; ok && time.Since(f.At) < badFor {
				return 1
			}
			return 0
		}
		return bad(a) - bad(b)
	})
	return out
}

func (c *Client) noteGood(server string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.failed, server)
}

func (c *Client) noteBad(server, domain string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.failed) >= maxKept {
		clear(c.failed)
	}
	c.failed[server] = Failure{Server: server, Domain: domain, At: time.Now(), Reason: err.Error()}
}

func (c *Client) isUnknown(name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Before(c.unknown[name])
}

func (c *Client) noteUnknown(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.unknown) >= maxKept {
		clear(c.unknown)
	}
	c.unknown[name] = time.Now().Add(unknownFor)
}
