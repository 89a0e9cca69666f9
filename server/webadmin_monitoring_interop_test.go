package server_test

import (
	"fmt"
	"testing"

	"github.com/chromedp/chromedp"
)

// The pages of triggers and backups, and the finding of a backup that fails.
func TestInteropWebAdminTriggers(t *testing.T) {
	r := start(t)
	r.cli(t, fmt.Sprintf("SETACCOUNTPASSWORD postmaster PASSWORD %q", testPassword))
	b := newBrowser(t, "https://"+r.addr(9010), true)
	b.login("postmaster", testPassword)

	b.open("/Settings/Triggers")
	b.picture("triggers-none")
	b.fill("main", "f.Handlers", "oncall: mailto:alice@corp.test")
	b.fill("main", "f.Triggers", "numQueuedMessages > 1000: oncal")
	b.do("update")
	b.sees("Nothing was stored", "there is no handler")
	b.picture("triggers-wrong")
	b.fill("main", "f.Triggers", "numQueuedMessages > 1000: oncall\nfailedAUTHs > 100 in 5m: oncall")
	b.do("update")
	b.sees("Stored: 2 changes", "Test a handler")
	b.picture("triggers")
	b.run(chromedp.Click(`button[name="handler"]`))
	b.sees("oncall was notified.")
	r.waitFor(t, "alice", "handler oncall")

	b.run(chromedp.EmulateViewport(390, 800))
	b.open("/Settings/Triggers")
	b.picture("triggers-phone")
	b.open("/Settings/Backup")
	b.picture("backup-phone")
	b.fill("main", "f.Directory", "backups")
	b.do("update")
	b.sees("a path from the root is expected")
	b.open("/Settings/Logs")
	b.picture("logs-phone")
}
