// Package pop3 serves mailboxes over POP3: RFC 1939 with CAPA (2449),
// STLS (2595), AUTH (5034), and response codes (2449, 3206).
//
// # A session
//
//	AUTHORIZATION ── USER and PASS, APOP, AUTH ──▶ TRANSACTION ── QUIT ──▶ UPDATE
//
// A login opens a view of one mailbox: INBOX, or the one in the login name, as in
// mailbox#account@domain. The view is a snapshot: messages keep their
// numbers and can be read until the session ends, also if other sessions expunge them or add
// new ones meanwhile. The mailbox is not locked: several sessions of any protocol can use it
// at the same time.
//
// DELE marks a message in the session only. Only QUIT expunges the marked messages;
// a connection that ends in any other way changes nothing (RFC 1939 section 6).
//
// Twenty refused commands end the session of a stranger. After the
// login only unknown and malformed commands in a row count, so that a
// client that meets messages which are deleted or cannot be read reaches its QUIT.
//
// # Who owns what
//
// One goroutine per session owns the connection and the view. protocols/internal/listen starts it and
// waits for its end. Messages are sent from their files in
// chunks; the session never holds one in memory. No lock is held while the session waits for its
// client.
//
// # Seen
//
// A retrieved message does not get \Seen: many phones poll and leave messages
// on the server, and mail that nobody has read would be shown as read by other
// clients. The setting MarkSeen changes that.
//
// # UIDL
//
// A unique-id is "UIDVALIDITY.UID" in decimal. It never changes and is never used
// for another message (RFC 1939 section 7), since this holds for the pair.
//
// # Plain text
//
// Without TLS, passwords are accepted only from the same machine: otherwise USER is refused, before the
// client sends the password. The greeting has the timestamp of APOP
// only if the domain has reversible passwords.
package pop3
