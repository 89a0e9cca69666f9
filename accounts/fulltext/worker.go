package fulltext

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"gatepost/accounts/index"
	"gatepost/accounts/mailbox"
	"gatepost/accounts/message"
	"gatepost/server/fault"
	"gatepost/server/logs"
)

const (
	// gather is how long the worker waits for more messages after the first, so that they share a segment and a commit.
	gather = 500 * time.Millisecond
	// While messages arrive, the worker rests after each slice of work for restFactor times as long. Nothing arrives if nothing has for so long.
	slice      = 2 * time.Millisecond
	restFactor = 9
	quiet      = 200 * time.Millisecond
	// groupSize is about how many bytes of segments are committed together.
	groupSize = 4 << 20
	// commitEvery is after what time what is ready is committed while there is more to do.
	commitEvery = time.Second
	// keepSpace is how much free space is left on the disk: with less nothing is indexed, so that mail is not refused because of it.
	keepSpace  = 256 << 20
	spaceEvery = time.Minute
)

// worker indexes messages, in one goroutine that gives way to everything else.
type worker struct {
	*Index
	ctx   context.Context
	began time.Time // when it rested last
	hurry bool      // it does not rest
	group []written
	size  int
	// committed is when the last commit was.
	committed time.Time
	known     map[uint64]bool // accounts that were looked through in this run
}

// written is a segment that is not committed yet.
type written struct {
	account uint64
	segment *newSegment
}

// maxKnown bounds the worker's memory of accounts.
const maxKnown = 200_000

// Run indexes messages as they come until the context ends. What waits then is found when its account gets the next message or is searched.
func (x *Index) Run(ctx context.Context) error {
	w := x.worker(ctx)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-x.queue.wake:
		}
		if !w.sleep(gather) {
			return nil
		}
		w.work()
		if ctx.Err() != nil {
			return nil
		}
	}
}

// Work does what Run would do now, without its rests, and returns when that is done. It is for tests.
func (x *Index) Work(ctx context.Context) error {
	w := x.worker(ctx)
	w.hurry = true
	w.work()
	return ctx.Err()
}

func (x *Index) worker(ctx context.Context) *worker {
	return &worker{Index: x, ctx: ctx, began: time.Now(), known: make(map[uint64]bool)}
}

// work does what waits.
func (w *worker) work() {
	for w.hasSpace() {
		t := w.queue.take()
		if t == nil {
			break
		}
		w.writing.Lock()
		w.do(t)
		if time.Since(w.committed) > commitEvery {
			_ = w.commit()
		}
		w.writing.Unlock()
		if w.ctx.Err() != nil {
			return
		}
	}
	w.writing.Lock()
	_ = w.commit()
	w.writing.Unlock()
	w.queue.done()
}

// Reindex makes the index of an account anew, and returns when that is done. Meanwhile searches read messages that are not indexed yet.
func (x *Index) Reindex(ctx context.Context, a *mailbox.Account) error {
	w := x.worker(ctx)
	x.writing.Lock()
	defer x.writing.Unlock()
	if err := w.removeAccount(ctx, a.ID()); err != nil {
		return err
	}
	if !bool(x.settings.Get().Index) || !a.Indexed() {
		return nil
	}
	if err := w.lookThrough(&task{id: a.ID(), account: a}); err != nil {
		return err
	}
	return w.commit()
}

// ReindexAll makes the index of all accounts anew, one after the other, and returns how many accounts and messages it has then.
func (x *Index) ReindexAll(ctx context.Context) (accounts, messages int, err error) {
	err = x.mail.EachAccount(ctx, func(a *mailbox.Account) error {
		if err := x.Reindex(ctx, a); err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
		st, err := x.State(a.ID())
		accounts, messages = accounts+1, messages+st.Files
		return err
	})
	return accounts, messages, err
}

// ReindexSoon has the index of an account made anew in the background.
func (x *Index) ReindexSoon(a *mailbox.Account) { x.lookThrough(a, true) }

// sleep waits; it is false when the context has ended.
func (w *worker) sleep(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-w.ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// rest gives way to others after a slice of work.
func (w *worker) rest() error {
	worked := time.Since(w.began)
	if worked < slice {
		return nil
	}
	if !w.hurry && w.queue.busy() {
		w.sleep(min(worked*restFactor, quiet))
	}
	w.began = time.Now()
	if w.ctx.Err() != nil {
		return fault.Wrap("fulltext.rest", fault.Canceled, w.ctx.Err())
	}
	return nil
}

// hasSpace waits until the disk has room for the index.
func (w *worker) hasSpace() bool {
	for told := false; ; told = true {
		var st unix.Statfs_t
		if err := unix.Statfs(w.dir, &st); err != nil || int64(st.Bavail)*st.Bsize > keepSpace {
			return true
		}
		if !told {
			w.log.Log(w.ctx, logs.LevelFailure, "the disk is nearly full, messages are not indexed until it has room")
		}
		if !w.sleep(spaceEvery) {
			return false
		}
	}
}

// do does what is to be done for an account. What fails is reported: the messages are read by searches, and found again when the account is looked through.
func (w *worker) do(t *task) {
	var err error
	if !t.anew {
		err = w.account(t)
	}
	if fault.Is(err, fault.Corrupt) {
		w.log.Log(w.ctx, logs.LevelFailure, "the search index of an account is damaged and is made anew", slog.Uint64(logs.AttrAccount, t.id), slog.Any(logs.AttrError, err))
	}
	if fault.Is(err, fault.Corrupt) || t.anew {
		if err = w.removeAccount(w.ctx, t.id); err == nil && t.account != nil {
			err = w.account(&task{id: t.id, account: t.account, scan: true})
		}
	}
	if err != nil && !fault.Is(err, fault.NotFound) && !fault.Is(err, fault.Canceled) {
		w.log.Log(w.ctx, logs.LevelFailure, "messages cannot be indexed", slog.Uint64(logs.AttrAccount, t.id), slog.Any(logs.AttrError, err))
	}
}

func (w *worker) account(t *task) error {
	if t.emptied {
		_ = w.commit()
		delete(w.known, t.id)
		return w.removeAccount(w.ctx, t.id)
	}
	if !w.settings.Get().Index {
		return nil
	}
	if t.account != nil && !t.account.Indexed() {
		delete(w.known, t.id)
		return w.removeAccount(w.ctx, t.id)
	}
	if t.account != nil && !w.known[t.id] {
		if len(w.known) >= maxKnown {
			clear(w.known)
		}
		t.scan, w.known[t.id] = true, true
	}
	var err error
	switch {
	case t.account != nil && t.scan:
		err = w.lookThrough(t)
	case t.account != nil:
		err = w.index(t.account, t.files)
	}
	if err == nil && len(t.removed) > 0 {
		slices.Sort(t.removed)
		err = w.markGone(t.id, func(file uint64) bool {
			_, is := slices.BinarySearch(t.removed, file)
			return is
		})
	}
	return err
}

// lookThrough indexes the messages of an account that are not, and marks those that are gone.
func (w *worker) lookThrough(t *task) error {
	list, err := w.all(t.id)
	if err != nil {
		return err
	}
	there := make(map[uint64]struct{})
	for {
		var files []mailbox.StoredFile
		more := false
		clear(there)
		err := t.account.EachFile(func(f mailbox.StoredFile) bool {
			if _, seen := there[f.ID]; seen {
				return true
			}
			there[f.ID] = struct{}{}
			if covered(list, f) == nil {
				if len(files) == batchFiles*4 {
					more = true
					return true
				}
				files = append(files, f)
			}
			return true
		})
		if err != nil {
			return err
		}
		if err := w.index(t.account, files); err != nil {
			return err
		}
		if !more {
			break
		}
		if list, err = w.all(t.id); err != nil {
			return err
		}
	}
	return w.markGone(t.id, func(file uint64) bool {
		_, is := there[file]
		return !is
	})
}

// all returns the segments of an account with those that are not committed yet.
func (w *worker) all(account uint64) ([]*segment, error) {
	list, err := w.segments(account)
	for _, g := range w.group {
		if g.account == account {
			list = append(list, &g.segment.segment)
		}
	}
	return list, err
}

// covered returns the segment that has a file, or nil.
func covered(list []*segment, f mailbox.StoredFile) *segment {
	for i := len(list) - 1; i >= 0; i-- {
		if at, ok := list[i].find(f.ID); ok && list[i].has(at, f.Mark) {
			return list[i]
		}
	}
	return nil
}

// index indexes message files of an account that are not indexed.
func (w *worker) index(a *mailbox.Account, files []mailbox.StoredFile) error {
	if len(files) == 0 {
		return nil
	}
	c := newCollector(int64(w.settings.Get().MaxText))
	end := func() {
		if len(c.files) > 0 {
			w.add(a.ID(), c.segment(w.number.Add(1)))
		}
	}
	for _, f := range files {
		if c.full(f.ID) {
			end()
		}
		err := a.ReadFile(w.ctx, f, func(prefix []byte, s *message.Summary, body mailbox.Body) error {
			c.message(f, prefix, s, body)
			return nil
		})
		switch {
		case err == nil:
			w.counts.Indexed.Inc()
		case fault.Is(err, fault.NoMessage): // expunged since
		case fault.Is(err, fault.Corrupt), fault.Is(err, fault.Internal):
			c.unreadable(f)
			w.counts.Unreadable.Inc()
		default:
			return errors.Join(err, w.ctx.Err())
		}
		if err := w.rest(); err != nil {
			return err
		}
	}
	end()
	return nil
}

// add notes a segment for the next commit.
func (w *worker) add(account uint64, s *newSegment) {
	w.group = append(w.group, written{account, s})
	if w.size += s.size(); w.size >= groupSize {
		_ = w.commit()
	}
}

// commit writes the segments that are ready, and merges what is to be merged then. What cannot be written is reported: searches read these messages.
func (w *worker) commit() (failed error) {
	group := w.group
	w.group, w.size, w.committed = nil, 0, time.Now()
	byShard := make(map[*index.Shard][]written)
	for _, g := range group {
		sh := w.store.Shard(g.account)
		byShard[sh] = append(byShard[sh], g)
	}
	merged := make(map[uint64]bool)
	for sh, list := range byShard {
		err := sh.Update(w.ctx, func(tx index.Tx) error {
			for _, g := range list {
				if err := put(tx, g.account, g.segment); err != nil {
					return err
				}
			}
			return nil
		}, nil)
		for _, g := range list {
			if err == nil && !merged[g.account] {
				merged[g.account] = true
				err = w.merge(g.account)
			}
		}
		if err != nil && !fault.Is(err, fault.Canceled) {
			w.log.Log(w.ctx, logs.LevelFailure, "the search index cannot be written", slog.Any(logs.AttrError, err))
		}
		failed = errors.Join(failed, err)
	}
	return failed
}

// merge merges segments of an account as long as there are some to be merged.
func (w *worker) merge(account uint64) error {
	sh := w.store.Shard(account)
	for {
		var from []*source
		err := sh.View(func(tx index.Tx) error {
			list, err := segments(tx, account)
			if err == nil {
				from, err = readSources(tx, account, toMerge(list))
			}
			return err
		})
		if err != nil || len(from) == 0 {
			return err
		}
		s, err := merge(w.number.Add(1), from, w.rest)
		if err != nil {
			return err
		}
		err = sh.UpdateFreeing(w.ctx, func(tx index.Tx) error {
			for _, old := range from {
				if err := remove(tx, account, old.number); err != nil {
					return err
				}
			}
			if s == nil {
				return nil
			}
			return put(tx, account, s)
		}, nil)
		if err != nil {
			return err
		}
	}
}

// markGone marks files of an account as gone.
func (w *worker) markGone(account uint64, gone func(file uint64) bool) error {
	list, err := w.all(account)
	if err != nil {
		return err
	}
	var changed []*segment
	for _, s := range list {
		news := false
		for i, n := range s.files {
			if s.flags[i]&goneFile == 0 && gone(s.base+uint64(n)) {
				s.flags[i] |= goneFile
				news = true
			}
		}
		if news && !slices.ContainsFunc(w.group, func(g written) bool { return &g.segment.segment == s }) {
			changed = append(changed, s)
		}
	}
	if len(changed) == 0 {
		return nil
	}
	err = w.store.Shard(account).UpdateFreeing(w.ctx, func(tx index.Tx) error {
		for _, s := range changed {
			if err := tx.Put(index.Mail, headKey(account, s.number), s.marshal()); err != nil {
				return err
			}
		}
		return nil
	}, nil)
	if err != nil {
		return err
	}
	return w.merge(account)
}
