package rules

import (
	"errors"
	"strings"

	"gatepost/server/program/commandline"
)

type execute struct {
	Execute
	args []template
}

func newExecute(param string, _ Level) (action, error) {
	c, err := commandline.Parse(param)
	if err != nil {
		return nil, err
	}
	a := &execute{Execute: Execute{File: c.File, ReturnPath: c.ReturnPath, Recipients: c.Recipients, Originals: c.Originals, Stderr: c.Stderr}}
	for _, w := range c.Args {
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
