package rpop

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"gatepost/accounts"
	"gatepost/accounts/delivery"
	"gatepost/accounts/mailbox/mailboxtest"
	"gatepost/protocols/transcript"
	"gatepost/queue"
	"gatepost/queue/envelope"
	"gatepost/router"
	"gatepost/server/dataformat"
	"gatepost/server/settings"
)

// site is a server with the account ann in company.com and a poller, whose connections all lead to
// one place.
type site struct {
	t       *testing.T
	dir     string
	acc     *accounts.Store
	counter *queue.Counter
	queue   *queue.Queue
	poller  *Poller
	log     transcript.Log
	far     func() (net.Conn, error)
	trust   *tls.Config
	stop    func()
}

func load[T any](t testing.TB, d dataformat.Dict) *settings.Live[T] {
	t.Helper()
	v := new(T)
	must(t, settings.Load(v, d))
	return settings.NewLive(v)
}

func must(t testing.TB, err error) {
	if err != nil {
		t.Helper()
		t.Fatal(err)
	}
}

// openSite opens a site on a directory, as the server does after a crash. The queue does not run.
func openSite(t *testing.T, dir string, far func() (net.Conn, error)) *site {
	t.Helper()
	s := &site{t: t, dir: dir, far: far}
	log := slog.New(slog.NewTextHandler(&s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	must(t, os.MkdirAll(filepath.Join(dir, "Queue"), 0o700))
	var err error
	s.counter, err = queue.OpenCounter(filepath.Join(dir, "counter"), filepath.Join(dir, "Queue"), 0)
	must(t, err)
	s.acc, err = accounts.Open(dir, accounts.Options{MainDomain: "company.com", Shards: 1, Log: log, NextID: func() (uint64, error) {
		id, err := s.counter.NextID()
		return uint64(id), err
	}, Raise: func(used uint64) error { return s.counter.Raise(envelope.QueueID(used)) }})
	must(t, err)
	r, err := router.New(load[router.Settings](t, nil), s.acc, log)
	must(t, err)
	s.queue, err = queue.Open(filepath.Join(dir, "Queue"), queue.Options{Settings: load[queue.Settings](t, nil), Router: r, Counter: s.counter,
		MainDomain: s.acc.MainDomain, AllAccounts: delivery.AllAccounts(s.acc), Log: log})
	must(t, err)
	s.poller = New(load[Settings](t, nil), s.acc, s.queue, r, nil, log)
	s.poller.dialer.dial = func(context.Context, string, string, netip.Addr) (net.Conn, error) { return s.far() }
	s.poller.dialer.config = func(server string, verify bool) *tls.Config {
		if s.trust == nil {
			return &tls.Config{ServerName: server, InsecureSkipVerify: !verify}
		}
		c := s.trust.Clone()
		c.ServerName, c.InsecureSkipVerify = server, !verify
		return c
	}
	must(t, s.poller.Settle(t.Context()))
	local := delivery.New(s.acc, s.queue, nil, nil, load[delivery.Settings](t, nil), log)
	s.queue.Handle(router.LOCAL, local)
	must(t, local.ForgetBut(t.Context(), s.queue.Has))
	s.stop = sync.OnceFunc(func() {
		mailboxtest.Check(t, s.acc.Mail())
		must(t, s.acc.Close())
		must(t, s.queue.Close())
		must(t, s.counter.Close())
	})
	t.Cleanup(s.stop)
	return s
}

// newSite is openSite on a new directory, with the account ann.
func newSite(t *testing.T, far func() (net.Conn, error)) *site {
	t.Helper()
	s := openSite(t, t.TempDir(), far)
	must(t, s.acc.CreateAccount(t.Context(), "company.com", "ann", dataformat.Dict{}))
	return s
}

// deliver runs the queue until it is empty.
func (s *site) deliver() {
	s.t.Helper()
	ctx, cancel := context.WithCancel(s.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.queue.Run(ctx)
	}()
	synctest.Wait()
	if n := s.queue.Len(); n > 0 {
		s.t.Errorf("%d messages wait in the queue", n)
	}
	cancel()
	<-done
}

// records gives ann remote accounts, in the data format.
func (s *site) records(text string) {
	s.t.Helper()
	v, err := dataformat.Parse([]byte(text))
	must(s.t, err)
	must(s.t, s.acc.SetRPOPs(s.t.Context(), "company.com", "ann", v.(dataformat.Dict)))
}

// poll polls the remote account isp once.
func (s *site) poll(e *entry) error {
	s.t.Helper()
	gone, _, err := s.poller.poll(s.t.Context(), e)
	if gone {
		return errors.New("there is no such record")
	}
	return err
}

// isp is the entry of the remote account isp of ann.
func isp() *entry { return &entry{key: key{"company.com", "ann", "isp"}} }

// inbox returns the messages in an account's INBOX, without the fields that the delivery adds.
func (s *site) inbox(name string) []string { return s.box(name, "INBOX") }

func (s *site) box(name, box string) []string {
	s.t.Helper()
	a, err := s.acc.Account(s.t.Context(), "company.com", name)
	must(s.t, err)
	m, err := a.Mail().Open(s.t.Context(), box, true)
	must(s.t, err)
	defer m.Close()
	var out []string
	for _, uid := range m.UIDs() {
		body, err := m.OpenBody(uid)
		must(s.t, err)
		text, err := io.ReadAll(io.NewSectionReader(body, 0, body.Size()))
		must(s.t, err)
		body.Close()
		out = append(out, string(text))
	}
	return out
}

// subjects lists the subjects of messages.
func subjects(messages []string) []string {
	var out []string
	for _, m := range messages {
		for line := range strings.SplitSeq(m, "\r\n") {
			if s, ok := strings.CutPrefix(line, "Subject: "); ok {
				out = append(out, s)
			}
		}
	}
	return out
}

// copyDir copies the files of a server that does nothing at the moment: what a kill leaves.
func copyDir(t *testing.T, from string) string {
	t.Helper()
	to := t.TempDir()
	must(t, filepath.WalkDir(from, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		if d.IsDir() {
			return os.MkdirAll(target, 0o700)
		}
		if d.Type()&os.ModeSocket != 0 {
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(target, b, 0o600)
	}))
	return to
}

// script is a server that speaks from a script: what it says before each line that it reads. It closes the
// connection after the last.
func script(said ...string) func() (net.Conn, error) {
	return func() (net.Conn, error) {
		client, server := net.Pipe()
		go func() {
			defer server.Close()
			buf := make([]byte, 4096)
			var got []byte
			for i, text := range said {
				if _, err := io.WriteString(server, text); err != nil || i == len(said)-1 {
					return
				}
				for !bytes.Contains(got, []byte("\n")) {
					n, err := server.Read(buf)
					if err != nil {
						return
					}
					got = append(got, buf[:n]...)
				}
				_, got, _ = bytes.Cut(got, []byte("\n"))
			}
		}()
		return client, nil
	}
}
