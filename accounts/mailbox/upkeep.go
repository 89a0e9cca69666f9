package mailbox

import (
	"context"
	"encoding/binary"
	"log/slog"
	"sync"
	"time"

	"gatepost/accounts/index"
	"gatepost/accounts/mailbox/msgfile"
	"gatepost/server/fault"
	"gatepost/server/logs"
)

// upkeep does what nobody has to wait for: it unlinks files whose last record was
// removed and then removes their content, removes the records of deleted mailboxes bit by bit, and forgets
// deliveries whose queue file is gone. It is one goroutine, from Open to Close.
type upkeep struct {
	store *Store
	log   *slog.Logger
	wake  chan struct{} // capacity 1
	done  chan struct{}

	unlinking sync.Mutex // held while files are removed, and by who wants none to be

	mu      sync.Mutex
	closing bool
	files   []doomed
	content []doomed // files that are gone and have content
	drops   []drop
	forget  []uint64
	dirty   map[*Account]struct{} // with recents to be saved
	names   map[*Account]struct{} // with prepared names
}

// doomed is a file to be unlinked.
type doomed struct {
	account *Account
	file    msgfile.Ref
}

// drop is the data of a deleted mailbox, or allData.
type drop struct {
	shard   *index.Shard
	account uint64
	handle  *Account // for the files; nil if the account is gone
	data    uint32
	// leftovers says that the files go to Leftovers, but for those that views still show: these go with the last view.
	leftovers bool
}

const (
	// forgetEvery is how long deliveries and content are kept in vain at least.
	forgetEvery = time.Second
	// maxUnsaved is how many accounts may have \Recent numbers to be saved.
	maxUnsaved = 1000
)

func (u *upkeep) start(s *Store) {
	u.store, u.log = s, logs.Component(s.log, "STORE")
	u.wake, u.done = make(chan struct{}, 1), make(chan struct{})
	u.dirty, u.names = make(map[*Account]struct{}), make(map[*Account]struct{})
	u.findDrops()
	go u.run()
}

// stop does what is left to do, and ends.
func (u *upkeep) stop() error {
	u.mu.Lock()
	u.closing = true
	u.mu.Unlock()
	u.signal()
	<-u.done
	return nil
}

func (u *upkeep) signal() {
	select {
	case u.wake <- struct{}{}:
	default:
	}
}

// add changes the list of things to do.
func (u *upkeep) add(change func()) {
	u.mu.Lock()
	change()
	u.mu.Unlock()
	u.signal()
}

// unlink removes a file that a.files has marked as being removed.
func (u *upkeep) unlink(a *Account, f msgfile.Ref) {
	u.add(func() { u.files = append(u.files, doomed{a, f}) })
}

// dropped removes the messages of a deleted mailbox.
func (u *upkeep) dropped(a *Account, data uint32) {
	u.add(func() {
		u.drops = append(u.drops, drop{shard: a.shard, account: a.id, handle: a, data: data})
	})
}

// unsaved saves the account's \Recent numbers some time.
func (u *upkeep) unsaved(a *Account) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.dirty[a] = struct{}{}
	if len(u.dirty) > maxUnsaved {
		u.signal()
	}
}

// prepared removes the account's prepared names when nobody takes them.
func (u *upkeep) prepared(a *Account) {
	u.add(func() { u.names[a] = struct{}{} })
}

// Forget tells that queue files are gone, so that nobody will deliver them
// again. It returns at once; the records go with a later commit.
func (s *Store) Forget(queueIDs []uint64) {
	s.upkeep.add(func() { s.upkeep.forget = append(s.upkeep.forget, queueIDs...) })
}

// ForgetBut forgets the deliveries of all queue files that are not waiting.
// The queue's owner calls it once after a start, for files that went just
// before a crash.
func (s *Store) ForgetBut(ctx context.Context, waiting func(queueID uint64) bool) error {
	var gone []uint64
	for _, sh := range s.index.Shards() {
		err := sh.View(func(tx index.Tx) error {
			tx.Range(index.Delivered, nil, nil, func(k, _ []byte) bool {
				id := binary.BigEndian.Uint64(k)
				if n := len(gone); (n == 0 || gone[n-1] != id) && !waiting(id) {
					gone = append(gone, id)
				}
				return ctx.Err() == nil
			})
			return ctx.Err()
		})
		if err != nil {
			return fault.Wrap("mailbox.ForgetBut", fault.Internal, err)
		}
	}
	s.Forget(gone)
	return nil
}

func (u *upkeep) run() {
	defer close(u.done)
	var lastForget time.Time
	for {
		u.mu.Lock()
		closing := u.closing
		files, drops := u.files, u.drops
		u.files, u.drops = nil, nil
		var forget []uint64
		var content []doomed
		wait := forgetEvery - time.Since(lastForget)
		if pending := len(u.forget)+len(u.content) > 0; pending && (closing || wait <= 0) {
			forget, content, lastForget = u.forget, u.content, time.Now()
			u.forget, u.content = nil, nil
		}
		var names map[*Account]struct{}
		if len(u.names) > 0 && (closing || wait <= 0) {
			names, u.names, lastForget = u.names, make(map[*Account]struct{}), time.Now()
		}
		pending := len(u.forget)+len(u.content)+len(u.names) > 0
		var dirty map[*Account]struct{}
		if closing || len(u.dirty) > maxUnsaved {
			dirty, u.dirty = u.dirty, make(map[*Account]struct{})
		}
		u.mu.Unlock()

		if len(files)+len(drops)+len(forget)+len(content)+len(names)+len(dirty) == 0 {
			if closing {
				return
			}
			u.idle(pending, wait)
			continue
		}
		u.unlinkAll(files)
		for _, d := range drops {
			if err := u.purge(d); err != nil {
				u.store.unclean.Store(true) // the rest goes after the next start
				u.report("removal of messages that nobody sees", d.account, err)
			} else if x := u.store.textIndex(); x != nil && d.data == allData {
				x.Emptied(d.account)
			}
		}
		u.forgetAll(forget)
		u.dropContents(content)
		for a := range names {
			age := keepNames
			if closing {
				age = 0
			}
			if !a.dropOldNames(age) {
				u.prepared(a)
			}
		}
		for a := range dirty {
			err := a.update(context.Background(), (*edit).saveRecent)
			if !fault.Is(err, fault.NotFound) {
				u.report("saving of recent messages", a.id, err)
			}
		}
	}
}

// idle waits for something to do.
func (u *upkeep) idle(pending bool, wait time.Duration) {
	if !pending {
		<-u.wake
		return
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-u.wake:
	case <-t.C:
	}
}

// report logs what went wrong.
func (u *upkeep) report(what string, account uint64, err error) {
	if err != nil {
		u.log.Log(context.Background(), logs.LevelFailure, what, slog.Uint64(logs.AttrAccount, account), slog.Any(logs.AttrError, err))
	}
}

func (u *upkeep) unlinkAll(files []doomed) {
	if len(files) == 0 {
		return
	}
	u.unlinking.Lock()
	for _, d := range files {
		d.account.removeFile(d.file)
		d.account.files.Removed(d.file.ID)
	}
	u.unlinking.Unlock()
	u.add(func() { u.content = append(u.content, files...) })
	u.store.tellRemoved(files)
}

// dropContents removes what is kept of files that are gone.
func (u *upkeep) dropContents(gone []doomed) {
	byShard := make(map[*index.Shard][]doomed)
	for _, d := range gone {
		byShard[d.account.shard] = append(byShard[d.account.shard], d)
	}
	for sh, all := range byShard {
		err := inParts(all, maxContents, func(part []doomed) error {
			byAccount := make(map[uint64][]msgfile.Ref)
			for _, d := range part {
				byAccount[d.account.id] = append(byAccount[d.account.id], d.file)
			}
			return sh.UpdateFreeing(context.Background(), func(tx index.Tx) error {
				for id, files := range byAccount {
					if _, err := readAccount(tx, id); fault.Is(err, fault.NotFound) {
						continue // all of its content goes
					}
					if err := dropContent(tx, id, files); fault.Is(err, fault.Corrupt) {
						u.report("removal of content", id, err)
					} else if err != nil {
						return err
					}
				}
				return nil
			}, nil)
		})
		if err != nil {
			u.store.unclean.Store(true) // the rest goes after the next start
			u.report("removal of content", 0, err)
		}
	}
}

// forgetAll removes the records of deliveries.
func (u *upkeep) forgetAll(ids []uint64) {
	for _, sh := range u.store.index.Shards() {
		err := inParts(ids, maxContents, func(part []uint64) error {
			return sh.UpdateFreeing(context.Background(), func(tx index.Tx) error { return forgetDeliveries(tx, part) }, nil)
		})
		u.report("forgetting of deliveries", 0, err)
	}
}

func forgetDeliveries(tx index.Tx, ids []uint64) error {
	var keys [][]byte
	for _, id := range ids {
		from := binary.BigEndian.AppendUint64(nil, id)
		tx.Range(index.Delivered, from, after(from), func(k, _ []byte) bool {
			keys = append(keys, append([]byte(nil), k...))
			return true
		})
	}
	for _, k := range keys {
		if err := tx.Delete(index.Delivered, k); err != nil {
			return err
		}
	}
	return nil
}
