package mailauth

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"sync"
	"time"

	"gatepost/server/dataformat"
	"gatepost/server/durable"
	"gatepost/server/fault"
)

// Secrets are what SRS addresses and proofs are made with: a file with a list, the newest first. A new one is
// added every 30 days; those that nothing can have been made with any more go.
type Secrets struct {
	path string
	now  func() time.Time

	mu   sync.Mutex
	list []secret
}

type secret struct {
	value []byte
	made  time.Time
}

const (
	secretAge  = 30 * 24 * time.Hour
	secretLife = secretAge + (srsDays+1)*24*time.Hour
)

// OpenSecrets reads the secrets, and makes the first one.
func OpenSecrets(path string) (*Secrets, error) {
	s := &Secrets{path: path, now: time.Now}
	d, err := dataformat.ReadDict(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	stored, _ := d["Secrets"].(dataformat.Array)
	for _, v := range stored {
		one, _ := v.(dataformat.Dict)
		value, isData := one["Value"].(dataformat.Data)
		made, err := time.Parse(stateTime, textOf(one["Made"]))
		if !isData || len(value) < 16 || err != nil {
			return nil, fault.New("mailauth.OpenSecrets", fault.Corrupt, path+" cannot be read; without it a new secret is made, and reports to addresses that were made with the old ones do not arrive")
		}
		s.list = append(s.list, secret{value, made})
	}
	return s, s.Rotate()
}

// Rotate adds a secret if the newest one is old.
func (s *Secrets) Rotate() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now().UTC().Truncate(time.Second)
	if len(s.list) > 0 && now.Sub(s.list[0].made) < secretAge {
		return nil
	}
	fresh := secret{make([]byte, 32), now}
	rand.Read(fresh.value)
	list := []secret{fresh}
	for _, old := range s.list {
		if now.Sub(old.made) < secretLife {
			list = append(list, old)
		}
	}
	var stored dataformat.Array
	for _, one := range list {
		stored = append(stored, dataformat.Dict{"Value": dataformat.Data(one.value), "Made": dataformat.String(one.made.Format(stateTime))})
	}
	text := dataformat.Pretty(dataformat.Dict{"Secrets": stored}) + "\n"
	if err := durable.ReplaceFile(s.path, []byte(text), 0o600); err != nil {
		return err
	}
	s.list = list
	return nil
}

// All returns the secrets, the newest first.
func (s *Secrets) All() [][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([][]byte, len(s.list))
	for i, one := range s.list {
		all[i] = one.value
	}
	return all
}
