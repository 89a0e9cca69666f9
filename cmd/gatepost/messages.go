package main

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/term"

	"gatepost/server/dataformat"
)

type messagesCommand struct {
	Find   messagesFindCommand   `cmd:"" help:"List the messages that are selected."`
	Remove messagesRemoveCommand `cmd:"" help:"Remove the messages that are selected from all mailboxes."`
}

// messageSelection selects messages in mailboxes; all that is given has to fit.
type messageSelection struct {
	MessageID string `name:"message-id" help:"Message-ID, with or without angle brackets." placeholder:"ID"`
	Sender    string `help:"A part of the return-path, or of an address or name in From." placeholder:"TEXT"`
	Subject   string `help:"A part of the subject." placeholder:"TEXT"`
	Since     string `help:"Received since a day (2026-12-01), a time (2026-12-01T10:00:00Z), or an age such as 2h, 3d." placeholder:"TIME"`
	Before    string `help:"Received before that." placeholder:"TIME"`
	Domain    string `help:"Only in the accounts of a domain." placeholder:"NAME"`
	Account   string `help:"Only in one account." placeholder:"NAME@DOMAIN"`
}

func (m *messageSelection) dict() (dataformat.Dict, error) {
	d := dataformat.Dict{}
	for key, text := range map[string]string{"MessageID": m.MessageID, "Sender": m.Sender, "Subject": m.Subject, "Domain": m.Domain, "Account": m.Account} {
		if text != "" {
			d[key] = dataformat.String(text)
		}
	}
	for key, text := range map[string]string{"Since": m.Since, "Before": m.Before} {
		if text == "" {
			continue
		}
		t, err := parseTime(text, time.Now())
		if err != nil {
			return nil, wrongUse("--%s: %v", strings.ToLower(key), err)
		}
		d[key] = dataformat.String(t.Format(time.RFC3339))
	}
	if len(d) == 0 || len(d) == 1 && (d["Domain"] != nil || d["Account"] != nil) {
		return nil, wrongUse("say which messages: --message-id, --sender, --subject, --since or --before")
	}
	return d, nil
}

// parseTime reads a day, a time, or an age.
func parseTime(text string, now time.Time) (time.Time, error) {
	if t, err := time.ParseInLocation(time.DateOnly, text, time.Local); err == nil {
		return t, nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	unit := map[byte]time.Duration{'m': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour}
	var n int
	if k, err := fmt.Sscanf(text, "%d", &n); k == 1 && err == nil && n > 0 && unit[text[len(text)-1]] > 0 && fmt.Sprint(n) == text[:len(text)-1] {
		return now.Add(-time.Duration(n) * unit[text[len(text)-1]]), nil
	}
	return time.Time{}, fmt.Errorf("%q is no day, time or age", text)
}

type messagesFindCommand struct {
	messageSelection
	JSON bool `name:"json" help:"Print JSON."`
}

func (f *messagesFindCommand) Run(c *commands) error {
	d, err := f.dict()
	if err != nil {
		return err
	}
	found, err := askDict(c, "GATEPOST MESSAGES FIND ", d)
	if err != nil {
		return err
	}
	if f.JSON {
		list, _ := found["Messages"].(dataformat.Array)
		return printJSON(list)
	}
	return printFound(found)
}

func printFound(found dataformat.Dict) error {
	list, _ := found["Messages"].(dataformat.Array)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ACCOUNT\tMAILBOX\tRECEIVED\tSENDER\tSUBJECT\tMESSAGE-ID")
	for _, v := range list {
		d, _ := v.(dataformat.Dict)
		received := ""
		if t, ok := d["Received"].(dataformat.Time); ok {
			received = t.T.Local().Format("2006-01-02 15:04")
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", d.String("Account"), shown(d.String("Mailbox"), 40), received, shown(d.String("Sender"), 40), shown(d.String("Subject"), 60), shown(d.String("MessageID"), 80))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, line := range found.Strings("Problems") {
		fmt.Fprintln(os.Stderr, line)
	}
	fmt.Println(text(found["Count"]), "messages")
	if len(found.Strings("Problems")) > 0 {
		return errSaidNo
	}
	return nil
}

// shown is a text of a message on one line, cut to so many characters, without what a terminal would act upon.
func shown(s string, most int) string {
	var b strings.Builder
	n := 0
	for _, r := range s {
		if n++; n > most {
			b.WriteString("...")
			break
		}
		if r < ' ' || r >= 0x7f && r < 0xa0 || r >= 0x200b && r <= 0x200f || r >= 0x2028 && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			r = '?'
		}
		b.WriteRune(r)
	}
	return b.String()
}

type messagesRemoveCommand struct {
	messageSelection
	DryRun bool `help:"Say which messages would be removed."`
	Yes    bool `help:"Do not ask."`
}

func (r *messagesRemoveCommand) Run(c *commands) error {
	d, err := r.dict()
	if err != nil {
		return err
	}
	if r.DryRun || !r.Yes {
		found, err := askDict(c, "GATEPOST MESSAGES FIND ", d)
		if err != nil {
			return err
		}
		if err := printFound(found); err != nil || r.DryRun || text(found["Count"]) == "0" {
			return err
		}
		if !term.IsTerminal(int(os.Stdin.Fd())) {
			return wrongUse("nothing was removed: give --yes, or answer at a terminal")
		}
		fmt.Printf("Remove these %s messages from all mailboxes? Type yes: ", text(found["Count"]))
		if answer, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil || strings.TrimSpace(answer) != "yes" {
			return errSaidNo
		}
	}
	found, err := askDict(c, "GATEPOST MESSAGES REMOVE ", d)
	if err != nil {
		return err
	}
	for _, line := range found.Strings("Problems") {
		fmt.Fprintln(os.Stderr, line)
	}
	fmt.Println("removed", text(found["Count"]), "messages")
	if len(found.Strings("Problems")) > 0 {
		return errSaidNo
	}
	return nil
}
