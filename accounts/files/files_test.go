package files

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"gatepost/accounts"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

type site struct {
	*testing.T
	acc   *accounts.Store
	store *Store
}

func newSite(t *testing.T, set string) *site {
	t.Helper()
	var ids atomic.Uint64
	acc, err := accounts.Open(t.TempDir(), accounts.Options{MainDomain: "company.com", Shards: 1,
		NextID: func() (uint64, error) { return ids.Add(1), nil }, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { must(t, acc.Close()) })
	v, err := dataformat.Parse([]byte(set))
	must(t, err)
	must(t, acc.CreateAccount(t.Context(), "company.com", "ann", v.(dataformat.Dict)))
	return &site{t, acc, New()}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (s *site) open() *Area {
	s.Helper()
	a, err := s.acc.Account(s.Context(), "company.com", "ann")
	must(s.T, err)
	area, err := s.store.Open(a)
	must(s.T, err)
	s.Cleanup(area.Close)
	return area
}

func put(t testing.TB, a *Area, p, text string) error {
	t.Helper()
	_, _, err := a.Put(t.Context(), p, strings.NewReader(text), nil)
	return err
}

func content(t testing.TB, a *Area, p string) string {
	t.Helper()
	f, _, err := a.OpenFile(p)
	if err != nil {
		return "error: " + fault.KindOf(err).String()
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	must(t, err)
	return string(b)
}

func (s *site) uses(a *Area, bytes int64, files int) {
	s.Helper()
	b, f := a.Usage()
	if b != bytes || f != files {
		s.Errorf("in use are %d bytes, %d files; want %d, %d", b, f, bytes, files)
	}
	// What a new start counts is the same.
	other := New()
	acc, err := s.acc.Account(s.Context(), "company.com", "ann")
	must(s.T, err)
	again, err := other.Open(acc)
	must(s.T, err)
	defer again.Close()
	if b, f := again.Usage(); b != bytes || f != files {
		s.Errorf("on the disk are %d bytes, %d files; want %d, %d", b, f, bytes, files)
	}
}

func TestTree(t *testing.T) {
	s := newSite(t, "{MaxWebFiles=10;MaxWebSize=1000;MaxFileSize=500;}")
	a := s.open()
	if list, err := a.List(""); err != nil || list != nil {
		t.Errorf("a storage that is not there: %v, %v", list, err)
	}
	if _, err := os.Stat(a.dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a look has made it: %v", err)
	}
	must(t, put(t, a, "a.txt", "one"))
	must(t, put(t, a, "a.txt", "three"))
	if err := put(t, a, "no/a.txt", "x"); !IsNoParent(err) {
		t.Errorf("no directory: %v", err)
	}
	if err := put(t, a, "a.txt/b", "x"); !IsNoParent(err) {
		t.Errorf("a file as a directory: %v", err)
	}
	must(t, a.MakeDir("d", nil))
	must(t, a.MakeDir("d/e", nil))
	if err := a.MakeDir("d", nil); !fault.Is(err, fault.Exists) {
		t.Errorf("twice: %v", err)
	}
	if err := put(t, a, "d", "x"); !fault.Is(err, fault.Exists) {
		t.Errorf("a file over a directory: %v", err)
	}
	must(t, put(t, a, "d/e/f", "0123456789"))
	s.uses(a, 15, 4)
	one := "v"
	must(t, a.SetProperties("d/e/f", map[string]*string{"k": &one}))
	must(t, put(t, a, "d/e/f", "012345678"))

	created, err := a.Copy(t.Context(), "d", "copy", false, nil)
	must(t, err)
	if p, err := a.Properties("copy/e/f"); err != nil || p["k"] != "v" || !created {
		t.Errorf("properties of a copy: %v, %v, created %v", p, err, created)
	}
	s.uses(a, 23, 7)
	if created, err = a.Move("copy/e", "d", nil); err != nil || created {
		t.Errorf("move over a directory: %v, created %v", err, created)
	}
	s.uses(a, 14, 4)
	if got := content(t, a, "d/f"); got != "012345678" {
		t.Errorf("moved: %q", got)
	}
	for _, c := range [][2]string{{"d", "d/x"}, {"d", "d"}, {"d/f", "d"}} {
		if _, err := a.Move(c[0], c[1], nil); !fault.Is(err, fault.Denied) {
			t.Errorf("move %v: %v", c, err)
		}
		if _, err := a.Copy(t.Context(), c[0], c[1], false, nil); !fault.Is(err, fault.Denied) {
			t.Errorf("copy %v: %v", c, err)
		}
	}
	if _, err := a.Move("nothing", "x", nil); !fault.Is(err, fault.NotFound) {
		t.Error(err)
	}
	refuse := func(*Info) error { return fault.New("t", fault.Rejected, "") }
	for what, err := range map[string]error{"remove": a.Remove("d", refuse), "make": a.MakeDir("n", refuse)} {
		if !fault.Is(err, fault.Rejected) {
			t.Errorf("%s: %v", what, err)
		}
	}
	info, err := a.WriteAt(t.Context(), "d/f", 5, strings.NewReader("ABCDEFG"), nil)
	if err != nil || info.Size != 12 || content(t, a, "d/f") != "01234ABCDEFG" {
		t.Errorf("a part: %v, %v, %q", info, err, content(t, a, "d/f"))
	}
	if p, err := a.Properties("d/f"); err != nil || p["k"] != "v" {
		t.Errorf("properties after a part: %v, %v", p, err)
	}
	if _, err := a.WriteAt(t.Context(), "d/f", 13, strings.NewReader("x"), nil); !fault.Is(err, fault.Invalid) {
		t.Errorf("a hole: %v", err)
	}
	s.uses(a, 17, 4)
	must(t, a.Remove("d", nil))
	must(t, a.Remove("a.txt", nil))
	s.uses(a, 0, 1) // copy
	if err := a.Remove("", nil); !fault.Is(err, fault.Denied) {
		t.Error(err)
	}
}

func TestLimits(t *testing.T) {
	s := newSite(t, "{MaxWebFiles=3;MaxWebSize=100;MaxFileSize=60;}")
	a := s.open()
	must(t, put(t, a, "a", strings.Repeat("x", 60)))
	if err := put(t, a, "b", strings.Repeat("x", 61)); !fault.Is(err, fault.OverQuota) {
		t.Errorf("more than there is room: %v", err)
	}
	must(t, put(t, a, "b", strings.Repeat("x", 40)))
	if err := put(t, a, "c", "x"); !fault.Is(err, fault.OverQuota) {
		t.Errorf("full: %v", err)
	}
	must(t, put(t, a, "a", strings.Repeat("y", 60))) // takes the place of the old one
	must(t, a.Remove("b", nil))
	if err := put(t, a, "a", strings.Repeat("x", 61)); !fault.Is(err, fault.TooLarge) {
		t.Errorf("a large file: %v", err)
	}
	must(t, a.MakeDir("d", nil))
	must(t, put(t, a, "d/1", "1"))
	if err := put(t, a, "d/2", "2"); !fault.Is(err, fault.OverQuota) {
		t.Errorf("too many files: %v", err)
	}
	if err := a.MakeDir("e", nil); !fault.Is(err, fault.OverQuota) {
		t.Errorf("too many directories: %v", err)
	}
	if _, err := a.Copy(t.Context(), "d", "e", false, nil); !fault.Is(err, fault.OverQuota) {
		t.Errorf("too many copies: %v", err)
	}
	if left, err := os.ReadDir(filepath.Join(a.dir, workDir)); err != nil || len(left) != 0 {
		t.Errorf("left over: %v, %v", left, err)
	}
	s.uses(a, 61, 3)
}

// A stream that is cut stores nothing.
func TestCutUpload(t *testing.T) {
	s := newSite(t, "{}")
	a := s.open()
	must(t, put(t, a, "a", "old"))
	for _, cut := range []error{io.ErrUnexpectedEOF, context.Canceled} {
		r := io.MultiReader(strings.NewReader("new"), cutReader{cut})
		if _, _, err := a.Put(t.Context(), "a", r, nil); !errors.Is(err, cut) {
			t.Errorf("%v: %v", cut, err)
		}
	}
	if got := content(t, a, "a"); got != "old" {
		t.Errorf("the file is %q", got)
	}
	s.uses(a, 3, 1)
}

type cutReader struct{ err error }

func (r cutReader) Read([]byte) (int, error) { return 0, r.err }

// No path leads out of the storage.
func TestPaths(t *testing.T) {
	for _, bad := range [][]string{{".."}, {"."}, {""}, {"a/b"}, {"a\x00"}, {"a\n"}, {"\xff"}, {strings.Repeat("x", 256)}, strings.Split(strings.Repeat("a/", 65), "/")} {
		if p, err := Join(bad); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: %q, %v", bad, p, err)
		}
	}
	s := newSite(t, "{}")
	a := s.open()
	must(t, put(t, a, "a", "x"))
	outside := filepath.Join(t.TempDir(), "secret")
	must(t, os.WriteFile(outside, []byte("secret"), 0o600))
	must(t, os.Symlink(outside, filepath.Join(a.dir, treeDir, "link")))
	must(t, os.Symlink(filepath.Dir(outside), filepath.Join(a.dir, treeDir, "linked")))
	for _, p := range []string{"link", "linked/secret"} {
		if got := content(t, a, p); strings.Contains(got, "secret") {
			t.Errorf("%s leads out: %q", p, got)
		}
	}
	if err := put(t, a, "linked/new", "x"); err == nil {
		t.Error("a file was stored outside")
	}
	if list, err := a.List(""); err != nil || len(list) != 1 {
		t.Errorf("links are listed: %v, %v", list, err)
	}
}

// Many change one storage at once, and its counters stay right.
func TestConcurrent(t *testing.T) {
	s := newSite(t, "{}")
	var all sync.WaitGroup
	for n := range 4 {
		a := s.open()
		all.Go(func() {
			dir := string(rune('a' + n))
			if err := a.MakeDir(dir, nil); err != nil {
				t.Error(err)
			}
			for i := range 30 {
				if _, _, err := a.Put(t.Context(), "same", strings.NewReader(strings.Repeat("x", i)), nil); err != nil {
					t.Error(err)
				}
				if _, err := a.Copy(t.Context(), "same", dir+"/copy", false, nil); err != nil {
					t.Error(err)
				}
				if err := a.Remove(dir+"/copy", nil); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	a := s.open()
	i, err := a.Stat("same")
	must(t, err)
	s.uses(a, i.Size, 5)
}
