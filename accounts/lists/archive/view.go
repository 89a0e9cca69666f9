package archive

import (
	"cmp"
	"context"
	"slices"
	"time"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/accounts"
	"gatepost/accounts/mailbox"
	"gatepost/accounts/message"
	"gatepost/server/fault"
)

// A View is an archive as it was when it was opened. It holds nothing open and may be dropped. A place is the number of a posting in
// it, in the order in which they came.
type View struct {
	a    *Archive
	l    *accounts.MailingList
	mail *mailbox.Account
	ix   *index
}

// Month is a month, in UTC, with the number of its postings.
type Month struct {
	Year     int
	Month    time.Month
	Postings int
}

// Row is a posting in a table.
type Row struct {
	Place         int
	Key           string
	Subject       string // on one line; may be empty
	Name, Address string // of the author; Address is empty where the list hides it or the header has none
	Date          time.Time
	// Depth is how far the posting is from the first one that is shown of its thread.
	Depth int
}

// Len is the number of postings.
func (v *View) Len() int { return len(v.ix.entries) }

// Months returns the months that have postings, the latest first.
func (v *View) Months() []Month {
	var all []Month
	at := map[[2]int]int{}
	for i := range v.ix.entries {
		year, month, _ := time.Unix(v.ix.entries[i].date, 0).UTC().Date()
		k := [2]int{year, int(month)}
		n, ok := at[k]
		if !ok {
			n = len(all)
			at[k] = n
			all = append(all, Month{Year: year, Month: month})
		}
		all[n].Postings++
	}
	slices.SortFunc(all, func(a, b Month) int { return cmp.Or(b.Year-a.Year, int(b.Month)-int(a.Month)) })
	return all
}

// Find returns the place of a posting by its key.
func (v *View) Find(key string) (place int, ok bool) {
	want, ok := parseKey(key)
	if !ok {
		return 0, false
	}
	i := slices.IndexFunc(v.ix.entries, func(e entry) bool { return e.key == want })
	return i, i >= 0
}

// Month returns a page of the postings of a month, by threads, the thread with the latest posting first; page counts from 0. pages is how
// many pages there are.
func (v *View) Month(ctx context.Context, year int, month time.Month, page, size int) (rows []Row, pages int, err error) {
	first := time.Date(year, month, 1, 0, 0, 0, 0, time.UTC)
	from, to := first.Unix(), first.AddDate(0, 1, 0).Unix()
	var places []int32
	for i := range v.ix.entries {
		if d := v.ix.entries[i].date; d >= from && d < to {
			places = append(places, int32(i))
		}
	}
	ordered, depths := v.threads(places)
	pages = (len(ordered) + size - 1) / size
	if page < 0 || page >= pages {
		return nil, pages, nil
	}
	start, end := page*size, min(len(ordered), (page+1)*size)
	rows, err = v.Rows(ctx, ordered[start:end])
	for i := range rows {
		rows[i].Depth = depths[rows[i].Place]
	}
	return rows, pages, err
}

// Thread returns the postings of the thread of a posting, size at most around it; before and after say how many are left out.
func (v *View) Thread(ctx context.Context, place, size int) (rows []Row, before, after int, err error) {
	var places []int32
	root := v.ix.entries[place].root
	for i := int(root); i < len(v.ix.entries); i++ {
		if v.ix.entries[i].root == root {
			places = append(places, int32(i))
		}
	}
	ordered, depths := v.threads(places)
	at := slices.Index(ordered, place)
	start := max(0, min(at-size/2, len(ordered)-size))
	end := min(len(ordered), start+size)
	rows, err = v.Rows(ctx, ordered[start:end])
	for i := range rows {
		rows[i].Depth = depths[rows[i].Place]
	}
	return rows, start, len(ordered) - end, err
}

// threads puts postings in the order in which threads are read: the children behind their parent.
func (v *View) threads(places []int32) (ordered []int, depths map[int]int) {
	there := make(map[int32]bool, len(places))
	for _, p := range places {
		there[p] = true
	}
	children := map[int32][]int32{}
	latest := map[int32]int32{} // of the threads, by their roots in the whole archive
	tops := map[int32][]int32{}
	var roots []int32
	for _, p := range places { // in order
		e := &v.ix.entries[p]
		if _, ok := latest[e.root]; !ok {
			roots = append(roots, e.root)
		}
		latest[e.root] = p
		parent := e.parent
		for parent >= 0 && !there[parent] {
			parent = v.ix.entries[parent].parent
		}
		if parent < 0 {
			tops[e.root] = append(tops[e.root], p)
		} else {
			children[parent] = append(children[parent], p)
		}
	}
	slices.SortFunc(roots, func(a, b int32) int { return int(latest[b]) - int(latest[a]) })
	depths = make(map[int]int, len(places))
	type step struct {
		place int32
		depth int
	}
	for _, root := range roots {
		var open []step // a stack, as a thread may be as deep as it is long
		for _, top := range slices.Backward(tops[root]) {
			open = append(open, step{top, 0})
		}
		for len(open) > 0 {
			s := open[len(open)-1]
			open = open[:len(open)-1]
			ordered = append(ordered, int(s.place))
			depths[int(s.place)] = s.depth
			for _, c := range slices.Backward(children[s.place]) {
				open = append(open, step{c, s.depth + 1})
			}
		}
	}
	return ordered, depths
}

// Latest returns the latest postings, the last one first.
func (v *View) Latest(ctx context.Context, n int) ([]Row, error) {
	var places []int
	for i := len(v.ix.entries) - 1; i >= 0 && len(places) < n; i-- {
		places = append(places, i)
	}
	return v.Rows(ctx, places)
}

// Rows returns postings by their places. Those that were removed meanwhile are left out.
func (v *View) Rows(ctx context.Context, places []int) ([]Row, error) {
	rows := make([]Row, 0, len(places))
	err := v.read(ctx, places, func(place int, _ *mailbox.Reader, c *mailbox.Content) error {
		rows = append(rows, v.row(place, c.Headers, &c.Head))
		return nil
	})
	if err != nil {
		return nil, err
	}
	order := make(map[int]int, len(places))
	for i, p := range places {
		order[p] = i
	}
	slices.SortFunc(rows, func(a, b Row) int { return order[a.Place] - order[b.Place] })
	return rows, nil
}

// read visits postings in the order of the archive, with what the store has of them.
func (v *View) read(ctx context.Context, places []int, visit func(place int, r *mailbox.Reader, c *mailbox.Content) error) error {
	for i := range v.ix.volumes {
		var of []int
		for _, p := range places {
			if int(v.ix.entries[p].volume) == i {
				of = append(of, p)
			}
		}
		if len(of) == 0 {
			continue
		}
		slices.Sort(of)
		if err := v.readVolume(ctx, v.ix.volumes[i].name, of, visit); err != nil {
			return err
		}
	}
	return nil
}

func (v *View) readVolume(ctx context.Context, name string, places []int, visit func(int, *mailbox.Reader, *mailbox.Content) error) error {
	box, err := v.mail.Open(ctx, name, true)
	if fault.Is(err, fault.NoMailbox) {
		return nil
	}
	if err != nil {
		return err
	}
	defer box.Close()
	r := box.Reader()
	defer r.Close()
	for _, place := range places {
		if err := ctx.Err(); err != nil {
			return fault.Wrap("archive.Read", fault.Canceled, err)
		}
		c, err := r.Content(ctx, v.ix.entries[place].uid)
		if fault.Is(err, fault.NoMessage) {
			continue
		}
		if err != nil {
			return err
		}
		if err := visit(place, r, c); err != nil {
			return err
		}
	}
	return nil
}

// row is a posting by its header.
func (v *View) row(place int, headers []byte, head *message.Head) Row {
	e := &v.ix.entries[place]
	row := Row{Place: place, Key: keyText(e.key), Date: time.Unix(e.date, 0).UTC()}
	for name, value := range fields(headers) {
		if name == "subject" {
			row.Subject = CleanLine(message.DecodeHeader(value))
			break
		}
	}
	row.Name, row.Address = author(head)
	if row.Address == v.l.Address().String() { // written for the author
		row.Address = ""
	}
	return row
}

// author is who has written a message.
func author(head *message.Head) (name, addr string) {
	for a := range head.Addresses("From") {
		if a.Kind != message.Mailbox {
			continue
		}
		name = CleanLine(message.DecodeHeader(a.Name))
		if len(a.Domain) > 0 {
			addr = CleanLine(string(a.Local) + "@" + string(a.Domain))
		}
		return name, addr
	}
	return "", ""
}

// Posting opens a posting. The caller closes it. Errors: NoMessage if it was removed meanwhile, or must not be shown.
func (v *View) Posting(ctx context.Context, place int) (*Posting, error) {
	gone := fault.New("archive.Posting", fault.NoMessage, "the posting is not in the archive any more")
	e := &v.ix.entries[place]
	body, err := v.mail.OpenMessage(ctx, v.ix.volumes[e.volume].name, imap.UID(e.uid))
	if fault.Is(err, fault.NoMailbox) {
		return nil, gone
	}
	if err != nil {
		return nil, err
	}
	p, err := Read(body, body.Size())
	if err != nil {
		body.Close()
		return nil, err
	}
	p.closer = body
	if p.noArchive {
		p.Close()
		return nil, gone
	}
	p.Row = v.row(place, p.sum.Headers, &p.sum.Head)
	return p, nil
}
