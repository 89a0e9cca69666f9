package sendmail

import (
	"strings"

	"gatepost/protocols/pickup"
	"gatepost/queue/envelope"
)

// options is what the command line of sendmail says.
type options struct {
	mode       byte // the letter after -b; m: send
	fromHeader bool // -t
	dots       bool // -i: a line with a dot does not end the message
	from       string
	fromGiven  bool
	name       string // -F
	notify     string // -N
	ret        string // -R
	id         string // -V
	flush      bool   // -q
	to         []string
}

// The letters of options that take a value, attached or as the next word, and of those whose value, if there
// is one, is attached.
const (
	withValue  = "ABCDFLNORVXbfhpry"
	attached   = "deoqMS"
	withoutAny = "ciGIkmntTUvxs"
)

func parseOptions(args []string) (*options, error) {
	o := &options{mode: 'm'}
	for len(args) > 0 {
		word := args[0]
		args = args[1:]
		if word == "--" {
			o.to = append(o.to, args...)
			break
		}
		if len(word) < 2 || word[0] != '-' {
			o.to = append(o.to, word)
			continue
		}
		for rest := word[1:]; rest != ""; {
			letter, value := rest[0], rest[1:]
			rest = ""
			switch {
			case strings.IndexByte(withoutAny, letter) >= 0:
				rest, value = value, ""
			case strings.IndexByte(withValue, letter) >= 0 && value == "":
				if len(args) == 0 {
					return nil, failed(ExitUsage, "option -%c needs a value", letter)
				}
				value, args = args[0], args[1:]
			case strings.IndexByte(withValue, letter) < 0 && strings.IndexByte(attached, letter) < 0:
				return nil, failed(ExitUsage, "option -%c is not known", letter)
			case letter == 'o' && value == "" && len(args) > 0 && len(args[0]) <= 2:
				value, args = args[0], args[1:] // "-o i"
			}
			if err := o.set(letter, value); err != nil {
				return nil, err
			}
		}
	}
	return o, nil
}

// set takes one option. Those that are not named here change nothing.
func (o *options) set(letter byte, value string) error {
	switch letter {
	case 't':
		o.fromHeader = true
	case 'i':
		o.dots = true
	case 'o':
		o.dots = o.dots || value == "i" || value == "iTrue" || value == "itrue"
	case 'O':
		name, v, _ := strings.Cut(value, "=")
		if strings.EqualFold(name, "IgnoreDots") && !strings.HasPrefix(strings.ToLower(v), "f") {
			o.dots = true
		}
	case 'f', 'r':
		o.from, o.fromGiven = value, true
	case 'F':
		if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return failed(ExitUsage, "option -F: a name has no control characters")
		}
		o.name = value
	case 'N':
		if _, ok := pickup.ParseNotify(value); !ok {
			return failed(ExitUsage, "option -N: %q is not never, or success, failure, delay with commas", value)
		}
		o.notify = value
	case 'R':
		switch strings.ToLower(value) {
		case "full", "hdrs":
			o.ret = strings.ToUpper(value)
		default:
			return failed(ExitUsage, "option -R: %q is neither full nor hdrs", value)
		}
	case 'V':
		if _, err := envelope.DecodeXText(value); err != nil || len(value) > 100 {
			return failed(ExitUsage, "option -V: an envelope ID is xtext of 100 characters at most")
		}
		o.id = value
	case 'q':
		o.flush = true
	case 'I':
		o.mode = 'i'
	case 'b':
		if !strings.Contains("misvp", value[:1]) {
			return failed(ExitUsage, "option -b%s: this program sends messages (-bm), speaks SMTP (-bs), verifies addresses (-bv) "+
				"and lists the queue (-bp); the server is started with 'gatepost serve'", value)
		}
		o.mode = value[0]
	}
	return nil
}
