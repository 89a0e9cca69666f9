package server_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"gatepost/server/control"
)

// A handler of triggers is told by mail and by a URL.
func TestInteropTriggerHandler(t *testing.T) {
	needPrograms(t, "curl")
	r := start(t)
	asked := make(chan string, 1)
	web := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, q *http.Request) { asked <- q.URL.RawQuery }))
	t.Cleanup(web.Close)
	r.cli(t, `UPDATEMODULE Triggers {Handlers=("oncall: mailto:alice@corp.test?subject=Wärme%20^1","oncall: `+web.URL+`/?^2");Triggers=("custom1 > 5: oncall");}`)
	r.cli(t, "TESTTRIGGERHANDLER oncall")
	if got := <-asked; got != "0" {
		t.Errorf("the URL has %q", got)
	}
	if text := r.waitFor(t, "alice", "handler oncall"); !strings.Contains(text, "Auto-Submitted: auto-generated\n") || !strings.Contains(text, "\n\ntest is a test of the handler oncall. The value is 0.\n") {
		t.Errorf("the mail is\n%s", text)
	}
	c, err := control.Dial(r.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for command, want := range map[string]string{
		"TESTTRIGGERHANDLER nobody":                                 "no such handler",
		`UPDATEMODULE Triggers {Triggers=("custom1 > 5: nobody");}`: "there is no handler",
	} {
		if a, err := c.Do(command); err != nil || a.OK() || !strings.Contains(a.Text, want) {
			t.Errorf("%s: %d %s %v", command, a.Code, a.Text, err)
		}
	}
}
