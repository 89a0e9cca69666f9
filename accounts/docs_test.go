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

const usesText = `
## Sent, Drafts, Trash, Junk and Archive

Preferences say which mailbox has which special use. They are looked up in the account, in the default preferences of its
domain, in those of the server, and then in this table. Mail programs find the mailbox by the attribute that IMAP lists with it
(RFC 6154).

| preference | attribute | built in |
|---|---|---|
| ` + "`SentBox`" + ` | ` + "`\\Sent`" + ` | ` + "`Sent Items`" + ` |
| ` + "`DraftsBox`" + ` | ` + "`\\Drafts`" + ` | ` + "`Drafts`" + ` |
| ` + "`TrashBox`" + ` | ` + "`\\Trash`" + ` | ` + "`Trash`" + ` |
| ` + "`JunkBox`" + ` | ` + "`\\Junk`" + ` | ` + "`Junk`" + ` |
| ` + "`ArchiveBox`" + ` | ` + "`\\Archive`" + ` | ` + "`Archive`" + ` |

After ` + "`UPDATEACCOUNTDEFAULTPREFS company.com {SentBox=Sent;}`" + `, mail programs of all accounts in the domain save sent mail in
Sent, except for accounts that have a preference of their own. The command creates no mailboxes: a new account gets the
mailboxes that its preferences name; in an old one, the mailbox has the special use as soon as it exists. An empty name means
that no mailbox has that special use.

A mailbox that is deleted and created again has its special use again. A mailbox that is renamed keeps it: from then on the
account's own preference names it. The same happens when a client creates a mailbox for a special use (` + "`CREATE`" + ` with ` + "`USE`" + `).
When a mailbox is moved into the Trash, which is how many programs delete, the special use stays with the old name.
`

const leftoversText = `
## Files that a crash has left

A crash, or a kill, can leave message files that the index does not name: of messages that nobody was told are stored, or
that were just removed. Before the account gets its next file, the server moves all of them to
` + "`<account>.macnt/Leftovers/<time>`" + ` (the time is UTC) and says so in the log. It never reads them again. After the index was restored from a backup, mail that the
backup does not know is there too.

` + "`gatepost check`" + ` names each account that has such files in a line that begins with ` + "`note:`" + `. ` + "`gatepost check --tidy`" + ` removes them
all; the server setting ` + "`DeleteLeftoversIn`" + `, such as 30d, those that are older. They are messages as they came, some with lines of an
envelope before the first empty line. When the index was restored, look at them first and put back what is wanted: send it, or
store it with a mail program.

A file that the index does not name though there was no crash is a finding of ` + "`gatepost check`" + `, and stays where it is.
`

// The page of account and domain settings is made from their declarations.
func TestSettingsPage(t *testing.T) {
	table := func(declared any) string {
		must(t, settings.Load(declared, dataformat.Dict{}))
		return settings.Table(settings.Describe(declared))
	}
	kept := func(declared any) string {
		must(t, settings.Check(declared))
		must(t, settings.Load(declared, dataformat.Dict{}))
		for _, s := range settings.Describe(declared) {
			if s.Feature == "" {
				t.Errorf("%s waits for nothing", s.Key)
			}
		}
		return settings.KeptTable(settings.Describe(declared))
	}
	page := `# Settings of accounts and domains

Made from the declarations in the code; "go test ./accounts -update" rewrites it.

A setting of an account is looked up in the account itself, then in its class of service (ServiceClass names one of the
ServiceClasses in the account defaults), in the account defaults of its domain, in those of the server, and at last in
the table below. UPDATE commands do not change settings that they do not name, and the value "default" removes an explicit
value. Names may be given in any case. A name that is nearly one of these is refused as misspelt; other names are kept as
attributes of the site's own, unless they look like the name of a password. The template of a domain is not part of this
chain: its values are copied into new accounts.

## Accounts

` + table(new(AccountSettings)) + `
## Domains

A setting of a domain is looked up in the domain itself, then in the domain defaults of the server, then here.

` + table(new(DomainSettings)) + `
## Remote accounts

The records of SETACCOUNTRPOPS, see [rpop.md](rpop.md).

` + settings.Table(RemoteSettings()) + `
## Settings that do nothing yet

They are kept for scripts and for what is to come, checked and inherited like others. The log says so when one is given.

Of accounts:

` + kept(new(keptAccountSettings)) + `
Of domains:

` + kept(new(keptDomainSettings)) + usesText + leftoversText
	const path = "../docs/admin/accounts.md"
	if *update {
		must(t, os.WriteFile(path, []byte(page), 0o644))
	}
	have, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(have, []byte(page)) {
		t.Errorf("%s differs from the declarations (%v); go test ./accounts -update", path, err)
	}
}
