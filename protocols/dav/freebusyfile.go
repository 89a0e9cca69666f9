package dav

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	httpd "gatepost/protocols/http"
	"gatepost/server/fault"
)

// MountFreeBusy mounts /~account/freebusy.vfb: when an account is busy, for those to whom it shows that (ShowFreeBusy). Programs that know no CalDAV
// look there, such as Outlook. UseScheduling comes before.
func (s *Server) MountFreeBusy(h *httpd.Server) error {
	o := httpd.Options{Part: httpd.PartCalendars, Methods: []string{"GET"}, Login: true, Service: service, AnyService: true,
		Open: func(ctx context.Context, q *httpd.Request, r *http.Request) bool {
			open, err := s.scheduling.ShowsAll(ctx, siteOf(q, r))
			return err == nil && open
		}}
	return h.Mount("/~/freebusy.vfb", o, http.HandlerFunc(s.freeBusyFile))
}

// siteOf is the address of the account in /~account/file: of the domain that the host stands for, unless it has one.
func siteOf(q *httpd.Request, r *http.Request) string {
	name, _, _ := strings.Cut(strings.TrimLeft(r.URL.EscapedPath(), "/"), "/")
	name, err := url.PathUnescape(name)
	if err != nil {
		return ""
	}
	name = strings.TrimPrefix(name, "~")
	if !strings.Contains(name, "@") {
		name += "@" + q.Domain
	}
	return name
}

func (s *Server) freeBusyFile(w http.ResponseWriter, r *http.Request) {
	q := httpd.Of(r.Context())
	text, err := s.scheduling.Published(r.Context(), q.Account, siteOf(q, r), time.Now())
	if err != nil {
		if fault.Is(err, fault.NotFound) {
			err = fault.New("dav.freebusy", fault.NotFound, "There is nothing here.")
		}
		httpd.Refuse(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "text/calendar; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	if r.Method == http.MethodHead {
		return
	}
	if _, err := w.Write(text); err != nil {
		return // the client is gone
	}
}
