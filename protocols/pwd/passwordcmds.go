package pwd

import (
	"gatepost/router/address"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

var passwordCommands = []command{
	{"SETACCOUNTPASSWORD", "acct PASSWORD|TO password [METHOD method] [TAG tag] [CHECK]", "D:BasicSettings own", setAccountPassword},
	{"VERIFYACCOUNTPASSWORD", "acct PASSWORD password", "D", verifyAccountPassword},
	{"VERIFYACCOUNTIDENTITY", "acct FOR identity", "D", verifyAccountIdentity},
	{"GETACCOUNTPLAINPASSWORD", "acct", "Master", getAccountPlainPassword},
}

// setAccountPassword stores a password. For the own password the account's rules
// hold, as with CHECK.
func setAccountPassword(c *call) (dataformat.Value, error) {
	if c.args.has("method") || c.args.has("tag") {
		return nil, fault.New("pwd.Password", fault.Unsupported, "passwords for a method or with a tag are not supported")
	}
	check := c.args.has("CHECK") || !c.rights.Domain(c.target.domain, "BasicSettings")
	return nil, c.acc.SetPassword(c, c.target.domain, c.target.name, c.args.word("password"), check)
}

func verifyAccountPassword(c *call) (dataformat.Value, error) {
	return nil, c.acc.VerifyPassword(c, c.target.domain, c.target.name, c.args.word("password"))
}

// verifyAccountIdentity reports whether an account may write under a name and an
// address, as they stand in From: whether the address is its own.
func verifyAccountIdentity(c *call) (dataformat.Value, error) {
	const op = "pwd.Identity"
	a, err := c.acc.Account(c, c.target.domain, c.target.name)
	if err != nil {
		return nil, err
	}
	text := c.args.word("identity")
	if name, err := address.Parse(text); err == nil && name.Domain == "" {
		text = address.Address{Local: name.Local, Domain: a.Domain}.String()
	}
	authors, err := c.acc.Authors(c, a, []byte(text))
	if err == nil && !authors.Own {
		err = fault.New(op, fault.Denied, "the address does not belong to the account")
	}
	return nil, err
}

func getAccountPlainPassword(c *call) (dataformat.Value, error) {
	return stringOf(c.acc.RevealPassword(c, c.target.domain, c.target.name))
}
