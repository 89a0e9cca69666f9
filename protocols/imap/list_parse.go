package imap

import (
	"gatepost/protocols/imap/wire"
)

// maxPatterns bounds the patterns of one LIST.
const maxPatterns = 100

// listArgs are the arguments of LIST (RFC 9051 section 6.3.9, RFC 5258, 5819, 6154).
type listArgs struct {
	lsub      bool
	reference string
	patterns  []string
	undefined bool // a reference or pattern is not encoded correctly, so that nothing matches

	subscribed, specialUse, recursive bool // selection options
	showSubscribed                    bool // return option
	status                            []*statusItem
	metadata                          []string // entries
	myRights                          bool     // RFC 8440
}

func (r *responder) parseList(p *wire.Parser, lsub bool) listArgs {
	a := listArgs{lsub: lsub, subscribed: lsub}
	p.Space()
	if !lsub && p.Peek() == '(' {
		p.List(func() { a.selectOption(p) })
		p.Space()
	}
	a.reference = r.pattern(p, p.AString(), &a)
	p.Space()
	if !lsub && p.Peek() == '(' {
		p.List(func() {
			a.patterns = append(a.patterns, r.pattern(p, p.Pattern(), &a))
			if len(a.patterns) > maxPatterns {
				p.Limit("more than %d patterns", maxPatterns)
			}
		})
	} else {
		a.patterns = append(a.patterns, r.pattern(p, p.Pattern(), &a))
	}
	if !lsub && p.SkipSpace() {
		if string(p.Keyword()) != "RETURN" {
			p.Fail("RETURN expected")
		}
		p.Space()
		p.List(func() { a.returnOption(p) })
	}
	if a.recursive && !a.subscribed && !a.specialUse {
		p.Fail("RECURSIVEMATCH needs another selection option")
	}
	return a
}

// pattern decodes a reference or pattern. One that is not encoded correctly matches nothing.
func (r *responder) pattern(p *wire.Parser, raw []byte, a *listArgs) string {
	name, ok := r.decodeName(raw)
	if !ok && p.OK() {
		a.undefined = true
	}
	return name
}

func (a *listArgs) selectOption(p *wire.Parser) {
	switch option := p.Keyword(); string(option) {
	case "SUBSCRIBED":
		a.subscribed, a.showSubscribed = true, true
	case "SPECIAL-USE":
		a.specialUse = true
	case "RECURSIVEMATCH":
		a.recursive = true
	case "REMOTE": // there are no mailboxes on other servers
	default:
		p.Fail("unknown selection option %s", option)
	}
}

func (a *listArgs) returnOption(p *wire.Parser) {
	switch option := p.Keyword(); string(option) {
	case "SUBSCRIBED":
		a.showSubscribed = true
	case "CHILDREN", "SPECIAL-USE": // are always returned
	case "STATUS":
		p.Space()
		a.status = parseStatusItems(p)
	case "MYRIGHTS":
		a.myRights = true
	case "METADATA": // RFC 9590
		p.Space()
		a.metadata = metadataEntries(p)
	default:
		p.Fail("unknown return option %s", option)
	}
}
