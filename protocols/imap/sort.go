package imap

import (
	"bytes"
	"cmp"
	"slices"
	"time"

	"gatepost/accounts/mailbox"
	"gatepost/accounts/message"
	"gatepost/accounts/message/searchtext"
	"gatepost/protocols/imap/wire"
	"gatepost/server/fault"
	"gatepost/server/logs"
)

// SORT (RFC 5256), with the names that clients show (RFC 5957) and the result options of ESORT (RFC 5267 section 3).

// sortField is what messages are sorted by.
type sortField uint8

const (
	byArrival sortField = iota
	bySize
	byCc
	byDate
	byFrom
	bySubject
	byTo
	byDisplayFrom
	byDisplayTo
	byRelevancy
)

var sortFields = map[string]sortField{
	"ARRIVAL": byArrival, "SIZE": bySize, "CC": byCc, "DATE": byDate, "FROM": byFrom, "SUBJECT": bySubject, "TO": byTo,
	"DISPLAYFROM": byDisplayFrom, "DISPLAYTO": byDisplayTo, "RELEVANCY": byRelevancy,
}

type sortCriterion struct {
	field   sortField
	reverse bool
}

// sortValue is what a message has of a field: a text or a number.
type sortValue struct {
	text   string
	number int64
}

func parseSortCriteria(p *wire.Parser) (criteria []sortCriterion) {
	reverse := false
	p.List(func() {
		word := p.Keyword()
		if string(word) == "REVERSE" && !reverse {
			reverse = true
			return
		}
		field, ok := sortFields[string(word)]
		if !ok {
			p.Fail("unknown sort criterion %s", word)
		}
		if criteria = append(criteria, sortCriterion{field, reverse}); len(criteria) > 2*len(sortFields) {
			p.Limit("more than %d sort criteria", 2*len(sortFields))
		}
		reverse = false
	})
	if reverse || len(criteria) == 0 {
		p.Fail("a sort criterion expected")
	}
	return criteria
}

// sortCommand is SORT and UID SORT.
func sortCommand(s *session, c *call, p *wire.Parser) error {
	p.Space()
	x := s.newSearch()
	if isLetter(p.Peek()) {
		if string(p.Keyword()) != "RETURN" {
			p.Fail("RETURN or a list of criteria expected")
		}
		p.Space()
		x.parseReturn(p)
		p.Space()
	} else {
		x.all, x.extended = true, false // also in IMAP4rev2, ESORT is asked for by RETURN
	}
	criteria := parseSortCriteria(p)
	x.ranked = slices.ContainsFunc(criteria, func(c sortCriterion) bool { return c.field == byRelevancy })
	x.parseCharset(p)
	found, err := x.run(p)
	if err != nil {
		return err
	}
	if found, err = s.view.sorted(found, criteria, x.scores); err != nil {
		return err
	}
	if x.followed {
		x.follow(c, found, criteria)
	}
	x.putFound(c, "SORT", found)
	return nil
}

// parseCharset reads the charset that SORT and THREAD demand, and the space behind it.
func (g *searchProgram) parseCharset(p *wire.Parser) {
	p.Space()
	charset := p.AString()
	g.badCharset = g.badCharset || !equalFold(charset, "UTF-8") && !equalFold(charset, "US-ASCII")
	p.Space()
}

// sorted sorts messages, which are given in the order of their sequence numbers.
func (v *view) sorted(found []uint32, criteria []sortCriterion, scores map[uint32]int) ([]uint32, error) {
	values := make([]sortValue, len(found)*len(criteria))
	x := newSortReader(v)
	x.scores = scores
	defer x.close()
	for i, seq := range found {
		if err := x.next(int(seq), uint32(i), uint32(len(found))); err != nil {
			return nil, err
		}
		for j, c := range criteria {
			values[i*len(criteria)+j] = x.value(c.field)
		}
	}
	order := make([]int, len(found))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return compareBy(criteria, values[a*len(criteria):], values[b*len(criteria):])
	})
	out := make([]uint32, len(found))
	for i, at := range order {
		out[i] = found[at]
	}
	return out, nil
}

// compareBy compares what two messages have of the fields of the criteria.
func compareBy(criteria []sortCriterion, v, w []sortValue) int {
	for j, c := range criteria {
		n := cmp.Or(cmp.Compare(v[j].number, w[j].number), cmp.Compare(v[j].text, w[j].text))
		if c.reverse {
			n = -n
		}
		if n != 0 {
			return n
		}
	}
	return 0
}

// sortReader reads what messages are sorted and threaded by. A damaged message has empty fields.
type sortReader struct {
	*view
	reader    *mailbox.Reader
	timeslice timeslice
	scores    map[uint32]int // for the criterion RELEVANCY
	seq       int
	uid       mailbox.State
	msg       mailbox.Message
	content   *mailbox.Content
	read      bool // content was asked for
	err       error
}

func newSortReader(v *view) *sortReader {
	return &sortReader{view: v, reader: v.mailbox.Reader(), timeslice: v.responder.timeslice("* OK Still sorting")}
}

func (x *sortReader) close() {
	x.reader.Close()
	x.timeslice.end()
}

// next goes to another message. An error ends the command.
func (x *sortReader) next(seq int, done, total uint32) error {
	if err := x.err; err != nil {
		return err
	}
	x.timeslice.done, x.timeslice.total = done, total
	x.seq = seq
	x.uid, _ = x.view.mailbox.StateAt(seq)
	x.msg, _ = x.view.mailbox.Message(x.uid.UID)
	x.content, x.read = nil, false
	return x.timeslice.work(messageCost)
}

// head returns what is kept of the header, or nil.
func (x *sortReader) head() *mailbox.Content {
	if x.read {
		return x.content
	}
	x.read = true
	content, err := x.reader.Content(x.ctx, x.uid.UID)
	switch {
	case err == nil:
		x.content = content
	case fault.Is(err, fault.NoMessage):
	case fault.Is(err, fault.Corrupt):
		x.log.Log(x.ctx, logs.LevelFailure, "cannot read a message", "uid", x.uid.UID, logs.AttrError, err)
	default:
		x.err = err
	}
	return x.content
}

func (x *sortReader) value(field sortField) sortValue {
	switch field {
	case byArrival:
		return sortValue{number: x.msg.InternalDate.Unix()}
	case bySize:
		return sortValue{number: x.msg.Size}
	case byRelevancy: // the most relevant ones come first
		return sortValue{number: int64(-x.scores[uint32(x.seq)])}
	case byDate:
		return sortValue{number: x.sent().Unix()}
	case bySubject:
		base, _ := x.subject()
		return sortValue{text: base}
	case byFrom, byDisplayFrom:
		return x.address("From", field == byDisplayFrom)
	case byTo, byDisplayTo:
		return x.address("To", field == byDisplayTo)
	}
	return x.address("Cc", false)
}

// sent returns the date of the Date field, or when the message came if there is none (RFC 5256 section 2.2).
func (x *sortReader) sent() time.Time {
	if c := x.head(); c != nil && c.HasDate {
		return c.Date
	}
	return x.msg.InternalDate
}

// subject returns the folded base subject, and whether the message is a reply.
func (x *sortReader) subject() (base string, reply bool) {
	base, reply = baseSubject(message.DecodeHeader(x.field("Subject")))
	return string(searchtext.Fold(nil, []byte(base))), reply
}

// field returns the value of the first header field of a name that is kept in the index.
func (x *sortReader) field(name string) []byte {
	c := x.head()
	if c == nil {
		return nil
	}
	for _, header := range [2][]byte{c.Prefix, c.Headers} {
		for len(header) > 0 {
			f := searchtext.FirstField(header)
			header = header[len(f):]
			if colon := bytes.IndexByte(f, ':'); colon > 0 && equalFold(bytes.TrimRight(f[:colon], " \t"), name) {
				return f[colon+1:]
			}
		}
	}
	return nil
}

// address returns the part before the @ of the first address of a field, or the name that clients show (RFC 5957 section 3).
func (x *sortReader) address(field string, display bool) sortValue {
	c := x.head()
	if c == nil {
		return sortValue{}
	}
	for a := range c.Addresses(field) {
		name := bytes.TrimSpace([]byte(message.DecodeHeader(a.Name)))
		switch {
		case a.Kind == message.GroupEnd:
			continue
		case display && len(name) > 0:
			return sortValue{text: string(searchtext.Fold(nil, name))}
		case a.Kind == message.GroupStart:
			return sortValue{text: string(searchtext.Fold(nil, name))}
		case display && len(a.Domain) > 0:
			return sortValue{text: string(searchtext.Fold(nil, []byte(string(a.Local)+"@"+string(a.Domain))))}
		}
		return sortValue{text: string(searchtext.Fold(nil, a.Local))}
	}
	return sortValue{}
}
