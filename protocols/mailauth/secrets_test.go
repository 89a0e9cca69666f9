package mailauth

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"gatepost/server/fault"
)

func TestSecrets(t *testing.T) {
	path := filepath.Join(t.TempDir(), "Sender.key")
	s, err := OpenSecrets(path)
	if err != nil || len(s.All()) != 1 {
		t.Fatalf("%v, %v", s, err)
	}
	first := s.All()[0]
	began := time.Now()
	for i, c := range []struct {
		days, want int
	}{{1, 1}, {31, 2}, {40, 2}, {53, 2}, {62, 2}, {200, 1}} {
		s.now = func() time.Time { return began.Add(time.Duration(c.days) * 24 * time.Hour) }
		if err := s.Rotate(); err != nil || len(s.All()) != c.want {
			t.Errorf("%d: day %d: %d secrets, %v", i, c.days, len(s.All()), err)
		}
		if c.days == 31 && !bytes.Equal(s.All()[1], first) {
			t.Error("the older secret is gone")
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	again, err := OpenSecrets(path)
	if err != nil || !bytes.Equal(again.All()[0], s.All()[0]) {
		t.Errorf("%v", err)
	}
	if err := os.WriteFile(path, []byte("{Secrets=(x);}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenSecrets(path); !fault.Is(err, fault.Corrupt) {
		t.Errorf("%v", err)
	}
}

func TestProofs(t *testing.T) {
	now := time.Unix(1_790_000_000, 0)
	p := &Proofs{Secrets: func() [][]byte { return [][]byte{{1}, {2}} }, Now: func() time.Time { return now }}
	old := &Proofs{Secrets: func() [][]byte { return [][]byte{{2}} }, Now: p.Now}
	other := &Proofs{Secrets: func() [][]byte { return [][]byte{{3}} }, Now: p.Now}
	proves := func(text string) bool { return p.Proves(bytes.NewReader([]byte(text)), int64(len(text))) }
	for who, want := range map[*Proofs]bool{p: true, old: true, other: false} {
		field, err := who.Field(bytes.NewReader([]byte(letter)), int64(len(letter)))
		if err != nil || field == "" {
			t.Fatal(err)
		}
		// A list changes the subject, folds, and adds text.
		text := field + string(bytes.Replace([]byte(letter), []byte("Subject: "), []byte("Subject: [list]"), 1)) + "footer\r\n"
		if proves(text) != want {
			t.Errorf("%q: want %t", field, want)
		}
		for _, c := range [][2]string{{"Message-ID: <1@", "Message-ID: <2@"}, {"Ann <ann@", "Ann <eve@"}, {"Ann <", "Boss <"}} {
			if proves(string(bytes.Replace([]byte(text), []byte(c[0]), []byte(c[1]), 1))) {
				t.Errorf("%v: the proof holds", c)
			}
		}
		now = now.Add(11 * 24 * time.Hour)
		if proves(text) {
			t.Error("an old proof holds")
		}
		now = now.Add(-11 * 24 * time.Hour)
	}
}
