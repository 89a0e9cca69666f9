package lists

import (
	"context"
	"log/slog"
	"strings"

	"gatepost/accounts"
	"gatepost/queue"
	"gatepost/queue/envelope"
	"gatepost/router/address"
	"gatepost/server/logs"
	"gatepost/server/rate"
)

// Queue takes messages that lists write.
type Queue interface {
	Begin(ctx context.Context, env *envelope.Envelope) (*queue.Submission, error)
	BeginHeld(ctx context.Context, env *envelope.Envelope) (*queue.Submission, error)
	Held() []envelope.QueueID
	Publish(id envelope.QueueID) error
	Drop(id envelope.QueueID) error
}

// Options are for NewManager.
type Options struct {
	Store  *accounts.Store
	Router Router
	Queue  Queue
	// Policy is what the DMARC record of an author's domain asks receivers to do with mail that others send in
	// its name: none, quarantine or reject; "" if it has none. nil: nobody is asked.
	Policy func(ctx context.Context, domain string) (string, error)
	// Pages is the address of the pages of lists on the web, without the name of the list: such as
	// https://mail.company.com/Lists. "" or nil: there are none that people could reach.
	Pages func(domain string) string
	Log   *slog.Logger
}

// Manager is what mail, pages and the command line do with mailing lists. Its methods may be called from any goroutine.
type Manager struct {
	o        Options
	log      *slog.Logger
	schedule schedule
	flow     *rate.Table[authorOn] // postings, against PostingFlow
	released released
}

// NewManager returns the manager of the mailing lists of a store.
func NewManager(o Options) *Manager {
	return &Manager{o: o, log: logs.Component(o.Log, "LIST"), flow: rate.New[authorOn](maxFlows)}
}

// page is the address of a page of a list, or "".
func (m *Manager) page(l *accounts.MailingList, rest string) string {
	if m.o.Pages == nil {
		return ""
	}
	base := m.o.Pages(l.Domain)
	if base == "" {
		return ""
	}
	return strings.TrimSuffix(base, "/") + "/" + l.Name + rest
}

// owner is the address of the owner of a list.
func (m *Manager) owner(l *accounts.MailingList) address.Address {
	return address.Address{Local: strings.ToLower(l.Settings().Owner), Domain: l.Domain}
}

func (m *Manager) logAbout(ctx context.Context, l *accounts.MailingList, text, who string) {
	m.log.LogAttrs(ctx, logs.LevelMajor, text, slog.String("list", l.Address().String()), slog.String("subscriber", who))
}

// service returns the service word and the token of an address of a list: name-on+TOKEN. The word of the list's own address is "".
func service(l *accounts.MailingList, a address.Address) (word, token string, ok bool) {
	local, token, _ := strings.Cut(a.Local, "+")
	if i := strings.LastIndexByte(local, '#'); i >= 0 {
		local = local[i+1:]
	}
	local = strings.ToLower(local)
	if local == l.Name {
		return "", token, true
	}
	word, found := strings.CutPrefix(local, l.Name+"-")
	if !found {
		return "", "", false
	}
	for _, s := range accounts.ListServices {
		if s == word {
			return word, token, true
		}
	}
	return "", "", false
}

// ownAddress reports whether an address is that of the list or one of its service addresses.
func ownAddress(l *accounts.MailingList, a address.Address) bool {
	if !strings.EqualFold(a.Domain, l.Domain) {
		return false
	}
	_, _, ok := service(l, a)
	return ok
}

// oneLine makes a text that people have sent fit for a header field, a log or a line of a message.
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	s = strings.TrimSpace(s)
	if len(s) > 500 {
		s = strings.ToValidUTF8(s[:500], "")
	}
	return s
}
