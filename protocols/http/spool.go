package http

import (
	"bytes"
	"errors"
	"io"
	"os"

	"gatepost/server/fault"
)

// inMemory is how much of a spooled body is kept in memory.
const inMemory = 64 << 10

// Spooled is a body that has come as a whole. Its owner closes it.
type Spooled struct {
	io.ReadSeeker
	// Size is its length in bytes.
	Size int64
	file *os.File
}

// Close gives the space back.
func (s *Spooled) Close() error {
	if s.file == nil {
		return nil
	}
	return s.file.Close()
}

// Spool reads a body to its end, for a part that needs all of it before it begins, and whose client
// must not hold up what the part locks. Errors are those of the body, and NoSpace.
func (q *Request) Spool(from io.Reader) (_ *Spooled, err error) {
	const op = "http.Spool"
	var head bytes.Buffer
	n, err := io.CopyN(&head, from, inMemory+1)
	if errors.Is(err, io.EOF) {
		return &Spooled{ReadSeeker: bytes.NewReader(head.Bytes()), Size: n}, nil
	}
	if err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(q.session.spoolDir, "body")
	if err != nil {
		return nil, fault.Wrap(op, fault.Internal, err)
	}
	s := &Spooled{ReadSeeker: f, file: f}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	// Without a name, the file goes with the process.
	if err := os.Remove(f.Name()); err != nil {
		return nil, fault.Wrap(op, fault.Internal, err)
	}
	if _, err := f.Write(head.Bytes()); err != nil {
		return nil, fault.Wrap(op, fault.Internal, err)
	}
	rest, err := io.Copy(f, from)
	if err != nil {
		return nil, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, fault.Wrap(op, fault.Internal, err)
	}
	s.Size = n + rest
	return s, nil
}
