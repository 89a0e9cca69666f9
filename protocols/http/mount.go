package http

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"gatepost/server/fault"
	"gatepost/server/settings"
)

// Options say what a part needs.
type Options struct {
	// Title is the text of the link to the part on the front page; empty for no link.
	Title string
	// Methods are the methods that the part answers, GET alone if there are none. HEAD goes with
	// GET. OPTIONS is answered here with the methods unless it is one of them; it never needs a login.
	Methods []string
	// Login says that the part is for accounts that have logged in: Request.Account is never nil,
	// except for OPTIONS.
	Login bool
	// OpenMethods are methods that need no login where the others do, and that the access to the part does not close.
	OpenMethods []string
	// Open, if any, reports whether a request without a name and a password needs none. The access to the part holds.
	Open func(ctx context.Context, q *Request, r *http.Request) bool
	// Service is the service that a login is for, as AccessModes names it; HTTP if empty.
	Service string
	// AnyService says that the part itself refuses accounts that may not use the service, by 403: a client that gets 401 for a
	// password that is right asks for another one.
	AnyService bool
	// Realm is what a client shows when it asks for the password (RFC 9110 section 11.5); the
	// domain's name if empty.
	Realm string
	// MaxBody is the largest body that the part takes; HTTPRequestSizeLimit if 0.
	MaxBody settings.Size
	// FoldCase says that the pattern is compared without regard to case.
	FoldCase bool
	// SlashInSegment says that a segment of the path may hold a slash, which the client writes as %2F.
	SlashInSegment bool
	// Part is the name that the access and the log level of the part are set by; empty for a part that is open to all.
	Part string
	// Clear says that the part answers without TLS, too, in a domain whose clients are sent to https.
	Clear bool
	// AnySite, if any, names the requests that pages of other sites may have made a browser send: those that need a
	// secret in their path, and no login.
	AnySite func(*Request) bool
	// LogPath, if any, returns the path that the log has of a request, where the path itself holds a secret; "" for the path.
	LogPath func(*Request) string
}

// Mount has a part answer the paths of a pattern:
//
//	/mail/config-v1.1.xml   this path
//	/CLI/                   this path, /CLI, and all below it
//	/~/freebusy.vfb         this path in the site of every account: /~account/freebusy.vfb
//	/{$}                    the root alone
//	/                       whatever no other pattern takes
//
// The longest pattern wins. All parts are mounted before Serve.
func (s *Server) Mount(pattern string, o Options, h http.Handler) error {
	m, err := newMount(pattern, o, h)
	if err != nil {
		return fmt.Errorf("mount %s on %s: %w", pattern, s.module, err)
	}
	if slices.ContainsFunc(s.mounts, func(other *mount) bool { return other.same(m) }) {
		return fmt.Errorf("mount %s on %s: the pattern is taken", pattern, s.module)
	}
	s.mounts = append(s.mounts, m)
	slices.SortStableFunc(s.mounts, func(a, b *mount) int { return len(b.segments) - len(a.segments) })
	return nil
}

// mounts are sorted, those with more segments first.
type mounts []*mount

type mount struct {
	Options
	pattern  string
	segments []string
	below    bool // paths below it, too
	allow    string
	handler  http.Handler
}

const rootAlone = "/{$}"

func newMount(pattern string, o Options, h http.Handler) (*mount, error) {
	m := &mount{Options: o, pattern: pattern, handler: h}
	if pattern != rootAlone {
		rest, ok := strings.CutPrefix(pattern, "/")
		if !ok {
			return nil, errors.New("a pattern begins with a slash")
		}
		m.below = rest == "" || strings.HasSuffix(rest, "/")
		if rest = strings.TrimSuffix(rest, "/"); rest != "" {
			m.segments = strings.Split(rest, "/")
		}
	}
	m.Methods = slices.Clone(o.Methods)
	if len(m.Methods) == 0 {
		m.Methods = []string{http.MethodGet}
	}
	for _, method := range m.Methods {
		if !slices.Contains(methods, method) {
			return nil, fmt.Errorf("%s is not a method", method)
		}
	}
	if slices.Contains(m.Methods, http.MethodGet) && !slices.Contains(m.Methods, http.MethodHead) {
		m.Methods = append(m.Methods, http.MethodHead)
	}
	allow := m.Methods
	if !slices.Contains(allow, http.MethodOptions) {
		allow = append(slices.Clone(allow), http.MethodOptions)
	}
	m.allow = strings.Join(allow, ", ")
	return m, nil
}

func (m *mount) same(other *mount) bool {
	return m.below == other.below && slices.EqualFunc(m.segments, other.segments, strings.EqualFold)
}

// matches tells whether a path leads to the part.
func (m *mount) matches(path []string) bool {
	if len(path) < len(m.segments) || !m.below && len(path) > len(m.segments) {
		return false
	}
	for i, s := range m.segments {
		if s != path[i] && !(m.FoldCase && strings.EqualFold(s, path[i])) && !(s == "~" && strings.HasPrefix(path[i], "~")) {
			return false
		}
	}
	return true
}

// find returns the part that answers a path, or nil.
func (ms mounts) find(path []string) *mount {
	for _, m := range ms {
		if m.matches(path) {
			return m
		}
	}
	return nil
}

// methods are those that we know: RFC 9110 and 5789, 4918, 3253, 3744, 5323 and 4791. TRACE and CONNECT
// are known and no part has them.
var methods = []string{
	"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH",
	"PROPFIND", "PROPPATCH", "MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK", "REPORT", "ACL", "SEARCH", "MKCALENDAR",
}

// splitPath cuts a path into its segments and decodes each. Empty segments are left out; slash
// tells whether the path ended in one. What no file, mailbox or page is called is Invalid.
func splitPath(u *url.URL) (path []string, slash bool, err error) {
	const op = "http.Path"
	escaped := u.EscapedPath()
	if !strings.HasPrefix(escaped, "/") {
		return nil, false, fault.New(op, fault.Invalid, "The path does not begin with a slash.")
	}
	for s := range strings.SplitSeq(escaped, "/") {
		if s == "" {
			continue
		}
		decoded, err := url.PathUnescape(s)
		if err != nil {
			return nil, false, fault.New(op, fault.Invalid, "The path has a bad percent-encoding.")
		}
		switch {
		case decoded == "." || decoded == "..":
			return nil, false, fault.New(op, fault.Invalid, "The path has a segment . or .. in it.")
		case !utf8.ValidString(decoded) || strings.ContainsFunc(decoded, control):
			return nil, false, fault.New(op, fault.Invalid, "The path has a character in it that no name has.")
		}
		path = append(path, decoded)
	}
	return path, strings.HasSuffix(escaped, "/"), nil
}

func control(r rune) bool { return r < ' ' || r == 0x7f }

// withSlash reports whether a segment holds a slash.
func withSlash(path []string) bool {
	return slices.ContainsFunc(path, func(s string) bool { return strings.Contains(s, "/") })
}
