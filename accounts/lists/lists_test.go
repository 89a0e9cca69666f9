package lists

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
	"time"

	"gatepost/accounts"
	"gatepost/accounts/access"
	"gatepost/accounts/delivery"
	"gatepost/queue"
	"gatepost/queue/envelope"
	"gatepost/router"
	"gatepost/router/address"
	"gatepost/server/dataformat"
	"gatepost/server/settings"
)

// office is a server with groups, whose members' mail is kept.
type office struct {
	dir   string
	t     *testing.T
	store *accounts.Store
	q     *queue.Queue
	m     *Manager

	mu    sync.Mutex
	clear int                 // messages without REQUIRETLS
	mail  map[string][]string // by queue
	log   strings.Builder
}

// Policy is that of the far end of all modules but LIST.
func (*office) Policy() queue.Policy {
	return queue.Policy{Workers: 5, BatchSize: 20000, Retry: queue.Schedule{Every: time.Hour, Expire: 24 * time.Hour}}
}

func (o *office) Deliver(_ context.Context, b *queue.Batch) {
	for _, it := range b.Items {
		text := readMessage(o.t, it)
		o.mu.Lock()
		for range it.Recipients {
			o.mail[b.Queue] = append(o.mail[b.Queue], text)
			if !it.Envelope.RequireTLS {
				o.clear++
			}
		}
		o.mu.Unlock()
		it.ReportAll(it.Recipients, envelope.Status{Action: envelope.ActionDelivered, Code: envelope.Code{2, 0, 0}, Text: "delivered"})
	}
}

func (o *office) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.log.Write(p)
}

func newOffice(t *testing.T) *office { return newOfficeWith(t, false) }

// newOfficeWith has the mail of accounts in their mailboxes, if it is stored.
func newOfficeWith(t *testing.T, stored bool) *office {
	t.Helper()
	dir := t.TempDir()
	o := &office{t: t, dir: dir, mail: map[string][]string{}, store: openStore(t, dir)}
	log := slog.New(slog.NewTextHandler(o, nil))
	routing := new(router.Settings)
	must(t, settings.Load(routing, nil))
	r, err := router.New(settings.NewLive(routing), o.store, log)
	must(t, err)
	counter, err := queue.OpenCounter(filepath.Join(dir, "counter"), filepath.Join(dir, "Queue"), 0)
	must(t, err)
	set := new(queue.Settings)
	must(t, settings.Load(set, dataformat.Dict{"CopyFailureReportsTo": dataformat.String("")}))
	o.q, err = queue.Open(filepath.Join(dir, "Queue"), queue.Options{Settings: settings.NewLive(set), Router: r, Counter: counter,
		MainDomain: o.store.MainDomain, Log: log})
	must(t, err)
	o.m = NewManager(Options{Store: o.store, Router: r, Queue: o.q, Policy: o.policy, Pages: func(domain string) string { return "https://" + domain + "/Lists" }, Log: log})
	o.q.Handle(router.LIST, New(o.store.Groups(), o.m, r, load(t, nil), log))
	if stored {
		local := new(delivery.Settings)
		must(t, settings.Load(local, nil))
		o.q.Handle(router.LOCAL, delivery.New(o.store, o.q, access.New(o.store, r), nil, settings.NewLive(local), log))
	} else {
		o.q.Handle(router.LOCAL, o)
	}
	o.q.Handle(router.SMTP, o)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- o.q.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		must(t, <-done)
		must(t, o.q.Close())
		must(t, counter.Close())
		must(t, o.store.Close())
	})
	for _, name := range []string{"ann", "bob", "carl"} {
		must(t, o.store.CreateAccount(t.Context(), "", name, nil))
	}
	must(t, o.store.SetAccountAliases(t.Context(), "", "ann", []string{"anna"}))
	return o
}

func (o *office) group(name, set string) {
	o.t.Helper()
	must(o.t, o.store.Groups().Create(o.t.Context(), "", name, dict(o.t, set)))
}

// send sends a message from ann.
func (o *office) send(to, header string, change func(*envelope.Envelope)) {
	o.t.Helper()
	env := &envelope.Envelope{Source: envelope.Source{Tag: "SMTP", Trusted: true, Account: "ann@company.com"},
		ReturnPath: address.Address{Local: "ann", Domain: "company.com"}}
	rcpt, err := address.Parse(to)
	must(o.t, err)
	env.Recipients = []envelope.Recipient{{Address: rcpt, Notify: envelope.NotifyFailure}}
	if change != nil {
		change(env)
	}
	s, err := o.q.Begin(o.t.Context(), env)
	must(o.t, err)
	_, err = io.WriteString(s, header+"\r\nbody\r\n")
	must(o.t, err)
	must(o.t, s.Commit(o.t.Context()))
	time.Sleep(time.Minute)
	synctest.Wait()
}

// got lists who has got how many messages since the last call, without ann's reports.
func (o *office) got() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	var out []string
	for name, mail := range o.mail {
		for _, text := range mail {
			who := strings.TrimSuffix(name, "@company.com")
			if strings.Contains(text, "multipart/report") {
				who = "report to " + who
			}
			out = append(out, who)
		}
	}
	o.mail = map[string][]string{}
	slices.Sort(out)
	return strings.Join(out, " ")
}

func TestWhoGetsACopy(t *testing.T) {
	const from = "From: Ann <ann@company.com>\r\n"
	for name, c := range map[string]struct {
		groups map[string]string
		header string
		want   string
	}{
		"members of any kind, once":  {map[string]string{"g": `{Members=(ann, anna, "BOB@company.com", bob, "x@y.com", "X@y.com");}`}, from, "ann bob y.com"},
		"a group in a group":         {map[string]string{"g": `{Members=(ann, h);}`, "h": `{Members=(ann, bob);}`}, from, "ann ann bob"},
		"expanded":                   {map[string]string{"g": `{Members=(ann, h); Expand=YES;}`, "h": `{Members=(ann, bob, i);}`, "i": `{Members=(ann, carl);}`}, from, "ann ann bob carl"},
		"expanded to the end":        {map[string]string{"g": `{Members=(ann, h); Expand=YES;}`, "h": `{Members=(ann, i); Expand=YES;}`, "i": `{Members=(ann, carl, g);}`}, from, "ann carl"},
		"groups in a circle":         {map[string]string{"g": `{Members=(ann, h);}`, "h": `{Members=(bob, g);}`}, from, "ann bob"},
		"a group in itself":          {map[string]string{"g": `{Members=(g, bob);}`}, from, "bob"},
		"without the author":         {map[string]string{"g": `{Members=(anna, bob); RemoveAuthor=YES;}`}, from, "bob"},
		"the author alone":           {map[string]string{"g": `{Members=(ann); RemoveAuthor=YES;}`}, from, ""},
		"without To and Cc":          {map[string]string{"g": `{Members=(ann, bob, carl); RemoveToAndCc=YES;}`}, from + "To: g@company.com,\r\n anna@company.com\r\nCc: Bob <bob@company.com>\r\n", "carl"},
		"a member that is not there": {map[string]string{"g": `{Members=(bob, nobody);}`}, from, "bob report to ann"},
		"no members":                 {map[string]string{"g": `{}`}, from, "report to ann"},
		"automatic, refused":         {map[string]string{"g": `{Members=(bob); RejectAutomatic=YES;}`}, from + "Auto-Submitted: auto-replied\r\n", "report to ann"},
		"not automatic":              {map[string]string{"g": `{Members=(bob); RejectAutomatic=YES;}`}, from + "Auto-Submitted: no\r\n", "bob"},
		"programs":                   {map[string]string{"g": `{Members=(bob, "rm@pipe");}`}, from, "bob"},
		"sent before":                {map[string]string{"g": `{Members=(bob);}`}, from + "Delivered-To: g@company.com\r\n", "report to ann"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOffice(t)
				for name, set := range c.groups {
					o.group(name, set)
				}
				o.send("g@company.com", c.header, nil)
				if got := o.got(); got != c.want {
					t.Errorf("got: %s, want: %s\n%s", got, c.want, o.log.String())
				}
			})
		})
	}
}

// What goes to members, and what says that somebody gets nothing, needs the encryption that the message asks for (RFC 8689 section 4.3).
func TestMembersNeedREQUIRETLS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t)
		o.group("g", `{Members=(bob, "x@y.com", nobody);}`)
		o.send("g@company.com", "From: ann@company.com\r\n", func(env *envelope.Envelope) { env.RequireTLS = true })
		if got := o.got(); got != "bob report to ann y.com" || o.clear > 0 {
			t.Errorf("%s; %d of them without REQUIRETLS", got, o.clear)
		}
	})
}

func TestReportsFollowFinalDelivery(t *testing.T) {
	all := func(env *envelope.Envelope) {
		env.Recipients[0].Notify = envelope.NotifySuccess | envelope.NotifyFailure
	}
	for final, want := range map[string]string{
		"YES": "bob report to ann", // by the group
		"NO":  "bob report to ann", // of bob and of nobody
	} {
		synctest.Test(t, func(t *testing.T) {
			o := newOffice(t)
			o.group("g", "{Members=(bob, nobody); FinalDelivery="+final+";}")
			o.send("g@company.com", "From: ann@company.com\r\n", all)
			time.Sleep(time.Hour)
			synctest.Wait()
			o.mu.Lock()
			report := strings.Join(o.mail["ann@company.com"], "")
			o.mu.Unlock()
			if got := o.got(); strings.ReplaceAll(got, "report to ann report to ann", "report to ann") != want {
				t.Errorf("FinalDelivery %s: got %s", final, got)
			}
			if names := strings.Contains(report, "nobody@company.com"); names != (final == "NO") {
				t.Errorf("FinalDelivery %s:\n%s", final, report)
			}
		})
	}
}

func TestReplyToIsTheGroup(t *testing.T) {
	for name, want := range map[string]string{
		"":             "Reply-To: <g@company.com>\r\n\r\nbody",
		`The "A" Team`: "Reply-To: \"The \\\"A\\\" Team\"\r\n <g@company.com>\r\n\r\nbody",
		"Группа":       "Reply-To: =?utf-8?b?0JPRgNGD0L/Qv9Cw?=\r\n <g@company.com>\r\n\r\nbody",
	} {
		synctest.Test(t, func(t *testing.T) {
			o := newOffice(t)
			o.group("g", "{Members=(bob); SetReplyTo=YES;}")
			g, err := o.store.Groups().Settings(t.Context(), "", "g")
			must(t, err)
			g["RealName"] = dataformat.String(name)
			must(t, o.store.Groups().Set(t.Context(), "", "g", g))
			o.send("g@company.com", "From: ann@company.com\r\nReply-To: x@y.com,\r\n z@y.com\r\nSubject: s\r\n", nil)
			text := o.mail["bob@company.com"][0]
			if !strings.HasSuffix(text, "From: ann@company.com\r\nSubject: s\r\n"+want+"\r\n") || !strings.HasPrefix(text, "Delivered-To: g@company.com\r\nReceived: ") {
				t.Errorf("%s:\n%s", name, text)
			}
		})
	}
}

// One message file serves all members, and what is in memory are their addresses.
func TestManyMembersAreOneMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t)
		members := make(dataformat.Array, 10_000)
		for i := range members {
			members[i] = dataformat.String(fmt.Sprintf("m%d@y.com", i))
		}
		must(t, o.store.Groups().Create(t.Context(), "", "g", dataformat.Dict{"Members": members}))
		o.send("g@company.com", "From: ann@company.com\r\n", nil)
		if n := len(o.mail["y.com"]); n != len(members) {
			t.Errorf("%d members have got it", n)
		}
		if n := strings.Count(o.log.String(), "sent to a group"); n != 1 {
			t.Errorf("%d copies", n)
		}
	})
}

func TestParseHeader(t *testing.T) {
	for text, want := range map[string]string{
		"":                                 "0",
		"\r\nbody":                         "0",
		"A: 1\r\n\r\nbody":                 "6 a=1",
		"A: 1\r\n b\r\nB:2\r\n\r\nbody":    "15 a=1\r\n b b=2",
		"A: 1\r\nno field\r\n\r\nB: 2\r\n": "6 a=1",
		"A: 1":                             "4 a=1",
	} {
		h := parseHeader([]byte(text), true)
		got := fmt.Sprint(h.size)
		for i := range h.fields {
			got += " " + h.fields[i].name + "=" + string(h.fields[i].value())
		}
		if got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
	if h := parseHeader([]byte("A: 1\r\nB: 2\r\n 3\r\n"), false); h.size != 6 {
		t.Errorf("a field whose end is not known was taken: %d", h.size)
	}
}

// What is read of a header and what comes behind it is the message.
func FuzzParseHeader(f *testing.F) {
	f.Add("A: 1\r\n b\r\nB:2\r\n\r\nbody", true)
	f.Add("A: 1\r\nB", false)
	f.Fuzz(func(t *testing.T, text string, whole bool) {
		h := parseHeader([]byte(text), whole)
		var all strings.Builder
		for i := range h.fields {
			all.Write(h.fields[i].text)
		}
		if int64(all.Len()) != h.size || !strings.HasPrefix(text, all.String()) {
			t.Errorf("%q is not the beginning", all.String())
		}
		h.automatic()
	})
}

func readMessage(t *testing.T, it *queue.Item) string {
	data, err := os.ReadFile(it.File)
	must(t, err)
	return string(data[it.Offset:])
}
