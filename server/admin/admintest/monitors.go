package admintest

import (
	"context"
	"sync"
	"time"

	"gatepost/accounts"
	"gatepost/accounts/files"
	"gatepost/server/counters"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// FileStorage is a Store of the test's own.
func (s *Server) FileStorage() *files.Store {
	s.storage.once.Do(func() { s.storage.store = files.New() })
	return s.storage.store
}

// SubscribeCalendar does nothing.
func (s *Server) SubscribeCalendar(context.Context, *accounts.Account, string, string) error {
	return nil
}

// stored makes one Store for a server.
type stored struct {
	once  sync.Once
	store *files.Store
}

// counted makes one Registry without metrics for a server.
type counted struct {
	once sync.Once
	r    *counters.Registry
}

// Counters is a Registry of the test's own.
func (s *Server) Counters() *counters.Registry {
	s.counted.once.Do(func() { s.counted.r = counters.New(time.Now()) })
	return s.counted.r
}

// Connections lists none.
func (s *Server) Connections(context.Context) (dataformat.Array, error) {
	return dataformat.Array{}, nil
}

// EndConnection knows none.
func (s *Server) EndConnection(context.Context, string, uint64) error {
	return fault.New("admintest.EndConnection", fault.NotFound, "there is no such connection any more")
}

// Polls lists none.
func (s *Server) Polls(context.Context) (dataformat.Array, error) { return dataformat.Array{}, nil }

// Certificates lists none.
func (s *Server) Certificates(context.Context) (dataformat.Array, error) {
	return dataformat.Array{}, nil
}

// ImportCertificate refuses all.
func (s *Server) ImportCertificate(context.Context, string, string) error {
	return fault.New("admintest.ImportCertificate", fault.Invalid, "there is no certificate in PEM form")
}

// Findings are those that SetFindings has set.
func (s *Server) Findings(context.Context) []counters.Finding {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.findings
}

// SetFindings sets what Findings returns.
func (s *Server) SetFindings(list []counters.Finding) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.findings = list
}

// ACMEStates lists none.
func (s *Server) ACMEStates(context.Context, string) (dataformat.Array, error) {
	return dataformat.Array{}, nil
}
