package server_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// filterScript is an External Filter that marks mail with a word in it.
const filterScript = `#!/bin/sh
while read n command file; do
	case $command in
	INTF) echo "$n INTF 3";;
	FILE) if grep -q viagra "$file"; then echo "$n ADDHEADER \"X-Junk-Score: 92 [XXXXXXXXXX]\" OK"; else echo "$n OK"; fi;;
	QUIT) echo "$n OK"; exit;;
	esac
done
`

// A filter and a rule on its header, a refusal that the client hears, a program and a request of an account's
// rules: over SMTP, with rules that commands have set.
func TestRulesThroughTheWholeServer(t *testing.T) {
	r := start(t)
	dir := r.programs(t, map[string]string{"note": `(cat; echo "$1 $SENDER") > note.out`})
	script := filepath.Join(r.dir, "spam.sh")
	if err := os.WriteFile(script, []byte(filterScript), 0o755); err != nil {
		t.Fatal(err)
	}
	r.cli(t, fmt.Sprintf(`UPDATESERVERSETTINGS {ExternalFilters=({Enabled=YES;Name=Spam;ProgramName="/bin/sh %s";});}`, script))
	r.cli(t, `CREATEMAILBOX postmaster MAILBOX Spam`)
	r.cli(t, `SETSERVERMAILRULES ((5, ClamSpam, (), ((ExternalFilter, Spam))), (3, MoveSpam,(("Header Field", in, "X-Junk-Score*XXXXXXXXXX*")),(("Store in", "~postmaster/Spam"), (Discard))),(8,no,((Subject,is,"*casino*")),(("Reject with","we do not play"))))`)
	asked := make(chan string, 1)
	web := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, q *http.Request) { asked <- q.URL.String() }))
	defer web.Close()
	r.cli(t, `UPDATEMODULE MailRules {URLPrivate=YES;}`)
	r.cli(t, `UPDATEACCOUNTSETTINGS alice {RulesAllowed=Any;}`)
	r.cli(t, fmt.Sprintf(`SETACCOUNTMAILRULES alice ((5,run,(),((Execute,"note ^S"),(SendURL,"%s/hook?s=^S"))))`, web.URL))

	from, alice := "reports@"+testDomain, "alice@"+testDomain
	if err := r.submit(t, from, alice, "our casino"); err == nil || !strings.Contains(err.Error(), "we do not play") {
		t.Errorf("the client is told %v", err)
	}
	if err := r.submit(t, from, alice, "viagra"); err != nil {
		t.Fatal(err)
	}
	if got := r.cli(t, `GETMAILBOXINFO postmaster MAILBOX Spam`); !strings.Contains(fmt.Sprint(got.Data), "Messages:1") {
		t.Errorf("Spam: %v", got.Data)
	}
	if err := r.submit(t, from, alice, "a b"); err != nil {
		t.Fatal(err)
	}
	if got := said(t, dir, "note"); !strings.Contains(got, "Subject: a b\n\nbody of a b\n") || !strings.HasSuffix(got, "\na b "+from+"\n") {
		t.Errorf("the program got %q", got)
	}
	if got := <-asked; got != "/hook?s=a%20b" {
		t.Errorf("the request is %q", got)
	}
}
