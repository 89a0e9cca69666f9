package index

import (
	"bytes"

	bolt "go.etcd.io/bbolt"
)

// tx is a Tx over a bbolt transaction.
type tx struct {
	tx      *bolt.Tx
	buckets [bucketCount]*bolt.Bucket
	// writes counts the changes, bytes what they put, for the growth of the file.
	writes int
	bytes  int
}

func (t *tx) bucket(b Bucket) *bolt.Bucket {
	if t.buckets[b] == nil {
		t.buckets[b] = t.tx.Bucket([]byte(bucketNames[b]))
	}
	return t.buckets[b]
}

func (t *tx) Get(b Bucket, key []byte) []byte { return t.bucket(b).Get(key) }

func (t *tx) Put(b Bucket, key, value []byte) error {
	t.writes++
	t.bytes += len(key) + len(value)
	return t.bucket(b).Put(key, value)
}

func (t *tx) Delete(b Bucket, key []byte) error {
	t.writes++
	return t.bucket(b).Delete(key)
}

func (t *tx) Range(b Bucket, from, to []byte, fn func(key, value []byte) bool) {
	c := t.bucket(b).Cursor()
	for k, v := c.Seek(from); k != nil && (to == nil || bytes.Compare(k, to) < 0); k, v = c.Next() {
		if !fn(k, v) {
			return
		}
	}
}
