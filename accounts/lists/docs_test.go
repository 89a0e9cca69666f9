package lists

import (
	"flag"
	"os"
	"strings"
	"testing"

	"gatepost/accounts"
	"gatepost/server/settings"
)

var update = flag.Bool("update", false, "rewrite the table of docs/admin/lists.md")

// The table of settings in the owner's guide is made from their declaration.
func TestOwnersGuide(t *testing.T) {
	const path, mark = "../../docs/admin/lists.md", "## Settings\n"
	set := new(accounts.ListSettings)
	must(t, settings.Load(set, nil))
	page, err := os.ReadFile(path)
	must(t, err)
	text, _, found := strings.Cut(string(page), mark)
	if !found {
		t.Fatalf("%s has no %q", path, mark)
	}
	want := text + mark + "\nMade from the declaration; \"go test ./accounts/lists -update\" rewrites the table.\n\n" + settings.Table(settings.Describe(set))
	if *update {
		must(t, os.WriteFile(path, []byte(want), 0o644))
		return
	}
	if string(page) != want {
		t.Errorf("%s is not what the declaration says; run with -update", path)
	}
}

// Each text is there in each language, and has the address that answers it.
func TestTextsAreWhole(t *testing.T) {
	for language, all := range stock {
		for kind, text := range stock["en"] {
			other := all[kind]
			for i := range text {
				for _, symbol := range []string{"^C", "^J", "^K", "^M", "^X", "^R", "^#", "^U", "^P"} {
					if strings.Contains(text[i], symbol) != strings.Contains(other[i], symbol) {
						t.Errorf("%s, text %d: %s is not where it is in English", language, kind, symbol)
					}
				}
			}
		}
	}
}
