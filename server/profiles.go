package server

import (
	"net/http"
	"runtime/pprof"
	"slices"
	"strconv"
	"time"

	"gatepost/accounts"
	gate "gatepost/protocols/http"
	"gatepost/server/fault"
)

// profiles are what go tool pprof reads, at /debug/pprof/NAME. They have names of functions and counts, and nothing of what is in memory.
var profiles = []string{"allocs", "block", "goroutine", "heap", "mutex", "threadcreate"}

const (
	cpuProfile     = "profile"
	profileSeconds = 30
	maxProfile     = 120 // seconds
)

// showProfile answers with a profile of the process, for an administrator with all rights who logs in with Basic authentication.
func (s *Server) showProfile(w http.ResponseWriter, r *http.Request) {
	const op = "server.Profile"
	q := gate.Of(r.Context())
	w.Header().Set("Cache-Control", "no-store")
	if err := s.monitorLogin(r, q, accounts.RightMaster); err != nil {
		refuseMonitor(w, r, "profiles", err)
		return
	}
	name := ""
	if len(q.Path) == 1 {
		name = q.Path[0]
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	switch {
	case name == cpuProfile:
		seconds := profileSeconds
		if text := r.URL.Query().Get("seconds"); text != "" {
			n, err := strconv.Atoi(text)
			if err != nil || n < 1 || n > maxProfile {
				gate.Refuse(w, r, fault.New(op, fault.Invalid, "seconds must be 1 to 120"))
				return
			}
			seconds = n
		}
		if err := pprof.StartCPUProfile(w); err != nil {
			gate.Refuse(w, r, fault.New(op, fault.Busy, "a profile is being made"))
			return
		}
		select {
		case <-time.After(time.Duration(seconds) * time.Second):
		case <-r.Context().Done():
		case <-s.stop:
		}
		pprof.StopCPUProfile()
	case slices.Contains(profiles, name):
		// A client that is gone does not miss it.
		_ = pprof.Lookup(name).WriteTo(w, 0)
	default:
		gate.Refuse(w, r, fault.New(op, fault.NotFound, ""))
	}
}
