package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// mostObjects is how many accounts, domains or forwarders a client has at most.
const mostObjects = 6

// changeOfMany is how many names make a change of a large table that is not written
// beside it, but with it.
const changeOfMany = 110

// administer carries out a command that makes a change.
func (c *client) administer(what string, ch change, format string, args ...any) error {
	return c.promised(what, ch, func() error {
		_, err := c.pwd.do(fmt.Sprintf(format, args...))
		return err
	})
}

// own returns one of the client's objects of a kind; it makes one if there is none.
func (c *client) own(kind string, make func() error) (string, error) {
	if len(c.kept.of(kind)) == 0 {
		if err := make(); err != nil {
			return "", err
		}
	}
	return c.any(kind), nil
}

func (c *client) createAccount() error {
	if len(c.kept.of(anAccount)) >= mostObjects {
		return c.instead((*client).deleteAccount)
	}
	domain := c.server.domain
	if d := c.any(aDomain); d != "" && rand.IntN(3) == 0 {
		domain = d
	}
	name, real := c.name("a")+"@"+domain, c.name("n")
	return c.administer("create account", change{{anAccount, name, ""}: {}, {aSetting, name, ""}: {text: real}},
		"CREATEACCOUNT %s {RealName=%q;}", name, real)
}

func (c *client) renameAccount() error {
	from, err := c.own(anAccount, c.createAccount)
	if err != nil {
		return err
	}
	_, domain, _ := strings.Cut(from, "@")
	to := c.name("a") + "@" + domain
	ch := c.kept.renamed(func(k key) (key, bool) { return key{k.kind, to, k.id}, k.name == from })
	return c.administer("rename account", ch, "RENAMEACCOUNT %s INTO %s", from, to)
}

func (c *client) deleteAccount() error {
	name, err := c.own(anAccount, c.createAccount)
	if err != nil {
		return err
	}
	// The aliases go first, so that none leads to an account that is not there.
	aliases, rest := change{}, change{}
	for k := range c.kept {
		switch {
		case k.name == name && k.kind == anAlias:
			aliases[k] = nil
		case k.name == name:
			rest[k] = nil
		}
	}
	return c.promisedSteps("delete account", []change{aliases, rest}, func() error {
		_, err := c.pwd.do("DELETEACCOUNT " + name)
		return err
	})
}

func (c *client) setAliases() error {
	name, err := c.own(anAccount, c.createAccount)
	if err != nil {
		return err
	}
	many := 1 + rand.IntN(3)
	if rand.IntN(4) == 0 {
		many = changeOfMany
	}
	var aliases []string
	for range many {
		aliases = append(aliases, c.name("l"))
	}
	slices.Sort(aliases)
	list := "(" + strings.Join(aliases, ",") + ")"
	return c.administer("set aliases", change{{anAlias, name, ""}: {text: list}}, "SETACCOUNTALIASES %s %s", name, list)
}

func (c *client) setPassword() error {
	name, err := c.own(anAccount, c.createAccount)
	if err != nil {
		return err
	}
	password := c.name("p")
	return c.administer("set password", change{{aPassword, name, ""}: {text: password}}, "SETACCOUNTPASSWORD %s PASSWORD %s", name, password)
}

func (c *client) setRealName() error {
	name, err := c.own(anAccount, c.createAccount)
	if err != nil {
		return err
	}
	real := c.name("n")
	return c.administer("set real name", change{{aSetting, name, ""}: {text: real}}, "UPDATEACCOUNTSETTINGS %s {RealName=%q;}", name, real)
}

func (c *client) createForwarder() error {
	if len(c.kept.of(aForwarder)) >= mostObjects {
		return c.instead((*client).deleteForwarder)
	}
	name, to := c.name("f"), c.name("t")+"@elsewhere.test"
	return c.administer("create forwarder", change{{aForwarder, name, ""}: {text: to}}, "CREATEFORWARDER %s TO %s", name, to)
}

func (c *client) deleteForwarder() error {
	name, err := c.own(aForwarder, c.createForwarder)
	if err != nil {
		return err
	}
	return c.administer("delete forwarder", change{{aForwarder, name, ""}: nil}, "DELETEFORWARDER %s", name)
}

func domainSettings() string { return fmt.Sprintf("{AccountsLimit=%d;}", 100+rand.IntN(10000)) }

func (c *client) createDomain() error {
	if len(c.kept.of(aDomain)) >= mostObjects {
		return c.instead((*client).deleteDomain)
	}
	name, settings := c.name("d")+".test", domainSettings()
	return c.administer("create domain", change{{aDomain, name, ""}: {text: settings}}, "CREATEDOMAIN %s %s", name, settings)
}

func (c *client) changeDomain() error {
	name, err := c.own(aDomain, c.createDomain)
	if err != nil {
		return err
	}
	settings := domainSettings()
	return c.administer("change domain", change{{aDomain, name, ""}: {text: settings}}, "UPDATEDOMAINSETTINGS %s %s", name, settings)
}

func (c *client) renameDomain() error {
	from, err := c.own(aDomain, c.createDomain)
	if err != nil {
		return err
	}
	to := c.name("d") + ".test"
	ch := c.kept.renamed(func(k key) (key, bool) {
		if k.name == from {
			return key{k.kind, to, k.id}, true
		}
		account, ok := strings.CutSuffix(k.name, "@"+from)
		return key{k.kind, account + "@" + to, k.id}, ok
	})
	return c.administer("rename domain", ch, "RENAMEDOMAIN %s INTO %s", from, to)
}

func (c *client) deleteDomain() error {
	name, err := c.own(aDomain, c.createDomain)
	if err != nil {
		return err
	}
	ch := change{}
	for k := range c.kept {
		if k.name == name || strings.HasSuffix(k.name, "@"+name) {
			ch[k] = nil
		}
	}
	return c.administer("delete domain", ch, "DELETEDOMAIN %s FORCE", name)
}
