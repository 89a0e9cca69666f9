package admin

import (
	"context"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"gatepost/server/dataformat"
	"gatepost/server/fault"
	"gatepost/server/protection"
	"gatepost/server/settings"
)

// This file has the calls about the addresses of clients.

// listCalls are the names of a list in the calls GETxIPS and SETxIPS.
var listCalls = map[protection.List]string{
	protection.Clients: "CLIENT", protection.Blacklist: "BLACKLISTED", protection.WhiteHoles: "WHITEHOLE", protection.Denied: "DENIED", protection.Debug: "DEBUG",
}

// ListCalls are the calls that read and replace a list of addresses.
func ListCalls(l protection.List) (get, set string) {
	return "GET" + listCalls[l] + "IPS", "SET" + listCalls[l] + "IPS"
}

// IPList is what reads and what replaces a list of addresses.
func IPList(a Actor, l protection.List) (get func(context.Context) (string, error), set func(context.Context, string) error) {
	return func(ctx context.Context) (string, error) { return a.ipList(ctx, l) },
		func(ctx context.Context, text string) error { return a.setIPList(ctx, l, text) }
}

// ClientIPs is the list of Client IPs as it was written, and SetClientIPs replaces it.
func (a Actor) ClientIPs(ctx context.Context) (string, error) {
	return a.ipList(ctx, protection.Clients)
}
func (a Actor) SetClientIPs(ctx context.Context, text string) error {
	return a.setIPList(ctx, protection.Clients, text)
}

// BlacklistedIPs is the list of the Blacklist as it was written, and SetBlacklistedIPs replaces it.
func (a Actor) BlacklistedIPs(ctx context.Context) (string, error) {
	return a.ipList(ctx, protection.Blacklist)
}
func (a Actor) SetBlacklistedIPs(ctx context.Context, text string) error {
	return a.setIPList(ctx, protection.Blacklist, text)
}

// WhiteHoleIPs is the list of the White Holes as it was written, and SetWhiteHoleIPs replaces it.
func (a Actor) WhiteHoleIPs(ctx context.Context) (string, error) {
	return a.ipList(ctx, protection.WhiteHoles)
}
func (a Actor) SetWhiteHoleIPs(ctx context.Context, text string) error {
	return a.setIPList(ctx, protection.WhiteHoles, text)
}

// DeniedIPs is the list of Denied IPs as it was written, and SetDeniedIPs replaces it. Nobody can deny his own address.
func (a Actor) DeniedIPs(ctx context.Context) (string, error) {
	return a.ipList(ctx, protection.Denied)
}
func (a Actor) SetDeniedIPs(ctx context.Context, text string) error {
	return a.setIPList(ctx, protection.Denied, text)
}

// DebugIPs is the list of Debug IPs as it was written, and SetDebugIPs replaces it.
func (a Actor) DebugIPs(ctx context.Context) (string, error) { return a.ipList(ctx, protection.Debug) }
func (a Actor) SetDebugIPs(ctx context.Context, text string) error {
	return a.setIPList(ctx, protection.Debug, text)
}

func (a Actor) ipList(ctx context.Context, l protection.List) (string, error) {
	get, _ := ListCalls(l)
	return look(ctx, a, get, server, func(o *operation) (string, error) { return a.textOf(l)(o) })
}

func (a Actor) textOf(l protection.List) func(context.Context) (string, error) {
	return func(context.Context) (string, error) { return a.admin.acc.Protection().List(l).String(), nil }
}

func (a Actor) setIPList(ctx context.Context, l protection.List, text string) error {
	_, set := ListCalls(l)
	return a.changeText(ctx, set, text, a.textOf(l), func(ctx context.Context, text string) error {
		if l == protection.Denied {
			if err := a.staysIn(text); err != nil {
				return err
			}
		}
		return a.admin.acc.Protection().SetList(ctx, l, text)
	})
}

// IPState tells in words what is known about an address, see protection.State.
func (a Actor) IPState(ctx context.Context, address string, temporary bool) (string, error) {
	return look(ctx, a, "GETIPSTATE", named(address), func(o *operation) (string, error) {
		ip, err := parseAddress(address)
		if err != nil {
			return "", err
		}
		return strings.Join(o.admin.acc.Protection().State(ip, temporary), ","), nil
	})
}

func parseAddress(text string) (netip.Addr, error) {
	ip, err := netip.ParseAddr(strings.Trim(text, "[]"))
	if err != nil {
		return ip, fault.New("admin.Address", fault.Invalid, "an address is expected")
	}
	return ip.Unmap().WithZone(""), nil
}

// BlockedAddresses is the temporary blacklist, with the seconds that each address stays there: address-seconds.
func (a Actor) BlockedAddresses(ctx context.Context) ([]string, error) {
	return look(ctx, a, "GETTEMPBLACKLISTEDIPS", server, func(o *operation) ([]string, error) {
		var list []string
		for _, b := range o.admin.acc.Protection().Blocks() {
			list = append(list, b.Network.Addr().String()+"-"+strconv.Itoa(int(time.Until(b.Until)/time.Second)))
		}
		return list, nil
	})
}

// BlockAddress puts an address on the temporary blacklist for so many seconds; with DELETE or 0 it takes it off.
func (a Actor) BlockAddress(ctx context.Context, address, seconds string) error {
	return do(ctx, a, "TEMPBLACKLISTIP", named(address), func(o *operation) error {
		ip, err := parseAddress(address)
		if err != nil {
			return err
		}
		o.new = dataformat.String(seconds)
		return o.block(ip, seconds)
	})
}

// BlockAddresses puts addresses on the temporary blacklist: a comma-separated list of address-seconds. For *, which lasts as long as
// the server runs elsewhere, it is 30 days: the Blacklist is for addresses that stay blocked. Nothing is changed when an
// entry is wrong.
func (a Actor) BlockAddresses(ctx context.Context, list string) error {
	return do(ctx, a, "SETTEMPBLACKLISTEDIPS", server, func(o *operation) error {
		o.new = dataformat.String(list)
		type entry struct {
			ip      netip.Addr
			seconds string
		}
		var entries []entry
		for item := range strings.SplitSeq(list, ",") {
			if item = strings.TrimSpace(item); item == "" {
				continue
			}
			address, seconds, timed := strings.Cut(item, "-")
			if !timed || seconds == "*" {
				seconds = strconv.Itoa(30 * 24 * 3600)
			}
			ip, err := parseAddress(address)
			if err != nil {
				return err
			}
			if _, err := strconv.ParseUint(seconds, 10, 32); err != nil {
				return fault.Newf("admin.BlockAddresses", fault.Invalid, "%s: address-seconds is expected", item)
			}
			entries = append(entries, entry{ip, seconds})
		}
		for _, e := range entries {
			if err := o.block(e.ip, e.seconds); err != nil && !fault.Is(err, fault.NotFound) {
				return err
			}
		}
		return nil
	})
}

func (o *operation) block(ip netip.Addr, seconds string) error {
	const op = "admin.BlockAddress"
	p := o.admin.acc.Protection()
	n, err := strconv.ParseUint(strings.TrimSuffix(seconds, "s"), 10, 32)
	if strings.EqualFold(seconds, "DELETE") || err == nil && n == 0 {
		if o.admin.acc.Logins().Unblock("", protection.Network(ip)) == 0 {
			return fault.New(op, fault.NotFound, "the address is not blocked")
		}
		return nil
	}
	if err != nil {
		return fault.New(op, fault.Invalid, "a number of seconds is expected, not more than 30 days")
	}
	return p.BlockFor(ip, time.Duration(n)*time.Second)
}

// staysIn refuses a list of denied addresses that has the actor's own.
func (a Actor) staysIn(text string) error {
	list, err := settings.ParseIPList(text)
	if err != nil {
		return fault.Newf("admin.SetIPList", fault.Invalid, "%s", err)
	}
	p := a.admin.acc.Protection()
	if ip := a.from.IP; list.Contains(ip) && !p.WhiteHole(ip) {
		return fault.Newf("admin.SetIPList", fault.Invalid, "the list has %s, your own address: it would keep you out; exclude it by !%s, or make it a White Hole", ip, ip)
	}
	return nil
}
