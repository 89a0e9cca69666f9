package imap

import (
	"slices"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/accounts/fulltext"
	"gatepost/protocols/imap/wire"
	"gatepost/server/fault"
	"gatepost/server/logs"
)

// search is SEARCH (RFC 9051 section 6.4.4) with the result options of RFC 4731,
// RFC 5182 and RFC 9394.
func search(s *session, c *call, p *wire.Parser) error {
	x := s.newSearch()
	x.parseOptions(p)
	found, err := x.run(p)
	if err != nil {
		return err
	}
	if x.followed {
		x.follow(c, found, nil)
	}
	x.putFound(c, "SEARCH", found)
	return nil
}

// searching is a command that looks for messages of a view.
type searching struct {
	*view
	*searchProgram
	name string // of the mailbox, in the answer to ESEARCH (RFC 7377)
}

func (s *session) newSearch() searching {
	return searching{view: s.view, searchProgram: newProgram(s.enabled)}
}

// run parses the keys of a search and returns the sequence numbers of the messages that match.
func (x searching) run(p *wire.Parser) ([]uint32, error) {
	x.parseKeys(p)
	if err := p.End(); err != nil {
		return nil, err
	}
	if x.badCharset {
		if x.save {
			x.view.saved = nil // RFC 5182 section 2.1: after NO the result is empty
		}
		return nil, charsetError()
	}
	if err := x.checkFuzzy(); err != nil {
		return nil, err
	}
	if err := x.prepare(&x.root); err != nil {
		return nil, err
	}
	if x.modSeq {
		x.enableCondstore()
	}
	found, err := x.findMessages()
	if err != nil && x.save {
		x.view.saved = nil
	}
	return found, err
}

// putFound answers a search. The messages are in the order of the answer.
func (x searching) putFound(c *call, name string, found []uint32) {
	if x.save {
		x.saveResult(found)
	}
	var highest uint64
	if x.modSeq {
		highest = x.highestOf(x.told(found))
	}
	scores := x.scoresOf(found)
	if c.uid {
		for i, seq := range found {
			found[i] = uint32(x.mailbox.UID(int(seq)))
		}
	}
	if x.extended {
		x.putESearch(c, found, scores, highest)
	} else {
		x.putSearch(name, found, highest)
	}
}

// findMessages returns the sequence numbers of the messages that match. Damaged messages are left out,
// and an untagged NO warns the client of them (RFC 9051 section 7.1.2). The command does not fail: clients
// discard the result of a failed search.
func (x searching) findMessages() ([]uint32, error) {
	found := make([]uint32, 0, 64)
	damaged := 0
	m := newCandidate(x)
	defer m.release()
	x.searchProgram.scores = nil
	for seq := 1; seq <= x.mailbox.Len(); seq++ {
		st, ok := x.mailbox.StateAt(seq)
		if !ok {
			continue
		}
		m.next(seq, st)
		m.work(messageCost + keyCost*x.keys)
		if m.fits(&x.root) && m.err == nil {
			found = append(found, uint32(seq))
			m.noteScore()
		}
		switch {
		case m.err == nil, fault.Is(m.err, fault.NoMessage):
		case fault.Is(m.err, fault.Corrupt):
			damaged++
			x.log.Log(x.ctx, logs.LevelFailure, "cannot read a message", "uid", st.UID, logs.AttrError, m.err)
		default:
			return nil, m.err
		}
	}
	if damaged > 0 {
		x.out.Raw("* NO [CORRUPTION] Damaged messages that were not searched: ").Number(uint64(damaged)).CRLF()
	}
	return found, nil
}

// prepare resolves the sets of the program, and sorts the keys of each AND and OR by their cost.
func (x searching) prepare(k *searchKey) error {
	for i := range k.kids {
		if err := x.prepare(&k.kids[i]); err != nil {
			return err
		}
	}
	switch k.op {
	case opSet:
		// Unlike in other commands, numbers without a message are no error: they match nothing.
		if max := uint32(x.mailbox.Len()); !k.uid && !k.set.saved && max > 0 {
			k.seqs = slices.Clone(k.set.numbers).Resolve(max)
			return nil
		}
		if !k.set.saved {
			var err error
			k.seqs, err = x.resolve(messageSet{numbers: slices.Clone(k.set.numbers)}, true)
			return err
		}
		if x.searchProgram.saved == nil {
			x.searchProgram.saved = append([]wire.Range{}, x.savedRanges()...)
		}
		k.seqs = x.searchProgram.saved
	case opKeyword:
		k.keywords = 0
		for i, name := range x.mailbox.KeywordNames() {
			if equalFold(name, k.keyword) { // as the store compares them
				k.keywords = 1 << i
			}
		}
	}
	k.cost = k.op
	if k.op == opNot || k.op == opAnd || k.op == opOr {
		k.cost = opAll
	}
	for i := range k.kids {
		k.cost = max(k.cost, k.kids[i].cost)
	}
	slices.SortStableFunc(k.kids, func(a, b searchKey) int { return int(a.cost) - int(b.cost) })
	return nil
}

// saveResult stores the messages that $ will name (RFC 5182 section 2.4).
func (x searching) saveResult(found []uint32) {
	found = x.told(found)
	x.view.saved = make([]imap.UID, 0, len(found))
	for _, seq := range found {
		x.view.saved = append(x.view.saved, x.mailbox.UID(int(seq)))
	}
	slices.Sort(x.view.saved) // after SORT
}

// told returns those of the messages found that the answer is about: with MIN or MAX and without ALL and COUNT, only the first
// or last, and with PARTIAL those of its range.
func (g *searchProgram) told(found []uint32) []uint32 {
	if g.partial.low > 0 && !g.min && !g.max && !g.count {
		first, end := g.partial.cut(len(found))
		return found[first:end]
	}
	if (g.min || g.max) && !g.all && !g.count && g.partial.low == 0 {
		switch n := len(found); {
		case n == 0:
		case n == 1 || !g.max:
			found = found[:1]
		case !g.min:
			found = found[n-1:]
		default:
			return []uint32{found[0], found[n-1]}
		}
	}
	return found
}

// putSearch writes a SEARCH or SORT response. highest is 0 unless the client asked for MODSEQ.
func (x searching) putSearch(name string, found []uint32, highest uint64) {
	x.out.Raw("* ").Raw(name)
	for _, n := range found {
		x.out.Byte(' ').Number(uint64(n)).Spill()
	}
	if highest > 0 {
		x.out.Raw(" (MODSEQ ").Number(highest).Byte(')')
	}
	x.out.CRLF()
}

// putESearch writes an ESEARCH response. SAVE alone requests none.
func (x searching) putESearch(c *call, found []uint32, scores []int, highest uint64) {
	if x.save && !x.min && !x.max && !x.all && !x.count && x.partial.low == 0 {
		return
	}
	x.out.Raw("* ESEARCH (TAG ").String(c.tag)
	if x.name != "" {
		x.out.Raw(" MAILBOX ")
		x.putName(x.name)
		x.out.Raw(" UIDVALIDITY ").Number(uint64(x.info.UIDValidity))
	}
	x.out.Byte(')')
	if c.uid {
		x.out.Raw(" UID")
	}
	if n := len(found); n > 0 {
		if x.min {
			x.out.Raw(" MIN ").Number(uint64(found[0]))
		}
		if x.max {
			x.out.Raw(" MAX ").Number(uint64(found[n-1]))
		}
		if x.all {
			x.out.Raw(" ALL ").Set(wire.AppendSet(x.out.Buf(), found))
		}
	}
	if x.partial.low > 0 {
		x.out.Raw(" PARTIAL (").Set(append(x.partial.append(x.out.Buf()), ' '))
		if first, end := x.partial.cut(len(found)); first < end {
			x.out.Set(wire.AppendSet(x.out.Buf(), found[first:end]))
		} else {
			x.out.Raw("NIL")
		}
		x.out.Byte(')')
	}
	x.putRelevancy(scores)
	if x.count {
		x.out.Raw(" COUNT ").Number(uint64(len(found)))
	}
	if highest > 0 {
		x.out.Raw(" MODSEQ ").Number(highest)
	}
	x.out.CRLF()
}

// fits reports whether a message matches a key. After an error the result means nothing.
func (x *candidate) fits(k *searchKey) bool {
	if x.err != nil {
		return false
	}
	switch k.op {
	case opAll:
		return true
	case opNone:
		return false
	case opSet:
		return wire.NumSet(k.seqs).Contains(uint32(x.seq))
	case opFlags:
		return x.state.Flags&k.flags == k.flags
	case opKeyword:
		return x.state.Keywords&k.keywords != 0
	case opRecent:
		return x.state.Recent && !x.view.rev2
	case opModSeq:
		return x.state.ModSeq >= k.modSeq
	case opLarger:
		return x.message().Size > k.size
	case opSmaller:
		return x.message().Size < k.size
	case opBefore:
		return k.later(x.message().InternalDate)
	case opSince:
		return !k.later(x.message().InternalDate)
	case opSavedBefore:
		return k.later(x.message().SaveDate)
	case opSavedSince:
		return !k.later(x.message().SaveDate)
	case opEmailID:
		return k.id != 0 && x.message().EmailID == k.id
	case opThreadID:
		return k.id != 0 && x.message().ThreadID == k.id
	case opSentBefore:
		date, ok := x.sent()
		return ok && k.later(date)
	case opSentSince:
		date, ok := x.sent()
		return ok && !k.later(date)
	case opNot:
		return !x.fits(&k.kids[0])
	case opAnd:
		for i := range k.kids {
			if !x.fits(&k.kids[i]) {
				return false
			}
		}
		return true
	case opOr:
		for i := range k.kids {
			if x.fits(&k.kids[i]) {
				return true
			}
		}
		return false
	case opAddress:
		x.searchEnvelope()
	case opField:
		x.searchSummary()
	case opHeader:
		if x.look(k.number) == fulltext.No {
			return false
		}
		x.searchWholeHeader()
	case opLike:
		return x.like(k.number) > 0
	default:
		switch x.look(k.number) {
		case fulltext.No:
			return false
		case fulltext.Yes:
			return true
		}
		x.searchBody()
	}
	return x.found[k.number]
}
