package webadmin

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The page of a domain with 100,000 accounts shows a hundred of them, and finds one. How long that
// takes is told and not judged: GATEPOST_LARGE=1 go test ./webadmin -run Large -v.
func TestLargeDomain(t *testing.T) {
	const accounts = 100_000
	if os.Getenv("GATEPOST_LARGE") == "" {
		t.Skip("GATEPOST_LARGE is not set")
	}
	s := newSite(t)
	dir, err := s.acc.DomainLocation("own.com")
	must(t, err)
	a, err := s.acc.Account(t.Context(), "own.com", "user")
	must(t, err)
	base := strings.TrimSuffix(filepath.Dir(a.Dir()), dir)
	for i := range accounts {
		must(t, os.Mkdir(filepath.Join(base, dir, fmt.Sprintf("user%06d.macnt", i)), 0o700))
	}
	made := time.Now()
	c := s.master()
	for _, when := range []string{"right after a change", "at rest"} {
		for _, path := range []string{"/Users/Domains/own.com/Objects", "/Users/Domains/own.com/Objects?after=user050000", "/Users/Domains/own.com/Objects?filter=0777", "/Users/Domains", "/Search?q=user099999"} {
			for round := range 2 {
				began := time.Now()
				c.get(path).sees(200)
				t.Logf("%s, %s, round %d: %s, %d bytes", path, when, round+1, time.Since(began).Round(time.Millisecond), len(c.body))
			}
		}
		for time.Since(made) < 4*time.Second { // lists of names that change are not kept
			c.get("/Users/Domains").sees(200)
		}
	}
}
