package dav

import (
	"cmp"
	"encoding/xml"
	"errors"
	"fmt"
	"html"
	"io"
	"mime"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	"gatepost/accounts/access"
	"gatepost/accounts/files"
	httpd "gatepost/protocols/http"
	"gatepost/server/fault"
	"gatepost/server/settings"
)

// This file has the file storage below /WebDAV/ (RFC 4918, classes 1 and 2). An own file is /WebDAV/dir/file, that of another account
// /WebDAV/~user@domain/dir/file: what ACLs of directories let others do there, and to read what does not lie in the directory private (fileaccess.go).

const (
	fileService      = "WebSite"
	fileRoot         = "WebDAV"
	fileCapabilities = "1, 2, 3, access-control"
	fileAllow        = "OPTIONS, GET, HEAD, PUT, DELETE, PROPFIND, PROPPATCH, MKCOL, COPY, MOVE, LOCK, UNLOCK, ACL"
)

var fileMethods = map[string]func(*fileExchange) error{
	"PROPFIND": (*fileExchange).propfind, "PROPPATCH": (*fileExchange).proppatch, "GET": (*fileExchange).get, "HEAD": (*fileExchange).get,
	"PUT": (*fileExchange).put, "DELETE": (*fileExchange).delete, "MKCOL": (*fileExchange).mkcol, "COPY": (*fileExchange).copy,
	"MOVE": (*fileExchange).move, "ACL": (*fileExchange).acl, "LOCK": (*fileExchange).lock, "UNLOCK": (*fileExchange).unlock,
}

// fileServer answers for the file storage.
type fileServer struct {
	s     *Server
	store *files.Store
	locks locks
}

// MountFiles mounts the file storage on HTTPU.
func (s *Server) MountFiles(h *httpd.Server, store *files.Store) error {
	f := &fileServer{s: s, store: store}
	return h.Mount("/"+fileRoot+"/", httpd.Options{Part: httpd.PartFiles, Login: true, Service: fileService, AnyService: true, MaxBody: settings.Size(-1),
		Methods: []string{"OPTIONS", "GET", "PUT", "DELETE", "PROPFIND", "PROPPATCH", "MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK", "ACL"}}, f)
}

// fileExchange is one request and its answer.
type fileExchange struct {
	*exchange
	f      *fileServer
	now    time.Time
	at     place
	tokens map[string]bool // of the If header
}

// place is what a path means.
type place struct {
	area   *files.Area
	prefix []string // of the path in hrefs, before the names in the area
	path   string
	own    bool
	owner  access.Owner
}

func (f *fileServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e := &fileExchange{exchange: &exchange{s: f.s, w: w, r: r, q: httpd.Of(r.Context()), realm: fileRealm, prefer: readPreferences(r.Header)}, f: f, now: time.Now()}
	w.Header().Set("DAV", fileCapabilities)
	w.Header().Set("MS-Author-Via", "DAV")
	if err := e.answerFile(); err != nil {
		e.refuse(err)
	}
}

func (e *fileExchange) answerFile() error {
	if e.r.Method == "OPTIONS" {
		e.w.Header().Set("Allow", fileAllow)
		e.w.WriteHeader(http.StatusOK)
		return nil
	}
	if !e.q.Account.Enabled(fileService) {
		return fault.New("dav.files", fault.Denied, "The account may not use file storage.")
	}
	method := fileMethods[e.r.Method]
	if method == nil {
		return fault.New("dav.files", fault.Unsupported, "")
	}
	at, err := e.find(e.q.Path)
	if err != nil {
		return err
	}
	defer at.area.Close()
	e.at = at
	if err := e.ifHeader(); err != nil {
		return err
	}
	return method(e)
}

// find returns what the names of a path mean. The caller closes the area.
func (e *fileExchange) find(names []string) (place, error) {
	p := place{own: true, prefix: []string{fileRoot}}
	account := e.q.Account
	p.owner = e.s.store.Between(account, account)
	if len(names) > 0 && strings.HasPrefix(names[0], "~") {
		owner, err := e.s.store.Owner(e.r.Context(), e.q.Account, names[0]+"/")
		if err != nil {
			return p, err
		}
		account, p.owner = owner.Account, owner
		p.own = !owner.Foreign()
		p.prefix, names = append(p.prefix, names[0]), names[1:]
	}
	var err error
	if p.path, err = files.Join(names); err != nil {
		return p, err
	}
	if !p.own && !account.Enabled(fileService) {
		return p, nothingHere()
	}
	p.area, err = e.f.store.Open(account)
	return p, err
}

func (p *place) href(at string, dir bool) string {
	names := p.prefix
	if at != "" {
		names = append(names[:len(names):len(names)], strings.Split(at, "/")...)
	}
	h := hrefOf(names...)
	if dir {
		h += "/"
	}
	return h
}

func parentOf(p string) string {
	if i := strings.LastIndexByte(p, '/'); i >= 0 {
		return p[:i]
	}
	return ""
}

// ifHeader reads the If header, and returns an error unless one of its lists holds (RFC 4918 section 10.4).
func (e *fileExchange) ifHeader() error {
	lists, err := parseIf(strings.Join(e.r.Header.Values("If"), " "))
	if err != nil {
		return err
	}
	e.tokens = map[string]bool{}
	held := len(lists) == 0
	here := e.at
	if !e.sees(&here) {
		here.area = nil // as if there were nothing
	}
	for _, l := range lists {
		at, close := here, func() {}
		if l.tag != "" {
			at = place{}
			if names, ok := e.namesOf(l.tag); ok {
				if p, err := e.find(names); err == nil {
					close = p.area.Close
					if e.sees(&p) {
						at = p
					}
				}
			}
		}
		all := true
		for _, c := range l.conditions {
			is := false
			switch {
			case at.area == nil:
			case c.etag != "":
				if i, err := at.area.Stat(at.path); err == nil {
					is = i.ETag == c.etag
				}
			default:
				for _, lk := range e.f.locks.on(at.area.Account().ID, at.path, e.now) {
					is = is || lk.token == c.text
				}
				e.tokens[c.text] = true
			}
			all = all && is != c.not
		}
		close()
		held = held || all
	}
	if !held {
		return errPrecondition
	}
	return nil
}

// namesOf returns the names of a URL below /WebDAV/.
func (e *fileExchange) namesOf(text string) ([]string, bool) {
	u, err := url.Parse(text)
	if err != nil || u.Host != "" && !strings.EqualFold(u.Host, e.r.Host) {
		return nil, false
	}
	rest, ok := strings.CutPrefix(u.EscapedPath(), "/"+fileRoot)
	if !ok || rest != "" && rest[0] != '/' {
		return nil, false
	}
	var names []string
	for seg := range strings.SplitSeq(rest, "/") {
		if seg == "" {
			continue
		}
		name, err := url.PathUnescape(seg)
		if err != nil {
			return nil, false
		}
		names = append(names, name)
	}
	return names, true
}

// unlocked returns an error if a lock forbids to change a path.
func (e *fileExchange) unlocked(p *place, deep, name bool) error {
	l := e.f.locks.inTheWay(p.area.Account().ID, p.path, e.q.Account.ID, e.tokens, deep, name, e.now)
	if l == nil {
		return nil
	}
	return &precondition{status: http.StatusLocked, name: d("lock-token-submitted"), href: p.href(l.path, false), text: "The file is locked."}
}

// check is what the conditional header fields of the request demand (RFC 9110 section 13).
func (e *fileExchange) check() (files.Check, error) {
	h := e.r.Header
	match, some, err := etags(h.Values("If-Match"))
	if err != nil {
		return nil, err
	}
	none, absent, err := etags(h.Values("If-None-Match"))
	if err != nil {
		return nil, err
	}
	since, err := http.ParseTime(h.Get("If-Unmodified-Since"))
	dated := err == nil && !some && len(match) == 0
	return func(present *files.Info) error {
		switch {
		case dated && present != nil && present.Modified.Truncate(time.Second).After(since),
			(some || len(match) > 0) && present == nil,
			len(match) > 0 && !includes(match, present.ETag, false),
			absent && present != nil,
			present != nil && includes(none, present.ETag, true):
			return errPrecondition
		}
		return nil
	}, nil
}

// fileError gives failures of the storage the statuses that clients of files know.
func fileError(err error) error {
	switch {
	case files.IsNoParent(err):
		return &precondition{status: http.StatusConflict, text: "There is no directory of this path."}
	case fault.Is(err, fault.Exists):
		return &precondition{status: http.StatusMethodNotAllowed, name: d("resource-must-be-null"), text: "There is something of this name."}
	case fault.Is(err, fault.TooLarge), fault.Is(err, fault.NoSpace):
		return &precondition{status: http.StatusInsufficientStorage, text: fault.Text(err)}
	}
	return bodyError(err)
}

// get answers GET and HEAD, with ranges and conditions; of a directory, with a list of what is in it.
func (e *fileExchange) get() error {
	i, err := e.at.area.Stat(e.at.path)
	if err != nil {
		return err
	}
	rights := access.Read
	if i.Dir {
		rights = access.Lookup
	}
	if err := e.needHere(rights); err != nil {
		return err
	}
	h := e.w.Header()
	// What a user has stored does nothing in the name of this server.
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; media-src 'self'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "private, no-cache")
	if i.Dir {
		return e.index()
	}
	f, i, err := e.at.area.OpenFile(e.at.path)
	if err != nil {
		return err
	}
	defer f.Close()
	h.Set("Content-Type", typeOf(i.Name()))
	h.Set("ETag", i.ETag)
	http.ServeContent(e.w, e.r, i.Name(), i.Modified, f)
	return nil
}

func typeOf(name string) string {
	return cmp.Or(mime.TypeByExtension(path.Ext(name)), "application/octet-stream")
}

// index lists a directory for browsers.
func (e *fileExchange) index() error {
	list, err := e.listed()
	if err != nil {
		return err
	}
	e.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if e.r.Method == "HEAD" {
		return nil
	}
	var b strings.Builder
	title := html.EscapeString(e.at.href(e.at.path, true))
	if name, err := url.PathUnescape(title); err == nil {
		title = html.EscapeString(name)
	}
	fmt.Fprintf(&b, "<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>%s</title>"+
		"<style>body{font:1rem/1.6 sans-serif;margin:2rem}td{padding-right:2rem}</style></head><body><h1>%s</h1><table>\n", title, title)
	if e.at.path != "" {
		fmt.Fprintf(&b, "<tr><td><a href=\"%s\">../</a></td></tr>\n", html.EscapeString(e.at.href(parentOf(e.at.path), true)))
	}
	for _, i := range list {
		name, size := i.Name(), strconv.FormatInt(i.Size, 10)
		if i.Dir {
			name, size = name+"/", ""
		}
		fmt.Fprintf(&b, "<tr><td><a href=\"%s\">%s</a></td><td>%s</td><td>%s</td></tr>\n", html.EscapeString(e.at.href(i.Path, i.Dir)), html.EscapeString(name), size,
			i.Modified.UTC().Format("2006-01-02 15:04"))
	}
	b.WriteString("</table></body></html>\n")
	_, err = io.WriteString(e.w, b.String())
	return err
}

// put answers PUT, also of a part (Content-Range: bytes 0-99/*).
func (e *fileExchange) put() error {
	if err := e.need(&e.at, parentOf(e.at.path), access.Write); err != nil {
		return err
	}
	if enc := e.r.Header.Get("Content-Encoding"); enc != "" && enc != "identity" {
		return fault.New("dav.put", fault.Invalid, "The server takes no content encoding.")
	}
	if e.q.Slash {
		return &precondition{status: http.StatusMethodNotAllowed, text: "A file has no slash at its end."}
	}
	if err := e.unlocked(&e.at, false, true); err != nil {
		return err
	}
	may, err := e.check()
	if err != nil {
		return err
	}
	may = e.still(&e.at, may)
	var i *files.Info
	created := false
	if part := e.r.Header.Get("Content-Range"); part != "" {
		start, err := partStart(part)
		if err != nil {
			return err
		}
		i, err = e.at.area.WriteAt(e.r.Context(), e.at.path, start, e.r.Body, may)
		if err != nil {
			return fileError(err)
		}
	} else if i, created, err = e.at.area.Put(e.r.Context(), e.at.path, e.r.Body, may); err != nil {
		return fileError(err)
	}
	e.w.Header().Set("ETag", i.ETag)
	e.done(created)
	return nil
}

// partStart reads where a part begins.
func partStart(s string) (int64, error) {
	rest, ok := strings.CutPrefix(s, "bytes ")
	first, _, dash := strings.Cut(rest, "-")
	n, err := strconv.ParseInt(first, 10, 64)
	if !ok || !dash || err != nil || n < 0 {
		return 0, fault.New("dav.put", fault.Invalid, "The Content-Range header is not valid.")
	}
	return n, nil
}

// done answers 201 or 204.
func (e *fileExchange) done(created bool) {
	if created {
		e.w.WriteHeader(http.StatusCreated)
		return
	}
	e.w.WriteHeader(http.StatusNoContent)
}

func (e *fileExchange) delete() error {
	if err := e.needAll(&e.at, access.Delete); err != nil {
		return err
	}
	if e.r.URL.Fragment != "" {
		return fault.New("dav.delete", fault.Invalid, "A fragment cannot be deleted.")
	}
	if err := e.unlocked(&e.at, true, true); err != nil {
		return err
	}
	may, err := e.check()
	if err != nil {
		return err
	}
	if err := e.at.area.Remove(e.at.path, may); err != nil {
		return fileError(err)
	}
	e.f.locks.gone(e.at.area.Account().ID, e.at.path, e.now)
	e.done(false)
	return nil
}

func (e *fileExchange) mkcol() error {
	if err := e.need(&e.at, parentOf(e.at.path), access.Write); err != nil {
		return err
	}
	var one [1]byte
	if n, _ := e.r.Body.Read(one[:]); n > 0 {
		return &precondition{status: http.StatusUnsupportedMediaType, text: "A directory is made without a body."}
	}
	if err := e.unlocked(&e.at, false, true); err != nil {
		return err
	}
	if err := e.at.area.MakeDir(e.at.path, nil); err != nil {
		return fileError(err)
	}
	e.done(true)
	return nil
}

func (e *fileExchange) copy() error { return e.transfer(false) }
func (e *fileExchange) move() error { return e.transfer(true) }

// transfer answers COPY and MOVE (RFC 4918 sections 9.8 and 9.9).
func (e *fileExchange) transfer(move bool) error {
	const op = "dav.transfer"
	depth, err := e.depth(-1)
	if err != nil {
		return err
	}
	if depth == 1 || move && depth == 0 {
		return fault.New(op, fault.Invalid, "The Depth header has no such meaning here.")
	}
	header := e.r.Header.Get("Destination")
	names, ok := e.namesOf(header)
	if !ok {
		if u, err := url.Parse(header); err == nil && u.Host != "" && !strings.EqualFold(u.Host, e.r.Host) {
			return &precondition{status: http.StatusBadGateway, text: "The destination is on another server."}
		}
		return fault.New(op, fault.Invalid, "The Destination header is missing, or not one of a file.")
	}
	to, err := e.find(names)
	if err != nil {
		return err
	}
	defer to.area.Close()
	rights := access.Lookup | access.Read
	if move {
		rights |= access.Delete
	}
	if err := e.needAll(&e.at, rights); err != nil {
		return err
	}
	if err := e.needTarget(&to); err != nil {
		return err
	}
	if to.area.Account().ID != e.at.area.Account().ID {
		return e.copyBetween(&to, move)
	}
	if move {
		if err := e.unlocked(&e.at, true, true); err != nil {
			return err
		}
	}
	if err := e.unlocked(&to, true, true); err != nil {
		return err
	}
	may := e.still(&to, e.free)
	var created bool
	if move {
		if created, err = e.at.area.Move(e.at.path, to.path, may); err == nil {
			e.f.locks.gone(e.at.area.Account().ID, e.at.path, e.now)
		}
	} else {
		created, err = e.at.area.Copy(e.r.Context(), e.at.path, to.path, depth == 0, may)
	}
	if err != nil {
		return fileError(err)
	}
	e.done(created)
	return nil
}

// free refuses a destination that is taken, if the client does not want it replaced.
func (e *fileExchange) free(present *files.Info) error {
	if present != nil && e.r.Header.Get("Overwrite") == "F" {
		return errPrecondition
	}
	return nil
}

// copyBetween copies or moves a file to the storage of another account. It is stored there before it leaves its old place: after a crash between the
// two it is in both.
func (e *fileExchange) copyBetween(to *place, move bool) error {
	if move {
		if err := e.unlocked(&e.at, true, true); err != nil {
			return err
		}
	}
	if err := e.unlocked(to, true, true); err != nil {
		return err
	}
	f, i, err := e.at.area.OpenFile(e.at.path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, created, err := to.area.Put(e.r.Context(), to.path, f, e.still(to, e.free))
	if err != nil {
		return fileError(err)
	}
	if move {
		err := e.at.area.Remove(e.at.path, func(present *files.Info) error {
			if present.ETag != i.ETag {
				return errPrecondition
			}
			return nil
		})
		if err != nil {
			return fileError(err)
		}
		e.f.locks.gone(e.at.area.Account().ID, e.at.path, e.now)
	}
	e.done(created)
	return nil
}

// lock answers LOCK (RFC 4918 section 9.10). A name that there is none of becomes an empty file.
func (e *fileExchange) lock() error {
	const op = "dav.lock"
	if err := e.needHere(access.Write); err != nil {
		return err
	}
	area := e.at.area.Account().ID
	body, err := readXML(e.r.Body)
	if err != nil {
		return err
	}
	timeout := lockTime(e.r.Header.Get("Timeout"))
	if body == nil {
		l := e.f.locks.refresh(area, e.at.path, e.q.Account.ID, e.tokens, timeout, e.now)
		if l == nil {
			return &precondition{status: http.StatusPreconditionFailed, name: d("lock-token-matches-request-uri"), text: "There is no such lock."}
		}
		return e.locked(l, http.StatusOK)
	}
	depth, err := e.depth(-1)
	if err != nil {
		return err
	}
	scope := body.child(d("lockscope"))
	l := lock{area: area, path: e.at.path, infinite: depth == -1, exclusive: scope.child(d("exclusive")) != nil, holder: e.q.Account.ID, timeout: timeout}
	if owner := body.child(d("owner")); owner != nil {
		l.owner = owner.source()
	}
	switch {
	case body.name != d("lockinfo") || body.child(d("locktype")).child(d("write")) == nil || !l.exclusive && scope.child(d("shared")) == nil || depth == 1:
		return fault.New(op, fault.Invalid, "The body is not a lockinfo for a write lock.")
	case len(l.owner) > maxLockOwner:
		return fault.New(op, fault.TooLarge, "The owner of the lock is too long.")
	}
	if l.infinite && e.at.area.DirOf(e.at.path) == e.at.path {
		has, err := e.at.area.RightsToAll(e.r.Context(), &e.at.owner, e.at.path)
		if err == nil {
			err = lacking(has, access.Write)
		}
		if err != nil {
			return err
		}
	}
	_, err = e.at.area.Stat(e.at.path)
	missing := fault.Is(err, fault.NotFound)
	if err != nil && !missing {
		return err
	}
	if missing {
		if err := e.unlocked(&e.at, false, true); err != nil {
			return err
		}
	}
	taken, other, err := e.f.locks.take(l, e.now)
	if err != nil {
		return err
	}
	if other != nil {
		return &precondition{status: http.StatusLocked, name: d("no-conflicting-lock"), href: e.at.href(other.path, false), text: "The file is locked."}
	}
	status := http.StatusOK
	if missing {
		status = http.StatusCreated
		if _, _, err := e.at.area.Put(e.r.Context(), e.at.path, strings.NewReader(""), nil); err != nil {
			e.f.locks.release(area, e.at.path, l.holder, taken.token, e.now)
			return fileError(err)
		}
	}
	e.w.Header().Set("Lock-Token", "<"+taken.token+">")
	return e.locked(taken, status)
}

// lockTime reads the Timeout header.
func lockTime(header string) time.Duration {
	for one := range strings.SplitSeq(header, ",") {
		one = strings.TrimSpace(one)
		if one == "Infinite" {
			return maxLockTime
		}
		if text, ok := strings.CutPrefix(one, "Second-"); ok {
			if n, err := strconv.ParseUint(text, 10, 32); err == nil {
				return min(max(time.Duration(n)*time.Second, time.Second), maxLockTime)
			}
		}
	}
	return usualLockTime
}

// locked answers with a lock.
func (e *fileExchange) locked(l *lock, status int) error {
	e.w.Header().Set("Content-Type", "application/xml; charset=utf-8")
	e.w.WriteHeader(status)
	x := &xmlWriter{w: e.w}
	x.raw(`<?xml version="1.0" encoding="utf-8"?>` + "\n<D:prop" + declarations + "><D:lockdiscovery>")
	e.writeLock(x, l)
	x.raw("</D:lockdiscovery></D:prop>\n")
	return x.err
}

func (e *fileExchange) writeLock(x *xmlWriter, l *lock) {
	scope, depth := "shared", "0"
	if l.exclusive {
		scope = "exclusive"
	}
	if l.infinite {
		depth = "infinity"
	}
	x.raw("<D:activelock><D:locktype><D:write/></D:locktype><D:lockscope><D:" + scope + "/></D:lockscope><D:depth>" + depth + "</D:depth>")
	if l.owner != "" {
		x.raw("<D:owner>" + l.owner + "</D:owner>")
	}
	left := max(l.expires.Sub(e.now), 0) / time.Second
	x.raw("<D:timeout>Second-" + strconv.FormatInt(int64(left), 10) + "</D:timeout><D:locktoken>")
	x.href(l.token)
	x.raw("</D:locktoken><D:lockroot>")
	x.href(e.at.href(l.path, false))
	x.raw("</D:lockroot></D:activelock>")
}

func (e *fileExchange) unlock() error {
	token := strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(e.r.Header.Get("Lock-Token")), "<"), ">")
	if token == "" {
		return fault.New("dav.unlock", fault.Invalid, "The Lock-Token header is missing.")
	}
	holder := e.q.Account.ID
	if e.at.own { // the owner of the files ends the locks of others too
		holder = anyHolder
	}
	if !e.f.locks.release(e.at.area.Account().ID, e.at.path, holder, token, e.now) {
		return &precondition{status: http.StatusConflict, name: d("lock-token-matches-request-uri"), text: "There is no such lock."}
	}
	e.done(false)
	return nil
}

// fileProperty writes a live property of a file; errNoProperty if it has none.
func (e *fileExchange) fileProperty(x *xmlWriter, i *files.Info, n xml.Name) error {
	switch n {
	case d("resourcetype"):
		if i.Dir {
			x.raw("<D:collection/>")
		}
	case d("displayname"):
		if i.Path == "" {
			x.escape(e.at.area.Account().Address())
		} else {
			x.escape(i.Name())
		}
	case d("getlastmodified"):
		x.raw(i.Modified.UTC().Format(http.TimeFormat))
	case d("creationdate"):
		x.raw(i.Modified.UTC().Format(time.RFC3339))
	case d("supportedlock"):
		for _, scope := range []string{"exclusive", "shared"} {
			x.raw("<D:lockentry><D:lockscope><D:" + scope + "/></D:lockscope><D:locktype><D:write/></D:locktype></D:lockentry>")
		}
	case d("lockdiscovery"):
		for _, l := range e.f.locks.on(e.at.area.Account().ID, i.Path, e.now) {
			if l.holder != e.q.Account.ID && !e.at.own {
				l.token = "" // it is for its holder
			}
			e.writeLock(x, &l)
		}
	case d("current-user-principal"):
		x.href(principalHref(e.q.Account))
	case d("owner"):
		x.href(principalHref(e.at.area.Account()))
	case d("current-user-privilege-set"):
		dir := i.Path
		if !i.Dir {
			dir = parentOf(dir)
		}
		rights, err := e.at.area.Rights(e.r.Context(), &e.at.owner, dir)
		if err != nil {
			return err
		}
		x.privileges(filePrivileges, rights)
	case d("acl"), d("supported-privilege-set"), d("acl-restrictions"), d("inherited-acl-set"), d("principal-collection-set"):
		return e.aclProperty(x, i, n)
	case d("quota-used-bytes"), d("quota-available-bytes"):
		used, _ := e.at.area.Usage()
		limit := int64(e.at.area.Account().Settings().MaxWebSize)
		switch {
		case !i.Dir || !e.at.own, n == d("quota-available-bytes") && limit < 0:
			return errNoProperty
		case n == d("quota-available-bytes"):
			used = max(0, limit-used)
		}
		x.raw(strconv.FormatInt(used, 10))
	case d("getcontentlength"), d("getetag"), d("getcontenttype"):
		switch {
		case i.Dir:
			return errNoProperty
		case n == d("getcontentlength"):
			x.raw(strconv.FormatInt(i.Size, 10))
		case n == d("getetag"):
			x.escape(i.ETag)
		default:
			x.escape(typeOf(i.Name()))
		}
	default:
		return errNoProperty
	}
	return nil
}

// usualFileProperties are those that allprop has; otherFileProperties the other live ones.
var (
	usualFileProperties = []xml.Name{d("resourcetype"), d("displayname"), d("getcontentlength"), d("getcontenttype"), d("getetag"), d("getlastmodified"), d("creationdate"),
		d("supportedlock"), d("lockdiscovery")}
	otherFileProperties = []xml.Name{d("current-user-principal"), d("owner"), d("current-user-privilege-set"), d("acl"), d("supported-privilege-set"),
		d("acl-restrictions"), d("inherited-acl-set"), d("principal-collection-set"), d("quota-used-bytes"), d("quota-available-bytes")}
)

func liveFileProperty(n xml.Name) bool {
	for _, list := range [][]xml.Name{usualFileProperties, otherFileProperties} {
		for _, one := range list {
			if one == n {
				return true
			}
		}
	}
	return false
}

func (e *fileExchange) propfind() error {
	depth, err := e.depth(-1)
	if err != nil {
		return err
	}
	body, err := readXML(e.r.Body)
	if err != nil {
		return err
	}
	if body != nil && body.name != d("propfind") {
		return fault.New("dav.propfind", fault.Invalid, "The body is not a propfind.")
	}
	want, err := readAsked(body)
	if err != nil {
		return err
	}
	i, err := e.at.area.Stat(e.at.path)
	if err != nil {
		return err
	}
	if err := e.needHere(access.Lookup); err != nil {
		return err
	}
	if depth == -1 && i.Dir {
		return &precondition{status: http.StatusForbidden, name: d("propfind-finite-depth"), text: "Ask with Depth 0 or 1."}
	}
	list := []*files.Info{i}
	if depth == 1 && i.Dir {
		more, err := e.listed()
		if err != nil {
			return err
		}
		list = append(list, more...)
	}
	m := e.newMultistatus()
	for _, one := range list {
		if err := e.r.Context().Err(); err != nil {
			return fault.Wrap("dav.propfind", fault.Canceled, err)
		}
		if err := e.fileResponse(m, one, want); err != nil {
			return err
		}
	}
	return m.end()
}

func (e *fileExchange) fileResponse(m *multistatus, i *files.Info, want asked) error {
	kept, err := e.at.area.Properties(i.Path)
	if fault.Is(err, fault.NotFound) && i.Path != e.at.path {
		return nil // it has gone since it was listed
	}
	if err != nil {
		return err
	}
	names := want.names
	if want.all || want.only {
		names = append(usualFileProperties[:len(usualFileProperties):len(usualFileProperties)], names...)
		for key := range kept {
			space, local, _ := strings.Cut(key, " ")
			names = append(names, xml.Name{Space: space, Local: local})
		}
	}
	m.raw("<D:response>")
	m.href(e.at.href(i.Path, i.Dir))
	var found strings.Builder
	x := &xmlWriter{w: &found}
	var missing, denied []xml.Name
	for _, n := range names {
		var value strings.Builder
		err := e.fileProperty(&xmlWriter{w: &value}, i, n)
		if v, ok := kept[keyOf(n)]; ok && err != nil {
			value.Reset()
			value.WriteString(v)
			err = nil
		}
		switch {
		case fault.Is(err, fault.Denied):
			denied = append(denied, n)
		case errors.Is(err, errNoProperty):
			if !want.all && !want.only {
				missing = append(missing, n)
			}
		case err != nil:
			return err
		case want.only || value.Len() == 0:
			x.empty(n)
		default:
			x.open(n)
			x.raw(value.String())
			x.close(n)
		}
	}
	if found.Len() > 0 || len(missing)+len(denied) == 0 {
		m.raw("<D:propstat><D:prop>" + found.String() + "</D:prop><D:status>" + statusLine(http.StatusOK) + "</D:status></D:propstat>")
	}
	m.refused(denied, http.StatusForbidden)
	m.refused(missing, http.StatusNotFound)
	m.raw("</D:response>\n")
	return m.err
}

func (e *fileExchange) proppatch() error {
	if err := e.needHere(access.Write); err != nil {
		return err
	}
	body, err := readXML(e.r.Body)
	if err != nil {
		return err
	}
	if body == nil || body.name != d("propertyupdate") {
		return fault.New("dav.proppatch", fault.Invalid, "The body is not a propertyupdate.")
	}
	i, err := e.at.area.Stat(e.at.path)
	if err != nil {
		return err
	}
	if err := e.unlocked(&e.at, false, false); err != nil {
		return err
	}
	c := &changes{values: map[string]*string{}, failed: map[xml.Name]error{}}
	for _, part := range body.children {
		if part.name != d("set") && part.name != d("remove") {
			continue
		}
		for _, p := range part.child(d("prop")).all() {
			c.names = append(c.names, p.name)
			switch {
			case liveFileProperty(p.name):
				c.failed[p.name] = &precondition{status: http.StatusForbidden, name: d("cannot-modify-protected-property"), text: "The property cannot be changed."}
			case part.name == d("remove"):
				c.values[keyOf(p.name)] = nil
			default:
				v := p.source()
				c.values[keyOf(p.name)] = &v
			}
		}
	}
	if len(c.failed) == 0 && len(c.values) > 0 {
		if err := e.at.area.SetProperties(e.at.path, c.values); err != nil {
			if k := fault.KindOf(err); k != fault.TooLarge && k != fault.Unsupported {
				return err
			}
			c.fail(fileError(err))
		}
	}
	m := e.newMultistatus()
	m.raw("<D:response>")
	m.href(e.at.href(e.at.path, i.Dir))
	c.write(&m.xmlWriter)
	m.raw("</D:response>\n")
	return m.end()
}
