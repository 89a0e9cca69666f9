package dav

import (
	"io"
	"net/http"

	"gatepost/accounts/groupware"
	httpd "gatepost/protocols/http"
	"gatepost/server/fault"
)

// maxPublished is the largest calendar that PUT takes as a whole; HTTPRequestSizeLimit is the smaller bound by its stock value.
const maxPublished = 100 << 20

// calendarData answers below /CalendarData/: GET of a calendar as one text, by which programs subscribe, and PUT, which replaces its content, by which
// they publish. The empty path is the main calendar.
func (s *Server) calendarData(w http.ResponseWriter, r *http.Request) {
	e := &exchange{s: s, w: w, r: r, q: httpd.Of(r.Context()), realm: calRealm, prefer: readPreferences(r.Header)}
	if err := e.wholeCalendar(); err != nil {
		e.refuse(err)
	}
}

func (e *exchange) wholeCalendar() error {
	const op = "dav.calendarData"
	ctx := e.r.Context()
	if !e.q.Account.Enabled(service) {
		return fault.New(op, fault.Denied, "The account may not use calendars and contacts.")
	}
	at, err := e.s.resolve(ctx, e.q.Account, calRealm, e.q.Path)
	if err != nil {
		return err
	}
	if at.kind == homeKind {
		if at.coll, err = e.s.store.Main(ctx, e.q.Account, at.owner, groupware.Calendar); err != nil {
			return err
		}
		at.kind, at.segments = collectionKind, append(at.segments, splitName(at.coll.Name)...)
	}
	if at.kind != collectionKind {
		return fault.New(op, fault.NotFound, "There is no calendar of this name.")
	}
	e.at = at
	if e.r.Method == "PUT" {
		return e.publish()
	}
	return e.getAll(at)
}

// publish replaces the content of a calendar.
func (e *exchange) publish() error {
	ctx := e.r.Context()
	match, _, err := etags(e.r.Header.Values("If-Match"))
	if err != nil {
		return err
	}
	if enc := e.r.Header.Get("Content-Encoding"); enc != "" && enc != "identity" {
		return fault.New("dav.publish", fault.Invalid, "The server takes no content encoding.")
	}
	if e.r.Header.Get("Content-Range") != "" {
		return fault.New("dav.publish", fault.Invalid, "A part of a calendar cannot be stored.")
	}
	body, err := e.q.Spool(io.LimitReader(e.r.Body, maxPublished+1))
	if err != nil {
		return bodyError(err)
	}
	defer body.Close()
	if body.Size > maxPublished {
		return fault.New("dav.publish", fault.TooLarge, "")
	}
	if len(match) > 0 {
		state, err := e.at.readState(ctx)
		if err != nil {
			return err
		}
		if !includes(match, `"`+syncToken(state)+`"`, false) {
			return errPrecondition
		}
	}
	components, err := e.at.components(ctx)
	if err != nil {
		return err
	}
	if err := e.at.coll.Replace(ctx, readerAt{body.ReadSeeker}, body.Size, components); err != nil {
		return err
	}
	e.w.WriteHeader(http.StatusNoContent)
	return nil
}

// readerAt reads a spooled body at any place; one goroutine uses it.
type readerAt struct{ io.ReadSeeker }

// ReadAt is io.ReaderAt.
func (r readerAt) ReadAt(p []byte, at int64) (int, error) {
	if _, err := r.Seek(at, io.SeekStart); err != nil {
		return 0, err
	}
	n, err := io.ReadFull(r, p)
	if err == io.ErrUnexpectedEOF {
		err = io.EOF
	}
	return n, err
}
