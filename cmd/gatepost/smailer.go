package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"gatepost/server/control"
	"gatepost/server/dataformat"
	"gatepost/server/sendmail"
)

// smailerName is the name by which drop folders and drop tables are worked on.
const smailerName = "smailer"

const smailerUse = "smailer [--sid=NAME] queue|send [ADDRESS]: NAME is that of a drop folder or drop table, and ADDRESS a sender; @ or nothing is every sender"

// smailer lists what waits in a drop folder or drop table, or sends it now. It administers the server, and so is refused to
// those who have only borrowed the right to send mail.
func smailer(c *commands, args []string) error {
	if lent() {
		return &sendmail.Error{Code: sendmail.ExitPerm, Text: "this program is set-user-ID or set-group-ID, and then only sends mail"}
	}
	name, words := "", []string(nil)
	for i := 0; i < len(args); i++ {
		switch given, is := strings.CutPrefix(args[i], "--sid="); {
		case is:
			name = given
		case args[i] == "--sid" && i+1 < len(args):
			i++
			name = args[i]
		case strings.HasPrefix(args[i], "-"):
			return &sendmail.Error{Code: sendmail.ExitUsage, Text: "unknown option " + args[i] + "; " + smailerUse}
		default:
			words = append(words, args[i])
		}
	}
	verbs := map[string]string{"queue": "LISTDROPITEMS", "send": "SENDDROPITEMS"}
	if len(words) < 1 || len(words) > 2 || verbs[words[0]] == "" {
		return &sendmail.Error{Code: sendmail.ExitUsage, Text: smailerUse}
	}
	command := verbs[words[0]] + " " + dataformat.Quote(name)
	if len(words) == 2 && words[1] != "@" {
		command += " FROM " + dataformat.Quote(words[1])
	}
	// Not of a server that is started for this command: it would not work on drop folders.
	client, err := control.Dial(c.Base)
	if errors.Is(err, control.ErrNotRunning) {
		return &sendmail.Error{Code: sendmail.ExitUnavail, Text: "the server is not running"}
	}
	if err != nil {
		return asAdministrator(err)
	}
	a, err := client.Do(command)
	if err = errors.Join(err, client.Close()); err != nil {
		return asAdministrator(err)
	}
	if !a.OK() {
		return &sendmail.Error{Code: sendmail.ExitUnavail, Text: a.Text}
	}
	switch v := a.Data.(type) {
	case dataformat.Array:
		for _, line := range v {
			text, _ := dataformat.Text(line)
			fmt.Fprintln(os.Stdout, text)
		}
	case dataformat.Dict:
		fmt.Fprintf(os.Stdout, "%s sent, %s deferred, %s refused\n", v.String("Sent"), v.String("Deferred"), v.String("Refused"))
	}
	return nil
}
