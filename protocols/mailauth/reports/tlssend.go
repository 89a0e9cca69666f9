package reports

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"gatepost/queue/envelope"
	"gatepost/router/address"
	"gatepost/server/fault"
	"gatepost/server/logs"
	"gatepost/server/resolver"
)

// maxTLSDestinations bounds whom a report goes to.
const maxTLSDestinations = 4

// Run writes counts and sends reports until ctx ends. The reports of a day go out at a time of their own in the first hours of the next (RFC 8460 section 4.1).
func (o *TLSOutbox) Run(ctx context.Context) error {
	flush := time.NewTicker(flushEvery)
	defer flush.Stop()
	send := time.NewTimer(rand.N(sendEvery))
	defer send.Stop()
	for {
		select {
		case <-ctx.Done():
			o.flush(context.Background())
			return nil
		case <-flush.C:
			o.flush(ctx)
		case <-send.C:
			o.sendAll(ctx)
			send.Reset(sendEvery/2 + rand.N(sendEvery))
		}
	}
}

// sendAll sends the reports of the days that have ended.
func (o *TLSOutbox) sendAll(ctx context.Context) {
	o.flush(ctx) // the day may have ended since the last time
	o.daily.sendAll(ctx, "TLS reports could not be sent", func(ctx context.Context, d string, begin time.Time, list *sentList) (waiting int, err error) {
		c, err := readTLSDay(o.path(d, dayFile))
		if err != nil || !bool(o.settings.Get().SendTLS) {
			return 0, err
		}
		for domain, policies := range c.domains {
			if list.has(domain) {
				continue
			}
			if ctx.Err() != nil {
				return 1, nil
			}
			if err := o.sendOne(ctx, domain, begin, policies, list); err != nil {
				waiting++
				o.log.Log(ctx, logs.LevelProblem, "a TLS report could not be sent now", "domain", domain, "day", d, logs.AttrError, err)
			}
		}
		return waiting, nil
	})
}

// sendOne sends the report of a domain, if it wants one.
func (o *TLSOutbox) sendOne(ctx context.Context, domain string, begin time.Time, policies map[tlsPolicy]*tlsCounts, list *sentList) error {
	looking, cancel := context.WithTimeout(ctx, lookLimit)
	mails, urls, err := o.destinations(looking, domain)
	cancel()
	if err != nil {
		return err
	}
	if len(mails)+len(urls) == 0 {
		return list.note(domain, 0) // most domains ask for nothing
	}
	content, err := composeTLS(o.sender(), domain, begin, policies)
	if err != nil {
		return err
	}
	if len(mails) == 0 {
		if o.postAll(ctx, urls, content, domain, begin) == 0 {
			return errors.New("no address of the domain has taken it")
		}
		return list.note(domain, 0)
	}
	// It is delivered whatever the domain asks of TLS, and its session is not in the next report (RFC 8460 section 5.3).
	env := &envelope.Envelope{Source: envelope.Source{Tag: logTag, Trusted: true}, Bulk: true, TLSOptional: true}
	to := make([]string, len(mails))
	for i, a := range mails {
		env.Recipients = append(env.Recipients, envelope.Recipient{Address: a, Notify: envelope.NotifyNever})
		to[i] = a.String()
	}
	id, err := o.hold(ctx, env, tlsLetter(o.sender(), domain, begin, to, content, o.now()), domain, list)
	if err != nil {
		return err
	}
	o.log.Log(ctx, logs.LevelMajor, "TLS report sent", "domain", domain, "day", day(begin), logs.AttrQueueID, id)
	err = o.queue.Publish(id)
	o.postAll(ctx, urls, content, domain, begin) // after the mail is noted, so that nothing is posted twice
	return err
}

// postAll gives a report to web servers, and returns how many have taken it.
func (o *TLSOutbox) postAll(ctx context.Context, urls []string, content []byte, domain string, begin time.Time) (posted int) {
	for _, u := range urls {
		if err := o.post(ctx, u, content); err != nil {
			o.log.Log(ctx, logs.LevelProblem, "a TLS report could not be posted", "domain", domain, "day", day(begin), logs.AttrError, err)
			continue
		}
		posted++
		o.log.Log(ctx, logs.LevelMajor, "TLS report posted", "domain", domain, "day", day(begin))
	}
	return posted
}

// destinations reads where a domain wants its reports (RFC 8460 section 3). One that cannot be read is left out; several records are none.
func (o *TLSOutbox) destinations(ctx context.Context, domain string) (mails []address.Address, urls []string, err error) {
	answer, err := o.dns.TXT(ctx, "_smtp._tls."+domain)
	switch {
	case fault.Is(err, fault.NoHost), fault.Is(err, fault.Invalid):
		return nil, nil, nil
	case err != nil:
		return nil, nil, err
	}
	records := slices.DeleteFunc(slices.Clone(answer.Records), func(s string) bool {
		version, _, _ := strings.Cut(s, ";")
		return strings.TrimSpace(version) != "v=TLSRPTv1"
	})
	if len(records) != 1 {
		return nil, nil, nil
	}
	for field := range strings.SplitSeq(records[0], ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(field), "=")
		if strings.TrimSpace(name) != "rua" {
			continue
		}
		for one := range strings.SplitSeq(value, ",") {
			if len(mails)+len(urls) >= maxTLSDestinations {
				break
			}
			u, err := url.Parse(strings.TrimSpace(one))
			if err != nil {
				continue
			}
			switch strings.ToLower(u.Scheme) {
			case "mailto":
				text, err := url.PathUnescape(u.Opaque)
				if err != nil {
					continue
				}
				if a, err := address.Parse(text); err == nil && a.Domain != "" {
					mails = append(mails, a)
				}
			case "https":
				if u.Host != "" && u.User == nil {
					urls = append(urls, u.String())
				}
			}
		}
	}
	return mails, urls, nil
}

// postLimit bounds one POST.
const postLimit = 30 * time.Second

// newClient returns a client that finds hosts by the server's own resolver, and follows no redirections.
func newClient(dns *resolver.Resolver) *http.Client {
	transport := &http.Transport{DisableKeepAlives: true, MaxResponseHeaderBytes: 16 << 10,
		DialContext: func(ctx context.Context, network, to string) (net.Conn, error) {
			host, port, err := net.SplitHostPort(to)
			if err != nil {
				return nil, err
			}
			answer, err := dns.Addresses(ctx, host)
			if err != nil {
				return nil, errors.New(fault.Text(err))
			}
			err = errors.New(host + " has no address")
			for _, ip := range answer.Records[:min(len(answer.Records), 4)] {
				if !ip.IsGlobalUnicast() || ip.IsPrivate() {
					err = fmt.Errorf("%s has the address %s, which is not one of the Internet", host, ip)
					continue
				}
				var c net.Conn
				if c, err = (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, network, net.JoinHostPort(ip.String(), port)); err == nil {
					return c, nil
				}
			}
			return nil, err
		},
	}
	return &http.Client{Transport: transport, Timeout: postLimit, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// post gives a report to a web server (RFC 8460 section 5.4).
func (o *TLSOutbox) post(ctx context.Context, to string, content []byte) error {
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(content))
	if err != nil {
		return errors.New("its address cannot be used")
	}
	q.Header.Set("Content-Type", "application/tlsrpt+gzip")
	answer, err := o.client.Do(q)
	if err != nil {
		return errors.Unwrap(err) // without the address, which may have a secret
	}
	defer answer.Body.Close()
	if answer.StatusCode < 200 || answer.StatusCode > 299 {
		return fmt.Errorf("the answer is %d", answer.StatusCode)
	}
	return nil
}

// sender is who sends reports.
func (o *TLSOutbox) sender() sender {
	main := o.directory.MainDomain()
	return sender{main, "postmaster@" + main}
}
