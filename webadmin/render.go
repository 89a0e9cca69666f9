package webadmin

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"

	gate "gatepost/protocols/http"
	"gatepost/server/fault"
)

//go:embed templates static
var files embed.FS

// renderer has the templates of all pages by language and name, and the static files.
type renderer struct {
	pages   map[string]map[string]*template.Template
	static  map[string][]byte
	version string // of the static files, in their addresses
}

// shared are the templates that others use.
var shared = []string{"templates/frame.html", "templates/form.html"}

func newRenderer() (*renderer, error) {
	r := &renderer{pages: map[string]map[string]*template.Template{}, static: map[string][]byte{}}
	sum := sha256.New()
	for _, name := range []string{"style.css", "script.js", "icon.svg"} {
		b, err := files.ReadFile("static/" + name)
		if err != nil {
			return nil, err
		}
		r.static[name] = b
		sum.Write(b)
	}
	r.version = hex.EncodeToString(sum.Sum(nil)[:8])
	if _, err := catalogues(); err != nil {
		return nil, err
	}
	names, err := fs.Glob(files, "templates/*.html")
	if err != nil {
		return nil, err
	}
	for _, l := range languages {
		base, err := template.New("frame.html").Funcs(functions(l.code)).ParseFS(files, shared...)
		if err != nil {
			return nil, err
		}
		r.pages[l.code] = map[string]*template.Template{}
		for _, name := range names {
			if name == shared[0] || name == shared[1] {
				continue
			}
			one, err := base.Clone()
			if err == nil {
				_, err = one.ParseFS(files, name)
			}
			if err != nil {
				return nil, err
			}
			r.pages[l.code][strings.TrimSuffix(path.Base(name), ".html")] = one
		}
	}
	return r, nil
}

// functions are what templates can call.
func functions(language string) template.FuncMap {
	return template.FuncMap{
		"t":     func(text string, args ...any) string { return translate(language, text, args...) },
		"count": func(n int, word string) string { return count(language, n, word) },
		"link":  link,
		"size":  func(n int64) string { return sizeText(language, n) },
		"time":  timeText,
		"join":  strings.Join,
		"dict":  pairs,
	}
}

// pairs makes a map of keys and values, to pass more than one thing to a template.
func pairs(list ...any) (map[string]any, error) {
	m := map[string]any{}
	for i := 0; i+1 < len(list); i += 2 {
		key, ok := list[i].(string)
		if !ok {
			return nil, fmt.Errorf("dict: key %v is no string", list[i])
		}
		m[key] = list[i+1]
	}
	return m, nil
}

// sizeText is a number of bytes for people, with three figures.
func sizeText(language string, n int64) string {
	f, i := float64(n), 0
	for f >= 1000 && i < 4 {
		f /= 1024
		i++
	}
	if i == 0 || f >= 100 {
		return fmt.Sprintf("%.0f %s", f, sizeUnit(language, i))
	}
	return fmt.Sprintf("%.1f %s", f, sizeUnit(language, i))
}

// sizeUnit is the unit of so many powers of 1024 bytes, up to 4.
func sizeUnit(language string, power int) string {
	if language == "ru" {
		return [...]string{"Б", "КБ", "МБ", "ГБ", "ТБ"}[power]
	}
	return [...]string{"B", "KB", "MB", "GB", "TB"}[power]
}

// timeText is a time with its zone.
func timeText(t time.Time, zone *time.Location) string {
	if t.IsZero() {
		return "–"
	}
	return t.In(zone).Format("2006-01-02 15:04 MST")
}

// view is what the frame and the page get.
type view struct {
	Language, Theme string
	Title           string // of the page
	Server          string
	Version         string // of the static files
	Who             string // "" for a stranger
	Token           string
	Crumbs          []crumb
	Navigation      []crumb
	Tabs            []crumb
	Flash           *flash
	Search          string
	Self            string // the address of the page
	Zone            *time.Location
	Expert          int
	C               any // of the page
}

// show sends a page.
func (c *call) show(status int, name, title string, content any) error {
	v := &view{
		Language: c.prefs.Language, Theme: c.prefs.Theme, Title: title, Server: c.Accounts.MainDomain(),
		Version: c.render.version, C: content, Self: c.r.URL.EscapedPath(), Zone: c.prefs.Zone, Expert: c.prefs.Level,
	}
	if c.session != nil && c.q.Account != nil {
		v.Who, v.Token = c.q.Account.Address(), c.session.token
		v.Navigation = c.navigation(false)
		v.Crumbs, v.Tabs = c.crumbs(), c.tabs()
		v.Search = c.r.URL.Query().Get("q")
		if c.r.Method == http.MethodGet {
			v.Flash = c.sessions.take(c.session)
		}
	}
	t := c.render.pages[c.prefs.Language][name]
	if t == nil {
		return fault.Newf("webadmin.Show", fault.Internal, "there is no template %s", name)
	}
	var b bytes.Buffer
	if err := t.ExecuteTemplate(&b, "frame", v); err != nil {
		return fault.Wrap("webadmin.Show", fault.Internal, err)
	}
	h := c.w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	c.w.WriteHeader(status)
	// A client that is gone does not miss the page.
	_, _ = c.w.Write(b.Bytes())
	return nil
}

// fragment sends a part of a page.
func (c *call) fragment(name, part string, content any) error {
	var b bytes.Buffer
	if err := c.render.pages[c.prefs.Language][name].ExecuteTemplate(&b, part, content); err != nil {
		return fault.Wrap("webadmin.Fragment", fault.Internal, err)
	}
	c.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, err := c.w.Write(b.Bytes())
	return err
}

// refuse shows a failure as a page.
func (c *call) refuse(err error) {
	status, text := told(c, err)
	if status == http.StatusUnauthorized {
		status = http.StatusForbidden
	}
	if fault.Is(err, fault.Internal) || fault.Is(err, fault.Corrupt) || fault.Is(err, fault.NoSpace) {
		gate.Refuse(c.w, c.r, err) // it logs the cause
		return
	}
	if again := c.show(status, "error", c.T("This did not work"), text); again != nil {
		gate.Refuse(c.w, c.r, again)
	}
}

// told is the status and the text of a failure.
func told(c *call, err error) (int, string) {
	status, text := gate.Told(err)
	return status, c.T(text)
}

// static sends a file that comes with the program. Its address changes with it.
func (c *call) static(version, name string) error {
	b, ok := c.render.static[name]
	if !ok || version != c.render.version {
		return fault.New("webadmin.Static", fault.NotFound, "")
	}
	h := c.w.Header()
	h.Set("Content-Type", map[string]string{"style.css": "text/css; charset=utf-8", "script.js": "text/javascript; charset=utf-8", "icon.svg": "image/svg+xml"}[name])
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	_, err := c.w.Write(b)
	return err
}
