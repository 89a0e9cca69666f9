// Package http is the HTTP wire: HTTP/1.1 (RFC 9110, 9112) and, over TLS, HTTP/2 (RFC 9113), for
// the modules HTTPA (administrators) and HTTPU (users). It knows no pages of its own but a front
// page, the command line below /CLI/ and the settings of mail programs; other parts are mounted.
//
// # A request's life
//
//	connection   protocols/internal/listen: who may connect, limits, TLS
//	session      one connection: an http.Server of package net/http with our limits
//	request      1 client   the address, from X-Forwarded-For if a trusted proxy says so
//	             2 domain   which of our domains the Host names (host.go)
//	             3 mount    which part answers the path (mount.go), and the method
//	             4 limits   requests at a time, in all and of one address (limiter.go)
//	             5 origin   a browser page of another site may not change anything here, unless the part lets it
//	             6 size     a body whose announced length is too large is not read
//	             7 login    Basic (RFC 7617), where the part wants one (login.go)
//	             8 part     its http.Handler; Of(r.Context()) is what steps 1 to 7 found
//
// Each step that refuses answers with a page: HTML for browsers, a line of text for everybody else.
// A failure that a part meets becomes a status code in one table (reply.go, Refuse).
//
// # Mounts
//
// Mount is called before Serve. The longest pattern wins; there are no redirects to other
// spellings of a path, since WebDAV clients do not follow them. A path is split at its slashes
// before it is decoded: a part gets the decoded segments, none of which is "." or "..", holds a
// control character, or, unless the part asks for it, a slash. It writes its answer itself, and
// passes a failure to Refuse.
//
// # Who owns what
//
// A session's goroutine is that of protocols/internal/listen; it ends after the last request of
// its connection. A request's goroutine belongs to net/http. Nothing is shared between the
// requests of a connection: each one logs in for itself.
//
// Bodies are streamed. A part that needs a whole one has it spooled (spool.go): what does not
// fit in a small buffer goes to a file without a name, which a crash leaves nothing of.
//
// # Time
//
// A client has HeaderTimeout for the header of a request, BodyTimeout for each piece of its body and
// WriteTimeout for each piece of the answer; a body must also come at a rate. Between requests
// IdleTimeout holds. A stop lets requests write their answers for listen.StopGrace; reads end
// at once, so a body that is being received is refused. Over HTTP/2 a stop ends requests at once.
//
// # Plain text
//
// Without TLS, and not from this machine, no password is asked for and none that comes is looked at.
package http
