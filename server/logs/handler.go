package logs

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"gatepost/server/fault"
)

// Sink takes one finished line, with its line end. Urgent lines must reach
// their destination before Line returns.
type Sink interface {
	Line(line []byte, urgent bool)
}

// Levels says how much a component logs.
type Levels struct {
	// Default is the level of every component that ByTag does not name, as
	// a number (see Number).
	Default int
	// ByTag is the level of single components: {"IMAP": 5}.
	ByTag map[string]int
	// Precision is the number of digits of the second's fraction, 0 to 6.
	Precision int
	// Dated puts the date before the time and the zone behind it (RFC 3339).
	Dated bool
}

func (l *Levels) of(tag string) slog.Level {
	if n, ok := l.ByTag[tag]; ok {
		return Level(n)
	}
	return Level(l.Default)
}

// New returns a logger whose records go to sink in the form of the package
// comment. levels is asked at each record, so that a change applies at once.
func New(sink Sink, levels func() *Levels) *slog.Logger {
	return slog.New(&handler{sink: sink, levels: levels})
}

// handler renders records. It is immutable; With makes a new one.
type handler struct {
	sink   Sink
	levels func() *Levels

	tag, instance, object, queueID string
	everything                     bool   // whatever the level is
	attrs                          string // rendered " key=value" pairs of With
	group                          string // prefix of keys, "a.b."
}

func (h *handler) Enabled(_ context.Context, level slog.Level) bool {
	return h.everything || level >= h.levels().of(h.tag)
}

func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	n := *h
	var b []byte
	for _, a := range attrs {
		if !n.setHead(a) {
			b = n.append(b, n.group, a)
		}
	}
	n.attrs += string(b)
	return &n
}

func (h *handler) WithGroup(name string) slog.Handler {
	n := *h
	if name != "" {
		n.group += name + "."
	}
	return &n
}

// setHead keeps the attributes that stand in the head of a record.
func (h *handler) setHead(a slog.Attr) bool {
	if h.group != "" {
		return false
	}
	switch a.Key {
	case AttrTag:
		h.tag = a.Value.String()
	case AttrInstance:
		h.instance = fmt.Sprintf("%06d", a.Value.Resolve().Uint64())
	case AttrObject:
		h.object = string(appendClean(nil, a.Value.String()))
	case AttrQueueID:
		h.queueID = a.Value.String()
	case attrEverything:
		h.everything = a.Value.Bool()
	default:
		return false
	}
	return true
}

func (h *handler) Handle(_ context.Context, r slog.Record) error {
	w := *h
	var pairs []byte
	r.Attrs(func(a slog.Attr) bool {
		if !w.setHead(a) {
			pairs = w.append(pairs, w.group, a)
		}
		return true
	})
	levels := w.levels()
	if !w.everything && r.Level < levels.of(w.tag) { // the tag may have come with the record
		return nil
	}
	b := make([]byte, 0, 160+len(w.attrs)+len(pairs))
	b = appendTime(b, r.Time, levels)
	b = strconv.AppendInt(append(b, ' '), int64(Number(r.Level)), 10)
	b = append(b, ' ')
	if w.tag == "" {
		w.tag = "SYSTEM"
	}
	b = append(b, w.tag...)
	if w.instance != "" {
		b = append(append(b, '-'), w.instance...)
	}
	if w.object != "" {
		b = append(append(append(b, '('), w.object...), ')')
	}
	if w.queueID != "" {
		b = append(append(append(b, " ["...), w.queueID...), ']')
	}
	b = appendClean(append(b, ' '), r.Message)
	b = append(b, w.attrs...)
	b = append(b, pairs...)
	b = append(b, '\n')
	w.sink.Line(hideTokens(b), r.Level >= LevelFailure)
	return nil
}

func appendTime(b []byte, t time.Time, l *Levels) []byte {
	if l.Dated {
		b = t.AppendFormat(b, "2006-01-02T")
	}
	b = t.AppendFormat(b, "15:04:05")
	if l.Precision > 0 {
		b = append(b, fmt.Sprintf(".%06d", t.Nanosecond()/1000)[:min(l.Precision, 6)+1]...)
	}
	if l.Dated {
		b = t.AppendFormat(b, "Z07:00")
	}
	return b
}

func (h *handler) append(b []byte, prefix string, a slog.Attr) []byte {
	v := a.Value.Resolve()
	if v.Kind() == slog.KindGroup {
		if a.Key != "" {
			prefix += a.Key + "."
		}
		for _, m := range v.Group() {
			b = h.append(b, prefix, m)
		}
		return b
	}
	if a.Key == "" {
		return b
	}
	b = append(b, ' ')
	b = append(append(b, prefix...), a.Key...)
	b = append(b, '=')
	s := v.String()
	if err, ok := v.Any().(error); ok {
		s = fault.Explain(err) // without the names of functions that have met it
	}
	if s != "" && !strings.ContainsFunc(s, mustQuote) {
		return append(b, s...)
	}
	return strconv.AppendQuote(b, s)
}

func mustQuote(r rune) bool {
	return r == ' ' || r == '"' || r == '=' || r == utf8.RuneError || misleads(r)
}

// misleads reports whether a character may make a line read as another one: a control, which
// could start a line of its own, and what Unicode has to separate lines, to turn the direction of
// writing, or to show nothing.
func misleads(r rune) bool {
	if r < 0x7f {
		return r < ' '
	}
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
}

// appendClean appends text of which parts may come from a client: characters that
// mislead are written as escapes.
func appendClean(b []byte, s string) []byte {
	for _, r := range s {
		switch {
		case misleads(r) && r < 0x100:
			b = fmt.Appendf(b, `\x%02x`, r)
		case misleads(r):
			b = fmt.Appendf(b, `\u%04x`, r)
		default:
			b = utf8.AppendRune(b, r)
		}
	}
	return b
}
