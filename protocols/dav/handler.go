package dav

import (
	"encoding/xml"
	"log/slog"
	"net/http"

	"gatepost/accounts/access"
	"gatepost/accounts/groupware"
	httpd "gatepost/protocols/http"
	"gatepost/server/fault"
	"gatepost/server/logs"
)

// levelRefused is the level of the record of a request that breaks a rule of DAV.
const levelRefused = logs.LevelLowLevel

func attrMethod(m string) slog.Attr { return slog.String("method", m) }
func attrReason(s string) slog.Attr { return slog.String("reason", s) }

// Server answers WebDAV requests. It may be used by many goroutines at once.
type Server struct {
	store *groupware.Store
	// scheduling may be nil: then changes of events are sent to nobody.
	scheduling Scheduling

	// Tables that do not change, with their names in order.
	properties    map[xml.Name]property
	propertyNames []xml.Name
	reports       map[xml.Name]reportWord
	reportNames   []xml.Name
}

// New returns a Server.
func New(store *groupware.Store) *Server {
	s := &Server{store: store, properties: liveProperties(), reports: reportWords()}
	s.propertyNames, s.reportNames = sortedNames(s.properties), sortedNames(s.reports)
	return s
}

const service = "WebCAL"

// capabilities is the DAV header.
const capabilities = "1, 3, access-control, calendar-access, addressbook, extended-mkcol, sync-collection"

// methods are those of calendars and address books, and open those that need no login.
var methods = map[string]func(*exchange) error{
	"OPTIONS": (*exchange).options, "PROPFIND": (*exchange).propfind, "PROPPATCH": (*exchange).proppatch, "REPORT": (*exchange).report,
	"GET": (*exchange).get, "HEAD": (*exchange).get, "PUT": (*exchange).put, "DELETE": (*exchange).delete,
	"MKCOL": (*exchange).mkcol, "MKCALENDAR": (*exchange).mkcalendar, "COPY": (*exchange).copy, "MOVE": (*exchange).move, "POST": (*exchange).post, "ACL": (*exchange).acl,
}

// allow is the Allow header.
const allow = "OPTIONS, GET, HEAD, PUT, DELETE, PROPFIND, PROPPATCH, REPORT, MKCOL, MKCALENDAR, COPY, MOVE, ACL"

// parts are the names by which administrators open and close what is below the roots.
var parts = map[realm]string{calRealm: httpd.PartCalendars, cardRealm: httpd.PartContacts, userRealm: httpd.PartPrincipals}

// Mount mounts the server on HTTPU. front answers GET of the root.
func (s *Server) Mount(h *httpd.Server, front http.Handler) error {
	all := []string{"OPTIONS", "GET", "PUT", "DELETE", "PROPFIND", "PROPPATCH", "REPORT", "MKCOL", "MKCALENDAR", "COPY", "MOVE", "POST", "ACL"}
	some := []string{"OPTIONS", "GET", "PROPFIND", "REPORT"}
	o := httpd.Options{Methods: all, Login: true, Service: service, AnyService: true}
	for r, root := range roots {
		o.Part, o.Methods = parts[r], all
		if r == userRealm {
			o.Methods = some
		}
		if err := h.Mount("/"+root+"/", o, s.handler(r)); err != nil {
			return err
		}
	}
	data := httpd.Options{Part: httpd.PartCalendars, Methods: []string{"GET", "PUT"}, Login: true, Service: service, AnyService: true}
	if err := h.Mount("/CalendarData/", data, http.HandlerFunc(s.calendarData)); err != nil {
		return err
	}
	link := httpd.Options{Part: httpd.PartCalendars, Methods: []string{"GET"}, AnySite: func(*httpd.Request) bool { return true },
		LogPath: func(*httpd.Request) string { return linkPath }}
	if err := h.Mount(linkPath, link, http.HandlerFunc(s.secretLink)); err != nil {
		return err
	}
	o = httpd.Options{Part: httpd.PartRoot, Methods: some, Login: true, Service: service, AnyService: true, OpenMethods: []string{"GET", "HEAD"}}
	root := s.handler(rootRealm)
	if err := h.Mount("/{$}", o, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "GET" || r.Method == "HEAD" {
			front.ServeHTTP(w, r)
			return
		}
		root.ServeHTTP(w, r)
	})); err != nil {
		return err
	}
	for _, name := range []string{"/.well-known/caldav", "/.well-known/carddav", "/.well-known/caldav/", "/.well-known/carddav/"} {
		if err := h.Mount(name, o, http.HandlerFunc(wellKnown)); err != nil {
			return err
		}
	}
	return nil
}

// wellKnown leads to the principals (RFC 6764 section 5). Clients that have no password yet ask for it here: they wait for 401.
func wellKnown(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("DAV", capabilities)
	http.Redirect(w, r, "/UserDAV/", http.StatusMovedPermanently)
}

// exchange is one request and its answer.
type exchange struct {
	s     *Server
	w     http.ResponseWriter
	r     *http.Request
	q     *httpd.Request
	realm realm
	at    *resource // what the path means; nil for OPTIONS
	to    *resource // the destination of COPY and MOVE

	prefer preferences
	begun  bool // the beginning of the answer is on its way to the client
}

func (s *Server) handler(rl realm) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e := &exchange{s: s, w: w, r: r, q: httpd.Of(r.Context()), realm: rl, prefer: readPreferences(r.Header)}
		w.Header().Set("DAV", s.capabilitiesOf())
		if err := e.answer(); err != nil {
			e.refuse(err)
		}
	})
}

func (e *exchange) answer() error {
	if e.r.Method == "OPTIONS" {
		return e.options()
	}
	e.vary()
	if e.q.Account != nil && !e.q.Account.Enabled(service) {
		return fault.New("dav.answer", fault.Denied, "The account may not use calendars and contacts.")
	}
	method := methods[e.r.Method]
	if method == nil {
		return fault.New("dav.answer", fault.Unsupported, "")
	}
	at, err := e.s.resolve(e.r.Context(), e.q.Account, e.realm, e.q.Path)
	if err != nil {
		if e.r.Method == "MKCOL" || e.r.Method == "MKCALENDAR" {
			return method(e) // what there is none of is to be made
		}
		if e.r.Method == "PUT" && fault.Is(err, fault.NoMailbox) {
			return errNoParent
		}
		return err
	}
	e.at = at
	return method(e)
}

func (e *exchange) options() error {
	e.w.Header().Set("Allow", allow)
	e.w.WriteHeader(http.StatusOK)
	return nil
}

// readable returns an error unless the user may read the collection of the resource.
func (r *resource) readable() error {
	if r.coll == nil || r.coll.Rights.Has(access.Read) {
		return nil
	}
	return fault.New("dav.read", fault.Denied, "")
}
