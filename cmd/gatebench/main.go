// Gatebench measures a mail server over the wire: ours, or any other that
// speaks SMTP and IMAP, so that both can be compared in one run on one machine.
//
//	gatebench smtp --addr 127.0.0.1:25 --readable 127.0.0.1:143 --messages 5000
//	gatebench relay --addr 127.0.0.1:25 --sink 127.0.0.1:2600
//	gatebench fill --addr 127.0.0.1:143 --messages 5000
//	gatebench fetch-flags|fetch-list|fetch-envelope|fetch-body|search|store|select|noop|append|login|idle …
//	gatebench dav --url http://127.0.0.1:8100/CalDAV/Bench/ --user bench@example.com
//	gatebench smtp --ledger FILE        writes down every message that was answered with 250
//	gatebench kill --runs 50            does both with a server that it kills
//	gatebench power --runs 50           cuts the power of its disk, so that nothing is left but what was synced
//	gatebench full --dir DIR            fills its disk
//	gatebench slow                      holds 5,000 slow connections to one
//	gatebench guess                     tries 50,000 wrong passwords at one
//	gatebench start --dir DIR           starts one with a million accounts
//	gatebench verify --ledger FILE      looks for each of them in its mailbox
//
// Each measured figure is one line: its name, its unit, and the smallest, the
// middle and the largest of the samples. --json prints the same for machines.
// Connections are plain text, since it is not TLS that is measured.
//
// The client is lean on purpose: it sends prepared bytes and counts lines. A benchmark
// whose client is the slower part measures the client.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

type program struct {
	JSON bool `help:"Print figures as JSON, one object per line."`

	SMTP   smtpCommand   `cmd:"" name:"smtp" help:"Send messages; with --readable, until they can be read in IMAP."`
	Relay  relayCommand  `cmd:"" help:"Send messages to a server that relays them, until they have arrived."`
	Verify verifyCommand `cmd:"" help:"Look for every message of a ledger in its mailbox."`
	Kill   killCommand   `cmd:"" help:"Kill a Gatepost server under load again and again; look whether it kept its word."`
	List   listCommand   `cmd:"" help:"Send a posting to a mailing list of many subscribers of a Gatepost server, until all have it."`
	Power  powerCommand  `cmd:"" help:"Cut the power of a Gatepost server again and again; look whether it kept its word. As root."`
	Full   fullCommand   `cmd:"" help:"Fill the disk of a Gatepost server; look whether it says so, recovers and kept its word."`
	Slow   slowCommand   `cmd:"" help:"Hold thousands of slow SMTP connections to a Gatepost server; measure how soon others deliver."`
	Guess  guessCommand  `cmd:"" help:"Try wrong passwords from many addresses at a Gatepost server; measure how soon the right user is in."`
	Start  startCommand  `cmd:"" help:"Start a Gatepost server with many domains and accounts."`
	Fill   fillCommand   `cmd:"" help:"Append messages to a mailbox until it has so many."`
	Append appendCommand `cmd:"" help:"APPEND, one message after the other on each connection."`

	FetchFlags    fetchFlags       `cmd:"" help:"FETCH 1:* (UID FLAGS)."`
	FetchList     fetchList        `cmd:"" help:"FETCH 1:* of the header fields that Thunderbird lists."`
	FetchEnvelope fetchEnvelope    `cmd:"" help:"FETCH 1:* (ENVELOPE RFC822.SIZE)."`
	FetchBody     fetchBody        `cmd:"" help:"FETCH 1:* (BODY.PEEK[])."`
	Search        searchCommand    `cmd:"" help:"SEARCH with any key."`
	Large         largeCommand     `cmd:"" help:"COPY, STORE, EXPUNGE and MOVE of many messages."`
	Store         storeCommand     `cmd:"" help:"STORE 1 +FLAGS.SILENT and -FLAGS.SILENT in turn."`
	Select        selectCommand    `cmd:"" help:"SELECT INBOX."`
	Noop          noopCommand      `cmd:"" help:"NOOP with INBOX selected."`
	Login         loginCommand     `cmd:"" help:"Connect, LOGIN, LOGOUT."`
	Dav           davCommand       `cmd:"" help:"CalDAV: PUT, calendar-query, sync-collection, and memory with many clients."`
	Imapmodel     imapModelCommand `cmd:"" help:"Many IMAP clients do random commands in shared mailboxes; what each is told is compared with a model."`
	Idle          idleCommand      `cmd:"" help:"Memory of idle connections, and how soon they hear of a new message."`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var p program
	k := kong.Parse(&p, kong.Name("gatebench"), kong.UsageOnError(),
		kong.Description("Measures a mail server over the wire."), kong.BindTo(ctx, (*context.Context)(nil)))
	out := &report{w: os.Stdout, json: p.JSON, command: k.Command()}
	if err := k.Run(out); err != nil {
		stop()
		fmt.Fprintln(os.Stderr, "gatebench:", err)
		if errors.Is(err, errFindings) {
			os.Exit(2)
		}
		os.Exit(1)
	}
}
