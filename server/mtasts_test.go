package server_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"gatepost/server/dataformat"
)

// A domain's own MTA-STS policy is on the host mta-sts of the domain, and its record changes with it.
func TestOwnPolicy(t *testing.T) {
	r := start(t, "CREATEDOMAIN own.test", "SETDOMAINALIASES own.test (alias.test)")
	ask := func(host string) (int, string) {
		t.Helper()
		req, err := http.NewRequest("GET", "http://"+r.addr(8100)+"/.well-known/mta-sts.txt", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(b)
	}
	record := func() string {
		list, _ := r.cli(t, "GETDNSRECORDS own.test").Data.(dataformat.Array)
		for _, e := range list {
			if d, _ := e.(dataformat.Dict); d.String("name") == "_mta-sts.own.test" {
				return d.String("value")
			}
		}
		return ""
	}
	if status, _ := ask("mta-sts.own.test"); status != 404 || record() != "" {
		t.Errorf("without a policy: %d, record %q", status, record())
	}
	r.cli(t, "UPDATEDOMAINSETTINGS own.test {MTASTSMode=testing;}")
	const policy = "version: STSv1\r\nmode: %s\r\nmx: %s\r\nmax_age: %d\r\n"
	if status, text := ask("mta-sts.own.test"); status != 200 || text != fmt.Sprintf(policy, "testing", testDomain, 604800) {
		t.Errorf("%d %q", status, text)
	}
	first := record()
	if !strings.HasPrefix(first, "v=STSv1; id=") {
		t.Errorf("record %q", first)
	}
	r.cli(t, "UPDATEDOMAINSETTINGS own.test {MTASTSMode=enforce;MTASTSHosts=(mx.own.test,\"*.mx.own.test\");MTASTSMaxAge=30d;}")
	if status, text := ask("mta-sts.alias.test"); status != 200 || text != fmt.Sprintf(policy, "enforce", "mx.own.test\r\nmx: *.mx.own.test", 2592000) {
		t.Errorf("%d %q", status, text)
	}
	if record() == first {
		t.Error("the record is the same after a change")
	}
	for _, host := range []string{"own.test", "mail.own.test", "mta-sts." + testDomain, "mta-sts.elsewhere.test"} {
		if status, _ := ask(host); status != 404 {
			t.Errorf("%s: %d", host, status)
		}
	}
}
