package helper

import (
	"strings"
)

// Action is what a filter wants done with a message.
type Action uint8

// The actions.
const (
	Accept  Action = iota
	Discard        // nobody gets it, nobody is told
	Refuse         // for good, with Text
	Later          // it could not be looked at; Text says why
	Failed         // the filter does not work on it; Text may say why
)

func (a Action) String() string {
	return [...]string{"OK", "DISCARD", "ERROR", "REJECTED", "FAILURE"}[a]
}

// Verdict is what a filter says about a message.
type Verdict struct {
	Action Action
	Text   string
	// Fields are header fields that are to be added at the end of the header: lines without their
	// ends; those that continue a field begin with a blank or a TAB.
	Fields []string
	// Mirror are addresses that get a copy, Route such that become recipients.
	Mirror, Route []string
}

// parseVerdict reads an answer to FILE:
//
//	verdict = { option } [ final ]
//	option  = ( "ADDHEADER" | "MIRRORTO" | "ADDROUTE" ) string
//	final   = "OK" | "DISCARD" | ( "ERROR" | "REJECTED" | "FAILURE" ) [ report ]
func parseVerdict(text string) Verdict {
	var v Verdict
	for rest := text; ; {
		var name string
		name, rest = word(rest)
		switch name {
		case "OK", "":
			if text == "" {
				v.Action = Failed
			}
			return v
		case "DISCARD":
			v.Action = Discard
			return v
		case "ERROR":
			v.Action, v.Text = Refuse, report(rest)
			if v.Text == "" {
				v.Text = "the message is refused by a content filter"
			}
			return v
		case "REJECTED":
			v.Action, v.Text = Later, report(rest)
			return v
		case "FAILURE":
			v.Action, v.Text = Failed, report(rest)
			return v
		case "ADDHEADER", "MIRRORTO", "ADDROUTE":
			value, after, ok := quoted(rest)
			if !ok {
				value, after = word(rest)
			}
			if value == "" || strings.HasPrefix(value, `"`) {
				return Verdict{Action: Failed, Text: "the answer cannot be read: " + text}
			}
			rest = after
			switch name {
			case "ADDHEADER":
				v.Fields = append(v.Fields, fields(value)...)
			case "MIRRORTO":
				v.Mirror = append(v.Mirror, value)
			default:
				v.Route = append(v.Route, value)
			}
		default:
			return Verdict{Action: Failed, Text: "the answer is not known: " + text}
		}
	}
}

// fields splits the text of ADDHEADER into the lines of header fields. Empty lines, which would end the header, and
// lines that are neither a field nor continue one are left out.
func fields(text string) []string {
	var out []string
	for line := range strings.SplitSeq(strings.ReplaceAll(text, "\r", ""), "\n") {
		line = strings.TrimRight(line, " \t")
		switch {
		case strings.IndexByte(line, 0) >= 0 || strings.TrimLeft(line, " \t") == "":
		case line[0] == ' ' || line[0] == '\t':
			if len(out) > 0 {
				out = append(out, line)
			}
		case isField(line):
			out = append(out, line)
		}
	}
	return out
}

// isField reports whether a line begins a header field (RFC 5322 section 3.6.8).
func isField(line string) bool {
	name, _, ok := strings.Cut(line, ":")
	if !ok || name == "" {
		return false
	}
	for i := range len(name) {
		if name[i] <= ' ' || name[i] >= 0x7f {
			return false
		}
	}
	return true
}
