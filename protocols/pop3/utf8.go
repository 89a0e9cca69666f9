package pop3

import (
	"strings"

	"gatepost/server/fault"
)

// enableUTF8 is UTF8 (RFC 6856 section 2). With it messages are sent as they are, see downgradeHeader for those without it.
func (s *session) enableUTF8([]string) error {
	s.utf8 = true
	s.say("+OK UTF-8 is understood")
	return nil
}

// language is LANG (RFC 6856 section 3). The texts of replies are English.
func (s *session) language(args []string) error {
	if len(args) == 0 {
		s.say("+OK languages follow")
		s.say("en English")
		s.say("i-default English")
		s.say(".")
		return nil
	}
	switch tag := strings.ToLower(args[0]); {
	case tag == "*", tag == "en", strings.HasPrefix(tag, "en-"):
		s.say("+OK en English")
	case tag == "i-default":
		s.say("+OK i-default English")
	default:
		return fault.New("pop3.LANG", fault.Invalid, "the texts of replies are English")
	}
	return nil
}
