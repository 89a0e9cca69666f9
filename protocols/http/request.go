package http

import (
	"context"
	"log/slog"
	"net/http"
	"strings"

	"gatepost/accounts"
	"gatepost/server/fault"
)

// Request is what a part learns of a request beside the http.Request. It belongs to the request's
// goroutine.
type Request struct {
	// Domain is the domain that the request is for, by its real name.
	Domain string
	// Host is the host that the client named, in lower case and without a port; empty if it
	// named none.
	Host string
	// Account is who has logged in; nil if the part wants no login. It may be of another domain
	// than Domain.
	Account *accounts.Account
	// Peer is the client, also behind a trusted proxy, and our address.
	Peer accounts.Peer
	// Path are the decoded segments of the path below the part's pattern. Slash tells whether the
	// path ended in a slash.
	Path  []string
	Slash bool
	// Log carries the number of the session, and the client's address if a proxy is in between.
	Log *slog.Logger

	session *session
	config  *Settings
	parts   Config
	realm   string
	body    *body  // nil if there is none
	page    bool   // errors are told as HTML
	logPath string // of Options.LogPath
}

type requestKey struct{}

// Of returns the Request of the context that a part's handler gets with its http.Request.
func Of(ctx context.Context) *Request {
	q, _ := ctx.Value(requestKey{}).(*Request)
	return q
}

// Login checks a name and a password, as Basic authentication does, for a part with a login form
// of its own. A name without a domain is one of the request's domain. Errors: BadCredentials,
// whatever the reason; TLSRequired; and temporary kinds when nobody can say now.
func (q *Request) Login(ctx context.Context, name, password string) (*accounts.Account, error) {
	q.Peer.Page = true
	return q.ProgramLogin(ctx, name, password)
}

// ProgramLogin is Login for a name and a password that a program sends with a request: device passwords do for it.
func (q *Request) ProgramLogin(ctx context.Context, name, password string) (*accounts.Account, error) {
	a := q.session.auth
	if !a.PlainAllowed(q.Peer) {
		return nil, fault.New("http.Login", fault.TLSRequired, "")
	}
	if !strings.ContainsAny(name, "@%") {
		name += "@" + q.Domain
	}
	acc, err := a.Plain(ctx, q.Peer, name, password)
	q.session.counts.login(err)
	return acc, err
}

// sameOrigin refuses what a page of another site makes a browser send, with whatever credentials
// the browser has for us. Parts that act upon GET call SameOrigin themselves.
var sameOrigin = http.NewCrossOriginProtection()

// SameOrigin refuses a request that a page of another site made the browser send, whatever its
// method. Of other methods than GET, HEAD and OPTIONS no such request comes to a part.
func SameOrigin(r *http.Request) error {
	unsafe := *r
	unsafe.Method = http.MethodPost
	if err := sameOrigin.Check(&unsafe); err != nil {
		return &fault.Error{Op: "http.SameOrigin", Kind: fault.Denied, Text: "A page of another site may not do this.", Err: err}
	}
	return nil
}
