package server

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"gatepost/accounts"
	"gatepost/accounts/access"
	"gatepost/accounts/delivery"
	"gatepost/accounts/fulltext"
	"gatepost/accounts/groupware"
	"gatepost/accounts/housekeeping"
	"gatepost/accounts/junk"
	"gatepost/accounts/lists"
	"gatepost/accounts/mailrules"
	"gatepost/accounts/scheduling"
	"gatepost/protocols/drop"
	"gatepost/protocols/helper"
	"gatepost/protocols/http"
	"gatepost/protocols/imap"
	"gatepost/protocols/ldapauth"
	"gatepost/protocols/mailauth"
	"gatepost/protocols/mailauth/arriving"
	"gatepost/protocols/mailauth/leaving"
	"gatepost/protocols/mailauth/reports"
	"gatepost/protocols/milter"
	"gatepost/protocols/oidc"
	"gatepost/protocols/pickup"
	"gatepost/protocols/pipe"
	"gatepost/protocols/pop3"
	"gatepost/protocols/pwd"
	"gatepost/protocols/relay"
	"gatepost/protocols/relay/mtasts"
	"gatepost/protocols/rpop"
	"gatepost/protocols/smtp"
	"gatepost/protocols/syspassword"
	"gatepost/protocols/webcal"
	"gatepost/queue"
	"gatepost/queue/envelope"
	"gatepost/router"
	"gatepost/server/admin"
	"gatepost/server/fault"
	"gatepost/server/logs"
	"gatepost/server/program"
	"gatepost/server/protection"
	"gatepost/server/resolver"
	"gatepost/server/settings"
	"gatepost/webadmin"
)

// table is the server: every module, after those that it uses. New reads the settings of
// all and then opens one after the other; close goes backwards. What a module is, with its
// settings, listeners, start and stop, stands in its function below and nowhere else. Those
// functions connect nothing before open is called.
func (s *Server) table() []*module {
	return []*module{
		s.mainPart(), s.logsPart(), s.dnrPart(), s.helpersPart(), s.protectionPart(), s.bannedPart(),
		s.counterPart(), s.accountsPart(), s.searchPart(), s.routerPart(),
		s.queuePart(), s.rulesPart(), s.pipePart(), s.dropPart(), s.rpopPart(), s.signingPart(), s.reportsPart(), s.calendarPart(), s.localPart(), s.housekeepingPart(), s.listPart(), s.gatewaysPart(), s.sendingPart(),
		s.certificatePart(),
		s.acmePart(),
		s.senderCheckPart(), s.smtpPart(), s.lmtpPart(), s.imapPart(), s.popPart(), s.pwdPart(),
		s.webadminPart(),
		s.adminsPart(), s.usersPart(),
		s.monitoringPart(), s.triggersPart(), s.backupPart(),
	}
}

// adminsModule is the HTTP module for administrators.
const adminsModule = "HTTPA"

// usersModule is the HTTP module for users.
const usersModule = "HTTPU"

func (s *Server) mainPart() *module {
	s.main = live[Settings]()
	s.mainModule = newModule(mainModule, s.main, "SYSTEM")
	s.mainModule.kept = settings.Describe(new(keptMainSettings))
	s.mainModule.changed = func() { s.applyHelpers() }
	return s.mainModule
}

func (s *Server) logsPart() *module {
	s.logging = live[LogSettings]()
	return newModule(logModule, s.logging)
}

// dnrPart looks up in the DNS for all modules.
func (s *Server) dnrPart() *module {
	set := live[resolver.Settings]()
	m := newModule(dnrModule, set, "DNR")
	m.open = func() error {
		s.resolver = resolver.New(set, s.log)
		return nil
	}
	m.close = func() error {
		s.resolver.Close()
		return nil
	}
	// Other name servers may know other things.
	m.changed = func() { s.resolver.Reset() }
	return m
}

// helpersPart runs programs that look at messages, and the one that knows passwords.
func (s *Server) helpersPart() *module {
	m := newPart("helpers")
	m.open = func() (err error) {
		s.ldap, s.system = ldapauth.New(), syspassword.New(func() string { return s.main.Get().SysPasswordVia })
		if s.helpers, err = helper.New(s.base.dir, s.log); err != nil {
			return err
		}
		s.applyHelpers()
		return nil
	}
	m.run = func(ctx context.Context) error { return s.helpers.Run(ctx) }
	return m
}

// applyHelpers puts the settings of helpers in force, which stand in Main.settings.
func (s *Server) applyHelpers() {
	set := s.main.Get()
	s.helpers.Apply(set.ExternalFilters, set.ExternalAuth)
}

// protectionPart knows about the addresses of clients.
func (s *Server) protectionPart() *module {
	set := live[protection.Settings]()
	m := newModule("Protection", set, protection.Tag)
	m.open = func() (err error) {
		if s.protection, err = protection.Open(s.base.dir, set, s.log); err != nil {
			return err
		}
		s.protection.UseResolver(s.resolver)
		return nil
	}
	m.run = func(ctx context.Context) error { return s.protection.Run(ctx) }
	return m
}

// bannedPart has the lines for which messages are refused.
func (s *Server) bannedPart() *module {
	set := live[protection.BannedSettings]()
	m := newModule("Banned", set)
	m.open = func() error {
		s.protection.UseBanned(set)
		return nil
	}
	return m
}

// counterPart numbers messages, in the queue and in the mailboxes alike.
func (s *Server) counterPart() *module {
	m := newPart("counter")
	m.open = func() (err error) {
		s.counter, err = queue.OpenCounter(s.base.path("Settings", counterFile), s.base.path("Queue"), 0)
		return err
	}
	m.close = func() error { return s.counter.Close() }
	return m
}

// counterFile is in Settings.
const counterFile = "MessageID.data"

// nextNumber and raiseTo are a counter as the account directory uses it.
func nextNumber(c *queue.Counter) func() (uint64, error) {
	return func() (uint64, error) {
		id, err := c.NextID()
		return uint64(id), err
	}
}

func raiseTo(c *queue.Counter) func(uint64) error {
	return func(used uint64) error { return c.Raise(envelope.QueueID(used)) }
}

// accountsPart is the directory with the mailboxes.
func (s *Server) accountsPart() *module {
	m := newPart("accounts")
	var tokens *oidc.Verifier
	m.open = func() (err error) {
		tokens = oidc.New(oidc.Options{Resolve: func(ctx context.Context, host string) ([]netip.Addr, error) {
			a, err := s.resolver.Addresses(ctx, host)
			return a.Records, err
		}, Log: s.log})
		s.accounts, err = accounts.Open(s.base.dir, accounts.Options{
			Log: s.log, MainDomain: s.config.MainDomain, External: s.helpers, LDAP: s.ldap, System: s.system, Tokens: tokens, Protection: s.protection,
			NextID: nextNumber(s.counter), Raise: raiseTo(s.counter),
			DeleteLeftoversIn: func() (time.Duration, bool) {
				age := s.main.Get().DeleteLeftoversIn
				return age.Duration(), age != settings.Never
			},
		})
		return err
	}
	m.close = func() error {
		tokens.Close()
		return s.accounts.Close()
	}
	return m
}

// searchPart indexes the texts of messages.
func (s *Server) searchPart() *module {
	set := live[fulltext.Settings]()
	m := newModule("Search", set, fulltext.Tag)
	m.open = func() (err error) {
		s.texts, err = fulltext.Open(s.base.dir, s.accounts.Mail(), set, s.log)
		return err
	}
	m.run = func(ctx context.Context) error { return s.texts.Run(ctx) }
	m.close = func() error { return s.texts.Close() }
	return m
}

func (s *Server) routerPart() *module {
	s.routing = live[router.Settings]()
	var _ router.TelnumDirectory = s.accounts
	m := newModule("Router", s.routing, "ROUTER")
	m.open = func() (err error) {
		s.router, err = router.New(s.routing, s.accounts, s.log)
		return err
	}
	// The table has been compiled when the settings were checked.
	m.changed = func() {
		if err := s.router.Reload(s.routing.Get()); err != nil {
			s.log.Log(context.Background(), logs.LevelFailure, "the Router Table could not be loaded; the old one stays in force", logs.AttrError, err)
		}
	}
	return m
}

func (s *Server) queuePart() *module {
	set := live[queue.Settings]()
	m := newModule("Queue", set, "QUEUE", "ENQUEUER", "DEQUEUER")
	m.open = func() (err error) {
		s.queue, err = queue.Open(s.base.path("Queue"), queue.Options{
			Settings: set, Router: s.router, Counter: s.counter, MainDomain: s.accounts.MainDomain,
			AllAccounts: delivery.AllAccounts(s.accounts), Log: s.log,
		})
		return err
	}
	m.run = func(ctx context.Context) error { return s.queue.Run(ctx) }
	m.close = func() error { return s.queue.Close() }
	return m
}

// pipePart takes messages from programs of this machine, and gives messages to programs. It comes
// before localPart, which drops what is held and nobody knows of.
func (s *Server) pipePart() *module {
	set, submitted, programs := live[pipeSettings](), live[pickup.Settings](), live[pipe.Settings]()
	share := func() {
		submitted.Set(&set.Get().pickupSettings)
		programs.Set(&set.Get().programSettings)
	}
	m := newModule("PIPE", set, "PIPE").delivering(s, router.PIPE)
	wake := m.changed
	m.changed = func() {
		share()
		wake()
	}
	var folder *pickup.Folder
	m.open = func() (err error) {
		share()
		s.programs = program.NewRunner(func() program.Permission {
			p := programs.Get().Permission(s.base.dir, s.base.path("Submitted"))
			p.Manifest.File = s.base.path("Settings", "ChildProcs.data")
			return p
		})
		s.queue.Handle(m.queues, pipe.New(programs, s.programs, s.log))
		folder, err = pickup.Open(s.base.path("Submitted"), s.queue, submitted, s.accounts.MainDomain, s.log)
		return err
	}
	m.run = func(ctx context.Context) error { return folder.Run(ctx) }
	return m
}

// pipeSettings are those of the module PIPE: messages from programs, and programs that get messages.
type pipeSettings struct {
	pickupSettings
	programSettings
}

type (
	pickupSettings  = pickup.Settings
	programSettings = pipe.Settings
)

// Validate checks both parts.
func (s *pipeSettings) Validate() error {
	if err := s.pickupSettings.Validate(); err != nil {
		return err
	}
	return s.programSettings.Validate()
}

// dropPart takes mail from drop folders and drop tables. It comes before localPart, which drops what is held and
// nobody knows of.
func (s *Server) dropPart() *module {
	set := live[drop.Settings]()
	m := newModule("Drop", set, "DROP")
	m.open = func() (err error) {
		s.drops, err = drop.Open(drop.Options{Base: s.base.dir, Queue: s.queue, Settings: set, MaySend: s.isSender, LookUp: s.hostAddresses,
			MainDomain: s.accounts.MainDomain, Log: s.log})
		return err
	}
	m.run = func(ctx context.Context) error { return s.drops.Run(ctx) }
	m.changed = func() { s.drops.Woken() }
	return m
}

// rpopPart polls remote accounts. It comes before localPart, which drops what is held and
// nobody knows of.
func (s *Server) rpopPart() *module {
	set := live[rpop.Settings]()
	m := newModule("RPOP", set, "RPOP")
	m.open = func() error {
		s.poller = rpop.New(set, s.accounts, s.queue, s.router, func(ctx context.Context, host string) ([]netip.Addr, error) {
			a, err := s.resolver.Addresses(ctx, host)
			return a.Records, err
		}, s.log)
		return s.poller.Settle(context.Background())
	}
	m.run = func(ctx context.Context) error { return s.poller.Run(ctx) }
	m.changed = func() { s.poller.Woken() }
	return m
}

// rulesPart carries out the rules of the server, of domains and of accounts.
func (s *Server) rulesPart() *module {
	set := live[mailrules.Settings]()
	m := newModule("MailRules", set, "ENQUEUERRULES", "LOCALRULES")
	m.open = func() (err error) {
		s.rules, err = mailrules.Open(mailrules.Options{
			File: s.base.path("Settings", "Rules.settings"), Accounts: s.accounts, Access: access.New(s.accounts, s.router),
			Queue: s.queue, Files: s.storage, Filters: ruleFilters{s.helpers, s.log}, FreeBusy: func(ctx context.Context, a *accounts.Account) (string, error) {
				return s.scheduling.State(ctx, a, time.Now())
			}, Programs: rulePrograms{s}, Settings: set, Log: s.log,
		})
		if err == nil {
			s.queue.UseRules(s.rules)
		}
		return err
	}
	m.close = func() error { return s.rules.Close() }
	return m
}

// calendarPart invites people to events and takes their answers.
func (s *Server) calendarPart() *module {
	set := live[scheduling.Settings]()
	m := newModule("Calendar", set, "CALENDAR", "WEBCAL")
	m.open = func() error {
		a := access.New(s.accounts, s.router)
		s.scheduling = scheduling.New(scheduling.Options{Accounts: s.accounts, Groupware: groupware.New(s.accounts, a), Access: a, Router: s.router, Queue: s.queue, Settings: set, Log: s.log})
		s.webcal = webcal.New(webcal.Options{Accounts: s.accounts, Calendar: groupware.New(s.accounts, a), Log: s.log, Config: func() (time.Duration, bool) {
			now := set.Get()
			return now.SubscriptionRefresh.Duration(), bool(now.SubscriptionPrivate)
		}})
		return nil
	}
	m.run = func(ctx context.Context) error { return s.webcal.Run(ctx) }
	return m
}

// localPart delivers to mailboxes.
func (s *Server) localPart() *module {
	set := live[delivery.Settings]()
	m := newModule("LOCAL", set, "LOCAL").delivering(s, router.LOCAL)
	m.open = func() error {
		t := delivery.New(s.accounts, s.queue, access.New(s.accounts, s.router), s.rules, set, s.log)
		t.UseSigner(s.signer)
		t.UseCalendars(s.scheduling)
		s.junk = junk.New(s.accounts, s.log)
		t.UseJunkFilter(s.junk)
		s.queue.Handle(m.queues, t)
		return t.ForgetBut(context.Background(), s.queue.Has)
	}
	m.close = func() error {
		s.junk.Close()
		return nil
	}
	return m
}

// housekeepingPart deletes and archives old messages, and tells accounts that they are nearly full.
func (s *Server) housekeepingPart() *module {
	m := newPart("housekeeping")
	m.open = func() error {
		s.housekeeper = housekeeping.New(s.accounts, s.log)
		return nil
	}
	m.run = func(ctx context.Context) error { return s.housekeeper.Run(ctx) }
	return m
}

// signingPart has the keys of domains, and signs what sendingPart delivers.
func (s *Server) signingPart() *module {
	set := live[leaving.Settings]()
	m := newModule("Signing", set, "DKIM")
	m.run = func(ctx context.Context) error {
		var work sync.WaitGroup
		work.Go(func() { s.rotateSecrets(ctx) })
		work.Go(func() { s.signer.Rotate(ctx, s.publishes) })
		work.Wait()
		return nil
	}
	m.open = func() (err error) {
		if s.secrets, err = mailauth.OpenSecrets(s.base.path("Settings", "Sender.key")); err != nil {
			return err
		}
		s.keys = mailauth.OpenKeys(s.base.path("DKIM"))
		s.verifier = &mailauth.Verifier{Resolver: mailauth.DNS(s.resolver)}
		s.signer = leaving.New(set, s.keys, s.verifier, s.accounts, &mailauth.Proofs{Secrets: s.secrets.All}, s.log)
		s.router.UseReturnPaths(s.returnPathOf)
		s.rewrites = func() bool { return bool(set.Get().Rewrite) }
		return nil
	}
	return m
}

// senderCheckPart verifies who sends the mail that smtpPart receives.
func (s *Server) senderCheckPart() *module {
	set := live[arriving.Settings]()
	m := newModule("SenderChecks", set, "SENDERS")
	m.open = func() error {
		s.senders = arriving.New(set, s.verifier, s.accounts, &mailauth.Proofs{Secrets: s.secrets.All}, reportCheck{s}, s.log)
		s.senders.UseReturnPaths(s.leadsBack)
		return nil
	}
	return m
}

// listPart sends mail for groups to their members, and runs the mailing lists. It comes before localPart, which drops what
// is held and nobody knows of.
func (s *Server) listPart() *module {
	set := live[lists.Settings]()
	m := newModule("LIST", set, "LIST").delivering(s, router.LIST)
	var t *lists.Transport
	m.run = func(ctx context.Context) error { return t.Run(ctx) }
	m.open = func() error {
		s.lists = lists.NewManager(lists.Options{
			Store: s.accounts, Router: s.router, Queue: s.queue, Log: s.log,
			Pages:  s.listPagesURL,
			Policy: func(ctx context.Context, domain string) (string, error) { return s.verifier.AuthorPolicy(ctx, domain) },
		})
		t = lists.New(s.accounts.Groups(), s.lists, s.router, set, s.log)
		s.queue.Handle(m.queues, t)
		return s.lists.Settle(context.Background())
	}
	return m
}

// gatewaysPart has the servers that sending may use, see gateways.go.
func (s *Server) gatewaysPart() *module {
	s.gateways = live[relay.GatewaySettings]()
	m := newModule(gatewaysModule, s.gateways)
	m.keep = s.sealGateways
	m.changed = func() { s.queue.WakeModule(router.SMTP) }
	return m
}

// sendingPart delivers to other servers.
func (s *Server) sendingPart() *module {
	set := live[relay.Settings]()
	m := newModule("SMTPSending", set, "SMTP").delivering(s, router.SMTP)
	m.open = func() error {
		s.policies = mtasts.Open(mtasts.Options{DNS: s.resolver, File: s.base.path("Settings", "MTASTS.data"), Log: s.log})
		s.relay = relay.New(set, s.gateways, s.resolver, s.accounts.MainDomain, s.accounts, s.signer, s.policies, func(queue string) bool { return s.queue.Wake(router.SMTP, queue) }, s.log)
		s.relay.UseReturnPaths(s.rewritten)
		s.relay.UseSessions(func(one relay.Session) { s.tlsOutbox.Count(reports.TLSSession(one)) })
		s.queue.Handle(m.queues, s.relay)
		return nil
	}
	m.close = func() error {
		s.relay.Close()
		s.policies.Close()
		return nil
	}
	return m
}

// certificatePart is what the listeners after it show to clients.
func (s *Server) certificatePart() *module {
	m := newPart("certificate")
	m.open = s.reloadCertificate
	return m
}

func (s *Server) smtpPart() *module {
	set := live[smtp.Settings]()
	m := newModule("SMTP", set, "SMTPI").forMailPrograms("smtp", smtp.Submission)
	m.stock = settings.Listeners{stock(25, settings.TLSStart, 20), stock(587, settings.TLSStart, 20), stock(465, settings.TLSImplicit, 20)}
	m.open = func() error {
		milters := milter.New(func() milter.List { return s.main.Get().Milters }, Version, s.log)
		s.receiver = smtp.New(set, s.queue, s.router, s.accounts, s.loginTLS, s.relay.BacksUp, starter{s}, starter{s}, s.log, s.senders, trailers{s}, milters)
		m.serve = s.receiver.Serve
		m.wire = &wire{element: "smtpInput", oid: "2", wired: s.receiver.Connections(), jobs: &s.receiver.Counts().Messages}
		return nil
	}
	return m
}

// starter has mail sent that a host asks for, or fetches.
type starter struct{ s *Server }

// StartQueue implements smtp.Starter.
func (t starter) StartQueue(domain string) bool {
	t.s.relay.Release(domain)
	return t.s.queue.Wake(router.SMTP, domain)
}

// StartQueuesBelow implements smtp.Starter.
func (t starter) StartQueuesBelow(domain string) int {
	n := 0
	for _, name := range t.s.queue.Queues(router.SMTP) {
		if (name == domain || strings.HasSuffix(name, "."+domain)) && t.StartQueue(name) {
			n++
		}
	}
	return n
}

// HasMail implements smtp.Turner.
func (t starter) HasMail(domain string) (bool, error) {
	if t.s.relay.IsTurned(domain) {
		return false, fault.New("server.HasMail", fault.Busy, "another connection takes the mail of "+domain)
	}
	_, found := t.s.queue.Info(router.SMTP, domain)
	return found, nil
}

// Turn implements smtp.Turner.
func (t starter) Turn(ctx context.Context, c net.Conn, host string, domains []string) error {
	return t.s.relay.Turn(ctx, c, host, domains, func(ctx context.Context, domain string) error {
		return t.s.queue.Quiet(ctx, router.SMTP, domain)
	})
}

// lmtpPart receives mail from programs of this site. It has no listener until the settings name one.
func (s *Server) lmtpPart() *module {
	set := live[smtp.LMTPSettings]()
	m := newModule("LMTP", set)
	m.stock = settings.Listeners{}
	m.open = func() error {
		m.serve = s.receiver.ServeLMTP(set)
		if s.receiver != nil {
			m.wire = &wire{element: "lmtpInput", oid: "3", wired: s.receiver.LMTPConnections()}
		}
		return nil
	}
	return m
}

func (s *Server) imapPart() *module {
	set := live[imap.Settings]()
	m := newModule("IMAP", set, "IMAP").forMailPrograms("imap", anyListener)
	m.stock = settings.Listeners{stock(143, settings.TLSStart, 100), stock(993, settings.TLSImplicit, 100)}
	m.open = func() error {
		i := imap.New(set, s.accounts, s.router, s.loginTLS, s.log)
		i.UseTextIndex(s.texts)
		m.serve = i.Serve
		m.wire = &wire{element: "imapInput", oid: "4", wired: i.Connections(), jobs: i.Commands()}
		return nil
	}
	return m
}

func (s *Server) popPart() *module {
	set := live[pop3.Settings]()
	m := newModule("POP", set, "POP").forMailPrograms("pop3", anyListener)
	m.stock = settings.Listeners{stock(110, settings.TLSStart, 50), stock(995, settings.TLSImplicit, 50)}
	m.open = func() error {
		p := pop3.New(set, s.accounts, s.router, s.loginTLS, s.log)
		m.serve = p.Serve
		m.wire = &wire{element: "popInput", oid: "5", wired: p.Connections(), jobs: p.Commands()}
		return nil
	}
	return m
}

func (s *Server) pwdPart() *module {
	set := live[pwd.Settings]()
	m := newModule("PWD", set, "PWD")
	m.stock = settings.Listeners{stock(106, settings.TLSStart, 20)}
	m.open = func() (err error) {
		if s.pwd, err = pwd.New(set, s.accounts, s.router, s.actors(), s.tls, s.log); err != nil {
			return err
		}
		m.serve = s.pwd.Serve
		m.wire = &wire{element: "pwdInput", oid: "6", wired: s.pwd.Connections(), jobs: s.pwd.Commands()}
		return nil
	}
	return m
}

// webadminPart is the pages for administrators, which HTTPA shows.
func (s *Server) webadminPart() *module {
	set := live[webadmin.Settings]()
	m := newModule("WebAdmin", set)
	m.open = func() (err error) {
		if s.setupSecret, err = s.newSetupSecret(); err != nil {
			return err
		}
		s.pages, err = webadmin.New(webadmin.Options{
			Settings: set, Admin: s.actors(), Accounts: s.accounts, Link: s.setupSecret, SecurePort: func() int { return s.httpsPort(adminsModule) }, Log: s.log,
		})
		return err
	}
	m.close = func() error {
		s.pages.Close()
		return nil
	}
	return m
}

// actors makes administrators out of accounts, for every wire that they come by.
func (s *Server) actors() *admin.Admin { return admin.New(s.accounts, s.router, s, s.log) }

// adminsPart is HTTPA, for administrators.
func (s *Server) adminsPart() *module {
	set := live[http.Settings]()
	m := newModule(adminsModule, set, adminsModule)
	m.stock = httpListeners(8010, 9010)
	m.open = func() error {
		h := http.New(adminsModule, set, s.accounts, s.router, s.tls, s.base.path("Spool"), s.log)
		return s.openHTTP(m, h, &wire{element: "httpAdminInput", oid: "7"}, s.administratorsPages, s.commandLine, s.monitors)
	}
	return m
}

// usersPart is HTTPU, for users.
func (s *Server) usersPart() *module {
	s.users = live[http.UserSettings]()
	m := newModule(usersModule, s.users, usersModule)
	m.stock = httpListeners(8100, 9100)
	m.levels = func() map[string]int { return s.users.Get().LogLevels() }
	m.open = func() error {
		h := http.New(usersModule, s.users, s.accounts, s.router, s.tls, s.base.path("Spool"), s.log)
		h.UsePort(s.usersHTTPS)
		return s.openHTTP(m, h, &wire{element: "httpUserInput", oid: "8"}, s.webDAV, s.commandLine, s.autoconfiguration, s.mailingListPages, s.acmeChallenges, s.mtaSTS)
	}
	return m
}

func httpListeners(plain, secure int) settings.Listeners {
	return settings.Listeners{stock(plain, settings.TLSNone, 50), stock(secure, settings.TLSImplicit, 50)}
}

// openHTTP connects a module with its parts.
func (s *Server) openHTTP(m *module, h *http.Server, w *wire, mounts ...mount) error {
	m.serve, m.wire = h.Serve, w
	w.wired = h.Connections()
	if s.http == nil {
		s.http = map[string]*http.Server{}
	}
	s.http[m.name] = h
	for _, part := range mounts {
		if err := part(h); err != nil {
			return err
		}
	}
	return nil
}

// delivering marks a module whose logical queues go to a transport of its own. What
// waits under old settings is tried under the new ones.
func (m *module) delivering(s *Server, queues router.Module) *module {
	m.queues = queues
	m.changed = func() { s.queue.WakeModule(queues) }
	return m
}

// forMailPrograms marks a module that autoconfiguration tells of.
func (m *module) forMailPrograms(protocol string, which func(settings.Listener) bool) *module {
	m.protocol, m.forUsers = protocol, which
	return m
}

func anyListener(settings.Listener) bool { return true }

// stock is a stock listener, with the limit of connections from one address that is
// not a Client IP.
func stock(port int, mode settings.TLSMode, perIP int) settings.Listener {
	return settings.Listener{Port: port, TLS: mode, PerIP: perIP}
}

// live returns a Live to be loaded before anybody reads it.
func live[T any]() *settings.Live[T] { return settings.NewLive(new(T)) }

// tls is what the wires encrypt with.
func (s *Server) tls() *tls.Config { return s.encrypt }

// loginTLS is what the wires encrypt with on which a client certificate is a login.
func (s *Server) loginTLS() *tls.Config { return s.encryptLogins }

// StockPorts lists the ports of the stock listeners, sorted.
func StockPorts() []int {
	var ports []int
	for _, m := range new(Server).table() {
		for _, l := range m.stock {
			ports = append(ports, l.Port)
		}
	}
	slices.Sort(ports)
	return ports
}

// maxShift leaves room for the highest of the stock ports.
func maxShift() int { return 65535 - slices.Max(StockPorts()) }
