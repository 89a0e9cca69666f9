package rpop

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"gatepost/accounts"
	"gatepost/queue"
	"gatepost/queue/envelope"
	"gatepost/router"
	"gatepost/router/address"
	"gatepost/router/names"
	"gatepost/server/fault"
	"gatepost/server/logs"
	"gatepost/server/settings"
)

// Queue is what takes the messages.
type Queue interface {
	// Begin begins a message, which is held, see queue.Submission.Hold.
	Begin(ctx context.Context, env *envelope.Envelope) (*queue.Submission, error)
	Held() []envelope.QueueID
	Publish(id envelope.QueueID) error
	Drop(id envelope.QueueID) error
}

// Router tells where the addresses of a header lead.
type Router interface {
	Route(ctx context.Context, op names.Operation, a address.Address) (router.Route, error)
}

// Hosts returns the addresses of a host, in the order in which they are tried.
type Hosts func(ctx context.Context, host string) ([]netip.Addr, error)

// Poller polls the remote accounts of all accounts.
type Poller struct {
	settings *settings.Live[Settings]
	accounts *accounts.Store
	queue    Queue
	router   Router
	dialer   *dialer
	counts   Counts
	base     *slog.Logger
	life     context.Context // for records of the log

	schedule
}

// New returns a Poller.
func New(cfg *settings.Live[Settings], acc *accounts.Store, q Queue, r Router, hosts Hosts, log *slog.Logger) *Poller {
	p := &Poller{settings: cfg, accounts: acc, queue: q, router: r, dialer: newDialer(acc, hosts), base: log, life: context.Background()}
	p.schedule.init()
	acc.OnPolled(p.Changed)
	acc.UsePolls(p.Status)
	return p
}

// Settle lets go of the messages that a crash has left behind the step that remembers them. The others
// are dropped by who settles the rest of what is held, and fetched again. The call comes before that.
func (p *Poller) Settle(ctx context.Context) error {
	held := map[envelope.QueueID]bool{}
	for _, id := range p.queue.Held() {
		held[id] = true
	}
	if len(held) == 0 {
		return nil
	}
	for _, name := range p.accounts.Polled() {
		acc, err := p.accounts.Account(ctx, name[0], name[1])
		if fault.Is(err, fault.NotFound) || fault.Is(err, fault.NoDomain) {
			continue
		}
		if err != nil {
			return err
		}
		if err := p.settleAccount(acc, held); err != nil {
			return err
		}
	}
	return nil
}

// settleAccount lets go of the messages that the memories of an account have.
func (p *Poller) settleAccount(acc *accounts.Account, held map[envelope.QueueID]bool) error {
	dir := filepath.Join(acc.Dir(), seenDirectory)
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var ours []envelope.QueueID
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), seenExt) {
			continue
		}
		_, _, err := readSeen(filepath.Join(dir, e.Name()), func(_ uid, id envelope.QueueID) {
			if held[id] {
				ours = append(ours, id)
			}
		})
		if err != nil {
			p.log(acc.Address()).Log(p.life, logs.LevelFailure, "the memory of a remote account cannot be read", logs.AttrError, err)
		}
	}
	for _, id := range ours {
		if err := p.queue.Publish(id); err != nil {
			return err
		}
	}
	return nil
}

func (p *Poller) log(object string) *slog.Logger {
	return p.base.With(slog.String(logs.AttrTag, tag), slog.String(logs.AttrObject, object))
}

// poll polls one remote account. gone says that there is no such one any more.
func (p *Poller) poll(ctx context.Context, e *entry) (gone bool, result *poll, err error) {
	acc, err := p.accounts.Account(ctx, e.key.domain, e.key.account)
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.NoDomain) {
		return true, nil, nil
	}
	if err != nil {
		return false, nil, err
	}
	record, ok := p.record(acc, e.key.record)
	if !ok {
		return true, nil, nil
	}
	if !acc.Enabled("Mail") {
		return false, nil, fault.New("rpop.Poll", fault.Unavailable, "mail receiving disabled")
	}
	run := &poll{Poller: p, acc: acc, record: record, set: p.settings.Get(), log: p.log(acc.Address() + "," + record.Name), undecided: e.undecided, skipped: e.skipped}
	if run.skipped == nil {
		run.skipped = map[uid]time.Time{}
	}
	defer func() { e.undecided, e.skipped = run.undecided, run.skipped }()
	begun := time.Now()
	err = run.run(ctx)
	level := logs.LevelLowLevel
	attrs := []slog.Attr{slog.String("host", record.Host.String()), slog.Int("messages", run.fetched), slog.Int("left", run.left),
		slog.Duration("took", time.Since(begun).Round(time.Millisecond))}
	if err != nil && ctx.Err() == nil {
		level = logs.LevelProblem
		attrs = append(attrs, slog.String(logs.AttrError, run.explain(err)))
	}
	run.log.LogAttrs(ctx, level, "polled", attrs...)
	return false, run, err
}

func (p *Poller) record(acc *accounts.Account, name string) (accounts.RemoteAccount, bool) {
	for _, r := range p.accounts.RemoteAccounts(acc) {
		if r.Name == name && bool(r.Enabled) && r.Period != settings.Never {
			return r, true
		}
	}
	return accounts.RemoteAccount{}, false
}
