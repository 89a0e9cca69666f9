package relay

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatepost/protocols/transcript"
	"gatepost/queue/envelope"
	"gatepost/router"
	"gatepost/router/address"
	"gatepost/server/dataformat"
)

// In the transcripts of this package C is the server that we connect to, and S
// is what we say.
func TestDialogues(t *testing.T) {
	for _, c := range []struct {
		name string
		set  dataformat.Dict
		mail func(s *station)
		want []string
	}{
		{name: "pipelining", mail: func(s *station) { s.send(mailText, nil, "a@far.org", "b@far.org") },
			want: []string{"SMTP(far.org) relayed: relayed via mx.test a@far.org 2.0.0", "SMTP(far.org) relayed: relayed via mx.test b@far.org 2.0.0"}},
		{name: "stepwise", mail: func(s *station) { s.send(mailText, nil, "a@far.org") },
			want: []string{"SMTP(far.org) relayed: relayed via mx.test a@far.org 2.0.0"}},
		{name: "helo", mail: func(s *station) { s.send(mailText, nil, "a@far.org") },
			want: []string{"SMTP(far.org) relayed: relayed via mx.test a@far.org 2.0.0"}},
		{name: "parameters", mail: func(s *station) {
			s.send("Subject: Gr\xc3\xbc\xc3\x9fe\r\n\r\n", func(e *envelope.Envelope) {
				e.ID, e.Return, e.SMTPUTF8, e.Body = "QQ 1", envelope.ReturnHeaders, true, envelope.Body8BitMIME
				e.Recipients[0].Notify, e.Recipients[0].Original = envelope.NotifySuccess|envelope.NotifyFailure, "rfc822;o+x@old.org"
				e.Recipients[1].Notify = envelope.NotifyNever
			}, "jürgen@far.org", "b@far.org")
		}, want: []string{"SMTP(far.org) relayed: relayed via mx.test jürgen@far.org 2.0.0", "SMTP(far.org) relayed: relayed via mx.test b@far.org 2.0.0"}},
		{name: "as-it-came", mail: func(s *station) {
			to := []string{`"John.Doe"@far.org`, `"a@b.com"@far.org`, "MiXed@far.org", "Ju\u0308rgen@far.org", `"old"@far.org`}
			s.send(mailText, func(e *envelope.Envelope) {
				e.ReturnPath, e.ReturnPathLocal, e.SMTPUTF8 = s.addr(`"Joe"@company.com`), `"Joe"`, true
				for i, text := range to {
					e.Recipients[i].Local = address.WrittenLocal(text, e.Recipients[i].Address)
				}
			}, to...)
		}, want: []string{"SMTP(far.org) relayed: relayed via mx.test John.Doe@far.org 2.0.0",
			`SMTP(far.org) relayed: relayed via mx.test "a@b.com"@far.org 2.0.0`,
			"SMTP(far.org) relayed: relayed via mx.test MiXed@far.org 2.0.0",
			"SMTP(far.org) relayed: relayed via mx.test Jürgen@far.org 2.0.0",
			"SMTP(far.org) relayed: relayed via mx.test old@far.org 2.0.0"}},
		{name: "refusals", mail: func(s *station) { s.send(mailText, nil, "good@far.org", "no@far.org", "later@far.org") },
			want: []string{"SMTP(far.org) failed: recipient rejected by mx.test: 550 5.1.1 no such user ask postmaster no@far.org 5.1.1",
				"SMTP(far.org) relayed: relayed via mx.test good@far.org 2.0.0",
				"SMTP(far.org) delayed: recipient rejected by mx.test: 450 greylisted later@far.org 4.0.0"}},
		{name: "nobody-accepted", mail: func(s *station) {
			s.send(mailText, nil, "no@far.org")
			s.send(mailText, nil, "good@far.org")
		}, want: []string{"SMTP(far.org) failed: recipient rejected by mx.test: 550 no no@far.org 5.0.0",
			"SMTP(far.org) relayed: relayed via mx.test good@far.org 2.0.0"}},
		{name: "text-rejected", mail: func(s *station) { s.send(mailText, nil, "a@far.org") },
			want: []string{"SMTP(far.org) failed: message text rejected by mx.test: 552 1 Requested mail action aborted, mailbox not found a@far.org 5.0.0"}},
		{name: "return-path-rejected", mail: func(s *station) { s.send(mailText, nil, "a@far.org", "b@far.org") },
			want: []string{"SMTP(far.org) delayed: return-path rejected by mx.test: 451 4.1.8 cannot resolve a@far.org 4.1.8",
				"SMTP(far.org) delayed: return-path rejected by mx.test: 451 4.1.8 cannot resolve b@far.org 4.1.8"}},
		{name: "too-many-recipients", mail: func(s *station) { s.send(mailText, nil, "a@far.org", "b@far.org", "c@far.org") },
			want: []string{"SMTP(far.org) relayed: relayed via mx.test a@far.org 2.0.0", "SMTP(far.org) relayed: relayed via mx.test b@far.org 2.0.0",
				"SMTP(far.org) relayed: relayed via mx.test c@far.org 2.0.0"}},
		{name: "rcptmax", mail: func(s *station) { s.send(mailText, nil, "a@far.org", "b@far.org", "c@far.org") },
			want: []string{"SMTP(far.org) relayed: relayed via mx.test a@far.org 2.0.0", "SMTP(far.org) relayed: relayed via mx.test b@far.org 2.0.0",
				"SMTP(far.org) relayed: relayed via mx.test c@far.org 2.0.0"}},
		{name: "size", mail: func(s *station) { s.send(mailText, nil, "a@far.org") },
			want: []string{"SMTP(far.org) failed: message is too large for mx.test a@far.org 5.3.4"}},
		{name: "binary", mail: func(s *station) {
			s.send("Subject: b\r\n\r\na\nb\r.\r\n", func(e *envelope.Envelope) { e.Body = envelope.BodyBinaryMIME }, "a@far.org")
		}, want: []string{"SMTP(far.org) relayed: relayed via mx.test a@far.org 2.0.0"}},
		{name: "no-binary", mail: func(s *station) {
			s.send("Subject: b\r\n\r\na\nb\r.\r\n", func(e *envelope.Envelope) { e.Body = envelope.BodyBinaryMIME }, "a@far.org")
		}, want: []string{"SMTP(far.org) failed: binary message cannot be sent to mx.test a@far.org 5.6.3"}},
		{name: "no-utf8", mail: func(s *station) {
			s.send("Subject: plain\r\n\r\n", func(e *envelope.Envelope) { e.SMTPUTF8 = true }, "a@far.org")
			s.send("Subject: \xc3\xbc\r\n\r\n", func(e *envelope.Envelope) { e.SMTPUTF8 = true }, "b@far.org")
			s.send("Subject: plain\r\n\r\n", nil, "jürgen@far.org")
		}, want: []string{"SMTP(far.org) relayed: relayed via mx.test a@far.org 2.0.0",
			"SMTP(far.org) failed: mx.test does not take internationalized mail b@far.org 5.6.7",
			"SMTP(far.org) failed: mx.test does not take internationalized mail jürgen@far.org 5.6.7"}},
		{name: "greeting-421", mail: func(s *station) { s.send(mailText, nil, "a@far.org") },
			want: []string{"SMTP(far.org) delayed: connection refused by mx.test: 421 4.3.2 busy a@far.org 4.3.2"}},
		{name: "greeting-554", mail: func(s *station) { s.send(mailText, nil, "a@far.org") },
			want: []string{"SMTP(far.org) failed: connection refused by mx.test: 554 go away a@far.org 5.0.0"}},
		{name: "lost-after-dot", mail: func(s *station) {
			s.send(mailText, nil, "a@far.org")
			s.send(mailText, nil, "b@far.org")
		}, want: []string{"SMTP(far.org) delayed: connection with mx.test is broken a@far.org 4.4.2",
			"SMTP(far.org) relayed: relayed via mx.test b@far.org 2.0.0"}},
		{name: "lost-at-mail", mail: func(s *station) { s.send(mailText, nil, "a@far.org") },
			want: []string{"SMTP(far.org) delayed: connection with mx.test is broken a@far.org 4.4.2"}},
		{name: "closing-421", mail: func(s *station) {
			s.send(mailText, nil, "a@far.org")
			s.send(mailText, nil, "b@far.org")
		}, want: []string{"SMTP(far.org) relayed: relayed via mx.test a@far.org 2.0.0",
			"SMTP(far.org) delayed: connection closed by mx.test: 421 4.7.0 not now b@far.org 4.4.2"}},
		{name: "silence", mail: func(s *station) { s.send(mailText, nil, "a@far.org") },
			want: []string{"SMTP(far.org) delayed: connection with mx.test is broken: greeting: read pipe: i/o timeout a@far.org 4.4.2"}},
		{name: "rubbish", mail: func(s *station) { s.send(mailText, nil, "a@far.org") },
			want: []string{"SMTP(far.org) delayed: connection with mx.test is broken: greeting: the reply is not one of SMTP a@far.org 4.4.2"}},
		{name: "tls-required", set: dataformat.Dict{"SmartHostTLS": dataformat.String("Required")},
			mail: func(s *station) { s.send(mailText, nil, "a@far.org") },
			want: []string{"SMTP(far.org) delayed: connection with mx.test is broken: TLS is required and not offered a@far.org 4.4.2"}},
		{name: "tls-injection", set: dataformat.Dict{"SmartHostTLS": dataformat.String("Required")},
			mail: func(s *station) { s.send(mailText, nil, "a@far.org") },
			want: []string{"SMTP(far.org) delayed: connection with mx.test is broken: TLS: the server sent more before encryption a@far.org 4.4.2"}},
		{name: "tls-refused", mail: func(s *station) { s.send(mailText, nil, "a@far.org") },
			want: []string{"SMTP(far.org) relayed: relayed via mx.test a@far.org 2.0.0"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				set := dataformat.Dict{"SmartHost": dataformat.String("mx.test"), "ChannelsPerHost": dataformat.String("1")}
				for k, v := range c.set {
					set[k] = v
				}
				s := newStation(t, set)
				defer s.stop()
				s.hold(func() { c.mail(s) })
				transcript.Play(t, s.accept, filepath.Join("testdata", c.name+".txtar"))
				s.want(c.want...)
			})
		})
	}
}

// hold lets the messages of mail wait in one batch.
func (s *station) hold(mail func()) {
	now := *s.set.Get()
	stopped := now
	stopped.Channels = 0
	s.set.Set(&stopped)
	s.q.WakeModule(router.SMTP)
	time.Sleep(2 * time.Minute) // the scheduler sees it
	mail()
	synctest.Wait() // the scheduler's turn of this minute is over
	s.set.Set(&now)
	time.Sleep(2 * time.Minute)
}

func TestWithoutSmartHostMailWaitsUntilOneIsSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, dataformat.Dict{"WithoutSmartHost": dataformat.String("Wait")})
		defer s.stop()
		s.send(mailText, nil, "a@far.org")
		s.want("SMTP(far.org) delayed: no smart host is set a@far.org 4.4.4")
		info, ok := s.q.Info(router.SMTP, "far.org")
		if !ok || info.LastError != "no smart host is set" || info.DelayedTill.IsZero() {
			t.Errorf("%+v", info)
		}
		with := *s.set.Get()
		with.SmartHost = Host{Name: "mx.test", Port: 2525}
		s.set.Set(&with)
		s.q.WakeModule(router.SMTP)
		transcript.Play(t, s.accept, "testdata/stepwise.txtar")
		synctest.Wait()
		if s.dialed[0] != "192.0.2.25:2525" {
			t.Errorf("dialed %v", s.dialed)
		}
	})
}

func TestWithoutSmartHostMailMayBeReturned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, dataformat.Dict{"WithoutSmartHost": dataformat.String("Return")})
		defer s.stop()
		s.send(mailText, nil, "a@far.org")
		s.want("SMTP(far.org) failed: no smart host is set a@far.org 5.4.4")
		synctest.Wait()
		if len(s.inbox.mail) != 1 || !strings.Contains(s.inbox.mail[0], "Failed to deliver to 'a@far.org'\r\nSMTP module(domain far.org) reports:\r\n no smart host is set\r\n") {
			t.Errorf("%q", s.inbox.mail)
		}
	})
}

func TestLiteralIsReachedDirectly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, dataformat.Dict{"SmartHost": dataformat.String("mx.test"), "SilentChannels": dataformat.String("1")})
		defer s.stop()
		s.refuse = errors.New("connection refused")
		s.send(mailText, nil, "a@[192.0.2.7]", "b@[IPv6:2001:db8::7]")
		s.want("SMTP([192.0.2.7]) delayed: cannot connect to [192.0.2.7]: connection refused a@[192.0.2.7] 4.4.1",
			"SMTP([IPv6:2001:db8::7]) delayed: cannot connect to [2001:db8::7]: connection refused b@[IPv6:2001:db8::7] 4.4.1")
		slices.Sort(s.dialed)
		if want := []string{"192.0.2.7:25", "[2001:db8::7]:25"}; !slices.Equal(s.dialed, want) {
			t.Errorf("dialed %v, want %v", s.dialed, want)
		}
	})
}

func TestHostThatARouteNamesIsReachedDirectly(t *testing.T) {
	for _, set := range []dataformat.Dict{nil, {"SmartHost": dataformat.String("mx.test:587"), "SmartHostTLS": dataformat.String("Implicit")}} {
		synctest.Test(t, func(t *testing.T) {
			s := newStation(t, set)
			defer s.stop()
			s.zone.Set(t, "friend.direct. A 192.0.2.26")
			s.refuse = errors.New("connection refused")
			s.send(mailText, nil, "a@friend.direct")
			s.want("SMTP(friend.direct) delayed: cannot connect to friend.direct: connection refused a@friend.direct 4.4.1")
			if want := []string{"192.0.2.26:25"}; !slices.Equal(s.dialed, want) {
				t.Errorf("dialed %v, want %v", s.dialed, want)
			}
		})
	}
}

func TestIdleConnectionServesTheNextBatchAndEndsAfterTwoSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, dataformat.Dict{"SmartHost": dataformat.String("mx.test")})
		defer s.stop()
		server := newServer(s)
		go server.serve()
		for range 3 {
			s.send(mailText, nil, "a@far.org")
			synctest.Wait()
			time.Sleep(time.Second)
		}
		if len(s.dialed) != 1 {
			t.Errorf("dialed %d times", len(s.dialed))
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		s.send(mailText, nil, "a@far.org")
		synctest.Wait()
		if len(s.dialed) != 2 {
			t.Errorf("dialed %d times after a pause", len(s.dialed))
		}
		if n := server.count(); n != 4 {
			t.Errorf("%d messages arrived", n)
		}
	})
}

func TestIdleConnectionThatTheServerClosedIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, dataformat.Dict{"SmartHost": dataformat.String("mx.test")})
		defer s.stop()
		server := newServer(s)
		go server.serve()
		s.send(mailText, nil, "a@far.org")
		synctest.Wait()
		server.drop()
		synctest.Wait()
		s.send(mailText, nil, "b@far.org")
		synctest.Wait()
		if n := server.count(); n != 2 {
			t.Errorf("%d messages arrived", n)
		}
		s.want("SMTP(far.org) relayed: relayed via mx.test a@far.org 2.0.0", "SMTP(far.org) relayed: relayed via mx.test b@far.org 2.0.0")
	})
}

func TestRelayedIsLoggedWithReplyDelayAndTLS(t *testing.T) {
	for want, cert := range map[string]bool{"TLS1.3": true, "no": false} {
		synctest.Test(t, func(t *testing.T) {
			s := newStation(t, dataformat.Dict{"SmartHost": dataformat.String("mx.test")})
			defer s.stop()
			server := newServer(s)
			if cert {
				server.cert = selfSigned(t)
			}
			go server.serve()
			s.send(mailText, nil, "a@far.org")
			synctest.Wait()
			s.results.mu.Lock()
			defer s.results.mu.Unlock()
			if a := s.results.attrs; a["tls"] != want || a["reply"] != "250 ok" || a["delay"] != "0s" {
				t.Errorf("logged with %v", a)
			}
		})
	}
}

func TestStartTLSEncryptsTheMail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, dataformat.Dict{"SmartHost": dataformat.String("mx.test")})
		defer s.stop()
		server := newServer(s)
		server.cert = selfSigned(t)
		go server.serve()
		s.send(mailText, nil, "a@far.org")
		synctest.Wait()
		if server.count() != 1 || !server.isEncrypted() {
			t.Fatalf("%d messages, encrypted %v", server.count(), server.isEncrypted())
		}
		if got := server.last(); got != mailText {
			t.Errorf("got %q", got)
		}
	})
}

func TestUnknownCertificateStopsRequiredTLS(t *testing.T) {
	for _, mode := range []string{"Required", "Implicit"} {
		synctest.Test(t, func(t *testing.T) {
			s := newStation(t, dataformat.Dict{"SmartHost": dataformat.String("mx.test"), "SmartHostTLS": dataformat.String(mode)})
			defer s.stop()
			server := newServer(s)
			server.cert, server.implicit = selfSigned(t), mode == "Implicit"
			go server.serve()
			s.send(mailText, nil, "a@far.org")
			synctest.Wait()
			if info, _ := s.q.Info(router.SMTP, "far.org"); !strings.Contains(info.LastError, "certificate") {
				t.Errorf("%s: last error %q", mode, info.LastError)
			}
			if server.count() != 0 {
				t.Errorf("%s: the mail was sent", mode)
			}
		})
	}
}
