// Package imap serves mailboxes to mail clients: IMAP4rev1 and IMAP4rev2.
//
// # The way of a command
//
// The session's goroutine reads one whole command (package wire), finds it in the
// table of commands.go, runs its handler, tells what has changed in the mailbox
// meanwhile, and answers. Handlers parse, ask the account's mailboxes, and write
// untagged responses; the tagged answer is written in one place, from the handler's
// error (reply.go). Pipelined commands are carried out one after another, and
// output is written when no more input waits.
//
//	session.go     the loop, greeting and end        commands.go    the table
//	reply.go       failures in IMAP's words          capability.go  what is offered when
//	login.go       STARTTLS, LOGIN, AUTHENTICATE     general.go     CAPABILITY, NOOP, ID, ENABLE ...
//	select.go      SELECT to UNSELECT                updates.go     what others have changed
//	folders.go     CREATE, DELETE, RENAME ...        list*.go       LIST, LSUB
//	status.go      STATUS                            append.go      APPEND (and incoming.go)
//	fetch*.go      FETCH                             section.go     BODY[...] and BINARY[...]
//	store.go       STORE                             copy.go        COPY, MOVE
//	expunge.go     EXPUNGE, CLOSE                    search*.go     SEARCH
//	idle.go        IDLE                              names.go       mailbox names on the wire
//	pace.go        what long commands owe to others
//
// # Who owns what
//
// A session and its view of the selected mailbox belong to the session's
// goroutine. IDLE borrows the Reader to a second goroutine, which ends before
// IDLE does. Nothing is locked while the session writes to its client, which may
// be slow for as long as writeTimeout.
//
// # What clients may count on
//
//   - Sequence numbers change only by EXPUNGE, which is never sent while FETCH,
//     STORE or SEARCH by sequence number is answered, nor without a command in
//     progress (RFC 9051 section 7.5.1). EXISTS never falls.
//   - Messages that others have expunged are answered for until the client was
//     told (RFC 2180 section 4.1).
//   - A keyword is in FLAGS before it is in a FETCH.
//   - What is within the grammar and beyond a limit is NO [LIMIT], never BAD. Blanks at the end of a
//     command are forgiven.
//   - FETCH gives \Seen to what it has written, and to nothing else.
//   - A pipelined APPEND or COPY is carried out after the answers before it were written, and
//     not at all once the connection is broken: a client that comes back sends it again.
//   - A refused literal is never taken for commands: its bytes are thrown away,
//     or the connection is closed.
//   - A client that has not enabled IMAP4rev2 gets RFC 3501: RECENT, [UNSEEN],
//     SEARCH responses, modified UTF-7. One that has gets none of these (RFC 9051
//     appendix E).
//   - When the selected mailbox is deleted, the session ends with BYE. A command that was
//     carried out meanwhile is answered before.
//   - Special uses are those of the account's preferences at the moment (package accounts).
//
// # Long commands
//
// A SEARCH may have maxKeys keys. Each message is read once and each header field decoded once for all
// of them, and the time is linear in the size of the messages and in the number of texts, whatever their
// bytes are. How much is searched has no limit, since many
// years of mail are searched with good reason. Instead, every 10 milliseconds the session waits for
// one of the turns, of which there are two for each processor, and looks whether the client is still
// there: a search ends with its connection. So does what FETCH BINARY decodes and FETCH HEADER.FIELDS
// looks through. A client that has shut down its sending side is sent an untagged OK, which tells
// whether it still reads.
//
// # Memory
//
// A session that waits for its client holds no buffers; see package wire. Its cost is
// the goroutine's stack, the connection, and the view. Bodies are streamed from
// their files, messages to be stored are streamed to the store; of a literal8 one header is
// held, up to message.MaxHeader, while its binary parts become base64. A FETCH or SEARCH under way
// has up to 100 KB: output, records read ahead, and a window of the text that is searched.
//
// RFC 3501, 9051 (IMAP4), 2177 (IDLE), 2342 (NAMESPACE), 2971 (ID), 3348 (CHILDREN), 3691
// (UNSELECT), 4315 (UIDPLUS), 4731 (ESEARCH), 4959 (SASL-IR), 5032 (WITHIN), 5161
// (ENABLE), 5182 (SEARCHRES), 5258 (LIST-EXTENDED), 5530 (response codes), 5819
// (LIST-STATUS), 6154 (SPECIAL-USE), 6851 (MOVE), 6855 (UTF8=ACCEPT), 7888 (LITERAL+),
// 7889 (APPENDLIMIT), 8438 (STATUS=SIZE).
package imap
