package imap

import (
	"bytes"

	"gatepost/accounts/message"
	"gatepost/accounts/message/searchtext"
)

// The keys FROM, SUBJECT, HEADER and so on: the first one that is applied to a message searches for all texts
// of the program that have the same scope, so that each field is decoded once.

// searchEnvelope searches the addresses of the ENVELOPE (RFC 9051 section 6.4.4). Each field is
// searched as one text, in which the addresses have their simplest form: names are decoded, and there are no
// comments, quotes or line breaks.
func (x *candidate) searchEnvelope() {
	if x.done&inEnvelope != 0 || !x.needContent() {
		return
	}
	x.done |= inEnvelope
	for _, f := range x.searchProgram.inEnvelope {
		text := x.field[:0]
		for a := range x.content.Addresses(f.field) {
			text = appendAddress(text, &a)
		}
		x.field = text
		if len(text) > 0 {
			x.searchFolded(text, f.texts)
		}
	}
}

// appendAddress appends an entry of an address list, folded.
func appendAddress(dst []byte, a *message.Address) []byte {
	switch n := len(dst); {
	case n == 0, a.Kind == message.GroupEnd:
	case dst[n-1] == ':':
		dst = append(dst, ' ')
	default:
		dst = append(dst, ", "...)
	}
	start := len(dst)
	dst = trimFolded(searchtext.FoldHeader(dst, a.Name), start)
	switch a.Kind {
	case message.GroupStart:
		return append(dst, ':')
	case message.GroupEnd:
		return append(dst, ';')
	}
	if len(a.Local)+len(a.Domain) == 0 {
		return dst
	}
	if len(dst) > start {
		dst = append(dst, ' ')
	}
	dst = append(dst, '<')
	if len(a.Route) > 0 {
		dst = append(searchtext.Fold(dst, a.Route), ':')
	}
	dst = searchtext.Fold(dst, a.Local)
	if len(a.Domain) > 0 {
		dst = searchtext.Fold(append(dst, '@'), a.Domain)
	}
	return append(dst, '>')
}

// trimFolded removes the blanks around what stands from start on.
func trimFolded(b []byte, start int) []byte {
	text := bytes.Trim(b[start:], " ")
	return append(b[:start], text...)
}

// searchSummary searches the header fields in the stored summary.
func (x *candidate) searchSummary() {
	if x.done&inSummary != 0 || !x.needContent() {
		return
	}
	x.done |= inSummary
	x.searchHeader(x.content.Prefix, x.searchProgram.inSummary)
	x.searchHeader(x.content.Headers, x.searchProgram.inSummary)
}

// searchWholeHeader searches the whole header, with the prefix.
func (x *candidate) searchWholeHeader() {
	if x.done&inHeader != 0 || !x.needSummary() || !x.needBody() {
		return
	}
	x.done |= inHeader
	x.searchHeader(x.read(searchtext.MainHeader(x.summary, int64(len(x.content.Prefix)), x.body.Size())), x.searchProgram.inHeader)
}

// searchHeader searches a header for texts. A text that names a field is searched for in the values of
// such fields, and is found in each if it is empty. The other texts are searched for in whole fields, names
// included.
func (x *candidate) searchHeader(header []byte, fields []fieldTexts) {
	x.work(len(header))
	for len(header) > 0 && x.err == nil && !x.foundInAll(fields) {
		field := searchtext.FirstField(header)
		header = header[len(field):]
		name := bytes.TrimRight(field[:max(bytes.IndexByte(field, ':'), 0)], " \t")
		var whole, value []byte
		for i := range fields {
			f := &fields[i]
			if f.field != "" && !equalFold(name, f.field) || x.foundAll(f.texts) {
				continue
			}
			if whole == nil {
				whole, value = searchtext.FoldField(x.field[:0], field)
				x.field = whole
			}
			if f.field == "" {
				x.searchFolded(whole, f.texts)
			} else {
				x.searchFolded(value, f.texts)
			}
		}
	}
}

func (x *candidate) foundInAll(fields []fieldTexts) bool {
	for i := range fields {
		if !x.foundAll(fields[i].texts) {
			return false
		}
	}
	return true
}

// searchFolded searches a folded field for texts.
func (x *candidate) searchFolded(folded []byte, texts []int) {
	x.work(len(folded) * len(texts) / textsPerByte)
	for _, n := range texts {
		x.found[n] = x.found[n] || bytes.Contains(folded, x.searchProgram.texts[n].header)
	}
}
