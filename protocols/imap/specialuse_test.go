package imap

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gatepost/server/dataformat"
)

// uses lists the mailboxes with a special use, as "name attribute ...", sorted.
func (c *client) uses() string {
	c.t.Helper()
	c.send("u LIST (SPECIAL-USE) \"\" \"*\"\r\n")
	var list []string
	for {
		l := c.line()
		attrs, name, found := strings.Cut(strings.TrimPrefix(l, "* LIST ("), `) "/" `)
		if !found {
			if l != "u OK LIST completed" {
				c.t.Error(l)
			}
			slices.Sort(list)
			return strings.Join(list, ", ")
		}
		for _, a := range strings.Fields(attrs) {
			if !strings.HasPrefix(a, `\Has`) {
				name += " " + a
			}
		}
		list = append(list, name)
	}
}

// ask sends a command and returns its tagged answer without the tag.
func (c *client) ask(command string) string {
	c.t.Helper()
	c.send("t " + command + "\r\n")
	return strings.TrimPrefix(c.until("t "), "t ")
}

func (c *client) wantUses(want ...string) {
	c.t.Helper()
	if got := c.uses(); got != strings.Join(want, ", ") {
		c.t.Errorf("uses %s, want %s", got, strings.Join(want, ", "))
	}
}

func (c *client) wantOK(commands ...string) {
	c.t.Helper()
	for _, command := range commands {
		if got := c.ask(command); !strings.HasPrefix(got, "OK") {
			c.t.Errorf("%s: %s", command, got)
		}
	}
}

// prefs changes preferences; own are those of user1, the others are the domain's.
func (f *fixture) prefs(t *testing.T, own bool, text string) {
	t.Helper()
	v, err := dataformat.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if own {
		err = f.acc.AccountPrefs("", "user1").Update(t.Context(), v.(dataformat.Dict))
	} else {
		err = f.acc.AccountDefaultPrefs("").Update(t.Context(), v.(dataformat.Dict))
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (f *fixture) wantPrefs(t *testing.T, want string) {
	t.Helper()
	d, err := f.acc.AccountPrefs("", "user1").Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := dataformat.Compact(d); got != want {
		t.Errorf("preferences %s, want %s", got, want)
	}
}

func TestSpecialUseFollowsThePreferences(t *testing.T) {
	f := start(t)
	c := f.connect(t)
	f.logIn(c)
	const archive, drafts, junk, trash = `"Archive" \Archive`, `"Drafts" \Drafts`, `"Junk" \Junk`, `"Trash" \Trash`
	c.wantUses(archive, drafts, junk, `"Sent Items" \Sent`, trash)

	f.prefs(t, true, "{SentBox=MySent;}")
	c.wantUses(archive, drafts, junk, trash) // the mailbox is not there yet
	c.wantOK("CREATE MySent")
	c.wantUses(archive, drafts, junk, `"MySent" \Sent`, trash)
	f.prefs(t, true, "{SentBox=default;}")
	c.wantUses(archive, drafts, junk, `"Sent Items" \Sent`, trash)
	f.prefs(t, false, "{SentBox=MySent;TrashBox=Junk;}")
	c.wantUses(archive, drafts, `"Junk" \Junk \Trash`, `"MySent" \Sent`)
	f.prefs(t, false, `{SentBox="~/Sent Items";TrashBox=default;}`)
	c.wantUses(archive, drafts, junk, `"Sent Items" \Sent`, trash)
	f.prefs(t, false, `{SentBox="~public/Sent";DraftsBox="";JunkBox=(a,b);ArchiveBox="a*";TrashBox="dir";}`)
	c.wantOK("CREATE dir/") // a directory holds no messages
	c.wantUses()
}

func TestMailboxThatIsMadeAnewHasItsUse(t *testing.T) {
	f := start(t)
	c := f.connect(t)
	f.logIn(c)
	before := c.uses()
	c.wantOK("DELETE Trash", "CREATE Trash")
	c.wantUses(before)
	c.wantOK("DELETE Trash", `CREATE Trash (USE (\Trash))`)
	c.wantUses(before)
	f.wantPrefs(t, "{}") // it is what the account inherits
}

func TestCreateWithAUseSetsThePreference(t *testing.T) {
	f := start(t)
	c := f.connect(t)
	f.logIn(c)
	c.wantOK(`CREATE "&BBwEQwRBBD4EQA-" (USE (\trash))`, `CREATE a/b/Sent (USE (\Sent))`)
	c.wantUses(`"&BBwEQwRBBD4EQA-" \Trash`, `"Archive" \Archive`, `"Drafts" \Drafts`, `"Junk" \Junk`, `"a/b/Sent" \Sent`)
	f.wantPrefs(t, `{SentBox="a/b/Sent";TrashBox="Мусор";}`)
}

func TestCreateWithAUseThatCannotBeGiven(t *testing.T) {
	f := start(t)
	c := f.connect(t)
	f.logIn(c)
	before := c.uses()
	for command, want := range map[string]string{
		`CREATE a (USE (\All))`:           "NO [USEATTR] ",
		`CREATE a (USE (\Flagged))`:       "NO [USEATTR] ",
		`CREATE a (USE (\Nonsense))`:      "NO [USEATTR] ",
		`CREATE a (USE (\Sent \Drafts))`:  "NO [USEATTR] ",
		`CREATE a/ (USE (\Sent))`:         "NO [USEATTR] ",
		`CREATE Drafts (USE (\Sent))`:     "NO [ALREADYEXISTS] ",
		`CREATE "a*b" (USE (\Sent))`:      "NO [CANNOT] ",
		`STATUS a (MESSAGES)`:             "NO [NONEXISTENT] ",
		`CREATE INBOX (USE (\Important))`: "NO [USEATTR] ",
	} {
		if got := c.ask(command); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s, want %s", command, got, want)
		}
	}
	c.wantUses(before)
	f.wantPrefs(t, "{}")
}

func TestUseFollowsARename(t *testing.T) {
	const archive, drafts, junk, sent, trash = `"Archive" \Archive`, `"Drafts" \Drafts`, `"Junk" \Junk`, `"Sent Items" \Sent`, `"Trash" \Trash`
	for name, test := range map[string]struct {
		commands []string
		uses     []string
		prefs    string
	}{
		"by its name":           {[]string{"RENAME Trash Bin"}, []string{archive, `"Bin" \Trash`, drafts, junk, sent}, "{TrashBox=Bin;}"},
		"back again":            {[]string{"RENAME Trash Bin", "RENAME Bin Trash"}, []string{archive, drafts, junk, sent, trash}, "{}"},
		"of what it is in":      {[]string{`CREATE x/y (USE (\Sent))`, "RENAME x z"}, []string{archive, drafts, junk, trash, `"z/y" \Sent`}, `{SentBox="z/y";}`},
		"of several":            {[]string{`CREATE x/y (USE (\Sent))`, `CREATE x/w (USE (\Trash))`, "RENAME x z"}, []string{archive, drafts, junk, `"z/w" \Trash`, `"z/y" \Sent`}, `{SentBox="z/y";TrashBox="z/w";}`},
		"of another one":        {[]string{"CREATE Sent", "RENAME Sent Other"}, []string{archive, drafts, junk, sent, trash}, "{}"},
		"of INBOX, which stays": {[]string{"CREATE INBOX/x (USE (\\Sent))", "RENAME INBOX Old"}, []string{archive, drafts, `"INBOX/x" \Sent`, junk, trash}, `{SentBox="INBOX/x";}`},
		"not into the Trash":    {[]string{"RENAME Archive Trash/Archive"}, []string{drafts, junk, sent, trash}, "{}"},
		"and out of it":         {[]string{"RENAME Archive Trash/Archive", "RENAME Trash/Archive Archive"}, []string{archive, drafts, junk, sent, trash}, "{}"},
		"nor when it fails":     {[]string{"RENAME Trash Junk"}, []string{archive, drafts, junk, sent, trash}, "{}"},
		"nor to what is there":  {[]string{"DELETE Archive", "CREATE Archive/", "CREATE x", "RENAME Archive x"}, []string{drafts, junk, sent, trash}, "{}"},
	} {
		t.Run(name, func(t *testing.T) {
			f := start(t)
			c := f.connect(t)
			f.logIn(c)
			for _, command := range test.commands {
				if got := c.ask(command); !strings.HasPrefix(got, "OK") != (name == "nor when it fails") {
					t.Errorf("%s: %s", command, got)
				}
			}
			c.wantUses(test.uses...)
			f.wantPrefs(t, test.prefs)
		})
	}
}

// TestUsesCostNoReading: what LIST needs to know of the account is in memory.
func TestUsesCostNoReading(t *testing.T) {
	f := start(t)
	c := f.connect(t)
	f.logIn(c)
	f.prefs(t, true, "{SentBox=Drafts;}")
	before := c.uses()
	acc, err := f.acc.Account(t.Context(), "", "user1")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(acc.Dir(), "account.settings")
	if err := os.Rename(file, file+".away"); err != nil {
		t.Fatal(err)
	}
	c.wantUses(before)
	if err := os.Rename(file+".away", file); err != nil {
		t.Fatal(err)
	}
}
