package autoconfig

import (
	"flag"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"gatepost/server/settings"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares a text with a file in testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := "testdata/" + name
	if *update {
		must(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	must(t, err)
	if got != string(want) {
		t.Errorf("%s differs:\n%s", path, got)
	}
}

// stockServices are the listeners of a new server, in no order.
var stockServices = []MailService{
	{Protocol: "smtp", Port: 587, TLS: settings.TLSStart},
	{Protocol: "pop3", Port: 110, TLS: settings.TLSStart},
	{Protocol: "imap", Port: 143, TLS: settings.TLSStart},
	{Protocol: "smtp", Port: 465, TLS: settings.TLSImplicit},
	{Protocol: "imap", Port: 993, TLS: settings.TLSImplicit},
	{Protocol: "imap", Port: 993, TLS: settings.TLSImplicit}, // on a second address
	{Protocol: "imap", Port: 1143, TLS: settings.TLSNone},
	{Protocol: "pop3", Port: 995, TLS: settings.TLSImplicit},
}

func TestMozillaAutoconfig(t *testing.T) {
	f := newFixture(t, plainListener, stockServices, 9100)
	c := f.client(remote)
	for _, url := range []string{
		"http://autoconfig.company.com/mail/config-v1.1.xml?emailaddress=alice%40company.com",
		"http://company.com/.well-known/autoconfig/mail/config-v1.1.xml?emailaddress=Nobody@MAIL.company.com",
		"http://company.com/.well-known/autoconfig/mail/config-v1.1.xml",
		"http://client.dom/mail/config-v1.1.xml?emailaddress=alice@company.com",
	} {
		resp, err := c.Get(url)
		must(t, err)
		body, err := io.ReadAll(resp.Body)
		must(t, err)
		resp.Body.Close()
		if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "text/xml; charset=utf-8" {
			t.Errorf("%s: %s %v", url, resp.Status, resp.Header)
		}
		golden(t, "config-v1.1.xml", string(body))
	}
	for query, want := range map[string]int{"alice@elsewhere.org": 404, "alice": 404, "a%20b@@": 400, "%3Cx%3E@company.com": 400} {
		if status, body := get(t, c, "http://company.com/mail/config-v1.1.xml?emailaddress="+query); status != want {
			t.Errorf("%s: %d %s", query, status, body)
		}
	}
	must(t, f.accounts.DomainSettings("client.dom").Update(t.Context(), settingsOf(t, "{PublicServerName=mx.client.dom;}")))
	if _, body := get(t, c, "http://client.dom/mail/config-v1.1.xml"); !strings.Contains(body, "<hostname>mx.client.dom</hostname>") {
		t.Errorf("the domain's own name: %s", body)
	}
}

// TestListenersForOthersAreNotTold: mail programs are not sent where they may not connect.
func TestListenersForOthersAreNotTold(t *testing.T) {
	inside, err := settings.ParseIPList("127.0.0.0/8")
	must(t, err)
	f := newFixture(t, plainListener, []MailService{
		{Protocol: "imap", Port: 993, TLS: settings.TLSImplicit, Allow: inside},
		{Protocol: "smtp", Port: 465, TLS: settings.TLSImplicit},
	}, 0)
	for from, told := range map[string]bool{loopback: true, remote: false} {
		if _, body := get(t, f.client(from), "http://company.com/mail/config-v1.1.xml"); strings.Contains(body, "imap") != told || !strings.Contains(body, "smtp") {
			t.Errorf("%s is told %s", from, body)
		}
	}
}

const askOutlook = `<?xml version="1.0" encoding="utf-8"?>
<Autodiscover xmlns="http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006">
  <Request>
    <EMailAddress>alice@company.com</EMailAddress>
    <AcceptableResponseSchema>http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a</AcceptableResponseSchema>
  </Request>
</Autodiscover>
`

var discoverTime = regexp.MustCompile(`Time="[0-9:.]+"`)

func TestMicrosoftAutodiscover(t *testing.T) {
	f := newFixture(t, tlsListener, stockServices, 9100)
	c := f.client(remote)
	ask := func(path, request string) string {
		t.Helper()
		resp, err := c.Post("https://autodiscover.company.com"+path, "text/xml", strings.NewReader(request))
		must(t, err)
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		must(t, err)
		if resp.StatusCode != 200 {
			return resp.Status
		}
		return discoverTime.ReplaceAllString(string(body), `Time="now"`)
	}
	for _, path := range []string{"/autodiscover/autodiscover.xml", "/Autodiscover/Autodiscover.xml", "/AutoDiscover/AutoDiscover.XML"} {
		golden(t, "autodiscover.xml", ask(path, askOutlook))
	}
	bomb := `<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;"><!ENTITY c SYSTEM "file:///etc/passwd">]>`
	for name, x := range map[string]struct{ request, want string }{
		"mobile":          {strings.Replace(askOutlook, "outlook/responseschema/2006a", "mobilesync/responseschema/2006", 1), "<ErrorCode>601</ErrorCode>"},
		"other domain":    {strings.Replace(askOutlook, "@company.com", "@elsewhere.org", 1), "<ErrorCode>500</ErrorCode>"},
		"no address":      {strings.Replace(askOutlook, "alice@company.com", "", 1), "<ErrorCode>600</ErrorCode>"},
		"bad address":     {strings.Replace(askOutlook, "alice@company.com", "a b@@", 1), "<ErrorCode>600</ErrorCode>"},
		"not XML":         {"hello", "<ErrorCode>600</ErrorCode>"},
		"cut":             {askOutlook[:200], "<ErrorCode>600</ErrorCode>"},
		"empty":           {"", "<ErrorCode>600</ErrorCode>"},
		"entities":        {bomb + strings.Replace(askOutlook[len(`<?xml version="1.0" encoding="utf-8"?>`):], "alice", "&b;", 1), "<ErrorCode>600</ErrorCode>"},
		"a file":          {bomb + strings.Replace(askOutlook[len(`<?xml version="1.0" encoding="utf-8"?>`):], "alice", "&c;", 1), "<ErrorCode>600</ErrorCode>"},
		"deep":            {strings.Repeat("<a>", 15_000), "<ErrorCode>600</ErrorCode>"},
		"wide":            {"<Autodiscover>" + strings.Repeat("<a/>", 10_000) + "</Autodiscover>", "<ErrorCode>600</ErrorCode>"},
		"another charset": {strings.Replace(askOutlook, "utf-8", "utf-7", 1), "<ErrorCode>600</ErrorCode>"},
		"large":           {strings.Repeat(" ", 100_000) + askOutlook, "413 Request Entity Too Large"},
	} {
		if got := ask("/autodiscover/autodiscover.xml", x.request); !strings.Contains(got, x.want) {
			t.Errorf("%s: %s", name, got)
		}
	}
	golden(t, "autodiscover-failed.xml", ask("/autodiscover/autodiscover.xml", ""))
	// What the client wrote comes back as text.
	if got := ask("/autodiscover/autodiscover.xml", strings.Replace(askOutlook, "alice", "&quot;&lt;x&gt;&quot;", 1)); strings.Contains(got, "<x>") {
		t.Errorf("%s", got)
	}
}

func TestAutodiscoverInClearLeadsToTLS(t *testing.T) {
	for port, want := range map[int]string{
		9100: "https://mail.company.com:9100/autodiscover/autodiscover.xml", 443: "https://mail.company.com/autodiscover/autodiscover.xml", 0: "",
	} {
		f := newFixture(t, plainListener, stockServices, port)
		resp, err := f.client(remote).Get("http://autodiscover.company.com/autodiscover/autodiscover.xml")
		must(t, err)
		resp.Body.Close()
		if got := resp.Header.Get("Location"); got != want || (resp.StatusCode == http.StatusFound) != (want != "") {
			t.Errorf("port %d: %s %s", port, resp.Status, got)
		}
	}
}
