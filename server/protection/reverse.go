package protection

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"net/textproto"
	"strings"
	"time"

	"gatepost/server/counters"
	"gatepost/server/fault"
	"gatepost/server/logs"
	"gatepost/server/rate"
	"gatepost/server/resolver"
	"gatepost/server/settings"
)

// Reverse Connect asks the mail server of a return-path whether it takes reports there.

// Callback is a question about a return-path.
type Callback struct {
	// Address has its domain, in ASCII, behind the last @.
	Address string
	// HELO is the name that this server gives.
	HELO string
	// Client is the address of who gave the return-path.
	Client netip.Addr
}

// reverse is what Reverse Connect knows.
type reverse struct {
	dial    func(ctx context.Context, network, address string) (net.Conn, error)
	slots   chan struct{}
	answers *rate.Table[answered]
	domains *rate.Table[string]
	asked   counters.Labelled
}

// answered is a return-path that a mail server has spoken about.
type answered struct {
	address string
	refused bool
}

const (
	callbackTimeout = 30 * time.Second // for a whole question
	maxCallbacks    = 50               // at a time
	maxAnswers      = 20_000           // that are remembered
	callbackHosts   = 2                // of a domain that are tried
	maxDialogue     = 32 << 10         // bytes that a mail server may say
)

// How long answers are remembered. An address that was refused may be made meanwhile.
var (
	knownFor   = settings.Rate{Count: 1, Period: settings.Period(24 * time.Hour)}
	refusedFor = settings.Rate{Count: 1, Period: settings.Period(15 * time.Minute)}
)

// perDomain bounds the questions to one domain: who forges return-paths there does not have us flood its mail servers.
var perDomain = settings.Rate{Count: 20, Period: settings.Period(time.Minute)}

func newReverse() reverse {
	return reverse{
		dial:    (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		slots:   make(chan struct{}, maxCallbacks),
		answers: rate.New[answered](maxAnswers), domains: rate.New[string](maxAnswers),
	}
}

// UseDialer has mail servers of return-paths connected by dial.
func (p *Protection) UseDialer(dial func(ctx context.Context, network, address string) (net.Conn, error)) {
	p.reverse.dial = dial
}

// Callbacks are the questions that Reverse Connect has asked, by what came of them.
func (p *Protection) Callbacks() *counters.Labelled { return &p.reverse.asked }

// ReverseConnect asks the mail servers of a return-path whether they take a report there, and returns why not. Only
// a clear no counts: who cannot be asked in time, or is asked too often, lets the mail pass. Errors: Rejected, Canceled.
func (p *Protection) ReverseConnect(ctx context.Context, c Callback) error {
	const op = "protection.ReverseConnect"
	r := &p.reverse
	if p.names.resolver == nil || r.answers.Count(answered{c.Address, false}) > 0 {
		return nil
	}
	rejected := fault.New(op, fault.Rejected, "its mail server does not know the address")
	if r.answers.Count(answered{c.Address, true}) > 0 {
		return rejected
	}
	domain := strings.ToLower(c.Address[strings.LastIndexByte(c.Address, '@')+1:])
	if r.domains.Take(domain, perDomain) > 0 {
		r.asked.Inc("too often")
		return nil
	}
	select {
	case r.slots <- struct{}{}:
		defer func() { <-r.slots }()
	default:
		r.asked.Inc("too many at a time")
		return nil
	}
	asking, cancel := context.WithTimeout(resolver.ForStranger(ctx, c.Client), callbackTimeout)
	defer cancel()
	code, err := p.callBack(asking, domain, c)
	switch {
	case ctx.Err() != nil:
		return fault.Wrap(op, fault.Canceled, ctx.Err())
	case err != nil:
		r.asked.Inc("no answer")
		p.log.LogAttrs(ctx, logs.LevelLowLevel, "a return-path could not be asked about", slog.String(logs.AttrReturnPath, c.Address), slog.Any(logs.AttrError, err))
		return nil
	case code/100 == 5:
		r.asked.Inc("refused")
		r.answers.Take(answered{c.Address, true}, refusedFor)
		return rejected
	case code/100 == 2:
		r.answers.Take(answered{c.Address, false}, knownFor)
	}
	r.asked.Inc("accepted")
	return nil
}

// callBack returns the code of RCPT, or 0 if it is about this server rather than the address.
func (p *Protection) callBack(ctx context.Context, domain string, c Callback) (code int, err error) {
	hosts, err := p.mailServers(ctx, domain)
	if err != nil {
		return 0, err
	}
	for _, ip := range hosts {
		if code, err = p.askServer(ctx, ip, c); err == nil {
			return code, nil
		}
	}
	return 0, err
}

// mailServers are the addresses of the best mail servers of a domain that may be connected to.
func (p *Protection) mailServers(ctx context.Context, domain string) ([]netip.Addr, error) {
	const op = "protection.mailServers"
	mx, err := p.names.resolver.MX(ctx, domain)
	if err != nil {
		return nil, err
	}
	hosts := []string{domain}
	if len(mx.Records) > 0 {
		hosts = nil
		for _, m := range mx.Records[:min(len(mx.Records), callbackHosts)] {
			hosts = append(hosts, m.Host)
		}
	}
	var out []netip.Addr
	for _, host := range hosts {
		a, lookUp := p.names.resolver.Addresses(ctx, host)
		if err = lookUp; err != nil {
			continue
		}
		for _, ip := range a.Records {
			// Who gives a return-path does not choose a host of our own network that is connected to.
			if ip.IsGlobalUnicast() && !ip.IsPrivate() && !p.List(Clients).Contains(ip) && len(out) < callbackHosts {
				out = append(out, ip)
			}
		}
	}
	if len(out) == 0 && err == nil {
		err = fault.New(op, fault.NoHost, "the domain has no mail server that can be asked")
	}
	return out, err
}

// askServer speaks to one mail server.
func (p *Protection) askServer(ctx context.Context, ip netip.Addr, c Callback) (int, error) {
	conn, err := p.reverse.dial(ctx, "tcp", netip.AddrPortFrom(ip, 25).String())
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if end, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(end); err != nil {
			return 0, err
		}
	}
	in := textproto.NewConn(struct {
		io.Reader
		io.WriteCloser
	}{io.LimitReader(conn, maxDialogue), conn})
	say := func(line string) (int, string, error) {
		if line != "" {
			if err := in.PrintfLine("%s", line); err != nil {
				return 0, "", err
			}
		}
		code, text, err := in.ReadResponse(0)
		return code, text, err
	}
	for _, line := range []string{"", "EHLO " + c.HELO, "MAIL FROM:<>"} {
		code, text, err := say(line)
		if err != nil {
			return 0, err
		}
		if code/100 != 2 {
			return 0, fmt.Errorf("%q: %d %.200s", line, code, text) // about this server, not about the address
		}
	}
	code, text, err := say("RCPT TO:<" + c.Address + ">")
	if err != nil {
		return 0, err
	}
	_ = in.PrintfLine("QUIT") // the answer is not waited for
	if code/100 == 5 && strings.HasPrefix(text, "5.7.") {
		return 0, nil // a policy (RFC 3463), such as a list that this server is on
	}
	return code, nil
}
