package accounts

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// The age of leftovers is a setting, which may change while the store is open.
func TestLeftoversAreRemovedWhenTheyAreOldEnough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var age atomic.Int64 // a time.Duration; 0: never
		var ids atomic.Uint64
		s, err := Open(t.TempDir(), Options{
			MainDomain: "company.com", Shards: 1, NextID: func() (uint64, error) { return ids.Add(1), nil },
			DeleteLeftoversIn: func() (time.Duration, bool) { return time.Duration(age.Load()), age.Load() > 0 },
		})
		must(t, err)
		defer func() { must(t, s.Close()) }()
		must(t, s.CreateDomain(t.Context(), "client.dom", nil))
		must(t, s.CreateAccount(t.Context(), "client.dom", "ann", nil))
		a, err := s.Account(t.Context(), "client.dom", "ann")
		must(t, err)
		dir := filepath.Join(a.Dir(), "Leftovers", time.Now().UTC().Format("2006-01-02_15-04-05"))
		must(t, os.MkdirAll(dir, 0o700))
		must(t, os.WriteFile(filepath.Join(dir, "0-77"), []byte("x"), 0o600))
		there := func() bool {
			synctest.Wait()
			_, err := os.Stat(dir)
			return !errors.Is(err, fs.ErrNotExist)
		}
		time.Sleep(100 * 24 * time.Hour)
		if !there() {
			t.Error("removed though they are kept for ever")
		}
		age.Store(int64(103 * 24 * time.Hour))
		time.Sleep(2 * 24 * time.Hour)
		if !there() {
			t.Error("removed too early")
		}
		time.Sleep(3 * 24 * time.Hour)
		if there() {
			t.Error("not removed")
		}
	})
}
