package reports

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"gatepost/server/dataformat"
	"gatepost/server/durable"
	"gatepost/server/fault"
	"gatepost/server/logs"
	"gatepost/server/resolver"
	"gatepost/server/settings"
)

// This file counts what became of encrypted sessions with the mail servers of other domains, for the reports of RFC 8460.

// The kinds of policies (RFC 8460 section 4.4).
const (
	PolicyTLSA = "tlsa"
	PolicySTS  = "sts"
	NoPolicy   = "no-policy-found"
)

// TLSSession is what became of one try to have an encrypted session with a mail server of a domain.
type TLSSession struct {
	Domain string
	// Policy is the kind of policy that held. Text is the policy, its lines, and MX the hosts that a policy of MTA-STS names.
	Policy string
	Text   []string
	MX     []string
	// Host is the mail server, Remote its address, Local ours.
	Host          string
	Remote, Local netip.Addr
	// Result is empty for success, else a result-type of RFC 8460 section 4.3. Reason is the error in words.
	Result, Reason string
}

const (
	// maxTLSDomains bounds the domains of a day, maxTLSPolicies the policies of a domain, maxTLSFailures the kinds of failures of a policy.
	maxTLSDomains, maxTLSPolicies, maxTLSFailures = 20_000, 8, 50
	// maxTLSText bounds what is kept of a policy, in bytes, and maxTLSReason what is kept of an error.
	maxTLSText, maxTLSReason = 4 << 10, 300
)

// tlsPolicy is what sessions have in common that are counted together.
type tlsPolicy struct{ kind, text, mx string } // lines

type tlsFailure struct {
	result, host, reason string
	remote, local        netip.Addr
}

type tlsCounts struct {
	good     int64
	bad      int64 // all of them, also those that are not told apart
	failures map[tlsFailure]int64
}

// tlsDay are the counts of a day, by domain.
type tlsDay struct {
	domains map[string]map[tlsPolicy]*tlsCounts
	dirty   bool // not in the file
}

func newTLSDay() *tlsDay { return &tlsDay{domains: map[string]map[tlsPolicy]*tlsCounts{}} }

// TLSOutbox counts sessions, and sends the reports of a day to the domains that ask for them.
type TLSOutbox struct {
	daily
	settings  *settings.Live[Settings]
	dns       *resolver.Resolver
	directory Directory
	client    *http.Client

	mu    sync.Mutex
	today string
	count *tlsDay // of today

	writing sync.Mutex // held while a day's file is written; before mu
}

// TLSOptions are what a TLSOutbox stands on.
type TLSOptions struct {
	Dir       string // need not exist
	Settings  *settings.Live[Settings]
	DNS       *resolver.Resolver
	Directory Directory
	Queue     Queue
	Log       *slog.Logger
}

// OpenTLSOutbox returns the outbox of a directory, and publishes the reports whose sending a crash has interrupted. The call comes
// before the queue runs and before others drop what is held.
func OpenTLSOutbox(p TLSOptions) (*TLSOutbox, error) {
	o := &TLSOutbox{daily: daily{p.Dir, p.Queue, logs.Component(p.Log, logTag), time.Now}, settings: p.Settings, dns: p.DNS, directory: p.Directory,
		client: newClient(p.DNS)}
	return o, o.open()
}

func (o *TLSOutbox) open() (err error) {
	o.today = day(o.now())
	if o.count, err = readTLSDay(o.path(o.today, dayFile)); err != nil {
		return err
	}
	return o.publishSent()
}

// Count counts a session.
func (o *TLSOutbox) Count(s TLSSession) {
	if !o.settings.Get().SendTLS || s.Domain == "" {
		return
	}
	now := day(o.now())
	o.mu.Lock()
	if now != o.today && o.count.dirty {
		o.mu.Unlock()
		o.flush(context.Background())
		o.mu.Lock()
	}
	defer o.mu.Unlock()
	if now != o.today && !o.count.dirty {
		o.today, o.count = now, newTLSDay()
	}
	o.count.add(strings.ToLower(s.Domain), tlsPolicy{s.Policy, cutTo(strings.Join(s.Text, "\n"), maxTLSText), cutTo(strings.Join(s.MX, "\n"), maxTLSText)},
		tlsFailure{s.Result, word(s.Host), cutTo(oneLine(s.Reason), maxTLSReason), s.Remote.Unmap().WithZone(""), s.Local.Unmap().WithZone("")}, 1)
}

func cutTo(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "")
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// add counts sessions; a failure without a result is a success. What finds no room is left out.
func (d *tlsDay) add(domain string, p tlsPolicy, f tlsFailure, n int64) {
	policies := d.domains[domain]
	if policies == nil {
		if len(d.domains) >= maxTLSDomains {
			return
		}
		policies = map[tlsPolicy]*tlsCounts{}
		d.domains[domain] = policies
	}
	c := policies[p]
	if c == nil {
		if len(policies) >= maxTLSPolicies {
			return
		}
		c = &tlsCounts{failures: map[tlsFailure]int64{}}
		policies[p] = c
	}
	d.dirty = true
	if f.result == "" {
		c.good = plus(c.good, n)
		return
	}
	c.bad = plus(c.bad, n)
	if _, there := c.failures[f]; there || len(c.failures) < maxTLSFailures {
		c.failures[f] = plus(c.failures[f], n)
	}
}

// flush writes the counts of today, if they have changed.
func (o *TLSOutbox) flush(ctx context.Context) {
	o.writing.Lock()
	defer o.writing.Unlock()
	o.mu.Lock()
	c, today := o.count, o.today
	if !c.dirty {
		o.mu.Unlock()
		return
	}
	text := dataformat.Compact(c.value()) + "\n"
	c.dirty = false
	o.mu.Unlock()
	err := makeDirectory(o.dir, o.dir)
	if err == nil {
		err = durable.ReplaceFile(o.path(today, dayFile), []byte(text), 0o600)
	}
	if err != nil {
		o.log.Log(ctx, logs.LevelFailure, "the counts for TLS reports could not be written", logs.AttrError, err)
		o.mu.Lock()
		c.dirty = o.count == c
		o.mu.Unlock()
	}
}

func texts(list ...string) dataformat.Array {
	a := make(dataformat.Array, len(list))
	for i, s := range list {
		a[i] = dataformat.String(s)
	}
	return a
}

// value is the content of a file: for each domain its policies, each an array of kind, text, hosts, sessions, failed sessions, and the failures.
func (d *tlsDay) value() dataformat.Value {
	out := dataformat.Dict{}
	for domain, policies := range d.domains {
		list := dataformat.Array{}
		for p, c := range policies {
			failures := dataformat.Array{}
			for f, n := range c.failures {
				failures = append(failures, texts(f.result, f.host, f.reason, sourceText(f.remote), sourceText(f.local), strconv.FormatInt(n, 10)))
			}
			list = append(list, append(texts(p.kind, p.text, p.mx, strconv.FormatInt(c.good, 10), strconv.FormatInt(c.bad, 10)), failures))
		}
		out[domain] = list
	}
	return out
}

// readTLSDay reads the file of a day, which need not exist.
func readTLSDay(path string) (*tlsDay, error) {
	day := newTLSDay()
	d, err := dataformat.ReadDict(path)
	if errors.Is(err, fs.ErrNotExist) {
		return day, nil
	}
	if err != nil {
		return nil, err
	}
	corrupt := fault.New("reports.Read", fault.Corrupt, path+" cannot be read")
	for domain, v := range d {
		list, _ := v.(dataformat.Array)
		day.domains[domain] = map[tlsPolicy]*tlsCounts{}
		for _, e := range list {
			one, _ := e.(dataformat.Array)
			if len(one) != 6 {
				return nil, corrupt
			}
			w, ok := words(one[:5], 5)
			failures, isList := one[5].(dataformat.Array)
			if !ok || !isList {
				return nil, corrupt
			}
			c := &tlsCounts{failures: map[tlsFailure]int64{}}
			var err1, err2 error
			c.good, err1 = strconv.ParseInt(w[3], 10, 64)
			c.bad, err2 = strconv.ParseInt(w[4], 10, 64)
			if errors.Join(err1, err2) != nil {
				return nil, corrupt
			}
			for _, e := range failures {
				w, ok := words(e, 6)
				if !ok {
					return nil, corrupt
				}
				n, err := strconv.ParseInt(w[5], 10, 64)
				if err != nil {
					return nil, corrupt
				}
				f := tlsFailure{result: w[0], host: w[1], reason: w[2]}
				f.remote, _ = netip.ParseAddr(w[3]) // there may be none
				f.local, _ = netip.ParseAddr(w[4])
				c.failures[f] = n
			}
			day.domains[domain][tlsPolicy{w[0], w[1], w[2]}] = c
		}
	}
	return day, nil
}
