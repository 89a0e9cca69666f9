package rules

import (
	"errors"
	"fmt"
	"slices"

	"gatepost/server/dataformat"
	"gatepost/server/fault"
	"gatepost/server/settings"
)

// Set is the rules of the server, a domain or an account. It is not changed once it is made; nil is
// a set without rules.
type Set struct {
	level Level
	rules []*Rule
	order []*Rule // those that are applied, by priority
}

// Parse reads a rule set that somebody gives, in the array form. The word Default, which removes
// the rules, gives nil. The first thing that is wrong is an error of kind fault.Invalid, with a
// text for whoever wrote the rules.
func Parse(v dataformat.Value, level Level) (*Set, error) {
	if settings.IsDefault(v) {
		return nil, nil
	}
	set, errs := read(v, level)
	if len(errs) > 0 {
		return nil, fault.New("rules.Parse", fault.Invalid, errs[0].Error())
	}
	return set, nil
}

// Load reads a rule set that is stored; a missing one is nil. What cannot be understood is kept as
// it is and not applied, and is an error in the second result.
func Load(v dataformat.Value, level Level) (*Set, []error) {
	if v == nil || settings.IsDefault(v) || v == dataformat.String("") {
		return nil, nil
	}
	return read(v, level)
}

// read reads a rule set and returns everything that is wrong with it.
func read(v dataformat.Value, level Level) (*Set, []error) {
	all, ok := v.(dataformat.Array)
	if !ok {
		return nil, []error{errors.New("rules are an array")}
	}
	s := &Set{level: level}
	var errs []error
	names := map[string]bool{}
	for i, one := range all {
		r, err := parseRule(one, level)
		switch {
		case err == nil && names[r.Name]:
			err = r.wrong(errors.New("there is another rule with this name"))
		case err == nil && i >= MaxRules:
			err = r.wrong(fmt.Errorf("there are more than %d rules", MaxRules))
		}
		if names[r.Name] = true; err != nil {
			errs = append(errs, err)
		}
		r.bad = err
		s.rules = append(s.rules, r)
	}
	s.sort()
	return s, errs
}

// sort puts the rules that are applied in their order: by priority, those of the same priority as
// they are stored.
func (s *Set) sort() {
	s.order = nil
	for _, r := range s.rules {
		if r.Priority > Inactive && r.bad == nil {
			s.order = append(s.order, r)
		}
	}
	slices.SortStableFunc(s.order, func(a, b *Rule) int { return b.Priority - a.Priority })
}

// Rules are the rules as they are stored.
func (s *Set) Rules() []*Rule {
	if s == nil {
		return nil
	}
	return s.rules
}

// Active reports whether there is a rule to apply.
func (s *Set) Active() bool { return s != nil && len(s.order) > 0 }

// Find returns the rule with a name, or nil.
func (s *Set) Find(name string) *Rule {
	if i := s.find(name); i >= 0 {
		return s.rules[i]
	}
	return nil
}

func (s *Set) find(name string) int {
	return slices.IndexFunc(s.Rules(), func(r *Rule) bool { return r.Name == name })
}

// Value is the set in the array form: what was parsed, in the same order.
func (s *Set) Value() dataformat.Value {
	out := dataformat.Array{}
	for _, r := range s.Rules() {
		out = append(out, r.value)
	}
	return out
}

// Update returns the set with one rule changed (UPDATEACCOUNTMAILRULE). A whole rule takes the
// place of the one with its name, or comes last; (priority, name) changes the priority alone.
// Errors: fault.Invalid, and fault.NotFound for a priority of a rule that does not exist.
func (s *Set) Update(v dataformat.Value, level Level) (*Set, error) {
	const op = "rules.Update"
	if parts, ok := v.(dataformat.Array); ok && (len(parts) == 2 || len(parts) == 3) {
		name, _ := dataformat.Text(parts[1])
		i := s.find(name)
		if i < 0 {
			return nil, fault.Newf(op, fault.NotFound, "there is no rule %q", clip(name, maxShownLength))
		}
		p, err := priority(parts[0])
		if err != nil {
			return nil, fault.New(op, fault.Invalid, s.rules[i].wrong(err).Error())
		}
		return s.replace(i, s.rules[i].withPriority(p)), nil
	}
	r, err := parseRule(v, level)
	if err != nil {
		return nil, fault.New(op, fault.Invalid, err.Error())
	}
	i := s.find(r.Name)
	if i < 0 && len(s.Rules()) >= MaxRules {
		return nil, fault.Newf(op, fault.TooMany, "there are %d rules, as many as there may be", MaxRules)
	}
	if s == nil {
		s = &Set{level: level}
	}
	return s.replace(i, r), nil
}

// replace returns the set with another rule at i, or one more if i is negative.
func (s *Set) replace(i int, r *Rule) *Set {
	out := &Set{level: s.level, rules: slices.Clone(s.rules)}
	if i < 0 {
		out.rules = append(out.rules, r)
	} else {
		out.rules[i] = r
	}
	out.sort()
	return out
}

// withPriority is the rule with another priority, and otherwise as it is.
func (r *Rule) withPriority(p int) *Rule {
	out := *r
	out.Priority = p
	parts, ok := r.value.(dataformat.Array)
	if ok && len(parts) > 0 {
		parts = slices.Clone(parts)
		parts[0] = dataformat.String(fmt.Sprint(p))
		out.value = parts
	}
	return &out
}

// Without returns the set without the rule of a name, if it has one.
func (s *Set) Without(name string) *Set {
	i := s.find(name)
	if i < 0 {
		return s
	}
	out := &Set{level: s.level, rules: slices.Delete(slices.Clone(s.rules), i, i+1)}
	out.sort()
	return out
}

// ParseSignal checks rules for calls. They are kept and given back: nothing here applies them. The
// shape is checked, not the words.
func ParseSignal(v dataformat.Value) (dataformat.Value, error) {
	all, ok := v.(dataformat.Array)
	if !ok {
		if settings.IsDefault(v) {
			return nil, nil
		}
		return nil, fault.New("rules.ParseSignal", fault.Invalid, "rules are an array")
	}
	out := dataformat.Array{}
	for _, one := range all {
		r, err := parseShape(one, Account)
		if err != nil {
			return nil, fault.New("rules.ParseSignal", fault.Invalid, err.Error())
		}
		out = append(out, r.value)
	}
	return out, nil
}
