package scheduling

import (
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gatepost/accounts"
	"gatepost/accounts/access"
	"gatepost/accounts/delivery"
	"gatepost/accounts/groupware"
	"gatepost/queue"
	"gatepost/queue/envelope"
	"gatepost/router"
	"gatepost/router/address"
	"gatepost/server/dataformat"
	"gatepost/server/settings"
)

// office is a server without wires: the accounts ann, bob, cay and room@company.com, a queue, LOCAL, and mail to elsewhere as files.
type office struct {
	t     testing.TB
	acc   *accounts.Store
	q     *queue.Queue
	s     *Service
	stop  func()
	log   *logText
	rules ruleBook
	mu    sync.Mutex
	away  []string // messages to elsewhere, as they would be sent
	awayE []envelope.Envelope
}

// ruleBook has what rules say by the name of the account.
type ruleBook struct {
	mu sync.Mutex
	of map[string][]delivery.Action
}

func (b *ruleBook) set(name string, actions ...delivery.Action) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.of = map[string][]delivery.Action{name: actions}
}

func (b *ruleBook) Have(a *accounts.Account) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.of[a.Name] != nil
}

func (b *ruleBook) Apply(_ context.Context, m *delivery.Message) ([]delivery.Action, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.of[m.Account.Name], nil
}

type logText struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// elsewhere is the transport of what leaves the server.
type elsewhere struct{ o *office }

func (e elsewhere) Policy() queue.Policy {
	return queue.Policy{Workers: 1, BatchSize: 10, Retry: queue.Schedule{Every: time.Minute, Then: time.Minute, EveryFor: time.Hour, Expire: time.Hour}}
}

func (e elsewhere) Deliver(_ context.Context, b *queue.Batch) {
	for _, it := range b.Items {
		text, err := os.ReadFile(it.File)
		if err != nil {
			e.o.t.Error(err)
		}
		e.o.mu.Lock()
		e.o.away = append(e.o.away, string(text[it.Offset:it.Offset+it.Size]))
		e.o.awayE = append(e.o.awayE, *it.Envelope)
		e.o.mu.Unlock()
		it.ReportAll(it.Recipients, envelope.Status{Action: envelope.ActionRelayed, Code: envelope.Code{2, 0, 0}})
	}
}

func load[T any](t testing.TB, d dataformat.Dict) *settings.Live[T] {
	t.Helper()
	v := new(T)
	must(t, settings.Load(v, d))
	return settings.NewLive(v)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newOffice(t testing.TB, dir string) *office {
	t.Helper()
	o := &office{t: t, log: new(logText)}
	log := slog.New(slog.NewTextHandler(o.log, nil))
	queueDir := filepath.Join(dir, "Queue")
	counter, err := queue.OpenCounter(filepath.Join(dir, "counter"), queueDir, 0)
	must(t, err)
	o.acc, err = accounts.Open(dir, accounts.Options{Log: log, MainDomain: "company.com", Shards: 1,
		NextID: func() (uint64, error) { id, err := counter.NextID(); return uint64(id), err },
		Raise:  func(used uint64) error { return counter.Raise(envelope.QueueID(used)) }})
	must(t, err)
	for _, name := range []string{"ann", "bob", "cay", "room"} {
		if _, err := o.acc.Account(t.Context(), "company.com", name); err == nil {
			continue
		}
		must(t, o.acc.CreateAccount(t.Context(), "company.com", name, dataformat.Dict{"RealName": dataformat.String(strings.ToUpper(name[:1]) + name[1:])}))
	}
	r, err := router.New(load[router.Settings](t, nil), o.acc, log)
	must(t, err)
	o.q, err = queue.Open(queueDir, queue.Options{Settings: load[queue.Settings](t, nil), Router: r, Counter: counter,
		MainDomain: o.acc.MainDomain, AllAccounts: delivery.AllAccounts(o.acc), Log: log})
	must(t, err)
	a := access.New(o.acc, r)
	o.s = New(Options{Accounts: o.acc, Groupware: groupware.New(o.acc, a), Access: a, Router: r, Queue: o.q, Settings: load[Settings](t, nil), Log: log})
	local := delivery.New(o.acc, o.q, a, &o.rules, load[delivery.Settings](t, nil), log)
	local.UseCalendars(o.s)
	o.q.Handle(router.LOCAL, local)
	o.q.Handle(router.SMTP, elsewhere{o})
	must(t, local.ForgetBut(context.Background(), o.q.Has))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); o.q.Run(ctx) }()
	o.stop = sync.OnceFunc(func() {
		cancel()
		<-done
		must(t, o.q.Close())
		must(t, o.acc.Close())
	})
	t.Cleanup(o.stop)
	return o
}

func (o *office) account(name string) *accounts.Account {
	o.t.Helper()
	a, err := o.acc.Account(context.Background(), "company.com", name)
	must(o.t, err)
	return a
}

// calendar returns the main calendar of an account.
func (o *office) calendar(name string) *groupware.Collection {
	o.t.Helper()
	a := o.account(name)
	c, err := o.s.Groupware.Main(context.Background(), a, o.s.Groupware.Between(a, a), groupware.Calendar)
	must(o.t, err)
	return c
}

// settle waits until no message is in the queue.
func (o *office) settle() {
	o.t.Helper()
	for end := time.Now().Add(20 * time.Second); o.q.Len() > 0; time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			o.t.Fatalf("the queue is not empty:\n%s", o.log)
		}
	}
}

// put stores an event and waits for what follows.
func (o *office) put(name, item, text string) Result {
	o.t.Helper()
	r, err := o.s.Put(context.Background(), o.account(name), o.calendar(name), Put{Put: groupware.Put{Name: item, Text: []byte(crlf(text))}})
	must(o.t, err)
	o.settle()
	return r
}

func (o *office) remove(name, item string) {
	o.t.Helper()
	must(o.t, o.s.Delete(context.Background(), o.account(name), o.calendar(name), item, nil, false, nil))
	o.settle()
}

// event returns what the account has of a UID, unfolded; "" if it has nothing.
func (o *office) event(name, uid string) string {
	o.t.Helper()
	c := o.calendar(name)
	item, err := c.ByUID(context.Background(), uid)
	if err != nil {
		return ""
	}
	_, text, err := c.Text(context.Background(), item.Name)
	must(o.t, err)
	return strings.ReplaceAll(strings.ReplaceAll(string(text), "\r\n ", ""), "\r\n", "\n")
}

// item returns the name of the item of a UID.
func (o *office) item(name, uid string) string {
	o.t.Helper()
	item, err := o.calendar(name).ByUID(context.Background(), uid)
	must(o.t, err)
	return item.Name
}

// wants looks for texts in the event of an account; one that begins with ! must not be there.
func (o *office) wants(name, uid string, texts ...string) {
	o.t.Helper()
	got := o.event(name, uid)
	for _, want := range texts {
		bare, not := strings.CutPrefix(want, "!")
		if strings.Contains(got, bare) == not {
			o.t.Errorf("%s: want %q in\n%s\n%s", name, want, got, o.log)
		}
	}
}

// receive delivers a message from elsewhere. before is what the server puts before it.
func (o *office) receive(from, to, before, method, calendar string) {
	o.t.Helper()
	o.receiveFrom(envelope.Source{Tag: "SMTP", Domain: "company.com"}, from, to, before, method, calendar)
}

func (o *office) receiveBody(from, to, before, body string) {
	o.t.Helper()
	o.receiveText(envelope.Source{Tag: "SMTP", Domain: "company.com"}, from, to, before, body)
}

func (o *office) receiveFrom(source envelope.Source, from, to, before, method, calendar string) {
	o.t.Helper()
	o.receiveText(source, from, to, before, "Content-Type: text/calendar; method="+method+"; charset=utf-8\n\n"+calendar)
}

func (o *office) receiveText(source envelope.Source, from, to, before, body string) {
	o.t.Helper()
	f, err := address.Parse(from)
	must(o.t, err)
	r, err := address.Parse(to)
	must(o.t, err)
	env := &envelope.Envelope{Source: source, ReturnPath: f, Recipients: []envelope.Recipient{{Address: r}}}
	sub, err := o.q.Begin(context.Background(), env)
	must(o.t, err)
	text := before + "From: <" + from + ">\nTo: <" + to + ">\nSubject: x\nMIME-Version: 1.0\n" + body
	_, err = io.WriteString(sub, crlf(text))
	must(o.t, err)
	must(o.t, sub.Commit(context.Background()))
	o.settle()
}

// proof is what the server writes about a message that comes from far.net.
const proof = "Authentication-Results: company.com; dkim=pass header.d=far.net; dmarc=pass header.from=far.net\n"

func crlf(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }

// meeting is an event; lines are added to it.
func meeting(uid string, lines ...string) string {
	return "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//Test//EN\n" + vevent(uid, lines...) + "END:VCALENDAR\n"
}

func vevent(uid string, lines ...string) string {
	return "BEGIN:VEVENT\nUID:" + uid + "\nDTSTAMP:20300101T000000Z\nSUMMARY:Meeting\n" + strings.Join(lines, "\n") + "\nEND:VEVENT\n"
}

// replaced replaces a text that has to be there.
func replaced(s, old, with string) string {
	if !strings.Contains(s, old) {
		panic(old + " is not in\n" + s)
	}
	return strings.Replace(s, old, with, 1)
}

// dataValue is the value of a setting.
type dataValue = dataformat.Value
