package server

import (
	"context"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"gatepost/server/dataformat"
	"gatepost/server/fault"
	"gatepost/server/settings"
)

// fake is a module that tells what happens to it.
type fake struct {
	mu     sync.Mutex
	events []string
	runs   chan struct{} // closed by run
	set    *settings.Live[fakeSettings]
}

type fakeSettings struct {
	Depth int `key:"Depth" default:"3" level:"basic" since:"0.1" help:"how deep"`
}

func (f *fake) happens(event string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.events = append(f.events, event)
}

func (f *fake) module(s *Server) *module {
	f.set = live[fakeSettings]()
	m := newModule("FAKE", f.set, "FAKE")
	m.open = func() error {
		if s.queue == nil || f.set.Get().Depth != 3 {
			f.happens("opened too early")
		}
		f.happens("open")
		return nil
	}
	m.run = func(ctx context.Context) error {
		f.happens("run")
		close(f.runs)
		<-ctx.Done()
		f.happens("run ends")
		return nil
	}
	m.changed = func() { f.happens("changed") }
	m.close = func() error {
		if s.accounts.MainDomain() == "" {
			f.happens("closed too late")
		}
		f.happens("close")
		return nil
	}
	return m
}

func TestModuleOfTheTableIsWholeByItself(t *testing.T) {
	f := &fake{runs: make(chan struct{})}
	s, err := newServer(Config{Base: filepath.Join(t.TempDir(), "base"), MainDomain: "corp.test"},
		func(s *Server) []*module { // without listeners
			list := slices.DeleteFunc(s.table(), func(m *module) bool { return len(m.stock) > 0 && m.name != "PWD" })
			for _, m := range list {
				m.stock = nil
			}
			return append(list, f.module(s))
		})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() { ended <- s.Run(t.Context()) }()
	<-s.Ready()
	<-f.runs
	names, err := s.Modules(t.Context())
	if err != nil || !slices.Contains(names, "FAKE") {
		t.Errorf("the modules are %v, %v", names, err)
	}
	if err := s.UpdateModule(t.Context(), "fake", dataformat.Dict{"Depth": dataformat.String("5")}); err != nil || f.set.Get().Depth != 5 {
		t.Errorf("%v, Depth is %d", err, f.set.Get().Depth)
	}
	if err := s.UpdateModule(t.Context(), "fake", dataformat.Dict{"Deepth": dataformat.String("5")}); !fault.Is(err, fault.Invalid) {
		t.Errorf("an unknown setting: %v", err)
	}
	s.Shutdown()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if want := []string{"open", "run", "changed", "run ends", "close"}; !slices.Equal(f.events, want) {
		t.Errorf("it saw %v, not %v", f.events, want)
	}
}
