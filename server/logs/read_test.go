package logs

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"gatepost/server/fault"
)

func TestReadLog(t *testing.T) {
	dir := t.TempDir()
	files, err := OpenFiles(dir, func() *FileOptions { return &FileOptions{} }, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	defer files.Close()
	const name = "2026-01-02.log"
	text := "10:42:11.084 2 SMTPI-000123([192.0.2.10]) [100234] received size=2045\n" +
		"10:43:00.000 4 IMAP-000007(user one) dialogue\n" +
		"a line of something else\n" +
		"2026-01-02T10:44:00.1+01:00 1 QUEUE down error=\"disk = full\" n=3\n" +
		"10:45:00.000 3 SYSTEM\n" +
		"10:46:00.000 2 SYSTEM half"
	write := func(s string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(text)
	read := func(q Query) (*Page, string) {
		t.Helper()
		q.File = name
		if q.Limit == 0 {
			q.Limit = 100
		}
		if q.Level == 0 {
			q.Level = 5
		}
		p, err := files.Read(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, r := range p.Records {
			out = append(out, fmt.Sprintf("%d %s", r.Level, r.Tag))
		}
		return p, strings.Join(out, "; ")
	}
	const all = "2 SMTPI-000123([192.0.2.10]); 4 IMAP-000007(user one); 1 QUEUE; 3 SYSTEM"
	for _, c := range []struct {
		q    Query
		want string
	}{
		{Query{After: -1}, all},
		{Query{}, all},
		{Query{After: -1, Level: 2}, "2 SMTPI-000123([192.0.2.10]); 1 QUEUE"},
		{Query{After: -1, Tag: "smtpi-000123"}, "2 SMTPI-000123([192.0.2.10])"},
		{Query{After: -1, Text: "[100234]"}, "2 SMTPI-000123([192.0.2.10])"},
		{Query{After: -1, Text: "size=[0-9]+$", Regexp: true}, "2 SMTPI-000123([192.0.2.10])"},
		{Query{After: -1, Since: "10:43"}, "4 IMAP-000007(user one); 1 QUEUE; 3 SYSTEM"},
		{Query{After: -1, Until: "10:43"}, "2 SMTPI-000123([192.0.2.10]); 4 IMAP-000007(user one)"},
		{Query{After: -1, Limit: 2}, "1 QUEUE; 3 SYSTEM"},
		{Query{Limit: 2}, "2 SMTPI-000123([192.0.2.10]); 4 IMAP-000007(user one)"},
		{Query{After: -1, Keep: func(r Record) bool { return r.Text == "dialogue" }}, "4 IMAP-000007(user one)"},
	} {
		if _, got := read(c.q); got != c.want {
			t.Errorf("%+v: %s, want %s", c.q, got, c.want)
		}
	}
	p, _ := read(Query{After: -1, Limit: 1})
	if !p.Cut || p.Next != int64(strings.LastIndexByte(text, '\n')+1) {
		t.Errorf("%+v", p)
	}
	write(text + " now whole\n")
	if _, got := read(Query{After: p.Next}); got != "2 SYSTEM" {
		t.Errorf("what has come since: %s", got)
	}
	write("")
	if _, got := read(Query{After: p.Next}); got != "" {
		t.Errorf("of a file that has become shorter: %s", got)
	}
	write(strings.Repeat("x", 3*longestRecord) + "\n10:00:00 2 A b\n")
	if _, got := read(Query{After: -1}); got != "2 A" {
		t.Errorf("after a line that is too long: %s", got)
	}
	for _, bad := range []string{"../secret", "x.log", "2026-01-02.log/..", "", "2026-01-03.log"} {
		if _, err := files.Read(t.Context(), Query{File: bad}); !fault.Is(err, fault.NotFound) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if _, err := files.Read(t.Context(), Query{File: name, Text: "(", Regexp: true}); !fault.Is(err, fault.Invalid) {
		t.Error(err)
	}
}

func TestValuesOfARecord(t *testing.T) {
	r := Record{Text: `UPDATEX target=a@b by=c@d old={} new="{A=\"x y\";}" end`}
	want := map[string]string{"target": "a@b", "by": "c@d", "old": "{}", "new": `{A="x y";}`}
	if got := r.Values(); !reflect.DeepEqual(got, want) {
		t.Errorf("%q", got)
	}
}

func FuzzParseRecord(f *testing.F) {
	f.Add(`10:42:11.084 2 SMTPI-000123([192.0.2.10]) [100234] received size=2045 x="a b"`)
	f.Fuzz(func(t *testing.T, line string) {
		if r, ok := parseRecord([]byte(line)); ok {
			r.Values()
			r.timeOfDay()
			r.Session()
		}
	})
}
