package rules

import (
	"gatepost/server/fault"
)

// Run applies rules to one message. Start begins it, Next gives one action after the other, and
// Outcome says in the end what becomes of the message. A Run may be started again; it then keeps
// its memory. It belongs to one goroutine.
type Run struct {
	view
	in   Input
	sets [2]*Set
	next [2]int // the next rule of each set

	rule   *Rule // whose actions are done, or nil
	action int   // the next one

	flags   []string
	changes Changes
	added   []Remember // what rules of this run remember
	unsent  bool       // an action that would have taken the message elsewhere was skipped
	work    int
	ended   bool
	outcome Outcome
	trace   *Trace

	// What conditions have asked about besides the header.
	given, leads                            []candidate
	path, submitted, method                 text
	boxes                                   []text
	listed, routed, methodAsked, boxesAsked bool
}

// Step is an action and the rule that wants it.
type Step struct {
	Rule   *Rule
	Action Action
}

// Fate is what becomes of a message.
type Fate uint8

// The fates.
const (
	Keep      Fate = iota // it goes on: into INBOX, or into the queues of its recipients
	Discarded             // it is dropped
	Rejected              // it is refused
)

// Outcome is the end of a run.
type Outcome struct {
	Fate Fate
	// Text is the refusal of a rejected message.
	Text string
	// Flags are those of the copy in INBOX.
	Flags []string
	// Rule has ended the run; nil if all rules were looked at.
	Rule *Rule
}

// maxWork bounds the characters that the rules of a domain and an account search in one message:
// some tenths of a second. Server rules have no bound, since a message could get by them so.
const maxWork = 100 << 20

// Start begins a run of one or two sets: the rules of the server and of the cluster, or those of a
// domain and of an account. Rules of a higher priority come first, and of the same priority those
// of the first set.
func (r *Run) Start(in Input, first, second *Set) {
	v := r.view
	v.reset(in.Message)
	*r = Run{view: v, in: in, sets: [2]*Set{first, second}, trace: r.trace,
		given: r.given[:0], leads: r.leads[:0], added: r.added[:0]}
	if r.trace != nil {
		r.trace.Rules = nil
	}
}

// Next returns the next action, and false at the end of the run. What the action does is up to the
// caller, who may do all of them after the end: only the answer of an External Filter is needed
// before the call after it.
func (r *Run) Next() (Step, bool) {
	for !r.ended {
		if r.rule == nil {
			if r.rule = r.nextRule(); r.rule == nil {
				r.ended = true
				break
			}
			r.action = 0
			if !r.matches(r.rule) {
				r.rule = nil
				continue
			}
		}
		if r.action == len(r.rule.actions) {
			r.rule = nil
			continue
		}
		step := Step{Rule: r.rule}
		todo := &r.rule.actions[r.action]
		r.action++
		step.Action = todo.do(r)
		if _, discards := step.Action.(Discard); discards && r.unsent {
			step.Action = Skipped{KindDiscard, "the message was not sent on before, and nobody else has it"}
		}
		if r.err != nil {
			break
		}
		r.apply(step, todo.word)
		return step, true
	}
	r.ended = true
	return Step{}, false
}

// Err is what has ended the run before its end: something about the message or the account could
// not be read (its kind says whether a later run may go through), or fault.TooMany for rules that
// take too long. Rules that were not looked at may have wanted something else of the message.
func (r *Run) Err() error { return r.err }

// Outcome says what becomes of the message, when Next has returned false.
func (r *Run) Outcome() Outcome {
	out := r.outcome
	out.Flags = r.flagList()
	return out
}

// AddFields adds header fields that an External Filter wants; conditions see them from here on.
func (r *Run) AddFields(fields []Field) {
	r.changes.Fields = append(r.changes.Fields, fields...)
	r.add(fields)
}

// nextRule takes the next rule of both sets.
func (r *Run) nextRule() *Rule {
	best := -1
	for i, s := range r.sets {
		if s == nil || r.next[i] == len(s.order) {
			continue
		}
		if best < 0 || s.order[r.next[i]].Priority > r.sets[best].order[r.next[best]].Priority {
			best = i
		}
	}
	if best < 0 {
		return nil
	}
	rule := r.sets[best].order[r.next[best]]
	r.next[best]++
	return rule
}

// matches reports whether all conditions of a rule hold.
func (r *Run) matches(rule *Rule) bool {
	all := rule.byCost
	if r.trace != nil {
		r.trace.begin(rule)
		all = rule.conditions
	}
	for i := range all {
		c := &all[i]
		holds := c.check.holds(r)
		if r.err != nil {
			r.ended = true
			return false
		}
		if r.trace != nil {
			r.trace.condition(c, holds, c.check.saw(r))
		}
		if !holds {
			return false
		}
	}
	return true
}

// apply takes over what an action changes for the conditions and actions after it.
func (r *Run) apply(step Step, word *actionWord) {
	if r.trace != nil {
		r.trace.action(step)
	}
	switch a := step.Action.(type) {
	case AddHeader:
		r.AddFields(a.Fields)
	case TagSubject:
		r.changes.Tag = a.Text + r.changes.Tag
		r.tag(a.Text)
	case Mark:
		r.mark(a)
	case Remember:
		r.added = append(r.added, a)
	case Skipped:
		if word.takes {
			r.rule, r.unsent = nil, true
		}
	case Stop:
		r.end(step.Rule, Keep, "")
	case Discard:
		r.end(step.Rule, Discarded, "")
	case Reject:
		r.end(step.Rule, Rejected, a.Text)
	}
}

func (r *Run) end(rule *Rule, fate Fate, text string) {
	r.ended = true
	r.outcome = Outcome{Fate: fate, Text: text, Rule: rule}
}

// mark changes the flags of later copies. The list is a new one each time, as actions hold the one
// before.
func (r *Run) mark(m Mark) {
	var flags []string
	for _, f := range r.flags {
		if !has(m.Clear, f) && !has(m.Set, f) {
			flags = append(flags, f)
		}
	}
	r.flags = append(flags, m.Set...)
}

func (r *Run) flagList() []string { return r.flags[:len(r.flags):len(r.flags)] }

func has(all []string, s string) bool {
	for _, x := range all {
		if x == s {
			return true
		}
	}
	return false
}

// fail keeps the first failure to find something out.
func (r *Run) fail(err error) {
	if err != nil && r.err == nil {
		r.err = err
	}
}

// spend counts characters that are searched.
func (r *Run) spend(n int) {
	if r.work += n; r.work > maxWork && r.in.Recipient != nil {
		r.fail(fault.New("rules.Run", fault.TooMany, "the rules take too long for this message"))
	}
}
