package delivery

import (
	"bufio"
	"io"
	"os"
	"sync"

	"gatepost/accounts/message"
	"gatepost/queue"
	"gatepost/queue/envelope"
)

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
	sum  *message.Summary
	err  error
}

func newSummaries() *summaries { return &summaries{kept: map[envelope.QueueID]*reading{}} }

// get returns the summary of an item's message.
func (s *summaries) get(it *queue.Item) (*message.Summary, error) {
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
func read(file string, offset, size int64) (*message.Summary, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r := readers.Get().(*bufio.Reader)
	defer readers.Put(r)
	r.Reset(io.NewSectionReader(f, offset, size))
	defer r.Reset(nil)
	return message.Scan(r, message.Options{})
}
