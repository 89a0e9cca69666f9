// Package fault says what went wrong in words that no protocol owns.
//
// A failure is a kind, the operation that met it, and its cause. Each wire has
// one table that turns kinds into its own replies (protocols/smtp/reply.go and
// its like); nothing below a wire knows a reply code. Whether a failure is
// temporary follows from its kind and is said nowhere else.
package fault

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
)

// Kind is the class of a failure.
type Kind uint8

// The kinds. Add one only when a wire has to answer it differently; every
// reply table is tested against Kinds.
const (
	// Internal is a failure that nobody classified. It is temporary: mail is
	// not lost to a surprise.
	Internal Kind = iota
	// Invalid is input that breaks a syntax or a limit of its form.
	Invalid
	// NotFound is an account or another object of a domain that does not exist.
	NotFound
	// NoDomain is a domain that is not ours where one of ours is needed.
	NoDomain
	// NoHost is a host or domain that nobody can deliver to.
	NoHost
	// NoMailbox is a mailbox that does not exist.
	NoMailbox
	// NoMessage is a message that does not exist, or no longer does.
	NoMessage
	// Exists is a name that is already taken.
	Exists
	// NotEmpty is a container that has to be emptied first.
	NotEmpty
	// BadCredentials is a login that failed, for whatever reason a stranger may not know.
	BadCredentials
	// AuthRequired is a request that needs a login first.
	AuthRequired
	// TLSRequired is a request that needs an encrypted connection first.
	TLSRequired
	// Denied is a request that the asker has no right to make.
	Denied
	// RelayDenied is mail for elsewhere from somebody who may not relay.
	RelayDenied
	// Disabled is an account or a service of it that is switched off.
	Disabled
	// OverQuota is a message that does not fit in the account now.
	OverQuota
	// TooLarge is a message above a fixed size limit.
	TooLarge
	// TooMany is a count above a limit: recipients, mailboxes, keywords.
	TooMany
	// Loop is mail or an address that goes in circles.
	Loop
	// Rejected is a refusal by policy.
	Rejected
	// NoSpace is a disk that is full or out of inodes.
	NoSpace
	// Busy is a load limit that was reached; the same request may succeed later.
	Busy
	// RateLimited is too many requests from one peer or for one account.
	RateLimited
	// Unavailable is a part that is stopped, a helper that failed, a peer that does not answer.
	Unavailable
	// Unsupported is a known request that this server does not carry out.
	Unsupported
	// ReadOnly is a change to something that was opened for reading.
	ReadOnly
	// Corrupt is stored data that does not read back as it was written.
	Corrupt
	// Canceled is work that its caller gave up.
	Canceled

	kindCount
)

var names = [kindCount]string{
	Internal: "internal", Invalid: "invalid", NotFound: "not found", NoDomain: "no such domain",
	NoHost: "no such host", NoMailbox: "no such mailbox", NoMessage: "no such message", Exists: "exists",
	NotEmpty: "not empty", BadCredentials: "bad credentials", AuthRequired: "authentication required",
	TLSRequired: "TLS required", Denied: "denied", RelayDenied: "relaying denied", Disabled: "disabled",
	OverQuota: "over quota", TooLarge: "too large", TooMany: "too many", Loop: "loop", Rejected: "rejected",
	NoSpace: "no space", Busy: "busy", RateLimited: "rate limited", Unavailable: "unavailable",
	Unsupported: "unsupported", ReadOnly: "read-only", Corrupt: "corrupt", Canceled: "canceled",
}

func (k Kind) String() string {
	if k < kindCount {
		return names[k]
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// Temporary reports whether the same request may succeed later without a
// change by the asker.
func (k Kind) Temporary() bool {
	switch k {
	case Internal, OverQuota, NoSpace, Busy, RateLimited, Unavailable, Corrupt, Canceled, Disabled:
		return true
	}
	return false
}

// Kinds lists every kind, for tests that walk a reply table.
func Kinds() []Kind {
	all := make([]Kind, kindCount)
	for k := range all {
		all[k] = Kind(k)
	}
	return all
}

// Error is one failure.
type Error struct {
	// Op is the operation that failed, as package.Function: "router.Route".
	Op string
	// Kind is the class.
	Kind Kind
	// Text, if any, is a sentence that may be shown to a stranger. It holds no
	// secret, no path and no cause.
	Text string
	// Err is the cause, for the log.
	Err error
}

func (e *Error) Error() string {
	s := e.Kind.String()
	if e.Text != "" {
		s = e.Text
	}
	if e.Op != "" {
		s = e.Op + ": " + s
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

// New makes an error of a kind with a text that a stranger may read. The text
// may be empty: then the wire says what the kind says.
func New(op string, kind Kind, text string) error {
	return &Error{Op: op, Kind: kind, Text: text}
}

// Newf is New with a format.
func Newf(op string, kind Kind, format string, args ...any) error {
	return &Error{Op: op, Kind: kind, Text: fmt.Sprintf(format, args...)}
}

// Wrap classifies a cause. It returns nil for nil. A cause that already has a
// kind keeps it when kind is Internal.
func Wrap(op string, kind Kind, err error) error {
	if err == nil {
		return nil
	}
	if kind == Internal {
		kind = KindOf(err)
	}
	return &Error{Op: op, Kind: kind, Err: err}
}

// KindOf returns the kind of the outermost Error in err's chain. Errors of the
// system that have an obvious kind (a full disk, a canceled context) have it
// without being wrapped; everything else is Internal.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return NoSpace
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE), errors.Is(err, syscall.ENOMEM):
		return Busy
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return Canceled
	case errors.Is(err, fs.ErrClosed):
		return Unavailable
	}
	return Internal
}

// Is reports whether err is of the kind.
func Is(err error, kind Kind) bool { return err != nil && KindOf(err) == kind }

// Text returns what a stranger may read of err: the text of the outermost Error
// that has one, else the words of its kind.
func Text(err error) string {
	for e := err; e != nil; e = errors.Unwrap(e) {
		if f, ok := e.(*Error); ok && f.Text != "" {
			return f.Text
		}
	}
	return KindOf(err).String()
}

// Explain returns what the owner of the server reads of err: the texts and the
// causes, without the operations that met it, which are for the log.
func Explain(err error) string {
	if err == nil {
		return ""
	}
	if e, ok := err.(*Error); ok {
		switch {
		case e.Err == nil && e.Text == "":
			return e.Kind.String()
		case e.Err == nil:
			return e.Text
		case e.Text == "":
			return Explain(e.Err)
		}
		return e.Text + ": " + Explain(e.Err)
	}
	s := err.Error()
	var inner []error
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		inner = append(inner, e.Unwrap())
	case interface{ Unwrap() []error }:
		inner = e.Unwrap()
	}
	for _, e := range inner {
		if e != nil {
			s = strings.Replace(s, e.Error(), Explain(e), 1)
		}
	}
	return s
}
