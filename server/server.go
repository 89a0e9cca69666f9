package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"gatepost/accounts"
	"gatepost/accounts/files"
	"gatepost/accounts/fulltext"
	"gatepost/accounts/housekeeping"
	"gatepost/accounts/junk"
	"gatepost/accounts/lists"
	"gatepost/accounts/mailrules"
	"gatepost/accounts/scheduling"
	"gatepost/protocols/drop"
	"gatepost/protocols/helper"
	"gatepost/protocols/http"
	"gatepost/protocols/ldapauth"
	"gatepost/protocols/mailauth"
	"gatepost/protocols/mailauth/arriving"
	"gatepost/protocols/mailauth/leaving"
	"gatepost/protocols/mailauth/reports"
	"gatepost/protocols/milter"
	"gatepost/protocols/pwd"
	"gatepost/protocols/relay"
	"gatepost/protocols/relay/mtasts"
	"gatepost/protocols/rpop"
	"gatepost/protocols/smtp"
	"gatepost/protocols/syspassword"
	"gatepost/protocols/webcal"
	"gatepost/queue"
	"gatepost/router"
	"gatepost/server/acme"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
	"gatepost/server/logs"
	"gatepost/server/program"
	"gatepost/server/protection"
	"gatepost/server/resolver"
	"gatepost/server/settings"
	"gatepost/server/triggers"
	"gatepost/webadmin"
)

// An orderly stop ends within ten seconds: Run takes at most stopLimit of them,
// Close the rest.
const (
	stopLimit  = 7 * time.Second
	closeLimit = 3 * time.Second
)

// Config is what the command line says; all else is in the settings files.
type Config struct {
	// Base is the base directory; it is created if there is none.
	Base string
	// MainDomain names the Main Domain of a new base directory; empty means
	// the name of this machine.
	MainDomain string
	// Listen are the addresses that listeners without an address bind; empty
	// means all.
	Listen []string
	// PortShift is added to every listener's port, never to ports that the
	// server connects to.
	PortShift int
	// Messages gets what a person at the terminal is told: warnings at start,
	// "ready", and failures while the server runs.
	Messages io.Writer
}

// Server is all parts together.
type Server struct {
	config  Config
	base    *base
	log     *slog.Logger
	files   *logs.Files
	syslog  *logs.Syslog
	levels  atomic.Pointer[logs.Levels]
	cert    atomic.Pointer[tls.Certificate]
	acme    *acme.Manager
	storage *files.Store

	// What modules of the table make for those after them.
	main        *settings.Live[Settings]
	logging     *settings.Live[LogSettings]
	logAll      bool // guarded by changing
	routing     *settings.Live[router.Settings]
	resolver    *resolver.Resolver
	helpers     *helper.Helpers
	ldap        *ldapauth.Client
	system      *syspassword.Verifier
	protection  *protection.Protection
	programs    *program.Runner
	counter     *queue.Counter
	accounts    *accounts.Store
	router      *router.Router
	queue       *queue.Queue
	gateways    *settings.Live[relay.GatewaySettings]
	drops       *drop.Intake
	policies    *mtasts.Policies // of other domains
	lists       *lists.Manager
	secrets     *mailauth.Secrets
	keys        *mailauth.KeyStore
	verifier    *mailauth.Verifier
	signer      *leaving.Signer
	rewrites    func() bool // whether return-paths of mail that is passed on are rewritten
	senders     *arriving.Check
	reports     *reports.Inbox
	outbox      *reports.Outbox // of reports
	tlsOutbox   *reports.TLSOutbox
	relay       *relay.Transport
	rules       *mailrules.Rules
	scheduling  *scheduling.Service
	junk        *junk.Filter
	housekeeper *housekeeping.Housekeeper
	webcal      *webcal.Fetcher
	texts       *fulltext.Index
	pwd         *pwd.Server
	pages       *webadmin.App
	receiver    *smtp.Server
	poller      *rpop.Poller
	http        map[string]*http.Server // by the name of the module
	users       *settings.Live[http.UserSettings]
	encrypt     *tls.Config
	encryptMail *tls.Config // on port 25
	// encryptLogins is for wires on which client certificates are logins.
	encryptLogins *tls.Config
	// encryptFresh takes no tickets of earlier sessions, encryptNew no version but the newest.
	encryptFresh, encryptNew *tls.Config
	tickets                  tickets

	setupSecret string // of the one-time link; empty when postmaster has a password

	monitoring monitoring
	triggers   *triggers.Engine
	backups    schedule
	backing    sync.Mutex // held while a backup is made or restored from

	modules    []*module // as table.go lists them
	mainModule *module   // of Main.settings
	listeners  listeners
	changing   sync.Mutex // serialises changes of settings

	short    string        // why modules have fewer sessions than they ask for; guarded by changing
	ran      bool          // Run was called: this is a server, not a tool on its files
	ready    chan struct{} // closed when all listeners accept
	stop     chan struct{} // closed by Shutdown
	stopOnce sync.Once
}

// New opens everything below the base directory and connects the parts; Run
// starts them. Messages that an earlier process accepted are recovered.
func New(c Config) (*Server, error) { return newServer(c, (*Server).table) }

func newServer(c Config, table func(*Server) []*module) (_ *Server, err error) {
	if c.Messages == nil {
		c.Messages = io.Discard
	}
	if c.PortShift < 0 || c.PortShift > maxShift() {
		return nil, fault.Newf("server.New", fault.Invalid, "the ports cannot be shifted by %d: 0 to %d is possible", c.PortShift, maxShift())
	}
	s := &Server{config: c, ready: make(chan struct{}), stop: make(chan struct{})}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if s.base, err = openBase(c.Base); err != nil {
		return s, err
	}
	if err = s.openLog(); err != nil {
		return s, err
	}
	if mode := s.base.openMode; mode != 0 {
		s.log.Log(context.Background(), logs.LevelFailure, "others could write to the base directory; the server has removed that permission: check what they have changed",
			"path", s.base.dir, "mode", fmt.Sprintf("%04o", mode))
	}
	if err = s.clearSpool(); err != nil {
		return s, err
	}

	s.storage = files.New()
	s.encrypt = tlsConfig(s.chooseCertificate)
	s.encryptMail = s.encrypt.Clone()
	s.encryptMail.CipherSuites = nil
	s.encryptFresh = s.encrypt.Clone()
	s.encryptFresh.SessionTicketsDisabled = true
	s.encryptNew = s.encrypt.Clone()
	s.encryptNew.MinVersion = tls.VersionTLS13
	s.encryptLogins = s.encrypt.Clone()
	s.tickets.configs = []*tls.Config{s.encrypt, s.encryptMail, s.encryptLogins, s.encryptNew}
	s.tickets.rotate()
	s.encrypt.GetConfigForClient = s.configFor
	s.encryptLogins.GetConfigForClient = s.configForLogins
	s.listeners = listeners{shift: c.PortShift, listen: c.Listen, log: s.log, running: map[string]net.Listener{}}
	if err = s.stockSettings(); err != nil {
		return s, err
	}
	s.modules = table(s)
	for m := range s.configured() {
		if err = s.load(m); err != nil {
			return s, err
		}
	}
	s.setLevels()
	s.shareDescriptors()
	for _, m := range s.modules {
		if m.open != nil {
			if err = m.open(); err != nil {
				return s, err
			}
		}
		m.opened = true
	}
	return s, nil
}

// stockSettings writes the Router Table that a new server starts with.
func (s *Server) stockSettings() error {
	path := s.base.path("Settings", "Router.settings")
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return dataformat.WriteFile(path, dataformat.Dict{"RouterTable": dataformat.String(router.StockTable)}, dataformat.StylePretty)
}

// clearSpool removes what a crash has left there: spooled bodies lose their names as soon as they
// have one.
func (s *Server) clearSpool() error {
	entries, err := os.ReadDir(s.base.path("Spool"))
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := os.Remove(s.base.path("Spool", e.Name())); err != nil {
			return err
		}
	}
	return nil
}

func (s *Server) openLog() error {
	s.levels.Store(&logs.Levels{Default: 3, Precision: 3})
	files, err := logs.OpenFiles(s.base.path("SystemLogs"), func() *logs.FileOptions {
		if s.logging == nil {
			return &logs.FileOptions{}
		}
		return s.logging.Get().files()
	}, s.config.Messages)
	if err != nil {
		return fmt.Errorf("open the log: %w", err)
	}
	s.files = files
	s.syslog = logs.NewSyslog(files, func() *logs.SyslogOptions {
		if s.logging == nil {
			return nil
		}
		return s.logging.Get().syslog()
	})
	s.log = logs.New(s.syslog, s.levels.Load)
	return nil
}

// setLevels computes the level of every component from the settings.
func (s *Server) setLevels() {
	files := s.logging.Get()
	l := &logs.Levels{Default: s.main.Get().LogLevel, Precision: files.Precision, Dated: bool(files.Dated), ByTag: map[string]int{}}
	for m := range s.configured() {
		n := m.common.Load().LogLevel
		set := func(tag string, level int) {
			if level >= 0 {
				l.ByTag[tag] = level
			}
		}
		for _, tag := range m.tags {
			set(tag, n)
		}
		if m.levels != nil {
			for tag, own := range m.levels() {
				set(tag, n)
				set(tag, own)
			}
		}
	}
	main := s.main.Get()
	maps.Copy(l.ByTag, helper.LogLevels(main.ExternalFilters, main.ExternalAuth))
	maps.Copy(l.ByTag, milter.LogLevels(main.Milters))
	if s.logAll {
		l.Default, l.ByTag = logs.Number(logs.LevelAll), nil
	}
	s.levels.Store(l)
}

func (s *Server) reloadCertificate() error {
	cert, err := loadCertificate(s.base.path("Certificates"), s.accounts.MainDomain())
	if err != nil {
		return err
	}
	if old := s.cert.Swap(cert); s.ran && !old.Leaf.Equal(cert.Leaf) {
		s.logCertificate(cert.Leaf)
	}
	return nil
}

// Run starts the queue and the listeners, prints "ready" when all accept, and
// returns after an orderly stop: when ctx ends or Shutdown is called.
func (s *Server) Run(ctx context.Context) error {
	sessions, endSessions := context.WithCancel(context.WithoutCancel(ctx))
	defer endSessions()
	deliveries, endDeliveries := context.WithCancel(context.WithoutCancel(ctx))
	defer endDeliveries()

	done, running := make(chan error, len(s.modules)), 0
	for _, m := range s.modules {
		if m.run != nil {
			running++
			go func() { done <- m.run(deliveries) }()
		}
	}

	s.log.Log(ctx, logs.LevelMajor, "starting", "version", Build(), "pid", os.Getpid(), "base", s.base.dir, "domain", s.accounts.MainDomain())
	s.logCertificate(s.cert.Load().Leaf)
	s.ran = true
	s.listeners.ctx = sessions
	err := s.start(ctx)
	var failed error
	why := "start failed"
	if err == nil {
		fmt.Fprintln(s.config.Messages, "ready")
		s.log.Log(ctx, logs.LevelMajor, "ready")
		close(s.ready)
		select {
		case <-ctx.Done():
			why = context.Cause(ctx).Error()
		case <-s.stop:
			why = "SHUTDOWN command"
		case failed = <-done:
			running--
			why = "a part of the server has ended"
		}
	}

	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.log.Log(ctx, logs.LevelMajor, "stopping", "reason", why)
		endSessions()
		s.listeners.wait()
		endDeliveries()
		for range running {
			failed = errors.Join(failed, <-done)
		}
	}()
	select {
	case <-ended:
		return errors.Join(err, failed)
	case <-time.After(stopLimit):
		return errors.Join(err, fmt.Errorf("the stop took longer than %s and was cut short; nothing that was acknowledged is lost", stopLimit))
	}
}

// Ready is closed when all listeners accept. It stays open when Run fails before.
func (s *Server) Ready() <-chan struct{} { return s.ready }

// start opens the control socket and the listeners.
func (s *Server) start(ctx context.Context) error {
	if err := s.serveControl(); err != nil {
		return err
	}
	s.changing.Lock()
	defer s.changing.Unlock()
	s.tellShortage(ctx)
	faults := s.listeners.reconcile(ctx, s.modules) // each was logged, which shows it on the terminal
	switch n := len(faults); {
	case n == 0, bool(s.main.Get().IgnoreBindings):
		return nil
	case n == 1:
		return faults[0]
	default:
		return fault.Newf("server.Start", fault.KindOf(faults[0]), "%s; and %d more listeners", fault.Text(faults[0]), n-1)
	}
}

// Shutdown begins an orderly stop and returns at once.
func (s *Server) Shutdown() { s.stopOnce.Do(func() { close(s.stop) }) }

// Addr returns the address that a module listens on under a port, before the
// shift; empty if it does not.
func (s *Server) Addr(module string, port int) string {
	for _, w := range s.listeners.wanted(s.modules) {
		if w.module.name == module && w.listener.Port == port {
			host, p, err := net.SplitHostPort(w.address)
			if err != nil {
				return ""
			}
			if host == "" {
				host = "127.0.0.1"
			}
			return net.JoinHostPort(host, p)
		}
	}
	return ""
}

// Close closes the stores, after Run has returned or instead of it, and gives
// the base directory free. Where that takes too long it gives up: the end of
// the process does the rest, and nothing that was acknowledged is lost.
func (s *Server) Close() error {
	closed := make(chan error, 1)
	go func() { closed <- s.close() }()
	select {
	case err := <-closed:
		return err
	case <-time.After(closeLimit):
		return fmt.Errorf("closing took longer than %s and was cut short; nothing that was acknowledged is lost", closeLimit)
	}
}

func (s *Server) close() error {
	var errs []error
	for _, m := range slices.Backward(s.modules) {
		if m.opened && m.close != nil {
			errs = append(errs, m.close())
		}
	}
	if s.files != nil {
		if s.ran {
			s.log.Log(context.Background(), logs.LevelMajor, "stopped")
		}
		s.syslog.Close()
		errs = append(errs, s.files.Close())
	}
	if s.base != nil {
		errs = append(errs, s.base.close())
	}
	return errors.Join(errs...)
}
