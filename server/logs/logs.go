// Package logs writes the server's log: one line per record, in a daily file.
//
// A record reads
//
//	10:42:11.084 2 SMTPI-000123([192.0.2.10]) [100234] received size=2045
//
// that is: time of day (with date and zone if Levels says so), level, the tag of the component with the number of its
// session and the object that it works on, the queue ID of the message that it
// is about, a fixed text, and the rest as key=value. An administrator follows
// a session by its tag and number, and a message by its queue ID alone.
//
// Components get a *slog.Logger and call Component or Session to put their tag
// on it; what they pass as AttrQueueID goes to its place in brackets. Values
// that came from a client are escaped, so no input can forge a line. An error is
// written as fault.Explain has it. Passwords and message text are never passed here.
package logs

import "log/slog"

// The levels of a record, most severe first. A component's log level setting
// is the number of the last level that is written.
const (
	LevelCrash    = slog.Level(12) // 0: the server or a part of it stopped
	LevelFailure  = slog.Level(8)  // 1: something failed that should not
	LevelMajor    = slog.Level(4)  // 2: what an administrator wants to know: received, delivered, settings changed
	LevelProblem  = slog.Level(2)  // 3: what comes from outside: logins, and what went wrong there: refused, deferred, bad input
	LevelLowLevel = slog.Level(0)  // 4: dialogue and steps
	LevelAll      = slog.Level(-4) // 5: everything
)

// Attribute keys that every part spells alike.
const (
	AttrTag        = "tag"
	AttrInstance   = "instance"
	AttrObject     = "object"
	AttrQueueID    = "queue_id"
	AttrAccount    = "account"
	AttrReturnPath = "return_path"
	AttrRecipient  = "rcpt"
	AttrNextHop    = "next_hop"
	AttrStatus     = "status"
	AttrDelay      = "delay"
	AttrSize       = "size"
	AttrPeer       = "peer"
	AttrError      = "error"
	AttrMessageID  = "message_id"
	AttrReply      = "reply"
	AttrTLS        = "tls"
)

// Component returns l with the tag of a component, such as "ENQUEUER".
func Component(l *slog.Logger, tag string) *slog.Logger {
	return l.With(slog.String(AttrTag, tag))
}

// Session returns l with the tag, the number and the object of one session,
// such as "SMTPI", 123, "[192.0.2.10]".
func Session(l *slog.Logger, tag string, instance uint64, object string) *slog.Logger {
	return l.With(slog.String(AttrTag, tag), slog.Uint64(AttrInstance, instance), slog.String(AttrObject, object))
}

// Everything returns l with all its records written, whatever the level of its component is.
func Everything(l *slog.Logger) *slog.Logger { return l.With(slog.Bool(attrEverything, true)) }

// attrEverything does not show in records.
const attrEverything = "everything"

// Number returns the level as it is printed and set: 0 for LevelCrash to 5 for LevelAll.
func Number(l slog.Level) int {
	switch {
	case l >= LevelCrash:
		return 0
	case l >= LevelFailure:
		return 1
	case l >= LevelMajor:
		return 2
	case l >= LevelProblem:
		return 3
	case l >= LevelLowLevel:
		return 4
	}
	return 5
}

// Level is the inverse of Number; numbers outside 0 to 5 give the nearest level.
func Level(n int) slog.Level {
	levels := [...]slog.Level{LevelCrash, LevelFailure, LevelMajor, LevelProblem, LevelLowLevel, LevelAll}
	return levels[max(0, min(n, len(levels)-1))]
}
