package accounts

import (
	"slices"
	"strings"

	"gatepost/rules"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
	"gatepost/server/settings"
)

// This file checks settings that somebody gives, before anything is changed. What
// it returns is a copy under the declared names and without the server's own keys;
// dictionaries inside are checked and cleaned as they would be if they had been given by
// themselves.
//
// Names that are not declared are kept: sites add attributes of their own to accounts.
// But one that is nearly a declared name is misspelt and would do nothing, and one that
// seems to be that of a password would lay it down in clear.

// leastMisspelt is how long a declared name is for others to count as misspelt forms of
// it: too many words that sites may use are near to a shorter one.
const leastMisspelt = 8

// respell returns given settings under the declared names.
func respell(op string, names *settings.Names, given dataformat.Dict) (dataformat.Dict, error) {
	given, err := names.Respell(visible(given))
	if err != nil {
		return nil, err
	}
	for _, key := range names.Unknown(given) {
		if settings.IsDefault(given[key]) {
			continue // a file may have such a key, and it can go
		}
		if likely := names.Likely(key); len(likely) >= leastMisspelt {
			return nil, fault.Newf(op, fault.Invalid, "unknown setting %s; is %s meant?", key, likely)
		}
		if err := noSecret(op, key, given[key]); err != nil {
			return nil, err
		}
	}
	return given, nil
}

// RespellAccount returns given settings of accounts under the declared names. Errors: Invalid
// for a name that is misspelt, given twice, or seems to be that of a password.
func RespellAccount(given dataformat.Dict) (dataformat.Dict, error) {
	return respell("accounts.RespellAccount", accountNames(), given)
}

// RespellDomain is RespellAccount for settings of domains.
func RespellDomain(given dataformat.Dict) (dataformat.Dict, error) {
	return respell("accounts.RespellDomain", domainNames(), given)
}

// noSecret refuses an undeclared setting that seems to hold a password.
func noSecret(op, key string, v dataformat.Value) error {
	if settings.LooksSecret(key) {
		return fault.Newf(op, fault.Invalid, "unknown setting %s; a password is given as Password of an account", key)
	}
	d, _ := v.(dataformat.Dict)
	for k, v := range d {
		if err := noSecret(op, k, v); err != nil {
			return err
		}
	}
	return nil
}

// validateAccount checks settings of one account.
func validateAccount(op string, given dataformat.Dict) (dataformat.Dict, error) {
	given, err := respell(op, accountNames(), given)
	if err != nil {
		return nil, err
	}
	delete(given, KeySecondFactor) // it is set up with a code
	declared := new(AccountSettings)
	if err := check(op, given, declared, new(keptAccountSettings)); err != nil {
		return nil, err
	}
	if err := declared.AccessModes.check(op, "AccessModes"); err != nil {
		return nil, err
	}
	if err := givenRules(op, given, rules.Account); err != nil {
		return nil, err
	}
	return given, replaceNested(op, given, keyPrefs, validatePrefs)
}

// validateDefaults checks settings that more than one account will have: account
// defaults and a template. A password is none of them.
func validateDefaults(op string, given dataformat.Dict) (dataformat.Dict, error) {
	given, err := validateAccount(op, given)
	if err != nil {
		return nil, err
	}
	if _, ok := given[keyPassword]; ok {
		return nil, fault.New(op, fault.Invalid, "Password: accounts do not inherit passwords")
	}
	return given, replaceNested(op, given, keyServiceClasses, validateClasses)
}

// validateClasses checks classes of service: each is what some accounts inherit.
func validateClasses(op string, given dataformat.Dict) (dataformat.Dict, error) {
	given = visible(given)
	for class := range given {
		if err := replaceNested(op, given, class, validateDefaults); err != nil {
			return nil, err
		}
	}
	return given, nil
}

// validateDomain checks settings of a domain, or the defaults of domains.
func validateDomain(op string, given dataformat.Dict) (dataformat.Dict, error) {
	given, err := respell(op, domainNames(), given)
	if err != nil {
		return nil, err
	}
	declared := new(DomainSettings)
	if err := check(op, given, declared, new(keptDomainSettings)); err != nil {
		return nil, err
	}
	if err := declared.DomainAccessModes.check(op, "DomainAccessModes"); err != nil {
		return nil, err
	}
	if _, err := addressesOf(op, given); err != nil {
		return nil, err
	}
	if err := givenRules(op, given, rules.Domain); err != nil {
		return nil, err
	}
	if err := replaceNested(op, given, keyPrefs, validatePrefs); err != nil {
		return nil, err
	}
	return given, replaceNested(op, given, keyAccountDefaults, validateDefaults)
}

// validatePrefs checks preferences: any key may have any value, but for what seems to be a
// password.
func validatePrefs(op string, given dataformat.Dict) (dataformat.Dict, error) {
	given, err := prefNames().Respell(visible(given))
	if err != nil {
		return nil, err
	}
	for key, v := range given {
		if err := noSecret(op, key, v); err != nil && !settings.IsDefault(v) {
			return nil, err
		}
		if text, ok := dataformat.Text(v); ok && !settings.IsDefault(v) && prefValues[key] != nil && !slices.ContainsFunc(prefValues[key], func(w string) bool { return strings.EqualFold(w, text) }) {
			return nil, fault.Newf(op, fault.Invalid, "%s: one of %s is expected", key, strings.Join(prefValues[key], ", "))
		}
		if (key == "EmptyTrash" || key == "EmptyJunk") && !settings.IsDefault(v) {
			text, _ := dataformat.Text(v)
			if _, err := settings.ParsePeriod(text); err != nil {
				return nil, fault.Newf(op, fault.Invalid, "%s: %s", key, err)
			}
		}
	}
	return given, nil
}

// prefValues are the values of preferences that have no others.
var prefValues = map[string][]string{
	"AddInvitations":  {"Never", "Known Senders", "Always"},
	"KeepInvitations": {"YES", "NO"},
	"KeepTimeInTrash": {"YES", "NO"},
	"ShowFreeBusy":    {"Nobody", "Domain", "Everybody"},
}

// replaceNested has the dictionary under a key checked and puts the result there,
// without what is "default" in it. None at all is left out.
func replaceNested(op string, given dataformat.Dict, key string, check func(string, dataformat.Dict) (dataformat.Dict, error)) error {
	v, ok := given[key]
	if !ok || settings.IsDefault(v) {
		return nil
	}
	d, ok := v.(dataformat.Dict)
	if !ok {
		return fault.Newf(op, fault.Invalid, "%s: a dictionary is expected", key)
	}
	d, err := check(op, d)
	if err != nil {
		return fault.Newf(op, fault.Invalid, "%s: %s", key, fault.Text(err))
	}
	if given[key] = settings.Merge(nil, d); len(d) == 0 {
		given[key] = dataformat.String("default")
	}
	return nil
}

// check refuses values that the declared settings do not take, and loads the others
// into declared.
func check(op string, given dataformat.Dict, declared ...any) error {
	values := make(dataformat.Dict, len(given))
	for k, v := range given {
		if !settings.IsDefault(v) {
			values[k] = v
		}
	}
	for _, d := range declared {
		if err := settings.Load(d, values); err != nil {
			return fault.Newf(op, fault.Invalid, "%s", fault.Text(err))
		}
	}
	return nil
}

// inheritable copies account defaults without the passwords that somebody has
// written into the file.
func inheritable(defaults dataformat.Dict) dataformat.Dict {
	out := clone(defaults)
	delete(out, keyPassword)
	classes, ok := out[keyServiceClasses].(dataformat.Dict)
	if !ok {
		return out
	}
	kept := dataformat.Dict{}
	for name, class := range classes {
		if d, ok := class.(dataformat.Dict); ok {
			d = clone(d)
			delete(d, keyPassword)
			class = d
		}
		kept[name] = class
	}
	out[keyServiceClasses] = kept
	return out
}
