package junk

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/accounts"
	"gatepost/accounts/mailbox"
	"gatepost/server/counters"
	"gatepost/server/fault"
	"gatepost/server/logs"
)

// tableFile is the name of a table, in the directory of an account and in the Settings of a domain.
const tableFile = "Junk.data"

// The bounds of learning.
const (
	maxWaiting  = 1000 // commands of clients that wait
	maxOfOne    = 500  // messages of one command
	domainFirst = 100  // messages of each kind that a domain's table needs before it counts
	keptTokens  = 16   // messages whose tokens are kept for their other recipients
)

// Filter scores messages, and learns.
type Filter struct {
	accounts *accounts.Store
	log      *slog.Logger
	jobs     chan job
	cancel   context.CancelFunc
	done     chan struct{}
	lost     logs.Throttle // jobs for which there was no room
	counts   Counts

	mu   sync.Mutex // guards kept
	kept []keptMessage
}

// Counts is what is counted.
type Counts struct {
	Scored  counters.Labelled // by result: junk (90 and more), ham (10 and less), unsure
	Learned counters.Labelled // by kind
}

// Counts has what is counted.
func (f *Filter) Counts() *Counts { return &f.counts }

type keptMessage struct {
	id     uint64
	tokens *tokens
}

// job is what somebody has said of messages.
type job struct {
	domain, account string
	mailbox         string
	uids            []imap.UID
	kind            Kind
}

// New returns the filter of a server. It learns until Close.
func New(store *accounts.Store, log *slog.Logger) *Filter {
	ctx, cancel := context.WithCancel(context.Background())
	f := &Filter{accounts: store, log: logs.Component(log, "JUNK"), jobs: make(chan job, maxWaiting), cancel: cancel, done: make(chan struct{})}
	go f.learnAll(ctx)
	store.OnFiled(f.filed)
	return f
}

// Close ends the learning. What waits is not learned.
func (f *Filter) Close() {
	f.accounts.OnFiled(nil)
	f.cancel()
	<-f.done
}

// filed is told what clients do with messages.
func (f *Filter) filed(domain, name string, what mailbox.Filing) {
	acc, err := f.accounts.Account(context.Background(), domain, name)
	if err != nil || !bool(acc.Settings().JunkFilter) {
		return
	}
	kind := kindOf(acc, what)
	if kind == Unknown {
		return
	}
	j := job{domain: domain, account: name, mailbox: what.To, uids: what.UIDs, kind: kind}
	if len(j.uids) > maxOfOne {
		j.uids = slices.Clone(j.uids[len(j.uids)-maxOfOne:])
	}
	select {
	case f.jobs <- j:
	default:
		f.lost.Log(f.log, logs.LevelProblem, "messages are not learned: too many wait", slog.String(logs.AttrAccount, acc.Address()), slog.Int("messages", len(j.uids)))
	}
}

// kindOf says what somebody says of messages by what he does with them.
func kindOf(acc *accounts.Account, what mailbox.Filing) Kind {
	uses := acc.SpecialUses()
	is := func(name string, attrs ...imap.MailboxAttr) bool {
		return slices.ContainsFunc(uses[name], func(a imap.MailboxAttr) bool { return slices.Contains(attrs, a) })
	}
	if len(what.Flags) > 0 {
		for _, flag := range what.Flags {
			switch strings.ToLower(string(flag)) {
			case "$junk", "junk":
				return Junk
			case "$notjunk", "notjunk", "nonjunk":
				return Ham
			case `\answered`:
				if !is(what.To, imap.MailboxAttrJunk) {
					return Ham
				}
			}
		}
		return Unknown
	}
	switch {
	case is(what.To, imap.MailboxAttrJunk):
		return Junk
	case is(what.To, imap.MailboxAttrTrash, imap.MailboxAttrDrafts, imap.MailboxAttrSent):
		return Unknown
	case is(what.From, imap.MailboxAttrJunk), what.From == "INBOX":
		return Ham
	}
	return Unknown
}

// learnAll learns what waits.
func (f *Filter) learnAll(ctx context.Context) {
	defer close(f.done)
	for {
		select {
		case <-ctx.Done():
			return
		case j := <-f.jobs:
			if err := f.learn(ctx, j); err != nil && ctx.Err() == nil {
				f.log.LogAttrs(ctx, logs.LevelProblem, "messages are not learned", slog.String(logs.AttrAccount, j.account+"@"+j.domain), slog.Any(logs.AttrError, err))
			}
		}
	}
}

// learn carries out a job.
func (f *Filter) learn(ctx context.Context, j job) error {
	acc, err := f.accounts.Account(ctx, j.domain, j.account)
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.NoDomain) {
		return nil
	}
	if err != nil {
		return err
	}
	box, err := acc.Mail().Open(ctx, j.mailbox, true)
	if fault.Is(err, fault.NoMailbox) {
		return nil
	}
	if err != nil {
		return err
	}
	defer box.Close()
	var all []*tokens
	for _, uid := range j.uids {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		body, err := box.OpenBody(uid)
		if err != nil {
			continue // it was moved on, or expunged
		}
		t, err := tokensOf(body, body.Size())
		if err := errors.Join(err, body.Close()); err != nil {
			return err
		}
		all = append(all, t)
	}
	return f.teach(ctx, acc, all, j.kind)
}

// teach has the tables of an account and of its domain learn messages.
func (f *Filter) teach(ctx context.Context, acc *accounts.Account, all []*tokens, kind Kind) error {
	learned, err := f.teachOne(ctx, AccountFile(acc), accountTable, 0, all, kind)
	f.counts.Learned.Of(kind.String()).Add(int64(learned))
	if err == nil && bool(acc.DomainSettings().ShareJunkLearning) {
		_, err = f.teachOne(ctx, acc.DomainFile(tableFile), domainTable, hashString(fnvOffset, acc.Name)|1, all, kind)
	}
	if err == nil && learned > 0 {
		f.log.LogAttrs(ctx, logs.LevelLowLevel, "messages learned", slog.String(logs.AttrAccount, acc.Address()), slog.String("as", kind.String()), slog.Int("messages", learned))
	}
	return err
}

func (f *Filter) teachOne(ctx context.Context, path string, size tableSize, account uint64, all []*tokens, kind Kind) (learned int, err error) {
	t, aside, err := openToLearn(path, size)
	if aside != "" {
		f.log.LogAttrs(ctx, logs.LevelFailure, "the junk filter's table cannot be read; it is set aside, and learning begins anew", slog.String("file", aside))
	}
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, t.close(learned > 0)) }()
	day := uint16(time.Since(time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)) / (24 * time.Hour))
	for _, one := range all {
		done, err := t.learn(one, kind, account, day)
		if err != nil {
			return learned, err
		}
		if done {
			learned++
		}
	}
	return learned, nil
}

// String is the word for a kind.
func (k Kind) String() string {
	switch k {
	case Junk:
		return "junk"
	case Ham:
		return "ham"
	}
	return "unknown"
}

// Score says how much a message looks like junk to an account: 0 to 100. known is false while too little was learned, and when the
// filter is off. A message is told from others by its ID. The text begins with the header of the message.
func (f *Filter) Score(ctx context.Context, acc *accounts.Account, id uint64, text io.ReaderAt, size int64) (score int, known bool, err error) {
	s := acc.Settings()
	if !s.JunkFilter {
		return 0, false, nil
	}
	var e []evidence
	for i, path := range []string{AccountFile(acc), acc.DomainFile(tableFile)} {
		first := uint64(max(s.JunkLearnFirst, 1))
		if i > 0 {
			if first = max(first, domainFirst); !acc.DomainSettings().ShareJunkLearning {
				continue
			}
		}
		t, err := openTable(path)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errDamaged) { // learning says so, and sets it aside
			continue
		}
		if err != nil {
			return 0, false, err
		}
		defer t.f.Close()
		if t.junk >= first && t.ham >= first {
			e = append(e, evidence{t.counts, t.lookUp})
		}
	}
	if len(e) == 0 {
		return 0, false, nil
	}
	tok, err := f.tokens(id, text, size)
	if err != nil {
		return 0, false, err
	}
	all := e[0]
	if len(e) == 2 {
		all = together(e[0], e[1])
	}
	if score, err = all.score(tok.list); err != nil {
		return 0, false, err
	}
	result := "unsure"
	switch {
	case score >= 90:
		result = "junk"
	case score <= 10:
		result = "ham"
	}
	f.counts.Scored.Of(result).Inc()
	return score, true, nil
}

// tokens returns the tokens of a message that may have other recipients.
func (f *Filter) tokens(id uint64, text io.ReaderAt, size int64) (*tokens, error) {
	f.mu.Lock()
	for _, k := range f.kept {
		if k.id == id {
			f.mu.Unlock()
			return k.tokens, nil
		}
	}
	f.mu.Unlock()
	t, err := tokensOf(text, size)
	if err != nil {
		return nil, err
	}
	t.seen = nil
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.kept) >= keptTokens {
		f.kept = slices.Delete(f.kept, 0, 1)
	}
	f.kept = append(f.kept, keptMessage{id, t})
	return t, nil
}

// Learned is how many messages of each kind a table has learned.
type Learned struct{ Junk, Ham uint64 }

// AccountFile is the file of an account's table.
func AccountFile(acc *accounts.Account) string { return filepath.Join(acc.Dir(), tableFile) }

// DomainFile is the file of a domain's table. Errors: NoDomain.
func DomainFile(store *accounts.Store, domain string) (string, error) {
	return store.DomainFile(domain, tableFile)
}

// Read tells what a table has learned; nothing when there is none.
func Read(file string) (Learned, error) {
	t, err := openTable(file)
	if errors.Is(err, fs.ErrNotExist) {
		return Learned{}, nil
	}
	if err != nil {
		return Learned{}, fault.Wrap("junk.Read", fault.Corrupt, err)
	}
	return Learned{t.junk, t.ham}, t.f.Close()
}

// Forget removes a table. Learning begins anew.
func Forget(file string) error {
	if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fault.Wrap("junk.Forget", fault.Internal, err)
	}
	return nil
}
