package server

import (
	"runtime"
	"runtime/debug"
	"strings"
)

// Version is the version of this server.
const Version = "0.1"

// Build is the version with what tells this program from others of the same version:
// "0.1 (commit 0123456789ab of 2026-11-22, go1.26.8, linux/amd64)". Only "go build" in a
// clone knows the commit.
func Build() string {
	commit, modified, date := "unknown", "", ""
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				commit = s.Value[:min(12, len(s.Value))]
			case "vcs.time":
				date, _, _ = strings.Cut(s.Value, "T")
				date = " of " + date
			case "vcs.modified":
				if s.Value == "true" {
					modified = ", modified"
				}
			}
		}
	}
	return Version + " (commit " + commit + date + modified + ", " + runtime.Version() + ", " + runtime.GOOS + "/" + runtime.GOARCH + ")"
}
