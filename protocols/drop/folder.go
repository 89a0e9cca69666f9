package drop

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"
	"golang.org/x/sys/unix"

	"gatepost/server/fault"
	"gatepost/server/logs"
)

const (
	extWritten = ".tmp"
	extReason  = ".reason"
	// maxName bounds names, so that there is room for what is appended to them.
	maxName = 200
	// partOfScan is how many names are read at once.
	partOfScan = 200
	// settles is how long a file is not changed any more before what is wrong in it counts.
	settles = time.Minute
)

// folder is a drop folder.
type folder struct {
	in   *Intake
	name string
	set  *FolderSettings
	log  *slog.Logger

	mu   sync.Mutex // one pass at a time
	left []*record  // of an earlier run, or whose file could not be moved
	wait waiting
}

func newFolder(in *Intake, name string, set *FolderSettings) *folder {
	return &folder{in: in, name: name, set: set, log: in.log, left: in.takeLeft(name)}
}

// run sweeps the folder when the system tells of a new file, and every SweepPeriod.
func (f *folder) run(ctx context.Context) {
	defer func() { f.in.giveLeft(f.name, f.left) }()
	events, stop := f.watch(ctx)
	defer func() { stop() }()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			if events == nil { // the directory may be there by now
				stop()
				events, stop = f.watch(ctx)
			}
		case <-events:
		}
		_, err := f.sweep(ctx, time.Now(), "", false)
		if ctx.Err() == nil {
			f.mu.Lock()
			f.wait.say(ctx, f.log, f.name, err)
			f.mu.Unlock()
		}
		timer.Reset(f.in.o.Settings.Get().SweepPeriod.Duration())
	}
}

// watch tells of new files. Without it they are found by the clock alone.
func (f *folder) watch(ctx context.Context) (events <-chan struct{}, stop func()) {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, func() {}
	}
	if err := w.Add(f.set.Path); err != nil {
		w.Close()
		return nil, func() {}
	}
	woken := make(chan struct{}, 1)
	var reader sync.WaitGroup
	reader.Go(func() {
		for {
			select {
			case e, open := <-w.Events:
				if !open {
					return
				}
				if !e.Has(fsnotify.Create) || !isCandidate(path.Base(e.Name)) {
					continue
				}
			case _, open := <-w.Errors: // an overflow, most likely
				if !open {
					return
				}
			}
			select {
			case woken <- struct{}{}:
			default:
			}
		}
	})
	return woken, func() {
		w.Close()
		reader.Wait()
	}
}

// isCandidate reports whether a file with the name may be taken.
func isCandidate(name string) bool {
	return !strings.HasPrefix(name, ".") && !strings.HasSuffix(name, extWritten) && !strings.HasSuffix(name, extReason) && len(name) <= maxName
}

// open opens the directory and makes its sub-folders.
func (f *folder) open() (*os.Root, error) {
	root, err := os.OpenRoot(f.set.Path)
	if err != nil {
		return nil, fault.Wrap("drop.Folder", fault.Unavailable, err)
	}
	if err := f.isOutside(root); err != nil {
		root.Close()
		return nil, fault.Wrap("drop.Folder", fault.Unavailable, err)
	}
	for _, sub := range []string{sent, later, never} {
		if err = root.Mkdir(sub, 0o750); errors.Is(err, fs.ErrExist) {
			var info fs.FileInfo
			if info, err = root.Lstat(sub); err == nil && !info.IsDir() {
				err = fault.Newf("drop.Folder", fault.Unavailable, "%s/%s is no directory", f.set.Path, sub)
			}
		}
		if err != nil {
			root.Close()
			return nil, fault.Wrap("drop.Folder", fault.Unavailable, err)
		}
	}
	return root, nil
}

// isOutside refuses a directory in the base directory, or around it, that a symbolic link has led to: others may be
// able to put one into the place of the folder.
func (f *folder) isOutside(root *os.Root) error {
	d, err := root.Open(".")
	if err != nil {
		return err
	}
	defer d.Close()
	real, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(int(d.Fd()))) // of what was opened, whatever the path says now
	if err != nil {
		if real, err = filepath.EvalSymlinks(f.set.Path); err != nil {
			return err
		}
	}
	base, err := filepath.EvalSymlinks(f.in.o.Base)
	if err == nil && (isWithin(real, base) || isWithin(base, real)) {
		err = fault.Newf("drop.Folder", fault.Unavailable, "%s leads to %s, and a drop folder cannot be in the base directory, or around it", f.set.Path, real)
	}
	return err
}

// sweep takes the files that are there, and the deferred ones that are due; with now, all. Files without
// an item of the sender are left where they are. An error says why files wait.
func (f *folder) sweep(ctx context.Context, when time.Time, sender string, now bool) (n Counts, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	root, err := f.open()
	if err != nil {
		return n, err
	}
	defer root.Close()
	if err := f.finishLeft(root); err != nil {
		return n, err
	}
	var waits error
	for _, dir := range []string{later, "."} {
		err := eachName(root, dir, func(name string) error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if !isCandidate(name) || dir == later && !now && !f.isDue(root, name, when) {
				return nil
			}
			results, err := f.take(ctx, root, path.Join(dir, name), sender)
			n.add(results)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				waits = err
			}
			return nil
		})
		if err != nil {
			return n, err
		}
	}
	f.prune(ctx, root, sent, when.Add(-f.set.KeepSent.Duration()))
	f.prune(ctx, root, never, when.Add(-f.set.KeepRefused.Duration()))
	return n, waits
}

// eachName calls fn with the names in a directory, some of which are read at a time.
func eachName(root *os.Root, dir string, fn func(name string) error) error {
	d, err := root.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	for {
		names, err := d.Readdirnames(partOfScan)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		slices.Sort(names)
		for _, name := range names {
			if err := fn(name); err != nil {
				return err
			}
		}
	}
}

// isDue reports whether a deferred file is to be tried again.
func (f *folder) isDue(root *os.Root, name string, when time.Time) bool {
	info, err := root.Lstat(path.Join(later, name+extReason))
	return err != nil || !info.ModTime().Add(f.set.RetryInterval.Duration()).After(when)
}

// read returns the items of a file, and its content.
func (f *folder) read(root *os.Root, file string) ([]Item, *content, error) {
	c, err := f.content(root, file)
	if err != nil {
		return nil, c, err
	}
	items, err := ParseItems(c.text)
	if err == nil && len(items) == 0 {
		err = fault.New("drop.Read", fault.Invalid, "there is no item in it")
	}
	return items, c, err
}

// content is what a file has, and tells it from another one with its name.
type content struct {
	fs.FileInfo
	text []byte
}

func (c *content) inode() uint64 { return c.Sys().(*syscall.Stat_t).Ino }

func (c *content) sum() string {
	sum := sha256.Sum256(c.text)
	return hex.EncodeToString(sum[:])
}

// content reads a file. Others may write in the folder: what is no regular file, or has another name, is refused. With an
// error there may be no content, or one without its text.
func (f *folder) content(root *os.Root, file string) (*content, error) {
	const op = "drop.Read"
	info, err := root.Lstat(file)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return &content{FileInfo: info}, fault.New(op, fault.Invalid, "it is no regular file")
	}
	r, err := root.OpenFile(file, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	switch {
	case errors.Is(err, os.ErrPermission):
		return nil, fault.New(op, fault.Unavailable, "the server may not read "+file)
	case err != nil:
		return nil, err
	}
	defer r.Close()
	if info, err = r.Stat(); err != nil {
		return nil, err
	}
	c := &content{FileInfo: info}
	switch {
	case !info.Mode().IsRegular(), info.Sys().(*syscall.Stat_t).Nlink != 1:
		return c, fault.New(op, fault.Invalid, "it is no regular file, or has a second name")
	case f.set.MaxFileSize.Exceeds(info.Size()):
		return c, fault.Newf(op, fault.Invalid, "it has %d bytes, and MaxFileSize is %d", info.Size(), f.set.MaxFileSize)
	}
	c.text, err = io.ReadAll(io.LimitReader(r, info.Size()))
	return c, err
}

// take does with a file what is to be done with its items. An error says why it waits.
func (f *folder) take(ctx context.Context, root *os.Root, file, sender string) ([]result, error) {
	items, info, err := f.read(root, file)
	if err != nil {
		switch {
		case info != nil && info.IsDir():
			return nil, nil
		case fault.KindOf(err) != fault.Invalid:
			return nil, err
		case errors.Is(err, errCut) && time.Since(info.ModTime()) < settles:
			return nil, nil // it is being written
		}
		f.log.Log(ctx, logs.LevelProblem, "refused: "+fault.Text(err), "source", f.name, "file", file)
		r := result{Reason: fault.Text(err)}
		return []result{r}, f.moveAll(root, file, freeName(root, file, false), []result{r}, 0)
	}
	if !slices.ContainsFunc(items, func(it Item) bool { return it.isFrom(sender) }) {
		return nil, nil
	}
	rec := f.in.newRecord(f.name)
	rec.file, rec.inode, rec.sum = file, info.inode(), info.sum()
	tries := 1 + triesOf(root, file)
	for i := range items {
		p, r, err := f.in.consider(ctx, &items[i], f.set.Senders)
		if err == nil && r.Reason == "" {
			r, err = f.in.hold(ctx, "folder "+f.name, p)
		}
		if err != nil {
			f.in.drop(rec.results)
			return nil, err
		}
		if r.Later && tries >= f.set.MaxTries {
			r = result{Reason: r.Reason + "; given up after " + strconv.Itoa(tries) + " tries"}
		}
		rec.results = append(rec.results, r)
	}
	divided := slices.ContainsFunc(rec.results, func(r result) bool { return r.kind() != rec.results[0].kind() })
	if !divided && rec.results[0].kind() == later && path.Dir(file) == later {
		// It stays where it is.
		f.in.logResults(ctx, f.name, file, items, rec.results)
		return rec.results, writeIn(root, file+extReason, reasons(rec.results, tries))
	}
	rec.as = freeName(root, file, divided)
	if err := rec.write(); err != nil {
		f.in.drop(rec.results)
		return nil, err
	}
	f.in.logResults(ctx, f.name, file, items, rec.results)
	err = f.finish(root, rec)
	if err != nil {
		f.left = append(f.left, rec)
	}
	return rec.results, err
}

// finishLeft finishes what an earlier pass could not.
func (f *folder) finishLeft(root *os.Root) error {
	for len(f.left) > 0 {
		if err := f.finish(root, f.left[0]); err != nil {
			return err
		}
		f.left = f.left[1:]
	}
	return nil
}

// finish carries out a record: publishes the messages, and moves the file or divides it. It may be called again.
func (f *folder) finish(root *os.Root, rec *record) error {
	if err := f.in.publish(rec); err != nil {
		return err
	}
	if err := f.putAway(root, rec); err != nil {
		return err
	}
	if err := rec.remove(); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// putAway moves the file of a record, or divides it. Once the file is gone, that is done; another one with its name is
// left to be taken, and so is one that was changed before any of it was sent.
func (f *folder) putAway(root *os.Root, rec *record) error {
	items, c, err := f.read(root, rec.file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil && !fault.Is(err, fault.Invalid):
		return err
	}
	changed := c.sum() != rec.sum && rec.sum != ""
	if changed && (c.inode() != rec.inode || !slices.ContainsFunc(rec.results, func(r result) bool { return r.kind() == sent })) {
		return nil
	}
	tries := 1 + triesOf(root, rec.file)
	kind := rec.results[0].kind()
	if !changed && !slices.ContainsFunc(rec.results, func(r result) bool { return r.kind() != kind }) {
		return f.moveAll(root, rec.file, rec.as, rec.results, tries)
	}
	if changed || err == nil && len(items) != len(rec.results) {
		err = fault.New("drop.Divide", fault.Invalid, "it was changed while it was sent")
	}
	if err != nil {
		// Some of it is sent, so it is not taken again.
		f.log.Log(context.Background(), logs.LevelFailure, "a file was changed while its mail was sent; what was not sent of it stays in drop", "source", f.name, "file", rec.file)
		return f.moveAll(root, rec.file, rec.as, []result{{Reason: fault.Text(err)}}, tries)
	}
	for _, kind := range []string{sent, later, never} {
		var part []Item
		var results []result
		for i, r := range rec.results {
			if r.kind() == kind {
				part, results = append(part, items[i]), append(results, r)
			}
		}
		if len(part) == 0 {
			continue
		}
		if kind != sent {
			if err := writeIn(root, path.Join(kind, rec.as+extReason), reasons(results, tries)); err != nil {
				return err
			}
		}
		if err := writeIn(root, path.Join(kind, rec.as), AppendItems(nil, part)); err != nil {
			return err
		}
	}
	return removeFile(root, rec.file)
}

// moveAll moves a file into the sub-folder of all of its results.
func (f *folder) moveAll(root *os.Root, file, as string, results []result, tries int) error {
	kind := results[0].kind()
	if kind != sent {
		if err := writeIn(root, path.Join(kind, as+extReason), reasons(results, tries)); err != nil {
			return err
		}
	}
	if err := root.Rename(file, path.Join(kind, as)); err != nil {
		return err
	}
	// First where it is, then where it was: after a power cut it is in both, and the record tells.
	if err := errors.Join(syncIn(root, kind), syncIn(root, path.Dir(file))); err != nil {
		return err
	}
	return removeReason(root, file)
}

func removeFile(root *os.Root, file string) error {
	if err := root.Remove(file); err != nil {
		return err
	}
	if err := syncIn(root, path.Dir(file)); err != nil {
		return err
	}
	return removeReason(root, file)
}

// removeReason removes what stood beside a deferred file.
func removeReason(root *os.Root, file string) error {
	if path.Dir(file) != later {
		return nil
	}
	err := root.Remove(file + extReason)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// writeIn puts a file into the place of another: after a crash there is the old or the new one.
func writeIn(root *os.Root, name string, text []byte) error {
	tmp := path.Join(path.Dir(name), "."+path.Base(name)+extWritten)
	w, err := root.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|unix.O_NOFOLLOW, 0o640)
	if err != nil {
		return err
	}
	_, err = w.Write(text)
	if err = errors.Join(err, w.Sync(), w.Close()); err == nil {
		err = root.Rename(tmp, name)
	}
	if err != nil {
		return errors.Join(err, root.Remove(tmp))
	}
	return syncIn(root, path.Dir(name))
}

func syncIn(root *os.Root, dir string) error {
	d, err := root.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// freeName is a name that no sub-folder has: that of the file, or one like it. A file that is moved out of
// defer as a whole frees its own.
func freeName(root *os.Root, file string, divided bool) string {
	name := path.Base(file)
	ext := path.Ext(name)
	stem := strings.TrimSuffix(name, ext)
	for n := 0; ; n++ {
		as := name
		if n > 0 {
			as = stem + "-" + strconv.Itoa(n) + ext
		}
		if !slices.ContainsFunc([]string{sent, later, never}, func(dir string) bool {
			other := path.Join(dir, as)
			_, err := root.Lstat(other)
			return !errors.Is(err, fs.ErrNotExist) && (divided || other != file)
		}) {
			return as
		}
	}
}

const triesField = "tries: "

// reasons is the text of a file NAME.reason: how often its items were tried, and why they are not sent.
func reasons(results []result, tries int) []byte {
	var b strings.Builder
	if tries > 0 {
		b.WriteString(triesField + strconv.Itoa(tries) + "\n")
	}
	for i, r := range results {
		b.WriteString("item " + strconv.Itoa(i+1) + ": " + strings.Join(strings.Fields(r.Reason), " ") + "\n")
	}
	return []byte(b.String())
}

// triesOf is how often a file has been deferred.
func triesOf(root *os.Root, file string) int {
	if path.Dir(file) != later {
		return 0
	}
	r, err := root.OpenFile(file+extReason, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return 0
	}
	defer r.Close()
	start, _ := io.ReadAll(io.LimitReader(r, 100))
	line, _, _ := strings.Cut(string(start), "\n")
	text, _ := strings.CutPrefix(line, triesField)
	n, _ := strconv.Atoi(text)
	return max(n, 0)
}

// prune removes files that came into a sub-folder before a time.
func (f *folder) prune(ctx context.Context, root *os.Root, dir string, before time.Time) {
	err := eachName(root, dir, func(name string) error {
		info, err := root.Lstat(path.Join(dir, name))
		if err != nil || !info.Mode().IsRegular() {
			return nil
		}
		// A rename sets the time of change of the file.
		changed := info.Sys().(*syscall.Stat_t).Ctim
		if time.Unix(changed.Unix()).Before(before) {
			return root.Remove(path.Join(dir, name))
		}
		return nil
	})
	if err != nil && ctx.Err() == nil {
		f.log.Log(ctx, logs.LevelProblem, "old files could not be removed", "source", f.name, "file", dir, logs.AttrError, err)
	}
}

// list implements source. At most maxItems are returned.
func (f *folder) list(ctx context.Context, sender string) (found []Item, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	root, err := f.open()
	if err != nil {
		return nil, err
	}
	defer root.Close()
	for _, dir := range []string{".", later} {
		err := eachName(root, dir, func(name string) error {
			if ctx.Err() != nil || !isCandidate(name) || len(found) >= maxItems {
				return ctx.Err()
			}
			items, _, err := f.read(root, path.Join(dir, name))
			if err == nil {
				found = append(found, slices.DeleteFunc(items, func(it Item) bool { return !it.isFrom(sender) })...)
			}
			return nil // the next sweep says what is wrong with it
		})
		if err != nil {
			return nil, err
		}
	}
	return found[:min(len(found), maxItems)], nil
}

// send implements source.
func (f *folder) send(ctx context.Context, sender string) (Counts, error) {
	return f.sweep(ctx, time.Now(), sender, true)
}
