package smtp

import (
	"strings"
	"testing"
)

// headerEnds are messages as they come in and as they are stored behind the
// trace field. The header ends at the first line that is no field.
var headerEnds = map[string]struct{ sent, stored string }{
	"no header":            {"hello\r\n", "\r\nhello\r\n"},
	"no header, blank":     {" hello\r\n", "\r\n hello\r\n"},
	"no header, colon":     {"well then: hello\r\n", "\r\nwell then: hello\r\n"},
	"no header, two lines": {"hello\r\nSubject: x\r\n\r\ny\r\n", "\r\nhello\r\nSubject: x\r\n\r\ny\r\n"},
	"mbox line later":      {"Subject: x\r\nFrom a@b.example Mon Nov 24 10:00:00 2026\r\n\r\ny\r\n", "Subject: x\r\n\r\nFrom a@b.example Mon Nov 24 10:00:00 2026\r\n\r\ny\r\n"},
	"empty line missing":   {"Subject: x\r\n folded\r\nTo : y\r\nhello\r\n\r\nmore\r\n", "Subject: x\r\n folded\r\nTo : y\r\n\r\nhello\r\n\r\nmore\r\n"},
	"name of UTF-8":        {"Subject: x\r\nÜ: y\r\n", "Subject: x\r\n\r\nÜ: y\r\n"},
	"colon without name":   {"Subject: x\r\n: y\r\n", "Subject: x\r\n\r\n: y\r\n"},
	"blanks":               {"Subject: x\r\n \r\n\t\r\nTo: y\r\n", "Subject: x\r\n \r\n\t\r\nTo: y\r\n"},
	"header only":          {"Subject: x\r\n", "Subject: x\r\n"},
	"body only":            {"\r\nhello\r\n", "\r\nhello\r\n"},
	"complete":             {"Subject: x\r\nDKIM-Signature: a=b;\r\n\tc\r\n\r\nhello\r\n", "Subject: x\r\nDKIM-Signature: a=b;\r\n\tc\r\n\r\nhello\r\n"},
	"long line":            {strings.Repeat("x", 5000) + ": y\r\n", "\r\n" + strings.Repeat("x", 5000) + ": y\r\n"},
	"long value":           {"X: " + strings.Repeat("y:", 5000) + "\r\n\r\nz\r\n", "X: " + strings.Repeat("y:", 5000) + "\r\n\r\nz\r\n"},
}

// starts are messages that begin with what is no header, as they come in and as they are stored.
var starts = map[string]struct{ sent, stored string }{
	"mbox line":            {"From a@b.example Mon Nov 24 10:00:00 2026\r\nSubject: x\r\n\r\ny\r\n", "Mailbox-Line: From a@b.example Mon Nov 24 10:00:00 2026\r\nSubject: x\r\n\r\ny\r\n"},
	"mbox line, quoted":    {">From a@b.example Mon Nov 24 10:00:00 2026\r\nSubject: x\r\n\r\ny\r\n", "Mailbox-Line: >From a@b.example Mon Nov 24 10:00:00 2026\r\nSubject: x\r\n\r\ny\r\n"},
	"mbox line, no header": {"From a@b.example Mon Nov 24 10:00:00 2026\r\nhello\r\n", "Mailbox-Line: From a@b.example Mon Nov 24 10:00:00 2026\r\n\r\nhello\r\n"},
	"byte order mark":      {"\ufeffSubject: x\r\n\r\n\ufeffy\r\n", "Subject: x\r\n\r\n\ufeffy\r\n"},
	"mark and mbox line":   {"\ufeffFrom a@b\r\nSubject: x\r\n\r\ny\r\n", "Mailbox-Line: From a@b\r\nSubject: x\r\n\r\ny\r\n"},
	"mark, no header":      {"\ufeffhello\r\n", "\r\nhello\r\n"},
	"mark, empty line":     {"\ufeff\r\nhello\r\n", "\r\nhello\r\n"},
	"field From":           {"From : a@b.example\r\n\r\ny\r\n", "From : a@b.example\r\n\r\ny\r\n"},
	"field From, tab":      {"From \t: a@b.example\r\n\r\ny\r\n", "From \t: a@b.example\r\n\r\ny\r\n"},
	"From alone":           {"From\r\n\r\ny\r\n", "\r\nFrom\r\n\r\ny\r\n"},
	"From and a blank":     {"From \r\n\r\ny\r\n", "\r\nFrom \r\n\r\ny\r\n"},
	"part of a mark":       {"\xef\xbb\r\n", "\r\n\xef\xbb\r\n"},
}

func TestHeaderEndsAtTheFirstLineThatIsNoField(t *testing.T) { testStored(t, headerEnds) }

func TestStartOfAFileIsNoText(t *testing.T) { testStored(t, starts) }

// testStored sends messages in each way that there is.
func testStored(t *testing.T, messages map[string]struct{ sent, stored string }) {
	for _, verb := range []string{"DATA", "BDAT", "BINARYMIME"} {
		bubble(t, nil, func(t *testing.T, s *site) {
			c := s.connect(25, "198.51.100.7")
			c.say("EHLO mx.example.net", "250-")
			var names []string
			for name, m := range messages {
				names = append(names, name)
				switch verb {
				case "DATA":
					c.mail("<a@example.net>", strings.TrimSuffix(m.sent, "\r\n"), "<larry@company.com>")
					continue
				case "BDAT":
					c.say("MAIL FROM:<a@example.net>", "250 ")
				case "BINARYMIME":
					c.say("MAIL FROM:<a@example.net> BODY=BINARYMIME", "250 ")
				}
				c.say("RCPT TO:<larry@company.com>", "250 ")
				cut := min(len(m.sent), 3)
				c.bdat(m.sent[:cut], false, "250 ")
				c.bdat(m.sent[cut:], true, "250 ")
			}
			for i, m := range s.received() {
				_, got, _ := strings.Cut(m.text, " +0000\n")
				want := strings.ReplaceAll(messages[names[i]].stored, "\r\n", "\n")
				if got != want {
					t.Errorf("%s, %s: stored %q, want %q", verb, names[i], got, want)
				}
			}
		})
	}
}

// filterInPieces gives a message to the filter in pieces of a size.
func filterInPieces(text string, size int) string {
	var h headerEnd
	var got []byte
	for rest, done := text, false; rest != ""; {
		n := min(size, len(rest))
		if rest[n-1] == '\r' {
			n++ // text never ends between CR and LF
		}
		out := []byte(rest[:n])
		if !done {
			out, done, _ = h.write(out)
		}
		got, rest = append(got, out...), rest[n:]
	}
	held, _ := h.close()
	return string(append(got, held...))
}

func TestStartInPieces(t *testing.T) {
	for name, m := range starts {
		for _, size := range []int{1, 2, 3, 4, 5, 6, 7, 1000} {
			var start messageStart
			var got []byte
			for i := 0; i < len(m.sent); i += size {
				got = append(got, start.next([]byte(m.sent[i:min(i+size, len(m.sent))]))...)
			}
			got = append(got, start.rest()...)
			if filtered := filterInPieces(string(got), len(got)); filtered != m.stored {
				t.Errorf("%s, pieces of %d: %q, want %q", name, size, filtered, m.stored)
			}
		}
	}
	for _, whole := range []string{"", "F", "From ", ">From", "\xef\xbb", "\ufeff", "\ufeffFr"} {
		var start messageStart
		if got := string(start.next([]byte(whole))) + string(start.rest()); got != whole {
			t.Errorf("%q: %q", whole, got)
		}
	}
}

func TestHeaderEndInPieces(t *testing.T) {
	for name, m := range headerEnds {
		for _, size := range []int{1, 2, 3, 7, 1000, 1 << 20} {
			if got := filterInPieces(m.sent, size); got != m.stored {
				t.Errorf("%s, pieces of %d: %q, want %q", name, size, got, m.stored)
			}
		}
	}
}

// FuzzHeaderEnd: nothing but one empty line is added, and in the same place
// however the input is cut.
func FuzzHeaderEnd(f *testing.F) {
	for _, m := range headerEnds {
		f.Add(m.sent, 2)
	}
	f.Fuzz(func(t *testing.T, text string, cut int) {
		text = repairWhole(text)
		whole := filterInPieces(text, max(1, len(text)))
		if pieces := filterInPieces(text, max(1, min(cut, len(text)))); pieces != whole {
			t.Fatalf("%q in pieces of %d: %q, whole %q", text, cut, pieces, whole)
		}
		if whole == text {
			return
		}
		at := 0
		for at < len(text) && whole[at] == text[at] {
			at++
		}
		at = strings.LastIndex(text[:at], "\n") + 1
		if whole != text[:at]+"\r\n"+text[at:] {
			t.Fatalf("%q became %q", text, whole)
		}
	})
}
