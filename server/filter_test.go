package server_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// A rule shows messages to a filter, whose verdict reaches the sender; a later rule sees what it has added.
func TestExternalFilter(t *testing.T) {
	r := start(t)
	script, err := filepath.Abs("../protocols/helper/testdata/filter.pl")
	if err != nil {
		t.Fatal(err)
	}
	dir := r.programs(t, map[string]string{"show": "cat > show.out"})
	r.cli(t, `SETROUTERTABLE "<robot> = show@pipe"`)
	r.cli(t, fmt.Sprintf(`UPDATESERVERSETTINGS {ExternalFilters=({Enabled=YES;Name=Look;ProgramName=%q;});}`, script))
	r.cli(t, `SETSERVERMAILRULES ((5, Look, (), ((ExternalFilter, Look))), (3, Mark, (("Header Field", is, "X-CR: 0")), (("Add Header", "X-Later: seen"))))`)
	from, to := "alice@"+testDomain, "robot@"+testDomain
	if err := r.submit(t, from, to, "hello"); err != nil {
		t.Fatal(err)
	}
	got := said(t, dir, "show")
	if want := "\nX-From: " + from + "\nX-To: " + to + "\nX-CR: 0\nX-Later: seen\n\nbody of hello\n"; !strings.Contains(got, want) {
		t.Errorf("the filtered message:\n%s\nwant in it:\n%s", got, want)
	}
	for subject, want := range map[string]string{"virus": "550", "later": "451"} {
		if err := r.submit(t, from, to, subject); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, want %s", subject, err, want)
		}
	}
	if a := r.cli(t, "GETHELPERSINFO"); !strings.Contains(a.Text, "answers=3;") || !strings.Contains(a.Text, "state=running;") {
		t.Errorf("statistics: %s", a.Text)
	}
}
