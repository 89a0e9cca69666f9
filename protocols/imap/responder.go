package imap

import (
	"context"
	"log/slog"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/accounts/access"
	"gatepost/accounts/fulltext"
	"gatepost/accounts/mailbox"
	"gatepost/protocols/imap/wire"
)

// responder writes responses to a session's client, as it has enabled them.
type responder struct {
	ctx        context.Context // made at accept; done when the server stops
	conn       *conn
	log        *slog.Logger
	out        *wire.Encoder
	processors chan struct{}   // see timeslice
	texts      *fulltext.Index // nil: searches read the messages
	call       call            // the command that is being carried out
	enabled
	events *selectedEvents // what NOTIFY wants to be told of the selected mailbox; nil without NOTIFY
}

// enabled is what the client has enabled (RFC 5161). Only UNAUTHENTICATE disables it.
type enabled struct {
	rev2      bool // IMAP4rev2
	utf8      bool // UTF8=ACCEPT
	condstore bool // FETCH responses with flags have their MODSEQ (RFC 7162)
	qresync   bool // VANISHED instead of EXPUNGE (RFC 7162); implies condstore
	uidOnly   bool // no sequence numbers (RFC 9586)
}

// broken reports whether the connection has failed.
func (r *responder) broken() bool {
	return r.conn.readErr != nil || r.conn.writeErr != nil || r.out.Err() != nil
}

// requestContinuation sends a command continuation request (RFC 9051 section 7.6).
func (r *responder) requestContinuation(text string) error {
	return r.out.Raw("+ ").Raw(text).CRLF().Flush()
}

// view is a mailbox as the client knows it: the selected one.
type view struct {
	*responder
	mailbox *mailbox.Mailbox
	target  access.Mailbox   // what the mailbox's name leads to
	info    mailbox.ViewInfo // of the mailbox when it was selected
	recent  int              // RECENT as the client knows it
	saved   []imap.UID       // the result that $ stands for (RFC 5182)
	follows []*searchContext // results whose changes are told (RFC 5267)
}

// enableCondstore has the flags of messages sent with their MODSEQ from now on. Commands that show that the client knows
// CONDSTORE call it.
func (v *view) enableCondstore() {
	if !v.condstore {
		v.condstore = true
		v.putHighestModSeq(v.mailbox.Info().HighestModSeq)
	}
}
