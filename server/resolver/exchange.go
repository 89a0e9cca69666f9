package resolver

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"

	"gatepost/server/logs"
)

const (
	// payload is the size of UDP answers that passes everywhere without fragments.
	payload = 1232
	// largest is what is read of a datagram, also of one that is larger than we have said.
	largest = 8 << 10
	// downFor is how long a name server that has failed is asked last.
	downFor = 30 * time.Second
)

// rcodeError is an answer that tells of a failure of the name server.
type rcodeError struct {
	server netip.AddrPort
	rcode  int // -1: it does not look up for others
}

func (e *rcodeError) Error() string { return serverName(e.server) + ": " + e.words() }

func (e *rcodeError) words() string {
	if e.rcode < 0 {
		return "the name server does not look up for others"
	}
	if s, ok := dns.RcodeToString[e.rcode]; ok {
		return s
	}
	return fmt.Sprintf("RCODE %d", e.rcode)
}

// exchangeAny asks one name server after the other, as often as the settings say, until one
// answers. The error is the last of each.
func (n *nameServers) exchangeAny(ctx context.Context, q question) (*dns.Msg, bool, error) {
	s := n.settings.Get()
	servers, trusted := s.Servers, false
	if len(servers) == 0 {
		servers, trusted = n.system.servers()
	}
	last := map[netip.AddrPort]error{}
	for range s.Attempts {
		for _, server := range n.order(servers) {
			msg, err := n.exchange(ctx, server, q, s.TimeOut.Duration())
			if err == nil {
				n.setDown(server, false)
				secure := msg.AuthenticatedData && (s.TrustAD == "Always" || s.TrustAD == "Loopback" && (trusted || server.Addr().IsLoopback()))
				return msg, secure, nil
			}
			last[server] = err
			if ctx.Err() != nil {
				return nil, false, errors.Join(inOrder(servers, last)...)
			}
			n.setDown(server, true)
			n.silent.Log(n.log, logs.LevelProblem, "a name server has failed", slog.String("server", serverName(server)),
				slog.String("name", q.name), slog.String("type", typeName(q.qtype)), slog.Any(logs.AttrError, err))
		}
	}
	return nil, false, errors.Join(inOrder(servers, last)...)
}

func inOrder(servers Servers, errs map[netip.AddrPort]error) []error {
	var out []error
	for _, s := range servers {
		out = append(out, errs[s])
	}
	return out
}

// order puts name servers that have failed lately after the others.
func (n *nameServers) order(servers Servers) []netip.AddrPort {
	n.mu.Lock()
	defer n.mu.Unlock()
	var up, down []netip.AddrPort
	for _, s := range servers {
		if t, failed := n.down[s]; failed && time.Since(t) < downFor {
			down = append(down, s)
		} else {
			up = append(up, s)
		}
	}
	return append(up, down...)
}

func (n *nameServers) setDown(server netip.AddrPort, down bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !down {
		delete(n.down, server)
		return
	}
	if len(n.down) >= 4*maxServers { // of former settings
		clear(n.down)
	}
	n.down[server] = time.Now()
}

// exchange asks one name server, over UDP and, if the answer is cut off, over TCP. An answer
// of no use is an error.
func (n *nameServers) exchange(ctx context.Context, server netip.AddrPort, q question, limit time.Duration) (*dns.Msg, error) {
	ask := new(dns.Msg)
	ask.SetQuestion(q.name+".", q.qtype)
	ask.AuthenticatedData = true // tell whether it is (RFC 6840 section 5.7)
	ask.SetEdns0(payload, false)
	for {
		msg, err := n.send(ctx, "udp", server, ask, limit)
		if err == nil && msg.Truncated {
			msg, err = n.send(ctx, "tcp", server, ask, limit)
		}
		if err != nil {
			return nil, err
		}
		switch {
		case ask.IsEdns0() != nil && (msg.Rcode == dns.RcodeFormatError || msg.Rcode == dns.RcodeNotImplemented || msg.Rcode == dns.RcodeBadVers):
			ask.Extra = nil // it may not know EDNS (RFC 6891 section 7)
			continue
		case msg.Rcode != dns.RcodeSuccess && msg.Rcode != dns.RcodeNameError:
			return nil, &rcodeError{server, msg.Rcode}
		case !msg.RecursionAvailable && !msg.Authoritative && len(msg.Answer) == 0:
			return nil, &rcodeError{server, -1}
		}
		return msg, nil
	}
}

// send makes one exchange. Every exchange has an ID and a port of its own, which a stranger would
// have to guess both (RFC 5452).
func (n *nameServers) send(ctx context.Context, network string, server netip.AddrPort, ask *dns.Msg, limit time.Duration) (*dns.Msg, error) {
	ask.Id = dns.Id()
	wire, err := ask.Pack()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, server.String())
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if network == "tcp" {
		return sendStream(conn, ask, wire)
	}
	if _, err := conn.Write(wire); err != nil {
		return nil, err
	}
	buf := datagrams.Get().(*[largest]byte)
	defer datagrams.Put(buf)
	for {
		size, err := conn.Read(buf[:])
		if err != nil {
			return nil, err
		}
		if msg := answerTo(ask, buf[:size], true); msg != nil {
			return msg, nil
		}
	}
}

var datagrams = sync.Pool{New: func() any { return new([largest]byte) }}

// sendStream makes an exchange over TCP (RFC 1035 section 4.2.2).
func sendStream(conn net.Conn, ask *dns.Msg, wire []byte) (*dns.Msg, error) {
	if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(wire))), wire...)); err != nil {
		return nil, err
	}
	var size [2]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		return nil, err
	}
	answer := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(conn, answer); err != nil {
		return nil, err
	}
	msg := answerTo(ask, answer, false)
	if msg == nil {
		return nil, fmt.Errorf("%s: the answer over TCP is not one to our question", conn.RemoteAddr())
	}
	return msg, nil
}

// answerTo reads an answer; nil if the bytes are none to this question. One that says that it is
// cut off may end anywhere.
func answerTo(ask *dns.Msg, wire []byte, mayBeCut bool) *dns.Msg {
	msg := new(dns.Msg)
	if err := msg.Unpack(wire); err != nil && !(mayBeCut && msg.Truncated) {
		return nil
	}
	if msg.Id != ask.Id || !msg.Response || msg.Opcode != dns.OpcodeQuery {
		return nil
	}
	if len(msg.Question) == 0 && msg.Rcode == dns.RcodeFormatError {
		return msg // it could not read the question
	}
	if len(msg.Question) != 1 {
		return nil
	}
	got, want := msg.Question[0], ask.Question[0]
	if got.Qtype != want.Qtype || got.Qclass != want.Qclass || !strings.EqualFold(got.Name, want.Name) {
		return nil
	}
	return msg
}

// part is what one message says to a question.
type part struct {
	name    string // where its CNAMEs lead
	records []dns.RR
	links   int
	ttl     time.Duration
	missing bool // the name does not exist
	more    bool // the message ends within the CNAMEs
	looped  bool
}

// maxRecords bounds an answer: there is no use for more.
const maxRecords = 1000

// read takes from a message what belongs to a question, following CNAMEs as far as the message has
// them, links at most. All else in it is nobody's business.
func read(q question, msg *dns.Msg, links int) part {
	p := part{name: q.name, ttl: maxTTL}
	keep := func(rr dns.RR) { p.ttl = min(p.ttl, ttlOf(rr.Header().Ttl)) }
	for {
		var next string
		for _, rr := range msg.Answer {
			h := rr.Header()
			if h.Class != dns.ClassINET || !strings.EqualFold(strings.TrimSuffix(h.Name, "."), p.name) {
				continue
			}
			switch {
			case h.Rrtype == q.qtype:
				if len(p.records) < maxRecords {
					p.records = append(p.records, rr)
					keep(rr)
				}
			case h.Rrtype == dns.TypeCNAME && next == "":
				if cname, ok := rr.(*dns.CNAME); ok {
					next = plainName(cname.Target)
					keep(rr)
				}
			}
		}
		if len(p.records) > 0 || next == "" {
			break
		}
		if p.links == links || next == q.name {
			p.looped = true
			return p
		}
		if _, err := absolute(next); err != nil { // nothing can be there
			p.name, p.missing = next, true
			return p
		}
		p.name = next
		p.links++
	}
	if len(p.records) > 0 {
		return p
	}
	p.missing = msg.Rcode == dns.RcodeNameError
	soa := negativeTTL(msg)
	p.more = p.links > 0 && !p.missing && soa < 0
	if !p.more {
		p.ttl = min(p.ttl, max(soa, 0))
	}
	return p
}

// The limits of how long an answer is kept.
const (
	maxTTL      = 24 * time.Hour
	maxNegative = 3 * time.Hour
	// A failure is kept for as long as the look-up took, within these limits (RFC 9520 section 3.2).
	failureTTL    = 2 * time.Second
	maxFailureTTL = 30 * time.Second
)

// keepFailure returns how long a failure is kept that took some time to find out.
func keepFailure(took time.Duration) time.Duration { return min(max(took, failureTTL), maxFailureTTL) }

// ttlOf reads a TTL; one with the highest bit is 0 (RFC 2181 section 8).
func ttlOf(seconds uint32) time.Duration {
	if seconds > 1<<31-1 {
		return 0
	}
	return min(time.Duration(seconds)*time.Second, maxTTL)
}

// negativeTTL is how long it holds that there is nothing (RFC 2308 section 5), or -1 if the
// message does not say.
func negativeTTL(msg *dns.Msg) time.Duration {
	for _, rr := range msg.Ns {
		if soa, ok := rr.(*dns.SOA); ok {
			return min(ttlOf(soa.Minttl), ttlOf(soa.Hdr.Ttl), maxNegative)
		}
	}
	return -1
}
