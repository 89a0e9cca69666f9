package imap

import (
	"time"

	"gatepost/accounts/mailbox"
	"gatepost/protocols/imap/wire"
)

// maxKeys bounds the keys of one SEARCH, high enough for the message-ids of a long thread. The texts of
// BODY, TEXT, HEADER, SUBJECT and their like are all found in one reading of each message.
const maxKeys = 5000

// searchOp is what a search key asks.
type searchOp uint8

// The operations, cheapest first: of the keys that all have to fit, those that read less
// of the message are asked first.
const (
	opAll searchOp = iota
	opNone
	opSet     // sequence numbers or UIDs
	opFlags   // has all the system flags
	opKeyword // has the keyword
	opRecent
	opLarger
	opSmaller
	opBefore // internal date
	opSince
	opNot
	opAnd
	opOr
	opSentBefore
	opSentSince
	opAddress // a field of the ENVELOPE
	opField   // a header field that the summary has
	opHeader  // another one
	opText
)

// searchKey is one key of a search program.
type searchKey struct {
	op       searchOp
	uid      bool // opSet: UIDs
	set      messageSet
	seqs     []wire.Range // opSet, resolved
	flags    mailbox.Flags
	keyword  string
	keywords uint64 // opKeyword, resolved: its bit in State, or 0
	size     int64
	date     time.Time // a day, or an instant if exact
	exact    bool
	number   int // opAddress, opField, opHeader, opText: number of the text in the program
	kids     []searchKey
	price    searchOp // of its keys the one that reads most
}

// searchProgram is a parsed SEARCH.
type searchProgram struct {
	extended             bool // the answer is ESEARCH
	min, max, all, count bool
	save                 bool
	root                 searchKey
	texts                []searchText
	// Which texts are looked for where, as numbers.
	inEnvelope, inSummary, inHeader []fieldTexts
	inBody                          []int
	inInner                         []fieldTexts // those of inBody, for the headers of inner parts
	longest                         int          // length of the longest text of inBody
	ascii                           bool         // the texts of inBody are all ASCII
	keys                            int
	saved                           []wire.Range // what $ stands for, once it was asked for
	now                             time.Time
	badCharset                      bool
}

// searchText is a text that a program looks for.
type searchText struct {
	text   []byte // folded, as it stands in bodies
	header []byte // … and in headers, see foldHeader
	field  string // whose field it has to be in, or "" for BODY and TEXT
	place  place  // where it is looked for; BODY and TEXT also in the body
}

// fieldTexts are the numbers of the texts that are looked for in a field; without a name, in
// any field.
type fieldTexts struct {
	field string
	texts []int
}

// newText makes a text of one that a client has sent.
func newText(raw []byte, field string, in place) searchText {
	return searchText{text: fold(nil, raw), header: foldForHeaders(raw), field: field, place: in}
}

// add puts a text into the program and returns its number.
func (g *searchProgram) add(t searchText) int {
	number := len(g.texts)
	g.texts = append(g.texts, t)
	for in, list := range map[place]*[]fieldTexts{inEnvelope: &g.inEnvelope, inSummary: &g.inSummary, inHeader: &g.inHeader, inBody: &g.inInner} {
		if t.place&in != 0 {
			addTo(list, t.field, number)
		}
	}
	if t.place&inBody != 0 {
		g.inBody = append(g.inBody, number)
		g.longest = max(g.longest, len(t.text))
		g.ascii = g.ascii && isASCII(t.text)
	}
	return number
}

func addTo(list *[]fieldTexts, field string, number int) {
	for i := range *list {
		if f := &(*list)[i]; equalFold(f.field, field) {
			f.texts = append(f.texts, number)
			return
		}
	}
	*list = append(*list, fieldTexts{field, []int{number}})
}
