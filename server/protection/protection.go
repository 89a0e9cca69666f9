package protection

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"sync"
	"sync/atomic"

	"gatepost/server/dataformat"
	"gatepost/server/fault"
	"gatepost/server/logs"
	"gatepost/server/settings"
)

// A List is one of the lists of addresses.
type List uint8

// The lists.
const (
	Clients List = iota
	Blacklist
	WhiteHoles
	Denied
	Debug
	lists
)

// files has the name of the file of each list. Without that of Client IPs only the machine itself is a client.
var files = [lists]string{
	Clients: "ClientIPs.data", Blacklist: "BlacklistedIPs.data", WhiteHoles: "WhiteHoles.data", Denied: "DeniedIPs.data", Debug: "DebugIPs.data",
}

// File is the file of the list, below the base directory.
func (l List) File() string { return "Settings/" + files[l] }

// Protection is what is known about addresses. Its methods may be called by many goroutines at once.
type Protection struct {
	blocks
	flows
	names    names
	reverse  reverse
	banned   banned
	grey     greylist
	dir      string // Settings
	settings *settings.Live[Settings]
	log      *slog.Logger

	lists    atomic.Pointer[[lists]settings.IPList]
	changing sync.Mutex // held while a list changes
}

// Open reads the lists of a base directory. set nil means the stock settings.
func Open(base string, set *settings.Live[Settings], log *slog.Logger) (*Protection, error) {
	if set == nil {
		stock := new(Settings)
		if err := settings.Load(stock, nil); err != nil {
			return nil, fault.Wrap("protection.Open", fault.Internal, err)
		}
		set = settings.NewLive(stock)
	}
	p := &Protection{dir: filepath.Join(base, "Settings"), settings: set, log: logs.Component(log, Tag)}
	p.blocks, p.flows, p.reverse, p.grey = newBlocks(p), newFlows(), newReverse(), newGreylist()
	if err := p.loadGreylist(); err != nil {
		return nil, fault.Wrap("protection.Open", fault.Internal, err)
	}
	return p, p.Reload()
}

// Tag is the log tag of the package.
const Tag = "PROTECTION"

// Reload reads the lists again. With an error nothing has changed.
func (p *Protection) Reload() error {
	p.changing.Lock()
	defer p.changing.Unlock()
	fresh := new([lists]settings.IPList)
	for l := range lists {
		list, err := read(filepath.Join(p.dir, files[l]), l)
		if err != nil {
			return fault.Wrap("protection.Reload", fault.Internal, err)
		}
		fresh[l] = list
	}
	p.lists.Store(fresh)
	return nil
}

func read(path string, l List) (list settings.IPList, err error) {
	v, err := dataformat.ReadFile(path)
	switch {
	case err != nil:
		return list, err
	case v == nil && l == Clients:
		return settings.ParseIPList("127.0.0.0/8\n::1")
	case v == nil:
		return list, nil
	}
	if err := list.SetValue(v); err != nil {
		return list, fmt.Errorf("%s: %w", files[l], err)
	}
	return list, nil
}

// List is a list as it is now.
func (p *Protection) List(l List) settings.IPList { return p.lists.Load()[l] }

// SetList replaces a list. Errors: Invalid, which names the line.
func (p *Protection) SetList(_ context.Context, l List, text string) error {
	const op = "protection.SetList"
	list, err := settings.ParseIPList(text)
	if err != nil {
		return fault.Newf(op, fault.Invalid, "%s", err)
	}
	p.changing.Lock()
	defer p.changing.Unlock()
	if err := dataformat.WriteFile(filepath.Join(p.dir, files[l]), dataformat.String(text), dataformat.StylePretty); err != nil {
		return fault.Wrap(op, fault.Internal, err)
	}
	fresh := *p.lists.Load()
	fresh[l] = list
	p.lists.Store(&fresh)
	return nil
}

// Client reports whether an address is a Client IP that is not blacklisted.
func (p *Protection) Client(ip netip.Addr) bool {
	return p.List(Clients).Contains(ip) && !p.Blacklisted(ip)
}

// WhiteHole reports whether an address is never blocked.
func (p *Protection) WhiteHole(ip netip.Addr) bool { return p.List(WhiteHoles).Contains(ip) }

// Blacklisted reports whether an administrator has blacklisted an address for good.
func (p *Protection) Blacklisted(ip netip.Addr) bool {
	return p.List(Blacklist).Contains(ip) && !p.WhiteHole(ip)
}

// Denied reports whether connections from an address are closed at once.
func (p *Protection) Denied(ip netip.Addr) bool {
	return p.List(Denied).Contains(ip) && !p.WhiteHole(ip)
}

// Exempt reports whether an address is never on the temporary blacklist, nor asked about in the DNS.
func (p *Protection) Exempt(ip netip.Addr) bool { return p.Client(ip) || p.WhiteHole(ip) }

// SessionLog returns the log of a session with a client, which writes all records if the client is one of the Debug IPs.
func (p *Protection) SessionLog(log *slog.Logger, ip netip.Addr) *slog.Logger {
	if p.List(Debug).Contains(ip) {
		return logs.Everything(log)
	}
	return log
}

// State tells in words what is known about an address, all that applies: DENIED, WHITEHOLE, BLACKLISTED, CLIENT, DEBUG,
// TEMPBLACKLISTED. Of temporary tells only the last.
func (p *Protection) State(ip netip.Addr, temporary bool) (words []string) {
	add := func(is bool, word string) {
		if is {
			words = append(words, word)
		}
	}
	if !temporary {
		add(p.Denied(ip), "DENIED")
		add(p.WhiteHole(ip), "WHITEHOLE")
		add(p.Blacklisted(ip), "BLACKLISTED")
		add(p.Client(ip), "CLIENT")
		add(p.List(Debug).Contains(ip), "DEBUG")
	}
	_, blocked := p.Blocked(ip)
	add(blocked, "TEMPBLACKLISTED")
	return words
}
