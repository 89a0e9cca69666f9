package delivery

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/accounts"
	"gatepost/accounts/access"
	"gatepost/accounts/mailbox"
	"gatepost/accounts/mailbox/mailboxtest"
	"gatepost/queue"
	"gatepost/queue/envelope"
	"gatepost/router"
	"gatepost/router/address"
	"gatepost/server/dataformat"
	"gatepost/server/settings"
)

// office is a server without wires: accounts, router, queue and LOCAL.
type office struct {
	t     testing.TB
	acc   *accounts.Store
	q     *queue.Queue
	local *Transport
	set   *settings.Live[Settings]
	stop  func()
	// onNumber, if set, is called once, when the store needs its next number. A copy
	// for a mailbox needs one after the account was looked up.
	onNumber atomic.Pointer[func()]
	rules    *ruleBook // nil: there are none
	// noSync makes every sync of what was delivered fail.
	noSync atomic.Bool
}

// frail is LOCAL with the syncs of the office.
type frail struct {
	*Transport
	o *office
}

func (f frail) Sync(ctx context.Context) error {
	if f.o.noSync.Load() {
		return errors.New("the power fails before this")
	}
	return f.Transport.Sync(ctx)
}

func shards() int {
	n, _ := strconv.Atoi(os.Getenv("BENCHSHARDS"))
	return n
}

func load[T any](t testing.TB, d dataformat.Dict) *settings.Live[T] {
	t.Helper()
	v := new(T)
	if err := settings.Load(v, d); err != nil {
		t.Fatal(err)
	}
	return settings.NewLive(v)
}

func newOffice(t testing.TB, dir string) *office { return newOfficeWith(t, dir, nil) }

// newOfficeWith is newOffice with rules.
func newOfficeWith(t testing.TB, dir string, book *ruleBook) *office {
	t.Helper()
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	queueDir := filepath.Join(dir, "Queue")
	counter, err := queue.OpenCounter(filepath.Join(dir, "counter"), queueDir, 0)
	if err != nil {
		t.Fatal(err)
	}
	o := &office{t: t, set: load[Settings](t, nil), rules: book}
	if o.acc, err = accounts.Open(dir, accounts.Options{Log: log, MainDomain: "company.com", Shards: shards(),
		NextID: func() (uint64, error) {
			if f := o.onNumber.Swap(nil); f != nil {
				(*f)()
			}
			id, err := counter.NextID()
			return uint64(id), err
		},
		Raise: func(used uint64) error { return counter.Raise(envelope.QueueID(used)) }}); err != nil {
		t.Fatal(err)
	}
	r, err := router.New(load[router.Settings](t, nil), o.acc, log)
	if err != nil {
		t.Fatal(err)
	}
	o.q, err = queue.Open(queueDir, queue.Options{Settings: load[queue.Settings](t, nil), Router: r, Counter: counter,
		MainDomain: o.acc.MainDomain, AllAccounts: AllAccounts(o.acc), Log: log})
	if err != nil {
		t.Fatal(err)
	}
	o.local = New(o.acc, o.q, access.New(o.acc, r), nil, o.set, log)
	if book != nil {
		o.local = New(o.acc, &watchedQueue{o.q, book}, access.New(o.acc, r), book, o.set, slog.New(slog.NewTextHandler(&book.log, nil)))
	}
	o.q.Handle(router.LOCAL, frail{o.local, o})
	if err := o.local.ForgetBut(context.Background(), o.q.Has); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		o.q.Run(ctx)
	}()
	o.stop = sync.OnceFunc(func() {
		cancel()
		<-done
	})
	t.Cleanup(func() {
		o.stop()
		mailboxtest.Check(t, o.acc.Mail())
		if err := o.acc.Close(); err != nil {
			t.Error(err)
		}
		o.q.Close()
		counter.Close()
	})
	return o
}

func (o *office) account(name string, set dataformat.Dict) {
	o.t.Helper()
	if err := o.acc.CreateAccount(context.Background(), "company.com", name, set); err != nil {
		o.t.Fatal(err)
	}
}

func (o *office) box(account, name string) []string {
	o.t.Helper()
	acc, err := o.acc.Account(context.Background(), "company.com", account)
	if err != nil {
		o.t.Fatal(err)
	}
	m, err := acc.Mail().Open(context.Background(), name, true)
	if err != nil {
		o.t.Fatal(err)
	}
	defer m.Close()
	var out []string
	for _, uid := range m.UIDs() {
		body, err := m.OpenBody(uid)
		if err != nil {
			o.t.Fatal(err)
		}
		text, err := io.ReadAll(io.NewSectionReader(body, 0, body.Size()))
		if err != nil {
			o.t.Fatal(err)
		}
		body.Close()
		out = append(out, string(text))
	}
	return out
}

// empty expunges the messages in an account's INBOX.
func (o *office) empty(account string) {
	o.t.Helper()
	acc, err := o.acc.Account(context.Background(), "company.com", account)
	if err != nil {
		o.t.Fatal(err)
	}
	m, err := acc.Mail().Open(context.Background(), "INBOX", false)
	if err != nil {
		o.t.Fatal(err)
	}
	defer m.Close()
	if _, err := m.SetFlags(context.Background(), m.UIDs(), mailbox.Add, []imap.Flag{imap.FlagDeleted}, mailbox.NoCondition); err != nil {
		o.t.Fatal(err)
	}
	if _, err := m.Expunge(context.Background(), nil); err != nil {
		o.t.Fatal(err)
	}
}

func (o *office) addr(s string) address.Address {
	a, err := address.Parse(s)
	if err != nil {
		o.t.Fatalf("%q: %v", s, err)
	}
	return a
}

func (o *office) send(from, text string, to ...string) envelope.QueueID {
	o.t.Helper()
	env := &envelope.Envelope{Source: envelope.Source{Tag: "SMTP", Account: "joe@company.com", Trusted: true}}
	if from != "" {
		env.ReturnPath = o.addr(from)
	}
	for _, r := range to {
		env.Recipients = append(env.Recipients, envelope.Recipient{Address: o.addr(r), Notify: envelope.NotifyDefault})
	}
	id, err := o.submit(env, text)
	if err != nil {
		o.t.Fatal(err)
	}
	return id
}

func (o *office) submit(env *envelope.Envelope, text string) (envelope.QueueID, error) {
	s, err := o.q.Begin(context.Background(), env)
	if err != nil {
		return 0, err
	}
	defer s.Abort()
	if _, err := io.WriteString(s, text); err != nil {
		return 0, err
	}
	return s.ID(), s.Commit(context.Background())
}

// settled waits until every message is delivered or delayed, and every report
// about them too.
func (o *office) settled() { synctest.Wait() }

func (o *office) list() string {
	var b strings.Builder
	o.q.List(context.Background(), func(e queue.Entry) bool {
		fmt.Fprintf(&b, "%s %s(%s) %s\n", e.Recipient, e.Module, e.Queue, e.LastError)
		return true
	})
	return b.String()
}

const text = "From: x@far.org\r\nSubject: hello\r\n\r\nbody\r\n"

func equal(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %q\nwant %q", what, got, want)
	}
}
