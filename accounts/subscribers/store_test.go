package subscribers

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"gatepost/accounts/index"
	"gatepost/server/fault"
)

var bg = context.Background()

func open1(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func subscribe(mode Mode) func(*Subscriber) error {
	return func(s *Subscriber) error { s.Mode = mode; return nil }
}

func TestSubscribersOutliveTheStore(t *testing.T) {
	dir := t.TempDir() + "/Subscribers"
	s, err := Open(dir, Options{})
	must(t, err)
	l := s.List(7)
	now := time.Date(2026, 5, 1, 10, 0, 0, 0, time.UTC)
	want := Subscriber{Address: "Alice@Example.com", RealName: "Alice Ä", Mode: Digest, Since: now, Posts: 3, Moderated: ModerateAll,
		Bounces: 2, LastBounce: now, PausedUntil: Forever, Warned: now, Secret: "ABC"}
	must(t, l.Change(bg, "Alice@Example.com", func(s *Subscriber) error { *s = want; return nil }))
	must(t, s.Close())
	s = open1(t, dir)
	got, err := s.List(7).Get("alice@EXAMPLE.com")
	must(t, err)
	if got != want {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	if other, err := s.List(8).Get("alice@example.com"); err != nil || other.Mode != None {
		t.Errorf("another list has %+v, %v", other, err)
	}
}

func TestCountsFollowChanges(t *testing.T) {
	l := open1(t, t.TempDir()+"/S").List(1)
	must(t, l.ChangeAll(bg, []string{"a@x", "b@x", "c@x", "A@X"}, subscribe(Feed)))
	must(t, l.Change(bg, "b@x", subscribe(Banned)))
	must(t, l.Change(bg, "c@x", subscribe(None)))
	must(t, l.Change(bg, "nobody@x", subscribe(None)))
	err := l.Change(bg, "a@x", func(s *Subscriber) error { s.Mode = Null; return fault.New("t", fault.Denied, "") })
	if !fault.Is(err, fault.Denied) {
		t.Fatal(err)
	}
	c, err := l.Counts()
	must(t, err)
	if c[Feed] != 1 || c[Banned] != 1 || c[Null] != 0 || c.Subscribers() != 1 {
		t.Errorf("counts %v", c)
	}
}

func TestSecrets(t *testing.T) {
	l := open1(t, t.TempDir()+"/S").List(1)
	must(t, l.Change(bg, "Ann@x", subscribe(Feed)))
	ann, err := l.Get("ann@x")
	must(t, err)
	if len(ann.Secret) != secretLength {
		t.Fatalf("%+v", ann)
	}
	// Letters of a local part may come back in another case.
	if s, err := l.BySecret(strings.ToLower(ann.Secret)); err != nil || s != ann {
		t.Errorf("%+v, %v", s, err)
	}
	must(t, l.Change(bg, "ann@x", func(s *Subscriber) error { s.Secret = ""; return nil }))
	if s, err := l.BySecret(ann.Secret); err != nil || s.Mode != None {
		t.Errorf("the old secret: %+v, %v", s, err)
	}
	ann, err = l.Get("ann@x")
	must(t, err)
	must(t, l.Change(bg, "ann@x", subscribe(None)))
	if s, err := l.BySecret(ann.Secret); err != nil || s.Mode != None {
		t.Errorf("unsubscribed: %+v, %v", s, err)
	}
	must(t, l.Change(bg, "ann@x", subscribe(Null)))
	if again, err := l.Get("ann@x"); err != nil || again.Secret == ann.Secret || again.Secret == "" {
		t.Errorf("subscribed again: %+v, %v", again, err)
	}
}

func TestPages(t *testing.T) {
	l := open1(t, t.TempDir()+"/S").List(1)
	var all []string
	for i := range 2500 {
		all = append(all, fmt.Sprintf("u%04d@x.test", i))
	}
	for part := range slices.Chunk(all, MaxChange) {
		must(t, l.ChangeAll(bg, part, subscribe(Feed)))
	}
	must(t, l.Change(bg, "u0003@x.test", subscribe(Null)))
	var seen []string
	must(t, l.Each(bg, func(s *Subscriber) error { seen = append(seen, s.Address); return nil }, Feed, Digest))
	if len(seen) != 2499 || !slices.IsSorted(seen) || slices.Contains(seen, "u0003@x.test") {
		t.Errorf("%d subscribers", len(seen))
	}
	p, err := l.Page(bg, "u0001@X.test", 2, nil)
	must(t, err)
	if len(p.Subscribers) != 2 || p.Subscribers[0].Address != "u0002@x.test" || !p.More {
		t.Errorf("page %+v", p)
	}
	p, err = l.Page(bg, "", 5, func(s *Subscriber) bool { return strings.HasPrefix(s.Address, "u249") })
	must(t, err)
	if len(p.Subscribers) != 5 || p.Subscribers[4].Address != "u2494@x.test" || !p.More {
		t.Errorf("filtered page %+v", p)
	}
}

func TestQuestions(t *testing.T) {
	l := open1(t, t.TempDir()+"/S").List(1)
	now := time.Date(2026, 5, 1, 10, 0, 0, 0, time.UTC)
	ask := Question{Address: "a@x", Kind: "subscribe", Mode: Feed, Expire: now.Add(time.Hour)}
	first, again, err := l.Ask(bg, ask, now)
	must(t, err)
	if again || len(first.Token) < 20 {
		t.Fatalf("%+v %v", first, again)
	}
	ask.Address, ask.Mode = "A@x", Digest
	second, again, err := l.Ask(bg, ask, now.Add(time.Minute))
	must(t, err)
	if !again || second.Token != first.Token || second.Times != 2 || second.Expire != first.Expire {
		t.Errorf("asked again: %+v %v", second, again)
	}
	if _, err := l.Answer(bg, "x", now); !fault.Is(err, fault.NotFound) {
		t.Errorf("a token that nobody got: %v", err)
	}
	q, err := l.Answer(bg, first.Token, now)
	must(t, err)
	if q.Mode != Feed { // not what somebody else has asked for in its name since
		t.Errorf("answered %+v", q)
	}
	if _, err := l.Answer(bg, first.Token, now); !fault.Is(err, fault.NotFound) {
		t.Errorf("a token answers twice: %v", err)
	}
	old, _, err := l.Ask(bg, ask, now)
	must(t, err)
	later := now.Add(2 * time.Hour)
	if _, err := l.Question(old.Token, later); !fault.Is(err, fault.NotFound) {
		t.Errorf("an old question: %v", err)
	}
	ask.Expire = later.Add(time.Hour)
	fresh, again, err := l.Ask(bg, ask, later)
	must(t, err)
	if again || fresh.Token == old.Token {
		t.Errorf("an old question was kept: %+v", fresh)
	}
	gone, err := l.RemoveExpired(bg, later.Add(2*time.Hour))
	must(t, err)
	if len(gone) != 1 || gone[0].Token != fresh.Token {
		t.Errorf("expired: %+v", gone)
	}
	if left, err := l.Questions("subscribe", 10, now); err != nil || len(left) != 0 {
		t.Errorf("left: %+v %v", left, err)
	}
}

func TestRemove(t *testing.T) {
	s := open1(t, t.TempDir()+"/S")
	for id := uint64(1); id < 4; id++ {
		must(t, s.List(id).Change(bg, "a@x", subscribe(Feed)))
		must(t, s.List(id).SetValue(bg, "digest", []byte("1")))
	}
	must(t, s.List(2).Remove(bg))
	var ids []uint64
	must(t, s.Lists(func(id uint64) bool { ids = append(ids, id); return true }))
	if !slices.Equal(ids, []uint64{1, 3}) {
		t.Errorf("lists %v", ids)
	}
	if v, err := s.List(1).Value("digest"); err != nil || string(v) != "1" {
		t.Errorf("%q %v", v, err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(encodeSubscriber(&Subscriber{Address: "a@x", Mode: Feed, Since: time.Unix(1, 0), Secret: "s"}))
	f.Add([]byte{version, 5, 'a'})
	f.Fuzz(func(t *testing.T, v []byte) {
		decodeQuestion(v)
		decodeCounts(v)
		s, err := decodeSubscriber(v)
		if err != nil {
			return
		}
		if again, err := decodeSubscriber(encodeSubscriber(&s)); err != nil || again != s {
			t.Errorf("%+v became %+v, %v", s, again, err)
		}
	})
}

func TestCheckComparesSecretsWithSubscribers(t *testing.T) {
	l := open1(t, t.TempDir()+"/S").List(1)
	must(t, l.ChangeAll(bg, []string{"a@x", "b@x", "c@x"}, subscribe(Feed)))
	must(t, l.Change(bg, "b@x", subscribe(None)))
	must(t, l.Check(bg))
	a, err := l.Get("a@x")
	must(t, err)
	put := func(key, value string) {
		must(t, l.shard.Update(bg, func(tx index.Tx) error { return tx.Put(index.Server, l.key(letterSecret, key), []byte(value)) }, nil))
	}
	for _, c := range []struct{ key, value, want string }{
		{a.Secret, "c@x", "the secret of a@x does not lead to it"},
		{"OTHER", "a@x", "1 secrets are of nobody"},
	} {
		put(c.key, c.value)
		if err := l.Check(bg); !fault.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
		put(a.Secret, "a@x")
	}
}

// TestStrangersLeaveRoom: mail from strangers cannot use up the questions of subscribers, nor those from one domain all of strangers.
func TestStrangersLeaveRoom(t *testing.T) {
	l := open1(t, t.TempDir()+"/S").List(1)
	now := time.Date(2026, 5, 1, 10, 0, 0, 0, time.UTC)
	ask := func(kind, address string, stranger bool) (Question, error) {
		q, _, err := l.Ask(bg, Question{Address: address, Kind: kind, Stranger: stranger, Expire: now.Add(time.Hour)}, now)
		return q, err
	}
	count := func(group string, n int) { // as if so many had been asked
		t.Helper()
		must(t, l.shard.Update(bg, func(tx index.Tx) error {
			w := writer{version}
			w.number(n)
			return tx.Put(index.Server, l.key(letterQuestions, group), w)
		}, nil))
	}
	for i := range MaxQuestionsAddress {
		_, err := ask("post", fmt.Sprintf("%d Ann@x.test", i), false)
		must(t, err)
	}
	if _, err := ask("post", "1000 ann@x.test", false); !fault.Is(err, fault.TooMany) {
		t.Errorf("an address has more postings: %v", err)
	}
	count("far.test@", MaxQuestionsDomain-1)
	last, err := ask("on", "a@far.test", true)
	must(t, err)
	if _, err := ask("on", "b@far.test", true); !fault.Is(err, fault.TooMany) {
		t.Errorf("a domain has more questions: %v", err)
	}
	if _, err := ask("off", "b@far.test", false); err != nil {
		t.Errorf("a subscriber from there is not asked: %v", err)
	}
	_, err = l.Answer(bg, last.Token, now)
	must(t, err)
	_, err = ask("on", "b@far.test", true)
	must(t, err)
	count("@", MaxQuestionsStrangers)
	count("", MaxQuestionsStrangers)
	if _, err := ask("on", "c@other.test", true); !fault.Is(err, fault.TooMany) {
		t.Errorf("strangers have more questions: %v", err)
	}
	if _, err := ask("off", "c@other.test", false); err != nil {
		t.Errorf("a subscriber is not asked: %v", err)
	}
	count("", MaxQuestions)
	if _, err := ask("off", "d@other.test", false); !fault.Is(err, fault.TooMany) {
		t.Errorf("a list has more questions: %v", err)
	}
	_, err = l.RemoveExpired(bg, now.Add(2*time.Hour))
	must(t, err)
	must(t, l.shard.View(func(tx index.Tx) error {
		if v := tx.Get(index.Server, l.key(letterQuestions, "ann@x.test")); v != nil {
			t.Error("what nobody has answered is counted still")
		}
		return nil
	}))
}
