package accounts

import (
	"context"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"gatepost/server/dataformat"
	"gatepost/server/fault"
	"gatepost/server/logs"
)

// account.info holds what changes by itself: the time and address of the last
// login, and the addresses of the ones before (known.go). It is written from time to time, without waiting for the disk; the file
// may be deleted or damaged and nothing else is lost.

const (
	keyLastLogin   = "#LastLogin"
	keyLastAddress = "#LastAddress"

	infoPeriod  = time.Minute
	maxInfoKept = 10_000
)

// infoWriter gathers logins until flush writes them. Its goroutine ends with the
// store.
type infoWriter struct {
	store  *Store
	mu     sync.Mutex
	logins map[accountKey]lastLogin
	full   chan struct{} // capacity 1: too many are gathered
}

type lastLogin struct {
	id    uint64 // of the account
	at    time.Time
	ip    netip.Addr
	known []knownAddress
	// devices are the last uses of device passwords, by their IDs; never changed.
	devices map[string]deviceUse
}

func (w *infoWriter) start() {
	w.full = make(chan struct{}, 1)
	w.store.work.Go(func() {
		tick := time.NewTicker(infoPeriod)
		defer tick.Stop()
		for {
			select {
			case <-w.store.life.Done():
				return
			case <-tick.C:
			case <-w.full:
			}
			w.flush()
			w.store.renames.retry()
		}
	})
}

// note remembers a login.
func (w *infoWriter) note(a *Account, p Peer, known []knownAddress) {
	k := accountKey{a.Domain, a.Name}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.logins == nil {
		w.logins = map[accountKey]lastLogin{}
	}
	before, ok := w.logins[k]
	if !ok && len(w.logins) >= maxInfoKept {
		select {
		case w.full <- struct{}{}:
		default:
		}
		return // a login that is not noted is better than memory without bound
	}
	n := lastLogin{id: a.ID, at: time.Now().UTC().Truncate(time.Second), ip: p.IP, known: known}
	if before.id == a.ID {
		n.devices = before.devices
	}
	if d := a.device; d != nil {
		n.devices = maps.Clone(n.devices)
		if n.devices == nil {
			n.devices = map[string]deviceUse{}
		}
		n.devices[d.hash.id()] = deviceUse{n.at, scopeOf(p.Service), p.IP.Unmap()}
	}
	w.logins[k] = n
}

// pending returns the login of an account that was noted and is not written yet.
func (w *infoWriter) pending(a *Account) (lastLogin, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	l, ok := w.logins[accountKey{a.Domain, a.Name}]
	return l, ok && l.id == a.ID
}

// flush writes what was noted.
func (w *infoWriter) flush() {
	w.mu.Lock()
	logins := w.logins
	w.logins = nil
	w.mu.Unlock()
	for k, l := range logins {
		if err := w.write(k, l); err != nil {
			w.store.log.Log(context.WithoutCancel(w.store.life), logs.LevelFailure, "account.info not written", logs.AttrAccount, k.String(), logs.AttrError, err)
		}
	}
}

func (w *infoWriter) write(k accountKey, l lastLogin) error {
	stay := w.store.renames.share(k.domain)
	defer stay()
	a, err := w.store.account(k)
	if err != nil || a.ID != l.id {
		return nil // deleted or renamed meanwhile
	}
	path := filepath.Join(a.dir, infoFile)
	unlock := w.store.locks.lock(path)
	defer unlock()
	info := readInfo(path)
	before := readDeviceUses(info)
	if _, ok := readIdentity(info); !ok {
		if id, ok := readIdentity(a.explicit); ok {
			info[keyAccountID] = id.dataValue()
		}
	}
	info[keyLastLogin] = dataformat.Time{T: l.at}
	if l.ip.IsValid() {
		info[keyLastAddress] = dataformat.String(l.ip.Unmap().String())
	}
	if len(l.known) > 0 {
		info[keyKnown] = knownValue(l.known)
	}
	if delete(info, keyDeviceUses); len(a.devices) > 0 {
		info[keyDeviceUses] = deviceUsesValue(a, before, l.devices)
	}
	tmp := path + ".tmp"
	if err := os.WriteFile(tmp, []byte(dataformat.PrettyOld(info)+"\n"), 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

// readInfo reads account.info; a damaged file is an empty one.
func readInfo(path string) dataformat.Dict {
	d, err := dataformat.ReadDict(path)
	if err != nil {
		return dataformat.Dict{}
	}
	return d
}

// AccountInfo returns what account.info and the message store tell of an
// account, under names without #: LastLogin, LastAddress, AccountID, StorageUsed,
// MessagesStored, Mailboxes, LoginAddresses; RPOP if remote accounts are polled, see UsePolls.
func (s *Store) AccountInfo(ctx context.Context, domain, name string) (dataformat.Dict, error) {
	a, err := s.Account(ctx, domain, name)
	if err != nil {
		return nil, err
	}
	usage, err := a.mail.Usage(ctx)
	if err != nil {
		return nil, fault.Wrap("accounts.AccountInfo", fault.Internal, err)
	}
	// Numbers are strings: scripts look for StorageUsed= and digits.
	number := func(n int64) dataformat.Value { return dataformat.String(strconv.FormatInt(n, 10)) }
	out := dataformat.Dict{
		"AccountID":      number(int64(a.ID)),
		"StorageUsed":    number(usage.Bytes),
		"MessagesStored": number(usage.Messages),
		"Mailboxes":      number(usage.Mailboxes),
	}
	for k, v := range readInfo(filepath.Join(a.dir, infoFile)) {
		if reserved(k) && k != keyAccountID && k != keyAdopting && k != keyDeviceUses {
			out[k[1:]] = v
		}
	}
	if f := s.polled.status.Load(); f != nil {
		if polls := (*f)(a.Domain, a.Name); len(polls) > 0 {
			out["RPOP"] = polls
		}
	}
	if l, ok := s.info.pending(a); ok {
		out[keyLastLogin[1:]] = dataformat.Time{T: l.at}
		if len(l.known) > 0 {
			out[keyKnown[1:]] = knownValue(l.known)
		}
		if l.ip.IsValid() {
			out[keyLastAddress[1:]] = dataformat.String(l.ip.Unmap().String())
		}
	}
	return out, nil
}
