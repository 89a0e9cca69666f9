package accounts

import (
	"maps"
	"slices"
	"sync"

	"gatepost/server/dataformat"
	"gatepost/server/settings"
)

// Origin is where the value of an inherited setting comes from.
type Origin string

// The origins, nearest first. The empty Origin is that of a value that nobody has.
const (
	OfAccount     Origin = "account"
	OfTemplate    Origin = "account template"
	OfDomainClass Origin = "class of service in the domain"
	OfServerClass Origin = "class of service in the server"
	OfDomain      Origin = "domain"
	OfServer      Origin = "server"
	BuiltIn       Origin = "built in"
)

// layer is a part of a chain with the values that it sets.
type layer struct {
	origin Origin
	values dataformat.Dict
}

// layers is a chain of inheritance: the first layer that has a key wins.
type layers []layer

// lookup returns the value of a key and the layer that it comes from.
func (l layers) lookup(key string) (dataformat.Value, Origin) {
	for _, layer := range l {
		if v, ok := layer.values[key]; ok {
			return v, layer.origin
		}
	}
	return nil, ""
}

// dicts are the values as settings.LoadLayers takes them.
func (l layers) dicts() []dataformat.Dict {
	out := make([]dataformat.Dict, len(l))
	for i, layer := range l {
		out[i] = layer.values
	}
	return out
}

// accountLayers is the chain of an account: the account itself, its class of service
// (the domain's class before the server's class of the same name), the account defaults
// of the domain, and those of the server. The defaults of the declaration come last, see
// settings.LoadLayers and withBuiltIn. The template is not part of it: it is copied into
// a new account once.
func accountLayers(explicit dataformat.Dict, d *domain) layers {
	chain := layers{{OfAccount, explicit}}
	defaults := layers{{OfDomain, d.defaults}, {OfServer, d.state.accountDefaults}}
	class := explicit.String("ServiceClass")
	if class == "" {
		for _, l := range defaults {
			if class = l.values.String("ServiceClass"); class != "" {
				break
			}
		}
	}
	if class != "" {
		for i, l := range defaults {
			classes, _ := l.values[keyServiceClasses].(dataformat.Dict)
			if values, ok := classes[class].(dataformat.Dict); ok {
				chain = append(chain, layer{[]Origin{OfDomainClass, OfServerClass}[i], values})
			}
		}
	}
	return append(chain, defaults...)
}

// withBuiltIn adds the defaults of the declarations to a chain.
func (l layers) withBuiltIn(declared dataformat.Dict) layers {
	return append(slices.Clone(l), layer{BuiltIn, declared})
}

// inherited returns what people may see of a chain: the value of a setting, whose name may
// be in any case, and its origin; nil when nobody sets it and it has no default.
func (l layers) inherited(key string, names *settings.Names) (dataformat.Value, Origin) {
	key = names.Spell(key)
	if reserved(key) || key == keyServiceClasses || key == keyPrefs || key == keyAccountDefaults {
		return nil, ""
	}
	v, origin := l.lookup(key)
	if v == dataformat.String("") {
		return nil, ""
	}
	return v, origin
}

// Inherited returns the effective value of any account setting and where it comes from.
func (a *Account) Inherited(key string) (dataformat.Value, Origin) {
	return a.layers.withBuiltIn(builtInAccount()).inherited(key, accountNames())
}

// Above returns what an account inherits for a setting of which it has no value of its own, and
// where that comes from.
func (a *Account) Above(key string) (dataformat.Value, Origin) {
	return a.layers[1:].withBuiltIn(builtInAccount()).inherited(key, accountNames())
}

// AboveDefaults returns what stands above the account defaults of a domain. With an empty
// domain it is what stands above those of the server.
func (s *directory) AboveDefaults(domain, key string) (dataformat.Value, Origin) {
	var chain layers
	if domain != "" {
		chain = layers{{OfServer, s.state.Load().accountDefaults}}
	}
	return chain.withBuiltIn(builtInAccount()).inherited(key, accountNames())
}

// AboveTemplate returns what a new account of a domain inherits for a setting that the
// template does not have. Errors: NoDomain.
func (s *directory) AboveTemplate(domain, key string) (dataformat.Value, Origin, error) {
	d, err := s.domain(s.realDomain(domain))
	if err != nil {
		return nil, "", err
	}
	v, origin := accountLayers(nil, d).withBuiltIn(builtInAccount()).inherited(key, accountNames())
	return v, origin, nil
}

// AboveDomain returns what stands above the settings of a domain; with an empty domain, above
// the server's domain defaults.
func (s *directory) AboveDomain(domain, key string) (dataformat.Value, Origin) {
	var chain layers
	if domain != "" {
		chain = layers{{OfServer, s.state.Load().domainDefaults}}
	}
	return chain.withBuiltIn(builtInDomain()).inherited(key, domainNames())
}

// InheritedByTemplate returns the value of a setting that a new account of a domain has,
// and where it comes from. Errors: NoDomain.
func (s *directory) InheritedByTemplate(domain, key string) (dataformat.Value, Origin, error) {
	d, err := s.domain(s.realDomain(domain))
	if err != nil {
		return nil, "", err
	}
	template, err := dataformat.ReadDict(d.file(templateFile))
	if err != nil {
		return nil, "", dataformat.Unreadable("accounts.InheritedByTemplate", err)
	}
	chain := accountLayers(template, d).withBuiltIn(builtInAccount())
	chain[0].origin = OfTemplate
	v, origin := chain.inherited(key, accountNames())
	return v, origin, nil
}

// InheritedByDomain returns the effective value of a setting of a domain and where it
// comes from. Errors: NoDomain.
func (s *directory) InheritedByDomain(domain, key string) (dataformat.Value, Origin, error) {
	d, err := s.domain(s.realDomain(domain))
	if err != nil {
		return nil, "", err
	}
	v, origin := d.layers().withBuiltIn(builtInDomain()).inherited(key, domainNames())
	return v, origin, nil
}

// layers is the chain of inheritance of a domain.
func (d *domain) layers() layers {
	return layers{{OfDomain, d.explicit}, {OfServer, d.state.domainDefaults}}
}

var builtInAccount = sync.OnceValue(func() dataformat.Dict { return builtIn(new(AccountSettings), new(keptAccountSettings)) })
var builtInDomain = sync.OnceValue(func() dataformat.Dict { return builtIn(new(DomainSettings), new(keptDomainSettings)) })

// accountDefaults returns a copy of the declared defaults of an account.
func accountDefaults() dataformat.Dict { return maps.Clone(builtInAccount()) }

// domainDefaults returns a copy of the declared defaults of a domain.
func domainDefaults() dataformat.Dict { return maps.Clone(builtInDomain()) }

func builtIn(declared, kept any) dataformat.Dict {
	out := dataformat.Dict{}
	for _, d := range []any{declared, kept} {
		if err := settings.Load(d, nil); err != nil {
			return dataformat.Dict{} // the declarations are tested
		}
		for key, v := range settings.Effective(d) {
			if free := v == dataformat.String("") && d == kept; !free {
				out[key] = v
			}
		}
	}
	return out
}
