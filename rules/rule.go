package rules

import (
	"fmt"
	"slices"
	"strings"

	"gatepost/server/dataformat"
)

// The priorities. A rule with Inactive is kept and never applied.
const (
	Inactive = 0
	Highest  = 10
)

// Limits of a rule set, so that it cannot take more memory or time than its text is worth.
const (
	MaxRules   = 1000 // rules in a set
	MaxClauses = 200  // conditions, and actions, of a rule
)

// Rule is one rule. It is not changed once it is made.
type Rule struct {
	Level      Level
	Priority   int
	Name       string
	Conditions []Clause
	Actions    []Clause
	Comment    string

	conditions []condition
	byCost     []condition // the same, the cheapest first
	actions    []todo
	notes      []string
	bad        error            // why the rule is kept and not applied
	value      dataformat.Value // as it is printed
}

// Clause is a condition or an action as it was written.
type Clause struct {
	Opcode    string
	Operation string // of a condition
	Param     string
}

// String is the clause for people: Subject is not "*[group1]*".
func (c *Clause) String() string {
	s := c.Opcode
	if c.Operation != "" && c.Operation != noValue {
		s += " " + c.Operation
	}
	if c.Param != "" && c.Param != noValue {
		s += fmt.Sprintf(" %q", c.Param)
	}
	return s
}

// noValue is what web pages send where there is no value.
const noValue = "---"

// Value is the rule in the array form, as it was written.
func (r *Rule) Value() dataformat.Value { return r.value }

// Err says why the rule is kept and not applied, or is nil.
func (r *Rule) Err() error { return r.bad }

// Notes say what in the rule has no effect yet.
func (r *Rule) Notes() []string { return r.notes }

// parseRule reads a rule of the array form and checks it. With an error, the rule is what could be
// read.
func parseRule(v dataformat.Value, level Level) (*Rule, error) {
	r, err := parseShape(v, level)
	if err != nil {
		return r, err
	}
	for i := range r.Conditions {
		c := &r.Conditions[i]
		made, err := newCondition(c, level)
		if err != nil {
			return r, r.wrong(fmt.Errorf("condition %d (%s): %w", i+1, clip(c.Opcode, maxShownLength), err))
		}
		r.conditions = append(r.conditions, made)
	}
	r.byCost = slices.Clone(r.conditions)
	slices.SortStableFunc(r.byCost, func(a, b condition) int { return int(a.cost) - int(b.cost) })
	for i := range r.Actions {
		c := &r.Actions[i]
		made, word, err := newAction(c, level)
		if err != nil {
			return r, r.wrong(fmt.Errorf("action %d (%s): %w", i+1, clip(c.Opcode, maxShownLength), err))
		}
		if word.later != "" {
			r.note("the action %s does nothing until there is %s", word.name, word.later)
		}
		r.actions = append(r.actions, todo{made, word})
	}
	return r, nil
}

// parseShape reads a rule of the array form without looking at its words.
func parseShape(v dataformat.Value, level Level) (*Rule, error) {
	r := &Rule{Level: level, value: normal(v)}
	parts, ok := v.(dataformat.Array)
	if !ok || len(parts) < 4 || len(parts) > 5 {
		return r, fmt.Errorf("%s is not a rule: (priority, name, (conditions), (actions), comment)",
			clip(dataformat.Compact(v), maxShownLength))
	}
	if r.Name, ok = dataformat.Text(parts[1]); !ok || r.Name == "" {
		return r, fmt.Errorf("%s is not the name of a rule", dataformat.Compact(parts[1]))
	}
	var err error
	if r.Priority, err = priority(parts[0]); err != nil {
		return r, r.wrong(err)
	}
	if len(parts) == 5 {
		if r.Comment, ok = dataformat.Text(parts[4]); !ok {
			return r, r.wrong(fmt.Errorf("the comment is not a text"))
		}
	}
	r.value.(dataformat.Array)[0] = dataformat.String(fmt.Sprint(r.Priority))
	if r.Conditions, err = clauses(parts[2], "condition", 3); err != nil {
		return r, r.wrong(err)
	}
	if r.Actions, err = clauses(parts[3], "action", 2); err != nil {
		return r, r.wrong(err)
	}
	return r, nil
}

func (r *Rule) note(format string, args ...any) {
	r.notes = append(r.notes, fmt.Sprintf(format, args...))
}

// title is the name of the rule in errors.
func (r *Rule) title() string { return fmt.Sprintf("rule %q", clip(r.Name, maxShownLength)) }

// wrong names the rule in an error.
func (r *Rule) wrong(err error) error { return fmt.Errorf("%s: %w", r.title(), err) }

func priority(v dataformat.Value) (int, error) {
	n, ok := dataformat.Int(v)
	if !ok || n < Inactive || n > Highest {
		return 0, fmt.Errorf("%s is not a priority, 0 to 10", dataformat.Compact(v))
	}
	return int(n), nil
}

// clauses reads the conditions or the actions of a rule: arrays of an opcode and up to two texts.
func clauses(v dataformat.Value, noun string, longest int) ([]Clause, error) {
	all, ok := v.(dataformat.Array)
	if !ok {
		return nil, fmt.Errorf("the %ss are not an array", noun)
	}
	if len(all) > MaxClauses {
		return nil, fmt.Errorf("there are more than %d %ss", MaxClauses, noun)
	}
	var out []Clause
	for i, one := range all {
		parts, ok := one.(dataformat.Array)
		if !ok || len(parts) == 0 || len(parts) > longest {
			return nil, fmt.Errorf("%s %d is not an array of up to %d texts", noun, i+1, longest)
		}
		var texts [3]string
		for j, part := range parts {
			if texts[j], ok = dataformat.Text(part); !ok {
				return nil, fmt.Errorf("%s %d: %s is not a text", noun, i+1, clip(dataformat.Compact(part), maxShownLength))
			}
		}
		c := Clause{Opcode: texts[0], Operation: texts[1], Param: texts[2]}
		if longest == 2 {
			c.Operation, c.Param = "", texts[1]
		}
		out = append(out, c)
	}
	return out, nil
}

// normal returns a value with numbers as strings of digits: all leaves of rules are strings.
func normal(v dataformat.Value) dataformat.Value {
	switch v := v.(type) {
	case dataformat.Number:
		s, _ := dataformat.Text(v)
		return dataformat.String(s)
	case dataformat.Array:
		out := make(dataformat.Array, len(v))
		for i, e := range v {
			out[i] = normal(e)
		}
		return out
	}
	return v
}

// clip cuts a text to at most n bytes.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "..."
}
