package mailbox

import (
	"math/bits"
	"strings"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/accounts/index"
	"gatepost/server/fault"
)

// The limits of keywords: how many a mailbox can have, and how long one is. A keyword is a
// bit in a message's state, and the mailbox has the names. Where all are taken, a new
// keyword gets the bit of one that no message has any more; what finds no bit is left
// out, as PERMANENTFLAGS without \* tells (RFC 9051 section 7.1).
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
	var known map[string]bool // keywords, in lower case
	for _, f := range flags {
		if !strings.HasPrefix(string(f), `\`) {
			if !validKeyword(string(f)) {
				return 0, nil, fault.Newf("mailbox.flags", fault.Invalid, "%q cannot be a keyword", f)
			}
			if low := strings.ToLower(string(f)); !known[low] {
				if known == nil {
					known = make(map[string]bool)
				}
				known[low] = true
				keywords = append(keywords, string(f))
			}
			continue
		}
		there := strings.EqualFold(string(f), `\Recent`)
		for _, s := range systemFlags {
			if strings.EqualFold(string(f), string(s.name)) {
				system |= s.bit
				there = true
			}
		}
		if !there {
			return 0, nil, fault.Newf("mailbox.flags", fault.Invalid, "there is no flag %s", f)
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
// list; when it is full, they take the bits of those that no message has, and rest has
// what found no bit.
func (x *boxEdit) keywordBits(names []string, add bool) (bits uint64, rest []string, err error) {
	if len(names) == 0 {
		return 0, nil, nil
	}
	if err := x.loadKeywords(); err != nil {
		return 0, nil, err
	}
	for _, n := range names {
		if i := indexFold(x.keywords, n); i >= 0 {
			bits |= 1 << i
		} else if add {
			rest = append(rest, n)
		}
	}
	x.given |= bits
	grown := false
	for len(rest) > 0 {
		i, err := x.addKeyword(rest[0])
		if err != nil {
			return 0, nil, err
		}
		if i < 0 {
			break
		}
		bits |= 1 << i
		rest, grown = rest[1:], true
	}
	if !grown {
		return bits, rest, nil
	}
	x.newKeys = true
	e := x.edit
	return bits, rest, e.tx.Put(index.Mail, e.key.numbered(e.account.id, kindKeywords, x.rec.data), marshalKeywords(x.keywords))
}

// addKeyword puts a keyword on the list and returns its bit, or -1 if there is none.
func (x *boxEdit) addKeyword(name string) (bit int, err error) {
	bit = len(x.keywords)
	if bit < maxKeywords {
		x.keywords = append(x.keywords, name)
	} else {
		if !x.knowsUsed {
			if x.used, err = x.usedKeywords(); err != nil {
				return -1, err
			}
			x.knowsUsed = true
		}
		if bit = bits.TrailingZeros64(^(x.used | x.given)); bit == maxKeywords {
			return -1, nil
		}
		x.keywords[bit] = name
	}
	x.given |= 1 << bit
	return bit, nil
}

// usedKeywords returns the bits of the keywords that messages have, hidden ones too.
func (x *boxEdit) usedKeywords() (used uint64, err error) {
	if err := x.flushStates(); err != nil {
		return 0, err
	}
	e := x.edit
	err = eachState(e.tx, e.account.id, x.rec.data, 0, func(_ imap.UID, st state) bool {
		used |= st.keywords
		return used != 1<<maxKeywords-1
	})
	return used, err
}
