package mailbox

import (
	"context"
	"time"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/accounts/index"
	"gatepost/server/fault"
)

// selected is what is known of a view before its messages are loaded.
type selected struct {
	info   ViewInfo
	recent int
	wanted chan struct{} // of capacity 1: the messages are
}

// answerFirst is how long the loading of the messages waits for the answer to SELECT, if nothing needs them before.
const answerFirst = 2 * time.Millisecond

// Select is Open that does not wait for the messages of the mailbox. Until Load has returned nil, only
// Info, Flags, Recent, Allow, Changed, Sync and Close may be called. Of a mailbox that somebody has open, nothing is to be loaded.
func (a *Account) Select(ctx context.Context, name string, readOnly bool) (*Mailbox, error) {
	m, id, err := a.newView(name, readOnly)
	if err != nil {
		return nil, err
	}
	b, first := a.enterBox(id)
	if !first {
		if err := b.wait(ctx); err != nil {
			return nil, err
		}
		if err := m.enter(b); err != nil {
			return nil, err
		}
		return m, nil
	}
	m.use(b)
	known := make(chan *selected, 1)
	go func() {
		defer close(known)
		b.load(m, func(tx index.Tx) error {
			// Whether there is room for another keyword is in the states then.
			if len(b.keywords) == maxKeywords {
				return nil
			}
			s, err := m.know(tx)
			if err != nil {
				return err
			}
			known <- s
			select {
			case <-s.wanted:
			case <-time.After(answerFirst):
			}
			return nil
		})
	}()
	if m.soon = <-known; m.soon == nil { // it is loaded, or cannot be
		m.soon = &selected{}
		err = m.Load(ctx)
	}
	if err != nil {
		m.Close()
		return nil, err
	}
	b.mu.Lock()
	m.learnKeywords()
	b.mu.Unlock()
	return m, nil
}

// know reads what SELECT answers.
func (m *Mailbox) know(tx index.Tx) (*selected, error) {
	b := m.box
	r := &b.rec
	s := &selected{wanted: make(chan struct{}, 1), info: ViewInfo{Name: m.name, ID: b.id, ReadOnly: m.readOnly, UIDValidity: r.validity, UIDNext: r.next,
		HighestModSeq: b.lastModSeq(), Exists: int(r.messages)}}
	recent, err := r.countFrom(tx, b.account.id, max(r.recentFrom, b.account.recentFrom(b.id)))
	if s.recent = int(recent); err != nil || r.unseen == 0 {
		return s, err
	}
	seq := 0
	return s, eachState(tx, b.account.id, r.data, 0, func(_ imap.UID, st state) bool {
		if seq++; st.flags&Seen == 0 {
			s.info.FirstUnseen = seq
		}
		return s.info.FirstUnseen == 0
	})
}

// Load waits until the messages of the view are known; see Select. Errors: Corrupt, Canceled.
func (m *Mailbox) Load(ctx context.Context) error {
	if m.soon == nil {
		return nil
	}
	select {
	case m.soon.wanted <- struct{}{}:
	default:
	}
	select {
	case <-m.box.ready:
	case <-ctx.Done():
		return fault.Wrap("mailbox.Load", fault.Canceled, ctx.Err())
	}
	if m.box.failed == nil {
		m.soon = nil
	}
	return m.box.failed
}
