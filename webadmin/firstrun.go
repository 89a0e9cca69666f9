package webadmin

import (
	"context"
	"crypto/subtle"
	"net/http"
	"net/netip"

	"gatepost/accounts"
	"gatepost/server/admin"
	"gatepost/server/fault"
)

// isFirstRun reports whether postmaster has no password yet.
func (a *App) isFirstRun() (bool, error) {
	p, err := a.Accounts.Account(context.Background(), "", accounts.Postmaster)
	if err != nil {
		return false, err
	}
	return !p.HasPassword(), nil
}

// setupForm is the page that sets the first password.
type setupForm struct {
	Link  string // the secret, which goes on with the form
	Error string
}

// firstRun answers everything while postmaster has no password. Whoever comes with the one-time link, or on
// the machine itself, may set it; others see how to get the link.
func (c *call) firstRun() error {
	f := &setupForm{Link: c.r.URL.Query().Get("link")}
	if c.r.Method == http.MethodPost {
		if err := c.parse(maxStrangerBody); err != nil {
			return err
		}
		f.Link = c.r.PostForm.Get("link")
	}
	if !c.mayBegin(f.Link) {
		return c.show(http.StatusForbidden, "notyours", c.T("The server is not set up yet"), nil)
	}
	if !c.q.Peer.TLS && !c.q.Peer.IP.IsLoopback() {
		return c.show(http.StatusForbidden, "notplain", c.T("The server is not set up yet"), c.secureAddress())
	}
	if c.r.Method != http.MethodPost {
		return c.show(http.StatusOK, "setup", c.T("Choose the password of postmaster"), f)
	}
	if c.r.PostForm.Get("password") != c.r.PostForm.Get("again") {
		return c.setupError(f, c.T("The two passwords differ."))
	}
	if c.r.PostForm.Get("password") == "" {
		return c.setupError(f, c.T("The password is empty."))
	}
	return c.begin(f)
}

func (c *call) setupError(f *setupForm, text string) error {
	f.Error = text
	return c.show(http.StatusUnprocessableEntity, "setup", c.T("Choose the password of postmaster"), f)
}

// mayBegin reports whether a client may set the first password: it has the link, or it is on this machine. A
// web server in front, and a name that a page of another site has made to lead here, are not this machine.
func (c *call) mayBegin(link string) bool {
	if c.Link != "" && subtle.ConstantTimeCompare([]byte(link), []byte(c.Link)) == 1 {
		return true
	}
	for _, h := range []string{"X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip", "Forwarded", "Via"} {
		if c.r.Header.Get(h) != "" {
			return false
		}
	}
	ip, err := netip.ParseAddr(c.q.Host)
	return c.q.Peer.IP.IsLoopback() && (c.q.Host == "localhost" || err == nil && ip.IsLoopback())
}

// begin sets the password, unless somebody else was faster, and begins a session of postmaster.
func (c *call) begin(f *setupForm) error {
	c.setup.Lock()
	defer c.setup.Unlock()
	first, err := c.isFirstRun()
	if err != nil {
		return err
	}
	if !first {
		return c.redirect("/login")
	}
	owner := c.Admin.Owner(c.q.Peer)
	n := admin.Name{Local: accounts.Postmaster}
	if err := owner.SetPassword(c.ctx(), n, c.r.PostForm.Get("password"), true); err != nil {
		if fault.Is(err, fault.Invalid) {
			_, text := told(c, err)
			return c.setupError(f, text)
		}
		return err
	}
	a, err := c.Accounts.Account(c.ctx(), "", accounts.Postmaster)
	if err != nil {
		return err
	}
	id, s := c.sessions.start(c.r, c.Accounts, a, c.q.Peer, c.Settings.Get(), false)
	setCookie(c.w, id, c.q.Peer.TLS)
	c.q.Account, c.session = a, s
	return c.redirect("/Start/Server")
}
