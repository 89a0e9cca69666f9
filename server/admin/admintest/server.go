// Package admintest has a server for tests of calls to package admin.
package admintest

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"gatepost/accounts"
	"gatepost/accounts/mailbox"
	"gatepost/accounts/subscribers"
	"gatepost/router"
	"gatepost/router/address"
	"gatepost/rules"
	"gatepost/server/counters"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
	"gatepost/server/logs"
	"gatepost/server/settings"
)

// Server remembers settings and what it was told to do (admin.Server).
type Server struct {
	mu       sync.Mutex
	stopped  bool
	table    string
	modules  map[string]dataformat.Dict
	released []string
	rejected []string
	rules    *rules.Set
	signal   dataformat.Array
	counted  counted
	storage  stored
	findings []counters.Finding
	waiting  []subscribers.Question
	asking   []subscribers.Question
}

// ServerMailRules are the rules that were set.
func (s *Server) ServerMailRules() *rules.Set {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rules
}

// SetServerMailRules remembers rules.
func (s *Server) SetServerMailRules(set *rules.Set) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rules = set
	return nil
}

// ServerSignalRules are the call rules that were set.
func (s *Server) ServerSignalRules() (dataformat.Array, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.signal, nil
}

// SetServerSignalRules remembers call rules.
func (s *Server) SetServerSignalRules(list dataformat.Array) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.signal = list
	return nil
}

// Rejected lists the selections of messages that were rejected, with the text and whether a report is made.
func (s *Server) Rejected() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rejected
}

// New returns a server with a Router Table and the modules Queue and SMTP.
func New(table string) *Server {
	return &Server{table: table, modules: map[string]dataformat.Dict{"SMTP": {}, "Queue": {}}}
}

// Stopped reports whether it was told to stop.
func (s *Server) Stopped() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stopped
}

// Released lists the queues that were released.
func (s *Server) Released() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.released
}

// The methods of admin.Server.

func (s *Server) Version() string { return "0.1" }

// RelayVerdict lets accounts relay, and nobody else.
func (s *Server) RelayVerdict(_ context.Context, _ netip.Addr, account *accounts.Account, to address.Address) (int, string, error) {
	if account == nil {
		return 550, "550 5.7.1 " + to.String() + " we do not relay", nil
	}
	return 250, "250 " + to.String() + " will relay mail for an authenticated user", nil
}

func (s *Server) Shutdown() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
}

func (s *Server) RouterTable(context.Context) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.table, nil
}

func (s *Server) SetRouterTable(_ context.Context, text string) error {
	if err := router.CheckTable(text); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.table = text
	return nil
}

func (s *Server) Modules(context.Context) ([]string, error) { return []string{"Queue", "SMTP"}, nil }

func (s *Server) Module(_ context.Context, name string) (dataformat.Dict, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.modules[name], nil
}

func (s *Server) SetModule(_ context.Context, name string, d dataformat.Dict) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.modules[name] = settings.Merge(nil, d)
	return nil
}

func (s *Server) UpdateModule(_ context.Context, name string, d dataformat.Dict) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.modules[name] = settings.Merge(s.modules[name], d)
	return nil
}

// SettingNames knows one setting, which does nothing yet.
func (s *Server) SettingNames(string) *settings.Names {
	return settings.NamesOf([]settings.Setting{{Key: "ExternalFilters", Feature: "external filters"}})
}

func (s *Server) RouterSettings(ctx context.Context) (dataformat.Dict, error) {
	return s.Module(ctx, "Router")
}

func (s *Server) SetRouterSettings(ctx context.Context, d dataformat.Dict) error {
	return s.SetModule(ctx, "Router", d)
}

func (s *Server) ServerSettings(ctx context.Context) (dataformat.Dict, error) {
	return s.Module(ctx, "Main")
}

func (s *Server) UpdateServerSettings(ctx context.Context, d dataformat.Dict) error {
	return s.UpdateModule(ctx, "Main", d)
}

func (s *Server) QueueSettings(ctx context.Context) (dataformat.Dict, error) {
	return s.Module(ctx, "Queue")
}

func (s *Server) SetQueueSettings(ctx context.Context, d dataformat.Dict) error {
	return s.SetModule(ctx, "Queue", d)
}

func (s *Server) DNRSettings(ctx context.Context) (dataformat.Dict, error) {
	return s.Module(ctx, "DNR")
}

func (s *Server) SetDNRSettings(ctx context.Context, d dataformat.Dict) error {
	return s.SetModule(ctx, "DNR", d)
}

func (s *Server) UpdateDNRSettings(ctx context.Context, d dataformat.Dict) error {
	return s.UpdateModule(ctx, "DNR", d)
}

func (s *Server) Gateways(context.Context) ([]string, error) { return []string{"isp"}, nil }

func (s *Server) Gateway(_ context.Context, name string) (dataformat.Dict, error) {
	if name != "isp" {
		return nil, fault.New("admintest.Gateway", fault.NotFound, "")
	}
	return dataformat.Dict{"Host": dataformat.String("smtp.isp.test"), "Password": dataformat.String("swordfish")}, nil
}

func (s *Server) GatewayNames() *settings.Names {
	return settings.NamesOf([]settings.Setting{{Key: "Host"}, {Key: "Password", Secret: true}})
}

func (s *Server) CreateGateway(context.Context, string, dataformat.Dict) error { return nil }
func (s *Server) UpdateGateway(context.Context, string, dataformat.Dict) error { return nil }
func (s *Server) DeleteGateway(context.Context, string) error                  { return nil }

func (s *Server) TestGateway(_ context.Context, name, to string) ([]string, bool, error) {
	return []string{"connected to " + name, "sent to " + to}, true, nil
}

func (s *Server) DropItems(_ context.Context, source, sender string) ([]string, error) {
	return []string{"17.10.2011000011_BB1C7C8F5EC83BC7: (" + sender + " => " + source + ")"}, nil
}

func (s *Server) SendDropItems(context.Context, string, string) (dataformat.Dict, error) {
	return dataformat.Dict{"Sent": dataformat.String("1"), "Deferred": dataformat.String("0"), "Refused": dataformat.String("0")}, nil
}

// ChangeSubscription changes the subscriber, and writes to nobody.
func (s *Server) ChangeSubscription(ctx context.Context, l *accounts.MailingList, operation, subscriber string, _, _ bool) error {
	if strings.EqualFold(operation, "subscribe") {
		operation = l.Settings().Distribution
	}
	mode, _ := subscribers.ParseMode(operation)
	return l.Subscribers().Change(ctx, subscriber, func(s *subscribers.Subscriber) error { s.Mode = mode; return nil })
}

// ChangeSubscriptions changes the subscribers, and writes to nobody.
func (s *Server) ChangeSubscriptions(ctx context.Context, l *accounts.MailingList, all []subscribers.Subscriber, how subscribers.How) ([]error, error) {
	failed := make([]error, len(all))
	for i, one := range all {
		if !strings.Contains(one.Address, "@") {
			failed[i] = fault.New("admintest.Change", fault.Invalid, "no address")
			continue
		}
		failed[i] = l.Subscribers().Change(ctx, one.Address, func(s *subscribers.Subscriber) error {
			if how.NewOnly && s.Mode != subscribers.None {
				return fault.New("admintest.Change", fault.Exists, "known already")
			}
			s.Mode, s.RealName = one.Mode, one.RealName
			return nil
		})
	}
	return failed, nil
}

// Waiting lists what SetWaiting has set.
func (s *Server) Waiting(context.Context, *accounts.MailingList, int) (postings, subscriptions []subscribers.Question, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.waiting, s.asking, nil
}

// SetWaiting sets what Waiting returns.
func (s *Server) SetWaiting(postings, subscriptions []subscribers.Question) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting, s.asking = postings, subscriptions
}

// OpenWaiting opens the subject of a posting that waits.
func (s *Server) OpenWaiting(_ context.Context, _ *accounts.MailingList, token string) (io.ReadCloser, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, q := range s.waiting {
		if q.Token == token {
			return io.NopCloser(strings.NewReader("Subject: " + q.Value + "\r\n\r\n" + q.Value + "\r\n")), nil
		}
	}
	return nil, fault.New("admintest.OpenWaiting", fault.NotFound, "there is no such question")
}

// Approve forgets what waits.
func (s *Server) Approve(_ context.Context, _ *accounts.MailingList, token string) error {
	return s.decide(token)
}

// Reject forgets what waits.
func (s *Server) Reject(_ context.Context, _ *accounts.MailingList, token, _ string) error {
	return s.decide(token)
}

func (s *Server) decide(token string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.waiting) + len(s.asking)
	is := func(q subscribers.Question) bool { return q.Token == token }
	s.waiting, s.asking = slices.DeleteFunc(s.waiting, is), slices.DeleteFunc(s.asking, is)
	if len(s.waiting)+len(s.asking) == n {
		return fault.New("admintest.Decide", fault.NotFound, "there is no such question")
	}
	return nil
}

// ProcessBounce counts.
func (s *Server) ProcessBounce(ctx context.Context, l *accounts.MailingList, address string, _ bool) error {
	return l.Subscribers().Change(ctx, address, func(s *subscribers.Subscriber) error { s.Bounces++; return nil })
}

func (s *Server) LogSettings(ctx context.Context) (dataformat.Dict, error) {
	return s.Module(ctx, "Logs")
}

func (s *Server) UpdateLogSettings(ctx context.Context, d dataformat.Dict) error {
	return s.UpdateModule(ctx, "Logs", d)
}

func (s *Server) Helpers(context.Context) (dataformat.Dict, error) { return dataformat.Dict{}, nil }

func (s *Server) QueueInfo(_ context.Context, module, queue string) (dataformat.Dict, error) {
	if module != "SMTP" || queue != "example.net" {
		return dataformat.Dict{}, nil
	}
	return dataformat.Dict{"nTotal": dataformat.String("2"), "lastError": dataformat.String("no route")}, nil
}

func (s *Server) ReleaseQueue(_ context.Context, queue string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.released = append(s.released, queue)
	return nil
}

func (s *Server) QueueList(context.Context, dataformat.Dict) (dataformat.Array, error) {
	return nil, nil
}

func (s *Server) QueueMessage(context.Context, string) (dataformat.Dict, error) { return nil, nil }

func (s *Server) QueueFile(context.Context, string) (dataformat.Dict, error) { return nil, nil }

func (s *Server) HoldMessages(context.Context, dataformat.Dict) (int, error) { return 1, nil }

func (s *Server) ReleaseMessages(context.Context, dataformat.Dict) (int, error) { return 1, nil }

func (s *Server) RejectMessages(_ context.Context, d dataformat.Dict, text string, report bool) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rejected = append(s.rejected, fmt.Sprintf("%s %q %v", dataformat.Compact(d), text, report))
	return 1, nil
}

func (s *Server) RejectMessage(ctx context.Context, id, text string, report bool) error {
	_, err := s.RejectMessages(ctx, dataformat.Dict{"IDs": dataformat.Array{dataformat.String(id)}}, text, report)
	return err
}

func (s *Server) RerouteMessage(context.Context, string, string, string) (string, error) {
	return "2", nil
}

func (s *Server) LogFiles(context.Context) ([]logs.FileInfo, error) {
	return []logs.FileInfo{{Name: "2026-01-02.log", Current: true}}, nil
}

func (s *Server) ReadLog(context.Context, logs.Query) (*logs.Page, error) { return &logs.Page{}, nil }

func (s *Server) KickQueues(context.Context) error { return nil }

func (s *Server) Check(_ context.Context, tidy bool) ([]string, error) {
	if tidy {
		return []string{"note: removed"}, nil
	}
	return []string{"account 5: x"}, nil
}

func (s *Server) SearchIndex(*mailbox.Account) (dataformat.Dict, error) {
	return dataformat.Dict{"Messages": dataformat.String("7")}, nil
}

func (s *Server) Reindex(*mailbox.Account) {}

func (s *Server) ReindexAll(context.Context) ([]string, error) {
	return []string{"note: indexed 7 messages of 2 accounts"}, nil
}

func (s *Server) DKIMKeys(context.Context, string) (dataformat.Dict, error) {
	return dataformat.Dict{"s1": dataformat.Dict{"State": dataformat.String("Active")}}, nil
}

func (s *Server) CreateDKIMKey(_ context.Context, _, selector, _ string) (string, error) {
	return selector, nil
}

func (s *Server) ImportDKIMKey(context.Context, string, string, string) error { return nil }

func (s *Server) ActivateDKIMKey(context.Context, string, string) error { return nil }

func (s *Server) RetireDKIMKey(context.Context, string, string) error { return nil }

func (s *Server) DeleteDKIMKey(context.Context, string, string) error { return nil }

func (s *Server) DNSRecords(context.Context, string) (dataformat.Array, error) {
	return dataformat.Array{}, nil
}

func (s *Server) DMARCReports(context.Context, string, int) (dataformat.Dict, error) {
	return dataformat.Dict{"Days": dataformat.String("30"), "Reports": dataformat.String("2"), "To": dataformat.String("dmarc-reports@company.com"), "MoreSources": dataformat.String("0"),
		"Sources": dataformat.Array{dataformat.Dict{"Address": dataformat.String("192.0.2.7"), "Passed": dataformat.String("3"), "Failed": dataformat.String("1"),
			"Rejected": dataformat.String("1"), "First": dataformat.String("2026-11-29"), "Last": dataformat.String("2026-11-30"),
			"Reporters": dataformat.Array{dataformat.String("far.test")}}}}, nil
}

func (s *Server) CheckDNS(context.Context, string) (dataformat.Array, error) {
	return dataformat.Array{}, nil
}

// LookTLS knows nothing.
func (s *Server) LookTLS(context.Context, string) (dataformat.Dict, error) {
	return dataformat.Dict{"Lines": dataformat.Array{}, "Goes": dataformat.String("NO")}, nil
}

func (s *Server) CheckHost(context.Context) (dataformat.Array, error) { return dataformat.Array{}, nil }

// WriteLog writes nothing.
func (s *Server) WriteLog(context.Context, int, string) {}

// LogAll changes nothing.
func (s *Server) LogAll(context.Context, bool) {}

// FindMessages finds none.
func (s *Server) FindMessages(context.Context, dataformat.Dict, bool) (dataformat.Dict, error) {
	return dataformat.Dict{"Count": dataformat.Number(0)}, nil
}

// Backup makes none.
func (s *Server) Backup(context.Context, string, int) (dataformat.Dict, error) {
	return dataformat.Dict{"Path": dataformat.String("/backup/2026-12-01_03-00-00")}, nil
}

// RestoreOne restores nothing.
func (s *Server) RestoreOne(context.Context, dataformat.Dict) (dataformat.Dict, error) {
	return dataformat.Dict{"Messages": dataformat.Number(0)}, nil
}

// TestTriggerHandler knows one handler.
func (s *Server) TestTriggerHandler(_ context.Context, name string) error {
	if name != "oncall" {
		return fault.New("test", fault.NotFound, "there is no such handler")
	}
	return nil
}

// SendTestMessage answers the number 100234.
func (s *Server) SendTestMessage(context.Context, string, string) (string, error) {
	return "100234", nil
}

// TryRules answers nothing.
func (s *Server) TryRules(context.Context, dataformat.Dict) (*rules.Verdict, error) {
	return &rules.Verdict{Result: "INBOX"}, nil
}
