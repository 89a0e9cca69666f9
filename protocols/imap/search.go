package imap

import (
	"slices"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/protocols/imap/wire"
	"gatepost/server/fault"
	"gatepost/server/logs"
)

// search is SEARCH (RFC 9051 section 6.4.4) with the result options of RFC 4731,
// RFC 5182 and RFC 9394.
func (s *session) search(c *call, p *wire.Parser) error {
	g := s.newSearch()
	s.parseSearch(g, p)
	found, err := s.runSearch(g, p)
	if err != nil {
		return err
	}
	s.putFound(g, c, "SEARCH", found)
	return nil
}

// runSearch parses the keys of a search and returns the sequence numbers of the messages that match.
func (s *session) runSearch(g *searchProgram, p *wire.Parser) ([]uint32, error) {
	g.parseKeys(s, p)
	if err := p.End(); err != nil {
		return nil, err
	}
	if g.badCharset {
		if g.save {
			s.saved = nil // RFC 5182 section 2.1: after NO the result is empty
		}
		return nil, charsetError()
	}
	if err := g.prepare(s, &g.root); err != nil {
		return nil, err
	}
	if g.modSeq {
		s.enableCondstore()
	}
	found, err := s.findMessages(g)
	if err != nil && g.save {
		s.saved = nil
	}
	return found, err
}

// putFound answers a search. The messages are in the order of the answer.
func (s *session) putFound(g *searchProgram, c *call, name string, found []uint32) {
	if g.save {
		s.saveResult(g, found)
	}
	var highest uint64
	if g.modSeq {
		highest = s.highestOf(g.told(found))
	}
	if c.uid {
		for i, seq := range found {
			found[i] = uint32(s.mailbox.UID(int(seq)))
		}
	}
	if g.extended {
		s.putESearch(g, c, found, highest)
	} else {
		s.putSearch(name, found, highest)
	}
}

// findMessages returns the sequence numbers of the messages that match. Damaged messages are left out,
// and an untagged NO warns the client of them (RFC 9051 section 7.1.2). The command does not fail: clients
// discard the result of a failed search.
func (s *session) findMessages(g *searchProgram) ([]uint32, error) {
	found := make([]uint32, 0, 64)
	damaged := 0
	x := newCandidate(s, g)
	defer x.release()
	for seq := 1; seq <= s.mailbox.Len(); seq++ {
		st, ok := s.mailbox.StateAt(seq)
		if !ok {
			continue
		}
		x.next(seq, st)
		x.work(messageCost + keyCost*g.keys)
		if x.fits(&g.root) && x.err == nil {
			found = append(found, uint32(seq))
		}
		switch {
		case x.err == nil, fault.Is(x.err, fault.NoMessage):
		case fault.Is(x.err, fault.Corrupt):
			damaged++
			s.log.Log(s.ctx, logs.LevelFailure, "cannot read a message", "uid", st.UID, logs.AttrError, x.err)
		default:
			return nil, x.err
		}
	}
	if damaged > 0 {
		s.out.Raw("* NO [CORRUPTION] Damaged messages that were not searched: ").Number(uint64(damaged)).CRLF()
	}
	return found, nil
}

// prepare resolves the sets of the program, and sorts the keys of each AND and OR by their cost.
func (g *searchProgram) prepare(s *session, k *searchKey) error {
	for i := range k.kids {
		if err := g.prepare(s, &k.kids[i]); err != nil {
			return err
		}
	}
	switch k.op {
	case opSet:
		// Unlike in other commands, numbers without a message are no error: they match nothing.
		if max := uint32(s.mailbox.Len()); !k.uid && !k.set.saved && max > 0 {
			k.seqs = k.set.numbers.Resolve(max)
			return nil
		}
		if !k.set.saved {
			var err error
			k.seqs, err = s.resolve(k.set, true)
			return err
		}
		if g.saved == nil {
			g.saved = append([]wire.Range{}, s.savedRanges()...)
		}
		k.seqs = g.saved
	case opKeyword:
		for i, name := range s.mailbox.KeywordNames() {
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
func (s *session) saveResult(g *searchProgram, found []uint32) {
	found = g.told(found)
	s.saved = make([]imap.UID, 0, len(found))
	for _, seq := range found {
		s.saved = append(s.saved, s.mailbox.UID(int(seq)))
	}
	slices.Sort(s.saved) // after SORT
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
func (s *session) putSearch(name string, found []uint32, highest uint64) {
	s.out.Raw("* ").Raw(name)
	for _, n := range found {
		s.out.Byte(' ').Number(uint64(n)).Spill()
	}
	if highest > 0 {
		s.out.Raw(" (MODSEQ ").Number(highest).Byte(')')
	}
	s.out.CRLF()
}

// putESearch writes an ESEARCH response. SAVE alone requests none.
func (s *session) putESearch(g *searchProgram, c *call, found []uint32, highest uint64) {
	if g.save && !g.min && !g.max && !g.all && !g.count && g.partial.low == 0 {
		return
	}
	s.out.Raw("* ESEARCH (TAG ").String(c.tag).Byte(')')
	if c.uid {
		s.out.Raw(" UID")
	}
	if n := len(found); n > 0 {
		if g.min {
			s.out.Raw(" MIN ").Number(uint64(found[0]))
		}
		if g.max {
			s.out.Raw(" MAX ").Number(uint64(found[n-1]))
		}
		if g.all {
			s.out.Raw(" ALL ").Set(wire.AppendSet(s.out.Buf(), found))
		}
	}
	if g.partial.low > 0 {
		s.out.Raw(" PARTIAL (").Set(append(g.partial.append(s.out.Buf()), ' '))
		if first, end := g.partial.cut(len(found)); first < end {
			s.out.Set(wire.AppendSet(s.out.Buf(), found[first:end]))
		} else {
			s.out.Raw("NIL")
		}
		s.out.Byte(')')
	}
	if g.count {
		s.out.Raw(" COUNT ").Number(uint64(len(found)))
	}
	if highest > 0 {
		s.out.Raw(" MODSEQ ").Number(highest)
	}
	s.out.CRLF()
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
		return x.state.Recent && !x.s.rev2
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
		x.searchWholeHeader()
	default:
		x.searchBody()
	}
	return x.found[k.number]
}
