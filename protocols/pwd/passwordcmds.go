package pwd

import (
	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

var passwordCommands = []command{
	{"SETACCOUNTPASSWORD", "acct PASSWORD|TO password [METHOD method] [TAG tag] [CHECK]", "D:BasicSettings own", setAccountPassword},
	{"VERIFYACCOUNTPASSWORD", "acct PASSWORD password", "D", verifyAccountPassword},
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

func getAccountPlainPassword(c *call) (dataformat.Value, error) {
	return stringOf(c.acc.RevealPassword(c, c.target.domain, c.target.name))
}
