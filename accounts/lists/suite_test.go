package lists

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gatepost/accounts"
	"gatepost/accounts/subscribers"
	"gatepost/queue"
	"gatepost/queue/envelope"
	"gatepost/queue/transporttest"
	"gatepost/router"
	"gatepost/router/address"
	"gatepost/router/names"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
	"gatepost/server/settings"
)

// end is the module that has the members' mail. It knows messages by their queue IDs, as accounts do.
type end struct {
	mu  sync.Mutex
	has map[string]map[envelope.QueueID]bool // by member and subject
}

func (*end) Policy() queue.Policy {
	return queue.Policy{Workers: 5, Retry: queue.Schedule{Every: 10 * time.Minute, Expire: 24 * time.Hour}}
}

func (e *end) Sync(context.Context) error { return nil }
func (e *end) Forget([]envelope.QueueID)  {}

func (e *end) Deliver(_ context.Context, b *queue.Batch) {
	for _, it := range b.Items {
		data, _ := os.ReadFile(it.File)
		_, subject, _ := strings.Cut(string(data), "Subject: ")
		subject, _, _ = strings.Cut(subject, "\r\n")
		e.mu.Lock()
		for _, r := range it.Recipients {
			key := it.Envelope.Recipients[r].Address.String() + " " + subject
			if e.has[key] == nil {
				e.has[key] = map[envelope.QueueID]bool{}
			}
			e.has[key][it.ID] = true
		}
		e.mu.Unlock()
		it.ReportAll(it.Recipients, envelope.Status{Action: envelope.ActionDelivered, Code: envelope.Code{2, 0, 0}, Text: "delivered"})
	}
}

func (e *end) count(member, subject string) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.has[member+" "+subject])
}

// groupsUntil has groups of which one cannot be read for a while.
type groupsUntil struct {
	accounts.Groups
	later *bool
}

func (g groupsUntil) Get(ctx context.Context, domain, name string) (*accounts.Group, error) {
	if *g.later && name == "later" {
		return nil, fault.New("test", fault.Unavailable, "not now")
	}
	return g.Groups.Get(ctx, domain, name)
}

// routerFunc routes members.
type routerFunc func(address.Address) (router.Route, error)

func (f routerFunc) Route(_ context.Context, _ names.Operation, a address.Address) (router.Route, error) {
	return f(a)
}

// A group sends a message on once, and its members have it once, whenever the server is killed.
func TestTransport(t *testing.T) {
	template := prepare(t, func(store *accounts.Store) {
		for name, set := range map[string]string{
			"good": "{Members=(m-good); FinalDelivery=YES;}", "other": "{Members=(m-other, m-other); FinalDelivery=YES;}",
			"later": "{Members=(m-later);}", "bad": "{EmailDisabled=YES;}",
		} {
			must(t, store.Groups().Create(context.Background(), "", name, dict(t, set)))
		}
	})
	transporttest.Run(t, func(t *testing.T, dir string) *transporttest.Subject {
		e := &end{has: map[string]map[envelope.QueueID]bool{}}
		later := true
		route := func(a address.Address) router.Route {
			if strings.HasPrefix(a.Local, "m-") {
				return router.Route{Module: router.LOCAL, Queue: a.String(), Name: a.Local, Domain: a.Domain, Address: a}
			}
			return router.Route{Module: router.LIST, Queue: "groups", Name: a.Local, Domain: a.Domain, Address: a}
		}
		store := openCopy(t, template, dir)
		open := func(q *queue.Queue, _ *queue.Counter) (queue.Transport, func()) {
			q.Handle(router.LOCAL, e)
			tr := New(groupsUntil{store.Groups(), &later}, nil, routerFunc(func(a address.Address) (router.Route, error) { return route(a), nil }),
				load(t, nil), slog.New(slog.DiscardHandler))
			return tr, func() {}
		}
		return &transporttest.Subject{
			Module: router.LIST, Open: open, Route: route, SendsOn: true, Every: everyCrash,
			Good: [2]string{"good@company.com", "other@company.com"}, Bad: "bad@company.com", Later: "later@company.com",
			Relent: func() { later = false },
			Met: func(rcpt, subject string) int {
				if rcpt == "bad@company.com" {
					return 0
				}
				return e.count("m-"+rcpt, subject)
			},
		}
	})
}

// A list sends a posting on once, and its subscribers have it once, whenever the server is killed.
func TestTransportOfLists(t *testing.T) {
	template := prepare(t, func(store *accounts.Store) {
		must(t, store.CreateAccount(context.Background(), "", "ann", nil))
		for _, name := range []string{"good", "other", "later", "bad"} {
			set := `{Postings="from anybody";}`
			if name == "bad" {
				set = `{Postings="from owner only";}`
			}
			must(t, store.Lists().Create(context.Background(), "", name, "ann", dict(t, set)))
			l, err := store.Lists().Get(context.Background(), "", name)
			must(t, err)
			must(t, l.Subscribers().Change(context.Background(), "m-"+name+"@company.com", func(s *subscribers.Subscriber) error {
				s.Mode = subscribers.Feed
				return nil
			}))
		}
	})
	transporttest.Run(t, func(t *testing.T, dir string) *transporttest.Subject {
		e := &end{has: map[string]map[envelope.QueueID]bool{}}
		route := func(a address.Address) router.Route {
			if strings.HasPrefix(a.Local, "m-") || strings.Contains(a.Local, "#") {
				return router.Route{Module: router.LOCAL, Queue: a.String(), Name: a.Local, Domain: a.Domain, Address: a}
			}
			return router.Route{Module: router.LIST, Queue: "lists", Name: a.Local, Domain: a.Domain, Address: a}
		}
		later := true
		policy := func(context.Context, string) (string, error) { return "", nil }
		store := openCopy(t, template, dir)
		open := func(q *queue.Queue, _ *queue.Counter) (queue.Transport, func()) {
			q.Handle(router.LOCAL, e)
			r := routerFunc(func(a address.Address) (router.Route, error) { return route(a), nil })
			m := NewManager(Options{Store: store, Router: r, Queue: q, Policy: policy, Log: slog.New(slog.DiscardHandler)})
			tr := New(groupsUntil{store.Groups(), &later}, m, r, load(t, nil), slog.New(slog.DiscardHandler))
			return tr, func() {}
		}
		return &transporttest.Subject{
			Module: router.LIST, Open: open, Route: route, SendsOn: true, Every: everyCrash,
			Good: [2]string{"good@company.com", "other@company.com"}, Bad: "bad@company.com", Later: "later@company.com",
			Relent: func() { later = false },
			Met: func(rcpt, subject string) int {
				if rcpt == "bad@company.com" {
					return 0
				}
				if rcpt == "other@company.com" { // of this list the archive is looked at
					return e.count("other#ann@company.com", subject)
				}
				return e.count("m-"+rcpt, subject)
			},
		}
	})
}

// everyCrash keeps the suites short: a group and a list take some 380 crashes each.
const everyCrash = 6

// prepare returns a directory with accounts, which each crash gets a copy of. They are not what is tested: they are made
// once, and outlive the crash.
func prepare(t *testing.T, make func(*accounts.Store)) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "accounts")
	store := openStore(t, dir)
	make(store)
	must(t, store.Close())
	return dir
}

// openCopy opens a copy of what prepare has made, until the test ends.
func openCopy(t *testing.T, template, dir string) *accounts.Store {
	t.Helper()
	dir = filepath.Join(dir, "accounts")
	must(t, os.CopyFS(dir, os.DirFS(template)))
	must(t, os.Chmod(filepath.Join(dir, "Settings", "Password.key"), 0o600))
	store := openStore(t, dir)
	t.Cleanup(func() { must(t, store.Close()) })
	return store
}

func openStore(t *testing.T, dir string) *accounts.Store {
	t.Helper()
	id := uint64(0)
	store, err := accounts.Open(dir, accounts.Options{MainDomain: "company.com", Shards: 1, NextID: func() (uint64, error) { id++; return id, nil }})
	must(t, err)
	return store
}

func load(t *testing.T, d dataformat.Dict) *settings.Live[Settings] {
	t.Helper()
	set := new(Settings)
	must(t, settings.Load(set, d))
	return settings.NewLive(set)
}

func dict(t *testing.T, text string) dataformat.Dict {
	t.Helper()
	v, err := dataformat.Parse([]byte(text))
	must(t, err)
	return v.(dataformat.Dict)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
