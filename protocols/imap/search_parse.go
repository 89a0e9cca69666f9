package imap

import (
	"strings"
	"time"
	"unicode/utf8"

	"gatepost/accounts/mailbox"
	"gatepost/accounts/message"
	"gatepost/protocols/imap/wire"
	"gatepost/server/fault"
)

func newProgram(e enabled) *searchProgram {
	return &searchProgram{enabled: e, now: time.Now(), extended: e.rev2, ascii: true}
}

// parseOptions reads the arguments of SEARCH before its keys (RFC 9051 section 6.4.4).
func (g *searchProgram) parseOptions(p *wire.Parser) {
	p.Space()
	g.readWord(p)
	g.parseReturnOptions(p)
}

// parseReturnOptions reads what may stand before the keys, if the first word of it was read.
func (g *searchProgram) parseReturnOptions(p *wire.Parser) {
	if g.word == "RETURN" {
		p.Space()
		g.parseReturn(p)
		p.Space()
		g.readWord(p)
	} else {
		g.all = true
	}
	if g.word == "CHARSET" {
		p.Space()
		charset := strings.ToUpper(string(p.AString()))
		switch {
		case g.utf8:
			p.Fail("no CHARSET after UTF8=ACCEPT") // RFC 6855 section 3
		case charset != "UTF-8" && charset != "US-ASCII":
			g.badCharset = true
		}
		p.Space()
		g.readWord(p)
	}
}

// readWord reads the next word into g.word, if there is one: the name of a key, or what stands before the keys.
func (g *searchProgram) readWord(p *wire.Parser) {
	g.word = ""
	if isLetter(p.Peek()) {
		g.word = string(p.Keyword())
	}
}

// parseKeys reads the keys. The name of the first one may be in g.word.
func (g *searchProgram) parseKeys(p *wire.Parser) {
	g.root = searchKey{op: opAnd}
	for {
		word := g.word
		g.word = ""
		g.root.kids = append(g.root.kids, g.parseKey(p, word))
		if !p.SkipSpace() {
			return
		}
	}
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// parseReturn reads the result options (RFC 4731, RFC 5182).
func (g *searchProgram) parseReturn(p *wire.Parser) {
	g.extended = true
	p.List(func() {
		switch option := p.Keyword(); string(option) {
		case "MIN":
			g.min = true
		case "MAX":
			g.max = true
		case "ALL":
			g.all = true
		case "COUNT":
			g.count = true
		case "SAVE":
			g.save = true
		case "CONTEXT": // RFC 5267: a hint that the client will ask again
		case "UPDATE":
			g.followed = true
		case "RELEVANCY": // RFC 6203
			g.relevancy = true
		case "PARTIAL": // RFC 9394
			p.Space()
			if g.partial.low > 0 {
				p.Fail("PARTIAL can be asked for once")
			}
			g.partial = parsePartial(p)
		default:
			p.Fail("unknown result option %s", option)
		}
	})
	switch {
	case g.partial.low > 0 && g.all:
		p.Fail("ALL and PARTIAL exclude each other")
	case !g.min && !g.max && !g.count && !g.save && g.partial.low == 0: // UPDATE alone changes nothing of that
		g.all = true
	}
}

// parseKey reads a key. word is its name if that was read already.
func (g *searchProgram) parseKey(p *wire.Parser, word string) searchKey {
	p.Enter()
	defer p.Leave()
	if g.keys++; g.keys > maxKeys {
		p.Limit("more than %d search keys", maxKeys)
	}
	if word == "" && p.OK() {
		switch c := p.Peek(); {
		case c == '(':
			all := searchKey{op: opAnd}
			p.List(func() { all.kids = append(all.kids, g.parseKey(p, "")) })
			switch len(all.kids) {
			case 0:
				p.Fail("a search key expected")
			case 1:
				return all.kids[0]
			}
			return all
		case !isLetter(c):
			key := searchKey{op: opSet, set: parseSet(p)}
			g.noteSet(key.set)
			if g.uidOnly && !key.set.saved && p.OK() {
				p.Fail("%v", errUIDRequired())
			}
			return key
		}
		word = string(p.Keyword())
	}
	if !p.OK() {
		return searchKey{op: opNone}
	}
	if negated, ok := strings.CutPrefix(word, "UN"); ok {
		if key, ok := simpleKeys[negated]; ok && key.op == opFlags {
			return not(key)
		}
	}
	if key, ok := simpleKeys[word]; ok {
		return key
	}
	if !argumentKeys[word] {
		p.Fail("unknown search key %s", word)
		return searchKey{op: opNone}
	}
	p.Space()
	return g.parseArgument(p, word)
}

// noteSet notes what of a set depends on the moment.
func (g *searchProgram) noteSet(set messageSet) {
	g.dollar = g.dollar || set.saved
	all := len(set.numbers) == 1 && min(set.numbers[0].Low, set.numbers[0].High) == 0 && set.numbers.Max() == 1
	g.numbers = g.numbers || !set.saved && !all
}

// parseOr reads the two keys of OR. If one of them is an OR as well, its keys become keys of the
// outer one: clients that search for many texts nest as many ORs, and a tree of that depth would need much
// stack.
func (g *searchProgram) parseOr(p *wire.Parser) searchKey {
	or := searchKey{op: opOr}
	for missing := 2; missing > 0 && p.OK(); {
		word := ""
		if isLetter(p.Peek()) {
			word = string(p.Keyword())
		}
		if word == "OR" {
			if g.keys++; g.keys > maxKeys {
				p.Limit("more than %d search keys", maxKeys)
			}
			missing++
			p.Space()
			continue
		}
		or.kids = append(or.kids, g.parseKey(p, word))
		if missing--; missing > 0 {
			p.Space()
		}
	}
	return or
}

// argumentKeys are the keys with arguments.
var argumentKeys = map[string]bool{
	"FROM": true, "TO": true, "CC": true, "BCC": true, "SUBJECT": true, "HEADER": true, "BODY": true, "TEXT": true,
	"LARGER": true, "SMALLER": true, "KEYWORD": true, "UNKEYWORD": true, "UID": true, "NOT": true, "OR": true, "FUZZY": true,
	"BEFORE": true, "SINCE": true, "ON": true, "SENTBEFORE": true, "SENTSINCE": true, "SENTON": true,
	"YOUNGER": true, "OLDER": true, "MODSEQ": true,
	"EMAILID": true, "THREADID": true, "SAVEDBEFORE": true, "SAVEDSINCE": true, "SAVEDON": true,
}

func not(k searchKey) searchKey { return searchKey{op: opNot, kids: []searchKey{k}} }

// simpleKeys are the keys without arguments.
var simpleKeys = map[string]searchKey{
	"ALL":               {op: opAll},
	"SAVEDATESUPPORTED": {op: opAll}, // RFC 8514 section 4.3
	"ANSWERED":          {op: opFlags, flags: mailbox.Answered},
	"DELETED":           {op: opFlags, flags: mailbox.Deleted},
	"DRAFT":             {op: opFlags, flags: mailbox.Draft},
	"FLAGGED":           {op: opFlags, flags: mailbox.Flagged},
	"SEEN":              {op: opFlags, flags: mailbox.Seen},
	"RECENT":            {op: opRecent},
	"OLD":               not(searchKey{op: opRecent}),
	"NEW":               {op: opAnd, kids: []searchKey{{op: opRecent}, not(searchKey{op: opFlags, flags: mailbox.Seen})}},
}

// parseArgument reads the argument of a key that has one.
func (g *searchProgram) parseArgument(p *wire.Parser, word string) searchKey {
	switch word {
	case "FROM", "TO", "CC", "BCC":
		return g.stringKey(opAddress, newText(g.searchText(p), word, inEnvelope))
	case "SUBJECT":
		return g.headerKey(p, word)
	case "HEADER":
		name := string(p.AString())
		p.Space()
		return g.headerKey(p, name)
	case "BODY", "TEXT":
		return g.textKey(p, word == "TEXT")
	case "LARGER":
		return searchKey{op: opLarger, size: p.Number64()}
	case "SMALLER":
		return searchKey{op: opSmaller, size: p.Number64()}
	case "KEYWORD":
		return searchKey{op: opKeyword, keyword: p.Flag()}
	case "UNKEYWORD":
		return not(searchKey{op: opKeyword, keyword: p.Flag()})
	case "EMAILID":
		return searchKey{op: opEmailID, id: parseMessageID(p, "M")}
	case "THREADID":
		return searchKey{op: opThreadID, id: parseMessageID(p, "T")}
	case "MODSEQ":
		g.modSeq = true
		return searchKey{op: opModSeq, modSeq: parseSearchModSeq(p)}
	case "UID":
		key := searchKey{op: opSet, uid: true, set: parseSet(p)}
		g.dollar = g.dollar || key.set.saved
		return key
	case "FUZZY":
		outer := g.fuzzy
		g.fuzzy, g.hasFuzzy = true, true
		key := g.parseKey(p, "")
		if g.fuzzy = outer; len(g.likes) > maxLikes {
			p.Limit("more than %d fuzzy texts", maxLikes)
		}
		return key
	case "NOT":
		return not(g.parseKey(p, ""))
	case "OR":
		return g.parseOr(p)
	}
	return g.parseTime(p, word)
}

// parseTime reads the argument of a key that compares dates.
func (g *searchProgram) parseTime(p *wire.Parser, word string) searchKey {
	switch word {
	case "BEFORE":
		return searchKey{op: opBefore, date: p.Date()}
	case "SINCE":
		return searchKey{op: opSince, date: p.Date()}
	case "ON":
		return onDay(opSince, opBefore, p.Date())
	case "SAVEDBEFORE":
		return searchKey{op: opSavedBefore, date: p.Date()}
	case "SAVEDSINCE":
		return searchKey{op: opSavedSince, date: p.Date()}
	case "SAVEDON":
		return onDay(opSavedSince, opSavedBefore, p.Date())
	case "SENTBEFORE":
		return searchKey{op: opSentBefore, date: p.Date()}
	case "SENTSINCE":
		return searchKey{op: opSentSince, date: p.Date()}
	case "SENTON":
		return onDay(opSentSince, opSentBefore, p.Date())
	}
	op := opSince // YOUNGER and OLDER, RFC 5032
	if word == "OLDER" {
		op = opBefore
	}
	return searchKey{op: op, exact: true, date: g.now.Add(-time.Duration(p.NzNumber()) * time.Second)}
}

func onDay(since, before searchOp, day time.Time) searchKey {
	return searchKey{op: opAnd, kids: []searchKey{{op: since, date: day}, {op: before, date: day.AddDate(0, 0, 1)}}}
}

// textKey reads the argument of BODY, or of TEXT, which searches the header too.
func (g *searchProgram) textKey(p *wire.Parser, header bool) searchKey {
	in := inBody
	if header {
		in |= inHeader
	}
	return g.stringKey(opText, newText(g.searchText(p), "", in))
}

func (g *searchProgram) headerKey(p *wire.Parser, name string) searchKey {
	in, op := inHeader, opHeader
	if message.Cached([]string{name}) {
		in, op = inSummary, opField
	}
	return g.stringKey(op, newText(g.searchText(p), name, in))
}

func isASCII(s []byte) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// searchText reads a text to search for. It may be UTF-8 also without CHARSET.
func (g *searchProgram) searchText(p *wire.Parser) []byte {
	raw := p.AString()
	if !utf8.Valid(raw) {
		g.badCharset = true
	}
	return raw
}

// charsetError is the error of a text in a charset that is not supported.
func charsetError() error {
	err := no(fault.Unsupported, "Texts to search for have to be UTF-8")
	return withCode(err, fault.Unsupported, "BADCHARSET (US-ASCII UTF-8)")
}
