package server

import (
	"context"
	"fmt"
	"math"
	"net"
	"slices"
	"strings"
	"syscall"

	"gatepost/server/dataformat"
	"gatepost/server/logs"
)

// Clients must not use up the file descriptors of the process: without one, no message file can
// be opened, no mail be sent on, and control.sock is deaf. So the sessions of all modules together
// are bounded by what the limit of the process leaves. Package os has raised that to the hard
// limit when the process began.

// reserved is the part of the descriptors that is no client's, and the least of it.
const (
	reservedPart  = 4
	reservedLeast = 64
)

// openFiles is the limit of descriptors of this process.
func openFiles() (int, error) {
	var r syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r); err != nil {
		return 0, err
	}
	return int(min(r.Cur, math.MaxInt32)), nil
}

// forClients is how many of the descriptors sessions may have.
func forClients(limit int) int { return max(0, limit-max(limit/reservedPart, reservedLeast)) }

// share divides descriptors among modules. No module gets more than it asks for; the modules whose
// requests do not fit get equal parts of the rest, and at least one descriptor.
func share(descriptors int, asked []int) []int {
	order := make([]int, len(asked))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int { return asked[i] - asked[j] })
	got := make([]int, len(asked))
	for n, i := range order {
		got[i] = max(1, min(asked[i], descriptors/(len(order)-n)))
		descriptors = max(0, descriptors-got[i])
	}
	return got
}

// listens reports whether a module has listeners.
func (m *module) listens() bool { return m.stock != nil && len(m.common.Load().Listener) > 0 }

// channels is how many sessions a module's settings ask for, math.MaxInt32 for no limit.
func (m *module) channels() int {
	for _, s := range m.describe() {
		if s.Key != "Channels" && s.Key != "MaxInputChannels" {
			continue
		}
		var n int
		text, _ := dataformat.Text(s.Value)
		if _, err := fmt.Sscan(text, &n); err == nil && n > 0 {
			return min(n, math.MaxInt32)
		}
	}
	return math.MaxInt32
}

// shareDescriptors computes how many sessions each module may have, and the warning if
// that is less than the settings ask for. It runs after each change of the settings.
func (s *Server) shareDescriptors() {
	limit, err := openFiles()
	if err != nil {
		s.log.Log(context.Background(), logs.LevelFailure, "the limit of open files is not known: sessions are not bounded by it", logs.AttrError, err)
		limit = math.MaxInt32
	}
	var modules []*module
	var asked []int
	for _, m := range s.modules {
		if m.listens() {
			modules, asked = append(modules, m), append(asked, m.channels())
		}
	}
	var less []string
	for i, n := range share(forClients(limit), asked) {
		modules[i].sessions.Store(int64(n))
		if n < asked[i] && asked[i] < math.MaxInt32 {
			less = append(less, fmt.Sprintf("%s %d instead of %d", modules[i].name, n, asked[i]))
		}
	}
	before := s.short
	s.short = ""
	if len(less) > 0 {
		s.short = fmt.Sprintf("the limit of open files, %d, allows fewer sessions than the settings ask for: %s; raise the limit "+
			"(LimitNOFILE in the unit, ulimit -Hn in a shell) or lower the numbers of Channels", limit, strings.Join(less, ", "))
	}
	if s.ran && s.short != "" && s.short != before { // at start it is told when the log is open
		s.log.Log(context.Background(), logs.LevelMajor, s.short)
	}
}

// tellShortage warns at the start.
func (s *Server) tellShortage(ctx context.Context) {
	if s.short != "" {
		s.log.Log(ctx, logs.LevelMajor, s.short)
		fmt.Fprintln(s.config.Messages, "warning:", s.short)
	}
}

// boundListener is a listener whose module has no more sessions than its share of the
// descriptors (listen.Bound).
type boundListener struct {
	net.Listener
	module *module
}

func (b boundListener) MaxSessions(asked int) int {
	n := int(b.module.sessions.Load())
	if asked > 0 {
		n = min(n, asked)
	}
	return n
}
