package http

import (
	"path/filepath"
	"strings"
	"testing"

	"gatepost/protocols/transcript"
	"gatepost/server/settings"
)

// playAll plays transcripts in a bubble each: clients come from the address.
func playAll(t *testing.T, pattern, from string) {
	paths, err := filepath.Glob(pattern)
	if err != nil || len(paths) == 0 {
		t.Fatalf("%s: %v", pattern, err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			transcript.Bubble(t, func(t *testing.T) {
				f := newFixture(t, options{})
				transcript.Play(t, f.pipes.From(from), path)
				f.stop()
			})
		})
	}
}

func TestDialoguesOnTheSameMachine(t *testing.T) { playAll(t, "testdata/loopback/*.txtar", loopback) }

func TestSettings(t *testing.T) {
	must(t, settings.Check(new(Settings)))
	for text, good := range map[string]bool{
		"{}": true, "{HeaderTimeout=0;}": false, "{BodyTimeout=never;}": false, "{IdleTimeout=2d;}": false, "{WriteTimeout=1d;}": true,
		"{HeaderSizeLimit=1K;}": false, "{HeaderSizeLimit=unlimited;}": false, `{Requests="-1";}`: false, "{HTTPRequestSizeLimit=unlimited;}": true,
		"{CLIAccess=all;}": false, `{TrustedProxies="10.0.0.0/8";}`: true,
	} {
		if err := settings.Load(new(Settings), dict(t, text)); (err == nil) != good {
			t.Errorf("%s: %v", text, err)
		}
	}
}
