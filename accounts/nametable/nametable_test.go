package nametable

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"gatepost/router/address"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// dict reads a dictionary for a test.
func dict(t testing.TB, text string) dataformat.Dict {
	t.Helper()
	v, err := dataformat.Parse([]byte(text))
	must(t, err)
	return v.(dataformat.Dict)
}

func wantList(t testing.TB, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// words is a table of strings whose owner is the value.
func words(t testing.TB, path string) *Table[string] {
	t.Helper()
	w, err := Load(path, func(_ string, v dataformat.Value) (string, bool) { return dataformat.Text(v) },
		func(v string) string { return v })
	must(t, err)
	return w
}

func (t *Table[V]) text() string {
	d := dataformat.Dict{}
	for name, v := range t.All() {
		d[name] = dataformat.String(fmt.Sprint(v))
	}
	return dataformat.Compact(d)
}

// largeTable makes a table that is large enough to have changes beside it.
func largeTable(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "X.data")
	d := dataformat.Dict{}
	for i := range smallTable {
		d[fmt.Sprintf("n%04d", i)] = dataformat.String("v")
	}
	must(t, dataformat.WriteFile(path, d, dataformat.StyleOld))
	return path
}

func read(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return string(b)
}

func TestSmallTableIsOneFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "X.data")
	w := words(t, path)
	must(t, w.Change(dict(t, "{b=2;a=1;}")))
	must(t, w.Change(dict(t, "{b=#NULL#;c=1;}")))
	if got := read(t, path); got != "{\n a = 1;\n c = 1;\n}\n" || read(t, changesOf(path)) != "" {
		t.Errorf("%q", got)
	}
	wantList(t, w.Of("1"), "a", "c")
	if got := words(t, path).text(); got != w.text() || got != "{a=1;c=1;}" {
		t.Errorf("%s and %s", got, w.text())
	}
}

func TestChangeOfALargeTableIsALine(t *testing.T) {
	path := largeTable(t)
	before := read(t, path)
	w := words(t, path)
	must(t, w.Change(dict(t, "{a=x;}")))
	must(t, w.Change(dict(t, "{a=#NULL#;b=x;n0000=y;}")))
	if got := read(t, changesOf(path)); got != "{\"#Format\"=1;}\n{a=x;}\n{a=#NULL#;b=x;n0000=y;}\n" || read(t, path) != before {
		t.Errorf("%q", got)
	}
	again := words(t, path)
	if again.text() != w.text() || w.Len() != smallTable+1 {
		t.Errorf("%d and %d names", again.Len(), w.Len())
	}
	wantList(t, w.Of("x"), "b")
	wantList(t, again.Of("y"), "n0000")
	// The changes become a part of the table when there are many.
	for i := range smallTable/changesPart + 25 {
		must(t, again.Change(dataformat.Dict{fmt.Sprintf("m%d", i): dataformat.String("z")}))
	}
	if got := strings.Count(read(t, changesOf(path)), "\n"); got > 10 || !strings.Contains(read(t, path), "\n b = x;\n") {
		t.Errorf("%d lines", got)
	}
	if got := words(t, path).text(); got != again.text() {
		t.Error("the table reads otherwise than it is")
	}
}

// A crash leaves a change whole or not at all, at every byte and between any two steps.
func TestCrashWhileATableChanges(t *testing.T) {
	path := largeTable(t)
	w := words(t, path)
	must(t, w.Change(dict(t, "{a=x;}")))
	one := w.text()
	start := len(read(t, changesOf(path)))
	must(t, w.Change(dict(t, "{a=y;b=x;}")))
	two, changes, data := w.text(), read(t, changesOf(path)), read(t, path)
	for n := range changes[start:] {
		must(t, os.WriteFile(path, []byte(data), 0o600))
		must(t, os.WriteFile(changesOf(path), []byte(changes[:start+n]), 0o600))
		want := one
		if start+n == len(changes)-1 { // all but the line end: not acknowledged, and whole
			want = two
		}
		again := words(t, path)
		if again.text() != want {
			t.Fatalf("after %d bytes the table is neither as before nor as after", n)
		}
		must(t, again.Change(dict(t, "{c=x;}")))
		must(t, again.Change(dict(t, "{c=#NULL#;}")))
		if got := words(t, path).text(); got != want {
			t.Fatalf("a line that was cut after %d bytes comes back", n)
		}
	}
	// X.data has been written and X.changes is still there.
	must(t, os.WriteFile(path, []byte(data), 0o600))
	must(t, os.WriteFile(changesOf(path), []byte(changes), 0o600))
	f, err := readTable(path)
	must(t, err)
	must(t, dataformat.WriteFile(path, f.entries, dataformat.StyleOld))
	if got := words(t, path).text(); got != two {
		t.Error("changes that are in the table twice change it")
	}
}

func TestTableThatSomebodyEdits(t *testing.T) {
	path := largeTable(t)
	w := words(t, path)
	must(t, w.Change(dict(t, "{a=x;}")))
	must(t, os.WriteFile(changesOf(path), []byte(formatHeader+"{A=edited;}\n"), 0o600))
	must(t, w.Change(dict(t, "{b=x;}")))
	if read(t, changesOf(path)) != "" || !strings.Contains(read(t, path), "\n a = edited;\n b = x;\n") {
		t.Error("the edited line is lost")
	}
	wantList(t, w.Of("edited"), "a")
	for _, bad := range []string{"{\"#Format\"=2;}\n{a=x;}\n", "{a=x;}\n", formatHeader + "a=x;\n{b=x;}\n"} {
		must(t, os.WriteFile(changesOf(path), []byte(bad), 0o600))
		if _, err := readTable(path); err == nil {
			t.Errorf("%q is read", bad)
		}
		if err := w.Change(dict(t, "{c=x;}")); !fault.Is(err, fault.Corrupt) {
			t.Errorf("a change beside %q: %v", bad, err)
		}
	}
}

func TestChangeOfManyNamesHoldsOnlyWhatDiffers(t *testing.T) {
	v := dataformat.String("v")
	for _, c := range []struct {
		old, now []string
		want     string
	}{
		{nil, []string{"a", "a", "b"}, "{a=v;b=v;}"}, {[]string{"a", "b"}, []string{"b", "c", "b"}, "{a=#NULL#;c=v;}"},
		{[]string{"a"}, nil, "{a=#NULL#;}"}, {[]string{"a"}, []string{"a"}, "{}"},
	} {
		if got := dataformat.Compact(Replaced(c.old, c.now, v)); got != c.want {
			t.Errorf("%v to %v: %s", c.old, c.now, got)
		}
	}
}

// A reader never sees less than what was acknowledged, whatever the writer is at.
func TestTableIsReadWholeDuringChanges(t *testing.T) {
	path := largeTable(t)
	w := words(t, path)
	many := func(v dataformat.Value) dataformat.Dict { // goes into X.data
		d := dataformat.Dict{}
		for i := range smallChange + 1 {
			d[fmt.Sprintf("many%d", i)] = v
		}
		return d
	}
	var acknowledged atomic.Int64
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(done)
		for i := range 60 {
			must(t, w.Change(dataformat.Dict{fmt.Sprintf("new%d", i): dataformat.String("v")}))
			acknowledged.Store(int64(i))
			v := dataformat.Value(dataformat.Null{})
			if i%2 == 0 {
				v = dataformat.String("v")
			}
			must(t, w.Change(many(v)))
		}
	})
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		n := acknowledged.Load()
		last := fmt.Sprintf("new%d", n)
		f, err := readTable(path)
		if err != nil {
			t.Error(err)
		} else if _, ok := f.entries[last]; !ok && n > 0 {
			t.Errorf("%s was acknowledged and is not there", last)
		}
	}
	wg.Wait()
}

// Lines that were read before they went into X.data do not hold on top of what
// came after them.
func TestTableIsReadAgainWhenItsChangesAreGone(t *testing.T) {
	path := largeTable(t)
	w := words(t, path)
	must(t, w.Change(dict(t, "{a=x;}")))
	update := dataformat.Dict{"a": dataformat.Null{}}
	for i := range smallChange {
		update[fmt.Sprintf("many%d", i)] = dataformat.String("v")
	}
	f, whole, err := tryTable(path, func(path string) (dataformat.Dict, error) {
		must(t, w.Change(update)) // goes into X.data
		return dataformat.ReadDict(path)
	})
	if err != nil || whole {
		t.Errorf("%v, %v: a is %v", whole, err, f.entries["a"])
	}
	if f, err = readTable(path); err != nil || f.entries["a"] != nil {
		t.Errorf("a is %v, %v", f.entries["a"], err)
	}
}

func TestChangesThatWereEditedByHand(t *testing.T) {
	for text, want := range map[string]string{
		formatHeader + "{zz=x;}":          "x", // the line end left out
		formatHeader + "\n{zz=x;}\n\n":    "x",
		"\n" + formatHeader + "{zz=x;}\n": "x",
		formatHeader + "{zz=x;}\n{zz=y":   "x", // cut
		"\n":                              "",
	} {
		path := largeTable(t)
		must(t, os.WriteFile(changesOf(path), []byte(text), 0o600))
		w := words(t, path)
		if got, _ := w.Get("zz"); got != want {
			t.Errorf("%q gives %q", text, got)
		}
		must(t, w.Change(dataformat.Dict{"yy": dataformat.String("new")}))
		again := words(t, path)
		if got, _ := again.Get("zz"); got != want {
			t.Errorf("%q and a change give %q", text, got)
		}
		if got, _ := again.Get("yy"); got != "new" {
			t.Errorf("%q: the change is not there", text)
		}
	}
}

// Whatever X.changes holds, it is refused or reads the same again after a change.
func FuzzTable(f *testing.F) {
	f.Add([]byte(formatHeader+"{a=x;}\n{a=#NULL#;B=(y);}\n"), "c")
	f.Add([]byte(formatHeader+"{a=x;}\n{a="), "a")
	f.Add([]byte("{\"#Format\"=2;}\n"), "n0000")
	f.Add([]byte("\n\n"), "x-1")
	path := largeTable(f)
	data := read(f, path)
	f.Fuzz(func(t *testing.T, changes []byte, name string) {
		if !address.ValidName(Fold(name)) {
			return // names are checked before they come here
		}
		must(t, os.WriteFile(path, []byte(data), 0o600))
		must(t, os.WriteFile(changesOf(path), changes, 0o600))
		if _, err := readTable(path); err != nil {
			return
		}
		w := words(t, path)
		must(t, w.Change(dataformat.Dict{Fold(name): dataformat.String("fuzz")}))
		if v, ok := w.Get(Fold(name)); !ok || v != "fuzz" {
			t.Errorf("%q is not there", name)
		}
		if got := words(t, path).text(); got != w.text() {
			t.Errorf("the table reads otherwise than it is:\n%.300q\n%.300q", got, w.text())
		}
	})
}
