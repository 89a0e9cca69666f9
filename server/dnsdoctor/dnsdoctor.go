// Package dnsdoctor knows the DNS records that a domain of this server needs, and compares them
// with those that there are.
//
// Records says what there should be, with a reason each; Zone writes that as a zone file. Check looks
// the records up and says in a sentence what is wrong and what to change. CheckHost looks at the
// machine: the resolver, forward and reverse name, whether port 25 of others can be reached, and lists of
// blocked addresses. A look-up that fails is a finding of its own kind: nothing is known then.
//
// Sources: RFC 5321 section 5 (MX), 7208 (SPF), 6376 (DKIM), 7489 and 9989 (DMARC), 8460 (TLS reports), 7672
// (TLSA), 6186, 8314 and 6764 (SRV), 1912 section 2.1 (reverse names), 5782 (lists).
package dnsdoctor

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Facts are what the server knows of itself and of a domain.
type Facts struct {
	// Domain is the domain in question.
	Domain string
	// Host is the name by which others reach the server, Name the one by which it names itself to others.
	Host, Name string
	// IPs are the public addresses of the server. There may be none: behind an address translation the
	// machine does not know them.
	IPs []netip.Addr
	// Keys are the DKIM keys that are published, active ones first.
	Keys []Key
	// Services are those that mail programs find by SRV records.
	Services []Service
	// Autoconfig says that the server answers mail programs that look for their settings.
	Autoconfig bool
	// Policy is the id of the domain's MTA-STS policy, or empty.
	Policy string
	// TLSA is the SHA-256 of the public key of the certificate for port 25, in hexadecimal, or empty.
	TLSA string
	// Reports is the address for reports of TLS, Aggregate that for aggregate reports of DMARC; empty: they are not taken.
	Reports, Aggregate string
	// Gateway says that mail leaves through somebody else's server, who has to be in SPF.
	Gateway string
}

// Key is a DKIM key with its record.
type Key struct {
	Name, Text string
	// Signs says that the key is in use; else it is the next one, or an old one.
	Signs bool
}

// Service is what an SRV record leads to.
type Service struct {
	Name string // such as _imaps
	Port int
	// Path is where on the host programs begin, of services over HTTP (RFC 6764 section 4); empty for others.
	Path string
}

// Record is a record that there should be.
type Record struct {
	Name, Type, Value string
	// Why says in a few words what it is for.
	Why string
	// Optional says that mail works without it.
	Optional bool
}

// Records returns the records that a domain needs, the important ones first.
func Records(f Facts) []Record {
	var list []Record
	add := func(name, kind, value, why string, optional bool) {
		list = append(list, Record{name, kind, value, why, optional})
	}
	add(f.Domain, "MX", "10 "+f.Host+".", "others send mail for the domain here", false)
	for _, ip := range f.IPs {
		kind := "A"
		if ip.Is6() {
			kind = "AAAA"
		}
		add(f.Host, kind, ip.String(), "the address of the server", false)
	}
	for _, ip := range f.IPs {
		add(reverse(ip), "PTR", f.Host+".", "the name of the address; whoever gave you the address sets it", false)
	}
	add(f.Domain, "TXT", "v=spf1 mx"+via(f.Gateway)+" ~all", "SPF: who may send mail of the domain", false)
	if f.Name != f.Domain && !strings.HasSuffix(f.Name, "."+f.Domain) {
		add(f.Name, "TXT", "v=spf1 a -all", "SPF of the name that the server gives itself, for reports", true)
	}
	for _, k := range f.Keys {
		why := "DKIM: proves mail that the server signs"
		if !k.Signs {
			why = "DKIM: a key that is the next one, or an old one"
		}
		add(k.Name, "TXT", k.Text, why, false)
	}
	add("_dmarc."+f.Domain, "TXT", "v=DMARC1; p=quarantine"+rua(f.Aggregate), "DMARC: what others do with mail that neither SPF nor DKIM proves", false)
	add("_smtp._tls."+f.Domain, "TXT", "v=TLSRPTv1; rua=mailto:"+f.Reports, "reports of others about encryption that fails", true)
	if f.Policy != "" {
		add("_mta-sts."+f.Domain, "TXT", "v=STSv1; id="+f.Policy, "MTA-STS: there is a policy, and which one", false)
		add("mta-sts."+f.Domain, "CNAME", f.Host+".", "MTA-STS: where others fetch the policy, on port 443", false)
	}
	if f.TLSA != "" {
		add("_25._tcp."+f.Host, "TLSA", "3 1 1 "+f.TLSA, "DANE: the certificate of port 25; only with DNSSEC", true)
	}
	for _, s := range f.Services {
		add(s.Name+"._tcp."+f.Domain, "SRV", fmt.Sprintf("0 1 %d %s.", s.Port, f.Host), why(s), true)
		if s.Path != "" {
			add(s.Name+"._tcp."+f.Domain, "TXT", "path="+s.Path, "where on the server they begin", true)
		}
	}
	if f.Autoconfig {
		for _, name := range []string{"autoconfig.", "autodiscover."} {
			add(name+f.Domain, "CNAME", f.Host+".", "mail programs find their settings", true)
		}
	}
	return list
}

// why says what the SRV record of a service is for.
func why(s Service) string {
	switch {
	case s.Path != "":
		return "calendar and contact programs find the server"
	case s.Name == "_autodiscover":
		return "mail programs find their settings"
	}
	return "mail programs find the server"
}

// rua is what a DMARC record says of aggregate reports.
func rua(address string) string {
	if address == "" {
		return ""
	}
	return "; rua=mailto:" + address
}

// via is what SPF says of a gateway.
func via(gateway string) string {
	if gateway == "" {
		return ""
	}
	return " include:" + gateway
}

// reverse is the name of an address in the DNS.
func reverse(ip netip.Addr) string {
	if ip.Is4() {
		b := ip.As4()
		return fmt.Sprintf("%d.%d.%d.%d.in-addr.arpa", b[3], b[2], b[1], b[0])
	}
	var s strings.Builder
	b := ip.As16()
	for _, x := range slices.Backward(b[:]) {
		fmt.Fprintf(&s, "%x.%x.", x&15, x>>4)
	}
	return s.String() + "ip6.arpa"
}

// Zone is records as a zone file (RFC 1035 section 5). Records of names outside of the domain are comments:
// they belong into another zone.
func Zone(domain string, records []Record) string {
	var b strings.Builder
	fmt.Fprintf(&b, "; records of %s for its mail server\n", domain)
	width := 0
	for _, r := range records {
		width = max(width, len(r.Name)+1)
	}
	for _, r := range records {
		value := r.Value
		if r.Type == "TXT" {
			value = quoteTXT(value)
		}
		comment := ""
		if r.Name != domain && !strings.HasSuffix(r.Name, "."+domain) {
			comment = "; in another zone: "
		}
		fmt.Fprintf(&b, "%s%-*s 3600 IN %-5s %s\n", comment, width, r.Name+".", r.Type, value)
	}
	return b.String()
}

// quoteTXT writes a text as strings of at most 255 bytes.
func quoteTXT(text string) string {
	var parts []string
	for len(text) > 255 {
		parts = append(parts, text[:255])
		text = text[255:]
	}
	parts = append(parts, text)
	for i, p := range parts {
		parts[i] = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(p) + `"`
	}
	return strings.Join(parts, " ")
}

// State is how a record, or the machine, fares.
type State string

const (
	OK      State = "ok"
	Advice  State = "advice"  // works, and could be better
	Problem State = "problem" // mail suffers
	Unknown State = "unknown" // a look-up failed
)

// Finding is what a check says.
type Finding struct {
	State State
	// Subject is what it is about: the name and type of a record, or a part of the machine.
	Subject string
	// Text is a sentence: what is wrong, and what to change.
	Text string
}

// Worst returns the worst state of findings.
func Worst(list []Finding) State {
	order := []State{OK, Advice, Unknown, Problem}
	worst := OK
	for _, f := range list {
		if cmp.Compare(slices.Index(order, f.State), slices.Index(order, worst)) > 0 {
			worst = f.State
		}
	}
	return worst
}
