package rules

import (
	"slices"
	"strings"

	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// Allowed is what an account may put into its own rules: the setting RulesAllowed.
type Allowed uint8

// The values, from least to most.
const (
	AllowNo Allowed = iota
	AllowFilterOnly
	AllowAllButExec
	AllowAny
)

var allowedNames = [...]string{"No", "Filter Only", "All But Exec", "Any"}

func (a Allowed) String() string { return allowedNames[a] }

// ParseAllowed reads a value of RulesAllowed in any letter case.
func ParseAllowed(s string) (Allowed, bool) {
	for i, name := range allowedNames {
		if strings.EqualFold(s, name) {
			return Allowed(i), true
		}
	}
	return AllowNo, false
}

// permits reports whether an action is allowed.
func (a Allowed) permits(w *actionWord) bool {
	switch a {
	case AllowNo:
		return false
	case AllowFilterOnly:
		return w.filter
	case AllowAllButExec:
		return w.kind != KindExecute
	}
	return true
}

// Permits returns nil if the owner of an account may have made a rule, else fault.Denied that names
// the rule and its action. A vacation message of the usual form is allowed with the filter actions:
// it answers each sender once, and everybody needs it.
func (a Allowed) Permits(r *Rule) error {
	if a == AllowFilterOnly {
		if _, ok := AsVacation(r); ok {
			return nil
		}
	}
	for i := range r.actions {
		if w := r.actions[i].word; !a.permits(w) {
			return a.denied(r, w.name)
		}
	}
	if r.bad != nil || a == AllowNo {
		return a.denied(r, "")
	}
	return nil
}

func (a Allowed) denied(r *Rule, action string) error {
	const op = "rules.Permits"
	if action == "" {
		return fault.Newf(op, fault.Denied, "%s can be changed by an administrator only", r.title())
	}
	return fault.Newf(op, fault.Denied, "%s: the action %s is for administrators, as RulesAllowed is %s", r.title(), action, a)
}

// Edited returns what becomes of the rules of an account when its owner gives others. Rules that
// the owner may not make are those of an administrator: they stay as they are, also when they are
// not among the given ones, and the owner can neither change nor add one. Errors: fault.Denied.
func (a Allowed) Edited(old, given *Set) (*Set, error) {
	if a == AllowNo {
		return nil, fault.New("rules.Edited", fault.Denied,
			"the rules of this account can be changed by an administrator only")
	}
	for _, r := range given.Rules() {
		if was := old.Find(r.Name); was != nil && same(was, r) {
			continue
		} else if was != nil && a.Permits(was) != nil {
			return nil, a.denied(r, "")
		}
		if err := a.Permits(r); err != nil {
			return nil, err
		}
	}
	out := &Set{level: Account}
	for _, r := range old.Rules() {
		if given.Find(r.Name) == nil && a.Permits(r) != nil {
			out.rules = append(out.rules, r)
		}
	}
	out.rules = append(out.rules, given.Rules()...)
	out.sort()
	return out, nil
}

// same reports whether two rules are written alike.
func same(a, b *Rule) bool {
	return slices.Equal(dataformat.AppendCompact(nil, a.value), dataformat.AppendCompact(nil, b.value))
}
