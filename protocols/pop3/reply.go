package pop3

import (
	"errors"

	"gatepost/server/fault"
)

// An answer is the reply to a kind of failure: a response code (RFC 2449 section
// 8, RFC 3206), and a text.
type answer struct {
	code string // AUTH, SYS/TEMP, SYS/PERM or none
	text string
	// own: the failure's own text is used if it has one.
	own bool
}

// answers has the reply to every kind of failure.
var answers = map[fault.Kind]answer{
	fault.Internal:       {code: "SYS/TEMP", text: "internal error, try again later"},
	fault.Invalid:        {text: "invalid command", own: true},
	fault.NotFound:       {code: "SYS/PERM", text: "no such account"},
	fault.NoDomain:       {code: "SYS/PERM", text: "no such domain"},
	fault.NoHost:         {code: "SYS/PERM", text: "no such host"},
	fault.NoMailbox:      {code: "SYS/PERM", text: "no such mailbox", own: true},
	fault.NoMessage:      {text: "no such message", own: true},
	fault.Exists:         {code: "SYS/PERM", text: "exists already"},
	fault.NotEmpty:       {code: "SYS/PERM", text: "not empty"},
	fault.BadCredentials: {code: "AUTH", text: "incorrect password or account name"},
	fault.AuthRequired:   {text: "log in first"},
	fault.TLSRequired:    {code: "AUTH", text: "a password in plain text needs TLS: use STLS or the TLS port"},
	fault.Denied:         {code: "AUTH", text: "access denied"},
	fault.RelayDenied:    {code: "SYS/PERM", text: "relaying denied"},
	fault.Disabled:       {code: "AUTH", text: "the account may not use this service"},
	fault.OverQuota:      {code: "SYS/TEMP", text: "the account is full"},
	fault.TooLarge:       {code: "SYS/PERM", text: "too large"},
	fault.TooMany:        {code: "SYS/PERM", text: "too many"},
	fault.Loop:           {code: "SYS/PERM", text: "the address leads to itself"},
	fault.Rejected:       {code: "SYS/PERM", text: "refused"},
	fault.NoSpace:        {code: "SYS/TEMP", text: "the server's disk is full"},
	fault.Busy:           {code: "SYS/TEMP", text: "the server is busy, try again later"},
	fault.RateLimited:    {code: "SYS/TEMP", text: "too many requests, try again later"},
	fault.Unavailable:    {code: "SYS/TEMP", text: "not available now, try again later"},
	fault.Unsupported:    {text: "unknown command", own: true},
	fault.ReadOnly:       {code: "SYS/PERM", text: "the mailbox cannot be changed"},
	fault.Corrupt:        {code: "SYS/TEMP", text: "stored data is damaged; tell the administrator"},
	fault.Canceled:       {code: "SYS/TEMP", text: "the server is stopping"},
}

// reply returns the line for a failure, without its line end.
func reply(err error) string {
	kind := fault.KindOf(err)
	a := answers[kind]
	text := a.text
	if own := fault.Text(err); a.own && own != kind.String() {
		text = own
	}
	if errors.Is(err, errLoginDelay) {
		a.code, text = "LOGIN-DELAY", errLoginDelay.Error() // RFC 2449 section 8.1.1
	}
	if a.code != "" {
		text = "[" + a.code + "] " + text
	}
	return "-ERR " + text
}
