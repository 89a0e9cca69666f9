package index

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatepost/server/fault"
)

// filled makes a store with records in two shards.
func filled(t *testing.T) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "Index")
	s := open(t, dir, 2)
	for i := range uint64(2) {
		err := s.Shard(i).Update(t.Context(), func(tx Tx) error {
			for n := i; n < 1000; n += 2 {
				if err := tx.Put(Mail, []byte(fmt.Sprintf("key %d", n)), []byte("some value")); err != nil {
					return err
				}
			}
			return nil
		}, nil)
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestAFileThatIsLostIsRefusedByNameAndNotMadeAnew(t *testing.T) {
	for name, c := range map[string]struct {
		damage func(dir string) error
		want   string
	}{
		"a shard is missing":   {func(dir string) error { return os.Remove(filepath.Join(dir, "01.db")) }, "01.db is missing"},
		"a shard is empty":     {func(dir string) error { return os.Truncate(filepath.Join(dir, "01.db"), 0) }, "01.db is empty"},
		"a shard is cut":       {func(dir string) error { return os.Truncate(filepath.Join(dir, "01.db"), 4*4096) }, "01.db is cut short: it has 16384 bytes and should have"},
		"a shard is very cut":  {func(dir string) error { return os.Truncate(filepath.Join(dir, "01.db"), 100) }, "01.db is cut short: it has 100 bytes"},
		"all is missing":       {os.RemoveAll, "format is missing"},
		"the format is lost":   {func(dir string) error { return os.Remove(filepath.Join(dir, "format")) }, "format is missing"},
		"the format is damage": {write("format", "gatepost\n"), "format is damaged"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filled(t)
			if err := c.damage(dir); err != nil {
				t.Fatal(err)
			}
			s, err := Open(dir, Options{Existing: true})
			if err == nil {
				s.Close()
			}
			if !fault.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "restore") {
				t.Errorf("got %v, want %q and a remedy", err, c.want)
			}
		})
	}
}

// A power cut may have come while the store was made.
func TestAStoreThatWasNotMadeWholeIsMade(t *testing.T) {
	dir := t.TempDir()
	if err := write("format", "gatepost index 5\nshards 2\nnew\n")(dir); err != nil {
		t.Fatal(err)
	}
	if err := write("00.db", "")(dir); err != nil {
		t.Fatal(err)
	}
	s := open(t, dir, 1)
	if err := put(t, s.Shard(1), "k", "v"); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s := open(t, dir, 1); len(s.Shards()) != 2 || get(t, s.Shard(1), "k") != "v" {
		t.Error("the store is another one")
	}
	if err := os.Remove(filepath.Join(dir, "01.db")); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, Options{}); !fault.Is(err, fault.Corrupt) && !fault.Is(err, fault.Unavailable) {
		t.Error(err)
	}
}

// treePages are the pages of a shard's file that hold keys.
func treePages(b []byte) (pages []int) {
	size := os.Getpagesize()
	for n := 2; n < len(b)/size; n++ {
		if flags := binary.NativeEndian.Uint16(b[n*size+8:]); flags == branchPage || flags == leafPage {
			pages = append(pages, n)
		}
	}
	return pages
}

// rubbish is what stands in a damaged page.
var rubbish = map[string]func(page []byte){
	"noise":      func(page []byte) { copy(page, bytes.Repeat([]byte{0xde, 0xad, 0xbe, 0xef}, len(page)/4)) },
	"nothing":    func(page []byte) { clear(page) },
	"many":       func(page []byte) { binary.NativeEndian.PutUint16(page[10:], 0xffff) },
	"far":        func(page []byte) { binary.NativeEndian.PutUint32(page[headerSize+8:], 0xfffffff0) },
	"high pages": func(page []byte) { binary.NativeEndian.PutUint32(page[12:], 0xffffff) },
}

func TestABadPageIsFoundAndIsAnErrorWhereItIsRead(t *testing.T) {
	from := filled(t)
	whole, err := os.ReadFile(filepath.Join(from, "00.db"))
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, page := range treePages(whole) {
		for name, damage := range rubbish {
			dir := t.TempDir() // a file that cannot be closed stays locked
			path := filepath.Join(dir, "00.db")
			b := bytes.Clone(whole)
			damage(b[page*os.Getpagesize():][:os.Getpagesize()])
			if err := errors.Join(os.CopyFS(dir, os.DirFS(from)), os.WriteFile(path, b, 0o600)); err != nil {
				t.Fatal(err)
			}
			var findings []string
			s, err := Open(dir, Options{ReadOnly: true})
			if err != nil {
				t.Fatalf("page %d, %s: %v", page, name, err)
			}
			if err := s.Shard(0).Verify(func(err error) { findings = append(findings, err.Error()) }); err != nil {
				t.Fatal(err)
			}
			err = s.Shard(0).View(readAll)
			if err != nil && !fault.Is(err, fault.Corrupt) {
				t.Errorf("page %d, %s: %v", page, name, err)
			}
			if err != nil && len(findings) == 0 {
				t.Errorf("page %d, %s: %v was not found before", page, name, err)
			}
			for _, f := range findings {
				if !strings.Contains(f, path) {
					t.Errorf("%q does not name the file", f)
				}
			}
			if len(findings) > 0 {
				found++
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			if name == "high pages" {
				continue // a commit would note so many pages as free, which takes long
			}
			if s, err = Open(dir, Options{}); err != nil {
				if !strings.Contains(err.Error(), path) {
					t.Errorf("%v does not name the file", err)
				}
				continue
			}
			if err := errors.Join(s.Shard(0).View(readAll), put(t, s.Shard(0), "key 2", "other")); err != nil && !strings.Contains(err.Error(), path) {
				t.Errorf("page %d, %s: %v", page, name, err)
			}
			if err := s.Close(); err != nil && !strings.Contains(err.Error(), path) {
				t.Errorf("page %d, %s: %v", page, name, err)
			}
		}
	}
	if found < 10 {
		t.Errorf("only %d of the damages were found", found)
	}
}

// readAll reads all records of a shard.
func readAll(tx Tx) error {
	n := 0
	for b := range bucketCount {
		tx.Range(b, nil, nil, func(k, v []byte) bool {
			n += bytes.Count(k, []byte("k")) + bytes.Count(v, []byte("v"))
			return true
		})
	}
	return nil
}

func TestAFileThatIsCutWhileItIsOpenIsAnError(t *testing.T) {
	dir := filled(t)
	s := open(t, dir, 0)
	if err := os.Truncate(filepath.Join(dir, "00.db"), 3*4096); err != nil {
		t.Fatal(err)
	}
	if err := s.Shard(0).View(readAll); !fault.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), "00.db") {
		t.Errorf("got %v", err)
	}
	if err := put(t, s.Shard(0), "key 2", "v"); !fault.Is(err, fault.Corrupt) {
		t.Errorf("got %v", err)
	}
	if err := s.Shard(1).View(readAll); err != nil {
		t.Error(err)
	}
}

func TestAReadOnlyStoreChangesNothingAndHasTheOtherShards(t *testing.T) {
	dir := filled(t)
	if err := os.Remove(filepath.Join(dir, "01.db")); err != nil {
		t.Fatal(err)
	}
	before := listing(t, dir)
	s, err := Open(dir, Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	if got := get(t, s.Shard(2), "key 2"); got != "some value" {
		t.Errorf("read %q", got)
	}
	if err := s.Shard(1).View(readAll); !fault.Is(err, fault.Corrupt) {
		t.Errorf("got %v", err)
	}
	if err := s.Shard(1).Settle(t.Context()); !fault.Is(err, fault.Corrupt) {
		t.Errorf("got %v", err)
	}
	if err := put(t, s.Shard(2), "k", "v"); !fault.Is(err, fault.ReadOnly) {
		t.Errorf("got %v", err)
	}
	if err := s.Shard(2).Verify(func(err error) { t.Error(err) }); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if after := listing(t, dir); after != before {
		t.Errorf("the directory was\n%sand is\n%s", before, after)
	}
}

// A bug in a function is no damage.
func TestAPanicOfAFunctionStaysOne(t *testing.T) {
	s := open(t, t.TempDir(), 1)
	defer func() {
		if recover() == nil {
			t.Error("the panic was taken for damage")
		}
	}()
	var none []byte
	_ = s.Shard(1).View(func(Tx) error { _ = none[3]; return nil })
}

func listing(t *testing.T, dir string) (list string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		list += fmt.Sprintln(e.Name(), info.Size(), info.ModTime())
	}
	return list
}
