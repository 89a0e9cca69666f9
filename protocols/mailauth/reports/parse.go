package reports

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/xml"
	"errors"
	"io"
	"net/netip"
	"path"
	"strconv"
	"strings"
	"time"

	"gatepost/accounts/message"
	"gatepost/router/address"
	"gatepost/server/fault"
)

// The limits of a report that is read.
const (
	maxPacked   = 10 << 20 // bytes of the attachment
	maxText     = 16 << 20 // bytes of the XML behind it
	maxRecords  = 100_000  // records of the XML
	maxDistinct = 10_000   // rows that they are summed to
	maxWord     = 200      // bytes of a text that is kept
	maxFiles    = 16       // files in a zip
)

// Report is an aggregate report as far as it is kept.
type Report struct {
	Reporter, ID string
	Begin, End   time.Time
	// Domain is the one whose record was found, in ASCII and lower case.
	Domain string
	Rows   []Row
}

// Row is what is said of one source. The zero Source stands for those that are not listed one by one.
type Row struct {
	Source      netip.Addr
	Count       int64
	SPF, DKIM   bool   // passed, aligned
	Disposition string // "none", "quarantine" or "reject"
}

// refused is the error of a message that is no report.
func refused(format string, args ...any) error {
	return fault.Newf("reports.Read", fault.Rejected, "this address takes aggregate reports of DMARC only: "+format, args...)
}

// Read reads the report that a message carries. The error is a refusal (fault.Rejected), or that of reading the message.
func Read(text io.ReaderAt, size int64) (*Report, error) {
	sum, err := message.Scan(io.NewSectionReader(text, 0, size), message.Options{})
	if err != nil {
		return nil, err
	}
	for _, p := range leaves(sum.Root, nil) {
		if p.Body.Size() == 0 || p.Body.Size() > maxPacked*3/2 {
			continue
		}
		packed, err := io.ReadAll(io.LimitReader(message.Decode(io.NewSectionReader(text, p.Body.Start, p.Body.Size()), p.Encoding), maxPacked+1))
		if err != nil || len(packed) > maxPacked {
			continue
		}
		body, err := unpack(packed)
		switch {
		case err != nil:
			return nil, err
		case body == nil:
			continue
		}
		r, err := parse(body)
		body.Close()
		return r, err
	}
	return nil, refused("the message has none")
}

// leaves are the parts that may be a report: not what people read.
func leaves(p *message.Part, list []*message.Part) []*message.Part {
	for _, c := range p.Children {
		list = leaves(c, list)
	}
	if len(p.Children) == 0 && p.Message == nil && (p.Type != "text" || p.Subtype == "xml" || p.Attachment()) {
		list = append(list, p)
	}
	return list
}

// unpack returns the XML in an attachment, or nil if it is something else. What it is shows its beginning: names and types
// are often wrong.
func unpack(packed []byte) (io.ReadCloser, error) {
	switch start := bytes.TrimLeft(bytes.TrimPrefix(packed, []byte("\ufeff")), " \t\r\n"); {
	case bytes.HasPrefix(packed, []byte("\x1f\x8b")):
		r, err := gzip.NewReader(bytes.NewReader(packed))
		if err != nil {
			return nil, refused("the gzip is damaged")
		}
		return r, nil
	case bytes.HasPrefix(packed, []byte("PK\x03\x04")):
		z, err := zip.NewReader(bytes.NewReader(packed), int64(len(packed)))
		if err != nil || len(z.File) > maxFiles {
			return nil, refused("the zip is damaged, or has too many files")
		}
		for _, f := range z.File {
			if strings.EqualFold(path.Ext(f.Name), ".xml") {
				r, err := f.Open()
				if err != nil {
					return nil, refused("the zip cannot be read")
				}
				return r, nil
			}
		}
		return nil, refused("the zip has no XML file")
	case len(start) > 0 && start[0] == '<':
		return io.NopCloser(bytes.NewReader(packed)), nil
	}
	return nil, nil
}

// bounded reads at most maxText bytes.
type bounded struct {
	r    io.Reader
	left int64
}

var errLarge = errors.New("the report is too large")

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errLarge
	}
	n, err := b.r.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

// record is what is read of a record element.
type record struct {
	Row struct {
		Source string `xml:"source_ip"`
		Count  string `xml:"count"`
		Policy struct {
			Disposition string `xml:"disposition"`
			DKIM        string `xml:"dkim"`
			SPF         string `xml:"spf"`
		} `xml:"policy_evaluated"`
	} `xml:"row"`
}

// parse reads the XML of a report.
func parse(text io.Reader) (*Report, error) {
	d := xml.NewDecoder(&bounded{text, maxText})
	d.CharsetReader = func(charset string, r io.Reader) (io.Reader, error) { return message.ToUTF8(r, charset), nil }
	r := &Report{}
	rows := map[Row]int64{}
	records := 0
	wrong := func(err error) error {
		var syntax *xml.SyntaxError
		switch {
		case errors.Is(err, errLarge):
			return refused("%v", err)
		case errors.As(err, &syntax):
			return refused("its XML is not valid in line %d", syntax.Line)
		}
		return refused("it cannot be unpacked, or ends too early")
	}
	inside := false
	for {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, wrong(err)
		}
		switch t := token.(type) {
		case xml.Directive:
			return nil, refused("its XML has a document type")
		case xml.StartElement:
			switch {
			case !inside:
				if t.Name.Local != "feedback" {
					return nil, refused("its XML is another one")
				}
				inside = true
			case t.Name.Local == "report_metadata":
				err = r.metadata(d, &t)
			case t.Name.Local == "policy_published":
				var p struct {
					Domain string `xml:"domain"`
				}
				if err = d.DecodeElement(&p, &t); err == nil {
					if r.Domain, err = address.NormalizeDomain(strings.TrimSuffix(strings.TrimSpace(p.Domain), ".")); err != nil {
						return nil, refused("the domain that it is about is not valid")
					}
				}
			case t.Name.Local == "record":
				var one record
				if err = d.DecodeElement(&one, &t); err != nil {
					break
				}
				if records++; records > maxRecords {
					return nil, refused("it has too many records")
				}
				row, n, ok := one.sum()
				if !ok {
					return nil, refused("record %d is not valid", records)
				}
				if rows[row] += n; len(rows) > maxDistinct {
					return nil, refused("it has too many records")
				}
			default:
				err = d.Skip()
			}
			if err != nil {
				var f *fault.Error
				if errors.As(err, &f) {
					return nil, err
				}
				return nil, wrong(err)
			}
		}
	}
	if r.Reporter == "" || r.ID == "" || r.Domain == "" || r.Begin.IsZero() {
		return nil, refused("it lacks its reporter, its number, its period or the domain")
	}
	for row, n := range rows {
		row.Count = n
		r.Rows = append(r.Rows, row)
	}
	return r, nil
}

// metadata reads who reports, and when.
func (r *Report) metadata(d *xml.Decoder, at *xml.StartElement) error {
	var m struct {
		Org   string `xml:"org_name"`
		Email string `xml:"email"`
		ID    string `xml:"report_id"`
		Begin string `xml:"date_range>begin"`
		End   string `xml:"date_range>end"`
	}
	if err := d.DecodeElement(&m, at); err != nil {
		return err
	}
	begin, err1 := strconv.ParseInt(strings.TrimSpace(m.Begin), 10, 64)
	end, err2 := strconv.ParseInt(strings.TrimSpace(m.End), 10, 64)
	if err1 != nil || err2 != nil || begin <= 0 || end < begin || end-begin > 7*86400 {
		return refused("its period is not valid, or longer than a week")
	}
	if r.Reporter = word(m.Org); r.Reporter == "" {
		r.Reporter = word(m.Email)
	}
	r.ID, r.Begin, r.End = word(m.ID), time.Unix(begin, 0).UTC(), time.Unix(end, 0).UTC()
	return nil
}

// maxCount is the largest number of messages in a record: the sum of maxRecords is far from the end of int64.
const maxCount = 1 << 40

// sum is the row of a record, and its number of messages.
func (r *record) sum() (row Row, n int64, ok bool) {
	ip, err := netip.ParseAddr(strings.TrimSpace(r.Row.Source))
	if err != nil {
		return row, 0, false
	}
	n, err = strconv.ParseInt(strings.TrimSpace(r.Row.Count), 10, 64)
	if err != nil || n < 0 || n > maxCount {
		return row, 0, false
	}
	pass := func(s string) bool { return strings.EqualFold(strings.TrimSpace(s), "pass") }
	disposition := strings.ToLower(strings.TrimSpace(r.Row.Policy.Disposition))
	if disposition != "quarantine" && disposition != "reject" {
		disposition = "none" // "pass" in RFC 9990
	}
	return Row{Source: ip.Unmap().WithZone(""), SPF: pass(r.Row.Policy.SPF), DKIM: pass(r.Row.Policy.DKIM), Disposition: disposition}, n, true
}

// word is a text of a report as it is kept: printable, bounded, in one line.
func word(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == 0xfffd {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, " "))
	s = strings.Join(strings.Fields(s), " ")
	for len(s) > maxWord {
		cut := maxWord
		for cut > 0 && s[cut]&0xc0 == 0x80 {
			cut--
		}
		s = s[:cut]
	}
	return s
}

// day is a day in UTC as files and answers name it.
func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }
