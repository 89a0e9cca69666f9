package autoconfig

import (
	"encoding/xml"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestAppleProfile(t *testing.T) {
	f := newFixture(t, tlsListener, stockServices, 9100)
	c := f.client(remote)
	resp, err := c.Get("https://company.com/apple/alice@company.com.mobileconfig")
	must(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	must(t, err)
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != profileType || !strings.Contains(resp.Header.Get("Content-Disposition"), `"company.com.mobileconfig"`) {
		t.Errorf("%s %v", resp.Status, resp.Header)
	}
	golden(t, "alice.mobileconfig", string(body))
	// An account that there is not has the same profile.
	_, nobody := get(t, c, "https://company.com/apple/nobody@company.com.mobileconfig")
	plain := func(text, name string) string {
		return uuid.ReplaceAllString(strings.ReplaceAll(text, name, "NAME"), "UUID")
	}
	if plain(nobody, "nobody") != plain(string(body), "alice") {
		t.Errorf("the profile of nobody is another one: %s", nobody)
	}
	for path, want := range map[string]int{
		"/apple/": 404, "/apple/.mobileconfig": 404, "/apple/x": 404, "/apple/a/b.mobileconfig": 404,
		"/apple/alice@elsewhere.org.mobileconfig": 404, "/apple/a%20b@@company.com.mobileconfig": 400,
	} {
		if status, body := get(t, c, "https://company.com"+path); status != want {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	// What is in an address is text.
	if status, body := get(t, c, "https://company.com/apple/%22a%3C&b%22@company.com.mobileconfig"); status != 200 || strings.Contains(body, "a<&") || xml.Unmarshal([]byte(body), new(struct{})) != nil {
		t.Errorf("%d %s", status, body)
	}
}

// TestProfileHasWhatIsOffered: parts that are closed, and services that the domain does not have, are left out.
func TestProfileHasWhatIsOffered(t *testing.T) {
	f := newFixture(t, tlsListener, stockServices, 443)
	const url = "https://company.com/apple/alice@company.com.mobileconfig"
	types := func() string {
		status, body := get(t, f.client(remote), url)
		if status != 200 {
			return http.StatusText(status)
		}
		var out []string
		for _, s := range []string{"EmailTypeIMAP", "EmailTypePOP", "caldav.account", "carddav.account"} {
			if strings.Contains(body, s) {
				out = append(out, s)
			}
		}
		return strings.Join(out, " ")
	}
	for _, step := range []struct{ config, domain, want string }{
		{"{}", "{}", "EmailTypeIMAP caldav.account carddav.account"},
		{"{CALDAVAccess=nobody;}", "{}", "EmailTypeIMAP carddav.account"},
		{"{CARDDAVAccess=clients;}", "{}", "EmailTypeIMAP caldav.account"},
		{"{UserDAVAccess=nobody;}", "{}", "EmailTypeIMAP"},
		{"{}", "{DomainAccessModes=(Mail,POP);}", "EmailTypePOP"},
		{"{}", "{DomainAccessModes=(Mail,WebCAL);}", "caldav.account carddav.account"},
		{"{}", "{DomainAccessModes=(Mail);}", "Service Unavailable"},
	} {
		f.change(step.config)
		must(t, f.accounts.DomainSettings("company.com").Set(t.Context(), settingsOf(t, step.domain)))
		if got := types(); got != step.want {
			t.Errorf("%s, %s: %s", step.config, step.domain, got)
		}
	}
}
