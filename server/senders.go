package server

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net"
	"net/netip"
	"strings"
	"time"

	"gatepost/protocols/mailauth"
	"gatepost/server/dataformat"
	"gatepost/server/dnsdoctor"
	"gatepost/server/fault"
	"gatepost/server/settings"
)

// The methods of this file are what administrators need for the names of domains (admin.Senders).

// DKIMKeys tells of the keys of a domain.
func (s *Server) DKIMKeys(_ context.Context, domain string) (dataformat.Dict, error) {
	list, err := s.keys.List(domain)
	if err != nil {
		return nil, err
	}
	d := dataformat.Dict{}
	for _, k := range list {
		d[k.Selector] = dataformat.Dict{
			"State": dataformat.String(k.State), "Algorithm": dataformat.String(k.Algorithm), "Name": dataformat.String(k.Name), "Text": dataformat.String(k.Text),
			"Since": dataformat.String(k.Since.UTC().Format(time.RFC3339)),
		}
	}
	return d, nil
}

// CreateDKIMKey makes a key.
func (s *Server) CreateDKIMKey(_ context.Context, domain, selector, algorithm string) (string, error) {
	if algorithm == "" {
		algorithm = mailauth.RSA
	}
	k, err := s.keys.Make(domain, selector, algorithm)
	return k.Selector, err
}

// ImportDKIMKey takes over a private key.
func (s *Server) ImportDKIMKey(_ context.Context, domain, selector, pem string) error {
	_, err := s.keys.Import(domain, selector, []byte(pem))
	return err
}

// ActivateDKIMKey lets a key sign. One that is not published is refused: nothing that it signs would verify.
func (s *Server) ActivateDKIMKey(ctx context.Context, domain, selector string) error {
	selector = strings.ToLower(selector)
	if err := s.published(ctx, domain, selector); err != nil {
		return err
	}
	return s.keys.Activate(domain, selector)
}

// RetireDKIMKey ends that a key signs.
func (s *Server) RetireDKIMKey(_ context.Context, domain, selector string) error {
	return s.keys.Retire(domain, strings.ToLower(selector))
}

// DeleteDKIMKey deletes a key.
func (s *Server) DeleteDKIMKey(_ context.Context, domain, selector string) error {
	return s.keys.Remove(domain, strings.ToLower(selector))
}

// published refuses a key whose record others do not find.
func (s *Server) published(ctx context.Context, domain, selector string) error {
	const op = "server.published"
	list, err := s.keys.List(domain)
	if err != nil {
		return err
	}
	for _, k := range list {
		if k.Selector != selector {
			continue
		}
		if ok, text := s.publishes(ctx, k); !ok {
			return fault.New(op, fault.Denied, "the key is not published at "+k.Name+": "+text)
		}
		return nil
	}
	return fault.New(op, fault.NotFound, "the domain has no key with this selector")
}

// publishes says whether the DNS has a key (leaving.Published).
func (s *Server) publishes(ctx context.Context, k mailauth.KeyRecord) (bool, string) {
	state, text := dnsdoctor.CheckKey(ctx, s.resolver, dnsdoctor.Key{Name: k.Name, Text: k.Text})
	return state == dnsdoctor.OK, text
}

// DNSRecords are the records that a domain needs.
func (s *Server) DNSRecords(_ context.Context, domain string) (dataformat.Array, error) {
	f, err := s.dnsFacts(domain)
	if err != nil {
		return nil, err
	}
	list := dataformat.Array{}
	for _, r := range dnsdoctor.Records(f) {
		list = append(list, dataformat.Dict{"name": dataformat.String(r.Name), "type": dataformat.String(r.Type), "value": dataformat.String(r.Value),
			"why": dataformat.String(r.Why), "optional": yesNo(r.Optional)})
	}
	return list, nil
}

// CheckDNS compares them with the DNS.
func (s *Server) CheckDNS(ctx context.Context, domain string) (dataformat.Array, error) {
	f, err := s.dnsFacts(domain)
	if err != nil {
		return nil, err
	}
	return foundRecords(dnsdoctor.Check(ctx, s.resolver, f)), nil
}

// CheckHost looks at the machine.
func (s *Server) CheckHost(ctx context.Context) (dataformat.Array, error) {
	f, err := s.dnsFacts(s.accounts.MainDomain())
	if err != nil {
		return nil, err
	}
	return foundRecords(dnsdoctor.CheckHost(ctx, s.resolver, f, dnsdoctor.Stock())), nil
}

func foundRecords(list []dnsdoctor.Finding) dataformat.Array {
	out := dataformat.Array{}
	for _, f := range list {
		out = append(out, dataformat.Dict{"state": dataformat.String(f.State), "subject": dataformat.String(f.Subject), "text": dataformat.String(f.Text)})
	}
	return out
}

func yesNo(b bool) dataformat.String {
	if b {
		return "YES"
	}
	return "NO"
}

// dnsFacts are what the doctor has to know. A domain that has no keys gets them: their records are a part
// of the answer.
func (s *Server) dnsFacts(domain string) (dnsdoctor.Facts, error) {
	main := s.accounts.MainDomain()
	host, err := s.accounts.PublicName(domain)
	if err != nil {
		return dnsdoctor.Facts{}, err
	}
	f := dnsdoctor.Facts{Domain: domain, Host: host, Name: main, IPs: publicIPs(), Autoconfig: true, Reports: "postmaster@" + domain, Aggregate: s.reports.Address(domain), TLSA: s.publicKeyHash(host)}
	if _, f.Policy, err = s.policyOf(domain); err != nil {
		return f, err
	}
	if err := s.signer.MakeKeys(domain); err != nil {
		return f, err
	}
	keys, err := s.keys.List(domain)
	if err != nil {
		return f, err
	}
	for _, k := range keys {
		f.Keys = append(f.Keys, dnsdoctor.Key{Name: k.Name, Text: k.Text, Signs: k.State == mailauth.KeyActive})
	}
	f.Services = s.dnsServices()
	return f, nil
}

// dnsServices are the listeners that mail programs look for.
func (s *Server) dnsServices() []dnsdoctor.Service {
	var list []dnsdoctor.Service
	for _, m := range s.mailServices() {
		name := map[string]string{"smtp": "_submission", "imap": "_imap", "pop3": "_pop3"}[m.Protocol]
		if m.TLS == settings.TLSImplicit {
			name += "s"
		}
		list = append(list, dnsdoctor.Service{Name: name, Port: m.Port})
	}
	if port := s.usersHTTPS(); port != 0 {
		list = append(list, dnsdoctor.Service{Name: "_caldavs", Port: port, Path: "/UserDAV/"}, dnsdoctor.Service{Name: "_carddavs", Port: port, Path: "/UserDAV/"},
			dnsdoctor.Service{Name: "_autodiscover", Port: port})
	}
	return list
}

// publicIPs are the addresses of this machine that others can reach.
func publicIPs() []netip.Addr {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	var list []netip.Addr
	for _, a := range all {
		p, err := netip.ParsePrefix(a.String())
		if ip := p.Addr().Unmap(); err == nil && ip.IsGlobalUnicast() && !ip.IsPrivate() && !sharedRange.Contains(ip) {
			list = append(list, ip)
		}
	}
	return list
}

// sharedRange is for carriers that translate addresses (RFC 6598).
var sharedRange = netip.MustParsePrefix("100.64.0.0/10")

// publicKeyHash is the hash of the public key that other servers see of a host (RFC 6698 section 2.1, selector 1, type 1).
func (s *Server) publicKeyHash(host string) string {
	c := s.shownOnPort25(host)
	if c == nil || c.Leaf == nil {
		return ""
	}
	sum := sha256.Sum256(c.Leaf.RawSubjectPublicKeyInfo)
	return hex.EncodeToString(sum[:])
}

// LookTLS tells what would be done with mail for another domain, see admin.Actor.CheckTLS.
func (s *Server) LookTLS(ctx context.Context, domain string) (dataformat.Dict, error) {
	found, err := s.relay.Look(ctx, domain)
	if err != nil {
		return nil, err
	}
	lines := make(dataformat.Array, len(found.Lines))
	for i, l := range found.Lines {
		lines[i] = dataformat.String(l)
	}
	goes := "NO"
	if found.Goes {
		goes = "YES"
	}
	return dataformat.Dict{"Lines": lines, "Goes": dataformat.String(goes)}, nil
}
