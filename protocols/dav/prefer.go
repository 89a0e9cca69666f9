package dav

import (
	"net/http"
	"strconv"

	"gatepost/accounts/access"
)

// preferences are what a client prefers of an answer (RFC 7240, 8144).
type preferences struct {
	minimal        bool // no more than it needs
	representation bool // the resource as it is after the request
	noRoot         bool // members without the collection itself
}

// readPreferences reads the Prefer header. Brief is what minimal was called before it was a standard.
func readPreferences(h http.Header) preferences {
	values := h.Values("Prefer")
	p := preferences{representation: hasToken(values, "return=representation"), noRoot: hasToken(values, "depth-noroot")}
	p.minimal = !p.representation && (hasToken(values, "return=minimal") || h.Get("Brief") == "t")
	return p
}

// applied tells the client that a preference was obeyed.
func (e *exchange) applied(preference string) { e.w.Header().Add("Preference-Applied", preference) }

// vary says that answers to the methods which look at preferences differ by them.
func (e *exchange) vary() {
	switch e.r.Method {
	case "PROPFIND", "REPORT":
		e.w.Header().Add("Vary", "Prefer, Brief")
		if e.prefer.minimal {
			e.applied("return=minimal")
		}
	case "PROPPATCH", "PUT", "COPY", "MOVE", "MKCOL", "MKCALENDAR":
		e.w.Header().Add("Vary", "Prefer, Brief")
	}
}

// stored ends the answer of a request that has stored an item: with the item if the client prefers that (RFC 8144 section 3).
func (e *exchange) stored(r *resource, etag string, created bool) error {
	status := http.StatusNoContent
	if created {
		e.w.Header().Set("Location", r.itemHref(r.name))
		status = http.StatusCreated
	}
	if etag != "" {
		e.w.Header().Set("ETag", etag)
	}
	if e.prefer.representation && r.coll.Rights.Has(access.Read) {
		r.text = nil // of before
		return e.represent(r, status)
	}
	if e.prefer.minimal {
		e.applied("return=minimal")
	}
	e.w.WriteHeader(status)
	return nil
}

// represent writes an item as it is now, as the body of an answer to something else.
func (e *exchange) represent(r *resource, status int) error {
	text, err := r.readText(e.r.Context())
	if err != nil {
		return err
	}
	if status == http.StatusNoContent {
		status = http.StatusOK
	}
	e.applied("return=representation")
	h := e.w.Header()
	h.Set("Content-Location", r.itemHref(r.name))
	h.Set("ETag", r.item.ETag)
	h.Set("Content-Type", mediaType(r))
	h.Set("Content-Length", strconv.Itoa(len(text)))
	e.w.WriteHeader(status)
	_, err = e.w.Write(text)
	return err
}
