package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"gatepost/server/control"
	"gatepost/server/dataformat"
)

const prompt = "gatepost> "

// interact runs the commands that a person types, until exit, quit, Ctrl-D or Ctrl-C. What
// was typed stays in memory only: there are passwords among it.
func interact(ctx context.Context, client *control.Client) error {
	commands, err := usages(client)
	if err != nil {
		return err
	}
	name, err := client.Do("MAINDOMAINNAME")
	if err != nil {
		return err
	}
	domain, _ := dataformat.Text(name.Data)
	t := newTerminal(os.Stdin, os.Stdout, prompt)
	t.lines.AutoCompleteCallback = completer{commands, t.lines}.key
	say := "Gatepost at " + domain + ", with the rights of postmaster. HELP lists the commands, HELP and the beginning of a\n" +
		"command shows its parameters, TAB completes. exit, quit or Ctrl-D ends.\n"
	for {
		line, err := t.line(ctx, say)
		if errors.Is(err, errLeft) {
			return nil
		}
		if err != nil {
			return err
		}
		say = ""
		line = strings.TrimSpace(line)
		switch strings.ToUpper(line) {
		case "":
			continue
		case "EXIT", "QUIT":
			return nil
		}
		a, err := client.Do(line)
		if err != nil {
			return err
		}
		show(line, a)
		if a.OK() && a.Data == nil {
			fmt.Println(a.Text)
		}
	}
}

// usages asks the server for its commands: each is a verb, and its parameters after it.
func usages(client *control.Client) ([]string, error) {
	a, err := client.Do("HELP")
	if err != nil {
		return nil, err
	}
	return usageLines(a), nil
}

func usageLines(a control.Answer) []string {
	array, _ := a.Data.(dataformat.Array)
	lines := make([]string, len(array))
	for i, v := range array {
		lines[i], _ = dataformat.Text(v)
	}
	return lines
}

// helpNotes explain how parameters are written.
const helpNotes = `
Words in capitals are keywords, in any case; brackets mean that a part may be missing; (x) is an array, {x} a dictionary
{Key=value;}, <x> any object, #x a number, a|b one of these. A name without a domain is in the Main Domain.
`

// show prints the answer to a command: data in the data format, help as it is.
func show(command string, a control.Answer) {
	verb, parameter, _ := strings.Cut(command, " ")
	switch {
	case a.Data == nil && !a.OK():
		fmt.Println(a.Code, a.Text)
	case a.Data == nil:
	case strings.EqualFold(verb, "HELP"):
		for _, line := range usageLines(a) {
			fmt.Println(line)
		}
		if strings.TrimSpace(parameter) == "" {
			fmt.Print(helpNotes)
		}
	default:
		fmt.Println(dataformat.Pretty(a.Data))
	}
}

// completer completes what is typed: the verb, and then the keywords of the command.
type completer struct {
	usages []string
	out    interface{ Write([]byte) (int, error) }
}

// key is called with each key that is no editing key (term.Terminal.AutoCompleteCallback).
func (c completer) key(line string, pos int, key rune) (string, int, bool) {
	if key != '\t' {
		return "", 0, false
	}
	before, after := line[:pos], line[pos:]
	start := strings.LastIndexByte(before, ' ') + 1
	word := before[start:]
	fits := c.candidates(strings.Fields(before[:start]), word)
	switch len(fits) {
	case 0:
		return line, pos, true
	case 1:
		word = fits[0] + " "
	default:
		longer := commonPrefix(fits)
		if len(longer) <= len(word) {
			fmt.Fprintln(c.out, strings.Join(fits, "  "))
		}
		word = longer
	}
	before = before[:start] + word
	return before + after, len(before), true
}

// candidates lists the words that may come after others and begin with word.
func (c completer) candidates(others []string, word string) []string {
	var list []string
	for _, usage := range c.usages {
		verb, syntax, _ := strings.Cut(usage, " ")
		switch {
		case len(others) == 0, len(others) == 1 && strings.EqualFold(others[0], "HELP"):
			list = append(list, verb)
		case strings.EqualFold(others[0], verb) && word != "":
			list = append(list, keywords(syntax)...)
		}
	}
	list = slices.DeleteFunc(list, func(w string) bool {
		return len(w) < len(word) || !strings.EqualFold(w[:len(word)], word)
	})
	slices.Sort(list)
	return slices.Compact(list)
}

// keywords lists the keywords and the choices of a syntax.
func keywords(syntax string) []string {
	var list []string
	for _, token := range strings.Fields(syntax) {
		token = strings.Trim(token, "[]")
		if _, choices, ok := strings.Cut(token, "="); ok {
			list = append(list, strings.Split(choices, "|")...)
		} else if token == strings.ToUpper(token) && token[0] >= 'A' && token[0] <= 'Z' {
			list = append(list, strings.Split(token, "|")...)
		}
	}
	return list
}

func commonPrefix(list []string) string {
	prefix := list[0]
	for _, w := range list[1:] {
		for !strings.HasPrefix(w, prefix) {
			prefix = prefix[:len(prefix)-1]
		}
	}
	return prefix
}
