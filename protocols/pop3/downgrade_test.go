package pop3

import (
	"mime"
	"net/mail"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestDowngradedHeaders(t *testing.T) {
	for _, test := range []struct{ field, want string }{
		{"Subject: Grüße aus Köln, Re: x\r\n", "Subject: =?utf-8?b?R3LDvMOfZQ==?= aus =?utf-8?b?S8O2bG4s?= Re: x\r\n"},
		{"Subject: Grüße\r\n Köln\r\n", "Subject: =?utf-8?b?R3LDvMOfZSBLw7Zsbg==?=\r\n"},
		{"From: \"Groß, Jürgen\" <j@x.example>\r\n", "From: =?utf-8?b?R3Jvw58sIErDvHJnZW4=?= <j@x.example>\r\n"},
		{"To: Jürgen Gross <j@x.example>, a@b.example\r\n", "To: =?utf-8?b?SsO8cmdlbg==?= Gross <j@x.example>, a@b.example\r\n"},
		{"Cc: A <jü@x.example>, b@c.example\r\n", "Cc: A =?utf-8?b?asO8QHguZXhhbXBsZQ==?=:;, b@c.example\r\n"},
		{"Resent-To: jü@x.example (ü)\r\n", "Resent-To: =?utf-8?b?asO8QHguZXhhbXBsZQ==?=:; (=?utf-8?b?w7w=?=)\r\n"},
		{"Content-Disposition: attachment; filename=\"Grüße 1.pdf\"; size=3\r\n", "Content-Disposition: attachment; filename*=utf-8''Gr%C3%BC%C3%9Fe%201.pdf; size=3\r\n"},
		{"X-Plain: as it is\r\nübel: x\r\n", "X-Plain: as it is\r\n?bel: x\r\n"},
	} {
		if got := string(downgradeHeader([]byte(test.field))); got != test.want {
			t.Errorf("%q is %q, want %q", test.field, got, test.want)
		}
	}
	if needsDowngrade([]byte("Subject: gr\xfc\xdfe\r\n")) || needsDowngrade([]byte("Subject: x\r\n")) {
		t.Error("a header that has no UTF-8 is changed")
	}
}

func FuzzDowngrade(f *testing.F) {
	for _, seed := range []string{"Subject: ü\r\n\r\n", "From: \"ü\\\" <a@ü>, (ü\r\n x: y\r\n", "Content-Type: a; b=\"ü\\", "ü\n\n", ":ü"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if !utf8.ValidString(text) {
			return
		}
		got := downgradeHeader([]byte(text))
		if !isASCII(got) {
			t.Errorf("%q is %q", text, got)
		}
		// A long text comes back whole.
		if strings.ContainsAny(text, "\r\n") || len(text) > 1000 || strings.TrimSpace(text) != text || text == "" {
			return
		}
		m, err := mail.ReadMessage(strings.NewReader("Subject: " + encodedWords(text) + "\r\n\r\n"))
		if err != nil {
			return
		}
		if back, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject")); !isASCII(text) && (err != nil || back != text) {
			t.Errorf("%q comes back as %q, %v", text, back, err)
		}
	})
}

func TestHeadersWithoutUTF8(t *testing.T) {
	f := newFixture(t, options{listener: startTLS})
	f.put("INBOX", "Subject: Grüße\r\nX-Long: "+strings.Repeat("ü", 20_000)+"\r\n\r\nbödy\r\n.\r\n")
	f.put("INBOX", "Subject: Grüße")
	for _, utf8Mode := range []bool{false, true} {
		c := f.connect(loopback)
		c.want("+OK")
		want := "Subject: =?utf-8?b?R3LDvMOfZQ==?="
		if utf8Mode {
			c.ask("UTF8", "+OK")
			want = "Subject: Grüße"
		}
		c.ask("USER user1", "+OK")
		n := strings.Fields(c.ask("PASS secret 1", "+OK"))[1]
		for _, command := range []string{"RETR " + before(n), "TOP " + before(n) + " 1"} {
			c.ask(command, "+OK")
			got := c.lines()
			if !strings.Contains(got[0], want) || got[len(got)-1] != "bödy" && got[len(got)-2] != "bödy" {
				t.Errorf("%s: %q ... %q", command, got[0], got[len(got)-2:])
			}
			if header := strings.Join(got[:len(got)-2], "\r\n"); isASCII(header) == utf8Mode {
				t.Errorf("%s: the header is ASCII: %v", command, isASCII(header))
			}
		}
		c.ask("RETR "+n, "+OK")
		if got := c.lines(); got[0] != want {
			t.Errorf("%q, want %q", got, want)
		}
		c.ask("QUIT", "+OK")
	}
}

// before returns the number of the message before the last one.
func before(n string) string {
	i, _ := strconv.Atoi(n)
	return strconv.Itoa(i - 1)
}
