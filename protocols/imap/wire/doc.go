// Package wire is the syntax of IMAP: it cuts a client's bytes into commands,
// reads the tokens of a command, and writes responses. It knows no command,
// no mailbox and no state beyond limits.
//
// # Words
//
// A command is one line, or several that are joined by literals. A literal is a
// run of counted bytes, announced at the end of a line by {n}, {n+} or their
// literal8 forms ~{n}. A synchronizing literal, {n}, waits for the server's
// leave; a non-synchronizing one, {n+} (RFC 7888), follows at once, whether it
// is wanted or not.
//
// # Reading
//
// The Reader collects a whole command, line and literals, in one buffer before
// anything looks into it. So a syntax error never leaves half of a command to
// be taken for the next one, which would let the text of a message act as
// commands. Where a literal is refused, the rest of the command is read and
// thrown away up to a bound; beyond it the connection has to be closed. A
// literal that is too big for memory (the message of APPEND) is handed over as
// a stream, and the rest of the command is read after it.
//
// The Parser walks over the collected bytes and returns slices of them. They
// are valid until the Reader reads on. Its first error sticks, so that a
// handler parses its arguments in a row and asks once.
//
// # Writing
//
// The Encoder appends to one buffer. It writes it out when the session says so
// (the input is drained, or a continuation request was appended) and when
// flushAt bytes wait. Reader and Encoder borrow their buffers from a pool and give
// them back while the session waits for its client: an idle connection holds
// neither.
//
// RFC 3501 and 9051 section 9 (formal syntax), 7888 (LITERAL+), 3516 (literal8),
// 4466 (extended forms), 6855 (UTF-8), 3501 section 5.1.3 (modified UTF-7).
package wire
