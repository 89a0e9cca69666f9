package webadmin

import (
	"net/http"
	"net/url"
	"strings"

	"gatepost/server/fault"
	"gatepost/server/qrcode"
)

// This file has the second step of the login: the code of a program on a phone (TOTP, RFC 6238), or a recovery code.

const totpPath = "Preferences/TOTP"

// codeForm is the page that asks for a code.
type codeForm struct {
	Next, Error, Token string
}

// secondStep answers somebody whose password was right and who has not given a code yet.
func (c *call) secondStep() error {
	path := c.q.Path
	if len(path) == 1 && path[0] == "logout" && c.r.Method == http.MethodPost {
		return c.logout()
	}
	if len(path) != 1 || path[0] != "login" {
		return c.redirect("/login?next=" + url.QueryEscape(c.r.URL.RequestURI()))
	}
	f := &codeForm{Next: c.r.URL.Query().Get("next"), Token: c.session.token}
	if c.r.Method != http.MethodPost {
		return c.show(http.StatusOK, "logincode", c.T("Log in"), f)
	}
	if err := c.parse(maxStrangerBody); err != nil {
		return err
	}
	f.Next = c.field("next")
	if !c.session.owns(c.r.PostForm.Get("token")) {
		return fault.New("webadmin.Login", fault.Denied, c.T("This form is of another session. Open the page again."))
	}
	now, err := c.Accounts.Current(c.ctx(), c.session.account)
	if err != nil {
		c.sessions.end(c.r, c.q.Peer.TLS)
		return c.redirect("/login")
	}
	switch err := c.Accounts.TakeCode(c.ctx(), now, c.field("code")); {
	case fault.Is(err, fault.BadCredentials), fault.Is(err, fault.TooMany):
		c.q.Log.Warn("login refused: "+fault.Explain(err), "account", now.Address())
		_, f.Error = told(c, err)
		if fault.Is(err, fault.BadCredentials) {
			f.Error = c.T("The code is wrong, or was used before.")
		}
		return c.show(http.StatusForbidden, "logincode", c.T("Log in"), f)
	case err != nil:
		return err
	}
	c.begins(now, false)
	return c.redirect(c.nextPage(f.Next))
}

// mustEnrol reports whether somebody has to set up a second factor before anything else.
func (c *call) mustEnrol() (bool, error) {
	who := c.Settings.Get().RequireTOTP
	if who == "nobody" {
		return false, nil
	}
	rights, err := c.Accounts.RightsOf(c.q.Account)
	if err != nil {
		return false, err
	}
	if who == "server administrators" && !rights.AnyServer() {
		return false, nil
	}
	has, _, err := c.Accounts.SecondFactor(c.ctx(), c.q.Account.Domain, c.q.Account.Name)
	return !has, err
}

// totpForm is the page of one's own second factor.
type totpForm struct {
	On, Must         bool
	Left             int
	Secret, URI      string
	Path             string // of the QR code: black squares
	Size             int
	Recovery         []string
	Error, ResetText string
}

func (c *call) totpForm() (*totpForm, error) {
	has, left, err := c.actor.SecondFactor(c.ctx(), c.actor.Self())
	if err != nil {
		return nil, err
	}
	f := &totpForm{On: has, Left: left}
	if has {
		return f, nil
	}
	if f.Must, err = c.mustEnrol(); err != nil {
		return nil, err
	}
	secret := c.sessions.enrolment(c.session)
	name := c.Accounts.MainDomain()
	u := url.URL{Scheme: "otpauth", Host: "totp", Path: "/" + name + ":" + c.q.Account.Address(),
		RawQuery: url.Values{"secret": {secret}, "issuer": {name}}.Encode()}
	f.URI = u.String()
	for i := 0; i < len(secret); i += 4 {
		f.Secret += secret[i:min(i+4, len(secret))] + " "
	}
	f.Secret = strings.TrimSpace(f.Secret)
	return f, f.draw()
}

// draw draws the QR code.
func (f *totpForm) draw() error {
	var err error
	if f.Path, f.Size, err = qrcode.Draw(f.URI); err != nil {
		return fault.Wrap("webadmin.TOTP", fault.Internal, err)
	}
	return nil
}

func (c *call) totpPage() error {
	f, err := c.totpForm()
	if err != nil {
		return err
	}
	return c.show(http.StatusOK, "totp", c.T("Two-Step Login"), f)
}

func (c *call) enrolTOTP() error {
	f, err := c.totpForm()
	if err != nil {
		return err
	}
	if f.On {
		return c.redirect("/" + totpPath)
	}
	f.Recovery, err = c.actor.SetSecondFactor(c.ctx(), c.sessions.enrolment(c.session), c.field("code"))
	switch {
	case fault.Is(err, fault.BadCredentials):
		f.Error = c.T("The code is wrong. Is the clock of the phone right?")
		return c.show(http.StatusUnprocessableEntity, "totp", c.T("Two-Step Login"), f)
	case err != nil:
		return err
	}
	c.sessions.enrolled(c.session)
	f.On, f.Left = true, len(f.Recovery)
	return c.show(http.StatusOK, "totp", c.T("Two-Step Login"), f)
}

// dropTOTP ends one's own second factor: a session that is left open is not enough for that.
func (c *call) dropTOTP() error {
	f, err := c.totpForm()
	if err != nil {
		return err
	}
	if err = c.Accounts.TakeCode(c.ctx(), c.q.Account, c.field("code")); err == nil {
		if err = c.actor.ResetSecondFactor(c.ctx(), c.actor.Self()); err == nil {
			return c.done("/"+totpPath, &flash{Text: c.T("The two-step login is off."), Command: "RESETACCOUNTTOTP " + c.q.Account.Address()})
		}
	}
	if !fault.Is(err, fault.BadCredentials) && !fault.Is(err, fault.TooMany) {
		return err
	}
	f.Error = c.reason(err)
	return c.show(http.StatusUnprocessableEntity, "totp", c.T("Two-Step Login"), f)
}
