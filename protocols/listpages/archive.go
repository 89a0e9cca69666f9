package listpages

import (
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"gatepost/accounts/lists/archive"
	"gatepost/server/fault"
)

const (
	// pageRows is how many postings a page of a month has.
	pageRows = 200
	// threadRows is how many postings of a thread the page of one names.
	threadRows = 60
)

// mayBrowse decides about the archive as the setting Browse says.
func (v *visit) mayBrowse() (bool, error) {
	set := v.list.Settings()
	if !bool(set.Store) {
		return false, nil
	}
	switch set.Browse {
	case "anybody":
		return true, nil
	case "clients":
		if v.o.Store.ClientIP(v.q.Peer.IP) {
			return true, nil
		}
	}
	if set.Browse != "nobody" {
		if yes, err := v.subscribed(); yes || err != nil {
			return yes, err
		}
	}
	return v.manages(), nil
}

// archive answers what is below NAME/archive/.
func (v *visit) archive(path []string) error {
	if v.posted() {
		return errNothing
	}
	h := v.w.Header()
	set := v.list.Settings()
	// What only some may read is stored nowhere: another person may sit before the browser next.
	if h.Set("Cache-Control", "no-store"); set.Browse == "anybody" && !v.loggedIn() {
		h.Set("Cache-Control", "private, no-cache")
	}
	h.Set("Vary", "Cookie, Authorization")
	if !bool(set.Store) {
		return errNothing
	}
	may, err := v.mayBrowse()
	switch {
	case err != nil:
		return err
	case !may && len(path) == 1 && path[0] == feedName && !v.loggedIn():
		h.Set("WWW-Authenticate", `Basic realm="archive", charset="UTF-8"`)
		return fault.New("listpages.Archive", fault.AuthRequired, "")
	case !may:
		return v.askWho()
	}
	a, err := v.o.Archive.Open(v.r.Context(), v.list)
	if err != nil {
		return err
	}
	switch {
	case len(path) == 0 && v.r.URL.Query().Get("q") != "":
		return v.found(a)
	case len(path) == 0:
		return v.months(a)
	case len(path) == 1 && path[0] == feedName:
		return v.feed(a)
	case len(path) == 1:
		if month, err := time.Parse("2006-01", path[0]); err == nil {
			return v.month(a, month)
		}
	}
	place, ok := a.Find(path[0])
	switch {
	case ok && len(path) == 1:
		return v.posting(a, place)
	case ok && len(path) == 3:
		if n, err := strconv.Atoi(path[1]); err == nil {
			return v.attachment(a, place, n)
		}
	}
	return errNothing
}

// askWho is the page for whom may not read the archive, or not yet.
func (v *visit) askWho() error {
	if v.list.Settings().Browse == "nobody" {
		return v.say(http.StatusForbidden, nobodyReads)
	}
	if v.loggedIn() {
		return v.say(http.StatusForbidden, subscribersRead)
	}
	return v.send(http.StatusForbidden, "login", &loginPage{frame: v.frame("", true), Next: v.r.URL.RequestURI(), Error: translator(v.lang)(subscribersRead),
		Link: v.base + "/" + v.list.Name + "/link"})
}

// archiveFrame is what the pages of an archive have.
type archiveFrame struct {
	frame
	Query  string
	Public bool // the feed needs no login
}

func (v *visit) archiveFrame(title string) archiveFrame {
	set := v.list.Settings()
	public := set.Browse == "anybody"
	f := archiveFrame{frame: v.frame(title, !public || !bool(set.Listed)), Public: public}
	f.Feed = v.base + "/" + v.list.Name + "/archive/" + feedName
	return f
}

// months is the first page of an archive.
func (v *visit) months(a *archive.View) error {
	type month struct {
		Word, Name string
		Postings   int
	}
	p := struct {
		archiveFrame
		Months   []month
		Rows     []row
		Postings int
	}{archiveFrame: v.archiveFrame(""), Postings: a.Len()}
	for _, m := range a.Months() {
		p.Months = append(p.Months, month{fmt.Sprintf("%04d-%02d", m.Year, m.Month), v.monthName(m.Year, m.Month), m.Postings})
	}
	latest, err := a.Latest(v.r.Context(), 10)
	if err != nil {
		return err
	}
	p.Rows = v.rows(latest)
	return v.send(http.StatusOK, "archive", p)
}

func (v *visit) monthName(year int, month time.Month) string {
	if v.lang == "ru" {
		return russianMonths[month-1] + " " + strconv.Itoa(year)
	}
	return month.String() + " " + strconv.Itoa(year)
}

// row is a posting in a table of a page.
type row struct {
	Key, Subject, Author, Date string
	Depth                      int
	Current                    bool
}

func (v *visit) rows(all []archive.Row) []row {
	rows := make([]row, 0, len(all))
	for i := range all {
		r := &all[i]
		rows = append(rows, row{Key: r.Key, Subject: v.subject(r), Author: v.author(r), Date: r.Date.Format("2006-01-02 15:04"), Depth: min(r.Depth, 8)})
	}
	return rows
}

func (v *visit) subject(r *archive.Row) string {
	if r.Subject == "" {
		return translator(v.lang)("(no subject)")
	}
	return v.mask(r.Subject)
}

// author is the name of an author; the address only where there is no name. Strangers do not see addresses as a whole.
func (v *visit) author(r *archive.Row) string {
	if r.Name != "" {
		return v.mask(r.Name)
	}
	if r.Address == "" {
		return translator(v.lang)("(unknown)")
	}
	return v.mask(r.Address)
}

// mailAddresses are the addresses of people in a text.
var mailAddresses = regexp.MustCompile(`([^\s<>()\[\],;:"'@/\\&?=|]+)(@|%40)[^\s<>()\[\],;:"'@/\\&?=|]+\.[^\s<>()\[\],;:"'@/\\&?=|]+`)

// mask hides addresses from those who are not logged in, among whom are the programs that collect them.
func (v *visit) mask(text string) string {
	if v.loggedIn() || !strings.ContainsAny(text, "@%") {
		return text
	}
	return mailAddresses.ReplaceAllString(text, "$1@...")
}

// month is a page of the postings of a month.
func (v *visit) month(a *archive.View, month time.Time) error {
	number, _ := strconv.Atoi(v.r.URL.Query().Get("page"))
	number = max(number, 1)
	rows, pages, err := a.Month(v.r.Context(), month.Year(), month.Month(), number-1, pageRows)
	if err != nil {
		return err
	}
	if len(rows) == 0 && (number > 1 || pages == 0) {
		return errNothing
	}
	p := struct {
		archiveFrame
		Month                  string
		Rows                   []row
		Page, Pages            int
		Before, After          int // the pages beside it, or 0
		EarlierPage, LaterPage string
	}{archiveFrame: v.archiveFrame(""), Month: v.monthName(month.Year(), month.Month()), Rows: v.rows(rows), Page: number, Pages: pages}
	if number > 1 {
		p.Before = number - 1
	}
	if number < pages {
		p.After = number + 1
	}
	for _, m := range a.Months() { // the latest first
		word := fmt.Sprintf("%04d-%02d", m.Year, m.Month)
		if this := month.Format("2006-01"); word > this {
			p.LaterPage = word
		} else if word < this {
			p.EarlierPage = word
			break
		}
	}
	return v.send(http.StatusOK, "month", p)
}

// found is the page of what a search has found.
func (v *visit) found(a *archive.View) error {
	query := archive.CleanLine(v.r.URL.Query().Get("q"))
	p := struct {
		archiveFrame
		Rows   []row
		Looked int
		More   string
		Error  string
	}{archiveFrame: v.archiveFrame("")}
	p.Query, p.Private = query, true
	got, err := a.Search(v.r.Context(), query, v.r.URL.Query().Get("from"))
	switch {
	case fault.Is(err, fault.Invalid):
		p.Error = translator(v.lang)(badQuery)
		return v.send(http.StatusUnprocessableEntity, "found", p)
	case err != nil:
		return err
	}
	p.Rows, p.Looked = v.rows(got.Rows), got.Looked
	if got.More != "" {
		p.More = "?" + url.Values{"q": {query}, "from": {got.More}}.Encode()
	}
	return v.send(http.StatusOK, "found", p)
}

// piece is a part of a text: a link if it has a URL.
type piece struct {
	Text, URL string
	Quote     bool
}

// webLinks are what becomes a link.
var webLinks = regexp.MustCompile(`(?i)\bhttps?://[^\s<>"'\x60{}|\\^]+`)

// pieces cuts a text at quotes and links.
func (v *visit) pieces(text string) []piece {
	var all []piece
	var block strings.Builder
	quoted := false
	end := func() {
		if block.Len() > 0 {
			all = v.links(all, block.String(), quoted)
			block.Reset()
		}
	}
	for line := range strings.Lines(text) {
		if q := strings.HasPrefix(line, ">"); q != quoted {
			end()
			quoted = q
		}
		block.WriteString(line)
	}
	end()
	return all
}

// links adds a text with its links.
func (v *visit) links(all []piece, text string, quoted bool) []piece {
	at := 0
	for _, found := range webLinks.FindAllStringIndex(text, 2000) {
		link := strings.TrimRight(text[found[0]:found[1]], ".,;:!?)]*_")
		if v.mask(link) != link || found[0] < at {
			continue // an address is in it, which is not shown
		}
		if found[0] > at {
			all = append(all, piece{Text: v.mask(text[at:found[0]]), Quote: quoted})
		}
		all = append(all, piece{Text: link, URL: link, Quote: quoted})
		at = found[0] + len(link)
	}
	if at < len(text) {
		all = append(all, piece{Text: v.mask(text[at:]), Quote: quoted})
	}
	return all
}

// attached is an attachment as a page names it.
type attached struct {
	Number           int
	Name, Type, Size string
	// Closed says that it is not for strangers.
	Closed bool
}

// message is what a page shows of a message.
type message struct {
	Subject, Author, Mail, Date string
	Text                        []piece
	Cut                         bool
	Attachments                 []attached
}

func (v *visit) message(p *archive.Posting) message {
	m := message{Subject: v.subject(&p.Row), Author: v.author(&p.Row), Text: v.pieces(p.Text), Cut: p.Cut}
	if !p.Date.IsZero() {
		m.Date = p.Date.Format("2006-01-02 15:04 MST")
	}
	if v.loggedIn() && p.Name != "" {
		m.Mail = p.Address
	}
	for _, a := range p.Attachments {
		m.Attachments = append(m.Attachments, attached{a.Number, v.mask(a.Name), a.Type, sizeText(a.Size), !v.loggedIn() && hasAddresses(a.Type)})
	}
	return m
}

func sizeText(n int64) string {
	switch {
	case n < 1<<10:
		return strconv.FormatInt(n, 10) + " B"
	case n < 1<<20:
		return strconv.FormatInt(n>>10, 10) + " KB"
	}
	return strconv.FormatFloat(float64(n)/(1<<20), 'f', 1, 64) + " MB"
}

// posting is the page of a posting.
func (v *visit) posting(a *archive.View, place int) error {
	ctx := v.r.Context()
	p, err := a.Posting(ctx, place)
	if fault.Is(err, fault.NoMessage) {
		return errNothing
	}
	if err != nil {
		return err
	}
	defer p.Close()
	page := struct {
		archiveFrame
		message
		Key, Reply, Month, MonthName string
		Rows                         []row // of the thread
		Parts                        string
		LeftOut                      bool
		Earlier, Later               *row
	}{archiveFrame: v.archiveFrame(""), message: v.message(p), Key: p.Key, Month: p.Date.Format("2006-01"), MonthName: v.monthName(p.Date.Year(), p.Date.Month())}
	page.Title = page.Subject
	page.Parts = v.base + "/" + v.list.Name + "/archive/" + p.Key
	if set := v.list.Settings(); set.Postings != "from owner only" {
		page.Reply = reply(v.list.Address().String(), v.mask(p.Subject), p.MessageID)
	}
	thread, before, after, err := a.Thread(ctx, place, threadRows)
	if err != nil {
		return err
	}
	page.LeftOut = before+after > 0
	if len(thread) > 1 {
		page.Rows = v.rows(thread)
		for i := range page.Rows {
			page.Rows[i].Current = page.Rows[i].Key == p.Key
		}
	}
	beside := func(place int) (*row, error) {
		if place < 0 || place >= a.Len() {
			return nil, nil
		}
		rows, err := a.Rows(ctx, []int{place})
		if err != nil || len(rows) == 0 {
			return nil, err
		}
		return &v.rows(rows)[0], nil
	}
	if page.Earlier, err = beside(place - 1); err != nil {
		return err
	}
	if page.Later, err = beside(place + 1); err != nil {
		return err
	}
	return v.send(http.StatusOK, "posting", page)
}

// reply is the address that answers a posting (RFC 6068).
func reply(list, subject, messageID string) string {
	escape := func(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }
	if !strings.HasPrefix(strings.ToLower(subject), "re:") {
		subject = "Re: " + subject
	}
	to := "mailto:" + url.PathEscape(list) + "?subject=" + escape(subject)
	if strings.HasPrefix(messageID, "<") {
		to += "&In-Reply-To=" + escape(messageID)
	}
	return to
}

// harmless are the types that attachments keep; programs of a browser never run any of them.
var harmless = map[string]bool{"image/png": true, "image/jpeg": true, "image/gif": true, "image/webp": true, "application/pdf": true, "text/plain": true,
	"application/zip": true, "audio/mpeg": true, "video/mp4": true}

func (v *visit) attachment(a *archive.View, place, number int) error {
	p, err := a.Posting(v.r.Context(), place)
	if fault.Is(err, fault.NoMessage) {
		return errNothing
	}
	if err != nil {
		return err
	}
	defer p.Close()
	for _, part := range p.Attachments {
		if part.Number == number && hasAddresses(part.Type) && !v.loggedIn() {
			return v.send(http.StatusForbidden, "login", &loginPage{frame: v.frame("", true), Next: v.r.URL.RequestURI(), Error: translator(v.lang)(closedPart),
				Link: v.base + "/" + v.list.Name + "/link"})
		}
	}
	return v.sendPart(p, number)
}

// hasAddresses reports whether an attachment of a type has addresses of people by its nature: messages, contacts, invitations.
func hasAddresses(kind string) bool {
	kind = strings.ToLower(kind)
	switch kind {
	case "text/vcard", "text/x-vcard", "text/directory", "text/calendar", "application/ics":
		return true
	}
	return strings.HasPrefix(kind, "message/") || strings.HasPrefix(kind, "multipart/")
}

// sendPart sends an attachment as something to be stored, never to be shown: whatever it is, it runs nowhere.
func (v *visit) sendPart(p *archive.Posting, number int) error {
	part, content, ok := p.Open(number)
	if !ok {
		return errNothing
	}
	h := v.w.Header()
	kind := "application/octet-stream"
	if harmless[part.Type] {
		kind = part.Type
	}
	h.Set("Content-Type", kind)
	disposition := mime.FormatMediaType("attachment", map[string]string{"filename": part.Name})
	if disposition == "" {
		disposition = "attachment"
	}
	h.Set("Content-Disposition", disposition)
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox; frame-ancestors 'none'")
	h.Set("X-Robots-Tag", "noindex")
	_, err := io.Copy(v.w, content)
	if err != nil {
		return fault.Wrap("listpages.Attachment", fault.Canceled, err) // the client is gone, or the file is cut short
	}
	return nil
}
