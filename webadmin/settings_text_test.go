package webadmin

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"gatepost/accounts"
	"gatepost/server/settings"
)

// settingTexts are labels and helps of all settings by what they are of: those of the modules from docs/admin/settings.md, which
// another test compares with the declarations, and those of accounts and domains.
func settingTexts(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	b, err := os.ReadFile("../docs/admin/settings.md")
	must(t, err)
	row := regexp.MustCompile("(?m)^\\| `(\\w+)` \\|.* \\| (.+) \\|$")
	for _, m := range row.FindAllStringSubmatch(string(b), -1) {
		out[label(m[1])] = m[1]
		out[strings.ReplaceAll(m[2], `\|`, "|")] = m[1]
	}
	for _, list := range [][]settings.Setting{settings.Describe(new(accounts.AccountSettings)), settings.Describe(new(accounts.DomainSettings)), settings.Describe(new(accounts.GroupSettings)), settings.Describe(new(accounts.ListSettings))} {
		for _, s := range list {
			out[label(s.Key)] = s.Key
			if s.Help != "" {
				out[s.Help] = s.Key
			}
		}
	}
	return out
}

// mostMissing is how many texts of new settings may wait for their translation: they are shown in English meanwhile.
const mostMissing = 40

// Labels and helps of settings are in the Russian catalogue.
func TestSettingsAreTranslated(t *testing.T) {
	all, err := catalogues()
	must(t, err)
	texts, missing := settingTexts(t), 0
	for text, key := range texts {
		if all["ru"][text] == "" && !untranslated.MatchString(text) {
			t.Logf("%s: no Russian for %q", key, text)
			missing++
		}
	}
	t.Logf("%d of %d texts are missing", missing, len(texts))
	if missing > mostMissing {
		t.Error("these are too many")
	}
}
