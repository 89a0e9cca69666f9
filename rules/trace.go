package rules

import (
	"fmt"
	"strings"
)

// Trace explains a run: which rules matched and why others did not.
type Trace struct{ Rules []RuleTrace }

// RuleTrace is one rule that was looked at.
type RuleTrace struct {
	Rule       *Rule
	Matched    bool
	Conditions []ConditionTrace // up to the first that does not hold
	Actions    []Action
}

// ConditionTrace is one condition that was looked at.
type ConditionTrace struct {
	Clause *Clause
	Holds  bool
	Saw    string // what the message has: it is "Hello"
}

// Verdict is what rules would do with a message.
type Verdict struct {
	Notes    []string // rules that are not applied, and why; words that do nothing yet
	Trace    Trace
	Problems []string // what would fail, or is not tried
	Changes  []string // of the header
	Result   string   // what becomes of the message
}

// String is the verdict for people.
func (v *Verdict) String() string {
	var b strings.Builder
	for _, n := range v.Notes {
		b.WriteString(n + "\n")
	}
	b.WriteString(v.Trace.String())
	for _, p := range v.Problems {
		b.WriteString(p + "\n")
	}
	for _, c := range v.Changes {
		b.WriteString(c + "\n")
	}
	b.WriteString("result: " + v.Result + "\n")
	return b.String()
}

// Explain makes the runs that are started later write into t; nil ends that.
func (r *Run) Explain(t *Trace) { r.trace = t }

func (t *Trace) begin(rule *Rule) { t.Rules = append(t.Rules, RuleTrace{Rule: rule, Matched: true}) }

func (t *Trace) last() *RuleTrace { return &t.Rules[len(t.Rules)-1] }

func (t *Trace) condition(c *condition, holds bool, saw string) {
	rt := t.last()
	rt.Conditions = append(rt.Conditions, ConditionTrace{c.clause, holds, saw})
	rt.Matched = rt.Matched && holds
}

func (t *Trace) action(s Step) {
	rt := t.last()
	rt.Actions = append(rt.Actions, s.Action)
}

// String is the explanation for people.
func (t *Trace) String() string {
	var b strings.Builder
	for i := range t.Rules {
		rt := &t.Rules[i]
		verdict := "matches"
		if !rt.Matched {
			verdict = "does not match"
		}
		fmt.Fprintf(&b, "%s rule %q, priority %d: %s\n", rt.Rule.Level, rt.Rule.Name, rt.Rule.Priority, verdict)
		for _, c := range rt.Conditions {
			sign := "yes"
			if !c.Holds {
				sign = "no"
			}
			fmt.Fprintf(&b, "  if %s: %s, %s\n", c.Clause, sign, c.Saw)
		}
		for _, a := range rt.Actions {
			fmt.Fprintf(&b, "  -> %s\n", Describe(a))
		}
	}
	return b.String()
}
