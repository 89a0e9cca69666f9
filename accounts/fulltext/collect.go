package fulltext

import (
	"cmp"
	"io"
	"maps"
	"slices"

	"gatepost/accounts/mailbox"
	"gatepost/accounts/message"
	"gatepost/accounts/message/searchtext"
)

// collector gathers the words of message files of one account for a segment.
type collector struct {
	maxText int64 // how much text of a message is indexed, in bytes
	files   []collected
	words   [fieldCount]map[string]*[]uint16
	size    int // about what it takes in memory, in bytes
	read    int64
	low     uint64 // the lowest and the highest number of a file
	high    uint64

	splitters [fieldCount]splitter
	window    []byte
	folded    []byte
}

type collected struct {
	id    uint64
	mark  uint32
	flags fileFlags
}

const (
	windowSize = 32 << 10
	// wordCost is about what a word takes in memory beside its letters.
	wordCost = 100
)

func newCollector(maxText int64) *collector {
	c := &collector{maxText: maxText, window: make([]byte, windowSize)}
	for f := range fieldCount {
		c.words[f] = make(map[string]*[]uint16)
		c.splitters[f].word = func(word []byte) { c.add(f, word) }
	}
	return c
}

// add notes that the message under way has a word.
func (c *collector) add(f field, word []byte) {
	n := uint16(len(c.files) - 1)
	list := c.words[f][string(word)]
	if list == nil {
		list = &[]uint16{n}
		c.words[f][string(word)] = list
		c.size += len(word) + wordCost
		return
	}
	if (*list)[len(*list)-1] != n {
		*list = append(*list, n)
		c.size += 2
	}
}

// message adds a message file.
func (c *collector) message(f mailbox.StoredFile, prefix []byte, s *message.Summary, body mailbox.Body) {
	c.begin(f, 0)
	m := &collecting{collector: c, prefix: int64(len(prefix)), body: body, left: c.maxText, flags: &c.files[len(c.files)-1].flags}
	m.header(searchtext.MainHeader(s, m.prefix, body.Size()), headerField)
	searchtext.Walk(s.Root, m)
}

// unreadable adds a message file that cannot be read.
func (c *collector) unreadable(f mailbox.StoredFile) {
	c.begin(f, partFile)
}

func (c *collector) begin(f mailbox.StoredFile, flags fileFlags) {
	if len(c.files) == 0 {
		c.low, c.high = f.ID, f.ID
	}
	c.low, c.high = min(c.low, f.ID), max(c.high, f.ID)
	c.files = append(c.files, collected{id: f.ID, mark: f.Mark, flags: flags})
}

// collecting is a message whose words are gathered.
type collecting struct {
	*collector
	prefix int64
	body   mailbox.Body
	left   int64 // how much more text is read
	flags  *fileFlags
}

// Header gathers the words of the header of an inner part.
func (m *collecting) Header(sp message.Span) bool {
	return m.header(message.Span{Start: sp.Start + m.prefix, End: sp.End + m.prefix}, bodyField)
}

func (m *collecting) header(sp message.Span, f field) bool {
	header := make([]byte, min(sp.Size(), message.MaxHeader))
	n, err := m.body.ReadAt(header, sp.Start)
	if err != nil && err != io.EOF {
		*m.flags |= partFile
		return false
	}
	for header = header[:n]; len(header) > 0; {
		field := searchtext.FirstField(header)
		header = header[len(field):]
		if !m.spend(len(field)) {
			return false
		}
		whole, _ := searchtext.FoldField(m.folded[:0], field)
		m.splitters[f].write(whole)
		m.splitters[f].end()
		m.folded = whole[:0]
	}
	return true
}

// Text gathers the words of a text part.
func (m *collecting) Text(p *message.Part) bool {
	r := searchtext.Text(p, io.NewSectionReader(m.body, p.Body.Start+m.prefix, p.Body.Size()))
	defer m.splitters[bodyField].end()
	for rest := 0; ; { // bytes of an incomplete character at the beginning of the window
		n, err := io.ReadFull(r, m.window[rest:])
		chunk := m.window[:rest+n]
		whole := len(chunk)
		if err == nil {
			whole = searchtext.WholeRunes(chunk)
		}
		if !m.spend(whole) {
			return false
		}
		if hasOdd(chunk[:whole]) {
			*m.flags |= oddFile
		}
		m.folded = searchtext.Fold(m.folded[:0], chunk[:whole])
		m.splitters[bodyField].write(m.folded)
		switch err {
		case nil:
			rest = copy(m.window, chunk[whole:])
		case io.EOF, io.ErrUnexpectedEOF:
			return true
		default:
			*m.flags |= partFile
			return false
		}
	}
}

// spend counts what is read of the message. Beyond the limit nothing more is.
func (m *collecting) spend(n int) bool {
	m.read += int64(n)
	if m.left -= int64(n); m.left < 0 {
		*m.flags |= partFile
		return false
	}
	return true
}

// segment makes a segment of what was gathered, and begins anew.
func (c *collector) segment(number uint64) *newSegment {
	order := make([]int, len(c.files))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(c.files[a].id, c.files[b].id) })
	s := &newSegment{segment: segment{number: number, base: c.files[order[0]].id}}
	place := make([]uint16, len(order))
	for i, n := range order {
		f := &c.files[n]
		place[n] = uint16(i)
		s.files, s.marks, s.flags = append(s.files, uint32(f.id-s.base)), append(s.marks, f.mark), append(s.flags, f.flags)
	}
	for f := range fieldCount {
		w := dictionaryWriter{files: len(order)}
		for _, word := range slices.Sorted(maps.Keys(c.words[f])) {
			list := *c.words[f][word]
			for i := range list {
				list[i] = place[list[i]]
			}
			slices.Sort(list)
			w.add([]byte(word), list)
		}
		s.setValue(f, w.value())
		clear(c.words[f])
	}
	c.files, c.size, c.read = c.files[:0], 0, 0
	return s
}

// full reports whether a segment is to be made before a file is added.
func (c *collector) full(next uint64) bool {
	if len(c.files) == 0 {
		return false
	}
	return len(c.files) >= batchFiles || c.size >= batchSize || max(c.high, next)-min(c.low, next) > 1<<32-1
}

const (
	// batchFiles and batchSize bound what is gathered for one segment.
	batchFiles = 4096
	batchSize  = 16 << 20
)
