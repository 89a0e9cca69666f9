package server

import (
	"context"
	"io"
	"strconv"
	"sync"

	"gatepost/protocols/mailauth/reports"
	"gatepost/router"
	"gatepost/router/address"
	"gatepost/router/names"
	"gatepost/server/dataformat"
)

// reportsPart takes aggregate reports of DMARC, and sends them. It comes before localPart, which drops what is held and nobody
// knows of.
func (s *Server) reportsPart() *module {
	set := live[reports.Settings]()
	m := newModule("Reports", set, "REPORTS").delivering(s, router.REPORTS)
	var store *reports.Store
	m.open = func() (err error) {
		store = reports.OpenStore(s.base.path("Reports", "Received"))
		s.reports = reports.NewInbox(store, s.accounts, set, s.log)
		s.router.UseReports(s.reports.Takes)
		s.queue.Handle(m.queues, s.reports)
		if s.tlsOutbox, err = reports.OpenTLSOutbox(reports.TLSOptions{Dir: s.base.path("Reports", "TLS"), Settings: set, DNS: s.resolver, Directory: s.accounts, Queue: s.queue, Log: s.log}); err != nil {
			return err
		}
		s.outbox, err = reports.OpenOutbox(s.base.path("Reports", "Counted"), set, s.verifier, s.accounts, s.queue, s.log)
		return err
	}
	m.run = func(ctx context.Context) error {
		var work sync.WaitGroup
		work.Go(func() { store.PruneDaily(ctx, s.log) })
		work.Go(func() { s.outbox.Run(ctx) })
		work.Go(func() { s.tlsOutbox.Run(ctx) })
		work.Wait()
		return nil
	}
	return m
}

// reportCheck looks at reports when they are received (arriving.Reports).
type reportCheck struct{ s *Server }

func (c reportCheck) Takes(ctx context.Context, a address.Address) bool {
	if !c.s.reports.Takes(a.Local) {
		return false
	}
	r, err := c.s.router.Route(ctx, names.Mail, a)
	return err == nil && r.Module == router.REPORTS
}

func (c reportCheck) Count(m reports.Message) { c.s.outbox.Count(m) }

func (c reportCheck) Accepts(text io.ReaderAt, size int64) error {
	return c.s.reports.Accepts(text, size)
}

// maxSources bounds the addresses that an answer tells of.
const maxSources = 1000

// DMARCReports is what others report about mail in the name of a domain.
func (s *Server) DMARCReports(ctx context.Context, domain string, days int) (dataformat.Dict, error) {
	if days <= 0 {
		days = 30
	}
	sum, err := s.reports.Sum(ctx, domain, days)
	if err != nil {
		return nil, err
	}
	count := func(n int64) dataformat.Value { return dataformat.String(strconv.FormatInt(n, 10)) }
	sources := dataformat.Array{}
	for _, one := range sum.Sources[:min(len(sum.Sources), maxSources)] {
		d := dataformat.Dict{"Passed": count(one.Passed), "Failed": count(one.Failed), "Rejected": count(one.Rejected),
			"First": dataformat.String(one.First), "Last": dataformat.String(one.Last)}
		if one.Addr.IsValid() {
			d["Address"] = dataformat.String(one.Addr.String())
		}
		names := make(dataformat.Array, len(one.Reporters))
		for i, r := range one.Reporters {
			names[i] = dataformat.String(r)
		}
		d["Reporters"] = names
		sources = append(sources, d)
	}
	return dataformat.Dict{"Days": count(int64(min(days, reports.Days))), "Reports": count(int64(sum.Reports)), "To": dataformat.String(s.reports.Address(domain)),
		"Sources": sources, "MoreSources": count(int64(max(0, len(sum.Sources)-maxSources)))}, nil
}
