package relay

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/netip"
	"strconv"
	"strings"
	"syscall"
	"time"

	"gatepost/router/address"
	"gatepost/server/fault"
)

// The limits of a test: somebody waits for it.
const (
	testLimit    = 2 * time.Minute
	testTries    = 4
	testPatience = 20 * time.Second
)

// TestGateway connects to a gateway, whether it is enabled or not, logs in and sends a message to an address, ""
// for postmaster. It returns a line for each step in words that somebody can act on; the last of one that
// went well is "connect success!". Errors: NotFound, and Invalid for the address.
func (t *Transport) TestGateway(ctx context.Context, name, to string) (steps []string, ok bool, err error) {
	const op = "relay.TestGateway"
	g := t.gateways.Get().Gateways.named(name)
	if g == nil {
		return nil, false, fault.Newf(op, fault.NotFound, "there is no gateway %s", name)
	}
	postmaster := address.Address{Local: "postmaster", Domain: t.domain()}
	rcpt := postmaster
	if to != "" {
		if rcpt, err = address.Parse(to); err != nil || rcpt.Domain == "" {
			return nil, false, fault.Newf(op, fault.Invalid, "%q is not a complete address", to)
		}
	}
	from := postmaster
	if !g.sender.IsNull() {
		from = g.sender
	}
	ctx, cancel := context.WithTimeout(ctx, testLimit)
	defer cancel()
	r := &rehearsal{t: t, ctx: ctx, g: g}
	if !g.Enabled {
		r.say("the gateway is disabled: no mail takes it, but it can be tested")
	}
	ok = r.connect() && r.send(from, rcpt)
	if ok {
		r.say("connect success!")
	}
	return r.steps, ok, nil
}

// rehearsal is one test of a gateway.
type rehearsal struct {
	t     *Transport
	ctx   context.Context
	g     *Gateway
	c     *conn
	steps []string
}

func (r *rehearsal) say(format string, args ...any) {
	r.steps = append(r.steps, cleaned(fmt.Sprintf(format, args...)))
}

// connect gets a connection that is logged in, to one of the gateway's addresses.
func (r *rehearsal) connect() bool {
	w := r.t.choices().through(r.g, false, nil)
	if isSocket(w.name) {
		c, err := r.t.dialer.openSocket(r.ctx, w.hop(w.name))
		if err != nil {
			r.say("the socket %s cannot be used: %v", w.name, err)
			return false
		}
		r.c = c
		r.say("connected to the socket %s", w.name)
		return true
	}
	found, err := r.t.finder.dns.Addresses(r.ctx, w.name)
	switch {
	case err != nil && fault.KindOf(err).Temporary():
		r.say("%s", fault.Text(err))
		return false
	case err != nil || len(found.Records) == 0:
		r.say("the host %s does not exist, or has no address: correct Host", w.name)
		return false
	}
	hop := w.hop(w.name)
	if !isIP(w.name) {
		r.say("%s has the address %s", w.name, listed(found.Records))
	}
	d := *r.t.dialer
	d.limits.dial, d.limits.greeting, d.limits.mail = testPatience, testPatience, testPatience
	d.limits.rcpt, d.limits.data, d.limits.final = testPatience, testPatience, testLimit
	for _, ip := range found.Records[:min(len(found.Records), testTries)] {
		to := netip.AddrPortFrom(ip.Unmap(), uint16(hop.port()))
		c, err := d.connect(r.ctx, hop, to)
		if err != nil {
			r.say("%s", explained(err, hop, to))
			if errors.As(err, new(*authError)) {
				return false // the other addresses know no other password, and may lock the user out
			}
			continue
		}
		r.c = c
		r.say("connected to %s, port %d", ip, hop.port())
		switch version := c.tlsVersion(); {
		case version == "":
			r.say("the connection is not encrypted")
		case hop.tls == tlsVerified || hop.tls == tlsImplicit:
			r.say("encrypted with %s; the certificate is one of %s", version, w.name)
		default:
			r.say("encrypted with %s; the certificate was not verified", version)
		}
		if r.g.User != "" {
			r.say("logged in as %s (%s)", r.g.User, c.mech)
		}
		return true
	}
	return false
}

func listed(ips []netip.Addr) string {
	words := make([]string, len(ips))
	for i, ip := range ips {
		words[i] = ip.String()
	}
	return strings.Join(words, ", ")
}

// explained says why there is no connection, and what may help.
func explained(err error, h hop, to netip.AddrPort) string {
	var login *authError
	var said *refusal
	var certificate *tls.CertificateVerificationError
	var notTLS tls.RecordHeaderError
	var op *net.OpError
	var timeout net.Error
	port := strconv.Itoa(int(to.Port()))
	switch {
	case errors.As(err, &login):
		return login.Error()
	case errors.As(err, &said):
		return "the server refused the connection at " + said.stage + ": " + said.reply.String()
	case errors.Is(err, errNoTLS):
		return "the server offers no encryption at port " + port + ": use TLS=Implicit with port 465, or TLS=Never if nobody can read along on the way to it"
	case errors.As(err, &certificate):
		return "the server's certificate is not accepted: " + certificate.Err.Error() + "; correct Host, or use TLS=Required, which takes any certificate"
	case errors.As(err, &notTLS) && h.tls == tlsImplicit:
		return "the server does not speak TLS from the first byte on at port " + port + ": use TLS=Verified"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nothing listens at " + to.String() + " (connection refused): is the port right? 465, 587 and 25 are usual"
	case errors.As(err, &op) && op.Op == "dial" && op.Timeout(), errors.As(err, &op) && op.Op == "dial" && errors.Is(err, context.DeadlineExceeded):
		return "no answer from " + to.String() + ": a firewall may be in the way, or the port is wrong"
	case errors.As(err, &op) && op.Op == "dial":
		return "cannot connect to " + to.String() + ": " + op.Err.Error()
	case errors.As(err, &timeout) && timeout.Timeout() && h.tls != tlsImplicit && to.Port() == portSMTPS:
		return "the server says nothing at port " + port + ": this port wants TLS=Implicit"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "the server at " + to.String() + " takes the connection and says nothing"
	}
	return "the connection with " + to.String() + " broke: " + err.Error()
}

// send sends the message.
func (r *rehearsal) send(from, to address.Address) bool {
	defer r.c.quit()
	release := r.c.obey(r.ctx)
	defer release()
	l := r.c.limits
	author := mail.Address{Name: r.g.SenderName, Address: from.String()}
	text := strings.Join([]string{
		"From: " + author.String(), "To: <" + to.String() + ">", "Subject: Test of the gateway " + r.g.name,
		"Date: " + time.Now().Format("Mon, 02 Jan 2006 15:04:05 -0700"),
		"Message-ID: <gateway-" + strconv.FormatInt(time.Now().UnixNano(), 36) + "@" + r.t.domain() + ">",
		"Auto-Submitted: auto-generated", "MIME-Version: 1.0", "Content-Type: text/plain; charset=utf-8", "",
		"This message was sent to test the gateway " + r.g.name + ".", ".",
	}, "\r\n")
	for _, step := range []struct {
		limit           time.Duration
		command         string
		want            int
		refused, advice string
		taken           string
	}{
		{l.mail, "MAIL FROM:<" + from.String() + ">", 250, "the server refused the return-path <" + from.String() + ">", "; set SenderAddress to one that it takes", ""},
		{l.rcpt, "RCPT TO:<" + to.String() + ">", 250, "the server refused the recipient <" + to.String() + ">", "", ""},
		{l.data, "DATA", 354, "the server refused the message", "", ""},
		{l.final, text, 250, "the server refused the message", "", "the server took a message to <" + to.String() + ">"},
	} {
		rep, err := r.c.command(step.limit, step.command)
		switch {
		case err != nil:
			r.say("the connection broke: %v", err)
			return false
		case rep.code != step.want && !(rep.code == 251 && step.want == 250):
			r.say("%s: %s%s", step.refused, rep.String(), step.advice)
			return false
		case step.taken != "":
			r.say("%s: %s", step.taken, rep.String())
		}
	}
	return true
}
