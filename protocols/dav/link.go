package dav

import (
	"net/http"
	"strings"

	httpd "gatepost/protocols/http"
	"gatepost/server/fault"
)

// linkPath is where secret links lie: /CalendarData/.link/account@domain/secret.ics. No mailbox name begins so.
const linkPath = "/CalendarData/.link/"

// secretLink answers GET of a calendar by its secret link: without a login, to read it and nothing more. Whatever is wrong, the answer is the same.
func (s *Server) secretLink(w http.ResponseWriter, r *http.Request) {
	e := &exchange{s: s, w: w, r: r, q: httpd.Of(r.Context()), realm: calRealm}
	if err := e.linked(); err != nil {
		if isGone(err) || fault.Is(err, fault.Denied) || fault.Is(err, fault.Invalid) {
			err = fault.New("dav.link", fault.NotFound, "There is nothing here.")
		}
		e.refuse(err)
	}
}

func (e *exchange) linked() error {
	nothing := fault.New("dav.link", fault.NotFound, "")
	path := e.q.Path
	if len(path) != 2 || !strings.Contains(path[0], "@") || e.q.Slash {
		return nothing
	}
	secret := strings.TrimSuffix(path[1], ".ics")
	owner, err := e.s.store.Owner(e.r.Context(), nil, "~"+path[0]+"/")
	if err != nil {
		return err
	}
	if !owner.Account.Enabled(service) {
		return nothing
	}
	c, err := e.s.store.Linked(e.r.Context(), owner.Account, secret)
	if err != nil {
		return err
	}
	e.w.Header().Set("X-Robots-Tag", "noindex")
	return e.getAll(&resource{kind: collectionKind, realm: calRealm, owner: c.Owner, coll: c})
}
