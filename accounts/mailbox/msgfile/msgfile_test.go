package msgfile

import (
	"io"
	"os"
	"path/filepath"
	"testing"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestFileIsMadeOnceAndOpenedWithItsLength(t *testing.T) {
	account := t.TempDir()
	ref := Ref{ID: 7, Dir: 3}
	must(t, MakeDirectory(account, ref.Dir))
	must(t, MakeDirectory(account, ref.Dir))
	queueFile := filepath.Join(account, "7.msg")
	must(t, os.WriteFile(queueFile, []byte("message"), 0o600))
	must(t, LinkOrCopy(queueFile, ref.Path(account)))
	if err := LinkOrCopy(queueFile, ref.Path(account)); !os.IsExist(err) || !SameMessage(queueFile, ref.Path(account)) {
		t.Errorf("made again: %v", err)
	}
	dir, err := OpenDirectory(DirectoryPath(account, ref.Dir))
	must(t, err)
	defer dir.Close()
	for name, open := range map[string]func(length int64) (File, error){
		"by its path":      func(n int64) (File, error) { return Open(ref.Path(account), n) },
		"by its directory": func(n int64) (File, error) { return dir.Open(ref.ID, n) },
	} {
		for _, wrong := range []int64{6, 8} {
			if f, err := open(wrong); err == nil || f != Closed {
				t.Errorf("%s: opened as a file of %d bytes", name, wrong)
			}
		}
		f, err := open(7)
		must(t, err)
		got, err := io.ReadAll(io.NewSectionReader(&f, 0, 100))
		if string(got) != "message" || err != nil {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		must(t, f.Close())
		if err := f.Close(); err != os.ErrClosed {
			t.Errorf("%s: closed twice: %v", name, err)
		}
	}
}

func TestFileIsRemovedOnceWhenNoRecordAndNoViewHasIt(t *testing.T) {
	var u Uses
	if !u.Begin(1) || u.Begin(1) {
		t.Error("a file is made twice at a time")
	}
	u.End(1)
	if u.Busy(1) {
		t.Error("a file that is made is busy")
	}
	u.Hold(1)
	u.Hold(1)
	if u.Unwant(1) || u.Release(1) {
		t.Error("a file that a view shows is to be removed")
	}
	if !u.Release(1) {
		t.Error("the file stays")
	}
	if u.Unwant(1) || u.Begin(1) || !u.Busy(1) {
		t.Error("a file that is being removed is removed, or made, again")
	}
	u.Removed(1)
	if u.Busy(1) || !u.Begin(1) {
		t.Error("a file that was removed is busy")
	}
}
