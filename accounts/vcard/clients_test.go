package vcard

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestClients converts cards in the shapes that programs write, testdata/NAME.vcf, and compares with NAME.golden. Converted back
// they must say the same: what is converted once more is the same text.
func TestClients(t *testing.T) {
	files, err := filepath.Glob("testdata/*.vcf")
	if err != nil || len(files) < 10 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		c := mustParse(t, string(text))
		if err := c.Validate(); err != nil && c.Version != "2.1" {
			t.Errorf("%s: %v", file, err)
		}
		other := "4.0"
		if c.Version == "4.0" {
			other = "3.0"
		}
		got, err := c.Convert(other)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		golden := strings.TrimSuffix(file, "vcf") + "golden"
		if *update {
			if err := os.WriteFile(golden, got, 0o666); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != string(want) {
			t.Errorf("%s:\ngot\n%s\nwant\n%s", file, got, want)
		}
		converted := mustParse(t, string(got))
		if err := converted.Validate(); err != nil {
			t.Errorf("%s: what is converted may not be stored: %v", file, err)
		}
		was, is := c.Summary(), converted.Summary()
		if was.UID != is.UID || was.FN != is.FN || was.Kind != is.Kind && is.Kind != "org" && was.Kind != "org" || strings.Join(was.Emails, " ") != strings.Join(is.Emails, " ") {
			t.Errorf("%s: the summary was %+v, and is %+v", file, was, is)
		}
		if c.Version == "2.1" {
			continue
		}
		back, err := converted.Convert(c.Version)
		if err != nil {
			t.Fatal(err)
		}
		again, err := mustParse(t, string(back)).Convert(other)
		if err != nil {
			t.Fatal(err)
		}
		if string(again) != string(got) {
			t.Errorf("%s: converted, back, and again:\ngot\n%s\nwant\n%s", file, again, got)
		}
	}
}
