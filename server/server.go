package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"gatepost/accounts"
	"gatepost/accounts/delivery"
	"gatepost/protocols/http"
	"gatepost/protocols/imap"
	"gatepost/protocols/pop3"
	"gatepost/protocols/pwd"
	"gatepost/protocols/relay"
	"gatepost/protocols/smtp"
	"gatepost/queue"
	"gatepost/queue/envelope"
	"gatepost/router"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
	"gatepost/server/logs"
	"gatepost/server/settings"
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
	config Config
	base   *base
	log    *slog.Logger
	files  *logs.Files
	levels atomic.Pointer[logs.Levels]
	cert   atomic.Pointer[tls.Certificate]

	main    *settings.Live[Settings]
	logging *settings.Live[LogSettings]
	routing *settings.Live[router.Settings]

	counter  *queue.Counter
	accounts *accounts.Store
	router   *router.Router
	queue    *queue.Queue
	relay    *relay.Transport
	pwd      *pwd.Server

	modules    []*module
	mainModule *module // of Main.settings
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
func New(c Config) (_ *Server, err error) {
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
	if err = s.clearSpool(); err != nil {
		return s, err
	}

	// Every module's settings are read before its part is made.
	s.main, s.logging = live[Settings](), live[LogSettings]()
	s.routing = live[router.Settings]()
	queueing, local, relaying := live[queue.Settings](), live[delivery.Settings](), live[relay.Settings]()
	smtpIn, imapSet, popSet, pwdSet := live[smtp.Settings](), live[imap.Settings](), live[pop3.Settings](), live[pwd.Settings]()
	adminSet, userSet := live[http.Settings](), live[http.Settings]()
	mSMTP := newModule("SMTP", smtpIn, "SMTPI")
	mIMAP := newModule("IMAP", imapSet, "IMAP")
	mPOP := newModule("POP", popSet, "POP")
	mPWD := newModule("PWD", pwdSet, "PWD")
	mHTTPA := newModule("HTTPA", adminSet, "HTTPA")
	mHTTPU := newModule("HTTPU", userSet, "HTTPU")
	mRouter := newModule("Router", s.routing, "ROUTER")
	mLocal := newModule("LOCAL", local, "LOCAL")
	mSending := newModule("SMTPSending", relaying, "SMTP")
	s.mainModule = newModule(mainModule, s.main, "SYSTEM")
	s.mainModule.kept = settings.Describe(new(keptMainSettings))
	s.modules = []*module{
		s.mainModule, newModule(logModule, s.logging), mRouter,
		newModule("Queue", queueing, "QUEUE", "ENQUEUER", "DEQUEUER"), mLocal, mSending,
		mSMTP, mIMAP, mPOP, mPWD, mHTTPA, mHTTPU,
	}
	if err = s.stockSettings(); err != nil {
		return s, err
	}
	for _, m := range s.modules {
		if err = s.load(m); err != nil {
			return s, err
		}
	}
	s.setLevels()
	s.shareDescriptors()

	if s.counter, err = queue.OpenCounter(s.base.path("Settings", "MessageID.data"), s.base.path("Queue"), 0); err != nil {
		return s, err
	}
	s.accounts, err = accounts.Open(s.base.dir, accounts.Options{
		Log: s.log, MainDomain: c.MainDomain,
		NextID: func() (uint64, error) {
			id, err := s.counter.NextID()
			return uint64(id), err
		},
		Raise: func(used uint64) error { return s.counter.Raise(envelope.QueueID(used)) },
	})
	if err != nil {
		return s, err
	}
	if s.router, err = router.New(s.routing, s.accounts, s.log); err != nil {
		return s, err
	}
	s.queue, err = queue.Open(s.base.path("Queue"), queue.Options{
		Settings: queueing, Router: s.router, Counter: s.counter, MainDomain: s.accounts.MainDomain,
		AllAccounts: delivery.AllAccounts(s.accounts), Log: s.log,
	})
	if err != nil {
		return s, err
	}
	toMailboxes := delivery.New(s.accounts, s.queue, local, s.log)
	s.queue.Handle(router.LOCAL, toMailboxes)
	s.queue.OnFinish(toMailboxes.Sync, toMailboxes.Forget)
	if err = toMailboxes.ForgetBut(context.Background(), s.queue.Has); err != nil {
		return s, err
	}
	s.relay = relay.New(relaying, s.accounts.MainDomain, s.log)
	s.queue.Handle(router.SMTP, s.relay)

	// What waits under the old settings is tried under the new ones.
	mRouter.changed = func() { s.reloadRouter() }
	mLocal.changed = func() { s.queue.WakeModule(router.LOCAL) }
	mSending.changed = func() { s.queue.WakeModule(router.SMTP) }

	if err = s.reloadCertificate(); err != nil {
		return s, err
	}
	encrypt := tlsConfig(s.cert.Load)
	tlsNow := func() *tls.Config { return encrypt }
	mSMTP.serve = smtp.New(smtpIn, s.queue, s.router, s.accounts, tlsNow, s.log).Serve
	mIMAP.serve = imap.New(imapSet, s.accounts, s.router, tlsNow, s.log).Serve
	mPOP.serve = pop3.New(popSet, s.accounts, s.router, tlsNow, s.log).Serve
	if s.pwd, err = pwd.New(pwdSet, s.accounts, s.router, s, tlsNow, s.log); err != nil {
		return s, err
	}
	mPWD.serve = s.pwd.Serve
	admins := http.New("HTTPA", adminSet, s.accounts, s.router, tlsNow, s.base.path("Spool"), s.log)
	users := http.New("HTTPU", userSet, s.accounts, s.router, tlsNow, s.base.path("Spool"), s.log)
	mHTTPA.serve, mHTTPU.serve = admins.Serve, users.Serve
	if err = s.mount(admins, users); err != nil {
		return s, err
	}
	s.listeners = listeners{shift: c.PortShift, listen: c.Listen, log: s.log, running: map[string]net.Listener{}}
	return s, nil
}

// live returns a Live to be loaded before anybody reads it.
func live[T any]() *settings.Live[T] { return settings.NewLive(new(T)) }

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
	s.log = logs.New(files, s.levels.Load)
	return nil
}

// setLevels computes the level of every component from the settings.
func (s *Server) setLevels() {
	files := s.logging.Get()
	l := &logs.Levels{Default: s.main.Get().LogLevel, Precision: files.Precision, Dated: bool(files.Dated), ByTag: map[string]int{}}
	for _, m := range s.modules {
		if n := m.common.Load().LogLevel; n >= 0 {
			for _, tag := range m.tags {
				l.ByTag[tag] = n
			}
		}
	}
	s.levels.Store(l)
}

// reloadRouter puts a table in force that check has compiled already.
func (s *Server) reloadRouter() {
	if err := s.router.Reload(s.routing.Get()); err != nil {
		s.log.Log(context.Background(), logs.LevelFailure, "the Router Table is not in force", logs.AttrError, err)
	}
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

	queueDone := make(chan error, 1)
	go func() { queueDone <- s.queue.Run(deliveries) }()

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
		case failed = <-queueDone:
			queueDone <- nil
			why = "the queue has ended"
		}
	}

	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.log.Log(ctx, logs.LevelMajor, "stopping", "reason", why)
		endSessions()
		s.listeners.wait()
		endDeliveries()
		if qerr := <-queueDone; failed == nil {
			failed = qerr
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
	if s.queue != nil {
		errs = append(errs, s.queue.Close())
	}
	if s.relay != nil {
		s.relay.Close()
	}
	if s.accounts != nil {
		errs = append(errs, s.accounts.Close())
	}
	if s.counter != nil {
		errs = append(errs, s.counter.Close())
	}
	if s.files != nil {
		if s.ran {
			s.log.Log(context.Background(), logs.LevelMajor, "stopped")
		}
		errs = append(errs, s.files.Close())
	}
	if s.base != nil {
		errs = append(errs, s.base.close())
	}
	return errors.Join(errs...)
}
