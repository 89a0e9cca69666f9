package mailbox

import (
	"strings"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/accounts/index"
	"gatepost/server/fault"
)

// The limits of keywords: how many a mailbox can have, and how long one is.
const (
	maxKeywords   = 64
	maxKeywordLen = 200
)

var systemFlags = [...]struct {
	bit  Flags
	name imap.Flag
}{
	{Seen, imap.FlagSeen}, {Answered, imap.FlagAnswered}, {Flagged, imap.FlagFlagged},
	{Deleted, imap.FlagDeleted}, {Draft, imap.FlagDraft},
}

// splitFlags sorts flags into system flags and keywords. \Recent cannot be set
// and is left out (RFC 9051 section 2.3.2).
func splitFlags(flags []imap.Flag) (system Flags, keywords []string, err error) {
	for _, f := range flags {
		if !strings.HasPrefix(string(f), `\`) {
			if !validKeyword(string(f)) {
				return 0, nil, fault.Newf("mailbox.flags", fault.Invalid, "%q cannot be a keyword", f)
			}
			if !containsFold(keywords, string(f)) {
				keywords = append(keywords, string(f))
			}
			continue
		}
		known := strings.EqualFold(string(f), `\Recent`)
		for _, s := range systemFlags {
			if strings.EqualFold(string(f), string(s.name)) {
				system |= s.bit
				known = true
			}
		}
		if !known {
			return 0, nil, fault.Newf("mailbox.flags", fault.Invalid, "there is no flag %q", f)
		}
	}
	return system, keywords, nil
}

// validKeyword reports whether s is an atom (RFC 9051 section 9, flag-keyword).
func validKeyword(s string) bool {
	if s == "" || len(s) > maxKeywordLen {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`(){%*"\]`, c) >= 0 {
			return false
		}
	}
	return true
}

func containsFold(names []string, name string) bool { return indexFold(names, name) >= 0 }

// indexFold finds a keyword; their case does not count (RFC 9051 section 2.3.2).
func indexFold(names []string, name string) int {
	for i, n := range names {
		if strings.EqualFold(n, name) {
			return i
		}
	}
	return -1
}

// loadKeywords reads the keyword list of the mailbox.
func (x *boxEdit) loadKeywords() error {
	if x.knowsKeys {
		return nil
	}
	names, err := readKeywords(x.edit.tx, x.edit.account.id, x.rec.data)
	x.keywords, x.knowsKeys = names, err == nil
	return err
}

func readKeywords(tx index.Tx, account uint64, data uint32) ([]string, error) {
	var k keyBuffer
	return unmarshalKeywords(tx.Get(index.Mail, k.numbered(account, kindKeywords, data)))
}

// keywordBits returns the bits of keywords. With add, new ones are put on the
// list; when it is full, rest has those that found no place.
func (x *boxEdit) keywordBits(names []string, add bool) (bits uint64, rest []string, err error) {
	if len(names) == 0 {
		return 0, nil, nil
	}
	if err := x.loadKeywords(); err != nil {
		return 0, nil, err
	}
	grown := false
	for _, n := range names {
		i := indexFold(x.keywords, n)
		switch {
		case i >= 0:
			bits |= 1 << i
		case !add:
		case len(x.keywords) == maxKeywords:
			rest = append(rest, n)
		default:
			bits |= 1 << len(x.keywords)
			x.keywords = append(x.keywords[:len(x.keywords):len(x.keywords)], n)
			grown = true
		}
	}
	if !grown {
		return bits, rest, nil
	}
	x.newKeys = true
	e := x.edit
	return bits, rest, e.tx.Put(index.Mail, e.key.numbered(e.account.id, kindKeywords, x.rec.data), marshalKeywords(x.keywords))
}

// allKeywordBits is keywordBits where every keyword has to find a place.
func (x *boxEdit) allKeywordBits(names []string) (uint64, error) {
	bits, rest, err := x.keywordBits(names, true)
	if err == nil && len(rest) > 0 {
		err = fault.Newf("mailbox.flags", fault.TooMany, "a mailbox has at most %d keywords", maxKeywords)
	}
	return bits, err
}
