package lists

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"testing"
	"time"

	"gatepost/accounts"
	"gatepost/accounts/subscribers"
	"gatepost/router"
	"gatepost/router/address"
	"gatepost/server/dataformat"
)

// benchManager is a manager of a store with the account ann.
func benchManager(b *testing.B) *Manager {
	b.Helper()
	id := uint64(0)
	store, err := accounts.Open(b.TempDir(), accounts.Options{MainDomain: "company.com", Shards: 1, NextID: func() (uint64, error) { id++; return id, nil }})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { store.Close() })
	if err := store.CreateAccount(b.Context(), "", "ann", nil); err != nil {
		b.Fatal(err)
	}
	r := routerFunc(func(a address.Address) (router.Route, error) {
		return router.Route{Module: router.SMTP, Queue: a.Domain, Address: a}, nil
	})
	return NewManager(Options{Store: store, Router: r, Log: slog.New(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelError}))})
}

// BenchmarkManyLists looks after 10,000 lists: once all of them, as after a start, and then a minute in which nothing is due.
func BenchmarkManyLists(b *testing.B) {
	const lists = 10_000
	m := benchManager(b)
	ctx := context.Background()
	for n := range lists {
		if err := m.o.Store.Lists().Create(ctx, "", fmt.Sprintf("l%05d", n), "ann", dataformat.Dict{}); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		m.schedule = schedule{}
		for _, when := range []string{"first", "idle", "again"} {
			now, start := time.Now(), time.Now()
			if when == "again" {
				now = now.Add(upkeepAll)
			}
			if err := m.upkeepDue(ctx, now); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(time.Since(start).Microseconds())/1000, "ms-"+when)
		}
	}
}

// BenchmarkManySubscribers imports 100,000 subscribers of one list, reads a page, changes a mode, and cleans.
func BenchmarkManySubscribers(b *testing.B) {
	const many = 100_000
	for n := 0; b.Loop(); n++ {
		m := benchManager(b)
		ctx := context.Background()
		if err := m.o.Store.Lists().Create(ctx, "", "news", "ann", dataformat.Dict{}); err != nil {
			b.Fatal(err)
		}
		l, err := m.o.Store.Lists().Get(ctx, "", "news")
		if err != nil {
			b.Fatal(err)
		}
		all := make([]Request, many)
		for i := range all {
			all[i] = Request{Address: fmt.Sprintf("u%06d@far%02d.test", i, i%20), Mode: subscribers.Feed}
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		measure := func(what string, do func() error) {
			start := time.Now()
			if err := do(); err != nil {
				b.Fatal(what, err)
			}
			b.ReportMetric(float64(time.Since(start).Microseconds())/1000, "ms-"+what)
		}
		measure("import", func() error {
			_, err := m.ChangeAll(ctx, l, all, subscribers.How{Silently: true})
			return err
		})
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(int64(after.HeapAlloc)-int64(before.HeapAlloc))/1e6, "MB-kept")
		measure("page", func() error {
			_, err := l.Subscribers().Page(ctx, "u050000@far00.test", 100, nil)
			return err
		})
		measure("mode", func() error {
			return l.Subscribers().Change(ctx, "u070000@far00.test", func(s *subscribers.Subscriber) error { s.Moderated = 5; return nil })
		})
		measure("clean", func() error { return m.clean(ctx, l, time.Now().Add(48*time.Hour)) })
	}
}
