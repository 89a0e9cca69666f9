package message

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// corpus returns the messages in testdata by name, with CRLF.
func corpus(t testing.TB) map[string][]byte {
	paths, err := filepath.Glob("testdata/*.eml")
	if err != nil || len(paths) == 0 {
		t.Fatal("no corpus", err)
	}
	all := map[string][]byte{}
	for _, p := range paths {
		b, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		all[strings.TrimSuffix(filepath.Base(p), ".eml")] = bytes.ReplaceAll(b, []byte("\n"), []byte("\r\n"))
	}
	return all
}

func scan(t testing.TB, b []byte) *Summary {
	t.Helper()
	s, err := Scan(bytes.NewReader(b), Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestSummariesOfTheCorpus compares what clients will see of each message with a file.
func TestSummariesOfTheCorpus(t *testing.T) {
	for name, b := range corpus(t) {
		t.Run(name, func(t *testing.T) {
			got := describeSummary(scan(t, b))
			want := golden(t, filepath.Join("testdata", name+".golden"), []byte(got))
			if got != string(want) {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// TestSummaryDoesNotDependOnHowBytesArrive reads every message byte by byte.
func TestSummaryDoesNotDependOnHowBytesArrive(t *testing.T) {
	for name, b := range corpus(t) {
		s, err := Scan(iotest.OneByteReader(bytes.NewReader(b)), Options{})
		if err != nil {
			t.Fatal(err)
		}
		if got, want := describeSummary(s), describeSummary(scan(t, b)); got != want {
			t.Errorf("%s: byte by byte\n%s\nat once\n%s", name, got, want)
		}
	}
}

func describeSummary(s *Summary) string {
	var b strings.Builder
	fmt.Fprintf(&b, "size %d media %v date %s\nsubject %s\nmessage-id %s\npreview %s\n",
		s.Size, s.HasMedia, s.Date.Format("2006-01-02 15:04:05 -0700"), s.Subject, s.MessageID, s.Preview)
	fmt.Fprintf(&b, "envelope %s\n", crlf(s.Envelope))
	fmt.Fprintf(&b, "bodystructure %s\n", crlf(AppendBodyStructure(nil, s.Root, Extended)))
	if rev2 := AppendBodyStructure(nil, s.Root, Extended|Rev2); !bytes.Equal(rev2, AppendBodyStructure(nil, s.Root, Extended)) {
		fmt.Fprintf(&b, "rev2 %s\n", crlf(rev2))
	}
	fmt.Fprintf(&b, "body %s\n", crlf(AppendBodyStructure(nil, s.Root, 0)))
	describePart(&b, s.Root, "", 0)
	fmt.Fprintf(&b, "headers\n%s", strings.ReplaceAll(string(s.Headers), "\r", ""))
	return b.String()
}

// crlf shows literals on one line.
func crlf(b []byte) string { return strings.ReplaceAll(string(b), "\r\n", `\r\n`) }

func describePart(b *strings.Builder, p *Part, number string, depth int) {
	fmt.Fprintf(b, "%spart %q %s/%s header %d-%d body %d-%d lines %d", strings.Repeat(" ", depth), number,
		p.Type, p.Subtype, p.Header.Start, p.Header.End, p.Body.Start, p.Body.End, p.Lines)
	if f := p.Filename(); f != "" {
		fmt.Fprintf(b, " file %q", f)
	}
	if p.Attachment() {
		b.WriteString(" attachment")
	}
	b.WriteString("\n")
	for i, c := range p.Children {
		describePart(b, c, strings.TrimPrefix(fmt.Sprintf("%s.%d", number, i+1), "."), depth+1)
	}
	if p.Message != nil {
		describePart(b, p.Message.Root, number+"m", depth+1)
	}
}

// golden returns what the file holds; with -update it writes got there first.
func golden(t *testing.T, path string, got []byte) []byte {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return want
}
