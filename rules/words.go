package rules

import (
	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// Word is a condition or an action as forms offer it.
type Word struct {
	Name       string
	Operations []string // of a condition; none: it takes neither operation nor parameter
	Help       string
	// Later is what has to exist before the word does something.
	Later string
	// Bare says that it takes no parameter.
	Bare bool
}

// ConditionWords are the conditions that rules of a level can have.
func ConditionWords(level Level) []Word {
	var out []Word
	for i := range conditionWords {
		w := &conditionWords[i]
		if !w.levels.has(level) {
			continue
		}
		word := Word{Name: w.name, Help: w.help, Bare: len(w.operations) == 0}
		for _, op := range w.operations {
			word.Operations = append(word.Operations, op.String())
		}
		out = append(out, word)
	}
	return out
}

// ActionWords are the actions that rules of a level can have.
func ActionWords(level Level) []Word {
	var out []Word
	for i := range actionWords {
		if w := &actionWords[i]; w.levels.has(level) {
			out = append(out, Word{Name: w.name, Help: w.help, Later: w.later, Bare: w.kind == KindDiscard || w.kind == KindStop})
		}
	}
	return out
}

// ConditionName and ActionName are an opcode as tables have it, for one in any letter case or under another
// name; an unknown one stays.
func ConditionName(opcode string) string {
	if w, ok := findCondition(opcode); ok {
		return w.name
	}
	return opcode
}

func ActionName(opcode string) string {
	if w, ok := findAction(opcode); ok {
		return w.name
	}
	return opcode
}

// OperationNames are all operations.
func OperationNames() []string { return operationNames[Is:] }

// Check says what is wrong with one rule in the array form, or nothing.
func Check(v dataformat.Value, level Level) (*Rule, error) {
	r, err := parseRule(v, level)
	if err != nil {
		return r, fault.New("rules.Check", fault.Invalid, err.Error())
	}
	return r, nil
}
