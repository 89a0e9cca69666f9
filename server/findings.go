package server

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"gatepost/router"
	"gatepost/server/certificates"
	"gatepost/server/counters"
	"gatepost/server/dataformat"
	"gatepost/server/dnsdoctor"
	"gatepost/server/logs"
)

// Findings lists what is not as it should be now, the bad things first. The words of each Kind, and the Args that they
// take, stand in webadmin/findings.go.
func (s *Server) Findings(context.Context) []counters.Finding {
	var list []counters.Finding
	add := func(bad bool, kind, about string, since time.Time, args ...any) {
		list = append(list, counters.Finding{Kind: kind, Bad: bad, About: about, Since: since, Args: args})
	}
	s.diskFindings(add)
	s.queueFindings(add)
	s.certificateFindings(add)
	for _, h := range s.helperStates() {
		if h.state != "running" && h.state != "starting" {
			add(true, "helper down", h.name, time.Time{}, h.name, h.lastError)
		}
	}
	if reason, at := s.system.Failing(); reason != "" {
		add(true, "no system passwords", "", at, reason)
	}
	for _, f := range s.ldap.Failing() {
		add(true, "directory server down", f.Domain, f.At, f.Server, f.Domain, f.Reason)
	}
	if reason, since := s.backups.failing(); reason != "" {
		add(true, "no backup", "", since, reason)
	}
	if polled, failing := s.poller.Failing(); failing > 0 {
		add(false, "polls fail", "", time.Time{}, failing, polled)
	}
	crashed := 0
	for _, w := range s.wires() {
		crashed += w.Crashed()
	}
	if crashed > 0 {
		add(true, "crashed", "", s.monitoring.counters.Start(), crashed)
	}
	s.changing.Lock()
	short := s.short
	s.changing.Unlock()
	if short != "" {
		add(false, "short of files", "", time.Time{}, short)
	}
	list = append(list, s.monitoring.certificates.findings()...)
	list = append(list, s.monitoring.dns.findings()...)
	slices.SortStableFunc(list, func(a, b counters.Finding) int {
		rank := map[bool]int{true: 0, false: 1}
		return rank[a.Bad] - rank[b.Bad]
	})
	return list
}

type addFinding func(bad bool, kind, about string, since time.Time, args ...any)

func (s *Server) diskFindings(add addFinding) {
	d, limit := s.diskNow(), float64(s.monitoring.settings.Get().DiskUsed)
	switch used := d.used(); {
	case d.err != nil:
		add(true, "disk unknown", "", time.Time{}, d.err.Error())
	case used >= limit:
		add(true, "disk full", "", time.Time{}, int(used), int64(d.free))
	case d.allInodes > 0 && 100-d.inodes/d.allInodes*100 >= limit:
		add(true, "disk without files", "", time.Time{}, int64(d.inodes))
	}
}

func (s *Server) queueFindings(add addFinding) {
	const most = 3 // queues that are named one by one
	q := s.queueNow()
	now := time.Now()
	rest := 0
	for i, l := range q.Late {
		if i >= most {
			rest += l.Messages
			continue
		}
		kind := "queue late"
		switch {
		case l.Module != router.SMTP && l.Module != router.LOCAL:
			kind = "module late"
		case l.Module == router.LOCAL:
			kind = "account late"
		}
		add(true, kind, l.Queue, now.Add(-l.Oldest), l.Messages, cmp.Or(l.Queue, string(l.Module)), l.LastError)
	}
	if rest > 0 {
		add(true, "more late", "", time.Time{}, rest)
	}
	if q.OnHold > 0 {
		add(false, "on hold", "", time.Time{}, q.OnHold)
	}
}

func (s *Server) certificateFindings(add addFinding) {
	leaf := s.cert.Load().Leaf
	left := time.Until(leaf.NotAfter)
	switch {
	case left <= 0:
		add(true, "certificate over", "", leaf.NotAfter)
	case left < s.monitoring.settings.Get().Certificate.Duration():
		add(true, "certificate ends", "", time.Time{}, int(left/(24*time.Hour)))
	}
	if certificates.SelfSigned(leaf) {
		add(false, "certificate own", "", time.Time{})
	}
}

// foundList is what looking at all domains has found.
type foundList struct {
	mu   sync.Mutex
	list []counters.Finding
}

func (f *foundList) findings() []counters.Finding {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.list)
}

func (f *foundList) set(list []counters.Finding) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.list = list
}

// maxDNSDomains bounds the domains that are looked at, dnsLimit the time for each.
const (
	maxDNSDomains = 200
	dnsLimit      = time.Minute
)

// watchDNS looks at the DNS records of all domains from time to time.
func (s *Server) watchDNS(ctx context.Context) {
	wait := minDNSPeriod
	for {
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		wait = minDNSPeriod
		if period := s.monitoring.settings.Get().CheckDNS; period.Duration() > 0 {
			s.lookAtDNS(ctx)
			wait = period.Duration()
		}
	}
}

func (s *Server) lookAtDNS(ctx context.Context) {
	var list []counters.Finding
	names, err := s.accounts.Domains(ctx)
	if err != nil {
		s.log.Log(ctx, logs.LevelProblem, "the DNS records of the domains could not be looked at", logs.AttrError, err)
		return
	}
	for _, name := range names[:min(len(names), maxDNSDomains)] {
		one, cancel := context.WithTimeout(ctx, dnsLimit)
		found, err := s.CheckDNS(one, name)
		cancel()
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			s.log.Log(ctx, logs.LevelProblem, "the DNS records of a domain could not be looked at", "domain", name, logs.AttrError, err)
			continue
		}
		wrong, first := 0, ""
		for _, e := range found {
			if d, ok := e.(dataformat.Dict); ok && d.String("state") == string(dnsdoctor.Problem) {
				if wrong++; first == "" {
					first = d.String("subject") + ": " + d.String("text")
				}
			}
		}
		if wrong > 0 {
			list = append(list, counters.Finding{Kind: "DNS", About: name, Args: []any{name, wrong, first}})
		}
	}
	s.monitoring.dns.set(list)
}
