package junk

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func tok(t testing.TB, text string) *tokens {
	t.Helper()
	out, err := tokensOf(strings.NewReader(text), int64(len(text)))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func newTable(t testing.TB, path string, size tableSize) *table {
	t.Helper()
	tab, _, err := openToLearn(path, size)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tab.f.Close() })
	return tab
}

func (t *table) score(tb testing.TB, text string) int {
	tb.Helper()
	n, err := evidence{t.counts, t.lookUp}.score(tok(tb, text).list)
	if err != nil {
		tb.Fatal(err)
	}
	return n
}

// has reports whether a message has a token.
func (t *tokens) has(place, word string) bool {
	return slices.Contains(t.list, hashString(hashString(fnvOffset, place), word))
}

func TestTokens(t *testing.T) {
	m := tok(t, "From: Big Shop <Offers@Shop.Example>\r\nSubject: =?utf-8?b?"+base64.StdEncoding.EncodeToString([]byte("Скидка сегодня"))+"?=\r\n"+
		"Received: from secret.example\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n"+
		"--b\r\nContent-Type: text/plain; charset=windows-1251\r\nContent-Transfer-Encoding: base64\r\n\r\n"+
		base64.StdEncoding.EncodeToString([]byte{0xcf, 0xf0, 0xe8, 0xe2, 0xe5, 0xf2})+"\r\n"+
		"--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<style>.hidden{x}</style><p>Via\u200bgra f&#39;or</p><b>so</b>called <!-- comment -->"+
		"<a href='HTTPS://Win.Shop.Example/x'>打折促销</a><div style='display: none'>quiet</div><script>evil()</script>\r\n"+
		"--b--\r\n")
	for _, want := range [][2]string{
		{"f:", "offers@shop.example"}, {"f:@", "shop.example"}, {"s:", "скидка"}, {"", "привет"}, {"", "viagra"}, {"", "socalled"},
		{"u:", "win.shop.example"}, {"u:", "shop.example"}, {"", "打折"}, {"", "促销"}, {"t:", "display:none"}, {"c:", "text/html"},
	} {
		if !m.has(want[0], want[1]) {
			t.Errorf("there is no token %q %q", want[0], want[1])
		}
	}
	for _, not := range [][2]string{{"", "secret"}, {"", "hidden"}, {"", "evil"}, {"", "comment"}, {"", "quiet"}} {
		if m.has(not[0], not[1]) {
			t.Errorf("there is a token %q %q", not[0], not[1])
		}
	}
	if a, b := tok(t, "Subject: x\r\n\r\none two three"), tok(t, "Subject: x\r\n\r\nthree one two"); a.fingerprint() != b.fingerprint() {
		t.Error("the fingerprint depends on the order")
	}
}

// Hostile messages cost bounded time and memory.
func TestHostileTokens(t *testing.T) {
	many := strings.Repeat("<script><div ://a.b.c.d.e.f.g>", 100_000)
	for name, text := range map[string]string{
		"tags": "Content-Type: text/html\r\n\r\n" + many, "header": strings.Repeat("Subject: "+strings.Repeat("word ", 100)+"\r\n", 20_000) + "\r\n",
		"words": "\r\n" + strings.Repeat("longwordlongwordlongwordlongwordlongword", 100_000), "links": "\r\n" + strings.Repeat("http://a.b ", 200_000),
		"from": "From: " + strings.Repeat("a@b, ", 100_000) + "\r\n\r\n",
	} {
		begin := time.Now()
		if m := tok(t, text); len(m.list) > maxTokens {
			t.Errorf("%s: %d tokens", name, len(m.list))
		}
		if took := time.Since(begin); took > 15*time.Second {
			t.Errorf("%s took %s", name, took)
		}
	}
}

// What is said of a message is learned once, and taken back when something else is said.
func TestLearning(t *testing.T) {
	path := filepath.Join(t.TempDir(), tableFile)
	if _, err := openTable(path); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	tab := newTable(t, path, accountTable)
	word := hashString(hashString(fnvOffset, ""), "casino")
	say := func(kind Kind, want counts, ofWord counts, learned bool) {
		t.Helper()
		got, err := tab.learn(tok(t, "Subject: x\r\n\r\ncasino bonus"), kind, 0, 1)
		if err != nil || got != learned || tab.counts != want {
			t.Errorf("%v %v: %+v, want %+v", got, err, tab.counts, want)
		}
		if c, err := tab.lookUp(word); err != nil || c != ofWord {
			t.Errorf("the word has %+v, want %+v: %v", c, ofWord, err)
		}
	}
	say(Junk, counts{1, 0}, counts{1, 0}, true)
	say(Junk, counts{1, 0}, counts{1, 0}, false)
	say(Ham, counts{0, 1}, counts{0, 1}, true)
	say(Junk, counts{1, 0}, counts{1, 0}, true)

	// It is there after the file is opened anew; a damaged bucket counts as empty, a damaged file is set aside.
	again, err := openTable(path)
	if err != nil || again.counts != (counts{1, 0}) {
		t.Fatal(err)
	}
	defer again.f.Close()
	if _, err := tab.f.WriteAt([]byte{1, 2, 3}, tab.wordAt(word)); err != nil {
		t.Fatal(err)
	}
	if c, err := again.lookUp(word); err != nil || c != (counts{}) {
		t.Errorf("a damaged bucket: %+v, %v", c, err)
	}
	if err := os.WriteFile(path, []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openTable(path); !errors.Is(err, errDamaged) {
		t.Error(err)
	}
	fresh, aside, err := openToLearn(path, accountTable)
	if err != nil || aside == "" || fresh.counts != (counts{}) {
		t.Fatalf("%q %v", aside, err)
	}
	if err := fresh.close(true); err != nil {
		t.Fatal(err)
	}
}

// One account alone does not teach a domain.
func TestShareOfADomain(t *testing.T) {
	tab := newTable(t, filepath.Join(t.TempDir(), tableFile), tableSize{1 << 10, 1 << 10})
	c := newCorpus(3)
	for i := range 100 {
		if _, err := tab.learn(tok(t, c.message(true)), Junk, 7, 1); err != nil {
			t.Fatal(err)
		}
		if i == 60 && tab.junk != minShare {
			t.Errorf("one account has contributed %d messages", tab.junk)
		}
	}
	for account := uint64(11); account < 16; account++ {
		for range minShare {
			if _, err := tab.learn(tok(t, c.message(false)), Ham, account, 1); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := tab.share(7); got != minShare || tab.ham != 5*minShare {
		t.Errorf("%d junk, %d ham", got, tab.ham)
	}
}

// A full table forgets the rarest words, not the frequent ones, and stays as large as it is.
func TestTableIsBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), tableFile)
	tab := newTable(t, path, tableSize{64, 64})
	often := hashString(fnvOffset, "often")
	for i := range 5_000 {
		h := hashString(fnvOffset, fmt.Sprint("word", i))
		if err := errors.Join(tab.count(h, Junk, 1, uint16(i/100)), tab.count(often, Ham, 1, 1), tab.say(h, Junk)); err != nil {
			t.Fatal(err)
		}
	}
	if c, _ := tab.lookUp(often); c.ham != 5_000 {
		t.Errorf("the frequent word has %d", c.ham)
	}
	if info, err := os.Stat(path); err != nil || info.Size() != tab.end() {
		t.Error(info.Size(), err)
	}
	for range 1 << 16 {
		if err := tab.count(often, Ham, 1, 1); err != nil {
			t.Fatal(err)
		}
	}
	if c, _ := tab.lookUp(often); c.ham < 1<<14 {
		t.Errorf("the count has passed its end: %d", c.ham)
	}
}

// The filter learns: the figures stand in docs/benchmarks.md.
func TestFilterLearns(t *testing.T) {
	c := newCorpus(1)
	for _, n := range []int{20, 100, 300} {
		tab := newTable(t, filepath.Join(t.TempDir(), tableFile), accountTable)
		for range n {
			for kind, text := range map[Kind]string{Junk: c.message(true), Ham: c.message(false)} {
				if _, err := tab.learn(tok(t, text), kind, 0, 1); err != nil {
					t.Fatal(err)
				}
			}
		}
		const tries = 200
		missed, unsure, wrong, doubtful := 0, 0, 0, 0
		for range tries {
			if s := tab.score(t, c.message(true)); s < 95 {
				missed++
				if s > 10 {
					unsure++
				}
			}
			if s := tab.score(t, c.message(false)); s >= 95 {
				wrong++
			} else if s > 10 {
				doubtful++
			}
		}
		t.Logf("%d junk and %d ham learned: of %d junk %d are below 95 (%d of them above 10), of %d ham %d are at 95 or above (and %d above 10)",
			n, n, tries, missed, unsure, tries, wrong, doubtful)
		// A quarter of the junk is about the same as mail that is wanted, in its words.
		if n >= 300 && missed > tries/3 || n >= 100 && wrong > tries/100 {
			t.Errorf("%d of %d ham are taken for junk, %d of %d junk are missed", wrong, tries, missed, tries)
		}
	}
}

func TestChi2Q(t *testing.T) {
	// Values of tables of the distribution.
	for _, c := range []struct {
		x    float64
		v    int
		want float64
	}{{0, 2, 1}, {5.991, 2, 0.05}, {18.307, 10, 0.05}, {124.342, 100, 0.05}, {5000, 100, 0}} {
		if got := chi2Q(c.x, c.v); got < c.want-0.0005 || got > c.want+0.0005 {
			t.Errorf("chi2Q(%g, %d) = %g, want %g", c.x, c.v, got, c.want)
		}
	}
	if fisher(nil) != 0.5 {
		t.Error("no evidence is not 0.5")
	}
}

func FuzzTokens(f *testing.F) {
	c := newCorpus(2)
	f.Add(c.message(true))
	f.Add(c.message(false))
	f.Add("Content-Type: text/html\r\n\r\n<a href=x://<!--<script")
	f.Fuzz(func(t *testing.T, text string) {
		if m := tok(t, text); len(m.list) > maxTokens {
			t.Error(len(m.list))
		}
	})
}

func BenchmarkScore(b *testing.B) {
	c := newCorpus(1)
	tab := newTable(b, filepath.Join(b.TempDir(), tableFile), accountTable)
	for range 200 {
		for kind, text := range map[Kind]string{Junk: c.message(true), Ham: c.message(false)} {
			if _, err := tab.learn(tok(b, text), kind, 0, 1); err != nil {
				b.Fatal(err)
			}
		}
	}
	text := c.message(true)
	b.ReportAllocs()
	for b.Loop() {
		tab.score(b, text)
	}
}
