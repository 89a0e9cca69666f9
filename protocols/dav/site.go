package dav

import (
	"cmp"
	"net/http"
	"strings"

	"gatepost/accounts"
	"gatepost/accounts/access"
	"gatepost/accounts/files"
	httpd "gatepost/protocols/http"
	"gatepost/server/fault"
)

// MountSites mounts the personal sites of accounts on HTTPU: everybody reads the files of an account below /~account/, but those in its
// directory private, if the domain has personal sites (PersonalSites) and the account the service WebSite. A directory shows its
// DefaultWebPage; without one it is as if it did not exist.
func (s *Server) MountSites(h *httpd.Server, store *files.Store) error {
	return h.Mount("/~/", httpd.Options{Part: httpd.PartFiles, Methods: []string{"GET"}}, &siteServer{s, store})
}

type siteServer struct {
	s     *Server
	store *files.Store
}

// noSite is the answer whatever is missing: account, site or file.
func noSite() error { return fault.New("dav.site", fault.NotFound, "There is nothing here.") }

func (p *siteServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := p.serve(w, r); err != nil {
		if kind := fault.KindOf(err); kind == fault.NoMailbox || kind == fault.Denied || kind == fault.Invalid {
			err = noSite()
		}
		httpd.Refuse(w, r, err)
	}
}

func (p *siteServer) serve(w http.ResponseWriter, r *http.Request) error {
	q := httpd.Of(r.Context())
	owner, err := p.s.store.Owner(r.Context(), nil, "~"+siteOf(q, r)+"/")
	if err != nil {
		return err
	}
	if !hasSite(owner.Account) {
		return noSite()
	}
	path, err := files.Join(q.Path)
	if err != nil {
		return noSite()
	}
	area, err := p.store.Open(owner.Account)
	if err != nil {
		return err
	}
	defer area.Close()
	i, err := area.Stat(path)
	if err != nil {
		return noSite()
	}
	if i.Dir {
		// That there is a directory is not told where nothing can be read.
		if open, err := area.OpenRights(path); err != nil || !open.Has(access.Read) {
			return cmp.Or(err, noSite())
		}
		if !strings.HasSuffix(r.URL.Path, "/") { // links in the page are below the directory
			http.Redirect(w, r, r.URL.EscapedPath()+"/", http.StatusMovedPermanently)
			return nil
		}
		page := owner.Account.Settings().DefaultWebPage
		if page == "" || strings.Contains(page, "/") {
			return noSite()
		}
		path = strings.TrimPrefix(path+"/"+page, "/")
	}
	open, err := area.OpenRights(area.DirOf(path))
	if err != nil {
		return err
	}
	if !open.Has(access.Read) {
		return noSite()
	}
	f, i, err := area.OpenFile(path)
	if err != nil {
		return noSite()
	}
	defer f.Close()
	h := w.Header()
	// Pages run their scripts, but as a site of its own: not in the name of this server, and without what it keeps in the browser.
	h.Set("Content-Security-Policy", "sandbox allow-scripts allow-forms allow-popups allow-downloads")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "public, max-age=60")
	h.Set("Content-Type", typeOf(i.Name()))
	h.Set("ETag", i.ETag)
	http.ServeContent(w, r, i.Name(), i.Modified, f)
	return nil
}

// hasSite reports whether an account has a personal site.
func hasSite(a *accounts.Account) bool {
	return bool(a.DomainSettings().PersonalSites) && a.Enabled(fileService)
}
