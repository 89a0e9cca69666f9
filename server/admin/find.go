package admin

import (
	"strings"

	"gatepost/server/fault"
)

// Name is the name of an account or of another object of a domain, as it was given. Without
// a Domain it is in the domain of the actor.
type Name struct{ Local, Domain string }

// ParseName cuts name@domain and name%domain.
func ParseName(text string) Name {
	i := strings.LastIndexByte(text, '@')
	if i < 0 {
		i = strings.LastIndexByte(text, '%')
	}
	if i < 0 {
		return Name{Local: text}
	}
	return Name{text[:i], text[i+1:]}
}

// A finder finds what an operation is about.
type finder func(o *operation) error

// server is what operations are about that touch no domain in particular.
func server(*operation) error { return nil }

// named is for operations about one of the server's things, whose name the record has.
func named(thing string) finder {
	return func(o *operation) error {
		o.about = strings.ToLower(thing)
		return nil
	}
}

// domain finds a domain by any of its names; without a name, that of the actor.
func domain(name string) finder {
	return func(o *operation) (err error) {
		o.domain, err = o.realDomain(name)
		return err
	}
}

// object finds the place of an object, which may exist or not.
func object(n Name) finder {
	return func(o *operation) (err error) {
		if n.Local == "" {
			return fault.New("admin.Object", fault.Invalid, "an object name is expected")
		}
		o.object = strings.ToLower(n.Local)
		o.domain, err = o.realDomain(n.Domain)
		return err
	}
}

// self is the actor's own account, under the name that it has now.
func self(o *operation) error { return object(o.Self())(o) }

// account finds an account by its name or an alias. If there is none, the
// operation itself reports that.
func account(n Name) finder {
	return func(o *operation) error {
		if err := object(n)(o); err != nil {
			return err
		}
		a, err := o.admin.acc.Resolve(o, o.domain, o.object)
		switch {
		case err == nil:
			o.object = a.Name
		case !fault.Is(err, fault.NotFound):
			return err
		}
		return nil
	}
}

// realDomain finds a domain by any of its names.
func (o *operation) realDomain(name string) (string, error) {
	if name == "" {
		name = o.Self().Domain
	}
	real, ok := o.admin.acc.DomainName(name)
	if !ok {
		return "", fault.New("admin.Domain", fault.NoDomain, "")
	}
	return real, nil
}

// local returns the name of an object in the operation's domain; with a domain that is
// another one it is refused in the given words.
func (o *operation) local(name, refusal string) (string, error) {
	n := ParseName(name)
	if n.Domain == "" {
		return n.Local, nil
	}
	if real, ok := o.admin.acc.DomainName(n.Domain); !ok || real != o.domain {
		return "", fault.New("admin.Object", fault.Invalid, refusal)
	}
	return n.Local, nil
}
