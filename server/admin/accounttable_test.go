package admin

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"gatepost/accounts"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// importTable imports a table whose lines are separated by |, and returns what came of them.
func (s *site) importTable(actor Actor, options AccountImportOptions, table string) string {
	s.t.Helper()
	lines := strings.Split(table, "|")
	im, err := actor.ImportAccounts(ctx, "own.com", lines[0], options)
	if err != nil {
		return "refused: " + fault.Text(err)
	}
	var rows []AccountRow
	for i, l := range lines[1:] {
		rows = append(rows, AccountRow{i + 2, l})
	}
	results, err := im.Rows(ctx, rows)
	must(s.t, err)
	var out []string
	for _, r := range results {
		text := fmt.Sprintf("%d %s %s", r.Line, r.Name, r.Outcome)
		if r.Reason != "" {
			text += ": " + r.Reason
		}
		out = append(out, text)
	}
	for _, n := range im.Notes() {
		out = append(out, "note: "+n)
	}
	return strings.Join(out, "|")
}

func TestTablesOfAccounts(t *testing.T) {
	for name, c := range map[string]struct {
		table, want string
		options     AccountImportOptions
	}{
		"first line alone":           {table: "Name\tPassword", want: ""},
		"nothing":                    {table: "", want: "refused: the first line is empty: it has to name the columns"},
		"names in any case":          {table: "name\tPASSWORD\trealNAME|a\tx\tA B", want: "2 a created"},
		"byte order mark":            {table: "\ufeffName\tRealName|a\tA", want: "2 a created"},
		"CRLF":                       {table: "Name\tRealName\r|a\tA\r", want: "2 a created"},
		"empty lines":                {table: "Name||\t|a", want: "4 a created"},
		"space after a name":         {table: "Name \tPassword|a\tx", want: `refused: unknown column "Name ": there are spaces around the name`},
		"a TAB too many":             {table: "Name\t|a\t", want: `refused: unknown column "": it is empty, a TAB too many`},
		"unknown column":             {table: "Name\tFoo|a\tx", want: `refused: unknown column "Foo"; is it an attribute of your own?`},
		"misspelt column":            {table: "Name\tRealNmae|a\tx", want: `refused: unknown column "RealNmae"; is RealName meant?`},
		"own attribute":              {table: "Name\ttelephoneNumber|a\t403", want: "2 a created", options: AccountImportOptions{Attributes: []string{"TelephoneNumber"}}},
		"attribute like a password":  {table: "Name\toldpassword|a\tx", want: `refused: "oldpassword" cannot be an attribute of accounts`, options: AccountImportOptions{Attributes: []string{"oldpassword"}}},
		"column twice":               {table: "Name\tCity\tname|a", want: `refused: unknown column "City"; is it an attribute of your own?`},
		"name twice":                 {table: "Name\tRealName\tname|a", want: "refused: the column name is there twice"},
		"no name":                    {table: "RealName|A", want: "refused: the first line has no column Name; between two columns there has to be a TAB"},
		"second factor":              {table: "Name\tWebAdminTOTP", want: "refused: the column WebAdminTOTP cannot be imported: a second factor is set up with a code"},
		"skipped columns":            {table: "Name\t-x\tIgnore\tIgnore|a\tb\tc\td", want: "2 a created"},
		"too many fields":            {table: "Name|a\tb", want: "2 a refused: the line has 2 fields, the first line 1 columns"},
		"too few fields":             {table: "Name\tRealName\tPassword|a", want: "2 a created"},
		"line without a name":        {table: "RealName\tName|A", want: "2  refused: the line has no name"},
		"own domain":                 {table: "Name|a@own.com", want: "2 a@own.com created"},
		"other domain":               {table: "Name|a@other.com", want: "2 a@other.com refused: the name is of another domain: the accounts go to own.com"},
		"bad name":                   {table: "Name|a b", want: `2 a b refused: "a b" is not a valid object name`},
		"bad size":                   {table: "Name\tMaxAccountSize|a\tlots|b\t10M", want: "2 a refused: MaxAccountSize: \"lots\" is not a size (such as 512K, 10M or unlimited)|3 b created"},
		"exists":                     {table: "Name|a|user|b", want: "2 a created|3 user exists: account with this name already exists|4 b created"},
		"exists, stop":               {table: "Name|a|user|b", want: "2 a created|3 user exists: account with this name already exists", options: AccountImportOptions{Stop: true, DryRun: true}},
		"twice in the table":         {table: "Name|a|A", want: "2 a created|3 A refused: line 2 has the name A already", options: AccountImportOptions{DryRun: true}},
		"stop at a bad line":         {table: "Name\tMaxAccountSize|a\tx\ty|b", want: "2 a refused: the line has 3 fields, the first line 2 columns", options: AccountImportOptions{Stop: true}},
		"aliases":                    {table: "Name\tAliases|a\ta1, a2", want: "2 a created"},
		"alias that is taken":        {table: "Name\tAliases|a\tx,user", want: "2 a partly: created without its aliases: account with this name already exists"},
		"alias that is taken, tried": {table: "Name\tAliases|a\tx,user", want: "2 a exists: alias user: account with this name already exists", options: AccountImportOptions{DryRun: true}},
		"alias twice":                {table: "Name\tAliases|a\tx|b\ty,x", want: "2 a created|3 b partly: created without its aliases: object with this name already exists"},
		"alias with a domain":        {table: "Name\tAliases|a\tx@other.com", want: "2 a refused: Aliases: x@other.com: aliases are names in the domain of the account, without it"},
		"no such list":               {table: "Name\tMailingLists|a\tnews", want: "2 a partly: created without its mailing lists: news: unknown mailing list"},
		"storage":                    {table: "Name\tStorage|a\t|b\tfast", want: "2 a created|3 b refused: Storage: storage paths are not supported"},
		"type":                       {table: "Name\tType|a\tMultiMailbox|b\tAGrade|c\tTextMailbox|d\tOdd", want: "2 a created|3 b created|4 c created|5 d refused: Type: \"Odd\" is not a type of accounts, such as MultiMailbox|note: all accounts have one form of storage, with several mailboxes"},
		"crypt":                      {table: "Name\tUnixPassword|a\t$1$abcdefgh$aaaaaaaaaaaaaaaaaaaaaa|b\tabJnggxhB/yWI", want: "2 a created|3 b refused: UnixPassword: this form cannot be compared with a password ($1$, $2$, $5$ and $6$ can): leave it out and give the account a new password"},
		"vendor's form":              {table: "Name\tPassword|a\t\x02abc", want: "2 a refused: Password: the encrypted form of another server, whose algorithm is not published: leave it out and give the account a new password"},
		"not UTF-8":                  {table: "Name\tRealName|a\t\xc0\xe1", want: "2 a refused: the line is not UTF-8"},
		"kept setting":               {table: "Name\tQuotaAlert|a\t70|b\t70", want: "2 a created|3 b created|note: QuotaAlert is kept and does nothing yet; it waits for alerts"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			if got := s.importTable(s.owner(), c.options, c.table); got != c.want {
				t.Errorf("\n%s\nwant\n%s", strings.ReplaceAll(got, "|", "\n"), strings.ReplaceAll(c.want, "|", "\n"))
			}
		})
	}
}

func TestATableSetsWhatItSays(t *testing.T) {
	s := newSite(t)
	got := s.importTable(s.owner(), AccountImportOptions{Attributes: []string{"note"}},
		"Name\tRealName\tPassword\tAccessModes\tMailInpFlow\tBookers\tMaxAccountSize\tLanguage\tnote\tAliases\tTelnums\tPasswordEncryption|"+
			"u\t\"Сидор\" \\ Q\t p\"w\\ \tMail,IMAP\t20 in 15s\ta@x,b@y\t10M\tRussian\t{a=1;}\tuu\t+74951234567\tA-crpt")
	if got != "2 u created" {
		t.Fatal(got)
	}
	d, err := s.owner().AccountSettings(ctx, Name{"u", "own.com"})
	must(t, err)
	delete(d, "Password")
	if got, want := dataformat.Compact(d), `{AccessModes=(`+strconv.Itoa(len(accounts.ServiceNames()))+`,Mail,IMAP);Bookers=(a@x,b@y);MailInpFlow=(20,15s);MaxAccountSize=10M;PasswordEncryption=A-crpt;RealName="\"Сидор\" \\ Q";note={a=1;};}`; got != want {
		t.Errorf("%s, not\n%s", got, want)
	}
	must(t, s.owner().VerifyPassword(ctx, Name{"u", "own.com"}, " p\"w\\ "))
	prefs, err := s.owner().AccountPrefs(ctx, Name{"u", "own.com"})
	must(t, err)
	if dataformat.Compact(prefs) != "{Language=Russian;}" {
		t.Error(dataformat.Compact(prefs))
	}
	aliases, err := s.owner().AccountAliases(ctx, Name{"u", "own.com"})
	must(t, err)
	if !slices.Equal(aliases, []string{"uu"}) {
		t.Error(aliases)
	}
}

// exported is the table of a domain, and what it lacks.
func (s *site) exported(actor Actor, domain string) (table string, lacks []string) {
	s.t.Helper()
	columns, err := actor.ExportColumns(ctx, domain)
	must(s.t, err)
	table = strings.Join(columns, "\t")
	for after := ""; ; {
		lines, err := actor.ExportAccounts(ctx, domain, columns, after)
		must(s.t, err)
		if len(lines) == 0 {
			return table, lacks
		}
		for _, l := range lines {
			table, after = table+"|"+l.Text, l.Name
			if l.Lacks != "" {
				lacks = append(lacks, l.Name+": "+l.Lacks)
			}
		}
	}
}

func TestAnExportedTableMakesEqualAccounts(t *testing.T) {
	from, to := newSite(t), newSite(t)
	must(t, to.owner().DeleteAccount(ctx, Name{"user", "own.com"}))
	odd := dict(t, `{RealName="(a)";note="line\eline";tab="a\tb";object="{a=1;}";quotes="\"(x)\"";plain="\"x\"";number=#5;
		list=(a,(b,"c,d"));Password=secret;AccessModes=(2,Mail,IMAP);MailInpFlow=(20,15);Bookers=("a@x","b@y");
		Rules=((5,mark,((Subject,is,x)),((Mark,Flagged))));WebUserPrefs={Language=Russian;};}`)
	must(t, from.owner().CreateAccount(ctx, Name{"odd", "own.com"}, odd, Storage{}))
	must(t, from.owner().SetAccountAliases(ctx, Name{"odd", "own.com"}, []string{"o1", "o2"}))
	must(t, from.owner().CreateAccount(ctx, Name{"clear", "own.com"}, dict(t, `{PasswordEncryption=clear;Password="p w";}`), Storage{}))
	must(t, from.owner().CreateAccount(ctx, Name{"sealed", "own.com"}, dict(t, `{PasswordEncryption="A-crpt";Password="{SHA}x";}`), Storage{}))
	must(t, from.owner().CreateAccount(ctx, Name{"none", "own.com"}, nil, Storage{}))
	table, lacks := from.exported(from.owner(), "own.com")
	if lacks != nil {
		t.Error(lacks)
	}
	attributes := []string{"note", "tab", "object", "quotes", "plain", "number", "list"}
	if got := to.importTable(to.owner(), AccountImportOptions{Attributes: attributes, Stop: true}, table); got != "2 clear created|3 none created|4 odd created|5 sealed created|6 user created" {
		t.Fatal(got)
	}
	again, _ := to.exported(to.owner(), "own.com")
	if again != table {
		t.Errorf("there:\n%s\nhere:\n%s", strings.ReplaceAll(again, "|", "\n"), strings.ReplaceAll(table, "|", "\n"))
	}
	for name, password := range map[string]string{"odd": "secret", "clear": "p w", "sealed": "{SHA}x"} {
		must(t, to.owner().VerifyPassword(ctx, Name{name, "own.com"}, password))
	}
	if got := to.importTable(to.owner(), AccountImportOptions{Attributes: attributes}, table); strings.Count(got, "exists") != 5+5 {
		t.Error(got)
	}
}

func TestWhatADomainAdministratorMayImportAndExport(t *testing.T) {
	s := newSite(t)
	a := s.as("adm", "own.com", "Domain", "CanCreateAccounts", "BasicSettings")
	if got := s.importTable(a, AccountImportOptions{}, "Name\tMaxAccountSize|x\t1M"); got != "refused: you may not set MaxAccountSize of accounts of the domain" {
		t.Error(got)
	}
	if got := s.importTable(a, AccountImportOptions{}, "Name\tRealName\tPassword\tAliases|x\tX\tpw\tx1"); got != "2 x partly: created without its aliases: access denied" {
		t.Error(got)
	}
	if _, err := a.ImportAccounts(ctx, "other.com", "Name", AccountImportOptions{}); !fault.Is(err, fault.Denied) {
		t.Error(err)
	}
	table, lacks := s.exported(a, "own.com")
	if strings.Contains(table, "{GP1}") || !slices.Equal(lacks, []string{"x: the password, which you may not see"}) {
		t.Error(table, lacks)
	}
}

func TestAnImportThatWasKilledGoesOn(t *testing.T) {
	s := newSite(t)
	const table = "Name\tAliases|a\ta1|b\tb1"
	if got := s.importTable(s.owner(), AccountImportOptions{}, "Name|a"); got != "2 a created" {
		t.Fatal(got)
	}
	if got := s.importTable(s.owner(), AccountImportOptions{}, table); got != "2 a exists: account with this name already exists; it has no alias a1|3 b created" {
		t.Error(got)
	}
}
