package webadmin

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"gatepost/server/counters"
)

// Every Kind that the server has gets a sentence, and what others have written stays text.
func TestFindingsAreSentences(t *testing.T) {
	source, err := os.ReadFile("../server/findings.go")
	must(t, err)
	kinds := map[string]bool{}
	for _, m := range regexp.MustCompile(`add\((?:true|false), "([^"]+)"|kind :?= "([^"]+)"|Kind: "([^"]+)"`).FindAllStringSubmatch(string(source), -1) {
		kinds[m[1]+m[2]+m[3]] = true
	}
	if len(kinds) < 10 {
		t.Fatalf("only %d kinds are found in server/findings.go", len(kinds))
	}
	s := newSite(t)
	c := s.master()
	for kind := range kinds {
		s.server.SetFindings([]counters.Finding{{Kind: kind, Bad: true, Args: []any{3, "<b>x</b>", "<i>answer</i>"}, About: "x.test", Since: time.Now()}})
		c.get("/Monitors/Dashboard").sees(200)
		if strings.Contains(c.body, "<li>"+kind+" <span") || strings.Contains(c.body, "<b>x</b>") || strings.Contains(c.body, "%!") && !strings.HasPrefix(kind, "disk") && kind != "DNS" && kind != "helper down" {
			t.Errorf("%s: no sentence, or one that takes other arguments", kind)
		}
		if strings.Contains(c.body, "All is well") {
			t.Errorf("%s: all is well", kind)
		}
	}
	s.server.SetFindings(nil)
	if c.get("/Monitors/Dashboard"); !strings.Contains(c.body, "All is well") {
		t.Error("nothing is wrong, and the page does not say so")
	}
}

func TestChartsOfADay(t *testing.T) {
	s := newSite(t)
	var counter counters.Counter
	r := s.server.Counters()
	r.Add(counters.Metric{Name: "gatepost_queue_delivered_total", Help: "Recipients.", Label: "module", Labelled: new(counters.Labelled)},
		counters.Metric{Name: "gatepost_x_total", Help: "x", Counter: &counter, Element: "recipientsDelivered", OID: "9.3"})
	counter.Add(900)
	r.Sample()
	c := s.master()
	c.get("/Monitors/Statistics/recipientsDelivered").sees(200)
	if !strings.Contains(c.body, `<path class="area s0"`) || !strings.Contains(c.body, "By the hour") {
		t.Error("no chart")
	}
	if c.get("/Monitors/Dashboard").sees(200); len(c.body) > 100<<10 {
		t.Errorf("the page has %d bytes", len(c.body))
	}
	c.get("/Monitors/Statistics?filter=delivered").sees(200)
	if !strings.Contains(c.body, "1.3.6.1.4.1.5678.2.1.1.9.3") {
		t.Error("the element is not in the list")
	}
	for v, want := range map[float64]float64{0: 4, 3: 4, 7: 8, 9: 10, 11: 20, 0.3: 0.4, 1e9: 1e9} {
		if got := nice(v); got < want*0.999 || got > want*1.001 {
			t.Errorf("nice(%v) is %v, not %v", v, got, want)
		}
	}
}
