package server_test

import (
	"fmt"
	"testing"

	"github.com/chromedp/chromedp"
)

// The pages about the addresses of clients: lists, protection, banned lines, temporary blocks.
func TestInteropWebAdminProtection(t *testing.T) {
	r := start(t)
	r.cli(t, fmt.Sprintf("SETACCOUNTPASSWORD postmaster PASSWORD %q", testPassword))
	b := newBrowser(t, "https://"+r.addr(9010), true)
	b.login("postmaster", testPassword)

	b.open("/Settings/Network")
	b.picture("clients")
	b.open("/Settings/Network/Blacklisted%20IPs")
	b.set("#text", "198.51.100.0/24 ; a network that sends junk\n!198.51.100.66")
	b.do("update")
	b.sees("Stored: 1 change")
	b.picture("blacklist")
	r.want(t, "GETIPSTATE 198.51.100.7", "BLACKLISTED")
	b.open("/Settings/Network/Denied%20IPs")
	b.picture("denied")
	b.open("/Settings/Network/Debug%20IPs")
	b.picture("debug")

	b.run(chromedp.EmulateViewport(390, 800))
	b.open("/Settings/Network/Protection")
	if !ask(b, chromedp.Evaluate[bool](`(() => { const t = document.querySelector(".tabs"), a = t.querySelector("[aria-current]"); return a.getBoundingClientRect().right <= t.getBoundingClientRect().right })()`)) {
		t.Error("the tab of the page is out of sight on a phone")
	}
	b.picture("protection")
	b.fill("main", "f.GreylistDelay", "3h")
	b.do("update")
	b.sees("Nothing was stored", "more than 1h")
	b.picture("protection-wrong")
	b.fill("main", "f.GreylistDelay", "10m")
	b.do("update")
	b.sees("Stored: 1 change")
	r.want(t, "GETNETWORK", "10m")

	b.open("/Settings/Network/Banned")
	b.picture("banned-none")
	b.fill("main", "f.BannedHeaderLines", "Subject: *casino*\nX-Mailer: Bulk 1.0")
	b.do("update")
	b.sees("Stored: 1 change")
	b.picture("banned")
	r.want(t, "GETBANNED", "Subject: *casino*")

	b.open("/Monitors/Blocks")
	b.picture("blocks-none")
	for i := range 12 {
		r.cli(t, fmt.Sprintf("TEMPBLACKLISTIP 203.0.113.%d TIMEOUT %d", i+1, 600*(i+1)))
	}
	r.cli(t, "TEMPBLACKLISTIP 2001:db8:1234:5678::1 TIMEOUT 7200")
	b.open("/Monitors/Blocks")
	b.sees("203.0.113.1", "2001:db8:1234:5678")
	b.picture("blocks")
}
