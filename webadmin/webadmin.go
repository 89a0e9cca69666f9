package webadmin

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"sync"

	"gatepost/accounts"
	gate "gatepost/protocols/http"
	"gatepost/server/admin"
	"gatepost/server/fault"
	"gatepost/server/logs"
	"gatepost/server/settings"
)

// Options are what the pages stand on.
type Options struct {
	Settings *settings.Live[Settings]
	Admin    *admin.Admin
	Accounts *accounts.Store
	// Link is the secret of the one-time link that was printed; empty if there is none.
	Link string
	// SecurePort is the port of the administrators' pages with TLS, or 0.
	SecurePort func() int
	Log        *slog.Logger
}

// App is the pages.
type App struct {
	Options
	sessions *sessions
	tree     []*page
	render   *renderer
	setup    sync.Mutex // held while the first password is set
	imports  *imports
	saving   sync.Mutex // held from comparing a form with what is stored until it is stored
}

// New returns the pages. An error is one of the program: a template that cannot be read.
func New(o Options) (*App, error) {
	r, err := newRenderer()
	if err != nil {
		return nil, err
	}
	o.Log = logs.Component(o.Log, "HTTPA")
	return &App{Options: o, sessions: newSessions(), imports: &imports{jobs: map[string]*importJob{}}, tree: pages(), render: r}, nil
}

// Close ends all sessions, and imports of accounts.
func (a *App) Close() {
	a.sessions.close()
	a.imports.close()
}

// MaxBody is the largest form that is read, but for the import of accounts.
const MaxBody = 8 << 20

// maxStrangerBody is the largest form of somebody who has not logged in.
const maxStrangerBody = 16 << 10

// Mount puts the pages at the root of a module.
func (a *App) Mount(h *gate.Server) error {
	return h.Mount("/", gate.Options{Methods: []string{http.MethodGet, http.MethodPost}, MaxBody: MaxBody}, a)
}

// call is one request for a page.
type call struct {
	*App
	w       http.ResponseWriter
	r       *http.Request
	q       *gate.Request
	session *session
	actor   admin.Actor
	prefs   prefs
	page    *page
	params  map[string]string
	notes   []string // what a person should know of a change that was made
}

func (a *App) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := &call{App: a, w: w, r: r, q: gate.Of(r.Context()), params: map[string]string{}}
	c.prefs = guessPrefs(r)
	w.Header().Set("Cache-Control", "no-store")
	if err := c.answer(); err != nil {
		c.refuse(err)
	}
}

func (c *call) answer() error {
	path := c.q.Path
	if len(path) == 3 && path[0] == "static" {
		return c.static(path[1], path[2])
	}
	first, err := c.isFirstRun()
	if err != nil {
		return err
	}
	if first {
		return c.firstRun()
	}
	c.session = c.sessions.find(c.r, c.q.Peer.TLS, c.Settings.Get())
	switch {
	case c.session == nil:
		return c.stranger()
	case c.session.half:
		return c.secondStep()
	}
	return c.known()
}

// known answers somebody who has logged in.
func (c *call) known() error {
	c.r = c.r.WithContext(accounts.WithSession(c.r.Context(), c.session.watch))
	now, err := c.Accounts.Current(c.ctx(), c.session.account)
	if err != nil {
		c.sessions.end(c.r, c.q.Peer.TLS)
		c.session = nil
		return c.stranger()
	}
	c.q.Account = now
	c.actor = c.Admin.As(now, c.q.Peer)
	c.actor.Note = func(text string) { c.notes = append(c.notes, text) }
	if err := c.readPrefs(); err != nil {
		return err
	}
	if c.r.Method == http.MethodPost {
		if err := c.parse(MaxBody); err != nil {
			return err
		}
		if !c.session.owns(c.r.PostForm.Get("token")) {
			return fault.New("webadmin.Form", fault.Denied, c.T("This form is of another session. Open the page again."))
		}
	}
	must, err := c.mustEnrol()
	if err != nil {
		return err
	}
	switch path := c.q.Path; {
	case must && strings.Join(path, "/") != totpPath && !(len(path) == 1 && path[0] == "logout"):
		return c.redirect("/" + totpPath)
	case len(path) == 0:
		return c.redirect(c.home())
	case len(path) == 1 && path[0] == "login":
		return c.redirect(c.home())
	case len(path) == 1 && path[0] == "logout" && c.r.Method == http.MethodPost:
		return c.logout()
	case strings.EqualFold(path[0], "MainAdmin"):
		return c.redirect(c.home())
	case strings.EqualFold(path[0], "Admin") && len(path) == 2:
		return c.redirect(link("Users", "Domains", path[1], "Objects"))
	}
	return c.open()
}

// open finds the page and runs it.
func (c *call) open() error {
	if c.page = c.find(c.q.Path, c.params); c.page == nil {
		return fault.New("webadmin.Page", fault.NotFound, c.T("There is no such page."))
	}
	if !c.sees(c.page) {
		return fault.New("webadmin.Page", fault.Denied, c.T("You have no right to see this page."))
	}
	if c.r.Method != http.MethodPost {
		return c.page.get(c)
	}
	do := c.page.post[c.r.PostForm.Get("do")]
	if do == nil {
		return fault.New("webadmin.Page", fault.Invalid, c.T("The page has no such button."))
	}
	return do(c)
}

// sees reports whether somebody may see a page. The page's call decides again.
func (c *call) sees(p *page) bool {
	if p.may != nil {
		return p.may(c)
	}
	return c.may(p.call)
}

// may asks whether a call about what the path names would be let in.
func (c *call) may(name string) bool { return c.actor.May(c.ctx(), name, c.target()) }

// target is the object, or the domain, that the path names.
func (c *call) target() admin.Name {
	return admin.Name{Local: c.params["object"], Domain: c.params["domain"]}
}

func (c *call) ctx() context.Context { return c.r.Context() }

// parse reads a form.
func (c *call) parse(most int64) error {
	c.r.Body = http.MaxBytesReader(c.w, c.r.Body, most)
	if strings.HasPrefix(c.r.Header.Get("Content-Type"), "multipart/form-data") {
		if err := c.r.ParseMultipartForm(most); err != nil {
			return fault.New("webadmin.Form", fault.Invalid, c.T("The form cannot be read."))
		}
		return nil
	}
	if err := c.r.ParseForm(); err != nil {
		return fault.New("webadmin.Form", fault.Invalid, c.T("The form cannot be read."))
	}
	return nil
}

// field is what a form gave, with line ends as the server keeps them.
func (c *call) field(name string) string {
	return strings.ReplaceAll(c.r.PostForm.Get(name), "\r\n", "\n")
}

func (c *call) redirect(to string) error {
	c.w.Header().Set("Location", to)
	c.w.WriteHeader(http.StatusSeeOther)
	return nil
}

// done leaves a line for the next page and goes there.
func (c *call) done(to string, f *flash) error {
	f.Notes = append(f.Notes, c.notes...)
	c.sessions.keep(c.session, f)
	return c.redirect(to)
}

// flash is what a page says of what was done before it.
type flash struct {
	Text    string   // what was done
	Changes []change // of settings
	Notes   []string
	Command string // of the command line, which does the same
	File    string
	Undo    []undo
}

// change is one setting that has changed.
type change struct{ Label, Key, Old, New string }

// undo is a field of the form that takes a change back.
type undo struct{ Key, Was, Back string }
