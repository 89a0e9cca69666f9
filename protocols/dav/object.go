package dav

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"gatepost/accounts/access"
	"gatepost/accounts/groupware"
	"gatepost/accounts/mailbox"
	"gatepost/server/fault"
)

func mediaType(r *resource) string {
	if r.coll.Kind == groupware.Contacts {
		return "text/vcard; charset=utf-8"
	}
	t := "text/calendar; charset=utf-8"
	if component := componentOf(r); component != "" {
		t += "; component=" + component
	}
	return t
}

// get answers GET and HEAD.
func (e *exchange) get() error {
	ctx := e.r.Context()
	switch r := e.at; r.kind {
	case itemKind:
		if err := r.readable(); err != nil {
			return err
		}
		if r.item == nil {
			return fault.New("dav.get", fault.NotFound, "")
		}
		text, err := r.readText(ctx)
		if err != nil {
			return err
		}
		e.w.Header().Set("Last-Modified", r.item.Modified.UTC().Format(http.TimeFormat))
		if e.schedules(r.coll) {
			if tag := e.s.scheduling.Tag(ctx, r.owner.Account, text); tag != "" {
				e.w.Header().Set("Schedule-Tag", tag)
			}
		}
		return e.send(mediaType(r), r.item.ETag, text)
	case collectionKind:
		return e.getAll(r)
	case homeKind:
		k := groupware.Calendar
		if r.realm == cardRealm {
			k = groupware.Contacts
		}
		c, err := e.s.store.Main(ctx, e.q.Account, r.owner, k)
		if err != nil {
			return err
		}
		r.coll = c
		return e.getAll(r)
	}
	e.w.Header().Set("Allow", "OPTIONS, PROPFIND, REPORT")
	e.w.WriteHeader(http.StatusMethodNotAllowed)
	return nil
}

// getAll answers with a collection as one text.
func (e *exchange) getAll(r *resource) error {
	ctx := e.r.Context()
	state, err := r.readState(ctx)
	if err != nil {
		return err
	}
	tag := `"` + syncToken(state) + `"`
	if same, err := notModified(e.r.Header, tag); err != nil {
		return err
	} else if same {
		e.w.Header().Set("ETag", tag)
		e.w.WriteHeader(http.StatusNotModified)
		return nil
	}
	e.w.Header().Set("ETag", tag)
	e.w.Header().Set("Content-Type", strings.TrimSpace(strings.Split(mediaType(r), "; component")[0]))
	if e.r.Method == "HEAD" {
		return nil
	}
	return r.coll.Export(ctx, e.w)
}

// send writes a text, or 304 if the client has it.
func (e *exchange) send(mediaType, tag string, text []byte) error {
	same, err := notModified(e.r.Header, tag)
	if err != nil {
		return err
	}
	e.w.Header().Set("ETag", tag)
	if same {
		e.w.WriteHeader(http.StatusNotModified)
		return nil
	}
	e.w.Header().Set("Content-Type", mediaType)
	e.w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	if e.r.Method == "HEAD" {
		return nil
	}
	_, err = e.w.Write(text)
	return err
}

// put answers PUT of an item.
func (e *exchange) put() error {
	r := e.at
	if r.kind != itemKind || r.coll.Kind == groupware.Inbox {
		return fault.New("dav.put", fault.Denied, "Only an item of a calendar or address book can be stored.")
	}
	may, err := e.condition()
	if err != nil {
		return err
	}
	if e.r.Header.Get("Content-Range") != "" {
		return fault.New("dav.put", fault.Invalid, "A part of an item cannot be stored.")
	}
	if enc := e.r.Header.Get("Content-Encoding"); enc != "" && enc != "identity" {
		return fault.New("dav.put", fault.Invalid, "The server takes no content encoding.")
	}
	var b bytes.Buffer
	if n := e.r.ContentLength; n > 0 {
		b.Grow(int(min(n, 1<<20)))
	}
	// HTTPRequestSizeLimit may be larger, or none. One byte more is what Put refuses.
	if _, err := io.Copy(&b, io.LimitReader(e.r.Body, maxBody+1)); err != nil {
		return bodyError(err)
	}
	components, err := r.components(e.r.Context())
	if err != nil {
		return err
	}
	etag, created, err := e.putItem(r.coll, groupware.Put{Name: r.name, Text: b.Bytes(), If: may, Components: components})
	if err != nil {
		return err
	}
	return e.stored(r, etag, created)
}

// bodyError is the failure to read a body.
func bodyError(err error) error {
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return fault.New("dav.body", fault.TooLarge, "")
	}
	return err
}

// delete answers DELETE of an item or a collection.
func (e *exchange) delete() error {
	r := e.at
	ctx := e.r.Context()
	switch r.kind {
	case itemKind:
		if r.item == nil && r.readable() == nil {
			return fault.New("dav.delete", fault.NotFound, "")
		}
		may, err := e.condition()
		if err != nil {
			return err
		}
		if err := e.deleteItem(r.coll, r.name, func(i mailbox.Item) error { return may(&i) }); err != nil {
			return err
		}
	case collectionKind:
		if r.isInbox() {
			return fault.New("dav.delete", fault.Denied, "The scheduling inbox cannot be deleted.")
		}
		if r.isAlias() { // who names it so may mean the alias alone
			return fault.New("dav.delete", fault.Denied, "The path is a mailbox alias: the calendar or address book itself is deleted under the name of its account.")
		}
		if r.suffixed { // the client means an item, which is gone
			return fault.New("dav.delete", fault.NotFound, "There is no item of this name.")
		}
		if err := e.ifCollection(); err != nil {
			return err
		}
		if err := r.coll.Delete(ctx); err != nil {
			return err
		}
	default:
		return fault.New("dav.delete", fault.Denied, "This cannot be deleted.")
	}
	e.w.WriteHeader(http.StatusNoContent)
	return nil
}

func (e *exchange) copy() error { return e.transfer(false) }
func (e *exchange) move() error { return e.transfer(true) }

// transfer answers COPY and MOVE of an item (RFC 4918 sections 9.8 and 9.9). A MOVE within an account is one commit. One to another account
// stores the item there before it leaves its old place: after a crash between the two it is in both.
func (e *exchange) transfer(move bool) error {
	const op = "dav.transfer"
	ctx := e.r.Context()
	from := e.at
	if from.kind != itemKind {
		return fault.New(op, fault.Denied, "Only items can be copied and moved.")
	}
	if err := from.readable(); err != nil {
		return err
	}
	if from.item == nil {
		return fault.New(op, fault.NotFound, "")
	}
	if move && !from.coll.Rights.Has(access.Delete) { // known before anything is stored elsewhere
		return fault.New(op, fault.Denied, "The item may be copied and not moved: you may not delete it here.")
	}
	to, err := e.destination()
	if err != nil {
		return err
	}
	if to.kind != itemKind || to.realm != from.realm || to.coll.Kind == groupware.Inbox || from.coll.Kind == groupware.Inbox {
		return fault.New(op, fault.Denied, "The destination is not that of an item of this kind.")
	}
	if to.coll.Same(from.coll) && to.name == from.name {
		return fault.New(op, fault.Denied, "The destination is the source.")
	}
	may, err := e.condition()
	if err == nil {
		err = may(from.item)
	}
	if err != nil {
		return err
	}
	components, err := to.components(ctx)
	if err != nil {
		return err
	}
	unmoved := func(i mailbox.Item) error {
		if i.ETag != from.item.ETag {
			return errPrecondition
		}
		return nil
	}
	free := func(present *mailbox.Item) error {
		if present != nil && e.r.Header.Get("Overwrite") == "F" {
			return errPrecondition
		}
		return nil
	}
	if move && to.coll.Owner.Account.ID == from.coll.Owner.Account.ID {
		created, err := from.coll.Move(ctx, groupware.Move{Name: from.name, To: to.coll, NewName: to.name, Components: components,
			If: func(item mailbox.Item, present *mailbox.Item) error { return errors.Join(unmoved(item), free(present)) }})
		if err != nil {
			return err
		}
		return e.stored(to, "", created)
	}
	text, err := from.readText(ctx)
	if err != nil {
		return err
	}
	item, created, err := to.coll.Put(ctx, groupware.Put{Name: to.name, Text: text, Components: components, If: free})
	if err == nil && move {
		err = from.coll.DeleteItem(ctx, from.name, unmoved)
	}
	if err != nil {
		return err
	}
	return e.stored(to, item.ETag, created)
}

// destination returns what the Destination header means.
func (e *exchange) destination() (*resource, error) {
	const op = "dav.destination"
	u, err := url.Parse(e.r.Header.Get("Destination"))
	if err != nil || u.Path == "" {
		return nil, fault.New(op, fault.Invalid, "The Destination header is missing or not valid.")
	}
	if u.Host != "" && !strings.EqualFold(u.Host, e.r.Host) {
		return nil, fault.New(op, fault.Denied, "The destination is on another server.")
	}
	if e.to, err = e.s.resolveHref(e.r.Context(), e.q.Account, u.EscapedPath()); isGone(err) {
		return nil, errNoParent
	}
	return e.to, err
}
