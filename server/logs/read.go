package logs

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatepost/server/fault"
)

// FileInfo is a file of the log.
type FileInfo struct {
	Name     string
	Size     int64
	Modified time.Time
	// Current says that records are written to it now.
	Current bool
}

// fileName is what a file of the log is called, so that no other can be asked for.
var fileName = regexp.MustCompile(`^\d{4}-\d\d-\d\d(_\d\d-\d\d-\d\d(\.\d+)?)?\.log$`)

// List lists the files, the newest first.
func (f *Files) List() ([]FileInfo, error) {
	const op = "logs.List"
	f.mu.Lock()
	current := f.name
	f.mu.Unlock()
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		return nil, fault.Wrap(op, fault.Internal, err)
	}
	var list []FileInfo
	for _, e := range entries {
		if !fileName.MatchString(e.Name()) {
			continue
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed as too old just now
		}
		if err != nil {
			return nil, fault.Wrap(op, fault.Internal, err)
		}
		list = append(list, FileInfo{Name: e.Name(), Size: info.Size(), Modified: info.ModTime(), Current: e.Name() == current})
	}
	slices.SortFunc(list, func(a, b FileInfo) int { return strings.Compare(b.Name, a.Name) })
	return list, nil
}

// Query says which records of a file are read.
type Query struct {
	File  string
	Level int    // records up to this level
	Tag   string // records whose tag, with session and object, begins with it; any case
	Text  string // records that hold it, or match it if Regexp is set; any case
	// Regexp says that Text is a regular expression (RE2).
	Regexp bool
	// Since and Until bound the time of day, as far as they are written: 10:42, 10:42:11.
	Since, Until string
	// Keep, if any, decides about the records that all else has let through.
	Keep func(Record) bool
	// After reads what follows this place of the file, the oldest first; -1 reads the last records.
	After int64
	Limit int
}

// Record is a record of the log.
type Record struct {
	Time  string // as it stands in the file
	Level int
	Tag   string // with session number and object
	Text  string
}

// Page is what was read.
type Page struct {
	Records []Record
	Next    int64 // the place after the last record that was looked at
	// Cut says that there are records before the first, or after the last, that were not read.
	Cut bool
}

// mostRead bounds how much of a file is looked at for the last records, and longestRecord one record.
const (
	mostRead      = 32 << 20
	longestRecord = 64 << 10
)

// Read reads records of a file. Errors: NotFound, Invalid for a regular expression that cannot be read.
func (f *Files) Read(ctx context.Context, q Query) (*Page, error) {
	const op = "logs.Read"
	match, err := q.matcher()
	if err != nil {
		return nil, err
	}
	if !fileName.MatchString(q.File) {
		return nil, fault.New(op, fault.NotFound, "there is no such log file")
	}
	f.Flush()
	file, err := os.Open(filepath.Join(f.dir, q.File))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.New(op, fault.NotFound, "there is no such log file")
	}
	if err != nil {
		return nil, fault.Wrap(op, fault.Internal, err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, fault.Wrap(op, fault.Internal, err)
	}
	start, last := q.After, q.After < 0
	if last || start > info.Size() {
		start = max(0, info.Size()-mostRead)
	}
	p := &Page{Next: start, Cut: last && start > 0}
	if _, err := file.Seek(start, io.SeekStart); err != nil {
		return nil, fault.Wrap(op, fault.Internal, err)
	}
	in := bufio.NewReaderSize(io.LimitReader(file, mostRead), longestRecord)
	if p.Cut { // the rest of a record
		p.Next += skipLine(in)
	}
	for n := 0; ; n++ {
		if n%4096 == 0 && ctx.Err() != nil {
			return nil, fault.Wrap(op, fault.Canceled, ctx.Err())
		}
		line, err := in.ReadSlice('\n')
		size := int64(len(line))
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			line = slices.Clone(line)
			size += skipLine(in)
		case err != nil: // the end, or a record that is being written
			p.keepLast(q.Limit)
			return p, nil
		}
		p.Next += size
		r, ok := parseRecord(bytes.TrimRight(line, "\n"))
		if !ok || !match(r) {
			continue
		}
		p.Records = append(p.Records, r)
		switch {
		case !last && len(p.Records) >= q.Limit:
			p.Cut = true
			return p, nil
		case last && len(p.Records) >= 2*q.Limit: // not one by one
			p.keepLast(q.Limit)
		}
	}
}

// keepLast leaves the last n records.
func (p *Page) keepLast(n int) {
	if len(p.Records) > n {
		p.Records = append(p.Records[:0], p.Records[len(p.Records)-n:]...)
		p.Cut = true
	}
}

// skipLine reads to the end of a line and returns how much that was.
func skipLine(in *bufio.Reader) int64 {
	n := int64(0)
	for {
		s, err := in.ReadSlice('\n')
		n += int64(len(s))
		if !errors.Is(err, bufio.ErrBufferFull) {
			return n
		}
	}
}

// parseRecord cuts a line: time, level, tag, text.
func parseRecord(line []byte) (Record, bool) {
	at, rest, ok := strings.Cut(string(line), " ")
	if !ok || len(rest) < 3 || rest[1] != ' ' || rest[0] < '0' || rest[0] > '5' {
		return Record{}, false
	}
	r := Record{Time: at, Level: int(rest[0] - '0')}
	rest = rest[2:]
	// An object in parentheses may hold blanks.
	i := strings.IndexAny(rest, " (")
	if i >= 0 && rest[i] == '(' {
		if j := strings.Index(rest[i:], ") "); j >= 0 {
			i += j + 1
		} else {
			i = -1
		}
	}
	if i < 0 {
		r.Tag = rest
		return r, true
	}
	r.Tag, r.Text = rest[:i], strings.TrimPrefix(rest[i:], " ")
	return r, true
}

// timeOfDay is the time of a record without the date.
func (r Record) timeOfDay() string {
	if _, t, dated := strings.Cut(r.Time, "T"); dated {
		return t
	}
	return r.Time
}

// Session is the tag with its number and without the object: SMTPI-000123.
func (r Record) Session() string {
	s, _, _ := strings.Cut(r.Tag, "(")
	return s
}

// matcher makes one function of all that a query asks for.
func (q Query) matcher() (func(Record) bool, error) {
	tag, text := strings.ToUpper(q.Tag), strings.ToLower(q.Text)
	var re *regexp.Regexp
	if q.Regexp && q.Text != "" {
		var err error
		if re, err = regexp.Compile("(?i)" + q.Text); err != nil {
			return nil, fault.Newf("logs.Read", fault.Invalid, "%q is not a regular expression", q.Text)
		}
	}
	return func(r Record) bool {
		switch {
		case r.Level > q.Level, tag != "" && !strings.HasPrefix(strings.ToUpper(r.Tag), tag):
			return false
		case q.Since != "" && r.timeOfDay() < q.Since, q.Until != "" && r.timeOfDay()[:min(len(r.timeOfDay()), len(q.Until))] > q.Until:
			return false
		case re != nil && !re.MatchString(r.Tag+" "+r.Text):
			return false
		case re == nil && text != "" && !strings.Contains(strings.ToLower(r.Tag+" "+r.Text), text):
			return false
		}
		return q.Keep == nil || q.Keep(r)
	}, nil
}

// Values reads the key=value pairs at the end of a record's text.
func (r Record) Values() map[string]string {
	out := map[string]string{}
	text := r.Text
	for {
		i := strings.IndexByte(text, '=')
		if i < 0 {
			return out
		}
		key := text[strings.LastIndexByte(text[:i], ' ')+1 : i]
		text = text[i+1:]
		value := text
		if quoted, err := strconv.QuotedPrefix(text); err == nil {
			value, text = quoted, text[len(quoted):]
			if plain, err := strconv.Unquote(quoted); err == nil {
				value = plain
			}
		} else {
			value, text, _ = strings.Cut(text, " ")
		}
		out[key] = value
		text = strings.TrimPrefix(text, " ")
	}
}
