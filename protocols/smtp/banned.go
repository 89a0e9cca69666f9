package smtp

import (
	"bytes"
	"log/slog"
	"slices"

	"gatepost/accounts/message"
	"gatepost/queue/envelope"
	"gatepost/server/logs"
	"gatepost/server/protection"
)

// bannedScanner looks for banned lines in a message that passes through it in pieces. It holds one header field, or one line
// of the body, up to maxBannedLine octets of it.
type bannedScanner struct {
	lines  *protection.BannedLines
	inBody bool
	field  []byte // of a header: the field so far, with the line ends within it
	line   []byte // the line so far, without its end
}

// maxBannedLine is how much of a header field or a line is compared.
const maxBannedLine = 8 << 10

// bannedIn returns a scanner for a message of this session, or nil if it needs none.
func (s *session) bannedIn() *bannedScanner {
	if !s.stranger() || !s.open() || s.srv.protection.WhiteHole(s.remote) {
		return nil
	}
	lines := s.srv.protection.Banned()
	if lines == nil {
		return nil
	}
	return &bannedScanner{lines: lines}
}

// next looks at the next piece of the message. It returns the first pattern that a line has, and the part where it stands.
func (b *bannedScanner) next(text []byte) (pattern, part string) {
	for len(text) > 0 {
		lf := bytes.IndexByte(text, '\n')
		if lf < 0 {
			b.line = bounded(b.line, text)
			return "", ""
		}
		line := text[:lf]
		if len(b.line) > 0 {
			b.line = bounded(b.line, line)
			line = b.line
		}
		pattern, part = b.whole(bytes.TrimSuffix(line, crlf[:1]))
		b.line, text = b.line[:0], text[lf+1:]
		if pattern != "" {
			return pattern, part
		}
	}
	return "", ""
}

// end looks at what is left at the end of the message.
func (b *bannedScanner) end() (pattern, part string) {
	if len(b.line) > 0 {
		if pattern, part = b.whole(b.line); pattern != "" {
			return pattern, part
		}
	}
	return b.endField()
}

// whole looks at a line. A line of the header waits until the next one shows that its field is over.
func (b *bannedScanner) whole(line []byte) (pattern, part string) {
	switch {
	case b.inBody:
		return b.body(line)
	case len(line) > 0 && (line[0] == ' ' || line[0] == '\t') && len(b.field) > 0:
		b.field = bounded(bounded(b.field, crlf), line)
		return "", ""
	}
	pattern, part = b.endField()
	switch {
	case pattern != "":
		return pattern, part
	case bytes.IndexByte(line, ':') < 0: // the empty line, or text without a header
		b.inBody = true
		return b.body(line)
	}
	b.field = bounded(b.field, line)
	return "", ""
}

func (b *bannedScanner) body(line []byte) (string, string) {
	if pattern, is := b.lines.Body(line[:min(len(line), maxBannedLine)]); is {
		return pattern, "body"
	}
	return "", ""
}

func (b *bannedScanner) endField() (string, string) {
	name, value, ok := bytes.Cut(b.field, []byte(":"))
	if !ok {
		return "", ""
	}
	field := slices.Concat(bytes.TrimRight(name, " \t"), []byte(": "), []byte(message.DecodeHeader(value)))
	b.field = b.field[:0]
	if pattern, is := b.lines.Header(field); is {
		return pattern, "header"
	}
	return "", ""
}

// bounded appends as much of more as may be held.
func bounded(held, more []byte) []byte {
	return append(held, more[:min(len(more), max(0, maxBannedLine-len(held)))]...)
}

// lookForBanned refuses a message with a banned line in its next piece.
func (b *body) lookForBanned(text []byte) {
	if b.banned == nil || b.sub == nil {
		return
	}
	b.refuseBanned(b.banned.next(text))
}

func (b *body) refuseBanned(pattern, part string) {
	if pattern == "" {
		return
	}
	b.banned = nil
	b.session.srv.protection.BannedFound().Inc(part)
	b.session.log.LogAttrs(b.session.ctx, logs.LevelProblem, "the message has a banned line", slog.Any(logs.AttrQueueID, b.id),
		slog.String("part", part), slog.String("pattern", pattern))
	b.refuse(&reply{b.session.cfg.code(579, 550), envelope.Code{5, 7, 1}, "banned line found in the message"})
}
