package http

import (
	"crypto/sha256"
	"net/http"
	"strconv"
	"strings"

	"gatepost/accounts"
	"gatepost/protocols/internal/listen"
	"gatepost/server/fault"
)

// serviceHTTP is the service of parts that name no other.
const serviceHTTP = "HTTP"

// basic logs in with the Authorization header (RFC 7617). Each request is checked for itself, so
// that nothing of one login reaches the next request of the connection. Errors: AuthRequired
// without credentials that can be read, those of Login, and status 503 while logins are blocked: a client
// whose password is right must not get 401, at which it asks its user for another one.
func (q *Request) basic(r *http.Request) (acc *accounts.Account, err error) {
	const op = "http.Basic"
	if !q.session.auth.PlainAllowed(q.Peer) {
		return nil, fault.New(op, fault.TLSRequired, "")
	}
	if len(r.Header["Authorization"]) > 1 {
		return nil, fault.New(op, fault.Invalid, "There is more than one Authorization header.")
	}
	name, password, ok := r.BasicAuth()
	if !ok || name == "" || strings.ContainsFunc(name+password, control) {
		return nil, fault.New(op, fault.AuthRequired, "")
	}
	credentials := sha256.Sum256([]byte(q.Peer.Service + " " + q.Domain + " " + r.Header.Get("Authorization")))
	q.Peer.Again = q.session.loggedIn(credentials)
	acc, err = q.ProgramLogin(r.Context(), name, password)
	if accounts.LoginBlocked(err) {
		return nil, &statusError{http.StatusServiceUnavailable, "Too many logins have failed. Try again later."}
	}
	if err == nil {
		err = q.session.noteLogin(credentials)
	}
	return acc, err
}

// loggedIn reports whether the last login on the connection was with the same credentials. It changes
// what is logged, and not whether the login is right.
func (k *session) loggedIn(credentials [sha256.Size]byte) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return credentials == k.lastLogin
}

// noteLogin makes the connection that of a user. Busy when the places of users are taken.
func (k *session) noteLogin(credentials [sha256.Size]byte) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.lastLogin == [sha256.Size]byte{} {
		if err := listen.LoggedIn(k.ctx); err != nil {
			return err
		}
	}
	k.lastLogin = credentials
	return nil
}

// challenge is the WWW-Authenticate header that asks for a name and a password.
func challenge(realm string) string {
	return "Basic realm=" + quoted(realm) + `, charset="UTF-8"`
}

// quoted is a quoted-string (RFC 9110 section 5.6.4).
func quoted(s string) string {
	if strings.ContainsFunc(s, control) {
		return strconv.QuoteToASCII(s)
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}
