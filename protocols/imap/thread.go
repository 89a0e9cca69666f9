package imap

import (
	"bytes"
	"cmp"
	"slices"

	"gatepost/protocols/imap/wire"
)

// THREAD (RFC 5256): messages that answer each other, as trees.

// threadNode is a message, or a dummy for one that others refer to and that is not there.
type threadNode struct {
	seq      uint32 // 0 for a dummy
	date     int64
	subject  string
	reply    bool
	parent   *threadNode
	children []*threadNode
}

// threadCommand is THREAD and UID THREAD.
func threadCommand(s *session, c *call, p *wire.Parser) error {
	p.Space()
	algorithm := string(p.Keyword())
	if algorithm != "REFERENCES" && algorithm != "ORDEREDSUBJECT" {
		p.Fail("unknown threading algorithm %s", algorithm)
	}
	search := s.newSearch()
	search.all = true
	search.parseCharset(p)
	found, err := search.run(p)
	if err != nil {
		return err
	}
	x := newSortReader(s.view)
	defer x.close()
	var roots []*threadNode
	if algorithm == "REFERENCES" {
		roots, err = x.byReferences(found)
	} else {
		roots, err = x.byOrderedSubject(found)
	}
	if err != nil {
		return err
	}
	s.out.Raw("* THREAD")
	for i, n := range roots {
		if i == 0 {
			s.out.Byte(' ')
		}
		s.out.Byte('(')
		s.putThread(n, c.uid)
		s.out.Byte(')').Spill()
	}
	s.out.CRLF()
	return nil
}

// putThread writes a tree without the parentheses around it. Messages with one answer each follow each other.
func (s *session) putThread(n *threadNode, uid bool) {
	for first := true; ; first = false {
		if n.seq != 0 {
			if !first {
				s.out.Byte(' ')
			}
			number := uint64(n.seq)
			if uid {
				number = uint64(s.view.mailbox.UID(int(n.seq)))
			}
			s.out.Number(number).Spill()
		}
		if len(n.children) != 1 {
			break
		}
		n = n.children[0]
	}
	if len(n.children) > 0 && n.seq != 0 {
		s.out.Byte(' ')
	}
	for _, child := range n.children {
		s.out.Byte('(')
		s.putThread(child, uid)
		s.out.Byte(')')
	}
}

// node reads what threads are made by of a message.
func (x *sortReader) node(seq uint32) *threadNode {
	n := &threadNode{seq: seq, date: x.sent().Unix()}
	n.subject, n.reply = x.subject()
	return n
}

func byNodeDate(a, b *threadNode) int {
	return cmp.Or(cmp.Compare(a.date, b.date), cmp.Compare(a.seq, b.seq))
}

// byOrderedSubject puts messages of one subject into one thread, below the first of them.
func (x *sortReader) byOrderedSubject(found []uint32) (roots []*threadNode, err error) {
	nodes := make([]*threadNode, 0, len(found))
	for i, seq := range found {
		if err := x.next(int(seq), uint32(i), uint32(len(found))); err != nil {
			return nil, err
		}
		nodes = append(nodes, x.node(seq))
	}
	slices.SortFunc(nodes, byNodeDate)
	first := map[string]*threadNode{}
	for _, n := range nodes {
		if root := first[n.subject]; root != nil {
			root.children = append(root.children, n)
			continue
		}
		first[n.subject] = n
		roots = append(roots, n)
	}
	return roots, x.err
}

// maxReferences bounds how many of a message's references count: the last ones.
const maxReferences = 50

// byReferences is the algorithm of RFC 5256 section 3, REFERENCES.
func (x *sortReader) byReferences(found []uint32) ([]*threadNode, error) {
	byID := make(map[string]*threadNode, len(found))
	all := make([]*threadNode, 0, len(found))
	node := func(id string) *threadNode {
		n := byID[id]
		if n == nil {
			n = new(threadNode)
			byID[id] = n
			all = append(all, n)
		}
		return n
	}
	for i, seq := range found {
		if err := x.next(int(seq), uint32(i), uint32(len(found))); err != nil {
			return nil, err
		}
		read := x.node(seq)
		n := read
		if ids := messageIDs(x.field("Message-ID"), 1); len(ids) > 0 && node(ids[0]).seq == 0 {
			n = node(ids[0])
			n.seq, n.date, n.subject, n.reply = read.seq, read.date, read.subject, read.reply
		} else {
			all = append(all, n) // without an ID of its own
		}
		refs := messageIDs(x.field("References"), maxReferences)
		if len(refs) == 0 {
			refs = messageIDs(x.field("In-Reply-To"), 1)
		}
		var above *threadNode
		for _, id := range refs {
			ref := node(id)
			if above != nil && ref.parent == nil && !x.isBelow(above, ref) {
				ref.parent = above
			}
			above = ref
		}
		n.parent = nil // what others have guessed
		if above != nil && !x.isBelow(above, n) {
			n.parent = above
		}
	}
	if x.err != nil {
		return nil, x.err
	}
	root := new(threadNode)
	for _, n := range all {
		if n.parent == nil {
			root.children = append(root.children, n)
		} else {
			n.parent.children = append(n.parent.children, n)
		}
	}
	root.children = prune(root.children, true)
	sortThreads(root)
	root.children = mergeSubjects(root.children)
	sortThreads(root)
	return root.children, nil
}

// isBelow reports whether n is other, or below it.
func (x *sortReader) isBelow(n, other *threadNode) bool {
	steps := 0
	for ; n != nil; n = n.parent {
		if n == other {
			return true
		}
		steps++
	}
	if err := x.timeslice.work(steps); err != nil && x.err == nil {
		x.err = err
	}
	return false
}

// messageIDs returns the last few Message-IDs of a header field, without quotes.
func messageIDs(value []byte, most int) (ids []string) {
	for {
		start := bytes.IndexByte(value, '<')
		if start < 0 {
			break
		}
		end := bytes.IndexByte(value[start:], '>')
		if end < 0 {
			break
		}
		if id := value[start+1 : start+end]; bytes.IndexByte(id, '@') > 0 {
			ids = append(ids, string(bytes.ReplaceAll(id, []byte{'"'}, nil)))
		}
		value = value[start+end+1:]
	}
	if most == 1 && len(ids) > 1 {
		return ids[:1]
	}
	return ids[max(len(ids)-most, 0):]
}

// prune removes dummies that have no messages below them, and puts the children of the others into their place. A dummy at the top
// stays if it has several children.
func prune(nodes []*threadNode, top bool) (kept []*threadNode) {
	for _, n := range nodes {
		n.children = prune(n.children, false)
		if n.seq == 0 && (len(n.children) < 2 || !top) {
			kept = append(kept, n.children...)
			continue
		}
		kept = append(kept, n)
	}
	return kept
}

// sortThreads sorts the children of each message by their dates. A dummy has the date and the subject of its first child.
func sortThreads(n *threadNode) {
	for _, child := range n.children {
		sortThreads(child)
	}
	slices.SortFunc(n.children, byNodeDate)
	if n.seq == 0 && len(n.children) > 0 {
		first := n.children[0]
		n.date, n.subject, n.reply = first.date, first.subject, first.reply
	}
}

// mergeSubjects joins threads of one subject (RFC 5256 section 3, step 5).
func mergeSubjects(roots []*threadNode) (merged []*threadNode) {
	bySubject := map[string]*threadNode{}
	for _, n := range roots {
		if n.subject == "" {
			continue
		}
		if old := bySubject[n.subject]; old == nil || n.seq == 0 && old.seq != 0 || old.seq != 0 && old.reply && !n.reply {
			bySubject[n.subject] = n
		}
	}
	above := map[*threadNode]*threadNode{} // a dummy that takes the place of a root
	for _, n := range roots {
		old := bySubject[n.subject]
		switch {
		case old == nil || old == n:
			merged = append(merged, n)
		case old.seq == 0 && n.seq == 0:
			old.children = append(old.children, n.children...)
		case old.seq == 0 || n.reply && !old.reply:
			old.children = append(old.children, n)
		default: // old came before
			dummy := &threadNode{subject: n.subject, children: []*threadNode{old, n}}
			bySubject[n.subject], above[old] = dummy, dummy
		}
	}
	for i, n := range merged {
		if dummy := above[n]; dummy != nil {
			merged[i] = dummy
		}
	}
	return merged
}
