package webadmin

import (
	"fmt"
	"net/url"

	"gatepost/server/counters"
)

// findingRow is something that is not as it should be, in a sentence, with the way to the remedy.
type findingRow struct{ Text, Detail, Since, Link, LinkText string }

// findingRow makes a sentence of a finding. A Kind that has none is shown by its name.
func (c *call) findingRow(f counters.Finding) findingRow {
	row := findingRow{}
	if !f.Since.IsZero() {
		row.Since = timeText(f.Since, c.prefs.Zone)
	}
	arg := func(i int) any {
		if i < len(f.Args) {
			return f.Args[i]
		}
		return ""
	}
	n := func(i int) int {
		k, _ := arg(i).(int)
		return k
	}
	text := func(i int) string { return fmt.Sprint(arg(i)) }
	size := func(i int) string {
		k, _ := arg(i).(int64)
		return sizeText(c.prefs.Language, k)
	}
	messages := func(i int) string { return count(c.prefs.Language, n(i), "message") }
	queue, general := link("Monitors", "Queue"), link("Settings", "General")
	switch f.Kind {
	case "disk full":
		row.Text = c.T("The disk is %d %% full: %s are free. No mail is taken when nothing is.", n(0), size(1))
		row.Link, row.LinkText = link("Monitors", "Statistics", "diskFree"), c.T("How it went")
	case "disk without files":
		row.Text = c.T("The disk has room for only %s more files.", text(0))
	case "disk unknown":
		row.Text = c.T("Nobody can tell how full the disk is: %s", text(0))
	case "queue late":
		row.Text, row.Detail = c.T("%s wait for %s.", messages(0), text(1)), text(2)
		row.Link, row.LinkText = queue+"?filter="+url.QueryEscape(f.About), c.T("See and release")
	case "account late":
		row.Text, row.Detail = c.T("%s cannot be stored for %s.", messages(0), text(1)), text(2)
		row.Link, row.LinkText = queue+"?filter="+url.QueryEscape(f.About), c.T("See and release")
	case "module late":
		row.Text, row.Detail = c.T("%s wait in the queue %s.", messages(0), text(1)), text(2)
		row.Link, row.LinkText = queue, c.T("See and release")
	case "more late":
		row.Text = c.T("%s more wait for long in other queues.", messages(0))
		row.Link, row.LinkText = queue, c.T("See and release")
	case "on hold":
		row.Text = c.T("%s are on hold until somebody releases them.", messages(0))
		row.Link, row.LinkText = queue+"?by=message", c.T("See and release")
	case "certificate over":
		row.Text = c.T("The certificate has ended: clients refuse it.")
		row.Link, row.LinkText = link("Settings", "Certificate"), c.T("Import another one")
	case "certificate ends":
		row.Text = c.T("The certificate ends in %s.", count(c.prefs.Language, n(0), "day"))
		row.Link, row.LinkText = link("Settings", "Certificate"), c.T("Import another one")
	case "certificate own":
		row.Text = c.T("The certificate is signed by the server itself: mail programs ask their users whether to trust it.")
		row.Link, row.LinkText = link("Settings", "Certificate"), c.T("Import another one")
	case "domain certificate over":
		row.Text = c.T("The certificate of %s has ended: clients refuse it.", text(0))
		row.Link, row.LinkText = link("Users", "Domains", f.About, "TLS"), c.T("Import another one")
	case "domain certificate ends":
		row.Text = c.T("The certificate of %s ends in %s.", text(0), count(c.prefs.Language, n(1), "day"))
		row.Link, row.LinkText = link("Users", "Domains", f.About, "TLS"), c.T("Import another one")
	case "helper down":
		row.Text, row.Detail = c.T("The helper %s is switched on and does not run.", text(0)), text(1)
		row.Link, row.LinkText = general, c.T("Its settings")
	case "directory server down":
		row.Text, row.Detail = c.T("The directory server %s of %s could not be asked about passwords.", text(0), text(1)), text(2)
		row.Link, row.LinkText = link("Users", "Domains", f.About, "Settings"), c.T("Its settings")
	case "no system passwords":
		row.Text, row.Detail = c.T("Passwords of the operating system could not be verified."), text(0)
		row.Link, row.LinkText = general, c.T("Its settings")
	case "no backup":
		row.Text, row.Detail = c.T("The backup of the day could not be made."), text(0)
		row.Link, row.LinkText = link("Settings", "Backup"), c.T("Its settings")
	case "polls fail":
		row.Text = c.T("%d of %d remote accounts could not be polled.", n(0), n(1))
		row.Link, row.LinkText = link("Monitors", "RPOP"), c.T("Which, and why")
	case "crashed":
		row.Text = c.T("A bug has ended %d sessions since the start. The log has where.", n(0))
		row.Link, row.LinkText = link("Monitors", "Logs"), c.T("Logs")
	case "short of files":
		row.Text = c.T("The system gives the server too few open files.")
		row.Detail = text(0)
	case "DNS":
		row.Text, row.Detail = c.T("DNS records of %s are wrong: %d.", text(0), n(1)), text(2)
		row.Link, row.LinkText = link("Users", "Domains", f.About, "DNS"), c.T("What they should be")
	default:
		row.Text, row.Detail = f.Kind, fmt.Sprint(f.Args...)
	}
	return row
}
