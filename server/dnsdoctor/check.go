package dnsdoctor

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"gatepost/server/fault"
	"gatepost/server/resolver"
)

// checks bounds the look-ups at a time.
const checks = 8

// Check compares the records of a domain with those in the DNS. There is a finding for each record.
func Check(ctx context.Context, r *resolver.Resolver, f Facts) []Finding {
	records := Records(f)
	list := make([]Finding, len(records))
	slots := make(chan struct{}, checks)
	var wait sync.WaitGroup
	for i, rec := range records {
		wait.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			list[i] = checkRecord(ctx, r, f, rec)
			list[i].Subject = rec.Name + " " + rec.Type
		})
	}
	wait.Wait()
	// Without an address of our own: whatever the host has must lead here, which nobody can see from inside.
	if len(f.IPs) == 0 {
		list = append(list, hostAddress(ctx, r, f))
	}
	return list
}

// lookUp returns the records of a name and type as texts.
func lookUp(ctx context.Context, r *resolver.Resolver, rec Record) ([]string, error) {
	switch rec.Type {
	case "MX":
		a, err := r.MX(ctx, rec.Name)
		return texts(a.Records, err, func(m resolver.MX) string {
			return fmt.Sprintf("%d %s.", m.Preference, strings.TrimSuffix(m.Host, "."))
		})
	case "A":
		a, err := r.A(ctx, rec.Name)
		return texts(a.Records, err, netip.Addr.String)
	case "AAAA":
		a, err := r.AAAA(ctx, rec.Name)
		return texts(a.Records, err, netip.Addr.String)
	case "TXT":
		a, err := r.TXT(ctx, rec.Name)
		return texts(a.Records, err, func(s string) string { return s })
	case "SRV":
		a, err := r.SRV(ctx, rec.Name)
		return texts(a.Records, err, func(s resolver.SRV) string {
			return fmt.Sprintf("%d %d %d %s.", s.Priority, s.Weight, s.Port, strings.TrimSuffix(s.Host, "."))
		})
	case "TLSA":
		a, err := r.TLSA(ctx, rec.Name)
		return texts(a.Records, err, func(t resolver.TLSA) string {
			return fmt.Sprintf("%d %d %d %s", t.Usage, t.Selector, t.MatchingType, t.Data)
		})
	case "PTR":
		ip, ok := address(rec.Name)
		if !ok {
			return nil, fault.New("dnsdoctor.lookUp", fault.Invalid, "not an address")
		}
		a, err := r.PTR(ctx, ip)
		return texts(a.Records, err, func(s string) string { return strings.TrimSuffix(s, ".") + "." })
	}
	// A CNAME may as well be an address record: what counts is where it leads.
	a, err := r.A(ctx, rec.Name)
	if err == nil && len(a.Records) == 0 {
		a, err = r.AAAA(ctx, rec.Name)
	}
	if err != nil || len(a.Records) == 0 {
		return nil, err
	}
	return []string{a.Name + "."}, nil
}

func texts[T any](records []T, err error, text func(T) string) ([]string, error) {
	if fault.Is(err, fault.NoHost) {
		return nil, nil
	}
	list := make([]string, len(records))
	for i, r := range records {
		list[i] = text(r)
	}
	return list, err
}

// address is the address of a name below in-addr.arpa or ip6.arpa.
func address(name string) (netip.Addr, bool) {
	if rest, ok := strings.CutSuffix(name, ".in-addr.arpa"); ok {
		parts := strings.Split(rest, ".")
		slices.Reverse(parts)
		ip, err := netip.ParseAddr(strings.Join(parts, "."))
		return ip, err == nil
	}
	rest, ok := strings.CutSuffix(name, ".ip6.arpa")
	digits := strings.Split(rest, ".")
	if !ok || len(digits) != 32 {
		return netip.Addr{}, false
	}
	slices.Reverse(digits)
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && i%4 == 0 {
			b.WriteByte(':')
		}
		b.WriteString(d)
	}
	ip, err := netip.ParseAddr(b.String())
	return ip, err == nil
}

// checkRecord compares one record.
func checkRecord(ctx context.Context, r *resolver.Resolver, f Facts, rec Record) Finding {
	found, err := lookUp(ctx, r, rec)
	if fault.Is(err, fault.NoHost) {
		err = nil
	}
	if err != nil {
		return Finding{State: Unknown, Text: "It could not be looked up: " + fault.Text(err) + "."}
	}
	bad := Problem
	if rec.Optional {
		bad = Advice
	}
	add := "add " + rec.Type + " " + rec.Value
	switch {
	case rec.Type == "MX":
		return checkMX(f, rec, found)
	case rec.Type == "TXT" && strings.HasPrefix(rec.Value, "v=spf1"):
		return checkSPF(rec, found, bad)
	case rec.Type == "TXT" && strings.HasPrefix(rec.Value, "v=DMARC1"):
		return checkDMARC(f, rec, found)
	case rec.Type == "TXT" && strings.HasPrefix(rec.Value, "v=DKIM1"):
		return checkDKIM(rec, found)
	case rec.Type == "TXT" && strings.HasPrefix(rec.Value, "v=STSv1"):
		return checkPolicy(rec, found)
	case rec.Type == "TXT":
		version, _, _ := strings.Cut(rec.Value, ";")
		if slices.ContainsFunc(found, func(s string) bool { return strings.HasPrefix(s, version) }) {
			return Finding{State: OK, Text: "It is there."}
		}
	case slices.ContainsFunc(found, func(s string) bool { return strings.EqualFold(s, rec.Value) }):
		return Finding{State: OK, Text: "It is there."}
	case rec.Type == "CNAME" && len(found) > 0:
		return Finding{State: Advice, Text: fmt.Sprintf("It leads to %s; let it lead to %s unless that is another name of this server.", found[0], rec.Value)}
	case rec.Type == "SRV" && len(found) > 0:
		return Finding{State: Advice, Text: fmt.Sprintf("It says %s; %s would lead here.", strings.Join(found, ", "), rec.Value)}
	case rec.Type == "PTR" && len(found) > 0:
		return Finding{State: bad, Text: fmt.Sprintf("The address is called %s; have whoever gave it to you call it %s.", strings.Join(found, ", "), rec.Value)}
	case rec.Type == "PTR":
		return Finding{State: bad, Text: "The address has no name, and large providers refuse mail from such; have whoever gave it to you call it " + rec.Value}
	case rec.Type == "TLSA" && len(found) > 0:
		return Finding{State: Problem, Text: "It names another certificate, so others refuse to deliver: replace it by " + rec.Value + "."}
	case len(found) > 0:
		return Finding{State: bad, Text: fmt.Sprintf("It says %s; this server has %s.", strings.Join(found, ", "), rec.Value)}
	}
	return Finding{State: bad, Text: "It is missing: " + add + "."}
}

func checkMX(f Facts, rec Record, found []string) Finding {
	hosts := make([]string, len(found))
	for i, m := range found {
		_, hosts[i], _ = strings.Cut(m, " ")
	}
	switch {
	case len(found) == 0:
		return Finding{State: Problem, Text: "Others do not find a mail server for the domain: add MX " + rec.Value}
	case len(found) == 1 && hosts[0] == ".":
		return Finding{State: Problem, Text: "The record says that the domain takes no mail: replace it by MX " + rec.Value}
	case !slices.ContainsFunc(hosts, func(h string) bool { return strings.EqualFold(h, f.Host+".") || strings.EqualFold(h, f.Name+".") }):
		return Finding{State: Problem, Text: fmt.Sprintf("Mail for the domain goes to %s and not here: add MX %s", strings.Join(hosts, ", "), rec.Value)}
	case len(found) > 1:
		return Finding{State: OK, Text: "It is there, beside others: " + strings.Join(found, ", ")}
	}
	return Finding{State: OK, Text: "It is there."}
}

// checkPolicy: others fetch the policy again when its id changes.
func checkPolicy(rec Record, found []string) Finding {
	records := slices.DeleteFunc(slices.Clone(found), func(s string) bool { return !strings.HasPrefix(s, "v=STSv1") })
	id := func(s string) string {
		for field := range strings.SplitSeq(s, ";") {
			if v, ok := strings.CutPrefix(strings.TrimSpace(field), "id="); ok {
				return v
			}
		}
		return ""
	}
	switch {
	case len(records) == 0:
		return Finding{State: Problem, Text: `Others do not see that there is a policy: add TXT "` + rec.Value + `".`}
	case len(records) > 1:
		return Finding{State: Problem, Text: "There are several records, which counts as none: keep one."}
	case id(records[0]) != id(rec.Value):
		return Finding{State: Problem, Text: `The policy has changed since, and others keep the old one: replace the record by "` + rec.Value + `".`}
	}
	return Finding{State: OK, Text: "It is there."}
}

func checkSPF(rec Record, found []string, bad State) Finding {
	var records []string
	for _, s := range found {
		if v, _, _ := strings.Cut(s, " "); strings.EqualFold(v, "v=spf1") {
			records = append(records, s)
		}
	}
	switch {
	case len(records) == 0:
		return Finding{State: bad, Text: `It is missing: add TXT "` + rec.Value + `".`}
	case len(records) > 1:
		return Finding{State: Problem, Text: "There are several SPF records, which counts as an error: keep one."}
	case strings.Contains(records[0], "+all") || strings.HasSuffix(records[0], " all"):
		return Finding{State: Problem, Text: "It lets everybody send in the name of the domain: replace +all by ~all."}
	case strings.Contains(records[0], "?all"):
		return Finding{State: Advice, Text: "It ends in ?all, which says nothing: replace it by ~all."}
	}
	return Finding{State: OK, Text: "It is there: " + records[0]}
}

func checkDMARC(f Facts, rec Record, found []string) Finding {
	var records []string
	for _, s := range found {
		if strings.HasPrefix(s, "v=DMARC1") {
			records = append(records, s)
		}
	}
	switch {
	case len(records) == 0:
		return Finding{State: Problem, Text: `It is missing, and large providers ask for it: add TXT "` + rec.Value + `".`}
	case len(records) > 1:
		return Finding{State: Problem, Text: "There are several DMARC records, which count as none: keep one."}
	case f.Aggregate != "" && !strings.Contains(strings.ToLower(records[0]), "mailto:"+strings.ToLower(f.Aggregate)):
		return Finding{State: Advice, Text: "Its rua does not lead here, so this server cannot show who sends in the name of the domain: add mailto:" + f.Aggregate + " to rua."}
	case strings.Contains(strings.ReplaceAll(records[0], " ", ""), ";p=none"):
		return Finding{State: Advice, Text: "It asks others to do nothing (p=none): when the reports look right, make it p=quarantine or p=reject."}
	}
	return Finding{State: OK, Text: "It is there: " + records[0]}
}

// CheckKey says whether a DKIM key is published.
func CheckKey(ctx context.Context, r *resolver.Resolver, k Key) (State, string) {
	f := checkRecord(ctx, r, Facts{}, Record{Name: k.Name, Type: "TXT", Value: k.Text})
	return f.State, f.Text
}

func checkDKIM(rec Record, found []string) Finding {
	key := func(s string) string {
		for part := range strings.SplitSeq(s, ";") {
			if name, value, _ := strings.Cut(part, "="); strings.TrimSpace(name) == "p" {
				return strings.Join(strings.Fields(value), "")
			}
		}
		return ""
	}
	switch {
	case len(found) == 0:
		return Finding{State: Problem, Text: "The key is not published, so signatures do not verify: add the TXT record."}
	case len(found) > 1:
		return Finding{State: Problem, Text: "There are several records at the name, which counts as an error: keep that of this key."}
	case key(found[0]) != key(rec.Value):
		return Finding{State: Problem, Text: "Another key, or a part of this one, is published: replace the record. Some DNS pages cut texts at 255 characters."}
	}
	return Finding{State: OK, Text: "The key is published."}
}

// hostAddress looks at the name of the server when its own addresses are not known.
func hostAddress(ctx context.Context, r *resolver.Resolver, f Facts) Finding {
	out := Finding{State: Advice, Subject: f.Host}
	a, err := r.Addresses(ctx, f.Host)
	switch {
	case err != nil && !fault.Is(err, fault.NoHost):
		out.State, out.Text = Unknown, "It could not be looked up: "+fault.Text(err)+"."
	case len(a.Records) == 0:
		out.State, out.Text = Problem, "It has no address: add an A record with the public address of this machine."
	default:
		out.Text = fmt.Sprintf("It leads to %s. This machine has only private addresses, so whether that leads here cannot be seen from inside.", joined(a.Records))
	}
	return out
}

func joined(ips []netip.Addr) string {
	list := make([]string, len(ips))
	for i, ip := range ips {
		list[i] = ip.String()
	}
	return strings.Join(list, ", ")
}

// Outside is what CheckHost connects to and asks.
type Outside struct {
	// Known is a domain that surely exists and has mail servers; its first one is connected to on port 25.
	Known string
	// Lists are zones of blocked addresses (RFC 5782).
	Lists []string
	// Dial connects.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Stock is the outside as it is.
func Stock() Outside {
	d := &net.Dialer{Timeout: 10 * time.Second}
	return Outside{Known: "gmail.com", Lists: []string{"zen.spamhaus.org", "bl.spamcop.net"}, Dial: d.DialContext}
}

// CheckHost looks at the machine.
func CheckHost(ctx context.Context, r *resolver.Resolver, f Facts, o Outside) []Finding {
	var list []Finding
	add := func(state State, subject, format string, args ...any) {
		list = append(list, Finding{state, subject, fmt.Sprintf(format, args...)})
	}
	mx, err := r.MX(ctx, o.Known)
	switch {
	case err != nil || len(mx.Records) == 0:
		add(Problem, "resolver", "The mail servers of %s could not be looked up: mail to others cannot leave. Look at SETDNRSETTINGS and /etc/resolv.conf.", o.Known)
	case !mx.Secure:
		add(OK, "resolver", "It answers. It does not validate DNSSEC, which DANE would need: a validating resolver on this machine would.")
	default:
		add(OK, "resolver", "It answers.")
	}
	if len(mx.Records) > 0 {
		best := slices.MinFunc(mx.Records, func(a, b resolver.MX) int { return int(a.Preference) - int(b.Preference) })
		list = append(list, checkPort25(ctx, r, o, best.Host))
	}
	if !strings.Contains(f.Name, ".") {
		add(Problem, "name", "The server calls itself %s, which is no full domain name: many refuse mail from such. Set DomainName or rename the Main Domain.", f.Name)
	}
	if a, err := r.Addresses(ctx, f.Name); err == nil && slices.ContainsFunc(a.Records, netip.Addr.IsLoopback) {
		add(Problem, "name", "On this machine %s leads to a loopback address: look at /etc/hosts.", f.Name)
	}
	for _, ip := range f.IPs {
		list = append(list, checkReverse(ctx, r, f, ip))
		for _, zone := range o.Lists {
			list = append(list, checkListed(ctx, r, ip, zone))
		}
	}
	if len(f.IPs) == 0 {
		add(Advice, "address", "This machine has only private addresses: reverse name and lists of blocked addresses are those of the router before it, and were not looked at.")
	}
	return list
}

func checkPort25(ctx context.Context, r *resolver.Resolver, o Outside, host string) Finding {
	out := Finding{State: Problem, Subject: "port 25"}
	a, err := r.A(ctx, host)
	if err != nil || len(a.Records) == 0 {
		out.State, out.Text = Unknown, host+" has no address that could be connected to."
		return out
	}
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	c, err := o.Dial(ctx, "tcp", netip.AddrPortFrom(a.Records[0], 25).String())
	if err != nil {
		out.Text = fmt.Sprintf("Port 25 of %s cannot be reached (%s): mail cannot leave. Ask your provider to open it, or send through a gateway.", host, err)
		return out
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	b := make([]byte, 4)
	if n, err := c.Read(b); err != nil || !strings.HasPrefix(string(b[:n]), "220") {
		out.Text = fmt.Sprintf("%s does not greet on port 25: somebody between may block it.", host)
		return out
	}
	return Finding{State: OK, Subject: "port 25", Text: "Port 25 of others can be reached."}
}

func checkReverse(ctx context.Context, r *resolver.Resolver, f Facts, ip netip.Addr) Finding {
	out := Finding{State: Problem, Subject: "reverse name of " + ip.String()}
	names, err := r.PTR(ctx, ip)
	switch {
	case err != nil && !fault.Is(err, fault.NoHost):
		out.State, out.Text = Unknown, "It could not be looked up: "+fault.Text(err)+"."
		return out
	case len(names.Records) == 0:
		out.Text = "There is none, and large providers refuse mail from such an address: have whoever gave you the address call it " + f.Name + "."
		return out
	}
	for _, name := range names.Records {
		name = strings.TrimSuffix(name, ".")
		a, err := r.Addresses(ctx, name)
		if err == nil && slices.Contains(a.Records, ip) {
			if !strings.EqualFold(name, f.Name) {
				return Finding{State: Advice, Subject: out.Subject, Text: fmt.Sprintf("It is %s, which leads back; better is the name that the server gives itself, %s.", name, f.Name)}
			}
			return Finding{State: OK, Subject: out.Subject, Text: "It is " + name + " and leads back."}
		}
	}
	out.Text = fmt.Sprintf("It is %s, which does not lead back to the address: add an A or AAAA record.", strings.Join(names.Records, ", "))
	return out
}

func checkListed(ctx context.Context, r *resolver.Resolver, ip netip.Addr, zone string) Finding {
	out := Finding{State: OK, Subject: ip.String() + " in " + zone, Text: "The address is not listed."}
	name := strings.TrimSuffix(strings.TrimSuffix(reverse(ip), ".in-addr.arpa"), ".ip6.arpa")
	a, err := r.A(ctx, name+"."+zone)
	switch {
	case fault.Is(err, fault.NoHost):
	case err != nil:
		out.State, out.Text = Unknown, "It could not be looked up: "+fault.Text(err)+"."
	case slices.ContainsFunc(a.Records, func(x netip.Addr) bool { return x.Is4() && x.As4()[0] == 127 && x.As4()[1] == 255 }):
		out.State, out.Text = Unknown, "The list does not answer your resolver: public resolvers are refused there."
	case slices.ContainsFunc(a.Records, func(x netip.Addr) bool { return x.Is4() && x.As4()[0] == 127 }):
		out.State, out.Text = Problem, "The address is listed, and many refuse its mail: look at the list's pages for the reason and how to get out."
	}
	return out
}
