package accounts

import (
	"maps"
	"sync"

	"gatepost/server/dataformat"
	"gatepost/server/settings"
)

// accountLayers is the chain of inheritance of an account, the first that has a
// key wins: the account itself, its class of service (the domain's class before
// the server's class of the same name), the account defaults of the domain, and
// those of the server. The defaults of the declaration come last, see
// settings.LoadLayers. The template is not part of it: it is copied into a new
// account once.
func accountLayers(explicit dataformat.Dict, d *domain) []dataformat.Dict {
	layers := []dataformat.Dict{explicit}
	defaults := []dataformat.Dict{d.defaults, d.state.accountDefaults}
	class := explicit.String("ServiceClass")
	if class == "" {
		for _, l := range defaults {
			if class = l.String("ServiceClass"); class != "" {
				break
			}
		}
	}
	if class != "" {
		for _, l := range defaults {
			classes, _ := l[keyServiceClasses].(dataformat.Dict)
			if values, ok := classes[class].(dataformat.Dict); ok {
				layers = append(layers, values)
			}
		}
	}
	return append(layers, defaults...)
}

// lookup returns the first layer's value for a key.
func lookup(key string, layers []dataformat.Dict) (dataformat.Value, bool) {
	for _, l := range layers {
		if v, ok := l[key]; ok {
			return v, true
		}
	}
	return nil, false
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
