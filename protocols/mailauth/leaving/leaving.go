// Package leaving signs mail on its way to other servers (package mailauth): a relay.Signer.
//
// Mail of our users and of the server itself is signed with the DKIM keys of its author's domain, or
// of the return-path's if the author is not of this server. It also gets a proof by which the server knows it
// again (mailauth.Proofs). Mail of strangers that is passed on, by a forwarder or a rule, is sealed
// (ARC) with the keys of the Main Domain; nothing is signed in the name of an author whom
// nobody has seen.
//
// The first message of a domain that has no keys has them made, RSA and Ed25519, if the setting MakeKeys says so:
// a domain that never sends needs none. A message is signed once, whatever the number of
// hosts that it goes to.
//
// With SignLocalMail, mail between domains of this server is signed when it is delivered (local.go). Keys are replaced
// by themselves in domains that say so (rotate.go).
package leaving

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"time"

	"gatepost/accounts"
	"gatepost/protocols/mailauth"
	"gatepost/protocols/relay"
	"gatepost/queue/envelope"
	"gatepost/server/logs"
	"gatepost/server/settings"
)

// Settings of signing.
type Settings struct {
	MakeKeys settings.Flag   `key:"MakeKeys" default:"YES" level:"advanced" since:"0.2" help:"a domain without DKIM keys gets an RSA and an Ed25519 key when it first sends mail to another server"`
	Rewrite  settings.Flag   `key:"RewriteReturnPaths" default:"YES" level:"advanced" since:"0.2" help:"the return-path of strangers' mail that a forwarder passes on to another server becomes an address of the Main Domain, from which reports are led back (SRS)"`
	Seal     settings.Flag   `key:"SealForwarded" default:"YES" level:"advanced" since:"0.2" help:"mail of strangers that is passed on to another server gets an ARC seal of the Main Domain"`
	Local    settings.Flag   `key:"SignLocalMail" default:"NO" level:"advanced" since:"0.2" help:"mail between domains of this server is signed too when it is delivered, for programs of readers that verify signatures"`
	Overlap  settings.Period `key:"KeyOverlap" default:"14d" level:"advanced" since:"0.2" help:"how long the record of a key that DKIMRotation has replaced stays needed: mail that it signed may still be under way; then the key is removed"`
}

// Validate checks the periods.
func (s *Settings) Validate() error {
	if d := s.Overlap.Duration(); s.Overlap == settings.Never || d < 6*24*time.Hour || d > 365*24*time.Hour {
		return settings.BadValue("KeyOverlap", "must be 6d to 365d: mail is tried for five days")
	}
	return nil
}

// Directory is what a Signer has to know of the server's domains.
type Directory interface {
	DomainName(name string) (real string, ok bool)
	SenderPolicy(domain string) (accounts.SenderPolicy, error)
	MainDomain() string
}

// Signer is the relay.Signer.
type Signer struct {
	settings  *settings.Live[Settings]
	keys      *mailauth.KeyStore
	verifier  *mailauth.Verifier
	directory Directory
	proofs    *mailauth.Proofs
	log       *slog.Logger
	now       func() time.Time

	making sync.Mutex // held while keys of a domain are made

	mu   sync.Mutex
	made map[envelope.QueueID][]byte // fields of the messages that were signed last, at most maxMade
	last []envelope.QueueID          // the same in the order of their signing
}

// maxMade is how many messages' fields are kept, some 1,500 bytes each.
const maxMade = 1000

// New returns a signer.
func New(cfg *settings.Live[Settings], keys *mailauth.KeyStore, verifier *mailauth.Verifier, directory Directory, proofs *mailauth.Proofs, log *slog.Logger) *Signer {
	return &Signer{settings: cfg, keys: keys, verifier: verifier, directory: directory, proofs: proofs, log: logs.Component(log, "DKIM"), now: time.Now,
		made: map[envelope.QueueID][]byte{}}
}

// Sign returns the fields that are put before a message.
func (s *Signer) Sign(ctx context.Context, m *relay.Message) ([]byte, error) {
	if !m.Author.IsNull() { // each gateway makes another message of it
		return s.sign(ctx, m)
	}
	s.mu.Lock()
	fields, ok := s.made[m.ID]
	s.mu.Unlock()
	if ok {
		return fields, nil
	}
	var err error
	if foreign(m.Envelope) {
		fields, err = s.seal(ctx, m)
	} else {
		fields, err = s.sign(ctx, m)
	}
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, there := s.made[m.ID]; !there {
		if len(s.last) >= maxMade {
			delete(s.made, s.last[0])
			s.last = s.last[1:]
		}
		s.made[m.ID] = fields
		s.last = append(s.last, m.ID)
	}
	return fields, nil
}

// foreign tells mail that came from a stranger.
func foreign(e *envelope.Envelope) bool {
	return e.Source.IP.IsValid() && e.Source.Account == "" && !e.Source.Trusted
}

// sign makes the signatures and the proof of a message of our own.
func (s *Signer) sign(ctx context.Context, m *relay.Message) ([]byte, error) {
	domain, err := s.signingDomain(m)
	if err != nil || domain == "" {
		return nil, err
	}
	keys, err := s.keysOf(ctx, domain)
	if err != nil || len(keys) == 0 {
		return nil, err
	}
	proof, err := s.proofs.Field(m.Text, m.Size)
	if err != nil {
		return nil, err
	}
	signatures, err := mailauth.Sign(m.Text, m.Size, keys)
	if err != nil {
		return nil, err
	}
	if len(signatures) == 0 {
		s.log.LogAttrs(ctx, logs.LevelProblem, "a message was not signed: its header is too large", slog.Any(logs.AttrQueueID, m.ID))
	}
	return append(signatures, proof...), nil
}

// signingDomain is the domain in whose name a message is signed: that of its author, else of the
// return-path, if it is one of this server that signs; that of the author alone whom a gateway has put there.
func (s *Signer) signingDomain(m *relay.Message) (string, error) {
	candidates := []string{m.Author.Domain}
	if m.Author.IsNull() {
		candidates = append(authorDomains(m.Text, m.Size), m.Envelope.ReturnPath.Domain)
	}
	for _, name := range candidates {
		real, ours := s.directory.DomainName(name)
		if name == "" || !ours {
			continue
		}
		policy, err := s.directory.SenderPolicy(real)
		if err != nil {
			return "", err
		}
		if bool(policy.SignMail) {
			return name, nil
		}
		return "", nil
	}
	return "", nil
}

// authorDomains are the domains in From.
func authorDomains(text io.ReaderAt, size int64) []string {
	list, err := mailauth.Authors(text, size)
	if err != nil {
		return nil
	}
	return list
}

// keysOf returns the keys that a domain signs with, and makes the first ones.
func (s *Signer) keysOf(ctx context.Context, domain string) ([]mailauth.Key, error) {
	keys, err := s.keys.Active(domain)
	if err != nil || len(keys) > 0 || !bool(s.settings.Get().MakeKeys) {
		return keys, err
	}
	s.making.Lock()
	defer s.making.Unlock()
	list, err := s.keys.List(domain)
	if err != nil || len(list) > 0 { // an administrator has retired them, or another goroutine made them
		if err == nil {
			return s.keys.Active(domain)
		}
		return nil, err
	}
	for _, algorithm := range []string{mailauth.RSA, mailauth.Ed25519} {
		r, err := s.keys.Make(domain, "", algorithm)
		if err != nil {
			return nil, err
		}
		s.log.LogAttrs(ctx, logs.LevelMajor, "DKIM key made: publish its record", slog.String("domain", domain), slog.String("record", r.Name), slog.String("algorithm", algorithm))
	}
	return s.keys.Active(domain)
}

// MakeKeys makes the first keys of a domain of this server that signs its mail and has none.
func (s *Signer) MakeKeys(domain string) error {
	real, ours := s.directory.DomainName(domain)
	if !ours {
		return nil
	}
	policy, err := s.directory.SenderPolicy(real)
	if err == nil && bool(policy.SignMail) {
		_, err = s.keysOf(context.Background(), domain)
	}
	return err
}

// seal makes the ARC set of a message that is passed on.
func (s *Signer) seal(ctx context.Context, m *relay.Message) ([]byte, error) {
	main := s.directory.MainDomain()
	if !bool(s.settings.Get().Seal) {
		return nil, nil
	}
	keys, err := s.keysOf(ctx, main)
	if err != nil || len(keys) == 0 {
		return nil, err
	}
	key := keys[len(keys)-1]
	for _, k := range keys {
		if k.RSA() { // every receiver knows it
			key = k
		}
	}
	returnPath := ""
	if !m.Envelope.ReturnPath.IsNull() {
		returnPath = m.Envelope.ReturnPath.String()
	}
	r, err := s.verifier.Verify(ctx, &mailauth.Message{Client: m.Envelope.Source.IP, HELO: "", ReturnPath: returnPath, Text: m.Text, Size: m.Size})
	if err != nil {
		return nil, err
	}
	return mailauth.Seal(m.Text, m.Size, key, main, r, time.Now())
}
