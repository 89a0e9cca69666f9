package webadmin

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatepost/accounts"
	"gatepost/server/admin"
	"gatepost/server/dataformat"
	"gatepost/server/settings"
)

// This file has the pages about one account.

// mailSettings are those of the page Mail of an account; all others are on the page Settings.
var mailSettings = []string{
	"MaxAccountSize", "QuotaSuspend", "QuotaAlert", "QuotaNotice", "MaxMailboxes", "MaxMessageSize", "MaxMailOutSize", "MailInpFlow", "MailOutFlow",
	"MailToAll", "IMAPSeesNonMail", "SenderAddressRequired", "RulesAllowed", "RPOPAllowed", "AddMailTrailer", "ArchiveMessagesAfter",
	"DeleteMessagesAfter", "SearchIndex", "DefaultMailboxType", "ExternalINBOX", "Rules",
}

// calendarSettings are those of the page Calendar Settings.
var calendarSettings = []string{"CalendarUserType", "BookingPolicy", "BookedBy", "Bookers", "BookingHorizon", "BookingMaxLength"}

func isCalendar(s settings.Setting) bool { return slices.Contains(calendarSettings, s.Key) }

func isMail(s settings.Setting) bool { return slices.Contains(mailSettings, s.Key) }

const accountPath = "Users/Domains/{domain}/Objects/{object}"

func accountPages() []*page {
	return []*page{
		{path: accountPath, call: "GETACCOUNTSETTINGS", get: (*call).objectPage},
		formPage(page{path: accountPath + "/Settings", title: "Settings", call: "GETACCOUNTSETTINGS", tab: true,
			post: map[string]func(*call) error{"password": (*call).setPassword}}, (*call).accountForm),
		formPage(page{path: accountPath + "/Mail", title: "Mail Settings", call: "GETACCOUNTSETTINGS", tab: true}, (*call).accountMailForm),
		formPage(page{path: accountPath + "/Calendar Settings", title: "Calendar Settings", call: "GETACCOUNTSETTINGS", tab: true}, (*call).accountCalendarForm),
		{path: accountPath + "/Preferences", title: "Preferences", call: "GETACCOUNTPREFS", tab: true, get: (*call).accountPrefsPage,
			post: map[string]func(*call) error{"update": (*call).setAccountPrefs}},
		{path: accountPath + "/Aliases", title: "Aliases", call: "GETACCOUNTALIASES", tab: true, get: (*call).aliasesPage,
			post: map[string]func(*call) error{"update": (*call).setAliases}},
		{path: mailboxesPath, title: "Mailboxes", call: "LISTMAILBOXES", tab: true, get: (*call).mailboxesPage,
			post: map[string]func(*call) error{"aliases": (*call).setMailboxAliases}},
		{path: sharingPath, title: "Sharing", call: "GETMAILBOXACL", get: (*call).sharingPage,
			post: map[string]func(*call) error{"update": (*call).setSharing, "link": (*call).makeLink, "unlink": (*call).endLink}},
		{path: calendarsPath, title: "Calendars and contacts", call: "LISTCOLLECTIONS", tab: true, get: (*call).calendarsPage,
			post: map[string]func(*call) error{"import": (*call).importItems, "try": (*call).importItems}},
		{path: calendarsPath + "/Export", title: "Export", call: "READITEMS", get: (*call).exportItems},
		{path: devicesPath, title: "Device Passwords", call: "LISTDEVICEPASSWORDS", tab: true, get: (*call).devicesPage,
			post: map[string]func(*call) error{"create": (*call).createDevice, "revoke": (*call).revokeDevice, "revokeall": (*call).revokeDevices}},
		{path: accountPath + "/Access Rights", title: "Access Rights", call: "GETACCOUNTRIGHTS", tab: true, get: (*call).rightsPage,
			post: map[string]func(*call) error{"update": (*call).setRights}},
		{path: accountPath + "/Status", title: "Status", call: "GETACCOUNTINFO", tab: true, get: (*call).statusPage,
			post: map[string]func(*call) error{"kill": (*call).killSessions, "resettotp": (*call).resetTOTP, "rename": (*call).renameAccount}},
		{path: accountPath + "/Remove", title: "Remove Account", call: "DELETEACCOUNT", get: (*call).removeAccountPage,
			post: map[string]func(*call) error{"remove": (*call).removeAccount}},
		{path: "Users/Domains/{domain}/Forwarders/{object}", call: "GETFORWARDER", get: (*call).forwarderPage,
			post: map[string]func(*call) error{"update": (*call).setForwarder, "remove": (*call).removeForwarder}},
	}
}

// objectPage leads to the first page of an object.
func (c *call) objectPage() error {
	return c.redirect(link("Users", "Domains", c.params["domain"], "Objects", c.params["object"], "Settings"))
}

// address is the account as people write it.
func (c *call) address() string { return c.params["object"] + "@" + c.params["domain"] }

// accountExtra is what the page of an account has beside the form.
type accountExtra struct {
	Address                  string
	MayPassword              bool
	PasswordError            string
	MayRemove                bool
	Suspended, NotPostmaster bool
	Remove                   string
}

func (c *call) accountExtra() *accountExtra {
	return &accountExtra{
		Address: c.address(), MayPassword: c.may("SETACCOUNTPASSWORD"), MayRemove: c.may("DELETEACCOUNT"), Suspended: c.Accounts.Suspended(c.params["domain"]),
		Remove:        link("Users", "Domains", c.params["domain"], "Objects", c.params["object"], "Remove"),
		NotPostmaster: c.params["object"] != accounts.Postmaster || c.params["domain"] != c.Accounts.MainDomain(),
	}
}

func (c *call) accountForm() *formOf { return c.accountFormWith(c.accountExtra()) }

func (c *call) accountFormWith(e *accountExtra) *formOf {
	f := c.accountFormOf(func(s settings.Setting) bool { return !isMail(s) && !isCalendar(s) && s.Key != "Password" })
	f.title, f.content, f.extra, f.custom = c.address(), "account", e, true
	return f
}

func (c *call) accountMailForm() *formOf {
	f := c.accountFormOf(isMail)
	f.title = c.T("Mail Settings")
	return f
}

func (c *call) accountCalendarForm() *formOf {
	f := c.accountFormOf(isCalendar)
	f.title = c.T("Calendar Settings")
	return f
}

func (c *call) accountFormOf(only func(settings.Setting) bool) *formOf {
	n := c.target()
	file := ""
	if c.may("GETACCOUNTLOCATION") {
		if dir, err := c.actor.AccountLocation(c.ctx(), n); err == nil {
			file = dir + "/account.settings"
		}
	}
	return &formOf{
		sheet:  func() (*admin.Sheet, error) { return c.actor.AccountSheet(c.ctx(), n) },
		update: func(d dataformat.Dict) error { return c.actor.UpdateAccountSettings(c.ctx(), n, d) },
		only:   only, verb: "UPDATEACCOUNTSETTINGS " + c.address(), file: file,
	}
}

func (c *call) setPassword() error {
	e := c.accountExtra()
	pass := c.r.PostForm.Get("password")
	switch {
	case pass == "":
		e.PasswordError = c.T("The password is empty.")
	case pass != c.r.PostForm.Get("again"):
		e.PasswordError = c.T("The two passwords differ.")
	}
	if e.PasswordError == "" {
		err := c.actor.SetPassword(c.ctx(), c.target(), pass, c.r.PostForm.Has("check"))
		set := c.T("The password is set.")
		if err == nil && c.r.PostForm.Has("revoke") {
			err, set = c.actor.RevokeDevicePasswords(c.ctx(), c.target()), c.T("The password is set, and the device passwords are revoked.")
		}
		if err == nil {
			return c.done(c.r.URL.EscapedPath(), &flash{Text: set, Command: "SETACCOUNTPASSWORD " + c.address() + " PASSWORD ..."})
		}
		if !kept(err) {
			return err
		}
		e.PasswordError = c.reason(err)
	}
	f := c.accountFormWith(e)
	built, err := c.build(f)
	if err != nil {
		return err
	}
	return c.drawForm(http.StatusUnprocessableEntity, f, built)
}

func (c *call) aliasesPage() error {
	list, err := c.actor.AccountAliases(c.ctx(), c.target())
	if err != nil {
		return err
	}
	text := strings.Join(list, "\n")
	return c.drawText(http.StatusOK, "text", c.T("Aliases"), c.aliasesText(text, text))
}

func (c *call) aliasesText(text, was string) *textForm {
	f := &textForm{Text: text, Was: was, Label: c.T("Aliases of %s", c.address()), Help: c.T("Other names of the account in its domain, one per line."),
		Command: "SETACCOUNTALIASES " + c.address() + " " + array(strings.Fields(text)), File: c.domainFile("aliases.data"), Fixed: !c.may("SETACCOUNTALIASES")}
	return f
}

func (c *call) setAliases() error {
	return c.setText("text", c.T("Aliases"), func() (string, error) {
		list, err := c.actor.AccountAliases(c.ctx(), c.target())
		return strings.Join(list, "\n"), err
	}, func(text string) error {
		return c.actor.SetAccountAliases(c.ctx(), c.target(), strings.Fields(text))
	}, c.aliasesText)
}

// prefsOf is the page of an account's preferences.
type prefsOf struct {
	Rows    []prefRow
	Fixed   bool
	Error   string
	Command string
}

type prefRow struct {
	Key, Label, Text, Was, Above string
	Own                          bool
	Choices                      []choice
}

// prefChoices are preferences with a menu.
var prefChoices = map[string][]string{
	"KeepTimeInTrash": {"YES", "NO"}, "DeleteMode": {"Move To Trash", "Mark", "Immediately"}, "WeekStart": {"Mon", "Sun", "Sat"}, "Language": {"English", "Russian"},
}

func (c *call) accountPrefs() (*prefsOf, error) {
	n := c.target()
	explicit, err := c.actor.AccountPrefs(c.ctx(), n)
	if err != nil {
		return nil, err
	}
	all, err := c.actor.AccountEffectivePrefs(c.ctx(), n)
	if err != nil {
		return nil, err
	}
	p := &prefsOf{Fixed: !c.may("UPDATEACCOUNTPREFS"), Command: "UPDATEACCOUNTPREFS " + c.address()}
	s := settings.Setting{Type: "any"}
	for _, key := range slices.Sorted(maps.Keys(all)) {
		if settings.LooksSecret(key) {
			continue
		}
		row := prefRow{Key: key, Label: c.T(label(key)), Text: textOf(s, all[key])}
		_, row.Own = explicit[key]
		row.Was = inherited + row.Text
		if row.Own {
			row.Was = own + row.Text
		}
		values := prefChoices[key]
		if key == "TimeZone" {
			values = zones
		}
		if values != nil {
			row.Choices = choices(values, row.Text)
		}
		p.Rows = append(p.Rows, row)
	}
	return p, nil
}

func (c *call) accountPrefsPage() error {
	p, err := c.accountPrefs()
	if err != nil {
		return err
	}
	return c.show(http.StatusOK, "accountprefs", c.T("Preferences"), p)
}

func (c *call) setAccountPrefs() error {
	c.saving.Lock()
	defer c.saving.Unlock()
	p, err := c.accountPrefs()
	if err != nil {
		return err
	}
	given := dataformat.Dict{}
	for i := range p.Rows {
		row := &p.Rows[i]
		was, text := c.field("was."+row.Key), c.field("f."+row.Key)
		if !c.r.PostForm.Has("was." + row.Key) {
			continue
		}
		ticked := c.r.PostForm.Has("own." + row.Key)
		wasOwn := strings.HasPrefix(was, own)
		switch {
		case wasOwn && !ticked:
			given[row.Key] = dataformat.String("default")
		case !sameText(text, textOfState(was)), !wasOwn && ticked:
			v, err := dataOf(text)
			if err != nil {
				p.Error = row.Key + ": " + c.reason(err)
			}
			given[row.Key] = v
		default:
			continue
		}
		if !sameText(row.Was, was) {
			p.Error = c.T("%s has been changed by somebody else meanwhile: %s", row.Label, row.Text)
		}
		row.Text, row.Own = text, ticked
	}
	if p.Error != "" {
		return c.show(http.StatusUnprocessableEntity, "accountprefs", c.T("Preferences"), p)
	}
	if len(given) == 0 {
		return c.done(c.r.URL.EscapedPath(), &flash{Text: c.T("Nothing has changed.")})
	}
	if err := c.actor.UpdateAccountPrefs(c.ctx(), c.target(), given); err != nil {
		if !kept(err) {
			return err
		}
		p.Error = c.reason(err)
		return c.show(http.StatusUnprocessableEntity, "accountprefs", c.T("Preferences"), p)
	}
	return c.done(c.r.URL.EscapedPath(), &flash{Text: c.T("Stored: %s.", count(c.prefs.Language, len(given), "change")), Command: p.Command + " " + dataformat.Compact(given)})
}

// rightRow is one right of an account.
type rightRow struct {
	Code, Help string
	Have       bool
}

type rightsForm struct {
	Address        string
	Server, Domain []rightRow
	Other          string // codes that are names of settings
	Was            string
	Fixed          bool
	Error          string
	Main           bool
	Command        string
}

// rightHelp says what rights allow.
var rightHelp = map[string]string{
	"Master": "everything, also granting rights", "Settings": "the settings of the server and of its modules", "UserAccounts": "all domains and accounts",
	"Monitor": "queues, sessions, logs and statistics", "Directory": "the directory",
	"Domain":               "administers this domain; the rights below say what",
	"CanAdminOtherDomains": "also administers domains whose Administrator Domain is this one",
	"BasicSettings":        "name, password and login settings of accounts", "WebUserSettings": "preferences of accounts",
	"CanCreateAccounts": "creates, renames and removes accounts", "CanCreateAliases": "sets aliases of accounts", "CanCreateForwarders": "makes forwarders",
	"CanCreateGroups": "makes groups", "CanCreateLists": "makes mailing lists", "CanAccessLists": "administers mailing lists",
	"CanAccessMailboxes": "opens the mailboxes of accounts", "CanImpersonate": "acts on behalf of accounts", "RulesAllowed": "edits mail rules of accounts",
	"CanModifyRPOP": "edits remote POP records of accounts",
}

func (c *call) rightsForm() (*rightsForm, error) {
	have, err := c.actor.AccountRights(c.ctx(), c.target())
	if err != nil {
		return nil, err
	}
	f := &rightsForm{Address: c.address(), Main: c.params["domain"] == c.Accounts.MainDomain(), Was: strings.Join(have, " "), Command: "SETACCOUNTRIGHTS " + c.address()}
	// Rights in the Main Domain are Master's.
	f.Fixed = !c.may("SETACCOUNTRIGHTS") || f.Main && !c.may("GETACCOUNTPLAINPASSWORD")
	f.fill(have, c)
	return f, nil
}

func (f *rightsForm) fill(have []string, c *call) {
	f.Server, f.Domain = nil, nil
	known := map[string]bool{}
	row := func(code string) rightRow {
		known[code] = true
		return rightRow{code, c.T(rightHelp[code]), slices.Contains(have, code)}
	}
	for _, code := range accounts.ServerRights() {
		r := row(code)
		if f.Main {
			f.Server = append(f.Server, r)
		}
	}
	for _, code := range accounts.DomainRights() {
		f.Domain = append(f.Domain, row(code))
	}
	var other []string
	for _, code := range have {
		if !known[code] {
			other = append(other, code)
		}
	}
	f.Other = strings.Join(other, "\n")
}

func (c *call) rightsPage() error {
	f, err := c.rightsForm()
	if err != nil {
		return err
	}
	return c.show(http.StatusOK, "rights", c.T("Access Rights"), f)
}

func (c *call) setRights() error {
	c.saving.Lock()
	defer c.saving.Unlock()
	f, err := c.rightsForm()
	if err != nil {
		return err
	}
	want := append(slices.Clone(c.r.PostForm["right"]), strings.Fields(c.field("other"))...)
	now := f.Was
	f.fill(want, c)
	if now != c.field("was") {
		f.Error = c.T("somebody else has changed this meanwhile") + ": " + now
		return c.show(http.StatusUnprocessableEntity, "rights", c.T("Access Rights"), f)
	}
	if err := c.actor.SetAccountRights(c.ctx(), c.target(), want); err != nil {
		if !kept(err) {
			return err
		}
		f.Error = c.reason(err)
		return c.show(http.StatusUnprocessableEntity, "rights", c.T("Access Rights"), f)
	}
	return c.done(c.r.URL.EscapedPath(), &flash{
		Text: c.T("The rights are stored."), Command: f.Command + " " + array(want), File: c.domainFile("access.settings"),
		Changes: []change{{c.T("Access Rights"), "rights", now, strings.Join(want, " ")}},
	})
}

// statusOf is the page of what an account has used.
type statusOf struct {
	Address           string
	Rows              [][2]string
	Storage, Limit    int64
	Percent           int
	LastLogin         time.Time
	MayKill           bool
	MayRename         bool
	MayRemove         bool
	Remove            string
	NewName, NewError string
	Location          string
	Known             []string
	TwoStep, MayReset bool
	Recovery          int
}

func (c *call) statusOf() (*statusOf, error) {
	n := c.target()
	info, err := c.actor.AccountInfo(c.ctx(), n)
	if err != nil {
		return nil, err
	}
	s := &statusOf{Address: c.address(), NewName: c.params["object"], MayKill: c.may("KILLACCOUNTSESSIONS"), MayRename: c.may("RENAMEACCOUNT"), MayRemove: c.may("DELETEACCOUNT"), Limit: -1,
		Remove: link("Users", "Domains", c.params["domain"], "Objects", c.params["object"], "Remove")}
	s.Storage, _ = strconv.ParseInt(info.String("StorageUsed"), 10, 64)
	if v, err := c.actor.AccountSetting(c.ctx(), n, "MaxAccountSize"); err == nil && v != nil {
		t, _ := dataformat.Text(v)
		if limit, err := settings.ParseSize(t); err == nil && limit > 0 {
			s.Limit = int64(limit)
			s.Percent = int(min(100, s.Storage*100/int64(limit)))
		}
	}
	if t, ok := info["LastLogin"].(dataformat.Time); ok {
		s.LastLogin = t.T
	}
	for _, key := range []string{"LastAddress", "MessagesStored", "Mailboxes", "AccountID"} {
		if t := info.String(key); t != "" {
			s.Rows = append(s.Rows, [2]string{c.T(label(key)), t})
		}
	}
	if known, ok := info["LoginAddresses"].(dataformat.Dict); ok {
		s.Known = slices.Sorted(maps.Keys(known))
	}
	if s.TwoStep, s.Recovery, err = c.actor.SecondFactor(c.ctx(), n); err != nil {
		return nil, err
	}
	s.MayReset = s.TwoStep && c.may("RESETACCOUNTTOTP")
	if c.may("GETACCOUNTLOCATION") {
		if s.Location, err = c.actor.AccountLocation(c.ctx(), n); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (c *call) statusPage() error {
	s, err := c.statusOf()
	if err != nil {
		return err
	}
	return c.show(http.StatusOK, "status", c.T("Status"), s)
}

func (c *call) killSessions() error {
	if err := c.actor.KillSessions(c.ctx(), c.target()); err != nil {
		return err
	}
	return c.done(c.r.URL.EscapedPath(), &flash{Text: c.T("All sessions of %s are closed.", c.address()), Command: "KILLACCOUNTSESSIONS " + c.address()})
}

func (c *call) resetTOTP() error {
	n := c.target()
	a, err := c.Accounts.Resolve(c.ctx(), n.Domain, n.Local) // its address may be spelt in many ways
	if err != nil {
		return err
	}
	if a.ID == c.q.Account.ID { // one's own needs a code
		return c.redirect("/" + totpPath)
	}
	if err := c.actor.ResetSecondFactor(c.ctx(), n); err != nil {
		return err
	}
	return c.done(c.r.URL.EscapedPath(), &flash{Text: c.T("The two-step login of %s is off.", c.address()), Command: "RESETACCOUNTTOTP " + c.address()})
}

func (c *call) renameAccount() error {
	to := admin.ParseName(strings.ToLower(strings.TrimSpace(c.field("name"))))
	if to.Domain == "" {
		to.Domain = c.params["domain"]
	}
	if err := c.actor.RenameAccount(c.ctx(), c.target(), to, admin.Storage{}); err != nil {
		if !kept(err) {
			return err
		}
		s, again := c.statusOf()
		if again != nil {
			return again
		}
		s.NewName, s.NewError = c.field("name"), c.reason(err)
		return c.show(http.StatusUnprocessableEntity, "status", c.T("Status"), s)
	}
	return c.done(link("Users", "Domains", to.Domain, "Objects", to.Local, "Status"), &flash{
		Text: c.T("The account is called %s now.", to.Local+"@"+to.Domain), Command: "RENAMEACCOUNT " + c.address() + " INTO " + to.Local + "@" + to.Domain})
}

func (c *call) accountRemoval() (*removal, error) {
	s, err := c.statusOf()
	if err != nil {
		return nil, err
	}
	return &removal{
		What: c.T("the account"), Name: c.params["object"], Command: "DELETEACCOUNT " + c.address(),
		Back:  link("Users", "Domains", c.params["domain"], "Objects", c.params["object"], "Status"),
		Lines: []string{c.T("its mail, %s", sizeText(c.prefs.Language, s.Storage)), c.T("its settings, aliases and rights")},
	}, nil
}

func (c *call) removeAccountPage() error {
	r, err := c.accountRemoval()
	if err != nil {
		return err
	}
	return c.show(http.StatusOK, "remove", c.T("Remove Account"), r)
}

func (c *call) removeAccount() error {
	r, err := c.accountRemoval()
	if err != nil {
		return err
	}
	if r.Typed = strings.TrimSpace(c.field("name")); !strings.EqualFold(r.Typed, r.Name) {
		r.Error = c.T("This is not the name. Nothing was removed.")
		return c.show(http.StatusUnprocessableEntity, "remove", c.T("Remove Account"), r)
	}
	if err := c.actor.DeleteAccount(c.ctx(), c.target()); err != nil {
		if !kept(err) {
			return err
		}
		r.Error = c.reason(err)
		return c.show(http.StatusUnprocessableEntity, "remove", c.T("Remove Account"), r)
	}
	return c.done(link("Users", "Domains", c.params["domain"], "Objects"), &flash{Text: c.T("The account %s is removed.", c.address()), Command: r.Command})
}

// forwarderOf is the page of a forwarder.
type forwarderOf struct {
	Address, Name, Target, Error string
	Fixed                        bool
	Back                         string
}

func (c *call) forwarderOf() (*forwarderOf, error) {
	target, err := c.actor.Forwarder(c.ctx(), c.target())
	if err != nil {
		return nil, err
	}
	return &forwarderOf{Address: c.address(), Name: c.params["object"], Target: target, Fixed: !c.may("DELETEFORWARDER"), Back: link("Users", "Domains", c.params["domain"], "Objects")}, nil
}

func (c *call) forwarderPage() error {
	f, err := c.forwarderOf()
	if err != nil {
		return err
	}
	return c.show(http.StatusOK, "forwarder", c.address(), f)
}

// setForwarder gives a forwarder another name.
func (c *call) setForwarder() error {
	f, err := c.forwarderOf()
	if err != nil {
		return err
	}
	name := strings.ToLower(strings.TrimSpace(c.field("name")))
	if err := c.actor.RenameForwarder(c.ctx(), c.target(), name); err != nil {
		if !kept(err) {
			return err
		}
		f.Name, f.Error = name, c.reason(err)
		return c.show(http.StatusUnprocessableEntity, "forwarder", c.address(), f)
	}
	return c.done(link("Users", "Domains", c.params["domain"], "Forwarders", name), &flash{Text: c.T("The forwarder is called %s now.", name), Command: "RENAMEFORWARDER " + c.address() + " INTO " + name})
}

func (c *call) removeForwarder() error {
	if err := c.actor.DeleteForwarder(c.ctx(), c.target()); err != nil {
		return err
	}
	return c.done(link("Users", "Domains", c.params["domain"], "Objects"), &flash{Text: c.T("The forwarder %s is removed.", c.address()), Command: "DELETEFORWARDER " + c.address()})
}
