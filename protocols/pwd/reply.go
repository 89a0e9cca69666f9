package pwd

import (
	"strconv"
	"strings"

	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// A reply is a code with a text, or data.
type reply struct {
	code int
	text string
	data dataformat.Value // with code 201
	err  error            // of a failure
}

// The replies that are not failures.
var (
	replyOK       = reply{code: 200, text: "OK"}
	replyLogin    = reply{code: 200, text: "login OK"}
	replySendPass = reply{code: 300, text: "please send the PASS"}
)

// replyTooMany answers a login that is right when the account has all the sessions
// that it may have. The connection is closed after it: there are clients that try again
// for ever after any other code than that of a wrong password.
var replyTooMany = reply{code: 501, text: "too many sessions of this account, close some of them first"}

// withData answers a command with an object.
func withData(v dataformat.Value) reply { return reply{code: 201, data: v} }

// failures is the only place where a failure becomes an answer of this wire. A
// text of the failure itself is preferred where own is set: it was written for
// strangers (fault.Error).
var failures = map[fault.Kind]struct {
	code int
	text string
	own  bool
}{
	fault.Internal:       {500, "internal error", false},
	fault.Invalid:        {500, "syntax error", true},
	fault.NotFound:       {513, "unknown user account", true},
	fault.NoDomain:       {512, "unknown secondary domain name", false},
	fault.NoHost:         {501, "unknown host", true},
	fault.NoMailbox:      {501, "unknown mailbox", true},
	fault.NoMessage:      {501, "unknown message", true},
	fault.Exists:         {520, "object with this name already exists", true},
	fault.NotEmpty:       {501, "object is not empty", true},
	fault.BadCredentials: {515, "incorrect password or account name", false},
	fault.AuthRequired:   {500, "please log in first", false},
	fault.TLSRequired:    {500, "please use STLS first", false},
	fault.Denied:         {500, "access denied", true},
	fault.RelayDenied:    {500, "relaying is denied", true},
	fault.Disabled:       {501, "service is disabled", true},
	fault.OverQuota:      {501, "account is over quota", true},
	fault.TooLarge:       {500, "line is too long", true},
	fault.TooMany:        {501, "limit is reached", true},
	fault.Loop:           {501, "address loop", true},
	fault.Rejected:       {501, "rejected", true},
	fault.NoSpace:        {501, "no space on disk", false},
	fault.Busy:           {501, "server is busy, try again later", false},
	fault.RateLimited:    {501, "too many requests, try again later", false},
	fault.Unavailable:    {501, "service is not available", true},
	fault.Unsupported:    {500, "command not supported", true},
	fault.ReadOnly:       {501, "object is read-only", true},
	fault.Corrupt:        {501, "stored data is damaged, see the server log", false},
	fault.Canceled:       {501, "server is shutting down", false},
}

// failure turns an error into an answer.
func failure(err error) reply {
	f := failures[fault.KindOf(err)]
	text := f.text
	if own := fault.Text(err); f.own && own != fault.KindOf(err).String() {
		text = own
	}
	return reply{code: f.code, text: oneLine(text), err: err}
}

// oneLine keeps an answer on one line, whatever a name in it holds.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, s)
}

// appendReply prints an answer. Data is one line when inline, else the line
// "200 data follow" and a text.
func appendReply(dst []byte, r reply, inline bool) []byte {
	switch {
	case r.code != 201:
		dst = strconv.AppendInt(dst, int64(r.code), 10)
		dst = append(dst, ' ')
		dst = append(dst, r.text...)
	case inline:
		dst = dataformat.AppendCompact(append(dst, "201 "...), r.data)
	default:
		dst = append(dst, "200 data follow\r\n"...)
		dst = append(dst, dataformat.Pretty(r.data)...)
	}
	return append(dst, "\r\n"...)
}
