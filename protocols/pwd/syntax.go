package pwd

import (
	"fmt"
	"strings"

	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// The syntax of a command's parameters is written as people write it:
//
//	acct [KEY key] [(keys)]
//	old INTO new
//	acct PASSWORD|TO pw [METHOD method] [CHECK]
//	[domain] {settings}
//
// A lower-case name is a word, and domain a stricter one; (name) is an array, {name} a dictionary, <name>
// any object, #name a number; name... the rest of the line; name=A|B|C is one of some keywords. A keyword
// stands before the parameter that it names, or alone if nothing follows.
// Brackets mean that it may be missing. What stands before the first keyword
// comes in this order; from there on the order is free. An optional word is there
// when what comes next does not begin like an object.

// kind is what a parameter is read as.
type kind uint8

const (
	kindFlag kind = iota // a keyword alone
	kindWord
	kindAtom // a word of letters, digits, . _ - @ or quoted: a domain
	kindArray
	kindDict
	kindObject
	kindNumber
	kindChoice
	kindRest // the rest of the line, as it is
)

// param is one element of a syntax.
type param struct {
	keywords []string // that stand before it; of a choice: its words
	name     string
	kind     kind
	optional bool
}

// parseSyntax reads a syntax. What is wrong with one is a bug that a test finds.
func parseSyntax(text string) ([]param, error) {
	var out []param
	var keywords []string
	optional := false
	for _, tok := range strings.Fields(text) {
		opens, closes := strings.HasPrefix(tok, "["), strings.HasSuffix(tok, "]")
		tok = strings.TrimSuffix(strings.TrimPrefix(tok, "["), "]")
		optional = optional || opens
		switch {
		case tok == "":
			return nil, fmt.Errorf("syntax %q: an empty element", text)
		case isKeyword(tok):
			if len(keywords) > 0 {
				out = append(out, keywordAlone(keywords, optional))
			}
			keywords = strings.Split(tok, "|")
			if !closes {
				continue
			}
			out = append(out, keywordAlone(keywords, true))
		default:
			p, err := value(tok)
			if err != nil {
				return nil, fmt.Errorf("syntax %q: %w", text, err)
			}
			if p.kind != kindChoice {
				p.keywords = keywords
			}
			p.optional = optional
			out = append(out, p)
		}
		keywords, optional = nil, optional && !closes
	}
	if len(keywords) > 0 {
		out = append(out, keywordAlone(keywords, optional))
	}
	return out, nil
}

func keywordAlone(keywords []string, optional bool) param {
	return param{keywords: keywords, name: keywords[0], kind: kindFlag, optional: optional}
}

// isKeyword reports whether an element of a syntax is upper-case words.
func isKeyword(tok string) bool {
	return strings.ToUpper(tok) == tok && tok[0] >= 'A' && tok[0] <= 'Z'
}

func value(tok string) (param, error) {
	if name, words, ok := strings.Cut(tok, "="); ok {
		return param{name: name, kind: kindChoice, keywords: strings.Split(words, "|")}, nil
	}
	inner := func() string { return tok[1 : len(tok)-1] }
	switch {
	case tok[0] == '#':
		return param{name: tok[1:], kind: kindNumber}, nil
	case len(tok) > 2 && tok[0] == '(' && tok[len(tok)-1] == ')':
		return param{name: inner(), kind: kindArray}, nil
	case len(tok) > 2 && tok[0] == '{' && tok[len(tok)-1] == '}':
		return param{name: inner(), kind: kindDict}, nil
	case len(tok) > 2 && tok[0] == '<' && tok[len(tok)-1] == '>':
		return param{name: inner(), kind: kindObject}, nil
	case strings.HasSuffix(tok, "..."):
		return param{name: strings.TrimSuffix(tok, "..."), kind: kindRest}, nil
	case tok == "domain":
		return param{name: tok, kind: kindAtom}, nil
	case strings.Trim(tok, "abcdefghijklmnopqrstuvwxyz0123456789") == "":
		return param{name: tok, kind: kindWord}, nil
	}
	return param{}, fmt.Errorf("%q is no parameter", tok)
}

// args are the parameters of one command.
type args struct {
	values map[string]dataformat.Value
	by     map[string]string // parameter → the keyword before it
}

// has reports whether a parameter was given.
func (a args) has(name string) bool { _, ok := a.values[name]; return ok }

// word returns a word, or "".
func (a args) word(name string) string {
	s, _ := a.values[name].(dataformat.String)
	return string(s)
}

// dict returns a dictionary, or nil.
func (a args) dict(name string) dataformat.Dict {
	d, _ := a.values[name].(dataformat.Dict)
	return d
}

// number returns a number, or 0.
func (a args) number(name string) int {
	n, _ := a.values[name].(dataformat.Number)
	return int(n)
}

// strings returns an array of strings.
func (a args) strings(name string) ([]string, error) {
	array, _ := a.values[name].(dataformat.Array)
	out := make([]string, len(array))
	for i, e := range array {
		s, ok := dataformat.Text(e)
		if !ok {
			return nil, fault.New("pwd.Strings", fault.Invalid, "an array of strings is expected")
		}
		out[i] = s
	}
	return out, nil
}

// readArgs reads the parameters of a command from the rest of its line.
func readArgs(syntax []param, rest string) (args, error) {
	a := args{values: map[string]dataformat.Value{}, by: map[string]string{}}
	d := dataformat.NewDecoder(rest)
	free := len(syntax)
	for i, p := range syntax {
		if len(p.keywords) > 0 {
			free = i
			break
		}
		if p.optional && !p.begins(d) {
			continue
		}
		if err := a.read(d, p); err != nil {
			return a, err
		}
	}
	for !d.AtEnd() {
		if err := a.readAny(d, syntax[free:]); err != nil {
			return a, err
		}
	}
	for _, p := range syntax {
		if !p.optional && !a.has(p.name) {
			return a, syntaxError("parameter %s is missing", p.describe())
		}
	}
	return a, nil
}

// readAny reads whichever of the parameters comes next.
func (a *args) readAny(d *dataformat.Decoder, syntax []param) error {
	for _, p := range syntax {
		if a.has(p.name) || len(p.keywords) == 0 || d.Next() == '"' {
			continue
		}
		for _, k := range p.keywords {
			if !d.Keyword(k) {
				continue
			}
			a.by[p.name] = k
			if p.kind == kindFlag || p.kind == kindChoice {
				a.values[p.name] = dataformat.String(k)
				return nil
			}
			return a.read(d, p)
		}
	}
	for _, p := range syntax {
		if !a.has(p.name) && len(p.keywords) == 0 && p.begins(d) {
			return a.read(d, p)
		}
	}
	rest := d.Rest()
	return syntaxError("unexpected %q", rest[:min(len(rest), 20)])
}

// begins reports whether what comes next can be the parameter.
func (p param) begins(d *dataformat.Decoder) bool {
	c := d.Next()
	switch p.kind {
	case kindArray:
		return c == '('
	case kindDict:
		return c == '{'
	case kindWord, kindAtom:
		return c != 0 && c != '(' && c != '{'
	}
	return c != 0
}

// read reads one parameter.
func (a *args) read(d *dataformat.Decoder, p param) error {
	if d.AtEnd() {
		return syntaxError("parameter %s is missing", p.describe())
	}
	var v dataformat.Value
	var err error
	switch p.kind {
	case kindWord:
		var w string
		w, err = d.Word()
		v = dataformat.String(w)
	case kindRest:
		v = dataformat.String(strings.TrimSpace(d.Rest()))
		*d = *dataformat.NewDecoder("")
	default:
		v, err = d.Value()
	}
	if err != nil {
		return fault.Wrap("pwd.Parse", fault.Invalid, err)
	}
	if v, err = p.convert(v); err != nil {
		return err
	}
	a.values[p.name] = v
	return nil
}

// convert checks what was read and gives it the type that the getters expect.
func (p param) convert(v dataformat.Value) (dataformat.Value, error) {
	switch p.kind {
	case kindAtom:
		if _, ok := v.(dataformat.String); !ok {
			return nil, syntaxError("%s: a string is expected", p.name)
		}
	case kindArray:
		if _, ok := v.(dataformat.Array); !ok {
			return nil, syntaxError("%s: an array is expected", p.name)
		}
	case kindDict:
		if _, ok := v.(dataformat.Dict); !ok {
			return nil, syntaxError("%s: a dictionary is expected", p.name)
		}
	case kindNumber:
		n, ok := dataformat.Int(v)
		if !ok {
			return nil, syntaxError("%s: a number is expected", p.name)
		}
		return dataformat.Number(n), nil
	}
	return v, nil
}

func (p param) describe() string {
	if len(p.keywords) == 0 {
		return p.name
	}
	if p.kind == kindFlag || p.kind == kindChoice {
		return strings.Join(p.keywords, "|")
	}
	return strings.Join(p.keywords, "|") + " " + p.name
}

func syntaxError(format string, v ...any) error {
	return fault.Newf("pwd.Parse", fault.Invalid, format, v...)
}

// splitVerb cuts a line into the verb, in upper case, and what follows. Old
// clients leave out the blank before a quotation mark or <.
func splitVerb(line string) (verb, rest string) {
	line = strings.TrimLeft(line, " \t")
	n := 0
	for n < len(line) && (isLetter(line[n]) || n > 0 && isDigit(line[n])) {
		n++
	}
	return strings.ToUpper(line[:n]), line[n:]
}

func isLetter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
