package mailrules

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"gatepost/accounts"
	"gatepost/accounts/access"
	"gatepost/accounts/delivery"
	"gatepost/accounts/files"
	"gatepost/accounts/mailbox"
	"gatepost/accounts/mailbox/mailboxtest"
	"gatepost/protocols/transcript"
	"gatepost/queue"
	"gatepost/queue/envelope"
	"gatepost/router"
	"gatepost/router/address"
	"gatepost/rules"
	"gatepost/server/dataformat"
	"gatepost/server/settings"
)

// office is a server without wires: accounts, router, queue, rules and LOCAL. What goes to other servers is
// kept.
type office struct {
	t        testing.TB
	acc      *accounts.Store
	q        *queue.Queue
	rules    *Rules
	far      *sink
	set      *settings.Live[Settings]
	programs *programs
	filters  *filters
	log      transcript.Log
	stop     func()
	access   *access.Resolver
	files    *files.Store
}

// sink is other servers.
type sink struct {
	mu     sync.Mutex
	got    []string // recipient, return-path and message
	refuse string   // an address that is refused for good
}

func (s *sink) Policy() queue.Policy { return queue.Policy{Workers: 1, BatchSize: 10} }

func (s *sink) Deliver(_ context.Context, b *queue.Batch) {
	for _, it := range b.Items {
		f, err := os.Open(it.File)
		if err != nil {
			continue
		}
		text, _ := io.ReadAll(io.NewSectionReader(f, it.Offset, it.Size))
		f.Close()
		s.mu.Lock()
		if s.refuse != "" && it.Envelope.Recipients[it.Recipients[0]].Address.String() == s.refuse {
			s.mu.Unlock()
			it.ReportAll(it.Recipients, envelope.Status{Action: envelope.ActionFailed, Code: envelope.Code{5, 1, 1}, Text: "no such user"})
			continue
		}
		for _, n := range it.Recipients {
			s.got = append(s.got, it.Envelope.Recipients[n].Address.String()+" from <"+it.Envelope.ReturnPath.String()+">\n"+string(text))
		}
		s.mu.Unlock()
		it.ReportAll(it.Recipients, envelope.Status{Action: envelope.ActionRelayed, Code: envelope.Code{2, 0, 0}, Text: "sent"})
	}
}

// take returns what was sent since the last call.
func (s *sink) take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	got := s.got
	s.got = nil
	return got
}

// programs are programs of one function.
type programs struct {
	mu  sync.Mutex
	ran []string
	run func(p Program, input string) (Ended, error)
}

func (p *programs) Run(_ context.Context, prog Program) (Ended, error) {
	f, err := prog.Message()
	if err != nil {
		return Ended{}, err
	}
	defer f.Close()
	text, err := io.ReadAll(f)
	if err != nil {
		return Ended{}, err
	}
	input := string(text)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ran = append(p.ran, fmt.Sprintf("%s %q %v", prog.Env[1], prog.Args, prog.File))
	if p.run == nil {
		return Ended{}, nil
	}
	return p.run(prog, input)
}

// filters are External Filters by name.
type filters struct {
	mu     sync.Mutex
	answer map[string]func(m *queue.Message) FilterAnswer
	asked  []string
}

func (f *filters) Ask(_ context.Context, name string, m *queue.Message) (FilterAnswer, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, name)
	if answer := f.answer[name]; answer != nil {
		return answer(m), nil
	}
	return FilterAnswer{}, nil
}

func load[T any](t testing.TB) *settings.Live[T] {
	t.Helper()
	v := new(T)
	if err := settings.Load(v, nil); err != nil {
		t.Fatal(err)
	}
	return settings.NewLive(v)
}

// newOffice opens an office in a directory with the accounts ann, bob, joe and archive.
func newOffice(t testing.TB, dir string) *office {
	t.Helper()
	o := &office{t: t, far: &sink{}, set: load[Settings](t), programs: &programs{}, filters: &filters{answer: map[string]func(*queue.Message) FilterAnswer{}}, files: files.New()}
	log := slog.New(slog.NewTextHandler(&o.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	queueDir := filepath.Join(dir, "Queue")
	counter, err := queue.OpenCounter(filepath.Join(dir, "counter"), queueDir, 0)
	o.must(err)
	o.acc, err = accounts.Open(dir, accounts.Options{Log: log, MainDomain: "corp.com",
		NextID: func() (uint64, error) { id, err := counter.NextID(); return uint64(id), err },
		Raise:  func(used uint64) error { return counter.Raise(envelope.QueueID(used)) }})
	o.must(err)
	r, err := router.New(load[router.Settings](t), o.acc, log)
	o.must(err)
	o.q, err = queue.Open(queueDir, queue.Options{Settings: load[queue.Settings](t), Router: r, Counter: counter,
		MainDomain: o.acc.MainDomain, AllAccounts: delivery.AllAccounts(o.acc), Log: log})
	o.must(err)
	o.access = access.New(o.acc, r)
	o.rules, err = Open(Options{File: filepath.Join(dir, "Rules.settings"), Accounts: o.acc, Access: o.access, Queue: o.q, Files: o.files,
		Programs: o.programs, Filters: o.filters, Settings: o.set, Log: log})
	o.must(err)
	o.q.UseRules(o.rules)
	local := delivery.New(o.acc, o.q, o.access, o.rules, load[delivery.Settings](t), log)
	o.q.Handle(router.LOCAL, local)
	o.q.Handle(router.SMTP, o.far)
	o.must(local.ForgetBut(context.Background(), o.q.Has))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		o.must(o.q.Run(ctx))
	}()
	o.stop = sync.OnceFunc(func() {
		cancel()
		<-done
		o.must(o.rules.Close())
		mailboxtest.Check(t, o.acc.Mail())
		o.must(o.acc.Close())
		o.must(o.q.Close())
		o.must(counter.Close())
	})
	t.Cleanup(o.stop)
	synctest.Wait() // until then nobody waits for rules
	for _, name := range []string{"ann", "bob", "joe", "archive"} {
		if _, err := o.acc.Account(context.Background(), "corp.com", name); err != nil {
			o.must(o.acc.CreateAccount(context.Background(), "corp.com", name, dataformat.Dict{"RulesAllowed": dataformat.String("Any")}))
		}
	}
	return o
}

func (o *office) must(err error) {
	o.t.Helper()
	if err != nil {
		o.t.Fatal(err)
	}
}

func parsed(t testing.TB, level rules.Level, text string) *rules.Set {
	t.Helper()
	v, err := dataformat.Parse([]byte(text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	set, err := rules.Parse(v, level)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return set
}

// server, domain and account set rules.
func (o *office) server(text string) { o.must(o.rules.SetServerRules(parsed(o.t, rules.Server, text))) }

func (o *office) domain(text string) {
	o.must(o.acc.SetDomainMailRules(context.Background(), "corp.com", parsed(o.t, rules.Domain, text)))
}

func (o *office) account(name, text string) {
	set := parsed(o.t, rules.Account, text)
	o.must(o.acc.ChangeAccountMailRules(context.Background(), "corp.com", name, func(*rules.Set) (*rules.Set, error) { return set, nil }))
}

func (o *office) find(name string) *accounts.Account {
	acc, err := o.acc.Account(context.Background(), "corp.com", name)
	o.must(err)
	return acc
}

// mailbox makes a mailbox, unless it is there.
func (o *office) mailbox(account, name string) {
	if _, err := o.find(account).Mail().Status(context.Background(), name); err == nil {
		return
	}
	_, err := o.find(account).Mail().CreateMailbox(context.Background(), name, mailbox.CreateOptions{})
	o.must(err)
}

// stored is a message of a mailbox.
type stored struct{ text, flags string }

// box lists the messages of a mailbox.
func (o *office) box(account, name string) (list []stored) {
	o.t.Helper()
	m, err := o.find(account).Mail().Open(context.Background(), name, true)
	o.must(err)
	defer m.Close()
	for _, uid := range m.UIDs() {
		body, err := m.OpenBody(uid)
		o.must(err)
		text, err := io.ReadAll(io.NewSectionReader(body, 0, body.Size()))
		o.must(err)
		body.Close()
		st, _ := m.StateAt(len(list) + 1)
		list = append(list, stored{string(text), flagNames(st.Flags)})
	}
	return list
}

// texts are the messages of a mailbox alone.
func (o *office) texts(account, name string) (list []string) {
	for _, m := range o.box(account, name) {
		list = append(list, m.text)
	}
	return list
}

func addr(s string) address.Address {
	if s == "" {
		return address.Address{}
	}
	a, err := address.Parse(s)
	if err != nil {
		panic(err)
	}
	return a
}

// mailOf makes a message of header fields.
func mailOf(fields ...string) string { return strings.Join(append(fields, "", "body", ""), "\r\n") }

// send submits a message from outside, and returns what its source is told.
func (o *office) send(from, text string, to ...string) error {
	env := &envelope.Envelope{Source: envelope.Source{Tag: "SMTP"}, ReturnPath: addr(from)}
	return o.submit(env, text, to...)
}

// sendAs submits a message of an account.
func (o *office) sendAs(account, text string, to ...string) error {
	env := &envelope.Envelope{Source: envelope.Source{Tag: "SMTP", Account: account + "@corp.com", Trusted: true}, ReturnPath: addr(account + "@corp.com")}
	return o.submit(env, text, to...)
}

func (o *office) submit(env *envelope.Envelope, text string, to ...string) error {
	for _, r := range to {
		env.Recipients = append(env.Recipients, envelope.Recipient{Address: addr(r), Notify: envelope.NotifyDefault})
	}
	s, err := o.q.Begin(context.Background(), env)
	o.must(err)
	defer s.Abort()
	_, err = io.WriteString(s, text)
	o.must(err)
	err = s.Commit(context.Background())
	synctest.Wait()
	return err
}

// subjects lists the subjects of messages.
func subjects(list []string) (out []string) {
	for _, text := range list {
		for line := range strings.SplitSeq(text, "\r\n") {
			if s, ok := strings.CutPrefix(line, "Subject: "); ok {
				out = append(out, s)
				break
			}
		}
	}
	return out
}

func equal(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %q\nwant %q", what, got, want)
	}
}

func fields(text string) []rules.Field {
	list, err := rules.ParseFields(text)
	if err != nil {
		panic(err)
	}
	return list
}

// flagNames are flags as people read them.
func flagNames(f mailbox.Flags) string {
	var names []string
	for bit, name := range map[mailbox.Flags]string{mailbox.Seen: "Seen", mailbox.Flagged: "Flagged", mailbox.Answered: "Answered"} {
		if f&bit != 0 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}
