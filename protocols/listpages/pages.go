package listpages

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"html/template"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"gatepost/accounts"
	"gatepost/accounts/lists"
	"gatepost/accounts/lists/archive"
	"gatepost/accounts/subscribers"
	gate "gatepost/protocols/http"
	"gatepost/server/admin"
	"gatepost/server/fault"
	"gatepost/server/logs"
	"gatepost/server/rate"
	"gatepost/server/settings"
)

//go:embed templates style.css
var files embed.FS

// maxBody bounds forms.
const maxBody = 64 << 10

// maxClients bounds the client addresses whose requests are counted.
const maxClients = 20_000

// Manager carries out what people want of a list; it is *lists.Manager.
type Manager interface {
	Subscribe(ctx context.Context, l *accounts.MailingList, r lists.Request) (lists.Outcome, error)
	Confirm(ctx context.Context, l *accounts.MailingList, token string) (lists.Outcome, error)
	SetMode(ctx context.Context, l *accounts.MailingList, secret string, mode subscribers.Mode) (lists.Outcome, error)
	SetName(ctx context.Context, l *accounts.MailingList, secret, name string) error
	SendLink(ctx context.Context, l *accounts.MailingList, address string) error
}

// Options are for New.
type Options struct {
	Store   *accounts.Store
	Manager Manager
	Archive *archive.Archive
	Admin   *admin.Admin
	// Limit is how often one client address may ask for subscriptions.
	Limit settings.Rate
	// Least is how long the answer to such a request takes at least, so that its time tells nothing.
	Least time.Duration
}

// Pages are the pages of the mailing lists of a server.
type Pages struct {
	o         Options
	asked     *rate.Table[netip.Prefix]
	sessions  sessions
	templates map[string]map[string]*template.Template
	style     []byte
}

// New returns the pages.
func New(o Options) (*Pages, error) {
	p := &Pages{o: o, sessions: sessions{all: map[[sha256.Size]byte]*session{}}, asked: rate.New[netip.Prefix](maxClients), templates: map[string]map[string]*template.Template{}}
	var err error
	if p.style, err = files.ReadFile("style.css"); err != nil {
		return nil, err
	}
	for _, lang := range []string{"en", "ru"} {
		p.templates[lang] = map[string]*template.Template{}
		for _, name := range []string{"index", "list", "confirm", "unsubscribe", "options", "said", "login", "archive", "month", "found", "posting", "owner", "settings", "subscribers", "import", "waiting", "decide"} {
			t := template.New("frame.html").Funcs(template.FuncMap{"t": translator(lang), "lang": func() string { return lang }})
			if p.templates[lang][name], err = t.ParseFS(files, "templates/frame.html", "templates/"+name+".html"); err != nil {
				return nil, err
			}
		}
	}
	return p, nil
}

func translator(lang string) func(string) string {
	return func(text string) string {
		if own := russian[text]; lang == "ru" && own != "" {
			return own
		}
		return text
	}
}

// Mount puts the pages on an HTTP module.
func (p *Pages) Mount(h *gate.Server) error {
	return h.Mount("/Lists/", gate.Options{Title: "Mailing lists", Methods: []string{http.MethodGet, http.MethodPost}, MaxBody: maxImport, FoldCase: true,
		Part: gate.PartLists, AnySite: oneClick, LogPath: withoutSecret}, p)
}

// withoutSecret is the path for the log: whoever reads that must not act for subscribers. What stands behind the word of a page may be a
// secret, unless the page is known to have none there.
func withoutSecret(q *gate.Request) string {
	word := 1
	if len(q.Path) > 0 && strings.HasPrefix(q.Path[0], "@") {
		word = 2
	}
	if len(q.Path) <= word+1 || q.Path[word] == "archive" || q.Path[word] == "owner" {
		return ""
	}
	return "/Lists/" + strings.Join(q.Path[:word+1], "/") + "/..."
}

// oneClick reports whether a request is one that mail programs and other sites send for a subscriber (RFC 8058 section 3.2).
func oneClick(q *gate.Request) bool {
	path := q.Path
	if len(path) > 0 && strings.HasPrefix(path[0], "@") {
		path = path[1:]
	}
	return len(path) == 3 && path[1] == "unsubscribe"
}

// A visit is one request.
type visit struct {
	*Pages
	w    http.ResponseWriter
	r    *http.Request
	q    *gate.Request
	lang string
	// base is the path of the lists of the domain, without a slash at the end.
	base, domain string
	list         *accounts.MailingList // nil on the page of all lists
	session      *session              // nil if nobody has logged in
}

// ServeHTTP answers a request.
func (p *Pages) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v := &visit{Pages: p, w: w, r: r, q: gate.Of(r.Context()), lang: "en"}
	h := w.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'")
	// Browsers send no Origin with a form of ours under no-referrer, and the form would be refused.
	h.Set("Referrer-Policy", "same-origin")
	if err := v.answer(); err != nil {
		gate.Refuse(w, r, err)
	}
}

var errNothing = fault.New("listpages.Page", fault.NotFound, "There is no such page.")

// answer finds the domain, the list and the page.
func (v *visit) answer() error {
	path := v.q.Path
	v.base, v.domain = "/Lists", v.q.Domain
	if len(path) > 0 && strings.HasPrefix(path[0], "@") {
		if path[0] == "@" {
			return v.site(path[1:])
		}
		domain, ok := v.o.Store.DomainName(strings.ToLower(path[0][1:]))
		if !ok {
			return errNothing
		}
		v.base, v.domain, path = "/Lists/@"+domain, domain, path[1:]
	}
	if len(path) == 0 {
		return v.index()
	}
	var err error
	if v.list, err = v.o.Store.Lists().Get(v.r.Context(), v.domain, path[0]); err != nil {
		return err
	}
	v.lang = v.list.Settings().Language
	if err := v.who(); err != nil {
		return err
	}
	if len(path) > 1 && path[1] == "archive" {
		return v.archive(path[2:])
	}
	if len(path) > 1 && path[1] == "owner" {
		return v.owner(path[2:])
	}
	word, secret := "", ""
	switch len(path) {
	case 1:
	case 2:
		word = path[1]
	case 3:
		word, secret = path[1], path[2]
		v.w.Header().Set("Cache-Control", "no-store")
	default:
		return errNothing
	}
	page := map[string]func(string) error{
		"/false": v.page, "subscribe/false": v.subscribe, "link/false": v.link, "confirm/true": v.confirm, "unsubscribe/true": v.unsubscribe, "options/true": v.options,
		"enter/true": v.enter,
	}[word+map[bool]string{false: "/false", true: "/true"}[secret != ""]]
	if page == nil || word == "" && v.posted() {
		return errNothing
	}
	if v.posted() {
		if err := v.form(maxBody); err != nil {
			return err
		}
	}
	return page(secret)
}

func (v *visit) posted() bool { return v.r.Method == http.MethodPost }

func (v *visit) sendStyle() error {
	if v.posted() {
		return errNothing
	}
	h := v.w.Header()
	h.Set("Content-Type", "text/css; charset=utf-8")
	h.Set("Cache-Control", "max-age=3600")
	_, _ = v.w.Write(v.style) // a client that is gone does not miss it
	return nil
}

// frame is what all pages have; each embeds it.
type frame struct {
	Title, Base, Domain string
	// Name is that of the list, and List its title; both may be empty.
	Name, List string
	// Private keeps the page out of search engines.
	Private bool
	// Feed is the address of the feed of the archive, if the page is of that.
	Feed string
	// User is who has logged in, and Token that of the forms. Manages says that the list is his.
	User, Token string
	Manages     bool
	// Archive says that the page of the list names the archive.
	Archive bool
}

func (v *visit) frame(title string, private bool) frame {
	f := frame{Title: title, Base: v.base, Domain: v.domain, Private: private}
	if v.list != nil {
		f.Name, f.List = v.list.Name, titleOf(v.list)
		if f.Title == "" {
			f.Title = titleOf(v.list)
		}
		f.Manages = v.manages()
	}
	switch {
	case v.session != nil && v.session.account == nil:
		f.User, f.Token = v.session.address, v.session.token
	case v.session != nil:
		f.User, f.Token = v.q.Account.Address(), v.session.token
	}
	return f
}

// titleOf is the title of a list.
func titleOf(l *accounts.MailingList) string {
	if name := l.Settings().RealName; name != "" {
		return name
	}
	return l.Name
}

// send writes a page.
func (v *visit) send(status int, name string, data any) error {
	var b bytes.Buffer
	t := v.templates[v.lang]
	if t == nil {
		t = v.templates["en"]
	}
	if err := t[name].Execute(&b, data); err != nil {
		return fault.Wrap("listpages.Page", fault.Internal, err)
	}
	v.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	v.w.WriteHeader(status)
	_, _ = v.w.Write(b.Bytes()) // a client that is gone does not miss the page
	return nil
}

// say shows one sentence.
func (v *visit) say(status int, text string) error {
	return v.send(status, "said", struct {
		frame
		Text string
		Bad  bool
	}{v.frame("", true), text, status >= 400})
}

// chooseLanguage chooses that of the browser, for pages that are of no list.
func (v *visit) chooseLanguage() {
	if strings.HasPrefix(strings.ToLower(v.r.Header.Get("Accept-Language")), "ru") {
		v.lang = "ru"
	}
	v.w.Header().Set("Vary", "Accept-Language")
}

// manages reports whether whoever asks has logged in and may change the list: as its owner, or as an administrator.
func (v *visit) manages() bool {
	return v.q.Account != nil && v.actor().MayList(v.r.Context(), "UPDATELIST", v.listName())
}

func (v *visit) actor() admin.Actor { return v.o.Admin.As(v.q.Account, v.q.Peer) }

func (v *visit) listName() admin.Name { return admin.Name{Local: v.list.Name, Domain: v.list.Domain} }

// index is the page of the lists of a domain.
func (v *visit) index() error {
	if v.posted() {
		return errNothing
	}
	v.chooseLanguage()
	type row struct{ Name, Title, Description string }
	page := struct {
		frame
		Lists []row
	}{frame: v.frame(translator(v.lang)("Mailing lists of")+" "+v.domain, false)}
	all, err := v.o.Store.Lists().Names(v.r.Context(), v.domain)
	if err != nil {
		return err
	}
	for _, name := range all {
		l, err := v.o.Store.Lists().Get(v.r.Context(), v.domain, name)
		switch {
		case fault.Is(err, fault.NotFound): // deleted meanwhile
			continue
		case err != nil:
			v.q.Log.LogAttrs(v.r.Context(), logs.LevelFailure, "a mailing list cannot be shown", slog.String("list", name+"@"+v.domain), slog.Any(logs.AttrError, err))
			continue
		case bool(l.Settings().Listed):
			page.Lists = append(page.Lists, row{l.Name, titleOf(l), firstLine(l.Settings().Description)})
		}
	}
	return v.send(http.StatusOK, "index", page)
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return line
}
