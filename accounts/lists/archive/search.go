package archive

import (
	"context"
	"io"
	"slices"
	"strings"
	"time"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/accounts/mailbox"
	"gatepost/server/fault"
)

const (
	maxFound    = 50
	maxWords    = 10
	searchTime  = 2 * time.Second
	searchChunk = 20 // postings between two looks at the clock
)

// Found is what a search has found, the latest posting first.
type Found struct {
	Rows []Row
	// More is the key of the posting from which the search goes on, which was not looked at yet; "" if all were.
	More string
	// Looked is how many postings were looked at.
	Looked int
}

// Search finds postings that have all words of a query in subject, author's name or text, whatever the letter case. It goes
// from the latest one, or from, backwards; it ends at 50 postings or after two seconds, and says where to go on. Errors: Invalid, Busy if
// too many search.
func (v *View) Search(ctx context.Context, query, from string) (Found, error) {
	const op = "archive.Search"
	words := strings.Fields(strings.ToLower(query))
	if len(words) == 0 || len(words) > maxWords || len(query) > 300 {
		return Found{}, fault.Newf(op, fault.Invalid, "write up to %d words to search for", maxWords)
	}
	wait, cancel := context.WithTimeout(ctx, searchTime)
	defer cancel()
	select {
	case v.a.searching <- struct{}{}:
		defer func() { <-v.a.searching }()
	case <-wait.Done():
		return Found{}, fault.New(op, fault.Busy, "Too many people are searching. Try again in a moment.")
	}
	at := len(v.ix.entries) - 1
	if place, ok := v.Find(from); ok {
		at = place
	}
	var found Found
	for began := time.Now(); at >= 0; {
		if len(found.Rows) >= maxFound || time.Since(began) > searchTime {
			found.More = keyText(v.ix.entries[at].key)
			return found, nil
		}
		low := max(0, at-searchChunk+1)
		if err := v.searchIn(ctx, words, low, at, &found); err != nil {
			return found, err
		}
		at = low - 1
	}
	return found, nil
}

// searchIn looks at the postings from low to high.
func (v *View) searchIn(ctx context.Context, words []string, low, high int, found *Found) error {
	var rows []Row
	places := make([]int, 0, high-low+1)
	for p := low; p <= high; p++ {
		places = append(places, p)
	}
	err := v.read(ctx, places, func(place int, r *mailbox.Reader, c *mailbox.Content) error {
		row := v.row(place, c.Headers, &c.Head)
		has, err := contains(ctx, words, row.Subject+"\n"+row.Name, r, c, v.ix.entries[place].uid)
		if has {
			rows = append(rows, row)
		}
		return err
	})
	slices.Reverse(rows)
	found.Rows = append(found.Rows, rows...)
	found.Looked += len(places)
	return err
}

// contains reports whether a posting has all words.
func contains(ctx context.Context, words []string, header string, r *mailbox.Reader, c *mailbox.Content, uid imap.UID) (bool, error) {
	header = strings.ToLower(header)
	missing := slices.DeleteFunc(slices.Clone(words), func(w string) bool { return strings.Contains(header, w) })
	if len(missing) == 0 {
		return true, nil
	}
	sum, err := c.Summary(ctx)
	if err != nil {
		return false, err
	}
	prefix := int64(len(c.Prefix))
	body, err := r.Open(ctx, uid)
	if fault.Is(err, fault.NoMessage) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer body.Close()
	p := &Posting{sum: sum, msg: io.NewSectionReader(body, prefix, body.Size()-prefix)}
	var text strings.Builder
	if err := p.show(&text, sum.Root); err != nil {
		return false, err
	}
	low := strings.ToLower(text.String())
	for _, w := range missing {
		if !strings.Contains(low, w) {
			return false, nil
		}
	}
	return true, nil
}
