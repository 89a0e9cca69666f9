package accounts

import (
	"slices"
	"strings"
	"testing"

	"gatepost/server/dataformat"
)

func TestHostNames(t *testing.T) {
	for text, want := range map[string][]string{
		`()`: nil, `""`: nil, `(A.test, "*.b.test")`: {"a.test", "*.b.test"}, `"a.test, b.test  a.test"`: {"a.test", "b.test"}, `("почта.рф c.test")`: {"xn--80a1acny.xn--p1ai", "c.test"},
	} {
		v, err := dataformat.Parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		var h HostNames
		if err := h.SetValue(v); err != nil || !slices.Equal(h, want) {
			t.Errorf("%s: %v, %v", text, h, err)
		}
	}
	for _, bad := range []string{"a b_!", "*.", "a..b", "1.2.3.4]", strings.Repeat("a.test ", 101)} {
		if err := new(HostNames).SetValue(dataformat.String(bad)); err == nil {
			t.Errorf("%.20q is taken", bad)
		}
	}
}
