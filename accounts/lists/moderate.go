package lists

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"maps"
	"mime/quotedprintable"
	"os"
	"strings"
	"sync"
	"time"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/accounts"
	"gatepost/accounts/mailbox"
	"gatepost/accounts/message"
	"gatepost/accounts/subscribers"
	"gatepost/queue/envelope"
	"gatepost/server/fault"
)

// A posting that waits for the owner is a question (KindPost) and a message, which holds the posting and tells the owner what he can
// do. One message file is in his INBOX and in the mailbox NAME/approval. Its Message-ID has the token of the question.

// pendingID is the Message-ID of the message that holds a posting.
func pendingID(l *accounts.MailingList, token string) string {
	return "<list-approval-" + token + "@" + l.Domain + ">"
}

// author is who wrote the posting of a question.
func author(q *subscribers.Question) string {
	_, a, _ := strings.Cut(q.Address, " ")
	return a
}

// holdBack stores a posting for the owner, who is asked whether it may be sent. It is one step with the results of the
// recipients, so that a crash neither loses nor doubles it.
func (t *Transport) holdBack(ctx context.Context, p *posting, rcpts []int) error {
	l, m := p.l, t.manager
	now := time.Now()
	// A repetition after a crash finds the question by the number of the message.
	q, _, err := l.Subscribers().Ask(ctx, subscribers.Question{
		Kind: KindPost, Address: fmt.Sprintf("%d %s", p.it.ID, p.author), Value: oneLine(p.sum.Subject), RealName: p.name, Expire: now.Add(askOwner),
		Stranger: p.from.Mode == subscribers.None}, now)
	if err != nil {
		return err
	}
	stored, err := m.storedIn(ctx, l, boxApproval)
	if err != nil {
		return err
	}
	owner := m.owner(l)
	env := &envelope.Envelope{
		Source: envelope.Source{Tag: tagList, Domain: l.Domain, Trusted: true}, Body: p.it.Envelope.Body, SMTPUTF8: p.it.Envelope.SMTPUTF8,
		Recipients: []envelope.Recipient{{Address: owner, Notify: envelope.NotifyNever}, stored},
	}
	sub, err := p.it.SendOn(ctx, env)
	if err != nil {
		return err
	}
	defer sub.Abort()
	sub.Unattended()
	n := notice{to: owner.String(), text: textApprove, token: q.Token, about: q.Value, approval: true}
	subject, text := texts(l, n.text)
	values := m.symbols(l, &n)
	boundary := newBoundary()
	var b bytes.Buffer
	b.WriteString("From: " + namedAddress(l) + "\r\nTo: <" + owner.String() + ">\r\nSubject: " + encodeWords(oneLine(expand(l, subject, values))) + "\r\nDate: " +
		now.Format(time.RFC1123Z) + "\r\nMessage-ID: " + pendingID(l, q.Token) + "\r\nReply-To: <" + confirmAddress(l, q.Token).String() +
		">\r\nAuto-Submitted: auto-generated\r\n" + "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"" + boundary + "\"\r\n\r\n--" + boundary + "\r\n")
	writeText(&b, expand(l, text, values))
	kind := "message/rfc822"
	if p.it.Envelope.SMTPUTF8 {
		kind = "message/global"
	}
	b.WriteString("--" + boundary + "\r\nContent-Type: " + kind + "\r\n")
	if p.it.Envelope.Body != envelope.Body7Bit {
		b.WriteString("Content-Transfer-Encoding: 8bit\r\n")
	}
	b.WriteString("\r\n")
	if _, err := sub.Write(b.Bytes()); err != nil {
		return err
	}
	f, err := os.Open(p.it.File)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := io.Copy(sub, io.NewSectionReader(f, p.it.Offset, p.it.Size)); err != nil {
		return err
	}
	if _, err := io.WriteString(sub, "\r\n--"+boundary+"--\r\n"); err != nil {
		return err
	}
	st := sentToList
	st.Text = "the posting waits for the owner of the list"
	if err := p.it.Pass(ctx, sub, rcpts, st); err != nil {
		return err
	}
	m.logAbout(ctx, l, "a posting waits for the owner", p.author)
	return nil
}

// newBoundary is a boundary that no message has.
func newBoundary() string { return "list-" + rand.Text() }

// findPending opens the message that holds a posting. The caller closes the view.
func (m *Manager) findPending(ctx context.Context, l *accounts.MailingList, token string, readOnly bool) (*mailbox.Mailbox, imap.UID, error) {
	gone := fault.New("lists.Pending", fault.NotFound, "the posting is not in the mailbox "+l.Name+boxApproval+" any more")
	owner, err := m.o.Store.Account(ctx, l.Domain, l.Settings().Owner)
	if err != nil {
		return nil, 0, noOwner(err)
	}
	box, err := owner.Mail().Open(ctx, l.Name+boxApproval, readOnly)
	if fault.Is(err, fault.NoMailbox) {
		return nil, 0, gone
	}
	if err != nil {
		return nil, 0, err
	}
	want := pendingID(l, token)
	uids := box.UIDs()
	for i := len(uids) - 1; i >= 0; i-- {
		has, err := hasMessageID(box, uids[i], want)
		if err != nil {
			box.Close()
			return nil, 0, err
		}
		if has {
			return box, uids[i], nil
		}
	}
	box.Close()
	return nil, 0, gone
}

// hasMessageID reports whether a message of a mailbox has a Message-ID.
func hasMessageID(box *mailbox.Mailbox, uid imap.UID, want string) (bool, error) {
	body, err := box.OpenBody(uid)
	if err != nil {
		return false, err
	}
	defer body.Close()
	head, err := message.ScanHead(io.NewSectionReader(body, 0, body.Size()), body.Size(), message.Options{MaxHeader: 16 << 10})
	if err != nil {
		return false, err
	}
	return bytes.Contains(head.Headers, []byte(want)), nil
}

// release sends an approved posting to its list. The question stays until the list has sent it, which is once, however often the
// owner approves.
func (m *Manager) release(ctx context.Context, l *accounts.MailingList, q subscribers.Question) error {
	body, span, err := m.pending(ctx, l, q.Token)
	if fault.Is(err, fault.NotFound) { // the owner has deleted it
		if _, gone := l.Subscribers().Answer(ctx, q.Token, time.Now()); gone != nil && !fault.Is(gone, fault.NotFound) {
			return gone
		}
		return err
	}
	if err != nil {
		return err
	}
	defer body.Close()
	to := l.Address()
	to.Local += "+" + q.Token
	sub, err := m.o.Queue.Begin(ctx, &envelope.Envelope{
		Source:     envelope.Source{Tag: tagApproved, Domain: l.Domain, Trusted: true},
		Recipients: []envelope.Recipient{{Address: to, Notify: envelope.NotifyNever}}, Body: envelope.Body8BitMIME,
	})
	if err != nil {
		return err
	}
	defer sub.Abort()
	sub.Unattended()
	if _, err := io.Copy(sub, io.NewSectionReader(body, span.Offset, span.Length)); err != nil {
		return err
	}
	m.logAbout(ctx, l, "a posting is approved", author(&q))
	if err := sub.Commit(ctx); err != nil {
		return err
	}
	m.released.add(q.Token, time.Now())
	return nil
}

// released are the tokens of postings that were just approved and are on their way to their lists: they do not wait for the
// owner any longer.
type released struct {
	mu  sync.Mutex
	all map[string]time.Time // since when
}

// onTheWay is how long an approved posting is taken to be on its way; one that has not arrived then is shown again.
const onTheWay = time.Minute

func (r *released) add(token string, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.all == nil {
		r.all = map[string]time.Time{}
	}
	maps.DeleteFunc(r.all, func(_ string, since time.Time) bool { return now.Sub(since) > onTheWay })
	r.all[token] = now
}

func (r *released) has(token string, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	since, ok := r.all[token]
	return ok && now.Sub(since) <= onTheWay
}

// span is a part of a stored message.
type span struct{ Offset, Length int64 }

// pending opens the message that holds a posting, and says where the posting is in it.
func (m *Manager) pending(ctx context.Context, l *accounts.MailingList, token string) (mailbox.Body, span, error) {
	box, uid, err := m.findPending(ctx, l, token, true)
	if err != nil {
		return nil, span{}, err
	}
	defer box.Close()
	body, err := box.OpenBody(uid)
	if err != nil {
		return nil, span{}, err
	}
	sum, err := message.Scan(io.NewSectionReader(body, 0, body.Size()), message.Options{})
	if err != nil {
		body.Close()
		return nil, span{}, err
	}
	if len(sum.Root.Children) < 2 || sum.Root.Children[1].Message == nil {
		body.Close()
		return nil, span{}, fault.New("lists.Pending", fault.Corrupt, "the message in the mailbox "+l.Name+boxApproval+" holds no posting")
	}
	part := sum.Root.Children[1].Body
	return body, span{part.Start, part.End - part.Start}, nil
}

// Pending opens a posting that waits for the owner. The caller closes it. It is an io.ReaderAt and has a Size, too.
func (m *Manager) Pending(ctx context.Context, l *accounts.MailingList, token string) (io.ReadCloser, error) {
	body, s, err := m.pending(ctx, l, strings.ToUpper(token))
	if err != nil {
		return nil, err
	}
	return struct {
		*io.SectionReader
		io.Closer
	}{io.NewSectionReader(body, s.Offset, s.Length), body}, nil
}

// Waiting is a posting or a subscription that waits for the owner.
type Waiting struct {
	Token string
	// Kind is KindPost or KindAdmit.
	Kind            string
	Author, Subject string // of a posting; Author is who asks for a subscription
	RealName        string
	Mode            subscribers.Mode
	Since           time.Time
}

// Waiting lists what waits for the owner, the oldest first, limit at most.
func (m *Manager) Waiting(l *accounts.MailingList, limit int) (all []Waiting, err error) {
	for _, kind := range []string{KindPost, KindAdmit} {
		list, err := l.Subscribers().Questions(kind, limit-len(all), time.Now())
		if err != nil {
			return nil, err
		}
		for i := range list {
			q := &list[i]
			if m.released.has(q.Token, time.Now()) {
				continue
			}
			w := Waiting{Token: q.Token, Kind: kind, Author: q.Address, RealName: q.RealName, Mode: q.Mode, Since: q.Asked}
			if kind == KindPost {
				w.Author, w.Subject = author(q), q.Value
			}
			all = append(all, w)
		}
	}
	return all, nil
}

// forgetPending removes a posting that has been decided about from the mailbox NAME/approval.
func (m *Manager) forgetPending(ctx context.Context, l *accounts.MailingList, token string) error {
	box, uid, err := m.findPending(ctx, l, token, false)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	defer box.Close()
	return removeFrom(ctx, box, uid)
}

// removeFrom removes messages of a mailbox.
func removeFrom(ctx context.Context, box *mailbox.Mailbox, uids ...imap.UID) error {
	if _, err := box.SetFlags(ctx, uids, mailbox.Add, []imap.Flag{imap.FlagDeleted}, mailbox.NoCondition); err != nil {
		return err
	}
	set := imap.UIDSetNum(uids...)
	_, err := box.Expunge(ctx, &set)
	return err
}

// quotedPrintable encodes a text that stands in a body with this encoding.
func quotedPrintable(text string) string {
	var b strings.Builder
	w := quotedprintable.NewWriter(&b)
	io.WriteString(w, text)
	w.Close()
	return b.String()
}
