package http

import (
	"errors"
	"net/http"
	"strings"

	"gatepost/server/fault"
)

// An answer is how a kind of failure is told.
type answer struct {
	status int
	text   string
	// own says that the failure's own text, if it has one, says more.
	own bool
}

// answers has every kind of failure: the only place where one becomes a status code (RFC 9110
// section 15, RFC 4918 section 11, RFC 6585).
var answers = map[fault.Kind]answer{
	fault.Internal:       {500, "The server failed. Try again later.", false},
	fault.Invalid:        {400, "The request is not valid.", true},
	fault.NotFound:       {404, "There is nothing here.", true},
	fault.NoDomain:       {404, "There is no such domain.", true},
	fault.NoHost:         {404, "There is no such host.", true},
	fault.NoMailbox:      {404, "There is no such mailbox.", true},
	fault.NoMessage:      {404, "There is no such message.", true},
	fault.Exists:         {409, "The name is taken.", true},
	fault.NotEmpty:       {409, "It is not empty.", true},
	fault.BadCredentials: {401, "The name or the password is wrong.", false},
	fault.AuthRequired:   {401, "Please log in.", false},
	fault.TLSRequired:    {403, "A password may not be sent in clear. Use https.", true},
	fault.Denied:         {403, "You may not do this.", true},
	fault.RelayDenied:    {403, "You may not send there.", true},
	fault.Disabled:       {403, "The account may not use this service.", true},
	fault.OverQuota:      {507, "The account is full.", true},
	fault.TooLarge:       {413, "The request is too large.", true},
	fault.TooMany:        {403, "A limit is reached.", true},
	fault.Loop:           {508, "The address leads in a circle.", true},
	fault.Rejected:       {403, "The request was refused.", true},
	fault.NoSpace:        {507, "The disk of the server is full.", false},
	fault.Busy:           {503, "The server is busy. Try again later.", false},
	fault.RateLimited:    {429, "There are too many requests. Try again later.", false},
	fault.Unavailable:    {503, "This is not available now. Try again later.", true},
	fault.Unsupported:    {501, "The server cannot do this.", true},
	fault.ReadOnly:       {403, "This cannot be changed.", true},
	fault.Corrupt:        {500, "Stored data is damaged. The administrator has to look.", false},
	fault.Canceled:       {503, "The server is stopping. Try again later.", true},
}

// statusError is a failure of HTTP alone, which no kind stands for.
type statusError struct {
	status int
	text   string
}

func (e *statusError) Error() string { return e.text }

// told returns the status and the text of a failure.
func told(err error) (status int, text string) {
	var own *statusError
	if errors.As(err, &own) {
		return own.status, own.text
	}
	kind := fault.KindOf(err)
	a := answers[kind]
	text = a.text
	if t := fault.Text(err); a.own && t != kind.String() {
		text = t
	}
	return a.status, text
}

// Told returns the status code and the words of a failure, for a part that shows failures on its
// own pages.
func Told(err error) (status int, text string) { return told(err) }

// retryAfter is what clients are told that should come back, in seconds.
const retryAfter = "10"

// Refuse answers a request with a failure. Its cause goes to the log with the line of the request.
// What the part has set of the header is dropped, but for Allow and WWW-Authenticate. When the
// answer has begun, the connection is cut, so that the client does not take the beginning for the whole.
func Refuse(w http.ResponseWriter, r *http.Request, err error) {
	q := Of(r.Context())
	status, text := told(err)
	if own, ok := w.(*response); ok {
		own.failure = err
		if own.status != 0 {
			panic(http.ErrAbortHandler)
		}
	}
	h := w.Header()
	for _, key := range []string{"Content-Type", "Content-Length", "Content-Encoding", "Content-Range", "Etag", "Last-Modified", "Cache-Control"} {
		h.Del(key)
	}
	switch status {
	case http.StatusUnauthorized:
		if h.Get("WWW-Authenticate") == "" {
			h.Set("WWW-Authenticate", challenge(q.realm))
		}
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		h.Set("Retry-After", retryAfter)
	}
	h.Set("Cache-Control", "no-store")
	if q.page {
		writePage(w, status, http.StatusText(status), page{Domain: q.Domain, Text: text})
		return
	}
	h.Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	// A client that is gone does not miss the text.
	_, _ = w.Write([]byte(text + "\n"))
}

// wantsPage tells whether errors are told to a client as HTML: browsers ask for it by name.
func wantsPage(h http.Header) bool {
	for _, accept := range h["Accept"] {
		if strings.Contains(strings.ToLower(accept), "text/html") {
			return true
		}
	}
	return false
}
