package mailauth

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"gatepost/accounts/message"
	"gatepost/router/address"
	"gatepost/server/resolver"
)

// A Resolver looks names up, as a net.Resolver does. A name that does not exist, or has no such
// record, is a *net.DNSError with IsNotFound; what may work later is one with IsTemporary or IsTimeout.
type Resolver interface {
	// LookupTXT returns one string for each record, its parts joined.
	LookupTXT(ctx context.Context, name string) ([]string, error)
	LookupMX(ctx context.Context, name string) ([]*net.MX, error)
	LookupIPAddr(ctx context.Context, host string) ([]net.IPAddr, error)
	LookupAddr(ctx context.Context, addr string) ([]string, error)
}

// Verifier verifies messages. It keeps nothing between them.
type Verifier struct {
	// Resolver answers all look-ups.
	Resolver Resolver
}

// Message is what is verified.
type Message struct {
	// Client is the address of the client, HELO the name that it gave.
	Client netip.Addr
	HELO   string
	// ReturnPath is the address of MAIL, empty for <>.
	ReturnPath string
	// Text is the message with CRLF line ends.
	Text io.ReaderAt
	Size int64
}

// Verify verifies a message. The error is that of Text: what is wrong with the message, or with a
// look-up, is in the results.
func (v *Verifier) Verify(ctx context.Context, m *Message) (*Results, error) {
	ctx = resolver.ForStranger(ctx, m.Client)
	r := &Results{}
	fields, body, err := readHeader(m.Text, m.Size)
	switch {
	case errors.Is(err, errLargeHeader), errors.Is(err, errNoHeader):
		// The header counts as one whose author nobody can tell.
		r.SPF = v.spf(ctx, m)
		r.DKIM = []DKIM{{Result: PermError, Reason: err.Error()}}
		r.ARC = ARC{Result: Fail, Reason: err.Error()}
		r.DMARC = DMARC{Result: PermError, Reason: err.Error()}
		r.Unclear = err.Error()
		return r, nil
	case err != nil:
		return nil, err
	}
	var wait sync.WaitGroup
	var dkimErr, arcErr error
	proving, cancel := mostOf(ctx)
	defer cancel()
	wait.Go(func() { r.SPF = v.spf(proving, m) })
	wait.Go(func() { r.DKIM, dkimErr = v.dkim(proving, m, fields, body) })
	wait.Go(func() { r.ARC, arcErr = v.arc(proving, m, fields, body) })
	wait.Wait()
	if err := errors.Join(dkimErr, arcErr); err != nil {
		return nil, err
	}
	r.Authors, err = authors(fields)
	if err != nil {
		r.DMARC = DMARC{Result: PermError, Reason: err.Error()}
		if errors.As(err, new(unclear)) {
			r.Unclear = err.Error()
		}
		return r, nil
	}
	r.DMARC = v.dmarc(ctx, r)
	return r, nil
}

// mostOf leaves of the time of ctx a third for what the authors' domains ask for: whoever sends a message chooses
// domains that answer as late as he likes, and must not have DMARC left out by that.
func mostOf(ctx context.Context) (context.Context, context.CancelFunc) {
	end, limited := ctx.Deadline()
	if !limited {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Until(end)*2/3)
}

// maxAuthors is how many author domains a message may have: DMARC is asked for each.
const maxAuthors = 4

// unclear is the error of a message that shows a reader another author than a check sees.
type unclear string

func (u unclear) Error() string { return string(u) }

// authors returns the domains of the addresses in From, in ASCII and lower case. A message has one From
// field (RFC 5322 section 3.6): one with more shows a reader another author than a check sees.
func authors(fields []field) ([]string, error) {
	var from []field
	for _, f := range fields {
		if f.name == "from" {
			from = append(from, f)
		}
	}
	switch {
	case len(from) == 0:
		return nil, errors.New("there is no From field")
	case len(from) > 1:
		return nil, unclear("there is more than one From field")
	}
	list, _ := message.AuthorAddresses([]byte(from[0].value()))
	var domains []string
	invalid := false
	for _, a := range list {
		domain, err := address.NormalizeDomain(string(a.Domain))
		if err != nil {
			invalid = true
			continue
		}
		if !slices.Contains(domains, domain) {
			domains = append(domains, domain)
		}
	}
	switch {
	case len(domains) == 0 && invalid:
		return nil, errors.New("the field From has an address whose domain is not valid")
	case len(domains) == 0:
		return nil, errors.New("there is no address in From")
	case len(domains) > maxAuthors:
		return nil, unclear("there are addresses of too many domains in From")
	}
	return domains, nil
}

// Authors returns the author domains of a message. The error says why there are none.
func Authors(text io.ReaderAt, size int64) ([]string, error) {
	fields, _, err := readHeader(text, size)
	if err != nil {
		return nil, err
	}
	return authors(fields)
}
