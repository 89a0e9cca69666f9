package admin

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"gatepost/accounts"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
	"gatepost/server/settings"
)

// This file has the columns of a table of accounts:
//
//	Name           the name of the account, which is required; with a domain only if it is that of the import
//	Password       the password, or the stored form of one
//	UnixPassword   a string of crypt(3)
//	Aliases        aliases, with commas between them
//	Telnums        telephone numbers, the same
//	MailingLists   mailing lists of the domain, the same
//	Type, Storage  as CREATEACCOUNT takes them
//	Ignore, -any   skipped
//	other names    settings, preferences, and the site's own attributes
//
// A field is the text of the value, without quotes and escapes. If it begins with one of ( { [ # and parses as an
// object of the data format, it is that object, but for settings that are texts. A text that no field can hold as it
// is, with a TAB or a line end in it, is written as a quoted string of the data format, and so is one that would be
// taken for an object or such a string; any other text in quotes is what it is. A password is always what it is.

type columnKind int

const (
	settingColumn columnKind = iota
	nameColumn
	passwordColumn
	cryptColumn
	aliasesColumn
	telnumsColumn
	listsColumn
	typeColumn
	storageColumn
	prefColumn
	ignoredColumn
)

// columnKinds are the columns that are no settings, by their folded names.
var columnKinds = map[string]columnKind{
	"name": nameColumn, "password": passwordColumn, "unixpassword": cryptColumn, "aliases": aliasesColumn, "telnums": telnumsColumn,
	"mailinglists": listsColumn, "type": typeColumn, "storage": storageColumn, "ignore": ignoredColumn,
}

// accountTypes are the types of accounts that scripts ask for. All have one form here.
var accountTypes = []string{"multimailbox", "textmailbox", "maildirmailbox", "slicedmailbox", "agrade", "bgrade", "cgrade"}

// accountColumn is a column of a table.
type accountColumn struct {
	title string // as the first line has it
	kind  columnKind
	// declared is the setting or preference; for an attribute of the site it has just the Key.
	declared settings.Setting
}

// accountColumns reads the first line of a table. Errors: Invalid, Denied for a setting that the actor may not change.
func (o *operation) accountColumns(header string, attributes []string) ([]accountColumn, error) {
	const op = "admin.ImportAccounts"
	header = strings.TrimRight(strings.TrimPrefix(header, "\ufeff"), "\r\n")
	switch {
	case header == "":
		return nil, fault.New(op, fault.Invalid, "the first line is empty: it has to name the columns")
	case !utf8.ValidString(header) || strings.ContainsRune(header, 0):
		return nil, fault.New(op, fault.Invalid, "the table is not UTF-8")
	}
	known, err := o.siteAttributes(attributes)
	if err != nil {
		return nil, err
	}
	var list []accountColumn
	seen := map[string]bool{}
	for title := range strings.SplitSeq(header, "\t") {
		c, err := o.accountColumn(title, known)
		if err != nil {
			return nil, err
		}
		if c.kind != ignoredColumn {
			key := strings.ToLower(title)
			if seen[key] {
				return nil, fault.Newf(op, fault.Invalid, "the column %s is there twice", title)
			}
			seen[key] = true
		}
		list = append(list, c)
	}
	if !seen["name"] {
		return nil, fault.New(op, fault.Invalid, "the first line has no column Name; between two columns there has to be a TAB")
	}
	return list, nil
}

func (o *operation) accountColumn(title string, attributes *settings.Names) (accountColumn, error) {
	const op = "admin.ImportAccounts"
	c := accountColumn{title: title}
	var right string
	switch kind, special := columnKinds[strings.ToLower(title)]; {
	case strings.HasPrefix(title, "-"):
		c.kind = ignoredColumn
	case special:
		c.kind = kind
		right = map[columnKind]string{passwordColumn: "Password", cryptColumn: "Password"}[kind]
	default:
		var known bool
		if c.declared, known = accounts.AccountSettingNames().Find(title); !known {
			if c.declared, known = accounts.PreferenceNames().Find(title); known {
				c.kind = prefColumn
			} else if c.declared, known = attributes.Find(title); !known {
				return c, unknownColumn(title)
			}
		}
		if right = c.declared.Key; c.kind == prefColumn {
			right = accounts.KeyPrefs
		}
		if right == accounts.KeySecondFactor {
			return c, fault.Newf(op, fault.Invalid, "the column %s cannot be imported: a second factor is set up with a code", title)
		}
	}
	may := right == "" || o.rights.Setting(o.domain, right)
	if r := rulesRight(right); r != "" {
		may = o.mayRule(r)
	}
	if !may {
		return c, fault.Newf(op, fault.Denied, "you may not set %s of accounts of the domain", title)
	}
	return c, nil
}

// unknownColumn is the error for a column that nobody knows.
func unknownColumn(title string) error {
	hint := "; is it an attribute of your own?"
	if trimmed := strings.TrimSpace(title); trimmed == "" {
		hint = ": it is empty, a TAB too many"
	} else if trimmed != title {
		hint = ": there are spaces around the name"
	} else if likely := accounts.AccountSettingNames().Likely(title); likely != "" {
		hint = "; is " + likely + " meant?"
	}
	return fault.Newf("admin.ImportAccounts", fault.Invalid, "unknown column %q%s", title, hint)
}

// siteAttributes are the names of settings that nobody has declared and that accounts of the domain may have: those
// that are given, and those that its template and the defaults of its accounts have.
func (o *operation) siteAttributes(given []string) (*settings.Names, error) {
	var list []settings.Setting
	for _, a := range given {
		if settings.LooksSecret(a) || a == "" || strings.HasPrefix(a, "#") {
			return nil, fault.Newf("admin.ImportAccounts", fault.Invalid, "%q cannot be an attribute of accounts", a)
		}
		list = append(list, settings.Setting{Key: a})
	}
	for _, layer := range []accounts.Layer{o.admin.acc.AccountTemplate(o.domain), o.admin.acc.AccountDefaults(o.domain), o.admin.acc.ServerAccountDefaults()} {
		d, err := layer.Get(o)
		if err != nil {
			return nil, err
		}
		for _, key := range accounts.AccountSettingNames().Unknown(d) {
			list = append(list, settings.Setting{Key: key})
		}
	}
	return settings.NamesOf(list), nil
}

// put adds what a field says to a plan.
func (c *accountColumn) put(p *accountPlan, field string, acc *accounts.Store) error {
	const op = "admin.ImportAccounts"
	switch c.kind {
	case nameColumn, ignoredColumn:
	case aliasesColumn:
		p.aliases = split(field)
		for _, alias := range p.aliases {
			if strings.ContainsAny(alias, "@%") {
				return fault.Newf(op, fault.Invalid, "%s: aliases are names in the domain of the account, without it", alias)
			}
		}
	case telnumsColumn:
		p.telnums = split(field)
	case listsColumn:
		p.lists = split(field)
	case storageColumn:
		p.storage.Path = field
		return p.storage.validate()
	case typeColumn:
		i := slices.Index(accountTypes, strings.ToLower(field))
		if i < 0 {
			return fault.Newf(op, fault.Invalid, "%q is not a type of accounts, such as MultiMailbox", field)
		}
		p.storage.Special = 1 <= i && i <= 3
	case passwordColumn, cryptColumn:
		if p.given["Password"] != nil {
			return fault.New(op, fault.Invalid, "the line has Password and UnixPassword")
		}
		password := field
		if c.kind == cryptColumn {
			var err error
			if password, err = passwordOf(acc, field); err != nil {
				return err
			}
		}
		if password[0] < ' ' {
			return fault.New(op, fault.Invalid, "the encrypted form of another server, whose algorithm is not published: leave it out and give the account a new password")
		}
		p.given["Password"] = dataformat.String(password)
	case prefColumn:
		prefs, _ := p.given[accounts.KeyPrefs].(dataformat.Dict)
		if prefs == nil {
			prefs = dataformat.Dict{}
			p.given[accounts.KeyPrefs] = prefs
		}
		prefs[c.declared.Key] = fieldValue(c.declared, field)
	default:
		v := fieldValue(c.declared, field)
		if have, both := p.given[c.declared.Key].(dataformat.Dict); both { // preferences, one by one and together
			if d, ok := v.(dataformat.Dict); ok {
				v = settings.Merge(have, d)
			}
		}
		p.given[c.declared.Key] = v
	}
	return nil
}

// split reads names with commas between them.
func split(field string) []string {
	var list []string
	for name := range strings.SplitSeq(field, ",") {
		if name = strings.TrimSpace(name); name != "" {
			list = append(list, name)
		}
	}
	return list
}

// fieldValue is the value of a field. Whether the setting takes it is for its check.
func fieldValue(s settings.Setting, field string) dataformat.Value {
	if text, quoted := unquoted(field); quoted {
		return dataformat.String(text)
	}
	if s.Secret || s.Type == "string" {
		return dataformat.String(field)
	}
	if v, ok := objectField(field); ok {
		return v
	}
	switch s.Type {
	case "rate":
		if r, ok := rateField(field); ok {
			return r
		}
	case "list", "services":
		if s.Type == "services" && (strings.EqualFold(field, "All") || strings.EqualFold(field, "None")) {
			break
		}
		a := dataformat.Array{}
		if s.Type == "services" { // how many there are comes first
			a = append(a, dataformat.String(strconv.Itoa(len(accounts.ServiceNames()))))
		}
		for _, e := range split(field) {
			a = append(a, dataformat.String(e))
		}
		return a
	}
	return dataformat.String(field)
}

// rateField reads "20 in 15s" and unlimited.
func rateField(field string) (dataformat.Value, bool) {
	if strings.EqualFold(field, "unlimited") {
		return dataformat.Array{dataformat.String("-1"), dataformat.String("30")}, true
	}
	count, period, ok := strings.Cut(field, " in ")
	return dataformat.Array{dataformat.String(strings.TrimSpace(count)), dataformat.String(strings.TrimSpace(period))}, ok
}

// objectField reads a field that is an object of the data format.
func objectField(field string) (dataformat.Value, bool) {
	if field == "" || strings.IndexByte("({[#", field[0]) < 0 {
		return nil, false
	}
	v, err := dataformat.Parse([]byte(field))
	return v, err == nil
}

// unquoted reads a field that is a quoted string because its text could not stand there by itself.
func unquoted(field string) (string, bool) {
	if len(field) < 2 || field[0] != '"' || field[len(field)-1] != '"' {
		return "", false
	}
	v, err := dataformat.Parse([]byte(field))
	text, ok := v.(dataformat.String)
	return string(text), err == nil && ok && needsQuotes(string(text))
}

// needsQuotes reports whether a text cannot be a field as it is.
func needsQuotes(text string) bool {
	if strings.ContainsAny(text, "\t\r\n") {
		return true
	}
	if _, is := objectField(text); is {
		return true
	}
	_, is := unquoted(text)
	return is
}

// fieldOf is the field for a value.
func fieldOf(s settings.Setting, v dataformat.Value) string {
	text, ok := dataformat.Text(v)
	switch {
	case !ok:
		return dataformat.Compact(v)
	case strings.ContainsAny(text, "\t\r\n"):
		return quotedField(text)
	case s.Secret || s.Type == "string":
		if _, is := unquoted(text); is {
			return quotedField(text)
		}
		return text
	case needsQuotes(text) || s.Type == "list" && strings.Contains(text, ","):
		return quotedField(text)
	}
	return text
}

// quotedField is a text as a quoted string.
func quotedField(text string) string {
	q := dataformat.Compact(dataformat.String(text))
	if !strings.HasPrefix(q, `"`) {
		q = `"` + q + `"`
	}
	return q
}
