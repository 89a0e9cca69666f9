package http

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"time"

	"gatepost/accounts"
	"gatepost/server/fault"
	"gatepost/server/logs"
)

// ServeHTTP answers one request.
func (k *session) ServeHTTP(to http.ResponseWriter, r *http.Request) {
	if !k.begin() {
		panic(http.ErrAbortHandler) // the connection has ended before
	}
	defer k.running.Done()
	k.requests.Add(1)
	all := k.Server.config()
	config := all.common()
	w := newResponse(to, r, config.WriteTimeout.Duration())
	if !w.stream {
		w.extend() // for what net/http writes before the part does
	}
	q := &Request{session: k, config: config, parts: all, Log: k.log, page: wantsPage(r.Header), body: k.newBody(w, r, config.BodyTimeout.Duration())}
	ip, secure := k.client(r.Header)
	if ip != k.remote {
		q.Log = k.log.With(slog.String(logs.AttrPeer, ip.String()))
	}
	q.Peer = accounts.Peer{IP: ip, LocalIP: k.local, TLS: secure, Service: serviceHTTP, Log: q.Log}
	r = r.WithContext(context.WithValue(r.Context(), requestKey{}, q))
	began := time.Now()
	defer k.finish(w, r, q, began)
	secureHeaders(w.Header())
	if err := k.answer(w, r, q); err != nil {
		Refuse(w, r, err)
	}
}

// answer passes a request on to its part, or says why not.
func (k *session) answer(w *response, r *http.Request, q *Request) error {
	var err error
	if q.Domain, q.Host, err = k.domain(r.Host); err != nil {
		q.Domain = k.accounts.DomainForIP(k.local)
		return err
	}
	m, err := k.route(w, r, q)
	if m == nil || err != nil {
		return err
	}
	if tag := q.parts.tag(m.Part); tag != "" {
		q.Log = q.Log.With(slog.String(logs.AttrTag, tag))
		q.Peer.Log = q.Log
	}
	if k.redirect(w, r, q, m) {
		return nil
	}
	exempt := k.accounts.ClientIP(q.Peer.IP)
	done, err := k.limiter.take(q.Peer.IP, exempt, m.Login, q.config.Requests, q.config.RequestsPerIP)
	if err != nil {
		return err
	}
	defer done()
	if err := q.open(r, m); err != nil {
		return err
	}
	if err := sameOrigin.Check(r); err != nil && (m.AnySite == nil || !m.AnySite(q)) {
		return SameOrigin(r)
	}
	limit := int64(m.MaxBody)
	if limit == 0 {
		limit = int64(q.config.RequestSize)
	}
	if limit >= 0 && r.ContentLength > limit {
		return fault.New("http.Body", fault.TooLarge, "")
	}
	if q.body != nil {
		if limit >= 0 {
			q.body.from = http.MaxBytesReader(w.to, q.body.from, limit)
		}
		r.Body = q.body
	}
	if err := k.login(w, r, q, m); err != nil {
		return err
	}
	m.handler.ServeHTTP(w, r)
	return nil
}

// route finds the part for a request. It answers what is no part's affair itself: then there is
// neither a part nor an error.
func (k *session) route(w *response, r *http.Request, q *Request) (*mount, error) {
	if !slices.Contains(methods, r.Method) || r.Method == http.MethodConnect {
		return nil, &statusError{http.StatusNotImplemented, "The server does not know this method."}
	}
	if r.Method == http.MethodOptions && r.RequestURI == "*" {
		w.WriteHeader(http.StatusNoContent)
		return nil, nil
	}
	path, slash, err := splitPath(r.URL)
	if err != nil {
		return nil, err
	}
	m := k.mounts.find(path)
	if m == nil {
		return nil, fault.New("http.Route", fault.NotFound, "")
	}
	q.Path, q.Slash, q.realm = path[len(m.segments):], slash, cmp.Or(m.Realm, q.Domain)
	if m.LogPath != nil { // also of a request that is refused here
		q.logPath = m.LogPath(q)
	}
	switch {
	case withSlash(path) && !m.SlashInSegment:
		return nil, fault.New("http.Route", fault.Invalid, "The path has an encoded slash in it.")
	case slices.Contains(m.Methods, r.Method):
		return m, nil
	}
	w.Header().Set("Allow", m.allow)
	if r.Method == http.MethodOptions {
		w.WriteHeader(http.StatusNoContent)
		return nil, nil
	}
	return nil, &statusError{http.StatusMethodNotAllowed, "This method is not possible here."}
}

// login logs in where the part wants it. Clients learn by OPTIONS what a server can do before they
// have a password.
func (k *session) login(w *response, r *http.Request, q *Request, m *mount) error {
	if !m.Login || r.Method == http.MethodOptions || slices.Contains(m.OpenMethods, r.Method) {
		return nil
	}
	if m.Open != nil && r.Header.Get("Authorization") == "" && m.Open(r.Context(), q, r) {
		return nil
	}
	if m.Service != "" {
		q.Peer.Service, q.Peer.AnyService = m.Service, m.AnyService
	}
	w.Header().Set("Cache-Control", "private, no-cache")
	acc, err := q.basic(r)
	if err != nil {
		switch fault.KindOf(err) {
		case fault.AuthRequired, fault.BadCredentials:
			w.Header().Set("WWW-Authenticate", challenge(q.realm))
		}
		return err
	}
	q.Account = acc
	return nil
}

// secureHeaders are what a part's pages get unless it says otherwise: nothing is guessed, framed,
// told to other sites, or loaded from anywhere else.
func secureHeaders(h http.Header) {
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; connect-src 'self'; "+
		"base-uri 'none'; form-action 'self'; frame-ancestors 'none'")
}

// finish ends a request: a panic becomes an answer and a record, the client gets the time for the
// rest of the answer, and the log its line.
func (k *session) finish(w *response, r *http.Request, q *Request, began time.Time) {
	cut := false
	if p := recover(); p != nil {
		cut = w.status != 0
		if p != http.ErrAbortHandler {
			k.crashed.Add(1)
			q.Log.LogAttrs(r.Context(), logs.LevelCrash, "request crashed", slog.String("method", r.Method), slog.String("path", short(r.URL.EscapedPath())),
				slog.Any(logs.AttrError, p), slog.String("stack", string(debug.Stack())))
			if !cut {
				Refuse(w, r, fault.New("http.Request", fault.Internal, ""))
			}
		}
	}
	if w.status == 0 {
		w.status = http.StatusOK // of an empty answer, by net/http
	}
	w.extend()
	q.body.leave()
	took := time.Since(began)
	k.counts.answered(w.status, took)
	k.record(w, r, q, took, cut)
	if cut {
		panic(http.ErrAbortHandler) // closes the connection, or resets the stream
	}
}

// record writes the line of a request. The query is left out: it may hold what a form has asked for.
func (k *session) record(w *response, r *http.Request, q *Request, took time.Duration, cut bool) {
	attrs := []slog.Attr{
		slog.String("method", short(r.Method)), slog.String("path", short(cmp.Or(q.logPath, r.URL.EscapedPath()))),
		slog.Int(logs.AttrStatus, w.status), slog.Int64(logs.AttrSize, w.size), slog.Duration("took", took.Round(time.Microsecond)),
	}
	if q.Host != "" {
		attrs = append(attrs, slog.String("host", q.Host))
	}
	if q.Account != nil {
		attrs = append(attrs, slog.String(logs.AttrAccount, q.Account.Address()))
	}
	if agent := r.UserAgent(); agent != "" {
		attrs = append(attrs, slog.String("agent", short(agent)))
	}
	if cut {
		attrs = append(attrs, slog.Bool("cut", true))
	}
	if w.failure != nil {
		attrs = append(attrs, slog.Any(logs.AttrError, w.failure))
	}
	q.Log.LogAttrs(r.Context(), levelOf(w.failure), "request", attrs...)
}

// levelOf is the level of a request's line. What clients do wrong every day is not worth a line.
func levelOf(failure error) slog.Level {
	var own *statusError
	if failure == nil || errors.As(failure, &own) {
		return logs.LevelLowLevel
	}
	switch fault.KindOf(failure) {
	case fault.Internal, fault.NoSpace, fault.Corrupt:
		return logs.LevelFailure
	case fault.Busy, fault.RateLimited, fault.Unavailable, fault.TooLarge, fault.TLSRequired:
		return logs.LevelProblem
	}
	return logs.LevelLowLevel
}

// short bounds what one value of a client takes in the log.
func short(s string) string {
	const most = 300
	if len(s) > most {
		return s[:most] + "..."
	}
	return s
}
