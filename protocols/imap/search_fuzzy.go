package imap

import (
	"bytes"
	"io"

	"gatepost/accounts/fulltext"
	"gatepost/accounts/message"
	"gatepost/accounts/message/searchtext"
	"gatepost/protocols/imap/wire"
)

// SEARCH=FUZZY (RFC 6203). FUZZY has an effect on keys with texts: a message matches if it has, where the key looks, a word like each word of the text, in any
// order (fulltext.Likeness). Other keys are as without it. The score of a message is the mean of those of the fuzzy keys that it matches.

// maxLikes bounds the fuzzy texts of one SEARCH: messages that the index does not know are read for each of them.
const maxLikes = 64

// likeText is a text of a fuzzy key.
type likeText struct {
	likeness *fulltext.Likeness
	field    string
	scope    scope
}

// likeState is what is known of a fuzzy text and the candidate.
type likeState struct {
	looked  int // as in candidate.looked
	known   bool
	score   int // 0 if the message is not like the text
	matcher *fulltext.Matcher
}

// stringKey returns the key for a text. A text without words is not fuzzy.
func (g *searchProgram) stringKey(op searchOp, t searchText) searchKey {
	if g.fuzzy {
		if l := fulltext.NewLikeness(t.text); l != nil {
			g.likes = append(g.likes, likeText{l, t.field, t.scope})
			return searchKey{op: opLike, number: len(g.likes) - 1}
		}
	}
	return searchKey{op: op, number: g.add(t)}
}

// checkFuzzy refuses scores without a fuzzy key (RFC 6203 section 4).
func (g *searchProgram) checkFuzzy() error {
	if (g.relevancy || g.ranked) && !g.hasFuzzy {
		return wire.Bad("RELEVANCY needs a FUZZY key")
	}
	return nil
}

func (x *candidate) beginLikes() { x.fuzzy = make([]likeState, len(x.searchProgram.likes)) }

func (x *candidate) forgetLikes() {
	for i := range x.fuzzy {
		x.fuzzy[i].known = false
	}
}

// like returns how well the message is like a fuzzy text, 0 if it is not.
func (x *candidate) like(n int) int {
	st, t := &x.fuzzy[n], &x.searchProgram.likes[n]
	if !st.known {
		st.score = x.findLike(st, t)
		st.known = true
	}
	return st.score
}

func (x *candidate) findLike(st *likeState, t *likeText) int {
	if t.scope&(inHeader|inBody) != 0 {
		if score, a := x.lookLike(st, t); a != fulltext.Unknown {
			return score
		}
	}
	if st.matcher == nil {
		st.matcher = t.likeness.Matcher()
	}
	m := st.matcher
	m.Reset()
	switch {
	case t.scope == inEnvelope:
		x.matchAddresses(m, t.field)
	case t.scope == inSummary && x.needContent():
		x.matchFields(m, x.content.Prefix, t.field)
		x.matchFields(m, x.content.Headers, t.field)
	case x.needSummary() && x.needBody():
		if t.scope&inHeader != 0 {
			x.matchFields(m, x.read(searchtext.MainHeader(x.summary, int64(len(x.content.Prefix)), x.body.Size())), t.field)
		}
		if t.scope&inBody != 0 {
			searchtext.Walk(x.summary.Root, likeScan{x, m})
		}
	}
	return m.Score()
}

// lookLike asks the index.
func (x *candidate) lookLike(st *likeState, t *likeText) (int, fulltext.Answer) {
	if x.query == nil || st.looked < 0 || x.err != nil {
		return 0, fulltext.Unknown
	}
	if st.looked == 0 {
		st.looked = -1
		if n := x.query.Like(t.likeness, indexScope(t.scope), t.field != ""); n >= 0 {
			st.looked = n + 1
		}
		return x.lookLike(st, t)
	}
	file, mark, err := x.mailbox.File(x.ctx, x.state.UID)
	if err != nil {
		return 0, fulltext.Unknown // reading the message tells
	}
	return x.query.LookLike(file, mark, st.looked-1)
}

// matchAddresses reads the addresses of a field of the ENVELOPE.
func (x *candidate) matchAddresses(m *fulltext.Matcher, field string) {
	if !x.needContent() {
		return
	}
	text := x.field[:0]
	for a := range x.content.Addresses(field) {
		text = appendAddress(text, &a)
	}
	x.field = text
	m.Write(text)
	m.End()
}

// matchFields reads the values of the fields of a name; whole fields if the name is empty.
func (x *candidate) matchFields(m *fulltext.Matcher, header []byte, name string) {
	x.work(len(header))
	for len(header) > 0 && x.err == nil {
		field := searchtext.FirstField(header)
		header = header[len(field):]
		if name != "" && !equalFold(bytes.TrimRight(field[:max(bytes.IndexByte(field, ':'), 0)], " \t"), name) {
			continue
		}
		whole, value := searchtext.FoldField(x.field[:0], field)
		if x.field = whole; name != "" {
			whole = value
		}
		m.Write(whole)
		m.End()
	}
}

// likeScan reads what BODY searches.
type likeScan struct {
	*candidate
	matcher *fulltext.Matcher
}

// Header reads the header of an inner part.
func (x likeScan) Header(sp message.Span) bool {
	prefix := int64(len(x.content.Prefix))
	x.matchFields(x.matcher, x.read(message.Span{Start: sp.Start + prefix, End: sp.End + prefix}), "")
	return x.err == nil
}

// Text reads a text part.
func (x likeScan) Text(p *message.Part) bool {
	r := searchtext.Text(p, io.NewSectionReader(x.body, p.Body.Start+int64(len(x.content.Prefix)), p.Body.Size()))
	defer x.matcher.End()
	window := x.borrow()
	for rest := 0; x.err == nil; { // bytes of an incomplete character at the beginning of the window
		n, err := io.ReadFull(r, window[rest:])
		chunk := window[:rest+n]
		whole := len(chunk)
		if err == nil {
			whole = searchtext.WholeRunes(chunk)
		}
		x.folded = searchtext.Fold(x.folded[:0], chunk[:whole])
		x.work(2 * len(x.folded))
		x.matcher.Write(x.folded)
		switch err {
		case nil:
			rest = copy(window, chunk[whole:])
		case io.EOF, io.ErrUnexpectedEOF:
			return x.err == nil
		default:
			x.err = err
		}
	}
	return false
}

// noteScore notes the score of a message that was found.
func (x *candidate) noteScore() {
	if !x.relevancy && !x.ranked {
		return
	}
	sum, n := 0, 0
	for i := range x.fuzzy {
		if st := &x.fuzzy[i]; st.known && st.score > 0 {
			sum, n = sum+st.score, n+1
		}
	}
	score := 1 // it matches, but no fuzzy text
	switch {
	case n > 0:
		score = sum / n
	case len(x.fuzzy) == 0:
		score = 100
	}
	if x.searchProgram.scores == nil {
		x.searchProgram.scores = make(map[uint32]int)
	}
	x.searchProgram.scores[uint32(x.seq)] = score
}

// scoresOf returns the scores that the answer has, in the order of its messages.
func (x searching) scoresOf(found []uint32) (scores []int) {
	if !x.relevancy || !x.all && x.partial.low == 0 {
		return nil
	}
	if !x.all {
		first, end := x.partial.cut(len(found))
		found = found[first:end]
	}
	scores = make([]int, 0, len(found))
	for _, seq := range found {
		scores = append(scores, x.scores[seq])
	}
	return scores
}

// putRelevancy writes the scores of an ESEARCH response. Without messages there are none.
func (x searching) putRelevancy(scores []int) {
	if len(scores) == 0 {
		return
	}
	x.out.Raw(" RELEVANCY (")
	for i, n := range scores {
		if i > 0 {
			x.out.Byte(' ')
		}
		x.out.Number(uint64(n)).Spill()
	}
	x.out.Byte(')')
}
