package delivery

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"sync"

	"gatepost/accounts/message"
	"gatepost/queue"
	"gatepost/queue/envelope"
)

// summary is what one reading of a message gives.
type summary struct {
	*message.Summary
	deliveredTo []string // the Delivered-To fields
}

// summaries reads each message once, also when its recipients are in many
// accounts whose batches run side by side.
type summaries struct {
	mu    sync.Mutex
	kept  map[envelope.QueueID]*reading
	order []envelope.QueueID // of kept, oldest first
}

// keptSummaries bounds the summaries in memory; a summary is some kilobytes.
const keptSummaries = 64

type reading struct {
	once sync.Once
	sum  *summary
	err  error
}

func newSummaries() *summaries { return &summaries{kept: map[envelope.QueueID]*reading{}} }

// get returns the summary of an item's message.
func (s *summaries) get(it *queue.Item) (*summary, error) {
	if len(it.Envelope.Recipients) == len(it.Recipients) {
		return read(it.File, it.Offset, it.Size) // nobody else asks for it
	}
	r := s.reading(it.ID)
	r.once.Do(func() { r.sum, r.err = read(it.File, it.Offset, it.Size) })
	if r.err != nil {
		s.drop(it.ID, r)
	}
	return r.sum, r.err
}

func (s *summaries) reading(id envelope.QueueID) *reading {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.kept[id]; r != nil {
		return r
	}
	if len(s.order) == keptSummaries {
		delete(s.kept, s.order[0])
		s.order = append(s.order[:0], s.order[1:]...)
	}
	r := new(reading)
	s.kept[id] = r
	s.order = append(s.order, id)
	return r
}

// drop forgets a reading that failed, so that a later attempt reads again.
func (s *summaries) drop(id envelope.QueueID, r *reading) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.kept[id] != r {
		return
	}
	delete(s.kept, id)
	for i := range s.order {
		if s.order[i] == id {
			s.order = append(s.order[:i], s.order[i+1:]...)
			return
		}
	}
}

var readers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, 16<<10) }}

// read reads the message in a part of a file.
func read(file string, offset, size int64) (*summary, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r := readers.Get().(*bufio.Reader)
	defer readers.Put(r)
	w := watcher{r: io.NewSectionReader(f, offset, size)}
	r.Reset(&w)
	defer r.Reset(nil)
	sum, err := message.Scan(r, message.Options{})
	if err != nil {
		return nil, err
	}
	return &summary{Summary: sum, deliveredTo: w.found}, nil
}

// watcher passes a message and looks for Delivered-To fields in its header.
type watcher struct {
	r     io.Reader
	line  []byte // start of the current line
	done  bool   // the header is over
	found []string
}

// The limits of watcher: what an account's address needs, and enough hops.
const (
	watchedLine   = 512
	watchedFields = 100
)

func (w *watcher) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	if !w.done {
		w.watch(p[:n])
	}
	return n, err
}

func (w *watcher) watch(p []byte) {
	for len(p) > 0 && !w.done {
		end := bytes.IndexByte(p, '\n')
		part := p
		if end >= 0 {
			part, p = p[:end], p[end+1:]
		} else {
			p = nil
		}
		w.line = append(w.line, part[:min(len(part), watchedLine-len(w.line))]...)
		if end >= 0 {
			w.endLine()
		}
	}
}

var deliveredToName = []byte("Delivered-To:")

func (w *watcher) endLine() {
	line := bytes.TrimSuffix(w.line, []byte("\r"))
	w.line = w.line[:0]
	if len(line) == 0 {
		w.done = true
		return
	}
	n := len(deliveredToName)
	if len(line) > n && bytes.EqualFold(line[:n], deliveredToName) && len(w.found) < watchedFields {
		addr := bytes.Trim(bytes.TrimSpace(line[n:]), "<>")
		w.found = append(w.found, string(addr))
	}
}
