package leaving

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"gatepost/protocols/mailauth"
	"gatepost/server/logs"
	"gatepost/server/settings"
)

// Published says whether the DNS publishes a key. The text says what it has instead, or that it could not be asked.
type Published func(ctx context.Context, key mailauth.KeyRecord) (published bool, text string)

// rotateCheck is how often Rotate looks, and remindEvery how often a record is written about a key that waits.
const (
	rotateCheck = time.Hour
	remindEvery = 24 * time.Hour
)

// Rotate replaces keys until ctx ends: for each name that has keys and belongs to a domain with DKIMRotation, per
// algorithm,
//
//	the active key is old                  the next key is made; its record is to be published
//	the DNS publishes the next key         it signs; the one before is old from then on
//	a key is old for longer than KeyOverlap  it is removed, and its record is of no use any more
//
// Without an answer of the DNS the next key waits, and the active one goes on signing. Every step has a log record.
func (s *Signer) Rotate(ctx context.Context, published Published) error {
	timer := time.NewTicker(rotateCheck)
	defer timer.Stop()
	reminded := map[string]time.Time{}
	for {
		if err := s.rotateAll(ctx, published, reminded); err != nil && ctx.Err() == nil {
			s.log.Log(ctx, logs.LevelFailure, "DKIM keys could not be rotated", logs.AttrError, err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
	}
}

func (s *Signer) rotateAll(ctx context.Context, published Published, reminded map[string]time.Time) error {
	domains, err := s.keys.Domains()
	for _, name := range domains {
		if ctx.Err() != nil {
			return err
		}
		real, ours := s.directory.DomainName(name)
		if !ours {
			continue
		}
		policy, failed := s.directory.SenderPolicy(real)
		if failed == nil && policy.KeyRotation != settings.Never && policy.KeyRotation > 0 && bool(policy.SignMail) {
			failed = s.rotate(ctx, name, policy.KeyRotation.Duration(), published, reminded)
		}
		err = errors.Join(err, failed)
	}
	return err
}

// rotate takes the steps that are due for the keys of a name.
func (s *Signer) rotate(ctx context.Context, name string, every time.Duration, published Published, reminded map[string]time.Time) error {
	s.making.Lock() // no first keys are made meanwhile; nobody who has keys waits
	list, err := s.keys.List(name)
	s.making.Unlock()
	if err != nil {
		return err
	}
	now := s.now()
	tell := func(level slog.Level, text string, k mailauth.KeyRecord, more ...slog.Attr) {
		s.log.LogAttrs(ctx, level, text, append([]slog.Attr{slog.String("domain", name), slog.String("record", k.Name), slog.String("algorithm", k.Algorithm)}, more...)...)
	}
	waits := map[string]bool{} // algorithms that have a next key
	for _, k := range list {
		switch {
		case k.State == mailauth.KeyNext && !waits[k.Algorithm]:
			waits[k.Algorithm] = true
			ok, text := published(ctx, k)
			if !ok {
				if now.Sub(reminded[k.Name]) >= remindEvery {
					reminded[k.Name] = now
					tell(logs.LevelProblem, "the next DKIM key waits until the DNS publishes it; the one before signs meanwhile", k, slog.String("reason", text))
				}
				continue
			}
			if err := s.keys.Activate(name, k.Selector); err != nil {
				return err
			}
			delete(reminded, k.Name)
			tell(logs.LevelMajor, "the next DKIM key is published, and signs from now on; keep the record of the one before", k)
		case k.State == mailauth.KeyOld && now.Sub(k.Since) >= s.settings.Get().Overlap.Duration():
			if err := s.keys.Remove(name, k.Selector); err != nil {
				return err
			}
			tell(logs.LevelMajor, "the old DKIM key is removed: its record can go from the DNS", k)
		}
	}
	for _, k := range list {
		if k.State != mailauth.KeyActive || waits[k.Algorithm] || now.Sub(k.Since) < every {
			continue
		}
		waits[k.Algorithm] = true
		next, err := s.keys.Make(name, "", k.Algorithm)
		if err != nil {
			return err
		}
		reminded[next.Name] = now
		tell(logs.LevelMajor, "the next DKIM key is made: publish its record", next, slog.String("value", next.Text))
	}
	return nil
}
