package imap

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"mime/quotedprintable"
	"slices"
	"strings"
	"testing"

	"gatepost/accounts/fulltext"
	"gatepost/accounts/mailbox"
	"gatepost/server/settings"
)

// indexed gives a server an index of texts, which is filled by Reindex alone.
func indexed(t testing.TB, f *fixture) (x *fulltext.Index, use func(bool)) {
	t.Helper()
	set := fulltext.Settings{}
	if err := settings.Load(&set, nil); err != nil {
		t.Fatal(err)
	}
	live := settings.NewLive(&set)
	x, err := fulltext.Open(t.TempDir(), f.acc.Mail(), live, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := x.Check(context.Background(), func(line string) { t.Error(line) }); err != nil {
			t.Error(err)
		}
		if err := x.Close(); err != nil {
			t.Error(err)
		}
	})
	f.srv.UseTextIndex(x)
	return x, func(on bool) {
		other := set
		other.Index = settings.Flag(on)
		live.Set(&other)
	}
}

// alphabets are what random words are made of: few characters, so that needles are found.
var alphabets = []string{"abK", "eino", "приВе", "中文字", "サーばー", "กขค", "ßſK\u0130ı", "bk\u212as\u017f", "αΣς", "é\u0301e", "012"}

// stems are beginnings of words, and endings what follows them.
var stems, endings = []string{"connect", "relat", "книг", "красн", "happ"}, []string{"", "s", "ed", "ing", "ion", "ional", "y", "iness", "а", "ами", "ый", "ого"}

func randomWord(r *rand.Rand) string {
	if r.IntN(3) == 0 {
		return stems[r.IntN(len(stems))] + endings[r.IntN(len(endings))]
	}
	a := []rune(alphabets[r.IntN(len(alphabets))])
	n := 1 + r.IntN(6)
	if r.IntN(10) == 0 {
		n = 20 + r.IntN(150)
	}
	w := make([]rune, n)
	for i := range w {
		w[i] = a[r.IntN(len(a))]
	}
	return string(w)
}

func randomText(r *rand.Rand, words int) string {
	var b strings.Builder
	for range words {
		b.WriteString(randomWord(r))
		b.WriteString([]string{" ", " ", " ", "-", "_", "\r\n", ", ", "", "<b>", "\x00", "\u2028", "@"}[r.IntN(12)])
	}
	return b.String()
}

// randomHeader returns a field value: plain, folded, or of encoded words.
func randomHeader(r *rand.Rand) string {
	text := strings.NewReplacer("\r\n", " ", "\x00", "").Replace(randomText(r, 1+r.IntN(4)))
	switch r.IntN(5) {
	case 0:
		return "=?utf-8?B?" + base64.StdEncoding.EncodeToString([]byte(text)) + "?="
	case 1:
		half := len(text) / 2
		return "=?utf-8?Q?" + quoted(text[:half]) + "?=\r\n =?utf-8?Q?" + quoted(text[half:]) + "?="
	case 2:
		return strings.ReplaceAll(text, " ", "\r\n\t")
	case 3:
		return text[:len(text)/2] + "\r\n " + text[len(text)/2:]
	}
	return text
}

func quoted(s string) string {
	var b strings.Builder
	for i := range len(s) {
		fmt.Fprintf(&b, "=%02X", s[i])
	}
	return b.String()
}

// randomPart returns a header and a body of a text part.
func randomPart(r *rand.Rand) string {
	text := randomText(r, r.IntN(30))
	if r.IntN(20) == 0 {
		text = strings.Repeat("x ", windowSize/2-r.IntN(40)) + text
	}
	kind := []string{"plain", "plain", "html"}[r.IntN(3)]
	charset := []string{"utf-8", "utf-8", "us-ascii", "iso-8859-1", "koi8-r", "gb18030", "x-none"}[r.IntN(7)]
	head := "Content-Type: text/" + kind + "; charset=" + charset + "\r\nX-Part: " + randomHeader(r) + "\r\n"
	switch r.IntN(3) {
	case 0:
		var b bytes.Buffer
		w := quotedprintable.NewWriter(&b)
		_, _ = w.Write([]byte(text))
		_ = w.Close()
		return head + "Content-Transfer-Encoding: quoted-printable\r\n\r\n" + b.String()
	case 1:
		return head + "Content-Transfer-Encoding: base64\r\n\r\n" + base64.StdEncoding.EncodeToString([]byte(text)) + "\r\n"
	}
	if r.IntN(4) == 0 { // bytes that are no UTF-8
		text = strings.ReplaceAll(text, "e", "\xe4")
	}
	return head + "\r\n" + text + "\r\n"
}

func randomMessage(r *rand.Rand) string {
	head := "Subject: " + randomHeader(r) + "\r\nX-Note: " + randomHeader(r) + "\r\n"
	switch r.IntN(4) {
	case 0:
		var b strings.Builder
		b.WriteString(head + "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=BB\r\n\r\npre " + randomWord(r) + "\r\n")
		for range 1 + r.IntN(3) {
			b.WriteString("--BB\r\n")
			if r.IntN(4) == 0 {
				b.WriteString("Content-Type: message/rfc822\r\n\r\nSubject: " + randomHeader(r) + "\r\n" + randomPart(r))
			} else {
				b.WriteString(randomPart(r))
			}
		}
		b.WriteString("--BB--\r\n")
		return b.String()
	case 1:
		return head + "Content-Type: application/octet-stream\r\n\r\n" + randomText(r, 5)
	}
	return head + randomPart(r)
}

// randomNeedle returns a text to look for: a part of a message, or something else.
func randomNeedle(r *rand.Rand, messages []string) string {
	switch r.IntN(5) {
	case 0:
		return randomWord(r)
	case 1:
		return randomWord(r) + []string{" ", "-", "", "\t"}[r.IntN(4)] + randomWord(r)
	}
	m := []rune(strings.ToValidUTF8(messages[r.IntN(len(messages))], ""))
	at := r.IntN(len(m))
	needle := string(m[at:min(at+1+r.IntN([]int{3, 8, 80}[r.IntN(3)]), len(m))])
	if r.IntN(2) == 0 {
		needle = strings.ToUpper(needle)
	}
	return strings.ReplaceAll(needle, "\x00", "")
}

// TestIndexedSearchIsTheSame searches random mailboxes with and without an index. Some messages are indexed, some are not
// or were expunged since, and segments were merged.
func TestIndexedSearchIsTheSame(t *testing.T) {
	rounds := 4
	if testing.Short() {
		rounds = 1
	}
	narrowed, read := uint64(0), uint64(0)
	for round := range rounds {
		r := rand.New(rand.NewPCG(uint64(round), 7))
		f := newFixture(t)
		x, use := indexed(t, f)
		f.listen(t, settings.TLSStart)
		c := f.connect(t)
		c.send("a LOGIN user1 secret1\r\nb SELECT INBOX\r\n")
		c.until("b OK")
		a := f.account(t)
		var messages []string
		add := func(n int) {
			var list []mailbox.AppendMessage
			for range n {
				m := randomMessage(r)
				messages = append(messages, m)
				list = append(list, mailbox.AppendMessage{Body: strings.NewReader(m)})
			}
			if _, err := a.AppendAll(t.Context(), "INBOX", slices.Values(list)); err != nil {
				t.Fatal(err)
			}
		}
		for range 10 { // as many segments
			add(1 + r.IntN(8))
			x.LookThrough(a)
			if err := x.Work(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		c.send("x STORE 2,5,7:9 +FLAGS.SILENT (\\Deleted)\r\ny EXPUNGE\r\n")
		c.until("y OK")
		if round%2 == 0 {
			if err := x.Work(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		add(5)
		c.send("z NOOP\r\n")
		c.until("z OK")
		for range 300 {
			command := []string{"BODY", "TEXT", "HEADER X-Note", "HEADER X-Part"}[r.IntN(4)] + " %s"
			needles := []any{literal(randomNeedle(r, messages))}
			if r.IntN(4) == 0 {
				command = []string{"OR BODY %s NOT TEXT %s", "BODY %s TEXT %s", "NOT BODY %s HEADER Subject %s", "OR TEXT %s BODY %s"}[r.IntN(4)]
				needles = append(needles, literal(randomNeedle(r, messages)))
			}
			options, answer := "", "* SEARCH"
			if r.IntN(3) == 0 {
				command = []string{"FUZZY BODY %s", "FUZZY TEXT %s", "FUZZY HEADER X-Note %s", "FUZZY SUBJECT %s", "OR FUZZY BODY %[1]s NOT TEXT %[1]s", "FUZZY (BODY %[1]s NOT SUBJECT %[1]s)"}[r.IntN(6)]
				needles = []any{literal(randomWord(r) + []string{"", " " + randomWord(r)}[r.IntN(2)])}
				options, answer = "RETURN (ALL RELEVANCY) ", "* ESEARCH"
			}
			command = "s SEARCH " + options + "CHARSET UTF-8 " + fmt.Sprintf(command, needles...) + "\r\n"
			use(false)
			c.send(command)
			want := c.until(answer)
			c.until("s OK")
			use(true)
			c.send(command)
			if got := c.until(answer); got != want {
				t.Fatalf("round %d, %q: %s with the index, %s without", round, command, got, want)
			}
			c.until("s OK")
		}
		narrowed += x.Counts().Narrowed.Value()
		read += x.Counts().Read.Value()
	}
	t.Logf("%d answers of the index, %d messages read", narrowed, read)
	if narrowed < 2*read {
		t.Error("the index helps little")
	}
}

func literal(s string) string { return fmt.Sprintf("{%d+}\r\n%s", len(s), s) }

// TestCharactersThatFoldToASCII: SEARCH for ASCII does not find them in plain text, and does in encoded text. The index changes nothing of that.
func TestCharactersThatFoldToASCII(t *testing.T) {
	f := newFixture(t)
	x, use := indexed(t, f)
	f.listen(t, settings.TLSStart)
	f.put(t, "Subject: a\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nthe \u212aey\r\n",
		"Subject: b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nthe =E2=84=AAey\r\n",
		"Subject: c\r\n\r\nthe key\r\n")
	if err := x.Reindex(t.Context(), f.account(t)); err != nil {
		t.Fatal(err)
	}
	c := f.selected(t)
	for _, on := range []bool{false, true} {
		use(on)
		c.send("a SEARCH BODY key\r\n")
		if l := c.until("* SEARCH"); l != "* SEARCH 2 3" {
			t.Errorf("index %v: %s", on, l)
		}
	}
}
