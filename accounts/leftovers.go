package accounts

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"gatepost/accounts/mailbox"
	"gatepost/server/fault"
	"gatepost/server/logs"
)

// RemoveLeftovers removes what crashes have left in the directories of accounts, as far as it was
// moved to their Leftovers before a time (package mailbox). A domain or an account that cannot be read does not keep it from the others.
func (s *Store) RemoveLeftovers(ctx context.Context, before time.Time) (all mailbox.Leftovers, err error) {
	domains, err := s.Domains(ctx)
	errs := []error{err}
	for _, domain := range domains {
		names, err := s.accountNames(domain)
		if !fault.Is(err, fault.NoDomain) { // removed meanwhile
			errs = append(errs, err)
		}
		for _, name := range names {
			if err := ctx.Err(); err != nil {
				return all, fault.Wrap("accounts.RemoveLeftovers", fault.Canceled, err)
			}
			s.moving.RLock()
			removed, err := mailbox.RemoveLeftovers(s.accountDir(accountKey{domain, name}), before)
			s.moving.RUnlock()
			if removed.Files > 0 {
				s.log.Log(ctx, logs.LevelMajor, "leftovers of crashes were removed", logs.AttrAccount, name+"@"+domain,
					slog.Int("files", removed.Files), slog.Int64("bytes", removed.Bytes))
			}
			all.Add(removed)
			errs = append(errs, err)
		}
	}
	return all, fault.Wrap("accounts.RemoveLeftovers", fault.Internal, errors.Join(errs...))
}

// Leftovers are looked for leftoversDelay after the start, and then every leftoversPeriod.
const (
	leftoversDelay  = time.Hour
	leftoversPeriod = 24 * time.Hour
)

// removeOldLeftovers removes leftovers that are older than age says, as long as the store is open.
func (s *Store) removeOldLeftovers(age func() (time.Duration, bool)) {
	wait := time.NewTimer(leftoversDelay)
	defer wait.Stop()
	for {
		select {
		case <-s.life.Done():
			return
		case <-wait.C:
		}
		wait.Reset(leftoversPeriod)
		limit, limited := age()
		if !limited {
			continue
		}
		if _, err := s.RemoveLeftovers(s.life, time.Now().Add(-limit)); err != nil && s.life.Err() == nil {
			s.log.Log(s.life, logs.LevelFailure, "leftovers of crashes were not removed", logs.AttrError, err)
		}
	}
}
