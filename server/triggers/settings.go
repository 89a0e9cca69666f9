// Package triggers tells administrators when an element of statistics goes beyond what they allow.
//
// A trigger is a line of settings: the element, a number, for counts a period, and who is notified.
//
//	numQueuedMessages > 1000: oncall
//	failedAUTHs > 100 in 5m: oncall, security
//
// An element that is a state fires when its value rises above the number, and again only after it was not above it. One that is a count fires when
// it has risen by more than the number within the period, which begins anew then.
//
// A handler is a line too, or several with one name: an address (mailto:, RFC 6068, with subject and body if they are wanted), or a URL that is fetched.
//
//	oncall: mailto:admin@example.com
//	oncall: https://sms.example.net/send?to=4912345&text=^0%20^1%20^2
//
// In subject, body and URL ^0 is the name of the element, ^1 the comparison in words, and ^2 the value; in a URL they are escaped. Each handler
// notifies at most NotificationLimit times; what comes beyond is in the log, as all is.
package triggers

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"gatepost/router/address"
	"gatepost/server/settings"
)

// Settings are those of the module Triggers, in Settings/Triggers.settings.
type Settings struct {
	Triggers []string      `key:"Triggers" level:"basic" since:"0.2" help:"when somebody is notified: ELEMENT > NUMBER: HANDLER for a state, ELEMENT > NUMBER in PERIOD: HANDLER for a count; several handlers with commas between. Elements of statistics have names such as numQueuedMessages and failedAUTHs, or their numbers"`
	Handlers []string      `key:"Handlers" level:"basic" since:"0.2" help:"who is notified, and how: NAME: mailto:ADDRESS or NAME: URL; several lines with one name are one handler. In a URL, and in subject and body of mailto:ADDRESS?subject=...&body=..., ^0 is the name of the element, ^1 the comparison, ^2 the value"`
	Limit    settings.Rate `key:"NotificationLimit" default:"(5,3600)" level:"basic" since:"0.2" help:"how often a handler notifies at most; what comes beyond is only logged"`
}

// The bounds of settings.
const (
	maxTriggers = 100
	maxMethods  = 50
	maxPeriod   = 24 * time.Hour
	minPeriod   = 10 * time.Second
	maxLine     = 2000
)

// Validate looks whether all lines can be read and every handler exists.
func (s *Settings) Validate() error {
	_, err := parse(s)
	return err
}

// trigger is a line of Triggers.
type trigger struct {
	text     string // the line, by which its state is found again after a change of others
	element  string
	above    int64
	period   time.Duration // 0: it is about a state
	handlers []string
}

// method is a line of Handlers: a mail or a URL.
type method struct {
	to            address.Address // null for a URL
	subject, body string
	url           string
}

// parsed are settings as they are used. Handlers are found by their names in lower case.
type parsed struct {
	triggers []trigger
	handlers map[string][]method
	limit    settings.Rate
}

func parse(s *Settings) (*parsed, error) {
	if len(s.Triggers) > maxTriggers {
		return nil, settings.BadValue("Triggers", "%d lines at most", maxTriggers)
	}
	if len(s.Handlers) > maxMethods {
		return nil, settings.BadValue("Handlers", "%d lines at most", maxMethods)
	}
	p := &parsed{handlers: map[string][]method{}, limit: s.Limit}
	for _, line := range s.Handlers {
		name, m, err := parseHandler(line)
		if err != nil {
			return nil, settings.BadValue("Handlers", "%.80q: %v", line, err)
		}
		p.handlers[name] = append(p.handlers[name], m)
	}
	seen := map[string]bool{}
	for _, line := range s.Triggers {
		t, err := parseTrigger(line)
		if err != nil {
			return nil, settings.BadValue("Triggers", "%.80q: %v", line, err)
		}
		for _, h := range t.handlers {
			if p.handlers[h] == nil {
				return nil, settings.BadValue("Triggers", "%.80q: there is no handler %q", line, h)
			}
		}
		if seen[t.text] {
			return nil, settings.BadValue("Triggers", "%.80q is there twice", line)
		}
		seen[t.text] = true
		p.triggers = append(p.triggers, t)
	}
	return p, nil
}

// parseTrigger reads ELEMENT > NUMBER [in PERIOD]: HANDLER, ...
func parseTrigger(line string) (t trigger, err error) {
	const form = "ELEMENT > NUMBER: HANDLER or ELEMENT > NUMBER in PERIOD: HANDLER is expected"
	t.text = strings.Join(strings.Fields(line), " ")
	what, handlers, ok := strings.Cut(t.text, ":")
	name, number, ok2 := strings.Cut(what, ">")
	if t.element = strings.TrimSpace(name); !ok || !ok2 || t.element == "" || len(line) > maxLine {
		return t, errors.New(form)
	}
	number, period, timed := strings.Cut(number, " in ")
	if t.above, err = strconv.ParseInt(strings.TrimSpace(number), 10, 64); err != nil {
		return t, fmt.Errorf("%q is not a number", strings.TrimSpace(number))
	}
	if timed {
		p, err := settings.ParsePeriod(strings.TrimSpace(period))
		if err != nil {
			return t, err
		}
		if t.period = p.Duration(); p == settings.Never || t.period < minPeriod || t.period > maxPeriod {
			return t, errors.New("the period must be 10s to 24h")
		}
	}
	for h := range strings.SplitSeq(handlers, ",") {
		if h = strings.ToLower(strings.TrimSpace(h)); h == "" {
			return t, errors.New(form)
		}
		t.handlers = append(t.handlers, h)
	}
	return t, nil
}

// parseHandler reads NAME: mailto:ADDRESS or NAME: URL.
func parseHandler(line string) (name string, m method, err error) {
	name, target, ok := strings.Cut(line, ":")
	name, target = strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(target)
	switch {
	case !ok || name == "" || target == "" || len(line) > maxLine:
		return "", m, errors.New("NAME: mailto:ADDRESS or NAME: URL is expected")
	case strings.ContainsAny(name, ",\"\\"):
		return "", m, errors.New("a name has no commas and quotes")
	}
	u, err := url.Parse(fill(target, url.QueryEscape, &notice{"e", "c", "1"}))
	if err != nil {
		return "", m, fmt.Errorf("%q is no URL", target)
	}
	switch strings.ToLower(u.Scheme) {
	case "http", "https":
		if u.Hostname() == "" || u.User != nil || strings.Contains(strings.SplitN(target, "/", 4)[2], "^") {
			return "", m, errors.New("a URL with a host, and without a user name, is expected")
		}
		m.url = target
		return name, m, nil
	case "mailto":
		m, err = parseMailto(target)
		return name, m, err
	}
	return "", m, fmt.Errorf("mailto:, http: or https: is expected, not %q", u.Scheme)
}

// The texts of a mail whose handler gives none.
const (
	stockSubject = "^0 ^1"
	stockBody    = "^0 ^1. The value is ^2."
)

// parseMailto reads mailto:ADDRESS?subject=...&body=... (RFC 6068).
func parseMailto(target string) (m method, err error) {
	u, err := url.Parse(target)
	if err != nil {
		return m, fmt.Errorf("%q is no address", target)
	}
	text, err := url.PathUnescape(u.Opaque)
	if err != nil {
		return m, err
	}
	if m.to, err = address.Parse(text); err != nil || m.to.IsNull() {
		return m, fmt.Errorf("%q is no address", text)
	}
	m.subject, m.body = stockSubject, stockBody
	for pair := range strings.SplitSeq(u.RawQuery, "&") {
		key, value, _ := strings.Cut(pair, "=")
		if value, err = url.PathUnescape(value); err != nil {
			return m, err
		}
		switch strings.ToLower(key) {
		case "subject":
			m.subject = value
		case "body":
			m.body = value
		case "":
		default:
			return m, fmt.Errorf("only subject and body may follow an address, not %q", key)
		}
	}
	if strings.ContainsFunc(m.subject, func(r rune) bool { return r < ' ' }) {
		return m, errors.New("a subject is one line")
	}
	return m, nil
}

// notice is what ^0, ^1 and ^2 stand for.
type notice [3]string

// fill puts a notice into a text.
func fill(text string, escape func(string) string, n *notice) string {
	return strings.NewReplacer("^0", escape(n[0]), "^1", escape(n[1]), "^2", escape(n[2])).Replace(text)
}
