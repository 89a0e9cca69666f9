package webadmin

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"gatepost/accounts"
	"gatepost/server/fault"
)

// loginForm is the page that asks who it is.
type loginForm struct {
	Name, Next string
	Error      string
	Secure     string // where a password may be sent; empty if here
	Languages  []choice
}

// stranger answers somebody who has not logged in.
func (c *call) stranger() error {
	path := c.q.Path
	if len(path) == 1 && path[0] == "login" {
		if c.r.Method == http.MethodPost {
			return c.login()
		}
		return c.loginPage(&loginForm{Next: c.r.URL.Query().Get("next")}, nil)
	}
	if c.r.Method == http.MethodPost {
		return c.loginPage(&loginForm{Next: c.r.URL.EscapedPath()},
			fault.New("webadmin.Login", fault.AuthRequired, c.T("Your session has ended. Log in and repeat the change.")))
	}
	to := "/login"
	if len(path) > 0 && path[0] != "logout" {
		to += "?next=" + url.QueryEscape(c.r.URL.RequestURI())
	}
	return c.redirect(to)
}

// login checks name and password and begins a session.
func (c *call) login() error {
	if err := c.parse(maxStrangerBody); err != nil {
		return err
	}
	f := &loginForm{Name: c.field("name"), Next: c.field("next")}
	a, err := c.q.Login(c.ctx(), strings.TrimSpace(f.Name), c.r.PostForm.Get("password"))
	if err != nil {
		return c.loginPage(f, err)
	}
	rights, err := c.Accounts.RightsOf(a)
	if err != nil {
		return err
	}
	if !rights.Any() {
		return c.loginPage(f, fault.New("webadmin.Login", fault.Denied, c.T("This account administers nothing.")))
	}
	has, _, err := c.Accounts.SecondFactor(c.ctx(), a.Domain, a.Name)
	if err != nil {
		return err
	}
	c.begins(a, has)
	if has {
		return c.redirect("/login?next=" + url.QueryEscape(c.nextPage(f.Next)))
	}
	return c.redirect(c.nextPage(f.Next))
}

// begins begins a session of an account; half of one if a code is expected.
func (c *call) begins(a *accounts.Account, half bool) {
	id, s := c.sessions.start(c.r, c.Accounts, a, c.q.Peer, c.Settings.Get(), half)
	setCookie(c.w, id, c.q.Peer.TLS)
	c.q.Account, c.session = a, s
}

// nextPage is where a login leads: a page of ours, or the first one.
func (c *call) nextPage(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.IsAbs() || u.Host != "" || u.User != nil || !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || strings.ContainsAny(next, "\\\r\n\t") {
		return "/"
	}
	path := strings.Split(strings.Trim(u.Path, "/"), "/")
	if c.find(path, map[string]string{}) == nil {
		return "/"
	}
	to := url.URL{Path: "/" + strings.Join(path, "/"), RawQuery: u.RawQuery}
	return to.String()
}

// loginPage shows the form, with what went wrong.
func (c *call) loginPage(f *loginForm, err error) error {
	status := http.StatusOK
	switch {
	case fault.Is(err, fault.BadCredentials):
		// A status of 401 would ask for a challenge.
		status, f.Error = http.StatusForbidden, c.T("The name or the password is wrong.")
	case err != nil:
		status, f.Error = told(c, err)
	}
	if !c.q.Peer.TLS && !c.q.Peer.IP.IsLoopback() {
		f.Secure = c.secureAddress()
	}
	for _, l := range languages {
		f.Languages = append(f.Languages, choice{l.code, l.name, l.code == c.prefs.Language})
	}
	return c.show(status, "login", c.T("Log in"), f)
}

// secureAddress is the address of the pages with TLS on the host that the client has named.
func (c *call) secureAddress() string {
	port := c.SecurePort()
	if port == 0 {
		return ""
	}
	host := c.q.Host
	if host == "" {
		host = c.q.Peer.LocalIP.String()
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return "https://" + host + ":" + strconv.Itoa(port) + "/"
}

func (c *call) logout() error {
	c.sessions.end(c.r, c.q.Peer.TLS)
	setCookie(c.w, "", c.q.Peer.TLS)
	return c.redirect("/login")
}
