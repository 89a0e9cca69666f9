package imap

import (
	"time"

	"gatepost/accounts/mailbox"
	"gatepost/protocols/imap/wire"
)

// The limits of one SEARCH. The texts of BODY, TEXT, HEADER, SUBJECT and their like are all found in
// one reading of each message.
const (
	maxKeys  = 2000
	maxTexts = 64
)

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
	opField  // a header field that the summary has
	opHeader // another one
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
	number   int // opField, opHeader, opText: number of the text in the program
	kids     []searchKey
}

// searchProgram is a parsed SEARCH.
type searchProgram struct {
	extended             bool // the answer is ESEARCH
	min, max, all, count bool
	save                 bool
	root                 searchKey
	texts                []searchText
	// Which texts are looked for where, as bits.
	inSummary, inHeader, inBody uint64
	longest                     int  // length of the longest text of inBody
	ascii                       bool // the texts of inBody are all ASCII
	keys                        int
	saved                       []wire.Range // what $ stands for, once it was asked for
	now                         time.Time
	badCharset                  bool
}

// searchText is a text that a program looks for.
type searchText struct {
	text  []byte // folded
	field string // whose field it has to be in, or "" for BODY and TEXT
	place place  // where it is looked for; BODY and TEXT also in the body
}

// add puts a text into the program and returns its number.
func (g *searchProgram) add(p *wire.Parser, t searchText) int {
	number := len(g.texts)
	if number == maxTexts {
		p.Fail("more than %d texts to search for", maxTexts)
		return 0
	}
	g.texts = append(g.texts, t)
	if t.place&inSummary != 0 {
		g.inSummary |= 1 << number
	}
	if t.place&inHeader != 0 {
		g.inHeader |= 1 << number
	}
	if t.place&inBody != 0 {
		g.inBody |= 1 << number
		g.longest = max(g.longest, len(t.text))
		g.ascii = g.ascii && isASCII(t.text)
	}
	return number
}
