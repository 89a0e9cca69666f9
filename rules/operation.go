package rules

import (
	"errors"
	"strings"
)

// Operation says how a condition compares.
type Operation uint8

// The operations. None is that of a condition that compares nothing.
const (
	None Operation = iota
	Is
	IsNot
	In
	NotIn
	LessThan
	GreaterThan
)

var operationNames = [...]string{None: "", Is: "is", IsNot: "is not", In: "in", NotIn: "not in",
	LessThan: "less than", GreaterThan: "greater than"}

func (op Operation) String() string { return operationNames[op] }

// negative reports whether the operation holds for a value that the parameter does not fit.
func (op Operation) negative() bool { return op == IsNot || op == NotIn }

// list reports whether the parameter is a list.
func (op Operation) list() bool { return op == In || op == NotIn }

// The operations that conditions have.
var (
	compareText   = []Operation{Is, IsNot, In, NotIn}
	compareNumber = []Operation{Is, IsNot, LessThan, GreaterThan}
	compareTime   = []Operation{Is, IsNot, LessThan, GreaterThan, In, NotIn}
)

// findOperation reads an operation in any letter case.
func findOperation(s string) (Operation, bool) {
	for op := Is; int(op) < len(operationNames); op++ {
		if strings.EqualFold(s, operationNames[op]) {
			return op, true
		}
	}
	return None, false
}

// items returns the items of a comma list without the blanks around them; empty ones are left out.
func items(list string) []string {
	var out []string
	for item := range strings.SplitSeq(list, ",") {
		if item = strings.TrimSpace(item); item != "" {
			out = append(out, item)
		}
	}
	return out
}

// matcher is the parameter of a condition that compares text.
type matcher struct {
	op       Operation
	pictures []picture
	// dataset names the addresses of the account that are the list, instead of pictures.
	dataset string
	cost    int // what a character of a value costs, see Run.spend
}

func newMatcher(op Operation, param string) (matcher, error) {
	m := matcher{op: op}
	if !op.list() {
		m.pictures = []picture{newPicture(param)}
	} else if name, ok := strings.CutPrefix(strings.TrimSpace(param), "#"); ok {
		if m.dataset = strings.TrimSpace(name); m.dataset == "" {
			return m, errors.New("the # names no dataset")
		}
	} else {
		for _, item := range items(param) {
			m.pictures = append(m.pictures, newPicture(item))
		}
	}
	for i := range m.pictures {
		m.cost += len(m.pictures[i].middle)
	}
	return m, nil
}

// asksAccount reports whether the list is one of the account.
func (m *matcher) asksAccount() bool { return m.dataset != "" }

// fits reports whether a value is in the list or fits the picture, without regard to the negation.
func (m *matcher) fits(r *Run, value text) bool {
	if m.dataset != "" {
		return r.remembers(m.dataset, value.shown)
	}
	if m.cost > 0 {
		r.spend(m.cost * len(value.low))
	}
	for i := range m.pictures {
		if m.pictures[i].match(value) {
			return true
		}
	}
	return false
}
