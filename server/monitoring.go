package server

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"sync"
	"time"

	"gatepost/server/counters"
	"gatepost/server/durable"
	"gatepost/server/fault"
	"gatepost/server/logs"
	"gatepost/server/settings"
)

// MonitoringSettings say when something is told of, and who may read metrics, in Settings/Monitoring.settings.
type MonitoringSettings struct {
	QueueAge    settings.Period `key:"QueueAgeWarning" default:"1h" level:"basic" since:"0.2" help:"a queue is told of whose oldest message waits for longer than this"`
	DiskUsed    int             `key:"DiskWarning" default:"90" unit:"percent" level:"basic" since:"0.2" help:"the disk is told of when so much of it is used"`
	Certificate settings.Period `key:"CertificateWarning" default:"14d" level:"basic" since:"0.2" help:"the certificate is told of when it ends within this"`
	Addresses   settings.IPList `key:"MetricsAddresses" level:"basic" since:"0.2" help:"addresses that may read /metrics on HTTPA without a login; others log in as an administrator with the right Monitor"`
	CheckDNS    settings.Period `key:"CheckDNSEvery" default:"6h" level:"advanced" since:"0.2" help:"the DNS records of all domains are compared with what they should be this often; never does not look"`
}

// Validate checks the limits.
func (s *MonitoringSettings) Validate() error {
	switch {
	case s.QueueAge <= 0 && s.QueueAge != settings.Never:
		return settings.BadValue("QueueAgeWarning", "must be greater than 0, or never")
	case s.DiskUsed < 1 || s.DiskUsed > 100:
		return settings.BadValue("DiskWarning", "must be 1 to 100")
	case s.CheckDNS != settings.Never && s.CheckDNS.Duration() < minDNSPeriod:
		return settings.BadValue("CheckDNSEvery", "must be 10m or more, or never")
	}
	return nil
}

const (
	// minDNSPeriod is how long after the start the records are first looked at, and how often at most.
	minDNSPeriod = 10 * time.Minute
	countersFile = "Counters.data"
)

// monitoring is what the server knows about itself.
type monitoring struct {
	settings *settings.Live[MonitoringSettings]
	counters *counters.Registry
	queue    cached[queueState]
	disk     cached[diskState]
	dns      foundList

	certificates foundList // of domains
}

// monitoringPart counts. It is opened after all that it counts, and closed before them.
func (s *Server) monitoringPart() *module {
	s.monitoring.settings = live[MonitoringSettings]()
	m := newModule("Monitoring", s.monitoring.settings)
	m.open = func() error {
		s.monitoring.counters = counters.New(time.Now())
		s.monitoring.counters.Add(s.metrics()...)
		return s.loadCounters()
	}
	m.run = func(ctx context.Context) error {
		var watchers sync.WaitGroup
		watchers.Go(func() { s.watchDNS(ctx) })
		watchers.Go(func() { s.watchCertificates(ctx) })
		watchers.Go(func() { s.rotateTickets(ctx) })
		s.monitoring.counters.Run(ctx, s.saveCounters)
		watchers.Wait()
		return nil
	}
	m.close = func() error {
		if s.ran {
			s.saveCounters()
		}
		return nil
	}
	return m
}

// loadCounters goes on from what was counted before. A file that cannot be read costs the history, not the start.
func (s *Server) loadCounters() error {
	path := s.base.path("Settings", countersFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = s.monitoring.counters.Load(text)
	}
	if err == nil {
		return nil
	}
	aside := path + ".bad"
	s.log.Log(context.Background(), logs.LevelFailure, "what was counted before cannot be read, and counting begins anew; the file is set aside",
		"file", "Settings/"+countersFile, logs.AttrError, err)
	if err := os.Rename(path, aside); err != nil {
		return fault.Wrap("server.Counters", fault.Internal, err)
	}
	return nil
}

// saveCounters writes the file. What fails is tried again with the next minutes.
func (s *Server) saveCounters() {
	if err := durable.ReplaceFile(s.base.path("Settings", countersFile), s.monitoring.counters.Save(), 0o640); err != nil {
		s.log.Log(context.Background(), logs.LevelFailure, "what is counted cannot be saved", "file", "Settings/"+countersFile, logs.AttrError, err)
	}
}

// Counters has everything that is counted.
func (s *Server) Counters() *counters.Registry { return s.monitoring.counters }
