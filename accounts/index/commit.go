package index

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"runtime/debug"
	"strings"
	"syscall"

	bolt "go.etcd.io/bbolt"

	"gatepost/server/fault"
	"gatepost/server/logs"
)

// request is one Update on its way through the writer.
type request struct {
	fn        func(Tx) error
	committed func()
	freeing   bool
	alone     func() error // instead of fn: runs between two commits
	err       error
	done      chan struct{} // capacity 1
}

// maxBatch bounds how many requests share a commit, and so how long the first
// of them waits.
const maxBatch = 512

// Update calls fn in the shard's writer, commits what it wrote together with
// other requests, then calls committed (which may be nil), then returns. When
// it returns nil, what fn wrote is on the disk. fn may run several times (see
// the package comment); committed runs once, or never if an error is returned.
// Both must be short, wait for nothing, and not call Update.
//
// A ctx that ends takes the request back if its turn has not come yet; after
// that the outcome is waited for.
//
// Errors: fn's own; NoSpace; Unavailable after a failed sync or Close; Canceled.
func (sh *Shard) Update(ctx context.Context, fn func(Tx) error, committed func()) error {
	return sh.submit(ctx, fn, committed, false)
}

// UpdateFreeing is Update for a change that removes records. It may use the
// space that is kept for this when the disk is full.
func (sh *Shard) UpdateFreeing(ctx context.Context, fn func(Tx) error, committed func()) error {
	return sh.submit(ctx, fn, committed, true)
}

func (sh *Shard) submit(ctx context.Context, fn func(Tx) error, committed func(), freeing bool) error {
	const op = "index.Update"
	if err := ctx.Err(); err != nil {
		return fault.Wrap(op, fault.Canceled, err)
	}
	if sh.readOnly {
		return fault.New(op, fault.ReadOnly, "")
	}
	r, ok := sh.requests.Get().(*request)
	if !ok {
		r = &request{done: make(chan struct{}, 1)}
	}
	r.fn, r.committed, r.freeing, r.alone, r.err = fn, committed, freeing, nil, nil
	return sh.wait(ctx, r)
}

// betweenCommits calls fn in the shard's writer while no transaction is open.
func (sh *Shard) betweenCommits(fn func() error) error {
	return sh.wait(context.Background(), &request{alone: fn, done: make(chan struct{}, 1)})
}

// wait puts a request into the queue and waits for its outcome.
func (sh *Shard) wait(ctx context.Context, r *request) error {
	const op = "index.Update"
	sh.mu.Lock()
	if sh.closed {
		sh.mu.Unlock()
		return fault.New(op, fault.Unavailable, "")
	}
	sh.waiting = append(sh.waiting, r)
	sh.mu.Unlock()
	sh.signal()

	select {
	case <-r.done:
	case <-ctx.Done():
		if sh.takeBack(r) {
			return fault.Wrap(op, fault.Canceled, ctx.Err())
		}
		<-r.done
	}
	err := r.err
	r.fn, r.committed, r.alone = nil, nil, nil
	sh.requests.Put(r)
	return err
}

// takeBack removes a request from the queue and reports whether it was still there.
func (sh *Shard) takeBack(r *request) bool {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for i, w := range sh.waiting {
		if w == r {
			sh.waiting = append(sh.waiting[:i], sh.waiting[i+1:]...)
			return true
		}
	}
	return false
}

// run is the writer. It ends when the shard is closed and nothing waits.
func (sh *Shard) run() {
	defer close(sh.done)
	debug.SetPanicOnFault(true) // in this goroutine: a file that is cut short, see damaged
	var batch []*request
	for {
		sh.mu.Lock()
		n := min(len(sh.waiting), maxBatch)
		for i, r := range sh.waiting[:n] {
			if r.alone != nil {
				n = max(i, 1)
				break
			}
		}
		batch = append(batch[:0], sh.waiting[:n]...)
		rest := copy(sh.waiting, sh.waiting[n:])
		clear(sh.waiting[rest:])
		sh.waiting = sh.waiting[:rest]
		closed := sh.closed
		sh.mu.Unlock()
		switch {
		case n > 0 && batch[0].alone != nil:
			batch[0].err = sh.broken
			if sh.broken == nil {
				batch[0].err = batch[0].alone()
			}
			batch[0].done <- struct{}{}
			continue
		case n > 0:
			sh.execute(batch)
			continue
		}
		if closed {
			return
		}
		<-sh.wake
	}
}

// execute carries out one batch and answers every request of it.
func (sh *Shard) execute(batch []*request) {
	live := make([]*request, len(batch))
	copy(live, batch)
	err := sh.broken
	for err == nil {
		var again bool
		live, again, err = sh.attempt(live)
		if !again {
			break
		}
	}
	if err != nil {
		for _, r := range live {
			r.err = err
		}
	}
	for _, r := range batch {
		if r.err == nil && r.committed != nil {
			sh.announce(r.committed)
		}
		r.done <- struct{}{}
	}
}

// attempt runs the functions in one transaction and commits it. It returns the
// requests that are still to be answered by the transaction's outcome; those
// that failed have their error and are left out. again says that one failed
// with half its changes made, so that the rest has to be done over.
func (sh *Shard) attempt(live []*request) (rest []*request, again bool, err error) {
	btx, err := sh.db().Begin(true)
	if err != nil {
		return live, false, sh.fail(fmt.Errorf("begin: %w", err))
	}
	t := &tx{tx: btx, noted: sh.changed != nil}
	freeing := true
	kept := live[:0]
	for i, r := range live {
		before := t.writes
		if r.err = sh.call(t, r.fn); r.err == nil {
			kept = append(kept, r)
			freeing = freeing && (r.freeing || t.writes == before)
			continue
		}
		if t.writes != before {
			sh.rollback(btx)
			return append(kept, live[i+1:]...), true, nil
		}
	}
	if t.writes == 0 {
		sh.rollback(btx)
		return kept, false, nil
	}
	return sh.finish(t, kept, freeing)
}

// finish commits a transaction whose functions have all succeeded.
func (sh *Shard) finish(t *tx, live []*request, freeing bool) ([]*request, bool, error) {
	if err := sh.makeRoom(t, freeing); err != nil {
		sh.rollback(t.tx)
		if fault.Is(err, fault.NoSpace) && !freeing {
			// Those that give space back may still have theirs.
			return sh.onlyFreeing(live, err)
		}
		return live, false, err
	}
	sh.db().NoFreelistSync = sh.manyFree()
	err := sh.safeCommit(t.tx)
	switch {
	case err == nil:
		sh.noteChanges(t.changed)
		sh.compactIfDue()
		return live, false, nil
	case harmless(err):
		sh.log.Log(context.Background(), logs.LevelFailure, "the disk is full, the index cannot grow", slog.Any(logs.AttrError, err))
		return live, false, fault.Wrap("index.Update", fault.NoSpace, err)
	}
	return live, false, sh.fail(err)
}

// onlyFreeing refuses the requests of a batch that need space.
func (sh *Shard) onlyFreeing(live []*request, cause error) (rest []*request, again bool, err error) {
	rest = live[:0]
	for _, r := range live {
		if r.freeing {
			rest = append(rest, r)
		} else {
			r.err = cause
		}
	}
	return rest, len(rest) > 0, nil
}

// fail takes the shard out of service: after a failed sync nobody knows what
// is on the disk.
func (sh *Shard) fail(err error) error {
	sh.broken = fault.Wrap("index.Update", fault.Unavailable, err)
	sh.log.Log(context.Background(), logs.LevelCrash,
		"index write failed, this shard stays read-only until the server is restarted; check the disk", slog.Any(logs.AttrError, err))
	return sh.broken
}

// harmless reports whether a failed commit has left the file as it was: there
// was no room for its pages, and nothing was synced.
func harmless(err error) bool {
	var p *fs.PathError
	if errors.As(err, &p) && strings.HasPrefix(p.Op, "write") {
		return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
	}
	// bbolt could not make the file longer; it hides the cause in a text.
	return strings.HasPrefix(err.Error(), "file resize error")
}

func (sh *Shard) rollback(btx *bolt.Tx) {
	if err := btx.Rollback(); err != nil {
		sh.log.Log(context.Background(), logs.LevelFailure, "rollback of an index transaction", slog.Any(logs.AttrError, err))
	}
}

// call runs fn and turns a panic, which is a bug, into an error of this request alone.
func (sh *Shard) call(t *tx, fn func(Tx) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			t.writes++ // whatever it did has to be undone
			if err = sh.damaged(p); err == nil {
				err = sh.panicked("an index update", p)
			}
		}
	}()
	return fn(t)
}

// announce runs a committed function.
func (sh *Shard) announce(committed func()) {
	defer func() {
		if p := recover(); p != nil {
			_ = sh.panicked("the announcement of an index update", p) // logged; the commit stands
		}
	}()
	committed()
}

func (sh *Shard) safeCommit(btx *bolt.Tx) (err error) {
	defer func() {
		if p := recover(); p != nil {
			if err = sh.damaged(p); err == nil {
				err = sh.panicked("an index commit", p)
			}
			sh.undo(btx)
		}
	}()
	return sh.commit(btx)
}

// undo ends a transaction whose commit has panicked: while it is open, the
// file cannot be closed.
func (sh *Shard) undo(btx *bolt.Tx) {
	defer func() {
		if p := recover(); p != nil {
			sh.stuck = true
			_ = sh.panicked("the rollback after an index commit", p) // logged; the commit's error is returned
		}
	}()
	sh.rollback(btx)
}

func (sh *Shard) panicked(where string, p any) error {
	err := fault.Wrap("index.Update", fault.Internal, fmt.Errorf("panic in %s: %v", where, p))
	sh.log.Log(context.Background(), logs.LevelCrash, "panic in "+where,
		slog.Any(logs.AttrError, err), slog.String("stack", string(debug.Stack())))
	return err
}
