// Package wire is the syntax of IMAP: it cuts a client's bytes into commands,
// reads the tokens of a command, and writes responses. It knows no command,
// no mailbox and no state beyond limits.
//
// # Words
//
// A command is one line, or several that are joined by literals. A literal is a
// run of counted bytes, announced at the end of a line by {n}, {n+} or their
// literal8 forms ~{n}. A client sends a synchronizing literal, {n}, after the server's
// continuation request, and a non-synchronizing one, {n+} (RFC 7888), at once, even if the server
// refuses it.
//
// # Reading
//
// The Reader reads a whole command, lines and literals, into one buffer before
// it is parsed. So a syntax error never leaves half of a command to
// be read as the next one, which would let the text of a message act as
// commands. If a literal is refused, the rest of the command is
// discarded up to a limit; beyond it the connection has to be closed. A
// literal that is too large for memory (the message of APPEND) is read as
// a stream, and the rest of the command after it.
//
// The Parser reads tokens from that buffer and returns slices of it. They
// are valid until the Reader reads on. The Parser keeps its first error, so that a
// handler can parse all arguments and check the error once.
//
// # Writing
//
// The Encoder appends to one buffer. It writes the buffer when the session calls Flush
// (no more input is buffered, or a continuation request was appended) and when it holds
// flushAt bytes. Reader and Encoder get their buffers from a pool and release
// them while the session waits for its client: an idle connection holds
// none.
//
// RFC 3501 and 9051 section 9 (formal syntax), 7888 (LITERAL+), 3516 (literal8),
// 4466 (extended forms), 6855 (UTF-8), 3501 section 5.1.3 (modified UTF-7).
package wire
