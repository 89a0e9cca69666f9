package relay

import (
	"bufio"
	"bytes"
	"strings"
	"testing"

	"gatepost/queue/envelope"
	"gatepost/server/settings"
)

func TestDotWriterAnyCut(t *testing.T) {
	for text, want := range map[string]string{
		"":                 ".\r\n",
		"a\r\n":            "a\r\n.\r\n",
		"no end":           "no end\r\n.\r\n",
		".\r\n..\r\n":      "..\r\n...\r\n.\r\n",
		"a\n.\nb\r.\r\r\n": "a\r\n..\r\nb\r\n..\r\n\r\n.\r\n",
		"end\r":            "end\r\n.\r\n",
		"\r\n.\r\n":        "\r\n..\r\n.\r\n",
	} {
		for cut := 1; cut <= max(1, len(text)); cut++ {
			var out bytes.Buffer
			w := bufio.NewWriter(&out)
			d := dotWriter{w: w, start: true}
			for i := 0; i < len(text); i += cut {
				d.write([]byte(text[i:min(i+cut, len(text))]))
			}
			d.end()
			w.Flush()
			if out.String() != want || d.err != nil {
				t.Errorf("%q in pieces of %d: %q, want %q", text, cut, out.String(), want)
			}
		}
	}
}

// The message must end where we say, for every reader of line ends.
func FuzzDotWriter(f *testing.F) {
	f.Add("a\r\n.\r\nMAIL FROM:<x>\r\n", 3)
	f.Add("a\n.\nb\r.\r", 1)
	f.Fuzz(func(t *testing.T, text string, cut int) {
		cut = max(1, min(cut, len(text)))
		var out bytes.Buffer
		w := bufio.NewWriter(&out)
		d := dotWriter{w: w, start: true}
		for i := 0; i < len(text); i += cut {
			d.write([]byte(text[i:min(i+cut, len(text))]))
		}
		d.end()
		w.Flush()
		got := out.String()
		body, ok := strings.CutSuffix(got, ".\r\n")
		if !ok || strings.Count(got, "\r") != strings.Count(got, "\r\n") || strings.Count(got, "\n") != strings.Count(got, "\r\n") {
			t.Fatalf("%q gives %q", text, got)
		}
		for line := range strings.SplitSeq(body, "\r\n") {
			if line == "." {
				t.Fatalf("%q ends early: %q", text, got)
			}
		}
	})
}

func FuzzReadReply(f *testing.F) {
	for _, seed := range []string{"250 ok\r\n", "250-a\r\n250 b\r\n", "250-a\r\n251 b\r\n", "550 5.1.1 x\n", "25", "250\r\n", "999 x\r\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		rep, err := readReply(bufio.NewReaderSize(strings.NewReader(text), 4096))
		if err != nil {
			return
		}
		if rep.code < 200 || rep.code > 599 || len(rep.lines) == 0 || len(rep.lines) > maxReplyLines {
			t.Fatalf("%q: %+v", text, rep)
		}
		if c := rep.enhanced(); c[0] != 2 && c[0] != 4 && c[0] != 5 {
			t.Fatalf("%q: class %v", text, c)
		}
		st := rep.status("rejected by", "x")
		if st.Action == envelope.ActionFailed && st.Code[0] != 5 || st.Action == envelope.ActionDelayed && st.Code[0] != 4 {
			t.Fatalf("%q: %+v", text, st)
		}
	})
}

func TestParseHost(t *testing.T) {
	for text, want := range map[string]Host{
		"": {}, "mail.example.org": {Name: "mail.example.org", Port: 0}, "mail.example.org:587": {Name: "mail.example.org", Port: 587},
		"192.0.2.1": {Name: "192.0.2.1", Port: 0}, "192.0.2.1:25": {Name: "192.0.2.1", Port: 25}, "[2001:db8::1]": {Name: "2001:db8::1", Port: 0}, "[2001:db8::1]:25": {Name: "2001:db8::1", Port: 25},
	} {
		got, err := ParseHost(text)
		if err != nil || got != want {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
		if back, err := ParseHost(got.String()); err != nil || back != got {
			t.Errorf("%q reads back as %+v, %v", got.String(), back, err)
		}
	}
	for _, bad := range []string{"a b", "host:x", "host:99999", ":25", "a@b", "host/x"} {
		if h, err := ParseHost(bad); err == nil {
			t.Errorf("%q is %+v", bad, h)
		}
	}
	if err := settings.Check(new(Settings)); err != nil {
		t.Error(err)
	}
}
