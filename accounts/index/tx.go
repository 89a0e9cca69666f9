package index

import (
	"bytes"

	bolt "go.etcd.io/bbolt"
)

// fills say how much of a page is used where one is split. New records come behind the last of their
// account, so what is before them stays full; records of Mail also grow in their place.
var fills = [bucketCount]float64{Mail: 0.9, Content: 1, Delivered: 0.9, Dropped: 0.9, Server: 0.9}

// tx is a Tx over a bbolt transaction.
type tx struct {
	mapping
	tx      *bolt.Tx
	buckets [bucketCount]*bolt.Bucket
	// writes counts the changes, bytes what they put, for the growth of the file.
	writes int
	bytes  int
	// changed are the keys of the changes, if noted is set.
	noted   bool
	changed []change
}

func (t *tx) bucket(b Bucket) *bolt.Bucket {
	if t.buckets[b] == nil {
		t.buckets[b] = t.tx.Bucket([]byte(bucketNames[b]))
		if t.buckets[b] != nil { // else it is damaged
			t.buckets[b].FillPercent = fills[b]
		}
	}
	return t.buckets[b]
}

func (t *tx) Get(b Bucket, key []byte) []byte { return t.bucket(b).Get(key) }

func (t *tx) Put(b Bucket, key, value []byte) error {
	t.note(b, key)
	t.bytes += len(key) + len(value)
	return t.bucket(b).Put(key, value)
}

func (t *tx) Delete(b Bucket, key []byte) error {
	t.note(b, key)
	return t.bucket(b).Delete(key)
}

func (t *tx) note(b Bucket, key []byte) {
	t.writes++
	if t.noted {
		t.changed = append(t.changed, change{b, string(key)})
	}
}

func (t *tx) Range(b Bucket, from, to []byte, fn func(key, value []byte) bool) {
	c := t.bucket(b).Cursor()
	for k, v := c.Seek(from); k != nil && (to == nil || bytes.Compare(k, to) < 0); k, v = c.Next() {
		if !fn(k, v) {
			return
		}
	}
}
