package mailrules

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"gatepost/accounts"
	"gatepost/accounts/access"
	"gatepost/accounts/files"
	"gatepost/queue/envelope"
	"gatepost/router/address"
	"gatepost/rules"
	"gatepost/server/fault"
	"gatepost/server/logs"
	"gatepost/server/rate"
	"gatepost/server/settings"
)

// Rules carries out rules. It is a queue.Rules and a delivery.Rules.
type Rules struct {
	o       Options
	counts  Counts
	server  atomic.Pointer[rules.Set]
	changes sync.Mutex // of the file of the server's rules
	replies *rate.Table[replyKey]
	runs    sync.Pool // *rules.Run
	urls    *requests
	locals  *slog.Logger // domain and account rules
	servers *slog.Logger // server rules
}

// replyKey is an account and an address that its rules have written to.
type replyKey struct {
	account uint64
	address string
}

// maxReplies bounds the pairs of account and address that are counted.
const maxReplies = 100_000

// Options are what Rules works with.
type Options struct {
	// File is where the rules of the server are kept.
	File     string
	Accounts *accounts.Store
	Access   *access.Resolver
	Queue    Queue
	// Programs and Filters may be nil: then Execute fails, and ExternalFilter does nothing.
	Programs Programs
	Filters  Filters
	// Files may be nil: then Copy Attachments into fails.
	Files *files.Store
	// FreeBusy says whether an account is busy now, in the words of rules.Recipient; without it everybody is Free.
	FreeBusy func(context.Context, *accounts.Account) (string, error)
	Settings *settings.Live[Settings]
	Log      *slog.Logger
}

// Open reads the rules of the server. Those that cannot be understood are kept, reported and not applied.
func Open(o Options) (*Rules, error) {
	r := &Rules{o: o, replies: rate.New[replyKey](maxReplies), locals: logs.Component(o.Log, "LOCALRULES"), servers: logs.Component(o.Log, "ENQUEUERRULES")}
	r.runs.New = func() any { return new(rules.Run) }
	r.urls = newRequests(o.Settings, r.servers)
	return r, r.load()
}

// Close ends the requests that are under way.
func (r *Rules) Close() error {
	r.urls.close()
	return nil
}

// record writes what a rule does.
func record(ctx context.Context, log *slog.Logger, level slog.Level, rule *rules.Rule, text string, attrs ...slog.Attr) {
	if log.Enabled(ctx, level) {
		log.LogAttrs(ctx, level, "rule '"+rule.Name+"' "+text, attrs...)
	}
}

// about are the attributes of a record about a message.
func about(id envelope.QueueID, acc *accounts.Account, more ...slog.Attr) []slog.Attr {
	attrs := []slog.Attr{slog.Uint64(logs.AttrQueueID, uint64(id))}
	if acc != nil {
		attrs = append(attrs, slog.String(logs.AttrAccount, acc.Address()))
	}
	return append(attrs, more...)
}

// passes reports whether a failure will pass, so that the message is put off. What only an administrator
// or a user can change does not.
func passes(err error) bool {
	switch fault.KindOf(err) {
	case fault.NotFound, fault.NoDomain, fault.NoMailbox, fault.Invalid, fault.OverQuota, fault.TooMany, fault.Denied, fault.Unsupported,
		fault.RateLimited, fault.TooLarge, fault.Exists, fault.Loop, fault.Rejected:
		return false
	}
	return true
}

// mayWrite reports whether the rules of an account may send another reply or reaction to everybody in a
// list, and counts it.
func (r *Rules) mayWrite(account uint64, to []address.Address) bool {
	limit := r.o.Settings.Get().RepliesToAddress
	for _, a := range to {
		if r.replies.Take(replyKey{account, a.String()}, limit) > 0 {
			return false
		}
	}
	return true
}

// now is the time for conditions.
func now() time.Time { return time.Now() }
