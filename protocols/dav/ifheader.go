package dav

import (
	"net/url"
	"strings"

	"gatepost/accounts/mailbox"
	"gatepost/server/fault"
)

// An ifHeader is the If header of a request (RFC 4918 section 10.4): lists of conditions, of which one must hold. There are no locks here, so that
// a state token holds only if it is the sync token of its collection (RFC 6578 section 5).
type ifHeader []ifList

// An ifList holds if all its conditions do.
type ifList struct {
	// own says that it is about the resource of the request, whose ETag is known only in the commit.
	own        bool
	etag       string // of any other resource, "" for none
	token      string // the sync token of the resource if it is a collection
	conditions []ifCondition
}

type ifCondition struct {
	not  bool
	etag string // with quotes, or "" for a token
	text string // a state token
}

// maxIf bounds the conditions of an If header.
const maxIf = 100

// hold reports whether the header lets a request go on that finds present in the place of its resource.
func (h ifHeader) hold(present *mailbox.Item) bool {
	if len(h) == 0 {
		return true
	}
	for i := range h {
		etag := h[i].etag
		if h[i].own && present != nil {
			etag = present.ETag
		}
		if h[i].holds(etag) {
			return true
		}
	}
	return false
}

func (l *ifList) holds(etag string) bool {
	for _, c := range l.conditions {
		is := c.text != "" && c.text == l.token
		if c.etag != "" {
			is = c.etag == etag
		}
		if is == c.not {
			return false
		}
	}
	return true
}

// readIf reads the If header, and looks up the resources that it names.
func (e *exchange) readIf() (ifHeader, error) {
	lists, err := parseIf(strings.Join(e.r.Header.Values("If"), " "))
	if err != nil {
		return nil, err
	}
	var h ifHeader
	for _, l := range lists {
		at := e.at
		if l.tag != "" {
			at, err = nil, nil
			if u, bad := url.Parse(l.tag); bad == nil && (u.Host == "" || strings.EqualFold(u.Host, e.r.Host)) {
				at, err = e.s.resolveHref(e.r.Context(), e.q.Account, u.EscapedPath())
			}
			if err != nil && !isGone(err) && !fault.Is(err, fault.Denied) && !fault.Is(err, fault.Invalid) {
				return nil, err
			}
		}
		list := ifList{conditions: l.conditions}
		switch {
		case at == nil:
		case at.kind == collectionKind:
			state, err := at.readState(e.r.Context())
			if err == nil {
				list.token = syncToken(state)
			} else if !fault.Is(err, fault.Denied) {
				return nil, err
			}
		case at.kind == itemKind && e.at != nil && at.href() == e.at.href():
			list.own = true
		case at.kind == itemKind && at.item != nil && at.readable() == nil:
			list.etag = at.item.ETag
		}
		h = append(h, list)
	}
	return h, nil
}

// ifCollection returns an error if the If header forbids a change of the collection of the request.
func (e *exchange) ifCollection() error {
	ifs, err := e.readIf()
	if err == nil && !ifs.hold(nil) {
		err = errPrecondition
	}
	return err
}

// taggedList is a list of an If header, with the URL that it is about, or "" for that of the request.
type taggedList struct {
	tag        string
	conditions []ifCondition
}

// parseIf reads the syntax of the If header.
func parseIf(s string) (lists []taggedList, err error) {
	bad := fault.New("dav.if", fault.Invalid, "The If header is not valid.")
	tag, left := "", maxIf
	between := func(open, end byte) (string, bool) {
		if s == "" || s[0] != open {
			return "", false
		}
		i := strings.IndexByte(s[1:], end)
		if i < 0 {
			return "", false
		}
		text := s[1 : i+1]
		s = s[i+2:]
		return text, true
	}
	space := func() { s = strings.TrimLeft(s, " \t") }
	for space(); s != ""; space() {
		if s[0] == '<' {
			text, ok := between('<', '>')
			if space(); !ok || text == "" || !strings.HasPrefix(s, "(") {
				return nil, bad
			}
			tag = text
		}
		if s[0] != '(' {
			return nil, bad
		}
		s = s[1:]
		list := taggedList{tag: tag}
		for space(); !strings.HasPrefix(s, ")"); space() {
			var c ifCondition
			if len(s) > 3 && strings.EqualFold(s[:3], "Not") {
				c.not, s = true, s[3:]
				space()
			}
			if text, ok := between('<', '>'); ok && text != "" {
				c.text = text
			} else if text, ok := between('[', ']'); ok && text != "" {
				c.etag = text
			} else {
				return nil, bad
			}
			if left--; left < 0 {
				return nil, bad
			}
			list.conditions = append(list.conditions, c)
		}
		s = s[1:]
		if len(list.conditions) == 0 {
			return nil, bad
		}
		lists = append(lists, list)
	}
	return lists, nil
}
