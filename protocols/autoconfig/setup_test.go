package autoconfig

import (
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

var uuid = regexp.MustCompile(`[0-9A-F]{8}-[0-9A-F]{4}-5[0-9A-F]{3}-[89AB][0-9A-F]{3}-[0-9A-F]{12}`)

func TestSetupPage(t *testing.T) {
	f := newFixture(t, tlsListener, stockServices, 9100)
	page := func(query, language string) (int, string) {
		req, err := http.NewRequest("GET", "https://company.com/setup/"+query, nil)
		must(t, err)
		req.Header.Set("Accept-Language", language)
		resp, err := f.client(remote).Do(req)
		must(t, err)
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		must(t, err)
		return resp.StatusCode, string(body)
	}
	if status, body := page("", "en"); status != 200 || !strings.Contains(body, "Show my settings") || strings.Contains(body, "<h2>") {
		t.Errorf("%d %s", status, body)
	}
	status, body := page("?address=alice%40company.com", "de, ru;q=0.5")
	for _, want := range []string{
		`<html lang="ru">`, "Календари и контакты", "https://mail.company.com:9100/apple/alice@company.com.mobileconfig", "<svg",
		"https://mail.company.com:9100/CalDAV/Calendar/", "<td>IMAP</td><td><code>mail.company.com</code></td>", "STARTTLS",
	} {
		if status != 200 || !strings.Contains(body, want) {
			t.Errorf("%d: no %q in %s", status, want, body)
		}
	}
	_, nobody := page("?address=nobody%40company.com", "de, ru;q=0.5")
	qr := regexp.MustCompile(`<path d="[^"]*"|viewBox="[^"]*"|width="[0-9]+" height="[0-9]+"`)
	if qr.ReplaceAllString(strings.ReplaceAll(nobody, "nobody", "NAME"), "") != qr.ReplaceAllString(strings.ReplaceAll(body, "alice", "NAME"), "") {
		t.Errorf("an account that there is not has another page: %s", nobody)
	}
	for query, want := range map[string]int{"?address=x%40elsewhere.org": 404, "?address=a+b%40%40": 422, "x/": 404, "?address=" + strings.Repeat("x", 60) + "%40company.com": 200} {
		if status, body := page(query, "en"); status != want {
			t.Errorf("%s: %d %s", query, status, body)
		}
	}
	if _, body := page("?address=%22%3E%3Cscript%3E%40company.com", "en"); strings.Contains(body, "<script>") {
		t.Errorf("a script: %s", body)
	}
	if _, body := get(t, f.client(remote), "https://company.com/"); !strings.Contains(body, `<a href="/setup/">`) {
		t.Errorf("the front page: %s", body)
	}
}

// TestTextsAreTranslated: each text of the page has a Russian one.
func TestTextsAreTranslated(t *testing.T) {
	used := map[string]bool{notAnAddress: true, notOurDomain: true}
	for _, m := range regexp.MustCompile(`\{\{t "([^"]+)"\}\}`).FindAllStringSubmatch(setupPage, -1) {
		used[m[1]] = true
	}
	for text := range used {
		if russian[text] == "" {
			t.Errorf("no Russian for %q", text)
		}
	}
	for text := range russian {
		if !used[text] {
			t.Errorf("%q is not used", text)
		}
	}
}

func TestAutodiscoverJSON(t *testing.T) {
	f := newFixture(t, tlsListener, stockServices, 443)
	c := f.client(remote)
	const found = `{"Protocol":"AutodiscoverV1","Url":"https://mail.company.com/autodiscover/autodiscover.xml"}`
	for _, x := range []struct {
		path   string
		status int
		want   string
	}{
		{"/autodiscover/autodiscover.json?Email=alice@company.com&Protocol=AutodiscoverV1", 200, found},
		{"/Autodiscover/Autodiscover.json?email=nobody@company.com&protocol=autodiscoverv1&RedirectCount=1", 200, found},
		{"/autodiscover/autodiscover.json/v1.0/alice@company.com?Protocol=AutodiscoverV1", 200, found},
		{"/autodiscover/autodiscover.json?Email=alice@company.com&Protocol=ActiveSync", 404, "ProtocolNotSupported"},
		{"/autodiscover/autodiscover.json?Email=nobody@company.com&Protocol=ActiveSync", 404, "ProtocolNotSupported"},
		{"/autodiscover/autodiscover.json?Email=alice@company.com&Protocol=Gopher", 400, "InvalidProtocol"},
		{"/autodiscover/autodiscover.json?Email=alice@company.com", 400, "MandatoryParameterMissing"},
		{"/autodiscover/autodiscover.json?Protocol=ActiveSync", 400, "InvalidUserId"},
		{"/autodiscover/autodiscover.json?Email=a%20b@@&Protocol=ActiveSync", 400, "InvalidUserId"},
		{"/autodiscover/autodiscover.json?Email=x@elsewhere.org&Protocol=ActiveSync", 404, "UserNotFound"},
		{"/autodiscover/autodiscover.json/v2/x", 404, ""},
	} {
		if status, body := get(t, c, "https://autodiscover.company.com"+x.path); status != x.status || !strings.Contains(body, x.want) {
			t.Errorf("%s: %d %s", x.path, status, body)
		}
	}
}
