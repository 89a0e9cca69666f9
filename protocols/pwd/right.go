package pwd

import (
	"fmt"
	"slices"
	"strings"

	"gatepost/accounts"
	"gatepost/server/fault"
)

// A right is what a command needs, written as in the table of commands:
//
//	any            everybody who is logged in
//	UserAccounts   a server right: Master, Settings, UserAccounts, Monitor, Directory
//	D              any administrator of the target's domain
//	D:Name         an administrator of the target's domain with the right Name
//	own            the account that the command is about
//
// Several of them are alternatives. The server right UserAccounts
// stands for every D.
type right struct {
	any, own, domain bool
	server           []string
	codes            []string // D:Name
}

var serverRights = map[string]string{
	"Master": accounts.RightMaster, "Settings": accounts.RightSettings, "UserAccounts": accounts.RightUsers,
	"Monitor": accounts.RightMonitor, "Directory": accounts.RightDirectory,
}

// parseRight reads a right. What is wrong with one is a bug that a test finds.
func parseRight(text string) (right, error) {
	var r right
	for _, word := range strings.Fields(text) {
		code, isCode := strings.CutPrefix(word, "D:")
		switch {
		case word == "any":
			r.any = true
		case word == "own":
			r.own = true
		case word == "D":
			r.domain = true
		case isCode:
			r.codes = append(r.codes, code)
		case serverRights[word] != "":
			r.server = append(r.server, serverRights[word])
		default:
			return r, fmt.Errorf("right %q is unknown", word)
		}
	}
	return r, nil
}

// allows reports whether the rights are enough for a command on a target.
func (r right) allows(have accounts.Rights, self *accounts.Account, t target) bool {
	switch {
	case r.any, slices.ContainsFunc(r.server, have.Server):
		return true
	case r.own && self != nil && self.Name == t.name && self.Domain == t.domain:
		return true
	case t.domain == "":
		return false
	case r.domain && have.Administers(t.domain):
		return true
	}
	return slices.ContainsFunc(r.codes, func(c string) bool { return have.Domain(t.domain, c) })
}

// guarded reports whether a command changes the object that it is about, or tries
// its password.
func guarded(verb string) bool {
	return !strings.HasPrefix(verb, "GET") && !strings.HasPrefix(verb, "LIST")
}

// guard refuses commands on accounts that hold rights which the asker lacks: who
// could give such an account another password, or its name to another account,
// would have its rights.
func (c *call) guard() error {
	if c.target.name == "" || !guarded(c.cmd.verb) {
		return nil
	}
	return c.covers(c.target.domain, c.target.name)
}

// covers refuses a name that goes with rights which the asker lacks.
func (c *call) covers(domain, name string) error {
	theirs, err := c.acc.RightsOfName(domain, name)
	if err == nil && !c.rights.Covers(theirs) {
		err = errDenied()
	}
	return err
}

// errDenied is the answer to a command that its asker has no right to.
func errDenied() error { return fault.New("pwd.Right", fault.Denied, "access denied") }
