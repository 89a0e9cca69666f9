package subscribers

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"log/slog"
	"slices"
	"strings"
	"time"

	"gatepost/accounts/index"
	"gatepost/server/fault"
)

// Options are for Open.
type Options struct {
	// ReadOnly opens the store to be looked at.
	ReadOnly bool
	Log      *slog.Logger
}

// Store has the subscribers of all lists of a server.
type Store struct {
	index *index.Store
	shard *index.Shard
}

// Open opens the store in dir, which it makes if there is none. Errors: those of index.Open.
func Open(dir string, o Options) (*Store, error) {
	ix, err := index.Open(dir, index.Options{Shards: 1, ReadOnly: o.ReadOnly, Log: o.Log})
	if err != nil {
		return nil, err
	}
	return &Store{ix, ix.Shards()[0]}, nil
}

// Snapshot takes a snapshot of the store, see index.Snapshot.
func (s *Store) Snapshot(ctx context.Context) (*index.Snapshot, error) { return s.index.Snapshot(ctx) }

// Close closes the store.
func (s *Store) Close() error { return s.index.Close() }

// Verify reads all that is stored and reports damage.
func (s *Store) Verify(report func(error)) error { return s.shard.Verify(report) }

// List returns the subscribers of a list. It costs nothing, and the list need not be there.
func (s *Store) List(id uint64) *List { return &List{s.shard, id} }

// Lists calls visit with the number of each list of which something is stored, in order, until it returns false.
func (s *Store) Lists(visit func(id uint64) bool) error {
	for at := uint64(0); ; at++ {
		found := false
		err := s.shard.View(func(tx index.Tx) error {
			tx.Range(index.Server, binary.BigEndian.AppendUint64(nil, at), nil, func(key, _ []byte) bool {
				at, found = binary.BigEndian.Uint64(key), true
				return false
			})
			return nil
		})
		if err != nil || !found || !visit(at) {
			return err
		}
	}
}

// List is the subscribers of one list.
type List struct {
	shard *index.Shard
	id    uint64
}

// The letters of keys.
const (
	letterSubscriber = 's'
	letterQuestion   = 'q'
	letterAsked      = 'a'
	letterCounts     = 'n'
	letterQuestions  = 'm'
	letterSecret     = 't'
	letterValue      = 'v'
)

func (l *List) key(letter byte, rest string) []byte {
	return append(append(binary.BigEndian.AppendUint64(make([]byte, 0, 9+len(rest)), l.id), letter), rest...)
}

// Mode is what a subscriber gets.
type Mode uint8

// The modes.
const (
	None   Mode = iota // not a subscriber
	Feed               // each posting at once
	Digest             // digests
	Index              // tables of contents
	Null               // nothing, but may post
	Banned             // nothing, and may neither subscribe nor post

	modes
)

var modeNames = [modes]string{None: "unsubscribe", Feed: "feed", Digest: "digest", Index: "index", Null: "null", Banned: "banned"}

func (m Mode) String() string {
	if m >= modes {
		return "Mode(?)"
	}
	return modeNames[m]
}

// ParseMode reads feed, digest, index, null, banned or unsubscribe.
func ParseMode(word string) (Mode, bool) {
	i := slices.IndexFunc(modeNames[:], func(name string) bool { return strings.EqualFold(name, word) })
	return Mode(max(i, 0)), i >= 0
}

// The values of Subscriber.Moderated that are no numbers of postings.
const (
	Unmoderated = 0
	ModerateAll = 10000 // each posting
	Prohibited  = 10001 // no posting is taken
	Special     = 10002 // postings are taken unseen, whatever else holds for the list
)

// Subscriber is one subscriber of a list.
type Subscriber struct {
	// Address is as the subscriber writes it. Two addresses that differ in the letter case are one.
	Address, RealName string
	Mode              Mode
	Since             time.Time // of the subscription
	Posts             int       // postings that were accepted
	// Moderated is how many postings are still to be approved; see the constants.
	Moderated int
	// Bounces counts reports of failures since the last success that is known of.
	Bounces     int
	LastBounce  time.Time
	PausedUntil time.Time // no postings before; see Paused
	// Warned says that the subscriber was asked to confirm after bounces, and when.
	Warned time.Time
	// Secret stands for the subscriber in return-paths and links: letters and digits that only the mail of the
	// subscriber has. Change gives one to whoever has none.
	Secret string
}

// Paused reports whether bounces keep the subscriber from getting postings.
func (s *Subscriber) Paused(now time.Time) bool { return now.Before(s.PausedUntil) }

// Forever is a PausedUntil that only the subscriber ends.
var Forever = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

// fold is how addresses are compared. Local parts of other servers might differ in letter case only; nobody
// subscribes both (RFC 5321 section 2.4 tells servers not to do so).
func fold(address string) string { return strings.ToLower(address) }

// How is how subscribers are changed by somebody else.
type How struct {
	Silently bool // they get no word about it
	Confirm  bool // they are asked first
	NewOnly  bool // those that are known already, if only as banned, stay as they are, with an error
}

// SplitName reads how people write a subscriber: address, Name <address> or "Name" <address>.
func SplitName(text string) (name, addr string) {
	text = strings.TrimSpace(text)
	if i := strings.LastIndexByte(text, '<'); i >= 0 && strings.HasSuffix(text, ">") {
		return strings.Trim(strings.TrimSpace(text[:i]), `"`), strings.TrimSpace(text[i+1 : len(text)-1])
	}
	if len(text) > 1 && text[0] == '"' && text[len(text)-1] == '"' {
		text = text[1 : len(text)-1]
	}
	return "", strings.TrimSpace(text)
}

// Get returns the subscriber with an address; the Mode is None if there is none.
func (l *List) Get(address string) (s Subscriber, err error) {
	err = l.shard.View(func(tx index.Tx) error {
		var err error
		s, err = l.read(tx, address)
		return err
	})
	return s, err
}

func (l *List) read(tx index.Tx, address string) (Subscriber, error) {
	v := tx.Get(index.Server, l.key(letterSubscriber, fold(address)))
	if v == nil {
		return Subscriber{Address: address}, nil
	}
	return decodeSubscriber(v)
}

// Change changes the subscriber with an address in one commit. do gets what is there, with Mode None if
// nothing is, and changes it; Mode None removes the subscriber. do may run more than once. An error of do is returned, and
// nothing is changed.
func (l *List) Change(ctx context.Context, address string, do func(*Subscriber) error) error {
	return l.ChangeAll(ctx, []string{address}, do)
}

// secretLength is short enough for the local part of a return-path (RFC 5321 section 4.5.3.1.1), and has 80 bits.
const secretLength = 16

func newSecret() string { return rand.Text()[:secretLength] }

// BySecret returns the subscriber who has a secret; the Mode is None if there is none.
func (l *List) BySecret(secret string) (s Subscriber, err error) {
	if secret == "" || len(secret) > maxText {
		return s, nil
	}
	err = l.shard.View(func(tx index.Tx) error {
		address := tx.Get(index.Server, l.key(letterSecret, strings.ToUpper(secret)))
		if address == nil {
			return nil
		}
		s, err = l.read(tx, string(address))
		return err
	})
	return s, err
}

// MaxChange bounds the addresses of one ChangeAll.
const MaxChange = 1000

// ChangeAll is Change for several addresses in one commit: all or none.
func (l *List) ChangeAll(ctx context.Context, addresses []string, do func(*Subscriber) error) error {
	const op = "subscribers.Change"
	if len(addresses) > MaxChange {
		return fault.Newf(op, fault.Invalid, "%d subscribers at once are too many", len(addresses))
	}
	return l.shard.Update(ctx, func(tx index.Tx) error {
		// All is checked before anything is written, as package index asks.
		type write struct{ key, value []byte }
		var writes []write
		var changed Counts
		seen := make(map[string]bool, len(addresses))
		for _, address := range addresses {
			if seen[fold(address)] {
				continue
			}
			seen[fold(address)] = true
			s, err := l.read(tx, address)
			if err != nil {
				return err
			}
			before, secret := s.Mode, s.Secret
			if err := do(&s); err != nil {
				return err
			}
			if s.Mode == None && before == None {
				continue
			}
			if s.Secret == "" {
				s.Secret = newSecret()
			}
			if secret != "" && secret != s.Secret || s.Mode == None {
				writes = append(writes, write{key: l.key(letterSecret, secret)})
			}
			if s.Mode != None && secret != s.Secret {
				writes = append(writes, write{l.key(letterSecret, s.Secret), []byte(fold(address))})
			}
			if fold(s.Address) != fold(address) || len(s.Address) > maxText || len(s.RealName) > maxText || len(s.Secret) > maxText {
				return fault.New(op, fault.Invalid, "the address or the name of the subscriber is too long")
			}
			w := write{key: l.key(letterSubscriber, fold(address))}
			if s.Mode != None {
				w.value = encodeSubscriber(&s)
			}
			writes = append(writes, w)
			changed[before]--
			changed[s.Mode]++
		}
		counts, err := l.counts(tx)
		if err != nil {
			return err
		}
		for _, w := range writes {
			if w.value == nil {
				err = tx.Delete(index.Server, w.key)
			} else {
				err = tx.Put(index.Server, w.key, w.value)
			}
			if err != nil {
				return err
			}
		}
		for m := Feed; m < modes; m++ {
			counts[m] += changed[m]
		}
		if changed != (Counts{}) {
			return tx.Put(index.Server, l.key(letterCounts, ""), counts.encode())
		}
		return nil
	}, nil)
}

// Counts is how many subscribers there are in each mode.
type Counts [modes]int

// Subscribers is how many there are without those that are banned.
func (c Counts) Subscribers() int { return c[Feed] + c[Digest] + c[Index] + c[Null] }

// Counts returns how many subscribers there are.
func (l *List) Counts() (c Counts, err error) {
	err = l.shard.View(func(tx index.Tx) error {
		var err error
		c, err = l.counts(tx)
		return err
	})
	return c, err
}

func (l *List) counts(tx index.Tx) (Counts, error) {
	v := tx.Get(index.Server, l.key(letterCounts, ""))
	if v == nil {
		return Counts{}, nil
	}
	return decodeCounts(v)
}

// Page is part of the subscribers of a list.
type Page struct {
	Subscribers []Subscriber
	// More says that there are subscribers behind the last one.
	More bool
}

// scanned bounds the records that one look at the store reads.
const scanned = 2000

// Page returns up to limit subscribers in the order of their addresses, those whose address is behind after, and that match wants; nil
// wants all. match must not keep what it gets.
func (l *List) Page(ctx context.Context, after string, limit int, match func(*Subscriber) bool) (p Page, err error) {
	from := l.key(letterSubscriber, fold(after))
	if after != "" {
		from = append(from, 0)
	}
	to := l.key(letterSubscriber+1, "")
	for from != nil {
		if err := ctx.Err(); err != nil {
			return Page{}, fault.Wrap("subscribers.Page", fault.Canceled, err)
		}
		seen, next := 0, []byte(nil)
		err := l.shard.View(func(tx index.Tx) (err error) {
			tx.Range(index.Server, from, to, func(key, value []byte) bool {
				if seen++; seen > scanned {
					next = slices.Clone(key)
					return false
				}
				var s Subscriber
				if s, err = decodeSubscriber(value); err != nil {
					return false
				}
				if match != nil && !match(&s) {
					return true
				}
				if len(p.Subscribers) == limit {
					p.More = true
					return false
				}
				p.Subscribers = append(p.Subscribers, s)
				return true
			})
			return err
		})
		if err != nil {
			return Page{}, err
		}
		if from = next; p.More {
			break
		}
	}
	return p, nil
}

// Each calls visit with each subscriber that is one of modes, in the order of the addresses, until it
// returns an error, which is returned. Nothing is held meanwhile: what changes before its turn is seen as it is then.
func (l *List) Each(ctx context.Context, visit func(*Subscriber) error, wanted ...Mode) error {
	after := ""
	for {
		p, err := l.Page(ctx, after, 1000, func(s *Subscriber) bool { return slices.Contains(wanted, s.Mode) })
		if err != nil {
			return err
		}
		for i := range p.Subscribers {
			if err := visit(&p.Subscribers[i]); err != nil {
				return err
			}
		}
		if !p.More {
			return nil
		}
		after = p.Subscribers[len(p.Subscribers)-1].Address
	}
}

// Value returns what the list remembers under a name; nil if nothing.
func (l *List) Value(name string) (v []byte, err error) {
	err = l.shard.View(func(tx index.Tx) error {
		v = slices.Clone(tx.Get(index.Server, l.key(letterValue, name)))
		return nil
	})
	return v, err
}

// SetValue has the list remember a value; nil removes it.
func (l *List) SetValue(ctx context.Context, name string, v []byte) error {
	v = slices.Clone(v)
	return l.shard.Update(ctx, func(tx index.Tx) error {
		if v == nil {
			return tx.Delete(index.Server, l.key(letterValue, name))
		}
		return tx.Put(index.Server, l.key(letterValue, name), v)
	}, nil)
}

// Remove removes all that is stored of the list, in parts.
func (l *List) Remove(ctx context.Context) error {
	from, to := l.key(0, ""), binary.BigEndian.AppendUint64(nil, l.id+1)
	for {
		more := false
		err := l.shard.UpdateFreeing(ctx, func(tx index.Tx) error {
			var keys [][]byte
			tx.Range(index.Server, from, to, func(key, _ []byte) bool {
				keys = append(keys, slices.Clone(key))
				return len(keys) < MaxChange
			})
			more = len(keys) == MaxChange
			for _, k := range keys {
				if err := tx.Delete(index.Server, k); err != nil {
					return err
				}
			}
			return nil
		}, nil)
		if err != nil || !more {
			return err
		}
	}
}

// Check compares the counters with what they count, and the secrets with their subscribers. Errors: Corrupt.
func (l *List) Check(ctx context.Context) error {
	return l.shard.View(func(tx index.Tx) error {
		want, err := l.counts(tx)
		if err != nil {
			return err
		}
		var have Counts
		secrets := 0
		tx.Range(index.Server, l.key(letterSubscriber, ""), l.key(letterSubscriber+1, ""), func(_, value []byte) bool {
			var s Subscriber
			if s, err = decodeSubscriber(value); err != nil {
				return false
			}
			have[s.Mode]++
			if s.Mode != None && s.Secret != "" {
				secrets++
				if string(tx.Get(index.Server, l.key(letterSecret, s.Secret))) != fold(s.Address) {
					err = fault.Newf("subscribers.Check", fault.Corrupt, "the secret of %s does not lead to it", s.Address)
				}
			}
			return err == nil && ctx.Err() == nil
		})
		tx.Range(index.Server, l.key(letterSecret, ""), l.key(letterSecret+1, ""), func(_, _ []byte) bool {
			secrets--
			return true
		})
		if ctx.Err() != nil {
			return fault.Wrap("subscribers.Check", fault.Canceled, ctx.Err())
		}
		if err == nil && have != want {
			err = fault.Newf("subscribers.Check", fault.Corrupt, "%d subscribers are counted, and %d are there", want.Subscribers(), have.Subscribers())
		}
		if err == nil && secrets != 0 {
			err = fault.Newf("subscribers.Check", fault.Corrupt, "%d secrets are of nobody", -secrets)
		}
		return err
	})
}
