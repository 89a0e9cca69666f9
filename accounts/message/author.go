package message

import (
	"bytes"
	"slices"
	"strings"
)

// maxAuthors is how many addresses AuthorAddresses looks at.
const maxAuthors = 100

// AuthorAddresses returns the addresses in the value of a From or Sender field, where
// something is decided by whose they are.
//
// ambiguous tells that another reader may find other addresses in the value: its syntax is
// broken, an address appears in it when encoded-words are decoded first, or it
// has too many.
func AuthorAddresses(value []byte) (list []Address, ambiguous bool) {
	var p addressParser
	for p.reset(value); p.next(); {
		if p.Kind != Mailbox {
			continue
		}
		if len(list) == maxAuthors {
			return list, true
		}
		list = append(list, Address{p.Kind, bytes.Clone(p.Name), bytes.Clone(p.Route), bytes.Clone(p.Local), bytes.Clone(p.Domain)})
	}
	return list, p.ambiguous || wordsHideAddress(value, list)
}

// wordsHideAddress tells whether text with an @ that is none of the addresses stands in the
// value once its encoded-words are decoded.
func wordsHideAddress(value []byte, list []Address) bool {
	if !bytes.Contains(value, []byte("=?")) {
		return false
	}
	text := strings.ReplaceAll(DecodeHeader(value), `"`, "")
	for piece := range strings.FieldsFuncSeq(text, func(r rune) bool { return strings.ContainsRune(" \t<>,;:()", r) }) {
		if strings.Contains(piece, "=?") {
			return true // a word that nobody knows how to read
		}
		if strings.Contains(piece, "@") && !slices.ContainsFunc(list, func(a Address) bool {
			return strings.EqualFold(piece, string(a.Local)+"@"+string(a.Domain))
		}) {
			return true
		}
	}
	return false
}
