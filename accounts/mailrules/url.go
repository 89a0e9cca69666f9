package mailrules

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"syscall"

	"gatepost/accounts"
	"gatepost/queue/envelope"
	"gatepost/rules"
	"gatepost/server/logs"
	"gatepost/server/settings"
)

// The bounds of requests.
const (
	urlWorkers = 4
	urlQueue   = 200
	urlAnswer  = 64 << 10 // bytes that are read of an answer
)

// requests makes the requests of SendURL, some at a time.
type requests struct {
	settings *settings.Live[Settings]
	log      *slog.Logger
	client   *http.Client
	ctx      context.Context
	cancel   context.CancelFunc
	waiting  chan request
	start    sync.Once
	workers  sync.WaitGroup
}

// request is one request.
type request struct {
	rule *rules.Rule
	url  string
	id   envelope.QueueID
	acc  *accounts.Account
}

func newRequests(set *settings.Live[Settings], log *slog.Logger) *requests {
	u := &requests{settings: set, log: log, waiting: make(chan request, urlQueue)}
	u.ctx, u.cancel = context.WithCancel(context.Background())
	dialer := &net.Dialer{Control: u.control}
	u.client = &http.Client{
		Transport: &http.Transport{DialContext: dialer.DialContext, MaxIdleConns: urlWorkers, DisableKeepAlives: true, MaxResponseHeaderBytes: urlAnswer},
		// The answer is ignored, and so is where it wants to lead.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return u
}

var errPrivate = errors.New("the address is not a public one, see the setting URLPrivate")

// control refuses addresses that are not public. It sees the address that is connected to, whatever name
// it had.
func (u *requests) control(_, addr string, _ syscall.RawConn) error {
	if u.settings.Get().URLPrivate {
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
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("64:ff9b:1::/48"), netip.MustParsePrefix("100::/64"),
	netip.MustParsePrefix("2001::/23"), netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("2002::/16"), netip.MustParsePrefix("fec0::/10"),
}

// public reports whether an address is one of the Internet. Those that lead to an IPv4 address by another
// form count as not public.
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

// add puts a request into the queue. When it is full the request is left out.
func (u *requests) add(rule *rules.Rule, url string, id envelope.QueueID, acc *accounts.Account) {
	u.start.Do(func() {
		for range urlWorkers {
			u.workers.Go(u.work)
		}
	})
	select {
	case u.waiting <- request{rule, url, id, acc}:
	default:
		record(u.ctx, u.log, logs.LevelProblem, rule, "SendURL is left out: too many requests wait", about(id, acc)...)
	}
}

func (u *requests) work() {
	for {
		select {
		case <-u.ctx.Done():
			return
		case r := <-u.waiting:
			u.make(r)
		}
	}
}

// make makes a request. Its result is for the log.
func (u *requests) make(r request) {
	ctx, cancel := context.WithTimeout(u.ctx, u.settings.Get().URLTimeout.Duration())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url, nil)
	status := ""
	if err == nil {
		var resp *http.Response
		if resp, err = u.client.Do(req); err == nil {
			status = resp.Status
			_, _ = io.CopyN(io.Discard, resp.Body, urlAnswer) // nobody reads it
			resp.Body.Close()
		}
	}
	if err != nil {
		record(u.ctx, u.log, logs.LevelProblem, r.rule, "SendURL has failed", about(r.id, r.acc, slog.Any(logs.AttrError, err))...)
		return
	}
	record(u.ctx, u.log, logs.LevelLowLevel, r.rule, "SendURL is done", about(r.id, r.acc, slog.String(logs.AttrStatus, status))...)
}

// close ends the requests that are under way; those that wait are left out.
func (u *requests) close() {
	u.cancel()
	u.start.Do(func() {})
	u.workers.Wait()
	u.client.CloseIdleConnections()
}
