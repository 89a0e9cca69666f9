// Package commandline splits a command line into a program and its arguments. No shell has a part in
// it: nothing is expanded, and no character starts a second command.
package commandline

import (
	"errors"
	"fmt"
	"strings"
)

// Command is a command line of a rule or of the module PIPE: options in brackets before the program say what the
// server adds.
type Command struct {
	Args []string // the program and its arguments
	// File gives the program the name of a file with the message as its last argument; else the message is
	// its standard input.
	File bool
	// ReturnPath adds -f and the return-path; Recipients and Originals add the recipients, and the
	// recipients as their sender knew them.
	ReturnPath, Recipients, Originals bool
	// Stderr takes the text of a refusal from the standard error.
	Stderr bool
}

// Parse reads [FILE] [RETPATH] [RCPT] [ORCPT] [STDERR] program arguments.
func Parse(s string) (Command, error) {
	var c Command
	rest := strings.TrimSpace(s)
	for strings.HasPrefix(rest, "[") {
		option, after, ok := strings.Cut(rest[1:], "]")
		if !ok {
			return c, errors.New("an option has no ]")
		}
		switch strings.ToUpper(strings.TrimSpace(option)) {
		case "FILE":
			c.File = true
		case "RETPATH":
			c.ReturnPath = true
		case "RCPT":
			c.Recipients = true
		case "ORCPT":
			c.Originals = true
		case "STDERR":
			c.Stderr = true
		default:
			if len(option) > 20 {
				option = option[:20]
			}
			return c, fmt.Errorf("there is no option [%s]", strings.ToValidUTF8(option, "?"))
		}
		rest = strings.TrimSpace(after)
	}
	var err error
	if c.Args, err = Split(rest); err != nil {
		return c, err
	}
	if len(c.Args) == 0 {
		return c, errors.New("it names no program")
	}
	return c, nil
}

// Split splits a command line at blanks. A word, or a part of it, may stand in single or double
// quotes; in double quotes and outside, a backslash takes the next character as it is.
func Split(s string) ([]string, error) {
	if strings.IndexByte(s, 0) >= 0 {
		return nil, errors.New("the command holds a NUL character")
	}
	var words []string
	var word strings.Builder
	quote, inWord := byte(0), false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && quote != '\'':
			if i++; i == len(s) {
				return nil, errors.New("the command ends in a backslash")
			}
			word.WriteByte(s[i])
			inWord = true
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '"' || c == '\''):
			quote, inWord = c, true
		case quote == 0 && (c == ' ' || c == '\t' || c == '\n' || c == '\r'):
			if inWord {
				words = append(words, word.String())
				word.Reset()
				inWord = false
			}
		default:
			word.WriteByte(c)
			inWord = true
		}
	}
	if quote != 0 {
		return nil, errors.New("a quotation mark is not closed")
	}
	if inWord {
		words = append(words, word.String())
	}
	return words, nil
}

// Join writes words so that Split gives them back.
func Join(words []string) string {
	var b strings.Builder
	for i, w := range words {
		if i > 0 {
			b.WriteByte(' ')
		}
		if w != "" && !strings.ContainsAny(w, " \t\r\n\"'\\") {
			b.WriteString(w)
			continue
		}
		b.WriteByte('"')
		for j := range len(w) {
			if w[j] == '"' || w[j] == '\\' {
				b.WriteByte('\\')
			}
			b.WriteByte(w[j])
		}
		b.WriteByte('"')
	}
	return b.String()
}
