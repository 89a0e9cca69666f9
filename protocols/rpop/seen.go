package rpop

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"gatepost/queue/envelope"
	"gatepost/server/durable"
)

// uid is a digest of what tells a message from all others of a remote account.
type uid [16]byte

// digest makes a uid of the parts of a name.
func digest(parts ...string) uid {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return uid(h.Sum(nil)[:len(uid{})])
}

// seen is what was fetched from one remote account. Its file is RPOP/<name>.seen in the directory of
// the account, with the record's name escaped as in a URL:
//
//	#RPOP 1 <remote account>
//	<UID> <queue ID>
//	...
//
// both digests in hex: a record that names another host, login name or mailbox begins anew. A line
// that a crash has cut is none. Lines are appended, and synced together.
type seen struct {
	path    string
	account uid
	ids     map[uid]envelope.QueueID
	append  bool // the file ends with a whole line and is of this remote account
}

const (
	seenDirectory = "RPOP"
	seenExt       = ".seen"
	seenMark      = "#RPOP 1 "
)

// seenPath is the file of a record in the directory of an account.
func seenPath(dir, record string) string {
	return filepath.Join(dir, seenDirectory, url.PathEscape(record)+seenExt)
}

// openSeen reads the memory of a remote account.
func openSeen(path string, account uid) (*seen, error) {
	s := &seen{path: path, account: account, ids: map[uid]envelope.QueueID{}}
	of, whole, err := readSeen(path, func(u uid, id envelope.QueueID) { s.ids[u] = id })
	if err != nil {
		return nil, err
	}
	if of != account {
		clear(s.ids)
		whole = false
	}
	s.append = whole
	return s, nil
}

// readSeen visits the lines of a file; a missing one has none. whole says that nothing has cut it.
func readSeen(path string, visit func(uid, envelope.QueueID)) (account uid, whole bool, err error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(text) == 0 {
		return account, false, nil
	}
	if err != nil {
		return account, false, err
	}
	head, rest, whole := bytes.Cut(text, []byte("\n"))
	mark, ok := strings.CutPrefix(string(head), seenMark)
	if n, err := hex.Decode(account[:], []byte(mark)[:min(len(mark), 2*len(account))]); !ok || !whole || err != nil || n != len(account) {
		return account, false, fmt.Errorf("%s: not in the format of this version", path)
	}
	for len(rest) > 0 {
		line, after, ended := bytes.Cut(rest, []byte("\n"))
		var u uid
		name, number, _ := strings.Cut(string(line), " ")
		id, err := strconv.ParseUint(number, 10, 64)
		if len(name) != 2*len(u) || err != nil || !ended {
			return account, false, nil // cut, and what follows was written behind that
		}
		if _, err := hex.Decode(u[:], []byte(name)); err != nil {
			return account, false, nil
		}
		visit(u, envelope.QueueID(id))
		rest = after
	}
	return account, true, nil
}

func (s *seen) has(u uid) bool {
	_, there := s.ids[u]
	return there
}

// holds reports whether a queue ID is that of a message which the memory has.
func (s *seen) holds(id envelope.QueueID) bool {
	for _, known := range s.ids {
		if known == id {
			return true
		}
	}
	return false
}

// add remembers messages, durably.
func (s *seen) add(batch map[uid]envelope.QueueID) error {
	for u, id := range batch {
		s.ids[u] = id
	}
	if !s.append {
		return s.rewrite()
	}
	var text []byte
	for u, id := range batch {
		text = appendLine(text, u, id)
	}
	f, err := os.OpenFile(s.path, os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Sync(), f.Close())
}

func appendLine(text []byte, u uid, id envelope.QueueID) []byte {
	text = append(hex.AppendEncode(text, u[:]), ' ')
	return append(strconv.AppendUint(text, uint64(id), 10), '\n')
}

// rewrite writes the file anew.
func (s *seen) rewrite() error {
	dir := filepath.Dir(s.path)
	if err := os.Mkdir(dir, 0o700); err == nil {
		if err := durable.SyncDir(filepath.Dir(dir)); err != nil {
			return err
		}
	} else if !errors.Is(err, fs.ErrExist) {
		return err
	}
	text := append(hex.AppendEncode([]byte(seenMark), s.account[:]), '\n')
	for u, id := range s.ids {
		text = appendLine(text, u, id)
	}
	err := durable.ReplaceFile(s.path, text, 0o600)
	s.append = err == nil
	return err
}

// prune forgets messages that are not there any more, once they are many: a server that has
// listed nothing for once, or has not removed what it was told to, makes no duplicates.
func (s *seen) prune(listed map[uid]bool) error {
	if len(listed) == 0 && len(s.ids) < maxListed || len(s.ids) <= 1000+4*len(listed) {
		return nil
	}
	for u := range s.ids {
		if !listed[u] {
			delete(s.ids, u)
		}
	}
	return s.rewrite()
}
