package lists

import (
	"context"
	"io"
	"os"
	"strings"

	"gatepost/accounts"
	"gatepost/accounts/message"
	"gatepost/accounts/subscribers"
	"gatepost/queue"
	"gatepost/queue/envelope"
	"gatepost/router"
	"gatepost/router/address"
	"gatepost/router/names"
	"gatepost/server/fault"
)

// tagList marks the postings that lists send, and what they store with their owner. tagApproved marks a posting that the
// owner has approved, on its way to the list. Nothing that comes from outside has these tags.
const (
	tagList     = envelope.TagList
	tagApproved = "LISTAPPROVED"
)

// posting is a message to a list.
type posting struct {
	it     *queue.Item
	l      *accounts.MailingList
	h      *header
	sum    *message.Summary
	author string // the address in From, or the return-path
	name   string // the author's display name
	from   subscribers.Subscriber
	// approves is the token of a question that this posting has been approved with.
	approves string
}

// verdict is what becomes of a posting that is not refused.
type verdict uint8

const (
	accept verdict = iota
	moderate
)

// readPosting reads what decides about a posting.
func readPosting(it *queue.Item, l *accounts.MailingList) (*posting, error) {
	h, err := readHeader(it)
	if err != nil {
		return nil, err
	}
	p := &posting{it: it, l: l, h: h}
	f, err := os.Open(it.File)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if p.sum, err = message.Scan(io.NewSectionReader(f, it.Offset, it.Size), message.Options{}); err != nil {
		return nil, err
	}
	p.author, p.name = authorOf(it, h)
	if p.from, err = l.Subscribers().Get(p.author); err != nil {
		return nil, err
	}
	if back := it.Envelope.ReturnPath; !back.IsNull() && p.from.Mode == subscribers.None {
		other, err := l.Subscribers().Get(back.String())
		if err != nil {
			return nil, err
		}
		if other.Mode != subscribers.None {
			p.from = other
		}
	}
	return p, nil
}

// authorOf is who has written a message: the one address of From; if that is not to be had, the return-path.
func authorOf(it *queue.Item, h *header) (addr, name string) {
	if values := h.values("from"); len(values) == 1 {
		if list, ambiguous := message.AuthorAddresses(values[0]); len(list) == 1 && !ambiguous {
			a, err := address.Parse(address.QuoteLocal(string(list[0].Local)) + "@" + string(list[0].Domain))
			if err == nil && a.Domain != "" {
				return a.String(), oneLine(message.DecodeHeader(list[0].Name))
			}
		}
	}
	if back := it.Envelope.ReturnPath; !back.IsNull() {
		return back.String(), ""
	}
	return "", ""
}

// judge decides about a posting. Errors are refusals, or temporary.
func (m *Manager) judge(ctx context.Context, p *posting) (verdict, error) {
	if err := p.looped(); err != nil {
		return 0, err
	}
	if p.approves != "" {
		return accept, nil
	}
	owner, err := m.fromOwner(ctx, p)
	if err != nil {
		return 0, err
	}
	if why := p.automatic(owner); why != "" {
		return 0, refusal("the list takes no automatic messages (%s)", why)
	}
	if err := p.form(); err != nil {
		return 0, err
	}
	if owner {
		return accept, nil
	}
	set, known := p.l.Settings(), p.from.Mode != subscribers.None
	switch {
	case p.from.Mode == subscribers.Banned, p.from.Moderated == subscribers.Prohibited:
		return 0, refusal("you may not post to this list")
	case known && p.from.Moderated == subscribers.Special:
		return accept, nil
	}
	switch set.Postings {
	case accounts.PostingsFromOwner:
		return 0, refusal("only the owner may post to this list")
	case accounts.PostingsModerated:
		return moderate, nil
	case accounts.PostingsModerateGuests:
		if !known {
			return moderate, nil
		}
	case accounts.PostingsFromAnybody:
	default:
		if !known {
			return 0, refusal("only subscribers may post to this list")
		}
	}
	if wait := m.flow.Take(authorOn{p.l.ID, strings.ToLower(p.author)}, set.PostingFlow); wait > 0 {
		return 0, refusal("you have sent too many postings to this list")
	}
	if p.from.Moderated > 0 {
		return moderate, nil
	}
	return accept, nil
}

// authorOn is an author on a list.
type authorOn struct {
	list   uint64
	author string
}

// maxFlows bounds the authors whose postings are counted.
const maxFlows = 20_000

func refusal(format string, a ...any) error {
	return fault.Newf("lists.Post", fault.Rejected, format, a...)
}

// looped refuses what the list has sent before. Delivered-To is kept on the whole way (RFC 9228); List-Id tells as well
// where somebody has removed it.
func (p *posting) looped() error {
	id := "<" + p.l.Name + "." + p.l.Domain + ">"
	again := p.h.has("delivered-to", p.l.Address().String())
	for _, v := range p.h.values("list-id") {
		again = again || strings.HasSuffix(strings.ToLower(string(v)), id)
	}
	if again && p.approves == "" || p.h.has("delivered-to", p.l.Address().String()) {
		return fault.New("lists.Post", fault.Loop, "mail loop: the message has been on the list before")
	}
	return nil
}

// automatic says why a message is a report or the answer of a program, which does not belong on a list (RFC 3834); or "". What a program
// writes of its own accord, such as a news ticker, and what comes by way of another list are postings like others. The owner may
// post in bulk.
func (p *posting) automatic(owner bool) string {
	if p.it.Envelope.ReturnPath.IsNull() {
		return "the return-path is empty"
	}
	for _, v := range p.h.values("auto-submitted") {
		word, _, _ := strings.Cut(strings.ToLower(string(v)), ";")
		if word = strings.TrimSpace(word); word != "no" && word != "auto-generated" {
			return "Auto-Submitted"
		}
	}
	for _, v := range p.h.values("precedence") {
		switch strings.ToLower(string(v)) {
		case "junk", "auto_reply":
			return "Precedence"
		case "bulk":
			if !owner {
				return "Precedence"
			}
		}
	}
	for i := range p.h.fields {
		if name := p.h.fields[i].name; name == "x-autoreply" || name == "x-autorespond" {
			return name
		}
	}
	return ""
}

// form checks size, content and subject.
func (p *posting) form() error {
	set := p.l.Settings()
	if set.SizeLimit.Exceeds(p.it.Size) {
		return fault.New("lists.Post", fault.TooLarge, "the message is too large for the list")
	}
	if p.h.cut {
		return fault.New("lists.Post", fault.TooLarge, "the header of the message is too large for the list")
	}
	root := p.sum.Root
	text := root.Type == "text"
	switch set.Format {
	case "plain text only":
		if !text || root.Subtype != "plain" {
			return refusal("the list takes plain text only")
		}
	case "text only":
		if !text {
			return refusal("the list takes text only, without attachments")
		}
	case "text alternative":
		if !text && !alternative(root) {
			return refusal("the list takes text only, without attachments")
		}
	}
	if bool(set.CheckCharset) && !charsets(root, set.Charset) {
		return refusal("the list takes texts in the character set %s only", set.Charset)
	}
	if bool(set.CheckDigestSubject) && digestSubject(p.l, p.sum.Subject) {
		return refusal("the subject is that of a digest: please write what your message is about")
	}
	return nil
}

// alternative reports whether a part is a multipart/alternative of texts.
func alternative(p *message.Part) bool {
	if p.Type != "multipart" || p.Subtype != "alternative" {
		return false
	}
	for _, c := range p.Children {
		if c.Type != "text" {
			return false
		}
	}
	return true
}

// charsets reports whether all texts of a message are in a character set, or in US-ASCII.
func charsets(p *message.Part, want string) bool {
	if p.Type == "text" {
		switch have := strings.ToLower(p.Param("charset")); have {
		case "", "us-ascii", "ascii", strings.ToLower(want):
		default:
			return false
		}
	}
	for _, c := range p.Children {
		if !charsets(c, want) {
			return false
		}
	}
	return true
}

// digestSubject reports whether a subject is that of a digest, perhaps behind Re:.
func digestSubject(l *accounts.MailingList, subject string) bool {
	const number = "\x00"
	pattern, _ := texts(l, textDigestSubject)
	before, after, counted := strings.Cut(expand(l, pattern, symbols{'#': number}), number)
	_, subject = cutReply(subject)
	if !counted {
		return subject != "" && strings.EqualFold(subject, strings.TrimSpace(before))
	}
	low := strings.ToLower(subject)
	before, after = strings.ToLower(strings.TrimLeft(before, " ")), strings.ToLower(strings.TrimRight(after, " "))
	rest, ok := strings.CutPrefix(low, before)
	if !ok {
		return false
	}
	rest, ok = strings.CutSuffix(rest, after)
	return ok && rest != "" && strings.Trim(rest, "0123456789") == ""
}

// fromOwner reports whether the owner has sent a message, as the list wants him recognised.
func (m *Manager) fromOwner(ctx context.Context, p *posting) (bool, error) {
	owner, src := m.owner(p.l), &p.it.Envelope.Source
	if src.Account != "" {
		return strings.EqualFold(src.Account, owner.String()), nil
	}
	switch p.l.Settings().OwnerCheck {
	case "Return-Path":
	case "IP Addresses":
		if !m.o.Store.DomainClientIP(owner.Domain, src.IP) {
			return false, nil
		}
	default:
		return false, nil
	}
	if p.it.Envelope.ReturnPath.IsNull() {
		return false, nil
	}
	r, err := m.o.Router.Route(ctx, names.Mail, p.it.Envelope.ReturnPath)
	if err != nil {
		if fault.KindOf(err).Temporary() {
			return false, err
		}
		return false, nil
	}
	return r.Module == router.LOCAL && r.Name == owner.Local && r.Domain == owner.Domain, nil
}
