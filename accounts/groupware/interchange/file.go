package interchange

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// File is a file of calendars or contacts.
type File struct {
	// Objects are in the order in which they begin.
	Objects []Object
	// Problems are what is no object.
	Problems []Problem

	r     io.ReaderAt
	roots []root
}

// Object is a calendar object or a card.
type Object struct {
	// Component is VEVENT, VTODO ..., or VCARD.
	Component string
	// UID is "" where the file has none.
	UID string
	// Line is that on which it begins, from 1.
	Line int

	root  int
	parts []part
}

// Problem is a place in a file that is not understood.
type Problem struct {
	Line   int
	Reason string
}

// part is a component in the file.
type part struct {
	start, end int64
	line       int
}

// root is a VCALENDAR of the file.
type root struct {
	product string
	zones   map[string]part // VTIMEZONE by TZID
}

// maxCapture bounds what is remembered of a line.
const maxCapture = 4096

// maxProblems bounds the problems of a file; the last says that there are more.
const maxProblems = 1000

// Open reads the index of a file of so many bytes. The error is that of the reader; a file that is neither iCalendar nor
// vCard has a Problem.
func Open(r io.ReaderAt, size int64) (*File, error) {
	f := &File{r: r}
	x := indexer{file: f, lines: bufio.NewReaderSize(io.NewSectionReader(r, 0, size), 64<<10), byUID: map[string]int{}}
	err := x.run()
	if err == nil && len(f.roots) == 0 && len(f.Objects) == 0 && len(f.Problems) == 0 {
		f.Problems = []Problem{{1, "there is neither a calendar nor a card in the file"}}
	}
	slices.SortStableFunc(f.Problems, func(a, b Problem) int { return a.Line - b.Line })
	return f, err
}

// indexer goes through a file line by line.
type indexer struct {
	file  *File
	lines *bufio.Reader
	at    int64 // bytes before the present line
	line  int
	byUID map[string]int

	stack   []string // of open components
	top     part     // the component below VCALENDAR, or the card
	bad     bool     // top is not well-formed
	uid, tz string
	want    *string // where the logical line goes
	head    string
}

func (x *indexer) run() error {
	for {
		text, length, err := x.read()
		if length > 0 {
			x.line++
			start := x.at
			x.at += int64(length)
			x.take(text, start)
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
	}
	x.value()
	for len(x.stack) > 0 {
		x.unfinished()
		x.stack = nil
	}
	return nil
}

// read returns the beginning of the next line without its end, and its length.
func (x *indexer) read() (text []byte, length int, err error) {
	piece, err := x.lines.ReadSlice('\n')
	text = piece[:min(len(piece), maxCapture)]
	length = len(piece)
	if errors.Is(err, bufio.ErrBufferFull) {
		text = bytes.Clone(text)
		for errors.Is(err, bufio.ErrBufferFull) {
			piece, err = x.lines.ReadSlice('\n')
			length += len(piece)
		}
	}
	return bytes.TrimRight(text, "\r\n"), length, err
}

func (x *indexer) problem(line int, format string, args ...any) {
	switch n := len(x.file.Problems); {
	case n < maxProblems:
		x.file.Problems = append(x.file.Problems, Problem{line, fmt.Sprintf(format, args...)})
	case n == maxProblems:
		x.file.Problems = append(x.file.Problems, Problem{line, "there are more problems from here on"})
	}
}

// value ends the logical line that is remembered.
func (x *indexer) value() {
	if x.want == nil {
		return
	}
	_, v, _ := strings.Cut(x.head, ":")
	if *x.want == "" {
		*x.want = strings.TrimSpace(v)
	}
	x.want, x.head = nil, ""
}

func (x *indexer) take(text []byte, start int64) {
	if x.line == 1 {
		text = bytes.TrimPrefix(text, []byte("\ufeff"))
	}
	if len(text) > 0 && (text[0] == ' ' || text[0] == '\t') {
		if x.want != nil && len(x.head) < maxCapture {
			x.head += string(text[1:])
		}
		return
	}
	x.value()
	end := bytes.IndexAny(text, ":;")
	if end < 0 {
		if len(x.stack) == 0 && len(bytes.TrimSpace(text)) > 0 {
			x.problem(x.line, "%.40q stands outside of a calendar or card", text)
		}
		return
	}
	name := strings.ToUpper(string(text[:end]))
	if dot := strings.LastIndexByte(name, '.'); dot >= 0 {
		name = name[dot+1:]
	}
	switch name {
	case "BEGIN":
		x.begin(strings.ToUpper(strings.TrimSpace(string(text[end+1:]))), start)
	case "END":
		x.end(strings.ToUpper(strings.TrimSpace(string(text[end+1:]))))
	case "UID":
		if x.depth() == x.level() {
			x.want, x.head = &x.uid, string(text)
		}
	case "TZID":
		if len(x.stack) == 2 {
			x.want, x.head = &x.tz, string(text)
		}
	case "PRODID":
		if len(x.stack) == 1 && x.stack[0] == "VCALENDAR" {
			x.want, x.head = &x.file.roots[len(x.file.roots)-1].product, string(text)
		}
	default:
		if len(x.stack) == 0 {
			x.problem(x.line, "%.40s stands outside of a calendar or card", name)
		}
	}
}

func (x *indexer) depth() int { return len(x.stack) }

// level is the depth of objects: 1 for cards, 2 for components of a calendar.
func (x *indexer) level() int {
	if len(x.stack) > 0 && x.stack[0] == "VCALENDAR" {
		return 2
	}
	return 1
}

func isObject(name string) bool {
	switch name {
	case "VEVENT", "VTODO", "VJOURNAL", "VFREEBUSY", "VTIMEZONE", "VAVAILABILITY", "VPOLL":
		return true
	}
	return false
}

func (x *indexer) begin(name string, start int64) {
	switch {
	case name == "VCALENDAR" && x.depth() > 0:
		x.unfinished()
		x.stack = nil
	case x.depth() >= 2 && x.level() == 2 && isObject(name):
		x.unfinished()
		x.stack = x.stack[:1]
	}
	if x.depth() == 0 {
		switch name {
		case "VCALENDAR":
			x.file.roots = append(x.file.roots, root{zones: map[string]part{}})
		case "VCARD":
		default:
			x.problem(x.line, "%.40s stands outside of a calendar or card", name)
			return
		}
	}
	x.stack = append(x.stack, name)
	if x.depth() == x.level() && name != "VCALENDAR" {
		x.top, x.bad, x.uid, x.tz = part{start: start, line: x.line}, false, "", ""
	}
	if x.depth() > 100 {
		x.bad = true
		x.stack = x.stack[:100]
	}
}

// unfinished says that the open object has no END.
func (x *indexer) unfinished() {
	if x.depth() >= x.level() {
		x.problem(x.top.line, "%s has no END", x.stack[x.level()-1])
	} else {
		x.problem(x.line, "%s has no END", x.stack[0])
	}
}

func (x *indexer) end(name string) {
	i := len(x.stack) - 1
	for ; i >= 0 && x.stack[i] != name; i-- {
	}
	if i < 0 {
		if x.depth() == 0 {
			x.problem(x.line, "END:%.40s has no BEGIN", name)
		}
		x.bad = true
		return
	}
	if i < len(x.stack)-1 { // inner ones are not ended
		if i+1 < x.level() {
			x.unfinished()
			x.stack = x.stack[:i]
			return
		}
		x.bad = true
	}
	level := x.level()
	x.stack = x.stack[:i]
	if i+1 != level {
		return
	}
	if x.bad {
		x.problem(x.top.line, "%s is not well-formed: its BEGIN and END do not match", name)
		return
	}
	x.top.end = x.at
	x.add(name)
}

func (x *indexer) add(name string) {
	current := len(x.file.roots) - 1
	if name == "VTIMEZONE" {
		x.file.roots[current].zones[strings.Trim(x.tz, `"`)] = x.top
		return
	}
	o := Object{Component: name, UID: x.uid, Line: x.top.line, root: current, parts: []part{x.top}}
	if name != "VCARD" && x.uid != "" {
		key := name + " " + x.uid
		if n, ok := x.byUID[key]; ok {
			x.file.Objects[n].parts = append(x.file.Objects[n].parts, x.top)
			return
		}
		x.byUID[key] = len(x.file.Objects)
	}
	x.file.Objects = append(x.file.Objects, o)
}
