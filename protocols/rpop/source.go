package rpop

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"

	"gatepost/accounts"
)

// item is a message of a source.
type item struct {
	number uint32 // its POP3 number or IMAP UID
	uid    uid    // zero until it is fetched from a server that has none
	size   int64  // as the server says
	read   bool   // it is marked as read
}

// source is a maildrop that is open.
type source interface {
	// list returns what is there, the oldest first.
	list() ([]*item, error)
	// fetch writes the text of a message.
	fetch(it *item, w io.Writer) error
	// settle removes messages that were fetched, or marks them, as the record says.
	settle(items []*item) error
	// quit makes removals final and ends the session.
	quit() error
	// close ends the connection as it is.
	close()
}

// failure is what went wrong there.
type failure struct {
	account bool // the host is well: the login or the mailbox is refused
	err     error
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// refused makes the failure of a remote account.
func refused(format string, args ...any) error {
	return &failure{account: true, err: fmt.Errorf(format, args...)}
}

// errNoTLS is the failure of a server that cannot encrypt.
var errNoTLS = errors.New("TLS is wanted and not offered")

// dialer connects to other servers.
type dialer struct {
	dial   func(ctx context.Context, network, address string, from netip.Addr) (net.Conn, error)
	config func(server string, verify bool) *tls.Config
	own    func(netip.Addr) bool
}

func newDialer(acc *accounts.Store, hosts Hosts) *dialer {
	return &dialer{
		dial: func(ctx context.Context, network, address string, from netip.Addr) (net.Conn, error) {
			return dialAny(ctx, hosts, network, address, from)
		},
		config: func(server string, verify bool) *tls.Config {
			return &tls.Config{ServerName: server, InsecureSkipVerify: !verify, MinVersion: tls.VersionTLS12}
		},
		own: func(ip netip.Addr) bool {
			_, own := acc.OwnIP(ip)
			return own
		},
	}
}

// maxAddresses bounds the addresses of a host that are tried.
const maxAddresses = 10

// dialAny connects to the first address of a host that answers.
func dialAny(ctx context.Context, hosts Hosts, network, address string, from netip.Addr) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	ips, err := hosts(ctx, host)
	if err != nil {
		return nil, err
	}
	d := net.Dialer{Timeout: dialLimit}
	if from.IsValid() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))
	}
	err = fmt.Errorf("%s has no address", host)
	for _, ip := range ips[:min(len(ips), maxAddresses)] {
		if from.IsValid() && from.Is4() != ip.Unmap().Is4() {
			continue
		}
		var c net.Conn
		if c, err = d.DialContext(ctx, network, net.JoinHostPort(ip.String(), port)); err == nil || ctx.Err() != nil {
			return c, err
		}
	}
	return nil, err
}

// open connects to a remote account and logs in.
func (d *dialer) open(ctx context.Context, r *accounts.RemoteAccount, set *Settings, from netip.Addr) (source, netip.Addr, error) {
	raw, err := d.dial(ctx, "tcp", r.Address(), from)
	if err != nil {
		return nil, netip.Addr{}, err
	}
	var ip netip.Addr
	if a, ok := raw.RemoteAddr().(*net.TCPAddr); ok {
		ip = a.AddrPort().Addr().Unmap()
	}
	if !bool(set.AllowSelfPoll) && d.own(ip) {
		raw.Close()
		return nil, ip, refused("%s is this server, and AllowSelfPoll is off", r.Host.Name)
	}
	l := newLink(ctx, raw, set.Timeout.Duration())
	config := d.config(r.Host.Name, bool(r.Verify) && r.Encryption() != "If Offered")
	var s source
	if r.Encryption() == "Implicit" {
		err = l.encrypt(ctx, config)
	}
	switch {
	case err != nil:
	case r.Protocol == "IMAP":
		s, err = openIMAP(ctx, l, r, config)
	default:
		s, err = openPOP3(ctx, l, r, config, bool(set.UseAPOP))
	}
	if err != nil {
		l.close()
		return nil, ip, err
	}
	return s, ip, nil
}

// clean makes a reply of another server fit for a text of ours.
func clean(text string) string {
	text = strings.ToValidUTF8(text, "?")
	if len(text) > 300 {
		text = strings.ToValidUTF8(text[:300], "") + "..."
	}
	return text
}
