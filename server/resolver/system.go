package resolver

import (
	"bufio"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// The files of the system.
const (
	resolvConf = "/etc/resolv.conf"
	hostsFile  = "/etc/hosts"
)

// maxFile bounds what is read of them.
const maxFile = 1 << 20

// file is a file of the system that is read again when it has changed.
type file struct {
	read    bool
	modTime time.Time
	size    int64
	looked  time.Time
}

// changed reports whether the file is to be read. It looks once a second at most.
func (f *file) changed(path string) bool {
	if f.read && time.Since(f.looked) < time.Second {
		return false
	}
	f.looked = time.Now()
	var modTime time.Time
	size := int64(-1)
	if info, err := os.Stat(path); err == nil {
		modTime, size = info.ModTime(), info.Size()
	}
	if f.read && modTime.Equal(f.modTime) && size == f.size {
		return false
	}
	f.read, f.modTime, f.size = true, modTime, size
	return true
}

// system is what resolv.conf says.
type system struct {
	path    string
	changed func(Servers, error) // is told of what was read

	mu      sync.Mutex
	file    file
	list    Servers
	trustAD bool
}

// servers returns the name servers of the system, and whether resolv.conf trusts their AD bits.
// Without any it is this machine, as for other programs.
func (s *system) servers() (Servers, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file.changed(s.path) {
		list, trust, err := readResolvConf(s.path)
		if len(list) == 0 {
			list = Servers{netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), portDNS)}
		}
		if s.list == nil || !slices.Equal(list, s.list) || trust != s.trustAD {
			s.changed(list, err)
		}
		s.list, s.trustAD = list, trust
	}
	return s.list, s.trustAD
}

// readResolvConf reads the lines that matter here. Search lists do not: names in mail are complete.
func readResolvConf(path string) (servers Servers, trustAD bool, err error) {
	err = eachLine(path, "#;", func(words []string) {
		switch words[0] {
		case "nameserver":
			if len(words) < 2 || len(servers) == maxServers {
				return
			}
			if ip, err := netip.ParseAddr(words[1]); err == nil {
				servers = append(servers, netip.AddrPortFrom(ip.Unmap(), portDNS))
			}
		case "options":
			trustAD = trustAD || slices.Contains(words[1:], "trust-ad")
		}
	})
	return servers, trustAD, err
}

// hosts is what /etc/hosts says.
type hosts struct {
	path string

	mu     sync.Mutex
	file   file
	byName map[string][]netip.Addr
}

// addresses returns the addresses of a name, or nil.
func (h *hosts) addresses(name string) []netip.Addr {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.file.changed(h.path) {
		h.byName = map[string][]netip.Addr{}
		// A file that cannot be read says nothing: then the DNS is asked.
		eachLine(h.path, "#", func(words []string) {
			ip, err := netip.ParseAddr(words[0])
			if err != nil {
				return
			}
			for _, name := range words[1:] {
				name = plainName(name)
				if !slices.Contains(h.byName[name], ip) {
					h.byName[name] = append(h.byName[name], ip)
				}
			}
		})
	}
	return slices.Clone(h.byName[name])
}

// eachLine calls do with the words of each line that has some.
func eachLine(path, comments string, do func(words []string)) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || info.Size() > maxFile {
		return errors.Join(err, fs.ErrInvalid)
	}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		line := lines.Text()
		if i := strings.IndexAny(line, comments); i >= 0 {
			line = line[:i]
		}
		if words := strings.Fields(line); len(words) > 0 {
			do(words)
		}
	}
	return lines.Err()
}
