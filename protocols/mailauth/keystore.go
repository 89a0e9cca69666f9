package mailauth

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"gatepost/server/dataformat"
	"gatepost/server/durable"
	"gatepost/server/fault"
)

// KeyState is what a key is used for.
type KeyState string

const (
	// KeyNext is published, and does not sign yet: others may still have an older answer.
	KeyNext KeyState = "Next"
	// KeyActive signs.
	KeyActive KeyState = "Active"
	// KeyOld does not sign any more. Its record stays until mail that it signed has arrived everywhere.
	KeyOld KeyState = "Old"
)

// The algorithms of keys.
const (
	RSA     = "RSA"     // 2048 bits
	Ed25519 = "Ed25519" // RFC 8463; not every receiver knows it
)

// KeyRecord is a key as an administrator sees it.
type KeyRecord struct {
	Selector, Algorithm string
	State               KeyState
	// Since is when it got the state.
	Since time.Time
	// Name and Text are the TXT record that publishes it.
	Name, Text string
}

// KeyStore has the keys that domains sign with: each domain name has a directory with a
// file SELECTOR.key for each private key (PEM, PKCS #8, mode 0600), and keys.data with their states. It is safe
// for use by many goroutines.
type KeyStore struct {
	dir string
	now func() time.Time

	changing sync.Mutex // held while a directory is changed

	mu    sync.Mutex
	known map[string]*domainKeys // by domain; at most maxKnown
}

// maxKnown is of how many domains keys are kept in memory.
const maxKnown = 5000

// domainKeys are the keys of a domain, never changed.
type domainKeys struct {
	active  []Key
	records []KeyRecord
}

const (
	keyExtension = ".key"
	stateFile    = "keys.data"
	stateTime    = "2006-01-02T15:04:05Z"
)

// OpenKeys returns the keys in a directory, which need not exist.
func OpenKeys(dir string) *KeyStore {
	return &KeyStore{dir: dir, now: time.Now, known: map[string]*domainKeys{}}
}

// SetClock has the store take the time from now. It is called before the store is used.
func (s *KeyStore) SetClock(now func() time.Time) { s.now = now }

// Active returns the keys that a domain signs with. There may be none.
func (s *KeyStore) Active(domain string) ([]Key, error) {
	k, err := s.of(domain)
	if err != nil {
		return nil, err
	}
	return k.active, nil
}

// List returns the keys of a domain, sorted by selector.
func (s *KeyStore) List(domain string) ([]KeyRecord, error) {
	k, err := s.of(domain)
	if err != nil {
		return nil, err
	}
	return slices.Clone(k.records), nil
}

// Domains lists the domains that have a directory of keys.
func (s *KeyStore) Domains() ([]string, error) {
	entries, err := os.ReadDir(s.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var list []string
	for _, e := range entries {
		if name, wrong := keyDomain(e.Name()); wrong == nil && e.IsDir() && name == e.Name() {
			list = append(list, name)
		}
	}
	return list, err
}

// Forget drops what is in memory: files that somebody changed by hand count from now on.
func (s *KeyStore) Forget() {
	s.mu.Lock()
	clear(s.known)
	s.mu.Unlock()
}

func (s *KeyStore) of(domain string) (*domainKeys, error) {
	name, err := keyDomain(domain)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	k := s.known[name]
	s.mu.Unlock()
	if k != nil {
		return k, nil
	}
	// A change that ends while this reads drops what it has put in; so read under its lock.
	s.changing.Lock()
	defer s.changing.Unlock()
	return s.load(name)
}

// load reads the keys of a domain. changing is held.
func (s *KeyStore) load(name string) (*domainKeys, error) {
	states, err := s.states(name)
	if err != nil {
		return nil, err
	}
	k := &domainKeys{}
	for selector, v := range states {
		state := v.(dataformat.Dict)
		key, err := s.readKey(name, selector)
		if err != nil {
			return nil, err
		}
		text, algorithm, err := publicRecord(key)
		if err != nil {
			return nil, err
		}
		since, _ := time.Parse(stateTime, textOf(state["Since"]))
		r := KeyRecord{Selector: selector, Algorithm: algorithm, State: KeyState(textOf(state["State"])), Since: since,
			Name: selector + "._domainkey." + name, Text: text}
		k.records = append(k.records, r)
		if r.State == KeyActive {
			k.active = append(k.active, Key{name, selector, key})
		}
	}
	slices.SortFunc(k.records, func(a, b KeyRecord) int { return strings.Compare(a.Selector, b.Selector) })
	slices.SortFunc(k.active, func(a, b Key) int { return strings.Compare(a.Selector, b.Selector) })
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.known) >= maxKnown {
		for other := range s.known {
			delete(s.known, other)
			break
		}
	}
	s.known[name] = k
	return k, nil
}

func textOf(v dataformat.Value) string {
	text, _ := dataformat.Text(v)
	return text
}

// states reads the states of a domain's keys.
func (s *KeyStore) states(name string) (dataformat.Dict, error) {
	const op = "mailauth.KeyStore"
	path := filepath.Join(s.dir, name, stateFile)
	d, err := dataformat.ReadDict(path)
	if errors.Is(err, fs.ErrNotExist) {
		return dataformat.Dict{}, nil
	}
	if err != nil {
		return nil, err
	}
	for selector, v := range d {
		if _, ok := v.(dataformat.Dict); !ok || checkSelector(selector) != nil {
			return nil, fault.New(op, fault.Corrupt, path+": what it says of the key "+clean(selector)+" cannot be read")
		}
	}
	return d, nil
}

func (s *KeyStore) readKey(name, selector string) (crypto.Signer, error) {
	const op = "mailauth.KeyStore"
	path := filepath.Join(s.dir, name, selector+keyExtension)
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, &fault.Error{Op: op, Kind: fault.Corrupt, Text: "the DKIM key " + selector + " of " + name + " cannot be read", Err: err}
	}
	key, err := readPrivateKey(text)
	if err != nil {
		return nil, &fault.Error{Op: op, Kind: fault.Corrupt, Text: "the DKIM key " + selector + " of " + name + ": " + err.Error()}
	}
	return key, nil
}

// readPrivateKey reads a key in PEM: PKCS #8, PKCS #1, or the base64 of an Ed25519 seed that some programs write.
func readPrivateKey(text []byte) (crypto.Signer, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("it is no key in PEM")
	}
	var key any
	var err error
	if block.Type == "RSA PRIVATE KEY" {
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	} else {
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	}
	switch k := key.(type) {
	case *rsa.PrivateKey:
		if k.N.BitLen() < 1024 || k.N.BitLen() > 4096 {
			return nil, errors.New("an RSA key must have 1024 to 4096 bits")
		}
		return k, nil
	case ed25519.PrivateKey:
		return k, nil
	}
	if err != nil {
		return nil, errors.New("the private key cannot be read")
	}
	return nil, errors.New("a key must be RSA or Ed25519")
}

// publicRecord is the TXT record of a key (RFC 6376 section 3.6.1).
func publicRecord(key crypto.Signer) (text, algorithm string, err error) {
	if public, ok := key.Public().(ed25519.PublicKey); ok {
		return "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(public), Ed25519, nil
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return "", "", err
	}
	return "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(der), RSA, nil
}

// Make makes a key. It signs at once if the domain has no active key of the algorithm; else
// it is the next one. An empty selector gets a name from the date.
func (s *KeyStore) Make(domain, selector, algorithm string) (KeyRecord, error) {
	const op = "mailauth.Make"
	var key crypto.Signer
	var err error
	switch {
	case strings.EqualFold(algorithm, RSA):
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	case strings.EqualFold(algorithm, Ed25519):
		_, key, err = ed25519.GenerateKey(rand.Reader)
	default:
		return KeyRecord{}, fault.New(op, fault.Invalid, "the algorithm must be RSA or Ed25519")
	}
	if err != nil {
		return KeyRecord{}, err
	}
	return s.add(domain, selector, key)
}

// Import takes over a private key in PEM, under the selector that publishes it.
func (s *KeyStore) Import(domain, selector string, text []byte) (KeyRecord, error) {
	const op = "mailauth.Import"
	key, err := readPrivateKey(text)
	if err != nil {
		return KeyRecord{}, fault.New(op, fault.Invalid, err.Error())
	}
	if selector == "" {
		return KeyRecord{}, fault.New(op, fault.Invalid, "an imported key needs the selector that publishes it")
	}
	return s.add(domain, selector, key)
}

// add keeps a key: first its file, then what it is used for.
func (s *KeyStore) add(domain, selector string, key crypto.Signer) (r KeyRecord, err error) {
	const op = "mailauth.KeyStore"
	err = s.change(domain, func(name string, states dataformat.Dict, k *domainKeys) error {
		_, algorithm, err := publicRecord(key)
		if err != nil {
			return err
		}
		if selector == "" {
			selector = s.freeSelector(algorithm, states)
		}
		selector = strings.ToLower(selector)
		if err := checkSelector(selector); err != nil {
			return err
		}
		if _, there := states[selector]; there {
			return fault.New(op, fault.Exists, "the domain has a key with the selector "+selector)
		}
		state := KeyActive
		for _, other := range k.records {
			if other.Algorithm == algorithm && other.State == KeyActive {
				state = KeyNext
			}
		}
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			return err
		}
		text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
		if err := durable.ReplaceFile(filepath.Join(s.dir, name, selector+keyExtension), text, 0o600); err != nil {
			return err
		}
		states[selector] = s.state(state)
		return nil
	})
	if err != nil {
		return KeyRecord{}, err
	}
	return s.record(domain, selector)
}

// Activate lets a key sign. The keys of the same algorithm that did are old from now on.
func (s *KeyStore) Activate(domain, selector string) error {
	return s.change(domain, func(_ string, states dataformat.Dict, k *domainKeys) error {
		at, err := indexOf(k, selector)
		if err != nil {
			return err
		}
		for _, other := range k.records {
			if other.Algorithm == k.records[at].Algorithm && other.State == KeyActive && other.Selector != selector {
				states[other.Selector] = s.state(KeyOld)
			}
		}
		if k.records[at].State != KeyActive {
			states[selector] = s.state(KeyActive)
		}
		return nil
	})
}

// Retire ends that a key signs.
func (s *KeyStore) Retire(domain, selector string) error {
	return s.change(domain, func(_ string, states dataformat.Dict, k *domainKeys) error {
		at, err := indexOf(k, selector)
		if err == nil && k.records[at].State != KeyOld {
			states[selector] = s.state(KeyOld)
		}
		return err
	})
}

// Remove removes a key. What it has signed and what has not arrived yet will not verify.
func (s *KeyStore) Remove(domain, selector string) error {
	var path string
	err := s.change(domain, func(name string, states dataformat.Dict, k *domainKeys) error {
		if _, err := indexOf(k, selector); err != nil {
			return err
		}
		path = filepath.Join(s.dir, name, selector+keyExtension)
		delete(states, selector)
		return nil
	})
	if err != nil {
		return err
	}
	if err := os.Remove(path); err != nil {
		return err
	}
	return durable.SyncDir(filepath.Dir(path))
}

func indexOf(k *domainKeys, selector string) (int, error) {
	at := slices.IndexFunc(k.records, func(r KeyRecord) bool { return r.Selector == selector })
	if at < 0 {
		return 0, fault.New("mailauth.KeyStore", fault.NotFound, "the domain has no key with the selector "+clean(selector))
	}
	return at, nil
}

func (s *KeyStore) state(state KeyState) dataformat.Dict {
	return dataformat.Dict{"State": dataformat.String(state), "Since": dataformat.String(s.now().UTC().Format(stateTime))}
}

// change changes the states of a domain's keys and makes that durable.
func (s *KeyStore) change(domain string, edit func(name string, states dataformat.Dict, k *domainKeys) error) error {
	name, err := keyDomain(domain)
	if err != nil {
		return err
	}
	s.changing.Lock()
	defer s.changing.Unlock()
	k, err := s.load(name)
	if err != nil {
		return err
	}
	states, err := s.states(name)
	if err != nil {
		return err
	}
	dir := filepath.Join(s.dir, name)
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		if err := makeDirectory(dir); err != nil {
			return err
		}
	}
	if err := edit(name, states, k); err != nil {
		return err
	}
	err = durable.ReplaceFile(filepath.Join(dir, stateFile), []byte(dataformat.Pretty(states)+"\n"), 0o600)
	s.mu.Lock()
	delete(s.known, name)
	s.mu.Unlock()
	return err
}

// makeDirectory makes a directory and the one above it, durably.
func makeDirectory(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	above := filepath.Dir(dir)
	return errors.Join(durable.SyncDir(above), durable.SyncDir(filepath.Dir(above)))
}

func (s *KeyStore) record(domain, selector string) (KeyRecord, error) {
	k, err := s.of(domain)
	if err != nil {
		return KeyRecord{}, err
	}
	at, err := indexOf(k, strings.ToLower(selector))
	if err != nil {
		return KeyRecord{}, err
	}
	return k.records[at], nil
}

// freeSelector is a name from the date: g202611r, then g202611r2.
func (s *KeyStore) freeSelector(algorithm string, states dataformat.Dict) string {
	base := "g" + s.now().UTC().Format("200601") + strings.ToLower(algorithm[:1])
	for name, n := base, 2; ; n++ {
		if _, there := states[name]; !there {
			return name
		}
		name = base + string(rune('0'+n%10))
		if n >= 10 {
			name = base + strings.Repeat("x", n-9)
		}
	}
}

// checkSelector refuses what is no selector, or no name of a file.
func checkSelector(selector string) error {
	if d := normal(selector + ".test"); d != selector+".test" || len(selector) > 63 {
		return fault.New("mailauth.KeyStore", fault.Invalid, "a selector is a domain name: letters, digits and hyphens")
	}
	return nil
}

// keyDomain is the name of a domain's directory.
func keyDomain(domain string) (string, error) {
	name := normal(domain)
	if name == "" || strings.ContainsAny(name, "/\\") || strings.HasPrefix(name, ".") {
		return "", fault.New("mailauth.KeyStore", fault.Invalid, clean(domain)+" is not a domain name")
	}
	return name, nil
}
