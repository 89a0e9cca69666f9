package rules

import (
	"fmt"
	"strings"

	"gatepost/router/address"
)

// Describe is an action for people, without the text of messages that it sends.
func Describe(a Action) string {
	name := a.Kind().String()
	switch a := a.(type) {
	case StoreIn:
		box := a.Mailbox
		if a.Owner != "" {
			box = "~" + a.Owner + "/" + box
		}
		if len(a.Flags) > 0 {
			return fmt.Sprintf("%s %q with %s", name, box, strings.Join(a.Flags, " "))
		}
		return fmt.Sprintf("%s %q", name, box)
	case CopyAttachments:
		dir := a.Directory
		if a.Owner != "" {
			dir = "~" + a.Owner + "/" + dir
		}
		return fmt.Sprintf("%s %q", name, dir)
	case Mark:
		var words []string
		for _, f := range a.Set {
			words = append(words, "+"+f)
		}
		for _, f := range a.Clear {
			words = append(words, "-"+f)
		}
		return name + " " + strings.Join(words, " ")
	case AddHeader:
		var lines []string
		for _, f := range a.Fields {
			lines = append(lines, f.Name+": "+f.Value)
		}
		return name + " " + shown(lines...)
	case TagSubject:
		return name + " " + shown(a.Text)
	case Reject:
		return name + " " + shown(a.Text)
	case Remember:
		return fmt.Sprintf("%s %s: %s", name, a.Dataset, a.Address)
	case Resend:
		return name + " " + joined(a.Recipients) + " from <" + a.ReturnPath.String() + ">"
	case Submit:
		return name + ": a message to " + joined(a.Recipients)
	case SendURL:
		return name + " " + a.URL
	case Execute:
		return name + " " + shown(a.Args...)
	case Filter:
		return name + " " + a.Name
	case WriteLog:
		return name + " " + shown(a.Text)
	case Skipped:
		return name + " is not done: " + a.Reason
	}
	return name
}

func joined(all []address.Address) string {
	var texts []string
	for _, a := range all {
		texts = append(texts, "<"+a.String()+">")
	}
	return strings.Join(texts, ", ")
}
