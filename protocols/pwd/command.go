package pwd

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"gatepost/accounts"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// command is one row of the table of commands.
type command struct {
	verb   string
	syntax string // of the parameters, see syntax.go
	right  string // see right.go
	// run carries the command out. A nil Value answers OK without data.
	run func(*call) (dataformat.Value, error)
}

// compiled is a command that is ready to run.
type compiled struct {
	command
	params []param
	right  right
}

// call is one command of a session being carried out.
type call struct {
	context.Context
	*Server
	session *session
	cmd     *compiled
	args    args
	target  target
	rights  accounts.Rights
}

// target is what a command is about: a domain, or an object of one. Both names
// are folded; an alias of a domain or of an account has been resolved.
type target struct{ domain, name string }

// compile joins the tables of commands.
func compile() (map[string]*compiled, error) {
	out := map[string]*compiled{}
	for _, table := range [][]command{
		accountCommands, passwordCommands, domainCommands, defaultsCommands, forwarderCommands,
		mailboxCommands, serverCommands, queueCommands, miscCommands,
	} {
		for _, c := range table {
			params, err := parseSyntax(c.syntax)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", c.verb, err)
			}
			r, err := parseRight(c.right)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", c.verb, err)
			}
			if out[c.verb] != nil {
				return nil, fmt.Errorf("%s is there twice", c.verb)
			}
			out[c.verb] = &compiled{c, params, r}
		}
	}
	for old, now := range oldNames {
		if out[now] == nil || out[old] != nil {
			return nil, fmt.Errorf("old name %s of %s", old, now)
		}
		out[old] = out[now]
	}
	return out, nil
}

// oldNames are words that some clients still send.
var oldNames = map[string]string{
	"GETACCOUNT": "GETACCOUNTSETTINGS", "UPDATEACCOUNT": "UPDATEACCOUNTSETTINGS", "SETACCOUNT": "SETACCOUNTSETTINGS",
	"GETDOMAIN": "GETDOMAINSETTINGS", "UPDATEDOMAIN": "UPDATEDOMAINSETTINGS", "SETDOMAIN": "SETDOMAINSETTINGS",
	"GETWEBUSER": "GETACCOUNTPREFS", "SETWEBUSER": "SETACCOUNTPREFS",
	"GETEFFECTIVEWEBUSER": "GETACCOUNTEFFECTIVEPREFS", "GETEFFECTIVEACCOUNTPREFS": "GETACCOUNTEFFECTIVEPREFS",
	"GETWEBUSERDEFAULTS": "GETACCOUNTDEFAULTPREFS", "SETWEBUSERDEFAULTS": "SETACCOUNTDEFAULTPREFS",
	"UPDATEWEBUSERDEFAULTS":    "UPDATEACCOUNTDEFAULTPREFS",
	"GETSERVERWEBUSERDEFAULTS": "GETSERVERACCOUNTPREFS", "SETSERVERWEBUSERDEFAULTS": "SETSERVERACCOUNTPREFS",
	"GETALLACCOUNTSDEFAULTS": "GETSERVERACCOUNTDEFAULTS", "SETALLACCOUNTSDEFAULTS": "SETSERVERACCOUNTDEFAULTS",
	"UPDATEALLACCOUNTSDEFAULTS": "UPDATESERVERACCOUNTDEFAULTS",
	"GETACCOUNTSUBSCRIPTION":    "GETMAILBOXSUBSCRIPTION", "SETACCOUNTSUBSCRIPTION": "SETMAILBOXSUBSCRIPTION",
}

// execute carries out one command line of a session that is logged in.
func (s *session) execute(ctx context.Context, verb, rest string) reply {
	cmd := s.server.commands[verb]
	if cmd == nil {
		return unknown(verb)
	}
	a, err := readArgs(cmd.params, rest)
	if err != nil {
		r := failure(err)
		if s.control { // elsewhere scripts compare texts
			r.text += "; syntax: " + cmd.usage()
		}
		return r
	}
	c := &call{Context: ctx, Server: s.server, session: s, cmd: cmd, args: a}
	if c.rights, err = s.rights(); err != nil {
		return s.failed(err)
	}
	if c.target, err = c.resolve(); err != nil && !cmd.right.any && !c.rights.Server(accounts.RightUsers) && !fault.Is(err, fault.Invalid) {
		err = errDenied() // whether a domain exists is for those who may administer it
	}
	if err != nil {
		return s.failed(err)
	}
	if !cmd.right.allows(c.rights, s.account, c.target) {
		return failure(errDenied())
	}
	if err := c.guard(); err != nil {
		return s.failed(err)
	}
	v, err := cmd.run(c)
	s.logCommand(c, v != nil || cmd.verb == "NOOP", err)
	switch {
	case err != nil:
		return s.failed(err)
	case v != nil:
		return withData(v)
	}
	return replyOK
}

// resolve finds what the command is about from its parameters.
func (c *call) resolve() (target, error) {
	switch {
	case c.args.has("acct"):
		return c.account(c.args.word("acct"))
	case c.args.has("old"):
		return c.named(c.args.word("old"))
	case c.args.has("name"):
		return c.named(c.args.word("name"))
	}
	domain := c.args.word("domain")
	if domain == "" {
		domain = c.session.domain()
	}
	return c.domain(domain)
}

// object is the name of what the command is about, for the log; "" when it is
// about the server.
func (c *call) object() string {
	switch {
	case c.target.name != "":
		return c.target.name + "@" + c.target.domain
	case c.cmd.takes("domain"):
		return c.target.domain
	}
	for _, param := range []string{"new", "module", "queue"} {
		if c.args.has(param) {
			return strings.ToLower(c.args.word(param))
		}
	}
	return ""
}

// usage is the command as it is written.
func (c *compiled) usage() string { return strings.TrimSpace(c.verb + " " + c.syntax) }

// takes reports whether a command has a parameter.
func (c *compiled) takes(name string) bool {
	return slices.ContainsFunc(c.params, func(p param) bool { return p.name == name })
}

// domain resolves the name of a domain.
func (c *call) domain(name string) (target, error) {
	real, ok := c.acc.DomainName(name)
	if !ok {
		return target{}, fault.New("pwd.Domain", fault.NoDomain, "")
	}
	return target{domain: real}, nil
}

// named splits the name of an object: name, name@domain, name%domain. Without a
// domain it is in the domain of who asks.
func (c *call) named(name string) (target, error) {
	local, domain := splitName(name)
	if domain == "" {
		domain = c.session.domain()
	}
	if local == "" {
		return target{}, fault.New("pwd.Object", fault.Invalid, "an object name is expected")
	}
	t, err := c.domain(domain)
	t.name = strings.ToLower(local)
	return t, err
}

// account resolves the name of an account, which may be an alias, or * for who asks:
// on the control socket, postmaster.
func (c *call) account(name string) (target, error) {
	if name == "*" {
		if self := c.session.account; self != nil {
			return target{self.Domain, self.Name}, nil
		}
		return target{c.acc.MainDomain(), accounts.Postmaster}, nil
	}
	t, err := c.named(name)
	if err != nil {
		return t, err
	}
	a, err := c.acc.Resolve(c, t.domain, t.name)
	switch {
	case err == nil:
		t.name = a.Name
	case !fault.Is(err, fault.NotFound):
		return t, err
	}
	return t, nil
}

// splitName cuts name@domain and name%domain; a name without a domain has "".
func splitName(name string) (local, domain string) {
	i := strings.LastIndexByte(name, '@')
	if i < 0 {
		i = strings.LastIndexByte(name, '%')
	}
	if i < 0 {
		return name, ""
	}
	return name[:i], name[i+1:]
}
