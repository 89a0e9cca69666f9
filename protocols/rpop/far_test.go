package rpop

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	imaptypes "github.com/emersion/go-imap/v2"

	"gatepost/accounts"
	"gatepost/accounts/mailbox"
	imapserver "gatepost/protocols/imap"
	"gatepost/protocols/pop3"
	"gatepost/protocols/transcript"
	"gatepost/router"
	"gatepost/server/dataformat"
	"gatepost/server/settings"
)

// farSite is another server of ours, with the account ann77 in isp.example.
type farSite struct {
	t     *testing.T
	acc   *accounts.Store
	pipes *transcript.Pipes
	stop  func()
}

// newFarSite serves POP3 or IMAP.
func newFarSite(t *testing.T, protocol string, mode settings.TLSMode) *farSite {
	t.Helper()
	f := &farSite{t: t, pipes: transcript.NewPipes("192.0.2.7:110")}
	log := slog.New(slog.DiscardHandler)
	var ids atomic.Uint64
	var err error
	f.acc, err = accounts.Open(t.TempDir(), accounts.Options{MainDomain: "isp.example", Shards: 1, NextID: func() (uint64, error) { return ids.Add(1), nil }})
	must(t, err)
	must(t, f.acc.CreateAccount(t.Context(), "", "ann77", dataformat.Dict{"Password": dataformat.String("s3cret word"), "PasswordEncryption": dataformat.String("clear")}))
	r, err := router.New(load[router.Settings](t, nil), f.acc, log)
	must(t, err)
	encryption := func() *tls.Config { return transcript.ServerTLS(t) }
	var serve func(context.Context, net.Listener, settings.Listener) error
	if protocol == "IMAP" {
		serve = imapserver.New(load[imapserver.Settings](t, nil), f.acc, r, encryption, log).Serve
	} else {
		serve = pop3.New(load[pop3.Settings](t, nil), f.acc, r, encryption, log).Serve
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- serve(ctx, f.pipes, settings.Listener{TLS: mode}) }()
	f.stop = sync.OnceFunc(func() {
		cancel()
		must(t, <-done)
		must(t, f.acc.Close())
	})
	t.Cleanup(f.stop)
	return f
}

// dial connects from an address that no rule of the far server favours.
func (f *farSite) dial() (net.Conn, error) { return f.pipes.Dial("198.51.100.3") }

func (f *farSite) box(name string) *mailbox.Mailbox {
	f.t.Helper()
	a, err := f.acc.Account(f.t.Context(), "", "ann77")
	must(f.t, err)
	m, err := a.Mail().Open(f.t.Context(), name, false)
	must(f.t, err)
	return m
}

func (f *farSite) put(name, text string, flags ...imaptypes.Flag) {
	f.t.Helper()
	a, err := f.acc.Account(f.t.Context(), "", "ann77")
	must(f.t, err)
	_, err = a.Mail().Append(f.t.Context(), name, mailbox.AppendMessage{Body: strings.NewReader(text), Flags: flags})
	must(f.t, err)
}

// flags lists the subjects of a mailbox with their flags.
func (f *farSite) flags(name string) string {
	f.t.Helper()
	m := f.box(name)
	defer m.Close()
	var b bytes.Buffer
	for _, uid := range m.UIDs() {
		body, err := m.OpenBody(uid)
		must(f.t, err)
		text := make([]byte, body.Size())
		_, err = body.ReadAt(text, 0)
		must(f.t, err)
		body.Close()
		state, _ := m.State(uid)
		fmt.Fprintf(&b, "%s[%s] ", strings.Join(subjects([]string{string(text)}), ""), strings.TrimSpace(strings.ReplaceAll(string(m.AppendFlags(nil, state)), `\Recent`, "")))
	}
	return strings.TrimSpace(b.String())
}

func trusted(t *testing.T) *tls.Config {
	t.Helper()
	cert, err := x509.ParseCertificate(transcript.ServerTLS(t).Certificates[0].Certificate[0])
	must(t, err)
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return &tls.Config{RootCAs: pool}
}

// Each way to poll a server of ours.
func TestOurServers(t *testing.T) {
	message := func(subject string) string {
		return "From: joe@far.example\r\nSubject: " + subject + "\r\n\r\n.dot\r\n" + strings.Repeat("long line ", 9000) + "\r\n.\r\nend\r\n"
	}
	for _, c := range []struct {
		name, protocol, record string
		mode                   settings.TLSMode
		get                    []string // subjects in INBOX here
		left                   string   // what is left there
	}{
		{"POP3", "POP3", `TLS="If Offered";`, settings.TLSStart, []string{"one", "two", "read"}, ""},
		{"POP3 over TLS", "POP3", `TLS=YES;verify=NO;`, settings.TLSImplicit, []string{"one", "two", "read"}, ""},
		{"POP3, verified", "POP3", `TLS=STARTTLS;`, settings.TLSStart, []string{"one", "two", "read"}, ""},
		{"POP3, left", "POP3", `leave=YES;`, settings.TLSStart, []string{"one", "two", "read"}, `one[] two[] read[\Seen]`},
		{"IMAP", "IMAP", `protocol=IMAP;`, settings.TLSStart, []string{"one", "two", "read"}, ""},
		{"IMAP over TLS, left", "IMAP", `protocol=IMAP;TLS=Implicit;leave=YES;`, settings.TLSImplicit, []string{"one", "two", "read"}, `one[] two[] read[\Seen]`},
		{"IMAP, unseen", "IMAP", `protocol=IMAP;leave=YES;unseen=YES;`, settings.TLSStart, []string{"one", "two"}, `one[] two[] read[\Seen]`},
		{"IMAP, unseen and marked", "IMAP", `protocol=IMAP;leave=YES;unseen=YES;markRead=YES;`, settings.TLSStart, []string{"one", "two"}, `one[\Seen] two[\Seen] read[\Seen]`},
		{"IMAP, another mailbox", "IMAP", `protocol=IMAP;remoteMailbox="Входящие & <more>";`, settings.TLSStart, []string{"elsewhere"}, `one[] two[] read[\Seen]`},
	} {
		t.Run(c.name, func(t *testing.T) {
			transcript.Bubble(t, func(t *testing.T) {
				far := newFarSite(t, c.protocol, c.mode)
				a, err := far.acc.Account(t.Context(), "", "ann77")
				must(t, err)
				_, err = a.Mail().CreateMailbox(t.Context(), "Входящие & <more>", mailbox.CreateOptions{})
				must(t, err)
				far.put("INBOX", message("one"))
				far.put("INBOX", message("two"))
				far.put("INBOX", message("read"), imaptypes.FlagSeen)
				far.put("Входящие & <more>", message("elsewhere"))
				s := newSite(t, far.dial)
				s.trust = trusted(t)
				s.records(`{isp={domain="company.com";authName=ann77;password="s3cret word";` + c.record + `};}`)
				for range 2 {
					must(t, s.poll(isp()))
				}
				s.deliver()
				got := s.inbox("ann")
				if !slices.Equal(subjects(got), c.get) {
					t.Errorf("INBOX has %q, want %q", subjects(got), c.get)
				}
				for _, m := range got {
					if _, text, _ := strings.Cut(m, "From: "); "From: "+text != message(subjects([]string{m})[0]) {
						t.Errorf("the text has changed: %d bytes", len(m))
					}
				}
				if left := far.flags("INBOX"); left != c.left {
					t.Errorf("there is left: %s, want %s", left, c.left)
				}
				far.stop()
				s.stop()
				time.Sleep(time.Hour) // timers of sessions
			})
		})
	}
}

// What the other server refuses, and what the record asks of it.
func TestOurServersRefuse(t *testing.T) {
	for _, c := range []struct {
		name, protocol, record, want string
		account                      bool
	}{
		{"wrong password over POP3", "POP3", `password=wrong;`, "the login is refused", true},
		{"wrong password over IMAP", "IMAP", `protocol=IMAP;password=wrong;`, "the login is refused", true},
		{"no such mailbox", "IMAP", `protocol=IMAP;password="s3cret word";remoteMailbox=None;`, "the mailbox None", true},
		{"a certificate of another host", "POP3", `password="s3cret word";TLS=STARTTLS;domain="other.example";`, "TLS: ", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			transcript.Bubble(t, func(t *testing.T) {
				far := newFarSite(t, c.protocol, settings.TLSStart)
				s := newSite(t, far.dial)
				s.trust = trusted(t)
				record := `authName=ann77;` + c.record
				if !strings.Contains(record, "domain") {
					record += `domain="company.com";`
				}
				s.records(`{isp={` + record + `};}`)
				err := s.poll(isp())
				f, ok := err.(*failure)
				if !ok || f.account != c.account || !strings.Contains(err.Error(), c.want) {
					t.Errorf("%#v: %v", err, err)
				}
				if strings.Contains(s.log.String(), "s3cret") {
					t.Error("the log has the password")
				}
				far.stop()
				s.stop()
				time.Sleep(time.Hour)
			})
		})
	}
}
