package rules

import (
	"errors"
	"fmt"
	"strings"

	"gatepost/server/program/commandline"
)

type execute struct {
	Execute
	args []template
}

func newExecute(param string, _ Level) (action, error) {
	a := &execute{}
	rest := strings.TrimSpace(param)
	for strings.HasPrefix(rest, "[") {
		option, after, ok := strings.Cut(rest[1:], "]")
		if !ok {
			return nil, errors.New("an option has no ]")
		}
		switch strings.ToUpper(strings.TrimSpace(option)) {
		case "FILE":
			a.File = true
		case "RETPATH":
			a.ReturnPath = true
		case "RCPT":
			a.Recipients = true
		case "ORCPT":
			a.Originals = true
		case "STDERR":
			a.Stderr = true
		default:
			return nil, fmt.Errorf("there is no option [%s]", clip(option, maxShownLength))
		}
		rest = strings.TrimSpace(after)
	}
	words, err := commandline.Split(rest)
	if err != nil {
		return nil, err
	}
	if len(words) == 0 {
		return nil, errors.New("it names no program")
	}
	for _, w := range words {
		a.args = append(a.args, newTemplate(w))
	}
	if a.args[0].hasMacro() {
		return nil, errors.New("the program cannot be a macro")
	}
	return a, nil
}

// do expands the macros after the command line was split, so that a value is one argument or a part
// of one, whatever it holds. A value at the start of an argument loses its hyphens: a stranger must
// not give options to the program.
func (a *execute) do(r *Run) Action {
	out := a.Execute
	out.Args = make([]string, len(a.args))
	for i, t := range a.args {
		s := t.expand(r, nil)
		if len(t) > 0 && t[0].macro != 0 {
			s = strings.TrimLeft(s, "-")
		}
		out.Args[i] = s
	}
	return out
}
