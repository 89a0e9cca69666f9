package listpages

import (
	"encoding/xml"
	"net/http"
	"strconv"
	"strings"
	"time"

	"gatepost/accounts/lists/archive"
	"gatepost/server/fault"
)

// The feed of an archive is Atom (RFC 4287).

const (
	feedName    = "feed.atom"
	feedEntries = 20
	feedText    = 2000
)

type atomFeed struct {
	XMLName xml.Name    `xml:"http://www.w3.org/2005/Atom feed"`
	ID      string      `xml:"id"`
	Title   string      `xml:"title"`
	Updated string      `xml:"updated"`
	Links   []atomLink  `xml:"link"`
	Entries []atomEntry `xml:"entry"`
}

type atomLink struct {
	Rel  string `xml:"rel,attr,omitempty"`
	Href string `xml:"href,attr"`
}

type atomEntry struct {
	ID      string   `xml:"id"`
	Title   string   `xml:"title"`
	Updated string   `xml:"updated"`
	Author  string   `xml:"author>name"`
	Link    atomLink `xml:"link"`
	Summary string   `xml:"summary"`
}

// feed sends the latest postings as a feed.
func (v *visit) feed(a *archive.View) error {
	ctx := v.r.Context()
	rows, err := a.Latest(ctx, feedEntries)
	if err != nil {
		return err
	}
	h := v.w.Header()
	etag := `"empty"`
	if len(rows) > 0 {
		etag = `"` + rows[0].Key + "-" + strconv.Itoa(a.Len()) + "-" + strconv.FormatBool(v.loggedIn()) + `"`
	}
	h.Set("ETag", etag)
	if v.r.Header.Get("If-None-Match") == etag {
		v.w.WriteHeader(http.StatusNotModified)
		return nil
	}
	site := v.origin()
	page := site + v.base + "/" + v.list.Name + "/archive/"
	tag := func(date time.Time, rest string) string { // RFC 4151
		return "tag:" + v.list.Domain + "," + date.UTC().Format(time.DateOnly) + ":lists/" + v.list.Name + rest
	}
	f := atomFeed{ID: tag(time.Unix(0, 0), ""), Title: titleOf(v.list), Updated: time.Unix(0, 0).UTC().Format(time.RFC3339),
		Links: []atomLink{{"self", page + feedName}, {"alternate", page}}}
	for i := range rows {
		r := &rows[i]
		if i == 0 {
			f.Updated = r.Date.Format(time.RFC3339)
		}
		p, err := a.Posting(ctx, r.Place)
		if fault.Is(err, fault.NoMessage) {
			continue
		}
		if err != nil {
			return err
		}
		text := p.Text
		if err := p.Close(); err != nil {
			return err
		}
		if len(text) > feedText {
			text = strings.ToValidUTF8(text[:feedText], "") + " ..."
		}
		f.Entries = append(f.Entries, atomEntry{ID: tag(r.Date, "/"+r.Key), Title: v.subject(r), Updated: r.Date.Format(time.RFC3339),
			Author: v.author(r), Link: atomLink{"", page + r.Key}, Summary: v.mask(text)})
	}
	text, err := xml.MarshalIndent(f, "", " ")
	if err != nil {
		return fault.Wrap("listpages.Feed", fault.Internal, err)
	}
	h.Set("Content-Type", "application/atom+xml; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox; frame-ancestors 'none'")
	_, _ = v.w.Write(append([]byte(xml.Header), text...)) // a client that is gone does not miss it
	return nil
}

// origin is the address of this server as the client has named it.
func (v *visit) origin() string {
	scheme := "http://"
	if v.q.Peer.TLS {
		scheme = "https://"
	}
	return scheme + v.r.Host
}
