package imap

import (
	"strings"

	"gatepost/accounts/message"
	"gatepost/protocols/imap/wire"
)

// fetchKind is the kind of a data item of FETCH.
type fetchKind uint8

const (
	fetchUID fetchKind = iota
	fetchFlags
	fetchInternalDate
	fetchSize
	fetchModSeq
	fetchEmailID
	fetchThreadID
	fetchSaveDate
	fetchPreview
	fetchLazyPreview
	fetchEnvelope
	fetchBody // BODY without a section
	fetchBodyStructure
	fetchSection    // BODY[...], RFC822 ...
	fetchBinary     // BINARY[...]
	fetchBinarySize // BINARY.SIZE[...]
)

// need is what a data item needs from the store besides the view, as bits.
type need uint8

const (
	needContent need = 1 << iota
	needSummary      // the whole summary, and the content
	needBody
)

// fetchItem is one requested data item.
type fetchItem struct {
	kind  fetchKind
	needs need
	// label is the item's name in the response.
	label string
	// peek: the item does not set \Seen.
	peek    bool
	section section
}

// section is the text in the brackets of BODY[...] or BINARY[...].
type section struct {
	path []int
	part message.Section
	// fields, if any, are those of HEADER.FIELDS, or with not of HEADER.FIELDS.NOT.
	fields *message.FieldNames
	not    bool
	cached bool // the stored summary has all of the fields
	// A partial fetch has from and count (RFC 9051 section 6.4.5).
	partial     bool
	from, count int64
}

// plainItems are the items that consist of one word.
var plainItems = map[string]fetchItem{
	"UID":           {kind: fetchUID},
	"FLAGS":         {kind: fetchFlags},
	"INTERNALDATE":  {kind: fetchInternalDate},
	"RFC822.SIZE":   {kind: fetchSize},
	"MODSEQ":        {kind: fetchModSeq},
	"EMAILID":       {kind: fetchEmailID},
	"THREADID":      {kind: fetchThreadID},
	"SAVEDATE":      {kind: fetchSaveDate},
	"PREVIEW":       {kind: fetchPreview, needs: needSummary},
	"ENVELOPE":      {kind: fetchEnvelope, needs: needContent},
	"BODYSTRUCTURE": {kind: fetchBodyStructure, needs: needSummary},
	"BODY":          {kind: fetchBody, needs: needSummary},
	"RFC822":        {kind: fetchSection, needs: needBody, label: "RFC822"},
	"RFC822.HEADER": {kind: fetchSection, needs: needSummary | needBody, label: "RFC822.HEADER", peek: true, section: section{part: message.Header}},
	"RFC822.TEXT":   {kind: fetchSection, needs: needSummary | needBody, label: "RFC822.TEXT", section: section{part: message.Text}},
}

// fetchMacros stand for several items (RFC 9051 section 6.4.5).
var fetchMacros = map[string][]string{
	"ALL":  {"FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE"},
	"FAST": {"FLAGS", "INTERNALDATE", "RFC822.SIZE"},
	"FULL": {"FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODY"},
}

// maxItems bounds the items of one FETCH.
const maxItems = 1000

// fetchPlan is a parsed FETCH.
type fetchPlan struct {
	items     []fetchItem
	needs     need
	marksSeen bool
	hasFlags  bool
	binary    bool // some items have to be decoded
	modSeq    bool // MODSEQ is one of the items
	// Only messages that have changed after changedSince are wanted, and with vanished the UIDs that were expunged since
	// (RFC 7162 sections 3.1.4 and 3.2.6).
	changedSince uint64
	vanished     bool
	partial      partialRange // RFC 9394
}

func (f *fetchPlan) add(item fetchItem) {
	f.items = append(f.items, item)
	f.needs |= item.needs
	f.binary = f.binary || item.kind == fetchBinary || item.kind == fetchBinarySize
	switch item.kind {
	case fetchFlags:
		f.hasFlags = true
	case fetchModSeq:
		f.modSeq = true
	case fetchSection, fetchBinary:
		f.marksSeen = f.marksSeen || !item.peek
	}
}

// parseFetch reads the items. With withUID, UID is always one of them.
func parseFetch(p *wire.Parser, withUID bool) *fetchPlan {
	f := new(fetchPlan)
	if withUID {
		f.add(fetchItem{kind: fetchUID})
	}
	if p.Peek() == '(' {
		p.List(func() {
			f.parseItem(p, withUID, false)
			if len(f.items) > maxItems {
				p.Limit("more than %d items", maxItems)
			}
		})
		if len(f.items) == 0 {
			p.Fail("a list of items expected")
		}
		return f
	}
	f.parseItem(p, withUID, true)
	return f
}

// parseModifiers reads the modifiers of FETCH (RFC 4466 section 2.4).
func (f *fetchPlan) parseModifiers(p *wire.Parser, uid, qresync bool) {
	since := false
	p.List(func() {
		switch name := p.Keyword(); string(name) {
		case "CHANGEDSINCE":
			p.Space()
			f.changedSince, since = parseModSeq(p), true
			if !f.modSeq {
				f.add(fetchItem{kind: fetchModSeq})
			}
		case "VANISHED":
			f.vanished = true
		case "PARTIAL":
			p.Space()
			f.partial = parsePartial(p)
			if !uid {
				p.Fail("PARTIAL needs UID FETCH")
			}
		default:
			p.Fail("unknown modifier %s", name)
		}
	})
	if f.vanished && !(uid && since && qresync) {
		p.Fail("VANISHED needs UID FETCH, CHANGEDSINCE and ENABLE QRESYNC")
	}
}

func (f *fetchPlan) parseItem(p *wire.Parser, hasUID, macro bool) {
	name := string(p.Item())
	if p.Skip('[') {
		f.parseSection(p, name)
		return
	}
	if item, ok := plainItems[name]; ok {
		if item.kind == fetchPreview {
			item = lazyPreview(p)
		}
		if item.kind != fetchUID || !hasUID {
			f.add(item)
		}
		return
	}
	if names, ok := fetchMacros[name]; ok && macro {
		for _, n := range names {
			f.add(plainItems[n])
		}
		return
	}
	p.Fail("unknown item %s", name)
}

// parseSection reads the rest of an item with a section, after the opening bracket.
func (f *fetchPlan) parseSection(p *wire.Parser, name string) {
	item := fetchItem{kind: fetchSection, needs: needBody}
	base, peek := strings.CutSuffix(name, ".PEEK")
	item.peek = peek
	switch {
	case base == "BODY":
	case base == "BINARY":
		item.kind, item.needs = fetchBinary, needSummary|needBody
	case name == "BINARY.SIZE":
		item.kind, item.needs = fetchBinarySize, needSummary|needBody
	default:
		p.Fail("unknown item %s[", name)
		return
	}
	label := base + "[" + item.section.parse(p, item.kind == fetchSection)
	p.Expect(']')
	label += "]"
	if item.kind != fetchBinarySize && p.Skip('<') {
		sec := &item.section
		sec.partial, sec.from = true, p.Number64()
		p.Expect('.')
		if sec.count = p.Number64(); sec.count == 0 {
			p.Fail("the length of a partial fetch must not be 0")
		}
		p.Expect('>')
		label += "<" + string(wire.AppendNumber(nil, sec.from)) + ">"
	}
	item.label = label
	switch sec := &item.section; {
	case item.kind != fetchSection:
	case sec.cached:
		item.needs = needContent
	case len(sec.path) > 0 || sec.part != message.Whole:
		item.needs = needSummary | needBody
	}
	f.add(item)
}

// parse reads the text in the brackets, and returns it as the response has it.
func (sec *section) parse(p *wire.Parser, texts bool) string {
	spec := string(p.Item())
	word := spec
	for word != "" && word[0] >= '0' && word[0] <= '9' {
		digits, rest, _ := strings.Cut(word, ".")
		n := 0
		for _, c := range digits {
			if c < '0' || c > '9' || n > 1<<24 {
				p.Fail("a part number is malformed")
				return ""
			}
			n = n*10 + int(c-'0')
		}
		if n == 0 || len(rest) == 0 && strings.HasSuffix(word, ".") {
			p.Fail("a part number is malformed")
			return ""
		}
		sec.path = append(sec.path, n)
		word = rest
	}
	if word == "" {
		return spec
	}
	if !texts {
		p.Fail("a part number expected")
		return ""
	}
	switch word {
	case "HEADER":
		sec.part = message.Header
	case "TEXT":
		sec.part = message.Text
	case "MIME":
		sec.part = message.MIME
		if len(sec.path) == 0 {
			p.Fail("MIME needs a part number")
		}
	case "HEADER.FIELDS", "HEADER.FIELDS.NOT":
		sec.part, sec.not = message.Header, word == "HEADER.FIELDS.NOT"
		return spec + " " + sec.parseFields(p)
	default:
		p.Fail("unknown section %s", word)
	}
	return spec
}

// parseFields reads the list of header fields, and returns it as the response has it.
func (sec *section) parseFields(p *wire.Parser) string {
	p.Space()
	label := []byte{'('}
	var names []string
	p.List(func() {
		name := p.AString()
		if len(names) > 0 {
			label = append(label, ' ')
		}
		label = wire.AppendAString(label, name)
		names = append(names, string(name))
		if len(names) > maxItems {
			p.Limit("more than %d header fields", maxItems)
		}
	})
	if len(names) == 0 {
		p.Fail("a list of header fields expected")
	}
	sec.fields = message.NewFieldNames(names)
	sec.cached = !sec.not && len(sec.path) == 0 && message.Cached(names)
	return string(append(label, ')'))
}
