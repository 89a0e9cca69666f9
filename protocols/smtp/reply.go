package smtp

import (
	"errors"
	"strconv"
	"unicode/utf8"

	"gatepost/queue/envelope"
	"gatepost/server/fault"
)

// reply is one reply (RFC 5321 4.2, RFC 3463). The zero enhanced code prints
// none.
type reply struct {
	code     int
	enhanced envelope.Code
	text     string
}

// Error makes a reply a failure of its own, where the kinds of failures have no
// words for it.
func (r *reply) Error() string { return r.text }

// replies is the only place where a failure becomes a reply. A kind that is
// temporary has a 4xx.
var replies = map[fault.Kind]reply{
	fault.Internal:       {451, envelope.Code{4, 3, 0}, "internal error, try again later"},
	fault.Invalid:        {501, envelope.Code{5, 5, 4}, "syntax error"},
	fault.NotFound:       {550, envelope.Code{5, 1, 1}, "unknown user account"},
	fault.NoDomain:       {550, envelope.Code{5, 1, 2}, "unknown domain"},
	fault.NoHost:         {550, envelope.Code{5, 1, 2}, "unknown host name"},
	fault.NoMailbox:      {550, envelope.Code{5, 1, 1}, "unknown mailbox"},
	fault.NoMessage:      {554, envelope.Code{5, 5, 0}, "no such message"},
	fault.Exists:         {554, envelope.Code{5, 5, 0}, "exists already"},
	fault.NotEmpty:       {554, envelope.Code{5, 5, 0}, "not empty"},
	fault.BadCredentials: {535, envelope.Code{5, 7, 8}, "incorrect password or account name"},
	fault.AuthRequired:   {530, envelope.Code{5, 7, 0}, "authentication required"},
	fault.TLSRequired:    {538, envelope.Code{5, 7, 11}, "encryption required for the authentication mechanism"},
	fault.Denied:         {550, envelope.Code{5, 7, 1}, "not permitted"},
	fault.RelayDenied:    {550, envelope.Code{5, 7, 1}, "we do not relay"},
	fault.Disabled:       {450, envelope.Code{4, 2, 1}, "mail receiving disabled"},
	fault.OverQuota:      {452, envelope.Code{4, 2, 2}, "account is full (quota exceeded)"},
	fault.TooLarge:       {552, envelope.Code{5, 3, 4}, "message is too large"},
	fault.TooMany:        {452, envelope.Code{4, 5, 3}, "too many recipients"},
	fault.Loop:           {554, envelope.Code{5, 4, 6}, "mail loop"},
	fault.Rejected:       {550, envelope.Code{5, 7, 1}, "refused"},
	fault.NoSpace:        {452, envelope.Code{4, 3, 1}, "insufficient storage, try again later"},
	fault.Busy:           {452, envelope.Code{4, 3, 1}, "busy, try again later"},
	fault.RateLimited:    {450, envelope.Code{4, 7, 1}, "too many messages, try again later"},
	fault.Unavailable:    {451, envelope.Code{4, 3, 2}, "service is not available, try again later"},
	fault.Unsupported:    {554, envelope.Code{5, 3, 3}, "not supported"},
	fault.ReadOnly:       {554, envelope.Code{5, 3, 0}, "read-only"},
	fault.Corrupt:        {451, envelope.Code{4, 3, 0}, "internal error, try again later"},
	fault.Canceled:       {451, envelope.Code{4, 3, 2}, "canceled, try again later"},
}

// replyTo returns the reply to a failure: itself if it is a reply, else that of its
// kind, with its own text if it has one for strangers.
func replyTo(err error) reply {
	if own, ok := errors.AsType[*reply](err); ok {
		return *own
	}
	kind := fault.KindOf(err)
	r, ok := replies[kind]
	if !ok {
		r = replies[fault.Internal]
	}
	if text := fault.Text(err); text != kind.String() && !hides[kind] {
		r.text = text
	}
	return r
}

// hides are the kinds whose own texts are for people who know the server.
var hides = map[fault.Kind]bool{fault.Internal: true, fault.Corrupt: true}

// The replies that do not come from a failure.
var (
	replyUnknownCommand = reply{500, envelope.Code{5, 5, 1}, "command unrecognized"}
	replyNotImplemented = reply{502, envelope.Code{5, 5, 1}, "command not implemented"}
	replyLineTooLong    = reply{500, envelope.Code{5, 5, 2}, "line too long"}
	replyBareCommand    = reply{500, envelope.Code{5, 5, 2}, "commands must end in CR LF and contain no other CR, LF or NUL"}
	replyBareData       = reply{550, envelope.Code{5, 6, 0}, "bare CR or LF"}
	replyNULData        = reply{550, envelope.Code{5, 6, 0}, "NUL in the message"}
	replyNoHello        = reply{503, envelope.Code{5, 5, 1}, "send EHLO or HELO first"}
	replyNoMail         = reply{503, envelope.Code{5, 5, 1}, "send MAIL first"}
	replyNested         = reply{503, envelope.Code{5, 5, 1}, "a message is being sent already; RSET drops it"}
	replyNoRecipients   = reply{554, envelope.Code{5, 5, 1}, "no valid recipients"}
	replyNoArgument     = reply{501, envelope.Code{5, 5, 4}, "the command takes no parameters"}
	replyDataAndBdat    = reply{503, envelope.Code{5, 5, 1}, "the message is being sent by BDAT"}
)

// refusal builds a reply that belongs to one place.
func refusal(code int, class, subject, detail int, text string) reply {
	return reply{code, envelope.Code{class, subject, detail}, text}
}

// append prints the reply as one line; about, if any, stands before the text:
// the address that it is about. last false makes a line of a longer reply.
func (r reply) append(dst []byte, about string, last bool) []byte {
	start := len(dst)
	dst = strconv.AppendInt(dst, int64(r.code), 10)
	if last {
		dst = append(dst, ' ')
	} else {
		dst = append(dst, '-')
	}
	if r.enhanced != (envelope.Code{}) {
		for i, n := range r.enhanced {
			if i > 0 {
				dst = append(dst, '.')
			}
			dst = strconv.AppendInt(dst, int64(n), 10)
		}
		dst = append(dst, ' ')
	}
	if about != "" {
		dst = append(appendText(dst, about, maxAbout), ' ')
	}
	dst = appendText(dst, r.text, maxReplyLine-len(crlf)-(len(dst)-start))
	return append(dst, crlf...)
}

const (
	maxReplyLine = 512 // RFC 5321 4.5.3.1.5
	maxAbout     = 400
)

// appendText puts the first octets of a text into a line: nothing in it ends the line.
func appendText(dst []byte, text string, most int) []byte {
	if len(text) > most {
		for most > 0 && !utf8.RuneStart(text[most]) {
			most--
		}
		text = text[:most]
	}
	for i := range len(text) {
		if c := text[i]; c < ' ' || c == 0x7f {
			dst = append(dst, ' ')
		} else {
			dst = append(dst, c)
		}
	}
	return dst
}
