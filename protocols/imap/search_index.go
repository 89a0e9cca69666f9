package imap

import "gatepost/accounts/fulltext"

// look asks the index of texts whether the message contains a text of BODY, TEXT, or HEADER. What it does not know is read.
func (x *candidate) look(text int) fulltext.Answer {
	if x.query == nil || x.looked[text] < 0 || x.err != nil || x.wasRead(text) {
		return fulltext.Unknown
	}
	if x.looked[text] == 0 {
		x.looked[text] = x.addToQuery(&x.searchProgram.texts[text])
		return x.look(text)
	}
	file, mark, err := x.mailbox.File(x.ctx, x.state.UID)
	if err != nil {
		return fulltext.Unknown // reading the message tells
	}
	return x.query.Look(file, mark, x.looked[text]-1)
}

// wasRead reports whether the message was searched for a text already, for the sake of another one.
func (x *candidate) wasRead(text int) bool {
	in := x.searchProgram.texts[text].scope
	return x.done&in == in
}

// addToQuery adds a text, and returns its number as in looked.
func (x *candidate) addToQuery(t *searchText) int {
	n := x.query.Text(t.text, t.header, indexScope(t.scope), t.field != "")
	if n < 0 {
		return -1
	}
	return n + 1
}

// indexScope returns where the index looks for a text.
func indexScope(in scope) (s fulltext.Scope) {
	if in&inHeader != 0 {
		s |= fulltext.InHeader
	}
	if in&inBody != 0 {
		s |= fulltext.InBody
	}
	return s
}
