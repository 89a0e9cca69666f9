package rules

import (
	"strings"

	"gatepost/server/dataformat"
)

// The names of the simplified rules: those that pages for users make. A page shows one only while
// it has the usual form; a rule of the name in another form is a rule like others.
const (
	VacationName = "#Vacation"
	RedirectName = "#Redirect"
	// JunkName is the name that we give junk control. A rule of the form counts whatever its name
	// is.
	JunkName = "#JunkControl"
)

// RepliedAddresses is the dataset of those who have had the vacation message.
const RepliedAddresses = "RepliedAddresses"

const (
	vacationPriority = 2
	redirectPriority = 1
	junkPriority     = 1
)

// Vacation is the simplified rule #Vacation: each sender gets one reply.
type Vacation struct {
	On   bool
	Text string // as Reply with has it
	// After and Before are dates as Current Date has them, or empty.
	After, Before string
}

// AsVacation reads a rule of the usual form.
func AsVacation(r *Rule) (v Vacation, ok bool) {
	if r.Name != VacationName || r.bad != nil || len(r.Actions) != 2 || len(r.Conditions) < 2 {
		return v, false
	}
	human, once := false, false
	for i := range r.Conditions {
		c := &r.Conditions[i]
		op, _ := findOperation(c.Operation)
		switch {
		case is(c, "Human Generated"):
			human = true
		case is(c, "From") && op == NotIn && c.Param == "#"+RepliedAddresses:
			once = true
		case is(c, "Current Date") && op == GreaterThan:
			v.After = c.Param
		case is(c, "Current Date") && op == LessThan:
			v.Before = c.Param
		default:
			return Vacation{}, false
		}
	}
	v.On, v.Text = r.Priority > Inactive, r.Actions[0].Param
	return v, human && once && r.actions[0].word.kind == KindReply &&
		r.actions[1].word.kind == KindRemember && r.Actions[1].Param == RepliedAddresses
}

func is(c *Clause, opcode string) bool { return strings.EqualFold(c.Opcode, opcode) }

// Value is the rule in the array form.
func (v Vacation) Value() dataformat.Value {
	conds := dataformat.Array{texts("Human Generated", noValue), texts("From", "not in", "#"+RepliedAddresses)}
	if v.After != "" {
		conds = append(conds, texts("Current Date", "greater than", v.After))
	}
	if v.Before != "" {
		conds = append(conds, texts("Current Date", "less than", v.Before))
	}
	return written(v.On, vacationPriority, VacationName, conds,
		texts("Reply with", v.Text), texts("Remember 'From' in", RepliedAddresses))
}

// Redirect is the simplified rule #Redirect: all mail goes on.
type Redirect struct {
	On bool
	// How is KindMirror, KindRedirect or KindForward.
	How       Kind
	Addresses string // as the action has them
	Keep      bool   // a copy stays here
}

// AsRedirect reads a rule of the usual form.
func AsRedirect(r *Rule) (Redirect, bool) {
	n := len(r.actions)
	if r.Name != RedirectName || r.bad != nil || len(r.Conditions) > 0 || n < 1 || n > 2 {
		return Redirect{}, false
	}
	out := Redirect{On: r.Priority > Inactive, How: r.actions[0].word.kind, Addresses: r.Actions[0].Param, Keep: n == 1}
	ok := out.How == KindMirror || out.How == KindRedirect || out.How == KindForward
	return out, ok && (out.Keep || r.actions[1].word.kind == KindDiscard)
}

// Value is the rule in the array form.
func (v Redirect) Value() dataformat.Value {
	actions := []dataformat.Value{texts(v.How.String(), v.Addresses)}
	if !v.Keep {
		actions = append(actions, texts("Discard", noValue))
	}
	return written(v.On, redirectPriority, RedirectName, dataformat.Array{}, actions...)
}

// Junk is junk control: mail with a high enough X-Junk-Score goes into a mailbox.
type Junk struct {
	On      bool
	Level   int // the number of X that X-Junk-Score has to have
	Mailbox string
}

// maxJunkLevel is how many X filters write at most.
const maxJunkLevel = 30

// AsJunk reads a rule of the usual form, whatever its name is.
func AsJunk(r *Rule) (Junk, bool) {
	if r.bad != nil || len(r.Conditions) != 1 || len(r.actions) != 2 || !is(&r.Conditions[0], "Header Field") ||
		r.actions[0].word.kind != KindStoreIn || r.actions[1].word.kind != KindDiscard {
		return Junk{}, false
	}
	if op, _ := findOperation(r.Conditions[0].Operation); op.negative() {
		return Junk{}, false
	}
	pic := strings.ToUpper(r.Conditions[0].Param)
	rest, ok := strings.CutPrefix(pic, "X-JUNK-SCORE")
	level := strings.Count(rest, "X")
	plain := strings.Trim(rest, "X:*[ ") == ""
	return Junk{r.Priority > Inactive, level, r.Actions[0].Param}, ok && plain && level > 0
}

// Value is the rule in the array form.
func (v Junk) Value() dataformat.Value {
	level := min(max(v.Level, 1), maxJunkLevel)
	cond := texts("Header Field", "is", "X-Junk-Score:*["+strings.Repeat("X", level)+"*")
	return written(v.On, junkPriority, JunkName, dataformat.Array{cond},
		texts("Store in", v.Mailbox), texts("Discard", noValue))
}

// written is a rule in the array form.
func written(on bool, priority int, name string, conds dataformat.Array, actions ...dataformat.Value) dataformat.Value {
	p := dataformat.String("0")
	if on {
		p = dataformat.String(string(rune('0' + priority)))
	}
	return dataformat.Array{p, dataformat.String(name), conds, dataformat.Array(actions)}
}

func texts(all ...string) dataformat.Value {
	out := dataformat.Array{}
	for _, s := range all {
		out = append(out, dataformat.String(s))
	}
	return out
}
