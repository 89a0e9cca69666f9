package backup

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gatepost/server/fault"
)

// The order of names is that in which directories are walked through.
func TestOrderOfNames(t *testing.T) {
	names := []string{"a", "a/b", "a/b.x", "a/b/c", "a.b", "a-b/c", "a/z", "b", "a b/c"}
	slices.SortFunc(names, compareNames)
	want := []string{"a", "a/b", "a/b/c", "a/b.x", "a/z", "a b/c", "a-b/c", "a.b", "b"}
	if !slices.Equal(names, want) {
		t.Errorf("%q", names)
	}
	for _, x := range names {
		for _, y := range names {
			if compareNames(x, y) != -compareNames(y, x) || compareNames(x, y) == 0 != (cmp.Compare(x, y) == 0) {
				t.Errorf("%q and %q", x, y)
			}
		}
	}
}

func TestManifest(t *testing.T) {
	dir := t.TempDir()
	m, err := newManifest(dir, Head{Time: time.Unix(1_800_000_000, 0), Version: "0.1"})
	if err != nil {
		t.Fatal(err)
	}
	list := []entry{{size: 1, name: "A/x y\n\"z\""}, {size: 2, name: "B/ü", modified: time.Unix(5, 7)}, {size: 3, name: "C"}}
	for i := range list {
		if err := m.add(&list[i]); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := openManifest(dir); !fault.Is(err, fault.Corrupt) {
		t.Errorf("without an end: %v", err)
	}
	if err := m.end(); err != nil {
		t.Fatal(err)
	}
	r, err := openManifest(dir)
	if err != nil {
		t.Fatal(err)
	}
	if r.Files != 3 || r.Bytes != 6 || r.Version != "0.1" || !r.Time.Equal(time.Unix(1_800_000_000, 0)) {
		t.Errorf("%+v", r.Head)
	}
	for _, want := range []struct {
		name string
		size int64
	}{{"A/a", 0}, {list[0].name, 1}, {"A/z", 0}, {"B/ü", 2}, {"D", 0}} {
		e, err := r.find(want.name)
		if err != nil || (e == nil) != (want.size == 0) || e != nil && e.size != want.size {
			t.Errorf("%q: %+v %v", want.name, e, err)
		}
	}
	if err := r.close(); err != nil {
		t.Error(err)
	}
}

func FuzzManifest(f *testing.F) {
	f.Add("gatepost backup 1\ntime 2026-12-01T10:00:00Z\nversion x\n" + strings.Repeat("0", 64) + " 1 2 \"a\"\nend 1 1\n")
	f.Add("gatepost backup 1\ntime x\nend 1 1\n")
	f.Add(strings.Repeat("0", 64) + " 1 2 \"../a\"\n")
	f.Fuzz(func(t *testing.T, text string) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, Manifest), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		m, err := openManifest(dir)
		if err != nil {
			return
		}
		defer m.close()
		for {
			e, err := m.read()
			if e == nil || err != nil {
				return
			}
			if !filepath.IsLocal(e.name) || e.size < 0 {
				t.Fatalf("%+v", e)
			}
		}
	})
}
