package helper

import (
	"context"
	"strings"
	"sync"
	"time"

	"gatepost/server/fault"
)

// authenticator returns the client of External Authentication; nil if it is disabled.
func (h *Helpers) authenticator() *member {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.auth.Enabled {
		return nil
	}
	return h.authAt
}

// Authenticates reports whether External Authentication is enabled.
func (h *Helpers) Authenticates() bool { return h.authenticator() != nil }

// askAuth sends a command of External Authentication and returns the text after OK. Errors: fault.Disabled if it is
// disabled, what refused says for ERROR, fault.Unavailable for anything else.
func (h *Helpers) askAuth(ctx context.Context, op, command string, refused fault.Kind) (string, error) {
	c := h.authenticator()
	if c == nil {
		return "", fault.New(op, fault.Disabled, "external authentication is disabled")
	}
	answer, err := c.ask(ctx, command)
	if err != nil {
		if ctx.Err() == nil {
			err = fault.New(op, fault.Unavailable, "external authentication does not work now")
		}
		return "", err
	}
	name, rest := word(answer)
	switch name {
	case "OK":
		return rest, nil
	case "PLAIN":
		if text, _, ok := quoted(rest); ok {
			rest = text
		}
		return rest, nil
	case "ERROR":
		return "", fault.New(op, refused, "")
	}
	return "", &fault.Error{Op: op, Kind: fault.Unavailable, Text: "external authentication does not work now", Err: errAnswer(answer)}
}

type errAnswer string

func (e errAnswer) Error() string { return "the program has answered " + string(e) }

// account is one word, as scripts split lines at blanks.
func account(name, domain string) (string, error) {
	full := strings.ToLower(name + "@" + domain)
	if strings.ContainsAny(full, " \t\r\n\x00\"") || name == "" || domain == "" {
		return "", fault.New("helper.Account", fault.NotFound, "")
	}
	return full, nil
}

// Verify asks whether a password is that of an account. Service is the kind of login: IMAP, SMTP. Errors:
// fault.BadCredentials for a wrong one, fault.Disabled, fault.Unavailable when nobody can tell.
func (h *Helpers) Verify(ctx context.Context, service, name, domain, password string) error {
	const op = "helper.Verify"
	who, err := account(name, domain)
	if err != nil || strings.ContainsAny(password, "\x00") {
		return fault.New(op, fault.BadCredentials, "")
	}
	command := "VRFY "
	if service = strings.ToUpper(service); service != "" && !strings.ContainsAny(service, " ()\r\n") {
		command += "(" + service + ") "
	}
	_, err = h.askAuth(ctx, op, command+who+" "+quote(password), fault.BadCredentials)
	return err
}

// Provision asks for an account that does not exist. It returns nil when there may be one now. Errors: fault.NotFound,
// also for a name that was not known lately, fault.Disabled, fault.Unavailable.
func (h *Helpers) Provision(ctx context.Context, name, domain string) error {
	const op = "helper.Provision"
	who, err := account(name, domain)
	if err != nil {
		return err
	}
	if h.unknown.has(who) {
		return fault.New(op, fault.NotFound, "")
	}
	_, err = h.askAuth(ctx, op, "NEW "+who, fault.NotFound)
	if fault.Is(err, fault.NotFound) {
		h.unknown.add(who)
	}
	return err
}

// SetPassword tells of a new password. Errors: fault.Denied if it is refused, fault.Disabled, fault.Unavailable.
func (h *Helpers) SetPassword(ctx context.Context, name, domain, password string) error {
	const op = "helper.SetPassword"
	who, err := account(name, domain)
	if err != nil {
		return err
	}
	_, err = h.askAuth(ctx, op, "PASSWD "+who+" "+quote(password), fault.Denied)
	return err
}

// PlainPassword asks for the password itself, which some mechanisms need. Most programs do not tell it.
func (h *Helpers) PlainPassword(ctx context.Context, name, domain string) (string, error) {
	const op = "helper.PlainPassword"
	who, err := account(name, domain)
	if err != nil {
		return "", err
	}
	return h.askAuth(ctx, op, "READPLAIN "+who, fault.NotFound)
}

// negative remembers names that are unknown for a short time, so that those who try names do not flood the
// program. What is known is never remembered: an account may go.
type negative struct {
	mu    sync.Mutex
	names map[string]time.Time // until when
}

const (
	negativeFor = 30 * time.Second
	negativeMax = 10_000 // names; then all are forgotten
)

func (n *negative) has(name string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	until, ok := n.names[name]
	return ok && time.Now().Before(until)
}

func (n *negative) add(name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.names == nil || len(n.names) >= negativeMax {
		n.names = map[string]time.Time{}
	}
	n.names[name] = time.Now().Add(negativeFor)
}

func (n *negative) clear() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.names = nil
}
