package dav

import (
	"net/http"
	"strings"
	"time"

	"gatepost/accounts/mailbox"
	"gatepost/server/fault"
)

// errPrecondition is the answer 412.
var errPrecondition = &precondition{status: http.StatusPreconditionFailed, name: cs("precondition-failed"), text: "The item has changed, or is there already."}

// hasToken reports whether a list header has a token.
func hasToken(values []string, token string) bool {
	for _, v := range values {
		for part := range strings.SplitSeq(v, ",") {
			if strings.EqualFold(strings.ReplaceAll(strings.TrimSpace(part), `"`, ""), token) {
				return true
			}
		}
	}
	return false
}

// etags reads a list of ETags (RFC 9110 section 13.1); any is true for *.
func etags(values []string) (list []string, any bool, err error) {
	for _, v := range values {
		rest := strings.TrimSpace(v)
		if rest == "*" {
			return nil, true, nil
		}
		for rest != "" {
			weak := strings.HasPrefix(rest, "W/")
			if weak {
				rest = rest[2:]
			}
			end := -1
			if rest[0] == '"' {
				end = strings.IndexByte(rest[1:], '"')
			}
			tag := rest
			if end < 0 { // clients forget the quotes
				tag, rest, _ = strings.Cut(rest, ",")
				tag = `"` + strings.Trim(strings.TrimSpace(tag), `"`) + `"`
			} else {
				tag, rest = rest[:end+2], strings.TrimSpace(rest[end+2:])
				if rest != "" && rest[0] != ',' {
					return nil, false, fault.New("dav.etags", fault.Invalid, "A list of ETags is not valid.")
				}
				rest = strings.TrimPrefix(rest, ",")
			}
			if weak {
				tag = "W/" + tag
			}
			list = append(list, tag)
			rest = strings.TrimSpace(rest)
		}
	}
	return list, false, nil
}

// condition returns what If-Match, If-None-Match, If-Unmodified-Since (RFC 9110 section 13) and If demand of an item that is changed.
func (e *exchange) condition() (func(present *mailbox.Item) error, error) {
	h := e.r.Header
	match, some, err := etags(h.Values("If-Match"))
	if err != nil {
		return nil, err
	}
	none, absent, err := etags(h.Values("If-None-Match"))
	if err != nil {
		return nil, err
	}
	since, dated := time.Time{}, false
	if v := h.Get("If-Unmodified-Since"); v != "" && !some && len(match) == 0 {
		if t, err := http.ParseTime(v); err == nil { // one that is not valid is passed over
			since, dated = t, true
		}
	}
	ifs, err := e.readIf()
	if err != nil {
		return nil, err
	}
	return func(present *mailbox.Item) error {
		if !ifs.hold(present) {
			return errPrecondition
		}
		switch {
		case dated && present != nil && present.Modified.Truncate(time.Second).After(since):
			return errPrecondition
		case (some || len(match) > 0) && present == nil,
			len(match) > 0 && !includes(match, present.ETag, false),
			absent && present != nil,
			present != nil && includes(none, present.ETag, true):
			return errPrecondition
		}
		return nil
	}, nil
}

// includes compares ETags, weakly or strongly.
func includes(list []string, tag string, weak bool) bool {
	for _, t := range list {
		if weak {
			t = strings.TrimPrefix(t, "W/")
		}
		if t == tag {
			return true
		}
	}
	return false
}

// notModified reports whether a client that reads has the state of an ETag already.
func notModified(h http.Header, tag string) (bool, error) {
	list, any, err := etags(h.Values("If-None-Match"))
	return any || includes(list, tag, true), err
}
