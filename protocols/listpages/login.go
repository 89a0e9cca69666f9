package listpages

import (
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"gatepost/accounts/subscribers"
	"gatepost/server/fault"
	"gatepost/server/logs"
)

// loginPage is the form for name and password.
type loginPage struct {
	frame
	Next, Typed, Error string
	// Code asks for the code of a second factor.
	Code bool
	// Link is the address of the form that sends a subscriber his link; empty where there is none.
	Link string
}

// site answers what is below /Lists/@/, which belongs to no list.
func (v *visit) site(path []string) error {
	if len(path) != 1 {
		return errNothing
	}
	switch path[0] {
	case "style.css":
		return v.sendStyle()
	case "login":
		return v.login()
	case "logout":
		if !v.posted() {
			return errNothing
		}
		v.sessions.end(v.r, v.q.Peer.TLS)
		setCookie(v.w, "", v.q.Peer.TLS)
		return v.redirect("/Lists/")
	}
	return errNothing
}

func (v *visit) redirect(to string) error {
	http.Redirect(v.w, v.r, to, http.StatusSeeOther)
	return nil
}

// nextPage is where a login leads: to a page below /Lists/.
func nextPage(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.IsAbs() || u.Host != "" || u.User != nil || !strings.HasPrefix(next, "/Lists/") || strings.ContainsAny(next, "\\\r\n\t") || strings.Contains(u.Path, "..") {
		return "/Lists/"
	}
	return (&url.URL{Path: u.Path, RawQuery: u.RawQuery}).String()
}

// login checks name and password, and the code of an account that has a second factor.
func (v *visit) login() error {
	v.chooseLanguage()
	v.w.Header().Set("Cache-Control", "no-store")
	p := &loginPage{frame: v.frame(translator(v.lang)("Log in"), true), Next: nextPage(v.r.URL.Query().Get("next"))}
	if !v.posted() {
		return v.send(http.StatusOK, "login", p)
	}
	if err := v.form(maxBody); err != nil {
		return err
	}
	p.Next, p.Typed = nextPage(v.r.PostFormValue("next")), strings.TrimSpace(v.r.PostFormValue("name"))
	a, err := v.q.Login(v.r.Context(), p.Typed, v.r.PostFormValue("password"))
	if err != nil {
		return v.loginFailed(p, err)
	}
	has, _, err := v.o.Store.SecondFactor(v.r.Context(), a.Domain, a.Name)
	if err != nil {
		return err
	}
	if has {
		p.Code = true
		code := strings.TrimSpace(v.r.PostFormValue("code"))
		if code == "" {
			p.Error = translator(v.lang)(codeNeeded)
			return v.send(http.StatusForbidden, "login", p)
		}
		if err := v.o.Store.TakeCode(v.r.Context(), a, code); err != nil {
			return v.loginFailed(p, err)
		}
	}
	v.sessions.start(v.w, v.r, v.q, v.o.Store, &session{account: a})
	return v.redirect(p.Next)
}

func (v *visit) loginFailed(p *loginPage, err error) error {
	switch {
	case fault.Is(err, fault.BadCredentials):
		p.Error = translator(v.lang)(badLogin)
	case fault.Is(err, fault.TLSRequired):
		p.Error = translator(v.lang)(needsTLS)
	case fault.Is(err, fault.TooMany), fault.Is(err, fault.RateLimited):
		p.Error = fault.Text(err)
	default:
		return err
	}
	// A status of 401 would ask for a challenge.
	return v.send(http.StatusForbidden, "login", p)
}

// who finds out who asks: by the session, or by a name and a password in the header, as programs that read feeds send them.
func (v *visit) who() error {
	if v.session = v.sessions.find(v.r, v.q.Peer.TLS); v.session != nil {
		if v.session.account == nil {
			return v.stillSubscribed()
		}
		if v.session.watch.Check(); v.session.ended.Load() {
			v.session = nil
			return nil
		}
		now, err := v.o.Store.Current(v.r.Context(), v.session.account)
		if err != nil || !now.Enabled("HTTP") {
			v.session = nil
			return nil
		}
		v.q.Account = now
		return nil
	}
	name, password, ok := v.r.BasicAuth()
	if !ok {
		return nil
	}
	a, err := v.q.ProgramLogin(v.r.Context(), name, password)
	if err != nil {
		return err
	}
	if a.DeviceName() != "" {
		v.q.Account = a
		return nil
	}
	has, _, err := v.o.Store.SecondFactor(v.r.Context(), a.Domain, a.Name)
	if err == nil && !has {
		v.q.Account = a
	}
	return err
}

// stillSubscribed keeps the session of a subscriber for the pages of his list, and as long as the subscription lasts that his link was of.
func (v *visit) stillSubscribed() error {
	if v.session.list != v.list.ID {
		v.session = nil
		return nil
	}
	s, err := v.list.Subscribers().Get(v.session.address)
	if err != nil {
		return err
	}
	if s.Mode == subscribers.None || s.Mode == subscribers.Banned || s.Secret != v.session.secret {
		v.sessions.end(v.r, v.q.Peer.TLS)
		v.session = nil
	}
	return nil
}

// loggedIn reports whether somebody is known who asks.
func (v *visit) loggedIn() bool { return v.q.Account != nil || v.session != nil }

// subscribed reports whether whoever asks is a subscriber of the list, or its owner.
func (v *visit) subscribed() (bool, error) {
	a := v.q.Account
	switch {
	case a == nil:
		return v.session != nil, nil // of this list: stillSubscribed
	case a.Domain == v.list.Domain && strings.EqualFold(a.Name, v.list.Settings().Owner):
		return true, nil
	}
	// An account may be subscribed by any of its names.
	aliases, err := v.o.Store.AccountAliases(v.r.Context(), a.Domain, a.Name)
	if err != nil {
		return false, err
	}
	domains, err := v.o.Store.DomainAliases(a.Domain)
	if err != nil {
		return false, err
	}
	for _, domain := range append([]string{a.Domain}, domains...) {
		for _, name := range append([]string{a.Name}, aliases...) {
			s, err := v.list.Subscribers().Get(name + "@" + domain)
			if err != nil || s.Mode != subscribers.None && s.Mode != subscribers.Banned {
				return err == nil, err
			}
		}
	}
	return false, nil
}

// enter begins the session of a subscriber who has followed his link.
func (v *visit) enter(secret string) error {
	if !v.posted() {
		return errNothing
	}
	s, err := v.list.Subscribers().BySecret(secret)
	if err != nil {
		return err
	}
	if s.Mode == subscribers.None || s.Mode == subscribers.Banned {
		return v.say(http.StatusNotFound, noSecret)
	}
	v.sessions.start(v.w, v.r, v.q, v.o.Store, &session{list: v.list.ID, address: s.Address, secret: s.Secret})
	return v.redirect(v.base + "/" + v.list.Name + "/archive/")
}

// link sends a subscriber the link to his options, from where he reaches the archive. The answer is the same for everybody.
func (v *visit) link(string) error {
	if !v.posted() {
		return errNothing
	}
	if wait := v.asked.Take(network(v.q.Peer.IP), v.o.Limit); wait > 0 {
		return v.say(http.StatusTooManyRequests, tooOften)
	}
	least := time.NewTimer(v.o.Least)
	defer least.Stop()
	err := v.o.Manager.SendLink(v.r.Context(), v.list, strings.TrimSpace(v.r.PostFormValue("address")))
	if err != nil && !fault.Is(err, fault.NotFound) && !fault.Is(err, fault.Invalid) && !fault.Is(err, fault.TooMany) {
		return err
	}
	v.q.Log.LogAttrs(v.r.Context(), logs.LevelMajor, "the link of a subscriber was asked for", slog.String("list", v.list.Address().String()), slog.Bool("sent", err == nil))
	select {
	case <-least.C:
	case <-v.r.Context().Done():
		return fault.Wrap("listpages.Link", fault.Canceled, v.r.Context().Err())
	}
	return v.say(http.StatusOK, linkText)
}

// form reads a form of most bytes at most.
func (v *visit) form(most int64) error {
	v.r.Body = http.MaxBytesReader(v.w, v.r.Body, most)
	err := v.r.ParseMultipartForm(most)
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return fault.New("listpages.Form", fault.TooLarge, "The form is too large.")
	case err != nil && !errors.Is(err, http.ErrNotMultipart):
		return fault.Wrap("listpages.Form", fault.Invalid, err)
	}
	return nil
}
