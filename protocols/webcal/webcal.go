// Package webcal keeps calendars up to date that accounts subscribe to on other servers: files of iCalendar at an address of http, https or webcal.
//
// One goroutine goes through all accounts, from soon after the start and then every hour, and fetches what was not asked for during SubscriptionRefresh, with
// If-None-Match and If-Modified-Since. What comes replaces the content of the calendar (groupware.Collection.Replace); a file with a mistake changes nothing.
// A failure is kept with the subscription for its owner, and tried again after the same time.
//
// The address is one that a user has written, so it reaches public addresses only, whatever the names in it and in redirections lead to, unless the
// administrator allows others (SubscriptionPrivate). A file has 10 MB at most, a request 30 seconds and 5 redirections. Addresses may be secrets: the log has their
// host alone.
package webcal

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"

	"gatepost/accounts"
	"gatepost/accounts/groupware"
	"gatepost/server/fault"
	"gatepost/server/logs"
)

const (
	maxSize      = 10 << 20
	maxURL       = 2000
	maxRedirects = 5
	maxHeader    = 64 << 10
	timeout      = 30 * time.Second
	service      = "WebCAL"

	firstRound = 3 * time.Minute
	everyRound = time.Hour
)

// Options are what a Fetcher works with.
type Options struct {
	Accounts *accounts.Store
	Calendar *groupware.Store
	// Config returns the present settings: how old what was fetched may get, and whether addresses that are not public may be reached.
	Config func() (refresh time.Duration, private bool)
	Log    *slog.Logger
}

// Fetcher fetches calendars. It may be used by many goroutines at once.
type Fetcher struct {
	o      Options
	log    *slog.Logger
	client *http.Client
}

// New returns a Fetcher; Run does the regular work.
func New(o Options) *Fetcher {
	f := &Fetcher{o: o, log: logs.Component(o.Log, "WEBCAL")}
	dialer := &net.Dialer{Control: f.control}
	f.client = &http.Client{
		// No Proxy: what the environment names is not for addresses that users write.
		Transport: &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true, MaxResponseHeaderBytes: maxHeader},
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			if len(via) > maxRedirects {
				return errors.New("there are too many redirections")
			}
			r.Header.Del("Referer") // the address may be a secret
			return nil
		},
	}
	return f
}

var errPrivate = errors.New("the address is not a public one")

// control refuses addresses that are not public. It sees the address that is connected to, whatever name it had.
func (f *Fetcher) control(_, addr string, _ syscall.RawConn) error {
	if _, private := f.o.Config(); private {
		return nil
	}
	ap, err := netip.ParseAddrPort(addr)
	if err != nil {
		return err
	}
	if !public(ap.Addr()) {
		return errPrivate
	}
	return nil
}

// special are networks that are not public, besides those that netip knows (RFC 6890 and its registries).
var special = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"), netip.MustParsePrefix("192.0.2.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("64:ff9b:1::/48"), netip.MustParsePrefix("100::/64"), netip.MustParsePrefix("2001::/23"),
	netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("2002::/16"), netip.MustParsePrefix("fec0::/10"),
}

// public reports whether an address is one of the Internet. Those that lead to an IPv4 address by another form are not.
func public(ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("")
	if !ip.IsGlobalUnicast() || ip.IsPrivate() {
		return false
	}
	for _, net := range special {
		if net.Contains(ip) {
			return false
		}
	}
	return true
}

// parse reads an address as a user writes it.
func parse(text string) (*url.URL, error) {
	const op = "webcal.URL"
	u, err := url.Parse(strings.TrimSpace(text))
	if err != nil || len(text) > maxURL || u.Host == "" {
		return nil, fault.New(op, fault.Invalid, "the address is not one of a calendar: https://host/path is expected")
	}
	switch strings.ToLower(u.Scheme) {
	case "webcal", "webcals":
		u.Scheme = "https"
	case "http", "https":
	default:
		return nil, fault.New(op, fault.Invalid, "the address begins with https, http or webcal")
	}
	if u.User != nil {
		return nil, fault.New(op, fault.Invalid, "the address has a name or a password in it: calendars are fetched without a login")
	}
	u.Fragment = ""
	return u, nil
}

// Subscribe makes a calendar of a name that gets the content of the one at an address, now and from now on. Errors: Invalid for the address and
// for what is there, Unavailable, Exists, TooMany, those of groupware.Store.Create.
func (f *Fetcher) Subscribe(ctx context.Context, a *accounts.Account, box, address string) error {
	u, err := parse(address)
	if err != nil {
		return err
	}
	c, err := f.o.Calendar.Create(ctx, a, f.o.Calendar.Between(a, a), box, groupware.Calendar)
	if err != nil {
		return err
	}
	s := groupware.Subscription{Mailbox: c.Name, URL: u.String()}
	if err = f.o.Calendar.SetSubscription(ctx, a, s); err == nil {
		if err = f.fetch(ctx, a, &s); err == nil {
			err = f.o.Calendar.SetSubscription(ctx, a, s)
		}
	}
	if err != nil {
		return errors.Join(err, c.Delete(context.WithoutCancel(ctx)))
	}
	return nil
}

// Run works until the context ends.
func (f *Fetcher) Run(ctx context.Context) error {
	t := time.NewTimer(firstRound)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			f.client.CloseIdleConnections()
			return nil
		case <-t.C:
		}
		f.round(ctx)
		t.Reset(everyRound)
	}
}

// round goes through all accounts. What fails in one of them does not keep the others waiting.
func (f *Fetcher) round(ctx context.Context) {
	domains, err := f.o.Accounts.Domains(ctx)
	if err != nil {
		f.failed(ctx, "domains cannot be listed", "", err)
		return
	}
	for _, domain := range domains {
		names, err := f.o.Accounts.Accounts(ctx, domain)
		if err != nil {
			f.failed(ctx, "accounts cannot be listed", domain, err)
			continue
		}
		for _, name := range names {
			if ctx.Err() != nil {
				return
			}
			a, err := f.o.Accounts.Account(ctx, domain, name)
			if err == nil && a.Enabled(service) {
				err = f.refresh(ctx, a)
			}
			if err != nil && !fault.Is(err, fault.NotFound) && !fault.Is(err, fault.NoDomain) {
				f.failed(ctx, "subscriptions of an account cannot be read", name+"@"+domain, err)
			}
		}
	}
}

func (f *Fetcher) failed(ctx context.Context, what, account string, err error) {
	if ctx.Err() == nil {
		f.log.LogAttrs(ctx, logs.LevelFailure, what, slog.String(logs.AttrAccount, account), slog.Any(logs.AttrError, err))
	}
}

// refresh fetches what is due of an account.
func (f *Fetcher) refresh(ctx context.Context, a *accounts.Account) error {
	list, err := f.o.Calendar.Subscriptions(ctx, a)
	if err != nil {
		return err
	}
	every, _ := f.o.Config()
	for _, s := range list {
		if time.Since(time.Unix(s.Checked, 0)) < every {
			continue
		}
		if err := f.fetch(ctx, a, &s); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			s.Error = fault.Explain(err)
			f.log.LogAttrs(ctx, logs.LevelProblem, "a subscribed calendar is not fetched", slog.String(logs.AttrAccount, a.Address()), slog.String("mailbox", s.Mailbox),
				slog.String("host", hostOf(s.URL)), slog.Any(logs.AttrError, err))
		}
		if err := f.o.Calendar.SetSubscription(ctx, a, s); err != nil && !fault.Is(err, fault.NoMailbox) {
			return err
		}
	}
	return nil
}

func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host
}

// fetch asks for the file of a subscription, and replaces the content of its calendar if it is another one.
func (f *Fetcher) fetch(ctx context.Context, a *accounts.Account, s *groupware.Subscription) error {
	const op = "webcal.fetch"
	s.Checked, s.Error = time.Now().Unix(), ""
	short, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(short, http.MethodGet, s.URL, nil)
	if err != nil {
		return fault.New(op, fault.Invalid, "the address is not valid")
	}
	req.Header.Set("Accept", "text/calendar, */*;q=0.1")
	if s.ETag != "" {
		req.Header.Set("If-None-Match", s.ETag)
	}
	if s.Modified != "" {
		req.Header.Set("If-Modified-Since", s.Modified)
	}
	resp, err := f.client.Do(req)
	if err != nil {
		if own := new(url.Error); errors.As(err, &own) {
			err = own.Err // without the address
		}
		return &fault.Error{Op: op, Kind: fault.Unavailable, Text: "the other server cannot be asked: " + err.Error()}
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusNotModified:
		return nil
	case http.StatusOK:
	default:
		return fault.Newf(op, fault.Unavailable, "the other server answers with the status %d", resp.StatusCode)
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxSize+1))
	if err != nil {
		return fault.New(op, fault.Unavailable, "the answer of the other server was cut short")
	}
	if len(text) > maxSize {
		return fault.Newf(op, fault.TooLarge, "the calendar has more than %d MB", maxSize>>20)
	}
	if !bytes.Contains(text[:min(len(text), 1024)], []byte("BEGIN:VCALENDAR")) {
		return fault.New(op, fault.Invalid, "what is there is not a calendar")
	}
	c, err := f.o.Calendar.Collection(ctx, a, f.o.Calendar.Between(a, a), s.Mailbox)
	if err != nil {
		return err
	}
	if err := c.Replace(ctx, bytes.NewReader(text), int64(len(text)), nil); err != nil {
		return err
	}
	s.ETag, s.Modified, s.Changed = usual(resp.Header.Get("ETag")), usual(resp.Header.Get("Last-Modified")), s.Checked
	return nil
}

// usual is a header field of another server that is kept, if it has a usual length.
func usual(value string) string {
	if len(value) > 200 {
		return ""
	}
	return value
}
