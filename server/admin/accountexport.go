package admin

import (
	"context"
	"maps"
	"slices"
	"strings"

	"gatepost/accounts"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
	"gatepost/server/settings"
)

// This file writes the accounts of a domain as a table that AccountImport reads.

// notExported are settings that no import takes.
var notExported = []string{accounts.KeySecondFactor, accounts.KeyAdminPrefs}

// ExportColumns returns the columns that a table of the accounts of a domain has: Name, RealName, Password, Aliases and
// Telnums, and each setting that an account has by itself.
func (a Actor) ExportColumns(ctx context.Context, name string) (columns []string, err error) {
	err = do(ctx, a, "LISTEXPORTCOLUMNS", domain(name), func(o *operation) error {
		names, err := o.admin.acc.Accounts(o, o.domain)
		if err != nil {
			return err
		}
		keys := map[string]bool{}
		for _, n := range names {
			explicit, err := o.admin.acc.AccountSettings(o.domain, n).Get(o)
			if fault.Is(err, fault.NotFound) { // deleted meanwhile
				continue
			}
			if err != nil {
				return err
			}
			prefs, err := o.admin.acc.AccountPrefs(o.domain, n).Get(o)
			if err != nil && !fault.Is(err, fault.NotFound) {
				return err
			}
			for key := range explicit {
				keys[key] = true
			}
			keys[accounts.KeyPrefs] = keys[accounts.KeyPrefs] || len(prefs) > 0
		}
		columns = []string{"Name", "RealName", "Password", "Aliases", "Telnums"}
		for _, key := range slices.Sorted(maps.Keys(keys)) {
			if _, special := columnKinds[strings.ToLower(key)]; keys[key] && !special && key != "RealName" && !slices.Contains(notExported, key) && !strings.ContainsAny(key, "\t\r\n") && key[0] != '-' {
				columns = append(columns, key)
			}
		}
		return nil
	})
	return columns, err
}

// AccountLine is a line of an exported table.
type AccountLine struct {
	Name, Text string
	// Lacks says what of the account is not in the line, and why; "" for nothing.
	Lacks string
}

// maxExport is how many accounts ExportAccounts reads at a time.
const maxExport = 500

// ExportAccounts returns the lines of the accounts after a name, the first ones of them; none at the end. Passwords are
// in it in their stored forms, and reversible ones as they are, for an actor who may see them.
func (a Actor) ExportAccounts(ctx context.Context, name string, columns []string, after string) ([]AccountLine, error) {
	return look(ctx, a, "EXPORTACCOUNTS", domain(name), func(o *operation) ([]AccountLine, error) {
		names, err := o.admin.acc.Accounts(o, o.domain)
		if err != nil {
			return nil, err
		}
		from, _ := slices.BinarySearch(names, after+"\x00")
		var lines []AccountLine
		for _, n := range names[from:] {
			if len(lines) == maxExport {
				break
			}
			l, err := o.exportAccount(n, columns)
			if fault.Is(err, fault.NotFound) {
				continue
			}
			if err != nil {
				return nil, err
			}
			lines = append(lines, l)
		}
		return lines, nil
	})
}

func (o *operation) exportAccount(name string, columns []string) (AccountLine, error) {
	l := AccountLine{Name: name}
	acc := o.admin.acc
	explicit, err := acc.AccountSettings(o.domain, name).Get(o)
	if err != nil {
		return l, err
	}
	aliases, err := acc.AccountAliases(o, o.domain, name)
	if err != nil {
		return l, err
	}
	telnums, err := acc.AccountTelnums(o, o.domain, name)
	if err != nil {
		return l, err
	}
	prefs, err := acc.AccountPrefs(o.domain, name).Get(o)
	if err != nil {
		return l, err
	}
	one := *o
	one.object = name
	sees, err := one.seesSecrets()
	if err != nil {
		return l, err
	}
	var lacks []string
	if explicit[accounts.KeySecondFactor] != nil {
		lacks = append(lacks, "the second factor")
	}
	fields := make([]string, len(columns))
	for i, key := range columns {
		s, _ := accounts.AccountSettingNames().Find(key)
		v, there := explicit[key]
		switch kind, special := columnKinds[strings.ToLower(key)]; {
		case special && kind == nameColumn:
			fields[i] = name
		case special && kind == aliasesColumn:
			fields[i] = strings.Join(aliases, ",")
		case special && kind == telnumsColumn:
			fields[i] = strings.Join(telnums, ",")
		case special && kind == passwordColumn:
			var lack string
			if fields[i], lack, err = o.exportPassword(name, explicit, sees); err != nil {
				return l, err
			}
			if lack != "" {
				lacks = append(lacks, lack)
			}
		case key == accounts.KeyPrefs && len(prefs) > 0:
			fields[i] = dataformat.Compact(prefs)
		case special || !there:
		case !sees && accounts.AccountSettingNames().Secret(key):
			lacks = append(lacks, key)
		case sees:
			fields[i] = exportField(s, key, v)
		default:
			fields[i] = exportField(s, key, withoutSecrets(accounts.AccountSettingNames(), v))
		}
	}
	l.Text, l.Lacks = strings.Join(fields, "\t"), strings.Join(lacks, ", ")
	return l, nil
}

func exportField(s settings.Setting, key string, v dataformat.Value) string {
	s.Key = key
	return fieldOf(s, v)
}

// exportPassword is the field of a password. lack says what is not in it.
func (o *operation) exportPassword(name string, explicit dataformat.Dict, sees bool) (field, lack string, err error) {
	stored := explicit.String("Password")
	switch {
	case stored == "":
		return "", "", nil
	case !sees:
		return "", "the password, which you may not see", nil
	}
	plain, err := o.admin.acc.RevealPassword(o, o.domain, name)
	switch {
	case err == nil && (o.admin.acc.IsStoredPassword(plain) || plain != "" && plain[0] < ' '):
		field = "{CLEARTEXT}" + plain
	case err == nil:
		field = plain
	case fault.Is(err, fault.Unsupported) && !o.admin.acc.IsStoredPassword(stored):
		return "", "the password, whose form nobody can log in with", nil
	case fault.Is(err, fault.Unsupported): // it is one-way
		field = stored
	default:
		return "", "the password: " + fault.Explain(err), nil
	}
	if strings.ContainsAny(field, "\t\r\n") {
		return "", "the password, which has a TAB or a line end in it", nil
	}
	return field, "", nil
}
