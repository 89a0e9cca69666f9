package pwd

import (
	"context"
	"fmt"
	"strings"

	"gatepost/server/admin"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// command is one row of the tables of commands. Who may give it is decided where it leads
// (package admin).
type command struct {
	verb   string
	syntax string // of the parameters, see syntax.go
	// run carries the command out. A nil Value answers OK without data.
	run func(*call) (dataformat.Value, error)
}

// compiled is a command that is ready to run.
type compiled struct {
	command
	params []param
}

// call is one command of a session being carried out.
type call struct {
	context.Context
	*Server
	session *session
	actor   admin.Actor
	args    args
}

// compile joins the tables of commands.
func compile() (map[string]*compiled, error) {
	out := map[string]*compiled{}
	for _, table := range [][]command{accountCommands, deviceCommands, domainCommands, mailboxCommands, fileCommands, ruleCommands, serverCommands, protectionCommands, queueCommands, gatewayCommands, loggedInCommands, dropCommands, listCommands, miscCommands} {
		for _, c := range table {
			params, err := parseSyntax(c.syntax)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", c.verb, err)
			}
			if out[c.verb] != nil {
				return nil, fmt.Errorf("%s is there twice", c.verb)
			}
			out[c.verb] = &compiled{c, params}
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
	"GETACCOUNTRPOP": "GETACCOUNTRPOPS", "SETACCOUNTRPOP": "SETACCOUNTRPOPS",
	"GETWEBUSER": "GETACCOUNTPREFS", "SETWEBUSER": "SETACCOUNTPREFS",
	"GETEFFECTIVEWEBUSER": "GETACCOUNTEFFECTIVEPREFS", "GETEFFECTIVEACCOUNTPREFS": "GETACCOUNTEFFECTIVEPREFS",
	"GETWEBUSERDEFAULTS": "GETACCOUNTDEFAULTPREFS", "SETWEBUSERDEFAULTS": "SETACCOUNTDEFAULTPREFS",
	"UPDATEWEBUSERDEFAULTS":    "UPDATEACCOUNTDEFAULTPREFS",
	"GETSERVERWEBUSERDEFAULTS": "GETSERVERACCOUNTPREFS", "SETSERVERWEBUSERDEFAULTS": "SETSERVERACCOUNTPREFS",
	"GETALLACCOUNTSDEFAULTS": "GETSERVERACCOUNTDEFAULTS", "SETALLACCOUNTSDEFAULTS": "SETSERVERACCOUNTDEFAULTS",
	"UPDATEALLACCOUNTSDEFAULTS": "UPDATESERVERACCOUNTDEFAULTS",
	"GETSNMPELEMENT":            "GETSTATELEMENT",
	"FINDWEBUSERSESSION":        "FINDACCOUNTSESSION", "GETWEBUSERSESSION": "GETSESSION", "KILLWEBUSERSESSION": "KILLSESSION",
	"GETPROTECTION": "GETNETWORK", "SETPROTECTION": "SETNETWORK",
	"GETACCOUNTRULES": "GETACCOUNTMAILRULES", "SETACCOUNTRULES": "SETACCOUNTMAILRULES",
	"GETDOMAINRULES": "GETDOMAINMAILRULES", "SETDOMAINRULES": "SETDOMAINMAILRULES",
	"GETSERVERRULES": "GETSERVERMAILRULES", "SETSERVERRULES": "SETSERVERMAILRULES",
	"GETACCOUNTSUBSCRIPTION": "GETMAILBOXSUBSCRIPTION", "SETACCOUNTSUBSCRIPTION": "SETMAILBOXSUBSCRIPTION",
}

// execute carries out one command line of a session that is logged in.
func (s *session) execute(ctx context.Context, verb, rest string) reply {
	cmd := s.server.commands[verb]
	s.server.given.Inc()
	if cmd == nil {
		return unknown(s.server.commands, verb)
	}
	a, err := readArgs(cmd.params, rest)
	if err != nil {
		r := failure(err)
		if s.control { // elsewhere scripts compare texts
			r.text += "; syntax: " + cmd.usage()
		}
		return r
	}
	s.notes = nil
	v, err := cmd.run(&call{Context: ctx, Server: s.server, session: s, actor: s.actor(), args: a})
	switch {
	case err != nil:
		return failure(err)
	case v != nil:
		return withData(v)
	case len(s.notes) > 0:
		return reply{code: 200, text: oneLine("OK; " + strings.Join(s.notes, "; "))}
	}
	return replyOK
}

// usage is the command as it is written.
func (c *compiled) usage() string { return strings.TrimSpace(c.verb + " " + c.syntax) }

// name reads the name of an object. * is the own account; a name without a domain is in the
// domain of who asks.
func (c *call) name(param string) admin.Name {
	text := c.args.word(param)
	if text == "*" && (param == "acct" || param == "auth") {
		return c.actor.Self()
	}
	return admin.ParseName(text)
}

// setList passes an array of strings to a setter.
func (c *call) setList(param string, set func([]string) error) (dataformat.Value, error) {
	list, err := c.args.strings(param)
	if err != nil {
		return nil, err
	}
	return nil, set(list)
}

// unsupported is the answer to a known request that this server does not carry out.
func unsupported(text string) error { return fault.New("pwd.Command", fault.Unsupported, text) }

// dictOf answers a dictionary; none is an empty one.
func dictOf(d dataformat.Dict, err error) (dataformat.Value, error) {
	if err != nil {
		return nil, err
	}
	if d == nil {
		d = dataformat.Dict{}
	}
	return d, nil
}

// arrayOf answers an array of strings.
func arrayOf(list []string, err error) (dataformat.Value, error) {
	if err != nil {
		return nil, err
	}
	a := make(dataformat.Array, len(list))
	for i, s := range list {
		a[i] = dataformat.String(s)
	}
	return a, nil
}

// stringOf answers a string.
func stringOf(s string, err error) (dataformat.Value, error) {
	if err != nil {
		return nil, err
	}
	return dataformat.String(s), nil
}
