package fulltext

import (
	"bytes"
	"context"
	"log/slog"
	"slices"

	"gatepost/accounts/index"
	"gatepost/accounts/mailbox"
	"gatepost/server/fault"
	"gatepost/server/logs"
)

// Answer says whether a message contains a text.
type Answer uint8

const (
	// Unknown: the message has to be read.
	Unknown Answer = iota
	// No: it does not contain the text.
	No
	// Yes: it does.
	Yes
)

// Scope says where a text is looked for.
type Scope uint8

const (
	// InHeader is the header of the message, InBody what BODY searches.
	InHeader Scope = 1 << iota
	InBody
)

const (
	// maxTexts is how many texts of a search are looked up; the messages are read for the others.
	maxTexts = 64
	// lookCost is what looking through a byte of words costs, in bytes that are searched in messages.
	lookCost = 8
)

// Query looks up the texts of one search in the mailboxes of one account. It belongs to one goroutine. A nil Query knows nothing.
type Query struct {
	index    *Index
	account  *mailbox.Account
	work     func(int) error
	err      error
	segments []*queried
	loaded   bool
	damaged  bool
	last     int // the segment that had the last file
	texts    []queryText
	likes    []likeText
	unknown  bool // there was a message that is not in the index
}

type queryText struct {
	pieces [][]byte
	exact  bool
	ascii  bool
	scope  Scope
}

// queried is a segment, and what of it has texts.
type queried struct {
	*segment
	at      int // the file that was found last
	results []*result
	likes   [][]uint8 // the scores of its files for each fuzzy text
}

// result is which messages of a segment may contain a text.
type result struct {
	may bitmap // nil if it is not known
	// exact says that they do.
	exact bool
}

// Query begins a search. work is called with the amount of work, in bytes that are searched, and ends the search with an error.
func (x *Index) Query(a *mailbox.Account, work func(int) error) *Query {
	if x == nil || !bool(x.settings.Get().Index) || !a.Indexed() {
		return nil
	}
	return &Query{index: x, account: a, work: work}
}

// Text adds a text, given as it is looked for in bodies and as it is in header fields. within says that the text has to be in one part of what is indexed:
// then no message is known to contain it. It returns the number of the text, or -1 if the index does not help.
func (q *Query) Text(text, header []byte, scope Scope, within bool) int {
	if q == nil || len(q.texts) == maxTexts {
		return -1
	}
	list, exact := pieces(header)
	if scope&InBody != 0 {
		var inBody [][]byte
		if inBody, exact = pieces(text); !samePieces(inBody, list) {
			return -1
		}
		exact = exact && bytes.Equal(text, header)
	}
	if len(list) == 0 {
		return -1
	}
	t := queryText{exact: exact && !within, ascii: true, scope: scope}
	for _, c := range text {
		t.ascii = t.ascii && c < 0x80
	}
	for _, p := range list { // they are looked up by length: the longer one is rarer
		t.pieces = append(t.pieces, bytes.Clone(p))
	}
	slices.SortStableFunc(t.pieces, func(a, b []byte) int { return len(b) - len(a) })
	q.texts = append(q.texts, t)
	return len(q.texts) - 1
}

// Look says whether the message in a file of the account contains a text.
func (q *Query) Look(file uint64, mark uint32, text int) Answer {
	if q == nil || text < 0 || q.err != nil {
		return Unknown
	}
	s, at := q.find(file, mark)
	if s == nil {
		q.unknown = true
		return q.tell(Unknown)
	}
	r := q.result(s, text)
	switch t := &q.texts[text]; {
	case r.may == nil:
		return q.tell(Unknown)
	case !r.may.has(at):
		if s.flags[at]&partFile != 0 {
			return q.tell(Unknown)
		}
		return q.tell(No)
	case !r.exact, t.ascii && s.flags[at]&oddFile != 0:
		return q.tell(Unknown)
	}
	return q.tell(Yes)
}

func (q *Query) tell(a Answer) Answer {
	if a == Unknown {
		q.index.counts.Read.Inc()
	} else {
		q.index.counts.Narrowed.Inc()
	}
	return a
}

// End ends the search. If the index was damaged, it is made anew for the account; if it lacked messages that do not wait to be indexed, the account is looked through.
func (q *Query) End() {
	if q == nil {
		return
	}
	if q.damaged || q.unknown && q.index.queue.of(q.account.ID()) == 0 {
		q.index.lookThrough(q.account, q.damaged)
	}
}

// find returns the segment with a file, and where it is there, or nil.
func (q *Query) find(file uint64, mark uint32) (*queried, int) {
	if !q.loaded {
		q.load()
	}
	// Searches go through messages in the order of their files, mostly.
	if q.last < len(q.segments) {
		s := q.segments[q.last]
		if next := s.at + 1; next < len(s.files) && s.base+uint64(s.files[next]) == file && s.has(next, mark) {
			s.at = next
			return s, next
		}
		if at, ok := s.segment.find(file); ok && s.has(at, mark) {
			s.at = at
			return s, at
		}
	}
	for i, s := range q.segments {
		if s.base > file {
			break
		}
		if at, ok := s.segment.find(file); ok && s.has(at, mark) {
			q.last, s.at = i, at
			return s, at
		}
	}
	return nil, 0
}

func (q *Query) load() {
	q.loaded = true
	list, err := q.index.segments(q.account.ID())
	if err != nil {
		q.report(err)
		return
	}
	for _, s := range list {
		q.segments = append(q.segments, &queried{segment: s, at: -1})
	}
}

// report reports an error of the index. The messages are read then.
func (q *Query) report(err error) {
	q.damaged = q.damaged || fault.Is(err, fault.Corrupt)
	q.index.log.Log(context.Background(), logs.LevelFailure, "the search index of an account cannot be read", slog.Uint64(logs.AttrAccount, q.account.ID()), slog.Any(logs.AttrError, err))
}

// result returns which messages of a segment may contain a text.
func (q *Query) result(s *queried, text int) *result {
	if len(s.results) <= text {
		s.results = append(s.results, make([]*result, text+1-len(s.results))...)
	}
	if s.results[text] == nil {
		s.results[text] = q.lookUp(s, &q.texts[text])
	}
	return s.results[text]
}

// lookUp looks up a text in a segment.
func (q *Query) lookUp(s *queried, t *queryText) *result {
	r := &result{exact: t.exact}
	may := newBitmap(len(s.files))
	for f := range fieldCount {
		if t.scope&(InHeader<<f) == 0 || s.sizes[f] == 0 {
			continue
		}
		some := newBitmap(len(s.files))
		err := q.dictionary(s, f, len(t.pieces), func(d *dictionary) (ok bool) {
			ok = d.containing(t.pieces[0], some)
			for _, p := range t.pieces[1:] {
				if !ok || some.empty() {
					break
				}
				other := newBitmap(len(s.files))
				ok = d.containing(p, other)
				some.and(other)
			}
			return ok
		})
		if err != nil {
			return r
		}
		may.or(some)
	}
	r.may = may
	return r
}

// dictionary shows the words of a field of a segment, to be looked through so many times. An error says that nothing is known.
func (q *Query) dictionary(s *queried, f field, times int, look func(*dictionary) (ok bool)) error {
	if q.err = q.work(int(s.sizes[f]) / lookCost * times); q.err != nil {
		return q.err
	}
	err := q.index.store.Shard(q.account.ID()).View(func(tx index.Tx) error {
		v := tx.Get(index.Content, valueKey(q.account.ID(), s.number, f))
		if v == nil { // it was merged with others since
			return fault.New("fulltext.Look", fault.NotFound, "")
		}
		if uint32(len(v)) != s.sizes[f] {
			return damaged("segment")
		}
		d, ok := openDictionary(v, len(s.files))
		if !ok || !look(&d) {
			return damaged("segment")
		}
		return nil
	})
	if err != nil && !fault.Is(err, fault.NotFound) {
		q.report(err)
	}
	return err
}
