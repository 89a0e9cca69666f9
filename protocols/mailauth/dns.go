package mailauth

import (
	"context"
	"net"
	"net/netip"

	"gatepost/server/fault"
	"gatepost/server/resolver"
)

// DNS is a Resolver over the server's.
func DNS(r *resolver.Resolver) Resolver { return dnsResolver{r} }

type dnsResolver struct{ r *resolver.Resolver }

func (d dnsResolver) LookupTXT(ctx context.Context, name string) ([]string, error) {
	a, err := d.r.TXT(ctx, name)
	return found(name, a.Records, err)
}

func (d dnsResolver) LookupMX(ctx context.Context, name string) ([]*net.MX, error) {
	a, err := d.r.MX(ctx, name)
	list := make([]*net.MX, len(a.Records))
	for i, mx := range a.Records {
		list[i] = &net.MX{Host: mx.Host, Pref: mx.Preference}
	}
	return found(name, list, err)
}

func (d dnsResolver) LookupIPAddr(ctx context.Context, host string) ([]net.IPAddr, error) {
	a, err := d.r.A(ctx, host)
	if err != nil && !fault.Is(err, fault.NoHost) {
		return found[net.IPAddr](host, nil, err)
	}
	b, err := d.r.AAAA(ctx, host)
	list := make([]net.IPAddr, 0, len(a.Records)+len(b.Records))
	for _, ip := range append(a.Records, b.Records...) {
		list = append(list, net.IPAddr{IP: ip.AsSlice()})
	}
	if len(list) > 0 {
		err = nil
	}
	return found(host, list, err)
}

func (d dnsResolver) LookupAddr(ctx context.Context, addr string) ([]string, error) {
	ip, err := netip.ParseAddr(addr)
	if err != nil {
		return nil, err
	}
	a, err := d.r.PTR(ctx, ip)
	return found(addr, a.Records, err)
}

// found gives an answer the form that package net gives it.
func found[T any](name string, list []T, err error) ([]T, error) {
	switch {
	case err == nil && len(list) > 0:
		return list, nil
	case err == nil, fault.Is(err, fault.NoHost), fault.Is(err, fault.Invalid):
		return nil, &net.DNSError{Err: "there is no such record", Name: name, IsNotFound: true}
	}
	return nil, &net.DNSError{Err: err.Error(), Name: name, IsTemporary: true}
}
