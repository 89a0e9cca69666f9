// Package pop3 lets people fetch a mailbox with POP3: RFC 1939 with CAPA (2449),
// STLS (2595), AUTH (5034), and response codes (2449, 3206).
//
// # A session
//
//	AUTHORIZATION ── USER and PASS, APOP, AUTH ──▶ TRANSACTION ── QUIT ──▶ UPDATE
//
// A login opens a view of one mailbox: INBOX, or the one that the login name
// chooses, as in mailbox#account@domain. The view is a snapshot: messages keep their
// numbers and can be read until the session ends, also when IMAP expunges them
// meanwhile or new ones come. There is no lock; sessions of any protocol go on
// side by side.
//
// DELE marks a message in the session alone. Only QUIT removes what is marked;
// a connection that ends in any other way removes nothing (RFC 1939 section 6).
//
// Twenty refused commands end the session of a client that has not logged in. After the
// login only commands that the server does not understand count, and those in a row: a
// client that meets messages which are deleted or cannot be read gets to its QUIT.
//
// # Who owns what
//
// One goroutine per session owns the connection and the view; it is started and
// awaited by protocols/internal/listen. Messages are sent from their file in
// pieces; the session never holds one in memory. The session waits for its
// client with nothing locked.
//
// # Seen
//
// A message that was retrieved is not marked Seen: many phones poll and leave messages
// on the server, and mail that nobody has read would show as read everywhere
// else. The setting MarkSeen changes that.
//
// # UIDL
//
// A unique-id is "UIDVALIDITY.UID" in decimal. It never changes and is never used
// for another message (RFC 1939 section 7), since that is what the pair promises.
//
// # Plain text
//
// A session without TLS that does not come from this machine may not send a
// password: USER is refused before it can. APOP is offered by its timestamp
// in the greeting only when some password on the server can be used for it.
package pop3
