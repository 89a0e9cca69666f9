package accounts

import (
	"gatepost/server/dataformat"
	"gatepost/server/fault"
	"gatepost/server/settings"
)

// This file checks settings that somebody gives, before anything is changed. What
// it returns is a copy without the server's own keys; dictionaries inside are checked
// and cleaned as they would be if they had been given by themselves.

// givenAccount checks settings of one account.
func givenAccount(op string, given dataformat.Dict) (dataformat.Dict, error) {
	given = visible(given)
	declared := new(AccountSettings)
	if err := check(op, declared, given); err != nil {
		return nil, err
	}
	if err := declared.AccessModes.check(op, "AccessModes"); err != nil {
		return nil, err
	}
	return given, replaceNested(op, given, keyPrefs, givenPrefs)
}

// givenDefaults checks settings that more than one account will have: account
// defaults and a template. A password is none of them.
func givenDefaults(op string, given dataformat.Dict) (dataformat.Dict, error) {
	given, err := givenAccount(op, given)
	if err != nil {
		return nil, err
	}
	if _, ok := given[keyPassword]; ok {
		return nil, fault.New(op, fault.Invalid, "Password: accounts do not inherit passwords")
	}
	return given, replaceNested(op, given, keyServiceClasses, givenClasses)
}

// givenClasses checks classes of service: each is what some accounts inherit.
func givenClasses(op string, given dataformat.Dict) (dataformat.Dict, error) {
	given = visible(given)
	for class := range given {
		if err := replaceNested(op, given, class, givenDefaults); err != nil {
			return nil, err
		}
	}
	return given, nil
}

// givenDomain checks settings of a domain, or the defaults of domains.
func givenDomain(op string, given dataformat.Dict) (dataformat.Dict, error) {
	given = visible(given)
	declared := new(DomainSettings)
	if err := check(op, declared, given); err != nil {
		return nil, err
	}
	if err := declared.DomainAccessModes.check(op, "DomainAccessModes"); err != nil {
		return nil, err
	}
	if _, err := addressesOf(op, given); err != nil {
		return nil, err
	}
	if err := replaceNested(op, given, keyPrefs, givenPrefs); err != nil {
		return nil, err
	}
	return given, replaceNested(op, given, keyAccountDefaults, givenDefaults)
}

// givenPrefs checks preferences: any key may have any value.
func givenPrefs(_ string, given dataformat.Dict) (dataformat.Dict, error) { return visible(given), nil }

// replaceNested has the dictionary under a key checked and puts the result in its
// place, without what is "default" in it. None at all is left out.
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
func check(op string, declared any, given dataformat.Dict) error {
	values := make(dataformat.Dict, len(given))
	for k, v := range given {
		if !settings.IsDefault(v) {
			values[k] = v
		}
	}
	if err := settings.Load(declared, values); err != nil {
		return fault.Newf(op, fault.Invalid, "%s", fault.Text(err))
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
