package relay

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"gatepost/queue"
	"gatepost/router/address"
	"gatepost/server/dataformat"
	"gatepost/server/settings"
)

// Settings of sending.
type Settings struct {
	SmartHost       Host            `key:"SmartHost" level:"basic" since:"0.1" help:"host that takes all mail for elsewhere, as host or host:port, with lmtp: before it for LMTP, or lmtp:/path/of/socket; empty for none"`
	SmartHostTLS    string          `key:"SmartHostTLS" default:"If Offered" values:"Never|If Offered|Required|Verified|Implicit" level:"basic" since:"0.1" help:"encryption towards the smart host; Verified and Implicit verify its certificate, and so does Required here"`
	WithoutHost     string          `key:"WithoutSmartHost" default:"MX" values:"MX|Wait|Return" level:"advanced" since:"0.1" help:"mail for elsewhere while no smart host is set: to the servers that the domain's MX records name, waits, or is returned"`
	Hold            []string        `key:"HoldForDomains" level:"advanced" since:"0.2" help:"domains whose mail waits until they ask for it (ETRN, a message to domain%wakeup, RELEASESMTPQUEUE); * stands for any beginning"`
	HELOName        string          `key:"HELOName" level:"advanced" since:"0.1" help:"name in EHLO; empty for the Main Domain"`
	SourceIP        SourceIPs       `key:"SourceIP" level:"advanced" since:"0.2" help:"addresses of this server to connect from, one of each family; none leaves the choice to the system"`
	Destinations    Destinations    `key:"Destinations" level:"advanced" since:"0.2" help:"how mail for some domains is sent, by their names, such as {example.org={TLS=Verified;};}; *.example.org for all names below it, * for all"`
	DANE            settings.Flag   `key:"DANE" default:"YES" level:"advanced" since:"0.2" help:"mail servers whose domain has TLSA records, validated by DNSSEC, get mail only with such a certificate; it needs a validating name server, see TrustAD of DNR"`
	MTASTS          settings.Flag   `key:"MTASTS" default:"YES" level:"advanced" since:"0.2" help:"policies of domains that say which certificates their mail servers have (MTA-STS) are fetched and followed"`
	Channels        int             `key:"Channels" default:"50" unit:"connections" level:"advanced" since:"0.1" help:"outgoing connections to hosts that answer; 0 stops sending"`
	SilentChannels  int             `key:"SilentChannels" default:"200" unit:"connections" level:"advanced" since:"0.1" help:"outgoing connections, besides Channels, to hosts that have not answered yet, or not for more than two seconds while other mail waits"`
	ChannelsPerHost int             `key:"ChannelsPerHost" default:"20" unit:"connections" level:"advanced" since:"0.1" help:"most connections to one host, or to the hosts that domains share; a host gets that many after it has taken mail through fewer"`
	Backlog         int             `key:"NewChannelIfLonger" default:"10" unit:"messages" level:"advanced" since:"0.1" help:"messages that have to wait for each connection before another is opened"`
	First           queue.Delays    `key:"RetryFirst" default:"1m, 5m, 15m" level:"advanced" since:"0.1" help:"intervals after the first attempts"`
	Every           settings.Period `key:"RetryEvery" default:"30m" level:"basic" since:"0.1" help:"retry interval after the first attempts"`
	EveryFor        settings.Period `key:"RetryEveryFor" default:"4h" level:"basic" since:"0.1" help:"age of a message until which RetryEvery applies"`
	Then            settings.Period `key:"RetryThenEvery" default:"2h" level:"basic" since:"0.1" help:"retry interval after that"`
	Expire          settings.Period `key:"RetryFor" default:"5d" level:"basic" since:"0.1" help:"age at which a message that could not be sent is returned; never tries for ever"`
	Warn            queue.Delays    `key:"SendWarningsAfter" default:"4h, 24h" level:"basic" since:"0.1" help:"ages at which the sender is told that a message is delayed"`
}

// Validate checks the values together.
func (s *Settings) Validate() error {
	if s.Channels < 0 || s.SilentChannels < 1 || s.ChannelsPerHost < 1 || s.Backlog < 1 {
		return errors.New("the numbers Channels, SilentChannels, ChannelsPerHost and NewChannelIfLonger must be positive")
	}
	if s.Every == 0 {
		return settings.BadValue("RetryEvery", "an interval is longer than nothing")
	}
	if s.Expire == 0 {
		return settings.BadValue("RetryFor", "it is longer than nothing, or never")
	}
	if s.HELOName == "" {
		return nil
	}
	if name, err := address.NormalizeDomain(s.HELOName); err != nil || !strings.EqualFold(name, s.HELOName) {
		return settings.BadValue("HELOName", "%q is not a host name in ASCII, such as mail.example.org", s.HELOName)
	}
	return nil
}

// Policy says how the SMTP queues are run.
func (t *Transport) Policy() queue.Policy {
	s := t.settings.Get()
	expire := s.Expire.Duration()
	if s.Expire == settings.Never {
		expire = 0
	}
	return queue.Policy{
		Workers: s.Channels, Silent: s.SilentChannels, PerQueue: s.ChannelsPerHost, Backlog: s.Backlog, BatchSize: 50, Warn: s.Warn, MayRepeat: true,
		Retry: queue.Schedule{
			First: s.First, Every: s.Every.Duration(), EveryFor: s.EveryFor.Duration(),
			Then: s.Then.Duration(), Expire: expire,
		},
	}
}

// Values of settings.
const (
	tlsNever    = "Never"
	ifOffered   = "If Offered"
	tlsRequired = "Required"
	tlsVerified = "Verified"
	tlsImplicit = "Implicit"

	byMX = "MX" // WithoutSmartHost
)

// Host is a host name or IP address with a port; the zero Host is none.
type Host struct {
	Name string
	Port int
	LMTP bool // it speaks LMTP; Name may be the path of a socket
}

// The ports that a host without one means.
const (
	portSMTP       = 25
	portSMTPS      = 465
	portSubmission = 587
)

// ParseHost reads host, host:port, 192.0.2.1, [2001:db8::1] or [2001:db8::1]:port, each with lmtp: before
// it if the host speaks LMTP, or lmtp:/path/of/socket.
func ParseHost(s string) (Host, error) {
	s = strings.TrimSpace(s)
	if s == "" {
		return Host{}, nil
	}
	if len(s) > len(lmtpPrefix) && strings.EqualFold(s[:len(lmtpPrefix)], lmtpPrefix) {
		return lmtpHost(s[len(lmtpPrefix):])
	}
	name, port, err := net.SplitHostPort(s)
	if err != nil {
		name, port = strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"), "0"
	}
	n, err := strconv.Atoi(port)
	if err != nil || n < 0 || n > 65535 || name == "" || strings.ContainsAny(name, " \t\r\n/@[]") {
		return Host{}, fmt.Errorf("%q is not a host (such as mail.example.org or mail.example.org:587)", s)
	}
	return Host{Name: name, Port: n}, nil
}

// IsZero reports whether there is no host.
func (h Host) IsZero() bool { return h.Name == "" }

func (h Host) String() string {
	switch {
	case h.IsZero():
		return ""
	case h.LMTP:
		plain := h
		plain.LMTP = false
		return lmtpPrefix + plain.String()
	case h.Port == 0 && strings.Contains(h.Name, ":"):
		return "[" + h.Name + "]"
	case h.Port == 0:
		return h.Name
	}
	return net.JoinHostPort(h.Name, strconv.Itoa(h.Port))
}

// SetValue reads a host.
func (h *Host) SetValue(v dataformat.Value) error {
	text, ok := dataformat.Text(v)
	if !ok {
		return errors.New("a host is expected")
	}
	parsed, err := ParseHost(text)
	if err == nil {
		*h = parsed
	}
	return err
}

// DataValue is the host as String prints it.
func (h Host) DataValue() dataformat.Value { return dataformat.String(h.String()) }

// timeouts are the stages' limits. RFC 5321 section 4.5.3.2 gives the least
// values; a connection that hangs holds up one worker and no more.
type timeouts struct {
	dial, greeting, mail, rcpt, data, block, final, quit time.Duration
}

var standardTimeouts = timeouts{
	dial: 30 * time.Second, greeting: 5 * time.Minute, mail: 5 * time.Minute, rcpt: 5 * time.Minute,
	data: 2 * time.Minute, block: 3 * time.Minute, final: 10 * time.Minute, quit: 5 * time.Second,
}
