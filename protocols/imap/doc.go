// Package imap serves mailboxes to mail clients: IMAP4rev1 and IMAP4rev2.
//
// # The way of a command
//
// The session's goroutine reads one whole command (package wire), finds it in the
// table of commands.go, runs its handler, sends the changes of the selected mailbox, and sends the
// tagged response. Handlers parse the arguments, call the account's mailboxes, and write
// untagged responses. The tagged response is written by one function, from the handler's
// error (reply.go). Pipelined commands are carried out one after another, and
// output is written when no more input is buffered.
//
//	session.go     the loop, greeting and end        commands.go    the table
//	responder.go   what writes responses; the view of the selected mailbox
//	reply.go       failures as responses             capability.go  capabilities of each state
//	login.go       STARTTLS, LOGIN, AUTHENTICATE     general.go     CAPABILITY, NOOP, ID, ENABLE ...
//	select.go      SELECT to UNSELECT                updates.go     changes of the mailbox
//	mailboxes.go   CREATE, DELETE, RENAME ...        list*.go       LIST, LSUB
//	status.go      STATUS                            append.go      APPEND (and appendreader.go)
//	fetch*.go      FETCH                             section.go     BODY[...] and BINARY[...]
//	store.go       STORE                             copy.go        COPY, MOVE
//	expunge.go     EXPUNGE, CLOSE                    search*.go     SEARCH
//	condstore.go   change numbers                    qresync.go     SELECT (QRESYNC ...), VANISHED
//	objectid.go    MAILBOXID, EMAILID, THREADID      preview.go     PREVIEW
//	replace.go     REPLACE                           catenate.go    APPEND ... CATENATE
//	sort.go        SORT                              thread.go      THREAD (and subject.go)
//	search_context.go  UPDATE of SEARCH and SORT, CANCELUPDATE
//	search_index.go    what SEARCH asks the index of texts (accounts/fulltext); search_fuzzy.go FUZZY, RELEVANCY
//	partial.go     PARTIAL of SEARCH, SORT and FETCH
//	compress.go    COMPRESS                          uidonly.go     UIDONLY
//	uidbatches.go  UIDBATCHES                        language.go    LANGUAGE
//	unauthenticate.go  UNAUTHENTICATE
//	quota.go       GETQUOTA, GETQUOTAROOT            metadata.go    GETMETADATA, SETMETADATA
//	idle.go        IDLE                              names.go       mailbox names on the wire
//	notify*.go     NOTIFY                            multisearch.go ESEARCH
//	timeslice.go   processor time of long commands
//
// # Who owns what
//
// A session and its view of the selected mailbox belong to the session's
// goroutine. A command that reads messages has a type of its own with what it needs: fetching, searching,
// listing. During IDLE, and after NOTIFY while no command is in progress, a second
// goroutine uses the Reader, and ends before a command is read. No lock is held while the session writes to its client, which may
// take as long as writeTimeout.
//
// # What clients can rely on
//
//   - Sequence numbers change only by EXPUNGE responses, which are never sent while FETCH,
//     STORE or SEARCH by sequence number is answered, nor without a command in
//     progress (RFC 9051 section 7.5.1). EXISTS never falls.
//   - Messages that other sessions have expunged can be read until the client has got the EXPUNGE
//     response (RFC 2180 section 4.1).
//   - A keyword is in FLAGS before it is in a FETCH response.
//   - A command that is valid and exceeds a limit is answered NO [LIMIT], not BAD. Blanks at the end of a
//     command are ignored.
//   - FETCH sets \Seen of the messages that it has written, and of no others.
//   - A pipelined APPEND or COPY is carried out after the answers before it were written, and
//     not at all once the connection is broken: a client that comes back sends it again.
//   - A refused literal is never read as commands: its bytes are discarded,
//     or the connection is closed.
//   - A client that has not enabled IMAP4rev2 gets the responses of RFC 3501: RECENT, [UNSEEN],
//     SEARCH, modified UTF-7. One that has enabled it gets none of these (RFC 9051
//     appendix E).
//   - NOTIFY can have EXPUNGE responses sent without a command in progress.
//   - When the selected mailbox is deleted, the session ends with BYE. A command that is
//     under way is answered before.
//   - Special uses come from the account's current preferences (package accounts).
//
// # Long commands
//
// A SEARCH may have maxKeys keys. Each message is read once and each header field decoded once for all
// of them, and the time is linear in the size of the messages and in the number of texts, whatever their
// bytes are. How much is searched has no limit, since users search many
// years of mail. Instead, every 10 milliseconds the session waits for
// a processor slot, of which there are two for each processor, and checks whether the client is still
// connected: a search ends with its connection. The same holds for FETCH BINARY and FETCH HEADER.FIELDS.
// A client that has shut down its sending side is sent an untagged OK, to find out
// whether it still reads.
//
// # Memory
//
// A session that waits for its client holds no buffers; see package wire. It needs
// the goroutine's stack, the connection, and the view. Messages are streamed from
// their files and to them. Of a literal8, one header is
// held in memory, up to message.MaxHeader, while binary parts are converted to base64. A FETCH or SEARCH under way
// needs up to 100 KB: output, records read ahead, and a window of the text that is searched.
//
// RFC 3501, 9051 (IMAP4), 3502 (MULTIAPPEND), 4469 (CATENATE), 4978 (COMPRESS), 4314 (ACL), 8440 (LIST-MYRIGHTS), 5255 (LANGUAGE), 8437
// (UNAUTHENTICATE), 9586 (UIDONLY), 5256 (SORT, THREAD), 6203 (FUZZY), 5267 (ESORT, CONTEXT), 7377 (MULTISEARCH), 5464 (METADATA), 5465 (NOTIFY), 5957
// (SORT=DISPLAY), 9394 (PARTIAL), 8508 (REPLACE), 2177 (IDLE), 2342 (NAMESPACE), 2971 (ID), 3348 (CHILDREN), 3691
// (UNSELECT), 4315 (UIDPLUS), 4731 (ESEARCH), 4959 (SASL-IR), 5032 (WITHIN), 5161
// (ENABLE), 5182 (SEARCHRES), 5258 (LIST-EXTENDED), 5530 (response codes), 5819
// (LIST-STATUS), 6154 (SPECIAL-USE), 6851 (MOVE), 6855 (UTF8=ACCEPT), 7162 (CONDSTORE, QRESYNC), 7888
// (LITERAL+), 7889 (APPENDLIMIT), 8438 (STATUS=SIZE),
// 8474 (OBJECTID), 8514 (SAVEDATE), 8970 (PREVIEW), 9208 (QUOTA), 9585 (INPROGRESS), 3516 (BINARY).
package imap
