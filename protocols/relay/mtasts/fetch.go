package mtasts

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"strings"
	"time"

	"gatepost/server/fault"
)

const (
	maxPolicy  = 64 << 10
	fetchLimit = 20 * time.Second
)

// URL is where the policy of a domain is.
func URL(domain string) string { return "https://mta-sts." + domain + Path }

// Path is the path of a policy.
const Path = "/.well-known/mta-sts.txt"

// fetcher fetches policies.
type fetcher struct{ client *http.Client }

func newFetcher(o Options) *fetcher {
	dial := o.Dial
	if dial == nil {
		dial = (&net.Dialer{Timeout: 10 * time.Second}).DialContext
	}
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: o.Roots, MinVersion: tls.VersionTLS12}, DisableKeepAlives: true, MaxResponseHeaderBytes: 16 << 10,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			host, port, err := net.SplitHostPort(address)
			if err != nil {
				return nil, err
			}
			answer, err := o.DNS.Addresses(ctx, host)
			if err != nil {
				return nil, errors.New(fault.Text(err))
			}
			err = errors.New(host + " has no address")
			for _, ip := range answer.Records[:min(len(answer.Records), 4)] {
				var c net.Conn
				if c, err = dial(ctx, network, net.JoinHostPort(ip.String(), port)); err == nil {
					return c, nil
				}
			}
			return nil, err
		},
	}
	return &fetcher{&http.Client{Transport: transport, Timeout: fetchLimit,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// fetch fetches the policy of a domain (RFC 8461 section 3.3).
func (f *fetcher) fetch(ctx context.Context, domain string) (*Policy, error) {
	policy, err := f.get(ctx, domain)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", URL(domain), err)
	}
	return policy, nil
}

func (f *fetcher) get(ctx context.Context, domain string) (*Policy, error) {
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, URL(domain), nil)
	if err != nil {
		return nil, err
	}
	answer, err := f.client.Do(q)
	if err != nil {
		return nil, errors.Unwrap(err) // without the URL, which fetch adds
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the answer is %d, and 200 is expected", answer.StatusCode)
	}
	if kind, _, err := mime.ParseMediaType(answer.Header.Get("Content-Type")); err != nil || !strings.EqualFold(kind, "text/plain") {
		return nil, fmt.Errorf("its type is %.60q, and text/plain is expected", answer.Header.Get("Content-Type"))
	}
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxPolicy+1))
	switch {
	case err != nil:
		return nil, err
	case len(text) > maxPolicy:
		return nil, errors.New("it is longer than 64 kB")
	}
	return Parse(string(text))
}
