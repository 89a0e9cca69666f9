package autoconfig

import (
	"strings"
	"testing"
)

// FuzzDiscover reads requests for the settings of mail programs.
func FuzzDiscover(f *testing.F) {
	f.Add(askOutlook)
	f.Add("<!DOCTYPE x [<!ENTITY a 'b'>]><Autodiscover>&a;</Autodiscover>")
	f.Add("</a><a></b>")
	f.Fuzz(func(t *testing.T, s string) {
		if req, err := readDiscover(strings.NewReader(s)); err == nil && len(req.email) > len(s) {
			t.Errorf("%d bytes of %d", len(req.email), len(s))
		}
	})
}
