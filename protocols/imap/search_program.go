package imap

import (
	"time"

	"gatepost/accounts/mailbox"
	"gatepost/accounts/message/searchtext"
	"gatepost/protocols/imap/wire"
)

// maxKeys bounds the keys of one SEARCH. It is high enough for the Message-IDs of a long thread.
const maxKeys = 5000

// searchOp is the operation of a search key.
type searchOp uint8

// The operations, in the order of their cost: keys that read less of the message are
// applied first.
const (
	opAll searchOp = iota
	opNone
	opSet     // sequence numbers or UIDs
	opFlags   // has all the system flags
	opKeyword // has the keyword
	opRecent
	opModSeq
	opLarger
	opSmaller
	opBefore // internal date
	opSince
	opSavedBefore
	opSavedSince
	opEmailID
	opThreadID
	opNot
	opAnd
	opOr
	opSentBefore
	opSentSince
	opAddress // a field of the ENVELOPE
	opField   // a header field in the stored summary
	opHeader  // another header field
	opLike    // a text that is searched for with FUZZY
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
	keywords uint64 // opKeyword, resolved: the keyword's bit in State, or 0
	modSeq   uint64
	id       uint64
	size     int64
	date     time.Time // a day, or an instant if exact
	exact    bool
	number   int // opAddress, opField, opHeader, opText, opLike: number of the text in the program
	kids     []searchKey
	cost     searchOp // the most expensive operation in it
}

// searchProgram is a parsed SEARCH.
type searchProgram struct {
	enabled                   // by the client
	extended             bool // the answer is ESEARCH
	min, max, all, count bool
	save                 bool
	followed             bool         // changes of the result are told (RFC 5267)
	numbers              bool         // a key has sequence numbers, other than 1:*
	dollar               bool         // a key has $
	partial              partialRange // PARTIAL is asked for if low is not 0
	modSeq               bool         // MODSEQ is one of the keys
	root                 searchKey
	texts                []searchText
	fuzzy                bool // the key being parsed is an argument of FUZZY (RFC 6203)
	hasFuzzy             bool // there is a FUZZY
	relevancy            bool // the answer has scores
	ranked               bool // the messages are sorted by them
	likes                []likeText
	scores               map[uint32]int // of the messages found, by sequence numbers
	// The numbers of the texts in each scope.
	inEnvelope, inSummary, inHeader []fieldTexts
	inBody                          []int
	inInner                         []fieldTexts // the texts of inBody, for the headers of inner parts
	longest                         int          // length of the longest text of inBody
	ascii                           bool         // the texts of inBody are all ASCII
	keys                            int
	word                            string       // a word that was read already
	saved                           []wire.Range // the messages that $ names, if a key has it
	now                             time.Time
	badCharset                      bool
}

// searchText is a text that a program searches for.
type searchText struct {
	text   []byte // folded, for bodies
	header []byte // folded, for headers (see foldHeader)
	field  string // the field that has to contain it; "" for BODY and TEXT
	scope  scope
}

// fieldTexts are the numbers of the texts that are searched for in a field; without a name, in
// every field.
type fieldTexts struct {
	field string
	texts []int
}

// newText returns the searchText of a text that the client has sent.
func newText(raw []byte, field string, in scope) searchText {
	return searchText{text: searchtext.Fold(nil, raw), header: searchtext.FoldForHeaders(raw), field: field, scope: in}
}

// add adds a text to the program and returns its number.
func (g *searchProgram) add(t searchText) int {
	number := len(g.texts)
	g.texts = append(g.texts, t)
	for in, list := range map[scope]*[]fieldTexts{inEnvelope: &g.inEnvelope, inSummary: &g.inSummary, inHeader: &g.inHeader, inBody: &g.inInner} {
		if t.scope&in != 0 {
			addTo(list, t.field, number)
		}
	}
	if t.scope&inBody != 0 {
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
