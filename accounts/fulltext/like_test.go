package fulltext

import (
	"strings"
	"testing"

	"gatepost/accounts/message/searchtext"
)

func TestLikeness(t *testing.T) {
	for _, c := range []struct {
		text, in string
		score    int
	}{
		{"needle", "a needle here", 100},
		{"connected", "CONNECTIONS were made", 80},
		{"conn", "connections", 60},
		{"ec", "eclipse", 0}, // too short to be a beginning
		{"ec", "EC 7", 100},
		{"break imap", "IMAP is breaking", 90},
		{"break imap", "IMAP is fine", 0},
		{"книга", "о книгах", 80},
		{"книг", "Книги", 80},
		{"зелёный", "зеленая трава", 80},
		{"красный", "красавец", 0},
		{"漢字", "旧漢字表", 100},
		{"漢字表", "漢字と字表", 100}, // its pairs, in any order
		{"漢字", "漢の字", 0},
		{"müller", "MÜLLER", 100},
		{"nebel", "knebel", 0},
	} {
		m := NewLikeness(searchtext.Fold(nil, []byte(c.text))).Matcher()
		m.WriteText([]byte(c.in))
		m.End()
		if got := m.Score(); got != c.score {
			t.Errorf("%q in %q: %d, want %d", c.text, c.in, got, c.score)
		}
		m.Reset()
		if m.Score() != 0 {
			t.Errorf("%q: %d in nothing", c.text, m.Score())
		}
	}
	if NewLikeness([]byte(" -- ")) != nil {
		t.Error("there are words in nothing")
	}
}

func TestAFuzzySearchOfTheIndex(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	w.append(a, "connections of servers", "a connected server", "nothing", "serverless connect")
	w.work()
	m, err := a.Open(t.Context(), "INBOX", true)
	w.must(err)
	defer m.Close()
	q := w.index.Query(a, func(int) error { return nil })
	n := q.Like(NewLikeness([]byte("connect server")), InBody, false)
	within := q.Like(NewLikeness([]byte("title")), InHeader, true)
	for i, uid := range m.UIDs() {
		file, mark, err := m.File(t.Context(), uid)
		w.must(err)
		score, a := q.LookLike(file, mark, n)
		if want := []int{80, 90, 0, 80}[i]; score != want || (a == Yes) != (want > 0) || a == Unknown {
			t.Errorf("message %d: %d %d, want %d", uid, score, a, want)
		}
		if _, a := q.LookLike(file, mark, within); a != Unknown {
			t.Errorf("message %d: %d for a part of the header", uid, a)
		}
	}
}

// FuzzLikeness: whatever words there are, finding stems ends without a panic, a text is like itself, and that does not depend on its pieces.
func FuzzLikeness(f *testing.F) {
	for _, s := range []string{"generously yelling", "красивейшая", "漢字かな", strings.Repeat("ing", 40), "yyy y", "ёж", "ational"} {
		f.Add([]byte(s), []byte("other ious "+s))
	}
	f.Fuzz(func(t *testing.T, a, b []byte) {
		a, b = searchtext.Fold(nil, a), searchtext.Fold(nil, b)
		l := NewLikeness(a)
		if l == nil {
			return
		}
		m := l.Matcher()
		m.Write(a)
		m.End()
		if m.Score() != sameWord {
			t.Errorf("%q is like itself: %d", a, m.Score())
		}
		m.Reset()
		m.Write(b)
		m.End()
		if n := m.Score(); n < 0 || n > 100 {
			t.Errorf("the score %d", n)
		}
	})
}
