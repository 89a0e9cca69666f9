package imap

import (
	"strings"

	"gatepost/protocols/imap/wire"
	"gatepost/server/fault"
)

// language is LANGUAGE (RFC 5255 section 3.2). The texts of responses are English.
func language(s *session, c *call, p *wire.Parser) error {
	asked, known := false, false
	for p.SkipSpace() {
		tag := strings.ToLower(string(p.AString()))
		asked = true
		known = known || tag == "en" || strings.HasPrefix(tag, "en-") || tag == "i-default" || tag == "default"
	}
	if err := p.End(); err != nil {
		return err
	}
	if asked && !known {
		return no(fault.Unsupported, "The texts of responses are English")
	}
	s.out.Raw("* LANGUAGE (en)").CRLF()
	return nil
}
