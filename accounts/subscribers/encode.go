package subscribers

import (
	"encoding/binary"
	"time"

	"gatepost/server/fault"
)

// maxText bounds each text of a record, in bytes.
const maxText = 1000

// version is that of all records.
const version = 1

// writer writes the fields of a record.
type writer []byte

func (w *writer) text(s string) { *w = append(binary.AppendUvarint(*w, uint64(len(s))), s...) }
func (w *writer) number(n int)  { *w = binary.AppendUvarint(*w, uint64(max(n, 0))) }

// time writes seconds since 1970; the zero time is 0.
func (w *writer) time(t time.Time) {
	n := int64(0)
	if !t.IsZero() {
		n = max(t.Unix(), 0)
	}
	*w = binary.AppendUvarint(*w, uint64(n))
}

// reader reads the fields of a record. What is missing at the end reads as zero.
type reader struct {
	rest []byte
	bad  bool
}

func (r *reader) uvarint() uint64 {
	if len(r.rest) == 0 {
		return 0
	}
	n, size := binary.Uvarint(r.rest)
	if size <= 0 {
		r.bad, r.rest = true, nil
		return 0
	}
	r.rest = r.rest[size:]
	return n
}

func (r *reader) number() int {
	n := r.uvarint()
	if n > 1<<40 {
		r.bad = true
		return 0
	}
	return int(n)
}

func (r *reader) text() string {
	n := r.uvarint()
	if n > uint64(len(r.rest)) {
		r.bad, r.rest = true, nil
		return ""
	}
	s := string(r.rest[:n])
	r.rest = r.rest[n:]
	return s
}

func (r *reader) time() time.Time {
	n := r.number()
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(int64(n), 0).UTC()
}

// open begins to read a record.
func open(v []byte) *reader {
	if len(v) == 0 || v[0] != version {
		return &reader{bad: true}
	}
	return &reader{rest: v[1:]}
}

// err says whether the record could be read.
func (r *reader) err(what string) error {
	if r.bad {
		return fault.Newf("subscribers.Read", fault.Corrupt, "the record of %s is damaged", what)
	}
	return nil
}

func encodeSubscriber(s *Subscriber) []byte {
	w := writer{version}
	w.text(s.Address)
	w.text(s.RealName)
	w.number(int(s.Mode))
	w.time(s.Since)
	w.number(s.Posts)
	w.number(s.Moderated)
	w.number(s.Bounces)
	w.time(s.LastBounce)
	w.time(s.PausedUntil)
	w.time(s.Warned)
	w.text(s.Secret)
	return w
}

func decodeSubscriber(v []byte) (Subscriber, error) {
	r := open(v)
	s := Subscriber{
		Address: r.text(), RealName: r.text(), Mode: Mode(r.number()), Since: r.time(), Posts: r.number(), Moderated: r.number(),
		Bounces: r.number(), LastBounce: r.time(), PausedUntil: r.time(), Warned: r.time(), Secret: r.text(),
	}
	r.bad = r.bad || s.Mode == None || s.Mode >= modes
	return s, r.err("a subscriber")
}

func encodeQuestion(q *Question) []byte {
	w := writer{version}
	w.text(q.Token)
	w.text(q.Address)
	w.text(q.RealName)
	w.number(int(q.Mode))
	w.text(q.Kind)
	w.text(q.Value)
	w.time(q.Asked)
	w.time(q.Expire)
	w.number(q.Times)
	w.number(map[bool]int{true: 1}[q.Stranger])
	return w
}

func decodeQuestion(v []byte) (Question, error) {
	r := open(v)
	q := Question{
		Token: r.text(), Address: r.text(), RealName: r.text(), Mode: Mode(r.number()), Kind: r.text(), Value: r.text(),
		Asked: r.time(), Expire: r.time(), Times: r.number(), Stranger: r.number() != 0,
	}
	r.bad = r.bad || q.Mode >= modes
	return q, r.err("a question")
}

func (c Counts) encode() []byte {
	w := writer{version}
	for m := Feed; m < modes; m++ {
		w.number(c[m])
	}
	return w
}

func decodeCounts(v []byte) (c Counts, err error) {
	r := open(v)
	for m := Feed; m < modes; m++ {
		c[m] = r.number()
	}
	return c, r.err("the numbers of subscribers")
}
