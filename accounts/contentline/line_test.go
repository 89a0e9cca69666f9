package contentline

import (
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

func lines(t *testing.T, text string, lenient bool) []Line {
	t.Helper()
	s := NewScanner(text)
	s.Lenient = lenient
	var all []Line
	for {
		l, err := s.Next()
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		all = append(all, l)
	}
}

func TestLines(t *testing.T) {
	p := func(name string, values ...string) Param { return Param{name, values} }
	for _, c := range []struct {
		text string
		want Line
	}{
		{"SUMMARY:x", Line{Name: "SUMMARY", Value: "x"}},
		{"summary:x\r\n", Line{Name: "SUMMARY", Value: "x"}},
		{"SUMMARY:", Line{Name: "SUMMARY"}},
		{"SUMMARY:a:b;c=d,e\r\n", Line{Name: "SUMMARY", Value: "a:b;c=d,e"}},
		{`SUMMARY:a\, b\nc`, Line{Name: "SUMMARY", Value: `a\, b\nc`}},
		{"item1.TEL:1", Line{Group: "item1", Name: "TEL", Value: "1"}},
		// Folds: a line break and one space or tab go, what follows stays (RFC 5545 section 3.1).
		{"SUM\r\n MARY:one\r\n  two\r\n\tthree\r\n", Line{Name: "SUMMARY", Value: "one twothree"}},
		{"SUMMARY:x\n y\n", Line{Name: "SUMMARY", Value: "xy"}},
		{"SUMMARY;LANGU\r\n AGE=de:x\r\n", Line{Name: "SUMMARY", Params: []Param{p("LANGUAGE", "de")}, Value: "x"}},
		{"SUMMARY:\xc3\r\n \x84rger\r\n", Line{Name: "SUMMARY", Value: "Ärger"}},
		{"SUMMARY:\xf0\x9f\r\n \x8e\n \x82!\r\n", Line{Name: "SUMMARY", Value: "🎂!"}},
		{"SUMMARY:x\r\n \r\n y\r\n", Line{Name: "SUMMARY", Value: "xy"}},
		// Parameters.
		{"A;X=1;Y=2:v", Line{Name: "A", Params: []Param{p("X", "1"), p("Y", "2")}, Value: "v"}},
		{"A;x=1,2,3:v", Line{Name: "A", Params: []Param{p("X", "1", "2", "3")}, Value: "v"}},
		{`A;X="a:b;c,d",e:v`, Line{Name: "A", Params: []Param{p("X", "a:b;c,d", "e")}, Value: "v"}},
		{`A;X="":v`, Line{Name: "A", Params: []Param{p("X", "")}, Value: "v"}},
		{`A;X=:v`, Line{Name: "A", Params: []Param{p("X", "")}, Value: "v"}},
		{`A;X=a b=c:v`, Line{Name: "A", Params: []Param{p("X", "a b=c")}, Value: "v"}},
		// RFC 6868.
		{`A;CN=Anna ^'Nan^' ^^ x^ny:v`, Line{Name: "A", Params: []Param{p("CN", "Anna \"Nan\" ^ x\ny")}, Value: "v"}},
		{`A;CN="Rock^nRoll, ^'N^'; a^b^":v`, Line{Name: "A", Params: []Param{p("CN", "Rock\nRoll, \"N\"; a^b^")}, Value: "v"}},
		{`A;CN=^^n:^n`, Line{Name: "A", Params: []Param{p("CN", "^n")}, Value: "^n"}},
	} {
		all := lines(t, c.text, false)
		if len(all) != 1 {
			t.Errorf("%q: %d lines", c.text, len(all))
			continue
		}
		got := all[0]
		if got.Number != 1 || got.Start != 0 || got.End != len(c.text) {
			t.Errorf("%q: line %d, bytes %d to %d", c.text, got.Number, got.Start, got.End)
		}
		got.Number, got.Start, got.End = 0, 0, 0
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%q:\ngot  %+v\nwant %+v", c.text, got, c.want)
		}
	}
}

func TestLineNumbersAndBytes(t *testing.T) {
	const text = "\ufeffA:1\r\nB:2\r\n 3\r\n\r\nC:4\n\nD:5"
	var names []string
	for _, l := range lines(t, text, false) {
		names = append(names, l.Name+text[l.Start:l.End])
		if want := map[string]int{"A": 1, "B": 2, "C": 5, "D": 7}[l.Name]; l.Number != want {
			t.Errorf("%s is in line %d, want %d", l.Name, l.Number, want)
		}
	}
	if want := []string{"AA:1\r\n", "BB:2\r\n 3\r\n", "CC:4\n", "DD:5"}; !reflect.DeepEqual(names, want) {
		t.Errorf("%q", names)
	}
}

func TestLenientLines(t *testing.T) {
	all := lines(t, "TEL;HOME;VOICE:1\nN;QUOTED-PRINTABLE;CHARSET=UTF-8:=C3=84=\nb\nPHOTO;BASE64:AAAA\nX;:y\n", true)
	for i, want := range []Line{
		{Name: "TEL", Params: []Param{{"TYPE", []string{"HOME"}}, {"TYPE", []string{"VOICE"}}}, Value: "1"},
		{Name: "N", Params: []Param{{"ENCODING", []string{"QUOTED-PRINTABLE"}}, {"CHARSET", []string{"UTF-8"}}}, Value: "=C3=84=\r\nb"},
		{Name: "PHOTO", Params: []Param{{"ENCODING", []string{"BASE64"}}}, Value: "AAAA"},
		{Name: "X", Value: "y"},
	} {
		got := all[i]
		got.Number, got.Start, got.End = 0, 0, 0
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
}

func TestBadLines(t *testing.T) {
	for text, line := range map[string]int{
		"x": 1, ":x": 1, "A:1\nB\nC:3": 2, "A;:x": 1, "A;X:y": 1, `A;X="y:z`: 1, `A;X="y"z:v`: 1, "A;X=1": 1, ".A:x": 1, "A..B:x": 1,
		"A;X=1;=2:v": 1, " A:x": 1, "Ä:x": 1, "A:1\r\n B\r\nC\r\n": 3,
		"A;" + strings.Repeat("X=1;", MaxParams) + "Y=2:v":                   1,
		"A;X=" + strings.Repeat("1,", MaxParams) + "2:v":                     1,
		"A:1\nB:" + strings.Repeat("x", MaxLine):                             2,
		"A:" + strings.Repeat(strings.Repeat("x", 999)+"\n ", MaxLine/999+2): 1,
	} {
		s := NewScanner(text)
		var err error
		for err == nil {
			_, err = s.Next()
		}
		var syntax *SyntaxError
		if !errors.As(err, &syntax) || syntax.Line != line || syntax.Reason == "" {
			t.Errorf("%.40q: %v", text, err)
		}
	}
	all := lines(t, "A:"+strings.Repeat("x", MaxLine-2)+"\nB;X="+strings.TrimSuffix(strings.Repeat("1,", MaxParams), ",")+":v", false)
	if len(all) != 2 || len(all[0].Value) != MaxLine-2 || len(all[1].Params[0].Values) != MaxParams {
		t.Error("a line at the limits is not read")
	}
}

func TestFold(t *testing.T) {
	for _, text := range []string{"", "A:x", "A:" + strings.Repeat("x", 73), "A:" + strings.Repeat("x", 74), "A:" + strings.Repeat("x", 500),
		"A:" + strings.Repeat("ä", 200), "A:" + strings.Repeat("x", 72) + "🎂🎂", "A:" + strings.Repeat("🎂", 80)} {
		folded := string(Fold(nil, text))
		for l := range strings.SplitSeq(strings.TrimSuffix(folded, "\r\n"), "\r\n") {
			if len(l) > 75 || !utf8.ValidString(l) {
				t.Errorf("%.20q: a line of %d bytes, or with a broken character: %q", text, len(l), l)
			}
		}
		if back := strings.TrimSuffix(strings.ReplaceAll(folded, "\r\n ", ""), "\r\n"); back != text {
			t.Errorf("%.20q comes back as %q", text, back)
		}
	}
	if got := string(Fold(nil, "A:x\r\nEND:VEVENT")); got != "A:xEND:VEVENT\r\n" {
		t.Errorf("a line break in a value: %q", got)
	}
}

func TestAppendParam(t *testing.T) {
	for _, c := range []struct {
		values []string
		want   string
	}{
		{[]string{"x"}, ";A=x"}, {[]string{"x", "y"}, ";A=x,y"}, {[]string{"a,b"}, `;A="a,b"`}, {[]string{"a:b", "c"}, `;A="a:b",c`},
		{[]string{`say "x"; y`}, `;A="say ^'x^'; y"`}, {[]string{"a^b\nc"}, ";A=a^^b^nc"}, {[]string{"a\x00\rb"}, ";A=ab"}, {nil, ";A"},
	} {
		if got := string(AppendParam(nil, "A", c.values...)); got != c.want {
			t.Errorf("%q: %s, want %s", c.values, got, c.want)
		}
	}
}

func TestText(t *testing.T) {
	for raw, want := range map[string]string{`a\, b\; c\\d\ne\Nf`: "a, b; c\\d\ne\nf", `x\`: `x\`, "": "", `\x`: "x", "a:b": "a:b"} {
		if got := UnescapeText(raw); got != want {
			t.Errorf("%q: %q, want %q", raw, got, want)
		}
	}
	for _, v := range []string{"a, b; c\\d\ne", "", "\\", ";;", "\n\n"} {
		if got := UnescapeText(EscapeText(v)); got != v {
			t.Errorf("%q comes back as %q", v, got)
		}
	}
	if got := EscapeText("a\r\nb\rc"); got != `a\nb\nc` {
		t.Errorf("line breaks: %q", got)
	}
	if got := Split(`a\;b;c;;\\;d`, ';'); !reflect.DeepEqual(got, []string{`a\;b`, "c", "", `\\`, "d"}) {
		t.Errorf("split: %q", got)
	}
}

func TestTextMatch(t *testing.T) {
	for _, c := range []struct {
		value, text string
		collation   Collation
		mode        Mode
		want        bool
	}{
		{"abc", "xABCx", ASCIICasemap, Contains, true}, {"abc", "xABCx", Octet, Contains, false}, {"ärger", "ÄRGER", ASCIICasemap, Contains, false},
		{"ärger", "ÄRGER", UnicodeCasemap, Contains, true}, {"a\u0308rger", "Ärger", UnicodeCasemap, Equals, true}, {"straße", "STRASSE", UnicodeCasemap, Equals, true},
		{"ab", "abc", Octet, Equals, false}, {"ab", "abc", Octet, StartsWith, true}, {"bc", "abc", Octet, EndsWith, true}, {"bc", "abc", Octet, StartsWith, false},
		{"", "abc", ASCIICasemap, Contains, true}, {"иван", "ИВАН", UnicodeCasemap, Contains, true},
	} {
		m := TextMatch{Value: c.value, Collation: c.collation, Mode: c.mode}
		if m.Found(c.text) != c.want {
			t.Errorf("%q in %q, collation %d, mode %d: %v", c.value, c.text, c.collation, c.mode, !c.want)
		}
	}
	if _, err := ParseCollation("i;basic"); err == nil {
		t.Error("an unknown collation is taken")
	}
	if _, err := ParseMode("near"); err == nil {
		t.Error("an unknown match type is taken")
	}
}

func TestValidateText(t *testing.T) {
	for text, line := range map[string]int{"A:x\r\n\ty\n": 0, "A:Ä🎂\r\n": 0, "A:1\nB:\x01": 2, "A:\x00": 1, "A:1\nB:2\nC:\xff": 3, "A:\xc3\r\n \x84": 1, "A:x\ry": 1, "A:\ufffe": 1,
		"A:\x7f": 0, "A:\xed\xa0\x80": 1} {
		err := ValidateText(text, 1)
		var syntax *SyntaxError
		if line == 0 && err != nil || line > 0 && (!errors.As(err, &syntax) || syntax.Line != line) {
			t.Errorf("%q: %v, want line %d", text, err, line)
		}
	}
}

// FuzzLines reads any text: what it understands is written and read again as the same, and the bytes of lines add up.
func FuzzLines(f *testing.F) {
	for _, text := range []string{"SUMMARY:x\r\n y\r\n", `A;CN="Rock^nRoll, ^'N^'":v`, "item1.TEL;HOME:1\n", "N;QUOTED-PRINTABLE:=C3=\nb\n", "A:\xc3\r\n \x84", "\ufeffA:1"} {
		f.Add(text, false)
		f.Add(text, true)
	}
	f.Fuzz(func(t *testing.T, text string, lenient bool) {
		s := NewScanner(text)
		s.Lenient = lenient
		at, number := 0, 0
		for {
			l, err := s.Next()
			if err != nil {
				break
			}
			if l.Start < at || l.End <= l.Start || l.End > len(text) || l.Number <= number {
				t.Fatalf("line %d at %d to %d, after line %d to %d", l.Number, l.Start, l.End, number, at)
			}
			at, number = l.End, l.Number
			written := l.Append(nil)
			again, err := NewScanner(string(written)).Next()
			if err != nil {
				t.Fatalf("%q is written as %q: %v", text[l.Start:l.End], written, err)
			}
			// Line breaks within a value, and control characters within parameters, cannot be written.
			if again.Name != l.Name || again.Group != l.Group || again.Value != strings.NewReplacer("\r", "", "\n", "").Replace(l.Value) || len(again.Params) != len(l.Params) {
				t.Fatalf("%q is read as %+v, written as %q and read as %+v", text[l.Start:l.End], l, written, again)
			}
			for i, p := range l.Params {
				for j, v := range p.Values {
					clean := strings.Map(func(r rune) rune {
						if r < ' ' && r != '\n' && r != '\t' || r == 0x7f {
							return -1
						}
						return r
					}, v)
					if utf8.ValidString(v) && again.Params[i].Values[j] != clean {
						t.Fatalf("%q: the parameter %s is %q and comes back as %q", text, p.Name, v, again.Params[i].Values[j])
					}
				}
			}
		}
	})
}
