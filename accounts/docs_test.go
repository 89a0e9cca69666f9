package accounts

import (
	"bytes"
	"flag"
	"os"
	"testing"

	"gatepost/server/dataformat"
	"gatepost/server/settings"
)

var update = flag.Bool("update", false, "rewrite the pages that are made from the code")

// The page of account and domain settings is made from their declarations.
func TestSettingsPage(t *testing.T) {
	table := func(declared any) string {
		must(t, settings.Load(declared, dataformat.Dict{}))
		return settings.Table(settings.Describe(declared))
	}
	page := `# Settings of accounts and domains

Made from the declarations in the code; "go test ./accounts -update" rewrites it.

A setting of an account is looked up in the account itself, then in its class of service (ServiceClass names one of the
ServiceClasses in the account defaults), in the account defaults of its domain, in those of the server, and at last in
the table below. UPDATE commands leave alone what they do not name, and the value "default" takes an explicit value
away. The template of a domain is not in this chain: what it says is copied into new accounts.

## Accounts

` + table(new(AccountSettings)) + `
## Domains

A setting of a domain is looked up in the domain itself, then in the domain defaults of the server, then here.

` + table(new(DomainSettings))
	const path = "../docs/admin/accounts.md"
	if *update {
		must(t, os.WriteFile(path, []byte(page), 0o644))
	}
	have, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(have, []byte(page)) {
		t.Errorf("%s differs from the declarations (%v); go test ./accounts -update", path, err)
	}
}
