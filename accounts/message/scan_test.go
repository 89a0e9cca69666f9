package message

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// nested returns multiparts within each other, not closed.
func nested(depth int) []byte {
	var b bytes.Buffer
	for i := range depth {
		fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i, i)
	}
	b.WriteString("\r\nat last\r\n")
	return b.Bytes()
}

// full repeats a text until it fills a header.
func full(text string) string { return strings.Repeat(text, (MaxHeader-100)/len(text)) }

// hostile are messages that made other parsers slow or greedy.
func hostile() map[string][]byte {
	same := strings.Repeat("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n", 20000)
	alternating := "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n" +
		"Content-Type: message/rfc822\r\n\r\n"
	return map[string][]byte{
		"10,000 nested multiparts":       nested(10000),
		"30,000 nested messages":         []byte(strings.Repeat("Content-Type: message/rfc822\r\n\r\n", 30000)),
		"one boundary for all":           []byte(same),
		"multiparts and messages":        []byte(strings.Repeat(alternating, 10000)),
		"100,000 empty parts":            []byte("Content-Type: multipart/mixed; boundary=b\r\n\r\n" + strings.Repeat("--b\r\n", 100000)),
		"100,000 empty digest parts":     []byte("Content-Type: multipart/digest; boundary=b\r\n\r\n" + strings.Repeat("--b\r\n\r\n", 100000)),
		"a header without end":           []byte("Subject: " + strings.Repeat("x", 8<<20)),
		"a folded header without end":    []byte("Subject: x" + strings.Repeat("\r\n y", 1<<20)),
		"addresses":                      []byte("To: " + full("a@b.example, ") + "\r\n\r\n"),
		"To fields":                      []byte(full("To: a@b.example\r\n") + "\r\n"),
		"group in group":                 []byte("To: " + full("g: ") + "\r\n\r\n"),
		"quotes":                         []byte("To: x" + full(`"`) + "\r\n\r\n"),
		"escaped quotes":                 []byte(`To: "` + full(`\"`) + "\r\n\r\n"),
		"escaped quotes in brackets":     []byte(`To: ` + full(`<"\",`) + "\r\n\r\n"),
		"comments":                       []byte("To: " + full("(") + "\r\n\r\n"),
		"escapes in a comment":           []byte("To: (" + full("\\") + "\r\n\r\n"),
		"brackets":                       []byte("To: " + full("<") + "\r\n\r\n"),
		"routes":                         []byte("To: " + full("<@a,") + "\r\n\r\n"),
		"one long route":                 []byte("To: <" + full("@a,") + "\r\n\r\n"),
		"literals":                       []byte("To: " + full("a@[") + "\r\n\r\n"),
		"parameters":                     []byte("Content-Type: text/plain" + full("; a=b") + "\r\n\r\n"),
		"continued parameters":           []byte("Content-Disposition: attachment" + full("; filename*1=b") + "\r\n\r\n"),
		"unterminated parameters":        []byte("Content-Type: text/plain" + full(`; a="`) + "\r\n\r\n"),
		"escaped parameters":             []byte("Content-Type: text/plain" + full(`; a="\"`) + "\r\n\r\n"),
		"comments in parameters":         []byte("Content-Type: text/plain" + full(`;(`) + "\r\n\r\n"),
		"comments behind names":          []byte("Content-Type: text/plain" + full(";a(") + "\r\n\r\n"),
		"comments in comments":           []byte("Content-Type: text/plain" + full(";a()")[:MaxHeader/2] + strings.Repeat(";a(", MaxHeader/16) + strings.Repeat(")", MaxHeader/16) + "\r\n\r\n"),
		"parameters without a name":      []byte("Content-Type: text/plain" + full(`;`) + "\r\n\r\n"),
		"languages":                      []byte("Content-Language: " + full(`a,`) + "\r\n\r\n"),
		"unterminated encoded-words":     []byte("Subject: " + full("=?a?q?") + "\r\n\r\n"),
		"encoded-words of many charsets": []byte("Subject: " + full("=?koi8-r?q?a?= =?big5?q?b?= ") + "\r\n\r\n"),
		"dates":                          []byte("Date: " + full("(") + "\r\n\r\n"),
		"lines of two dashes":            []byte("Content-Type: multipart/mixed; boundary=b\r\n\r\n" + strings.Repeat("--\r\n", 1<<20)),
		"empty lines":                    []byte(strings.Repeat("\r\n", 1<<20)),
		"page of tags":                   []byte("Content-Type: text/html\r\n\r\n" + strings.Repeat("<", 1<<20)),
		"page of styles":                 []byte("Content-Type: text/html\r\n\r\n" + strings.Repeat("<style>", 1<<18)),
		"page of entities":               []byte("Content-Type: text/html\r\n\r\n" + strings.Repeat("&#0;", 1<<18)),
	}
}

// TestHostileMessagesStayWithinTheLimits also guards the time: were anything quadratic in
// a megabyte, this would take minutes.
func TestHostileMessagesStayWithinTheLimits(t *testing.T) {
	for name, b := range hostile() {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			s := scan(t, b)
			runtime.ReadMemStats(&after)
			if got := after.TotalAlloc - before.TotalAlloc; got > 64<<20 {
				t.Errorf("allocated %d MB", got>>20)
			}
			if s.Size != int64(len(b)) {
				t.Errorf("size %d, read %d", s.Size, len(b))
			}
			verify(t, s)
		})
	}
}

// verify checks what must be true of every summary.
func verify(t testing.TB, s *Summary) {
	t.Helper()
	if parts, _ := count(s.Root); parts > 2*MaxParts {
		t.Errorf("%d parts", parts)
	}
	if n := len([]rune(s.Preview)); n > MaxPreview {
		t.Errorf("preview of %d characters", n)
	}
	verifyPart(t, s.Root, Span{0, s.Size}, 0)
	if s.Root.Header.Start != 0 || s.Root.Body.End != s.Size {
		t.Errorf("the root does not cover the message: %+v", s.Root)
	}
	verifyIMAP(t, s.Envelope)
	verifyIMAP(t, AppendBodyStructure(nil, s.Root, Extended))
	verifyIMAP(t, AppendBodyStructure(nil, s.Root, Extended|Rev2))
	verifyIMAP(t, AppendBodyStructure(nil, s.Root, 0))
	if got := AppendHeaderFields(nil, s.Headers, NewFieldNames(CachedFields[:]), false); string(got) != string(s.Headers) {
		t.Errorf("the cached header\n%q\nis read as\n%q", s.Headers, got)
	}
	u, err := Unmarshal(s.Marshal())
	if err != nil {
		t.Fatal(err)
	}
	if got, want := describeSummary(u), describeSummary(s); got != want {
		t.Errorf("after Unmarshal\n%s\nbefore Marshal\n%s", got, want)
	}
}

func verifyPart(t testing.TB, p *Part, around Span, depth int) {
	t.Helper()
	switch {
	case depth > MaxDepth:
		t.Fatalf("depth %d", depth)
	case p.Header.Start < around.Start || p.Body.End > around.End || p.Header.End < p.Header.Start ||
		p.Body.Start != p.Header.End || p.Body.End < p.Body.Start:
		t.Fatalf("part %+v outside of %v", p, around)
	case p.Type == "" || p.Subtype == "" || p.Encoding == "":
		t.Fatalf("part without a type or encoding: %+v", p)
	case (p.Type == "multipart") != (len(p.Children) > 0):
		t.Fatalf("%s with %d parts", p.Type, len(p.Children))
	case isMessage(p) != (p.Message != nil):
		t.Fatalf("%s/%s without a message", p.Type, p.Subtype)
	}
	end := p.Body.Start
	for _, c := range p.Children {
		verifyPart(t, c, Span{end, p.Body.End}, depth+1)
		end = c.Body.End
	}
	if p.Message != nil {
		verifyPart(t, p.Message.Root, p.Body, depth+1)
		if p.Message.Root.Header.Start != p.Body.Start || p.Message.Root.Body.End != p.Body.End {
			t.Fatalf("the message in %v is at %v-%v", p.Body, p.Message.Root.Header, p.Message.Root.Body)
		}
		verifyIMAP(t, p.Message.Envelope)
	}
}

// verifyIMAP reads a parenthesised list of the IMAP grammar to its end.
func verifyIMAP(t testing.TB, b []byte) {
	t.Helper()
	whole := b
	depth := 0
	for len(b) > 0 {
		switch c := b[0]; {
		case c == '(':
			depth++
		case c == ')':
			depth--
		case c == '"':
			end := 1
			for end < len(b) && b[end] != '"' {
				if b[end] == '\\' {
					end++
				}
				if end < len(b) && (b[end] >= 0x80 || b[end] == '\r' || b[end] == '\n' || b[end] == 0) {
					t.Fatalf("bad letter in a quoted string of %q", whole)
				}
				end++
			}
			if end >= len(b) {
				t.Fatalf("unterminated string in %q", whole)
			}
			b = b[end:]
		case c == '{':
			var n int
			if _, err := fmt.Sscanf(string(b[:min(len(b), 20)]), "{%d}", &n); err != nil {
				t.Fatalf("bad literal in %q", whole)
			}
			start := bytes.IndexByte(b, '\n') + 1
			if start == 0 || start+n > len(b) || bytes.IndexByte(b[start:start+n], 0) >= 0 {
				t.Fatalf("bad literal in %q", whole)
			}
			b = b[start+n-1:]
		case c == ' ', c == 'N', c == 'I', c == 'L', '0' <= c && c <= '9':
		default:
			t.Fatalf("unexpected %q in %q", c, whole)
		}
		b = b[1:]
		if depth == 0 && len(b) > 0 {
			t.Fatalf("%q behind the end of %q", b, whole)
		}
	}
	if depth != 0 {
		t.Fatalf("unbalanced: %q", whole)
	}
}

func TestLimitsCanBeLowered(t *testing.T) {
	b := nested(20)
	s, err := Scan(bytes.NewReader(b), Options{MaxDepth: 3})
	if err != nil {
		t.Fatal(err)
	}
	p := s.Root
	for range 3 {
		p = p.Children[0]
	}
	if p.Type != "application" || p.Subtype != "octet-stream" || p.Body.End != s.Size {
		t.Errorf("beyond the depth: %+v", p)
	}
	many := []byte("Content-Type: multipart/mixed; boundary=b\r\n\r\n" + strings.Repeat("--b\r\n\r\nx\r\n", 20) + "--b--\r\n")
	if s, err = Scan(bytes.NewReader(many), Options{MaxParts: 5}); err != nil || len(s.Root.Children) != 5 {
		t.Fatalf("%d parts besides the root, %v", len(s.Root.Children), err)
	}
	if before := s.Root.Children[3]; before.Body.Size() != 1 {
		t.Errorf("the part before the last was extended: %+v", before)
	}
	rest := strings.TrimSuffix(strings.Repeat("\r\nx\r\n--b\r\n", 16), "\r\n--b\r\n")
	if last := s.Root.Children[4]; string(many[last.Body.Start:last.Body.End]) != rest || last.Header.Size() != 0 ||
		last.Type != "application" || last.Subtype != "octet-stream" || last.Lines != 16*3-1 {
		t.Errorf("what remains is not the last part: %+v", last)
	}
	long := []byte("Subject: one\r\nFrom: a@example.com\r\n\r\n")
	if s, err = Scan(bytes.NewReader(long), Options{MaxHeader: 18}); err != nil || s.Subject != "one" || s.Root.Header.End != int64(len(long)) {
		t.Errorf("long header: %+v %v", s, err)
	}
	if string(s.Headers) != "Subject: one\r\nFrom\r\n" && string(s.Headers) != "Subject: one\r\n" {
		t.Errorf("kept %q", s.Headers)
	}
}

// Each multipart keeps what remains of it, and what is around goes on.
func TestPartsBeyondTheLimitStayWithTheirMultipart(t *testing.T) {
	b := []byte("Content-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\nContent-Type: multipart/mixed; boundary=i\r\n\r\n" +
		"--i\r\n\r\n1\r\n--i\r\n\r\n2\r\n--i\r\n\r\n3\r\n--i--\r\n--o\r\n\r\n4\r\n--i\r\n--o\r\n\r\n5\r\n--o--\r\nend\r\n")
	s, err := Scan(bytes.NewReader(b), Options{MaxParts: 3})
	if err != nil {
		t.Fatal(err)
	}
	verify(t, s)
	var got []string
	for _, path := range [][]int{{1, 1}, {1, 2}, {1, 3}, {2}, {3}} {
		if span, ok := s.Section(path, Whole); ok {
			got = append(got, string(b[span.Start:span.End]))
		}
	}
	if want := []string{"1", "\r\n2\r\n--i\r\n\r\n3", "\r\n4\r\n--i\r\n--o\r\n\r\n5"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// A message that ends within its header is told from one with an empty body.
func TestHeaderWithoutAnEmptyLine(t *testing.T) {
	for text, want := range map[string]bool{
		"": true, "Subject: x": true, "Subject: x\r\n": true, "Subject: x\r\n\r\n": false, "\r\n": false, "\n": false, "Subject: x\n\nb": false,
		"Content-Type: message/rfc822\r\n": true, "Content-Type: message/rfc822\r\n\r\nSubject: x\r\n": false,
	} {
		head, err := ScanHead(strings.NewReader(text), int64(len(text)), Options{})
		if s := scan(t, []byte(text)); err != nil || s.HeaderOnly != want || head.HeaderOnly != want {
			t.Errorf("%q: %v, ScanHead %v, %v", text, s.HeaderOnly, head.HeaderOnly, err)
		}
	}
}

func TestOnlyReadErrorsAreErrors(t *testing.T) {
	broken := errors.New("broken disk")
	r := io.MultiReader(strings.NewReader("Subject: x\r\n\r\nbody"), iotest.ErrReader(broken))
	if _, err := Scan(r, Options{}); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	if _, err := Scan(silent{}, Options{}); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("got %v", err)
	}
}

// silent is a Reader that never says anything.
type silent struct{}

func (silent) Read([]byte) (int, error) { return 0, nil }

func TestDelimiterAfterALineLongerThanTheBuffer(t *testing.T) {
	for _, extra := range []int{-2, -1, 0, 1, 2, bufferSize} {
		long := strings.Repeat("x", bufferSize+extra)
		b := []byte("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n" + long + "\r\n--b\r\n\r\nend\n--b--")
		for name, r := range map[string]io.Reader{
			"at once": bytes.NewReader(b), "half": iotest.HalfReader(bytes.NewReader(b)),
			"with data and EOF": iotest.DataErrReader(bytes.NewReader(b)),
		} {
			s, err := Scan(r, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if len(s.Root.Children) != 2 || s.Root.Children[0].Body.Size() != int64(len(long)) || s.Root.Children[0].Lines != 1 {
				t.Errorf("%s, %+d: %s", name, extra, describeSummary(s))
				continue
			}
			if last := s.Root.Children[1].Body; string(b[last.Start:last.End]) != "end" {
				t.Errorf("last part %q", b[last.Start:last.End])
			}
		}
	}
}

func TestLongFieldInPiecesIsOneField(t *testing.T) {
	b := []byte("Subject: " + strings.Repeat("x", 3*bufferSize) + "\r\nMessage-ID: <a@b>\r\n\r\nbody")
	s := scan(t, b)
	if s.MessageID != "<a@b>" || len(s.Subject) != 3*bufferSize || s.Root.Body.Size() != 4 {
		t.Errorf("message-id %q, subject of %d bytes, body %v", s.MessageID, len(s.Subject), s.Root.Body)
	}
}

func TestBareLineFeedsEndLinesToo(t *testing.T) {
	s := scan(t, []byte("Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\ntwo\n--b \t\n\nthree\n--b--\n"))
	if len(s.Root.Children) != 2 || s.Root.Children[0].Lines != 2 || s.Root.Children[0].Body.Size() != 7 {
		t.Errorf("%s", describeSummary(s))
	}
}

func TestPreviewOfManyKinds(t *testing.T) {
	for _, c := range []struct{ name, message, want string }{
		{"blanks", "\r\n  a \t b\r\n\r\nc  ", "a b c"},
		{"unseen", "Content-Type: text/plain; charset=utf-8\r\n\r\n\u034f \u200c\u034f a\u200bb\x00\x07", "ab"},
		{"unmarked 8-bit", "\r\nGr\xfc\xdfe", "Grüße"},
		{"charset", "Content-Type: text/plain; charset=koi8-r\r\n\r\n\xf0\xf2\xe9", "ПРИ"},
		{"long", "\r\n" + strings.Repeat("a", 300), strings.Repeat("a", 200)},
		{"long of short words", "\r\n" + strings.Repeat("a ", 300), strings.TrimSpace(strings.Repeat("a ", 100))},
		{"sparse", "\r\n" + strings.Repeat("\r\n", 1800) + "at last", "at last"},
		{"page", "Content-Type: text/html\r\n\r\n<head><title>t</title><body>a<b>b</b>c<br>d<p>e&lt;f</p>g<script>h</script><img/>i", "abc d e<f g i"},
		{"page without end of head", "Content-Type: text/html\r\n\r\n<head><body>a", "a"},
		{"attachment only", "Content-Disposition: attachment\r\n\r\nabc", ""},
		{"empty plain, then page", "Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>page</p>\r\n--b--\r\n", "page"},
		{"two plain", "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b\r\n\r\ntwo\r\n--b--\r\n", "one"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := scan(t, []byte(c.message)).Preview; got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// FuzzScan compares the spans with those of a reader that goes about it in another way,
// and checks what must be true of every summary.
// TestHeadIsReadWithoutTheBody lets the reader fail behind the header.
func TestHeadIsReadWithoutTheBody(t *testing.T) {
	for name, b := range corpus(t) {
		s := scan(t, b)
		end := s.Root.Header.End
		broken := io.MultiReader(bytes.NewReader(b[:end]), iotest.ErrReader(io.ErrUnexpectedEOF))
		if end == s.Size { // perhaps without an empty line
			broken = bytes.NewReader(b)
		}
		if h, err := ScanHead(broken, s.Size, Options{}); err != nil || !reflect.DeepEqual(h, s.Head) {
			t.Errorf("%s: %+v, %v; want %+v", name, h, err, s.Head)
		}
	}
	broken := io.MultiReader(strings.NewReader("Subject: x\r\n"), iotest.ErrReader(io.ErrUnexpectedEOF))
	if _, err := ScanHead(broken, 100, Options{}); err != io.ErrUnexpectedEOF {
		t.Errorf("a header that cannot be read: %v", err)
	}
}

func FuzzScan(f *testing.F) {
	for _, b := range corpus(f) {
		f.Add(b)
	}
	f.Add(nested(5))
	f.Add([]byte("Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/rfc822\n\n--b\n--b--\n--b\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := scan(t, b)
		verify(t, s)
		small, err := Scan(iotest.OneByteReader(bytes.NewReader(b)), Options{})
		if err != nil || describeSummary(small) != describeSummary(s) {
			t.Fatalf("byte by byte it differs: %v\n%s\n%s", err, describeSummary(small), describeSummary(s))
		}
		if h, err := ScanHead(bytes.NewReader(b), s.Size, Options{}); err != nil || !reflect.DeepEqual(h, s.Head) {
			t.Fatalf("the head alone is %+v, %v; want %+v", h, err, s.Head)
		}
		if want, ok := naiveSpans(b); ok && spans(s.Root, "") != want {
			t.Fatalf("spans\n%s\nwant\n%s", spans(s.Root, ""), want)
		}
	})
}

func spans(p *Part, indent string) string {
	s := fmt.Sprintf("%s%d %d %d\n", indent, p.Header.Start, p.Header.End, p.Body.End)
	for _, c := range p.Children {
		s += spans(c, indent+" ")
	}
	if p.Message != nil {
		s += spans(p.Message.Root, indent+"m")
	}
	return s
}
