package server

import (
	"maps"
	"runtime"
	"runtime/metrics"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"gatepost/queue"
	"gatepost/server/counters"
	"gatepost/server/dataformat"
)

// wired is a module with connections.
type wired interface {
	Wire() *counters.Wire
	Open() int
	Crashed() int
	Connections(most int) []counters.Connection
	End(number uint64, reason string) bool
}

// wire is what is counted of a module with connections. Elements of statistics that are about it begin with element, and
// their numbers with oid.
type wire struct {
	module, element, oid string
	wired
	jobs *counters.Counter // messages or commands; nil: none
}

// wires are the modules with connections that are open.
func (s *Server) wires() (list []*wire) {
	for _, m := range s.modules {
		if m.wire != nil {
			m.wire.module = m.name
			list = append(list, m.wire)
		}
	}
	return list
}

// metrics names all that is counted. Elements keep their numbers: scripts have them.
func (s *Server) metrics() []counters.Metric {
	return slices.Concat(s.systemMetrics(), s.wireMetrics(), s.smtpMetrics(), s.httpMetrics(), s.mailMetrics(), s.accountMetrics())
}

func (s *Server) systemMetrics() []counters.Metric {
	disk := func(of func(d diskState) float64) func() float64 {
		return func() float64 { return of(s.diskNow()) }
	}
	greyDelayed, greyPassed := s.protection.GreylistCounts()
	return []counters.Metric{
		{Name: "gatepost_info", Help: "The version, as a label.", Label: "version", States: func(yield func(string, float64)) { yield(Version, 1) }},
		{Name: "gatepost_uptime_seconds", Help: "How long the process has run.", State: func() float64 { return time.Since(s.monitoring.counters.Start()).Seconds() }, Element: "uptime", OID: "1.1"},
		{Name: "gatepost_disk_size_bytes", Help: "Size of the file system with the base directory.", State: disk(func(d diskState) float64 { return d.size }), Element: "diskSize", OID: "1.2"},
		{Name: "gatepost_disk_free_bytes", Help: "What is free of it for the server.", State: disk(func(d diskState) float64 { return d.free }), Element: "diskFree", OID: "1.3"},
		{Name: "gatepost_disk_free_inodes", Help: "Files that can still be made there.", State: disk(func(d diskState) float64 { return d.inodes })},
		{Name: "gatepost_memory_bytes", Help: "Memory that the process has from the system.", State: memory, Element: "memoryUsed", OID: "1.4"},
		{Name: "gatepost_goroutines", Help: "Goroutines of the process.", State: func() float64 { return float64(runtime.NumGoroutine()) }, Element: "goroutines", OID: "1.5"},
		{Name: "gatepost_cpu_seconds_total", Help: "Time of processors that the process has used.", State: processorTime, Rises: true},
		{Name: "gatepost_certificate_expiry_timestamp_seconds", Help: "When the server's certificate ends, in seconds since 1970.", State: func() float64 {
			return float64(s.cert.Load().Leaf.NotAfter.Unix())
		}},
		{Name: "gatepost_blocked_addresses", Help: "Addresses on the temporary blacklist.", State: func() float64 { return float64(s.protection.Len()) }, Element: "blockedAddresses", OID: "16.1"},
		{Name: "gatepost_blocks_total", Help: "Addresses that came on the temporary blacklist, by cause.", Label: "cause", Labelled: s.protection.Made(), Element: "blocksMade", OID: "16.2"},
		{Name: "gatepost_dnslist_hits_total", Help: "Clients that were on a DNS list, by its zone.", Label: "zone", Labelled: s.protection.Listed()},
		{Name: "gatepost_strangers_slowed_total", Help: "Connections and messages of strangers that came too fast, by which.", Label: "what", Labelled: s.protection.Slowed()},
		{Name: "gatepost_banned_lines_total", Help: "Messages that were refused for a banned line, by the part that had it.", Label: "part", Labelled: s.protection.BannedFound()},
		{Name: "gatepost_reverse_connects_total", Help: "Questions of Reverse Connect about return-paths, by what came of them.", Label: "answer", Labelled: s.protection.Callbacks()},
		{Name: "gatepost_greylist_delayed_total", Help: "Recipients that greylisting has put off.", Counter: greyDelayed, Element: "greylistDelayed", OID: "16.3"},
		{Name: "gatepost_greylist_passed_total", Help: "Senders that came again after greylisting had put them off.", Counter: greyPassed, Element: "greylistPassed", OID: "16.4"},
		{Name: "gatepost_greylist_entries", Help: "Triples of network, return-path and recipient that greylisting remembers.", State: func() float64 { return float64(s.protection.GreylistLen()) }},
		{Name: "gatepost_dns_questions_total", Help: "Look-ups in the DNS by how they were answered.", Labels: []string{"answer", "from the cache"}, Counter: &s.resolver.Counts().Cached, Element: "dnrCached", OID: "12.1"},
		{Name: "gatepost_dns_questions_total", Help: "Look-ups in the DNS by how they were answered.", Labels: []string{"answer", "by name servers"}, Counter: &s.resolver.Counts().Asked, Element: "dnrAsked", OID: "12.2"},
		{Name: "gatepost_dns_failures_total", Help: "Look-ups that no name server has answered.", Counter: &s.resolver.Counts().Failed, Element: "dnrFailed", OID: "12.3"},
		{Name: "gatepost_dns_duration_seconds", Help: "Time until name servers have answered.", Histogram: s.resolver.Counts().Took},
	}
}

// memory is what the process has from the system.
func memory() float64 {
	sample := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(sample)
	return float64(sample[0].Value.Uint64() - sample[1].Value.Uint64())
}

// processorTime is what the process has used, in seconds; 0 when the system does not tell.
func processorTime() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}

func (s *Server) wireMetrics() []counters.Metric {
	var list []counters.Metric
	for _, w := range s.wires() {
		labels := []string{"module", w.module}
		list = append(list,
			counters.Metric{Name: "gatepost_connections_total", Help: "Connections that were accepted.", Labels: labels, Counter: &w.Wire().Accepted, Element: w.element + "Total", OID: w.oid + ".2"},
			counters.Metric{Name: "gatepost_connections", Help: "Connections now.", Labels: labels, State: func() float64 { return float64(w.Open()) }, Element: w.element + "Active", OID: w.oid + ".1"},
			counters.Metric{Name: "gatepost_connections_refused_total", Help: "Connections that were refused, by reason.", Labels: labels, Label: "reason", Labelled: &w.Wire().Refused, Element: w.element + "Refused", OID: w.oid + ".6"},
			counters.Metric{Name: "gatepost_received_bytes_total", Help: "Octets that clients have sent.", Labels: labels, Counter: &w.Wire().Received, Element: w.element + "TrafficIn", OID: w.oid + ".4"},
			counters.Metric{Name: "gatepost_sent_bytes_total", Help: "Octets that were sent to clients.", Labels: labels, Counter: &w.Wire().Sent, Element: w.element + "TrafficOut", OID: w.oid + ".5"},
			counters.Metric{Name: "gatepost_tls_handshakes_total", Help: "Handshakes of TLS, by result.", Labels: append([]string{"result", "completed"}, labels...), Counter: &w.Wire().Encrypted},
			counters.Metric{Name: "gatepost_tls_handshakes_total", Help: "Handshakes of TLS, by result.", Labels: append([]string{"result", "failed"}, labels...), Counter: &w.Wire().Failed},
			counters.Metric{Name: "gatepost_sessions_crashed_total", Help: "Sessions that a bug has ended.", Labels: labels, State: func() float64 { return float64(w.Crashed()) }, Rises: true},
		)
		if w.jobs != nil {
			name, help := "gatepost_commands_total", "Commands of clients."
			if w.module == "SMTP" {
				name, help = "gatepost_smtp_messages_total", "Messages that clients of SMTP and LMTP have sent and that were accepted."
				labels = nil
			}
			list = append(list, counters.Metric{Name: name, Help: help, Labels: labels, Counter: w.jobs, Element: w.element + "Jobs", OID: w.oid + ".3"})
		}
	}
	return list
}

// smtpMetrics are those of a server that receives by SMTP.
func (s *Server) smtpMetrics() []counters.Metric {
	if s.receiver == nil {
		return nil
	}
	in := s.receiver.Counts()
	return []counters.Metric{
		{Name: "gatepost_smtp_received_bytes_total", Help: "Size of the messages that clients of SMTP and LMTP have sent.", Counter: &in.Bytes},
		{Name: "gatepost_smtp_refused_total", Help: "Senders, recipients and messages that were refused, by reason.", Label: "reason", Labelled: &in.Refused, Element: "smtpInputRejected", OID: "2.8"},
		{Name: "gatepost_smtp_turned_away_total", Help: "Sessions of SMTP that were refused to addresses on the temporary blacklist, by its cause.", Label: "cause", Labelled: &in.TurnedAway},
		{Name: "gatepost_smtp_dropped_total", Help: "Messages that were accepted and dropped, as a check or a spamtrap wants it.", Counter: &in.Dropped, Element: "smtpInputDropped", OID: "2.9"},
	}
}

func (s *Server) httpMetrics() []counters.Metric {
	var list []counters.Metric
	for _, name := range slices.Sorted(maps.Keys(s.http)) {
		c := s.http[name].Counts()
		for class := 1; class < len(c.Answers); class++ {
			list = append(list, counters.Metric{Name: "gatepost_http_requests_total", Help: "Requests by the class of the answer's status.",
				Labels: []string{"module", name, "status", strconv.Itoa(class) + "xx"}, Counter: &c.Answers[class]})
		}
		list = append(list,
			counters.Metric{Name: "gatepost_http_duration_seconds", Help: "Time until a request was answered.", Labels: []string{"module", name}, Histogram: c.Took},
			counters.Metric{Name: "gatepost_http_login_failures_total", Help: "Names and passwords that were wrong.", Labels: []string{"module", name}, Counter: &c.FailedLogins,
				Element: map[string]string{adminsModule: "httpAdminAuthFailed", usersModule: "httpUserAuthFailed"}[name], OID: map[string]string{adminsModule: "7", usersModule: "8"}[name] + ".7"})
	}
	return list
}

func (s *Server) mailMetrics() []counters.Metric {
	q, rules, polls := s.queue.Counts(), s.rules.Counts(), s.poller.Counts()
	now := func(of func(queueState) float64) func() float64 { return func() float64 { return of(s.queueNow()) } }
	return []counters.Metric{
		{Name: "gatepost_queue_messages_received_total", Help: "Messages that entered the queue, by source.", Label: "source", Labelled: &q.Received, Element: "messagesReceived", OID: "9.1"},
		{Name: "gatepost_queue_received_bytes_total", Help: "Their size.", Counter: &q.Bytes, Element: "messageBytesReceived", OID: "9.2"},
		{Name: "gatepost_queue_message_size_bytes", Help: "Sizes of messages that entered the queue.", Histogram: q.Sizes},
		{Name: "gatepost_queue_delivered_total", Help: "Recipients to whom a message was delivered or relayed, by module.", Label: "module", Labelled: &q.Delivered, Element: "recipientsDelivered", OID: "9.3"},
		{Name: "gatepost_queue_failed_total", Help: "Recipients for whom delivery has failed, by module.", Label: "module", Labelled: &q.Failed, Element: "recipientsFailed", OID: "9.4"},
		{Name: "gatepost_queue_expired_total", Help: "Recipients that were given up or rejected by an administrator, by module.", Label: "module", Labelled: &q.Expired, Element: "recipientsExpired", OID: "9.5"},
		{Name: "gatepost_queue_deferred_total", Help: "Attempts after which a recipient still waits, by module.", Label: "module", Labelled: &q.Deferred, Element: "recipientsDeferred", OID: "9.6"},
		{Name: "gatepost_queue_deferrals_total", Help: "Attempts after which a recipient still waits, by reason.", Label: "reason", Labelled: &q.Deferrals},
		{Name: "gatepost_queue_delivery_duration_seconds", Help: "Time from the acceptance of a message to its delivery.", Histogram: q.Took},
		{Name: "gatepost_smtp_sent_tls_sessions_total", Help: "Sessions with mail servers of other domains, by the policy that held and what came of encryption (RFC 8460).", Label: "result", Labelled: &s.relay.Counts().Sessions},
		{Name: "gatepost_queue_messages", Help: "Messages in the queue.", State: now(func(q queueState) float64 { return float64(q.Messages) }), Element: "numQueuedMessages", OID: "9.7"},
		{Name: "gatepost_queue_messages_on_hold", Help: "Those of them that an administrator has wait.", State: now(func(q queueState) float64 { return float64(q.OnHold) }), Element: "numHeldMessages", OID: "9.8"},
		{Name: "gatepost_queue_size_bytes", Help: "Their size.", State: now(func(q queueState) float64 { return float64(q.Bytes) }), Element: "queuedBytes", OID: "9.9"},
		{Name: "gatepost_queue_oldest_age_seconds", Help: "Age of the oldest message in the queue that is not on hold.", State: now(func(q queueState) float64 { return q.Oldest.Seconds() }), Element: "oldestQueuedAge", OID: "9.10"},
		{Name: "gatepost_queue_waiting", Help: "Messages that wait, by module.", Label: "module", States: func(yield func(string, float64)) {
			waiting := s.queueNow().Waiting
			for _, m := range slices.Sorted(maps.Keys(waiting)) {
				yield(string(m), float64(waiting[m]))
			}
		}},

		{Name: "gatepost_rule_actions_total", Help: "Actions that rules of domains and accounts have carried out.", Counter: &rules.Actions, Element: "ruleActions", OID: "10.1"},
		{Name: "gatepost_rule_verdicts_total", Help: "Messages by what the rules of the server made of them.", Label: "verdict", Labelled: &rules.Verdicts, Element: "ruleVerdicts", OID: "10.2"},
		{Name: "gatepost_helper_requests_total", Help: "Requests to a helper program.", Label: "helper", States: s.helperNumbers("requests"), Rises: true, Element: "helperRequests", OID: "10.3"},
		{Name: "gatepost_helper_timeouts_total", Help: "Requests that a helper program did not answer in time.", Label: "helper", States: s.helperNumbers("timeouts"), Rises: true, Element: "helperTimeouts", OID: "10.4"},
		{Name: "gatepost_helper_failures_total", Help: "Times that a helper program has ended or could not be started.", Label: "helper", States: s.helperNumbers("failures"), Rises: true, Element: "helperFailures", OID: "10.5"},
		{Name: "gatepost_helper_running", Help: "Whether a helper program that is switched on runs.", Label: "helper", States: func(yield func(string, float64)) {
			for _, h := range s.helperStates() {
				up := 0.0
				if h.state == "running" {
					up = 1
				}
				yield(h.name, up)
			}
		}},

		{Name: "gatepost_calendar_messages_sent_total", Help: "Messages of calendars to attendees and organizers.", Counter: &s.scheduling.Counts().Sent},
		{Name: "gatepost_calendar_messages_taken_total", Help: "Messages about events that calendars have taken over.", Counter: &s.scheduling.Counts().Taken},
		{Name: "gatepost_calendar_messages_refused_total", Help: "Messages about events that calendars have not taken over: not proved, not of the organizer, too old.", Counter: &s.scheduling.Counts().Refused},

		{Name: "gatepost_rpop_polls_total", Help: "Polls of remote accounts.", Counter: &polls.Polls, Element: "rpopPolls", OID: "11.1"},
		{Name: "gatepost_rpop_failures_total", Help: "Polls that have failed.", Counter: &polls.Failed, Element: "rpopFailed", OID: "11.2"},
		{Name: "gatepost_rpop_messages_total", Help: "Messages that polls have fetched.", Counter: &polls.Messages, Element: "rpopMessages", OID: "11.3"},
		{Name: "gatepost_rpop_failing", Help: "Remote accounts whose last poll has failed.", State: func() float64 {
			_, failing := s.poller.Failing()
			return float64(failing)
		}, Element: "rpopFailing", OID: "11.4"},
	}
}

func (s *Server) accountMetrics() []counters.Metric {
	logins, junk, aged, texts := s.accounts.Logins().Counts(), s.junk.Counts(), s.housekeeper.Counts(), s.texts.Counts()
	return []counters.Metric{
		{Name: "gatepost_search_indexed_total", Help: "Messages that were indexed for searches.", Counter: &texts.Indexed},
		{Name: "gatepost_search_unreadable_total", Help: "Messages that could not be read to be indexed.", Counter: &texts.Unreadable},
		{Name: "gatepost_search_narrowed_total", Help: "Messages that searches did not read because the index told.", Counter: &texts.Narrowed},
		{Name: "gatepost_search_read_total", Help: "Messages that searches read although there is an index.", Counter: &texts.Read},
		{Name: "gatepost_search_waiting", Help: "Messages that wait to be indexed.", State: func() float64 {
			n, _ := s.texts.Waiting()
			return float64(n)
		}},
		{Name: "gatepost_search_lag_seconds", Help: "How long the first message that waits to be indexed has been waiting.", State: func() float64 {
			if _, since := s.texts.Waiting(); !since.IsZero() {
				return time.Since(since).Seconds()
			}
			return 0
		}},
		{Name: "gatepost_search_index_bytes", Help: "How long the files of the search index are.", State: func() float64 { return float64(s.texts.Size()) }},
		{Name: "gatepost_aged_messages_total", Help: "Messages that were deleted or archived because of their age, by which.", Label: "what", Labelled: &aged.Messages},
		{Name: "gatepost_quota_notices_total", Help: "Notices to accounts that are nearly full.", Counter: &aged.Notices},
		{Name: "gatepost_junk_scored_total", Help: "Messages that got a junk score, by result: junk (90 and more), ham (10 and less), unsure.", Label: "result", Labelled: &junk.Scored, Element: "junkScored", OID: "17.1"},
		{Name: "gatepost_junk_learned_total", Help: "Messages that the junk filter has learned from accounts, by kind.", Label: "kind", Labelled: &junk.Learned, Element: "junkLearned", OID: "17.2"},
		{Name: "gatepost_logins_total", Help: "Logins, by service.", Label: "service", Labelled: &logins.Succeeded, Element: "logins", OID: "13.1"},
		{Name: "gatepost_login_failures_total", Help: "Logins that have failed, by service.", Label: "service", Labelled: &logins.Failed, Element: "failedAUTHs", OID: "13.2"},
		{Name: "gatepost_logins_blocked_total", Help: "Those of them that were not tried, as too many had failed before.", Counter: &logins.Blocked, Element: "blockedAUTHs", OID: "13.3"},
		{Name: "gatepost_sessions", Help: "Sessions that have logged in, by service.", Label: "service", States: func(yield func(string, float64)) {
			n := map[string]float64{}
			s.accounts.Sessions().Each(func(service string) { n[service]++ })
			for _, service := range slices.Sorted(maps.Keys(n)) {
				yield(service, n[service])
			}
		}, Element: "loggedInSessions", OID: "13.4"},
	}
}

// helperNumbers reads one number of each helper's statistics.
func (s *Server) helperNumbers(key string) func(yield func(string, float64)) {
	return func(yield func(string, float64)) {
		all := s.helpers.Statistics()
		for _, name := range slices.Sorted(maps.Keys(all)) {
			d, _ := all[name].(dataformat.Dict)
			n, err := strconv.ParseFloat(d.String(key), 64)
			if err == nil {
				yield(name, n)
			}
		}
	}
}

// helperState is a helper that is switched on.
type helperState struct{ name, state, lastError string }

func (s *Server) helperStates() (list []helperState) {
	all := s.helpers.Statistics()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		d, _ := all[name].(dataformat.Dict)
		if state := d.String("state"); state != "disabled" && state != "" {
			list = append(list, helperState{name, state, d.String("lastError")})
		}
	}
	return list
}

// cached is a value that costs something to find, and that several metrics and pages ask for at a time.
type cached[T any] struct {
	mu sync.Mutex
	at time.Time
	v  T
}

// cachedFor is how old it may be.
const cachedFor = 2 * time.Second

func (c *cached[T]) get(find func() T) T {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); c.at.IsZero() || now.Sub(c.at) > cachedFor {
		c.v, c.at = find(), now
	}
	return c.v
}

type queueState = queue.State

func (s *Server) queueNow() queueState {
	return s.monitoring.queue.get(func() queueState { return s.queue.State(s.monitoring.settings.Get().QueueAge.Duration()) })
}

// diskState is the file system with the base directory; zero when the system does not tell.
type diskState struct {
	size, free, inodes, allInodes float64
	err                           error
}

func (s *Server) diskNow() diskState {
	return s.monitoring.disk.get(func() diskState {
		var st syscall.Statfs_t
		if err := syscall.Statfs(s.base.dir, &st); err != nil {
			return diskState{err: err}
		}
		// As df does: what is kept for root is not free.
		return diskState{size: float64(st.Blocks-st.Bfree+st.Bavail) * float64(st.Bsize), free: float64(st.Bavail) * float64(st.Bsize), inodes: float64(st.Ffree), allInodes: float64(st.Files)}
	})
}

// used is the part of the disk that is taken, in percent.
func (d diskState) used() float64 {
	if d.size == 0 {
		return 0
	}
	return 100 - d.free/d.size*100
}
