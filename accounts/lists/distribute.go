package lists

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"gatepost/accounts"
	"gatepost/accounts/lists/archive"
	"gatepost/accounts/mailbox"
	"gatepost/accounts/message"
	"gatepost/accounts/subscribers"
	"gatepost/queue"
	"gatepost/queue/envelope"
	"gatepost/router/address"
	"gatepost/server/fault"
	"gatepost/server/logs"
)

// The mailboxes of a list below its archive.
const (
	boxRequests = "/requests"
	boxApproval = "/approval"
	boxReports  = "/reports"
)

// deliverToList delivers a message for recipients that lead to a list or to its services. The error is about those that have no
// status yet.
func (t *Transport) deliverToList(ctx context.Context, it *queue.Item, l *accounts.MailingList, rcpts []int) (*envelope.Status, error) {
	var posted []int
	for _, rcpt := range rcpts {
		word, token, ok := service(l, t.routedTo(it, rcpt))
		if !ok || word == "" {
			posted = append(posted, rcpt)
			continue
		}
		st, err := t.serve(ctx, it, l, word, token, rcpt)
		if ctx.Err() != nil && (err != nil || st == nil) {
			return nil, err
		}
		if err != nil {
			s := t.statusOf(ctx, it, l.Address().String(), err)
			st = &s
		}
		if st != nil {
			it.Report(rcpt, *st)
		}
	}
	if len(posted) == 0 {
		return nil, nil
	}
	return t.post(ctx, it, l, posted)
}

// routedTo is the address that a recipient was routed to.
func (t *Transport) routedTo(it *queue.Item, rcpt int) address.Address {
	for i, r := range it.Recipients {
		if r == rcpt {
			return it.Routes[i].Address
		}
	}
	return address.Address{}
}

// post sends a posting to the subscribers, or to the owner who has to approve it.
func (t *Transport) post(ctx context.Context, it *queue.Item, l *accounts.MailingList, rcpts []int) (*envelope.Status, error) {
	m := t.manager
	p, err := readPosting(it, l)
	if err != nil {
		return nil, err
	}
	if it.Envelope.Source.Tag == tagApproved {
		_, token, _ := service(l, t.routedTo(it, rcpts[0]))
		q, err := l.Subscribers().Question(token, time.Now())
		if fault.Is(err, fault.NotFound) {
			return &envelope.Status{Action: envelope.ActionDelivered, Code: envelope.Code{2, 0, 0}, Text: "the posting was approved and sent before"}, nil
		}
		if err != nil {
			return nil, err
		}
		p.approves, p.author = q.Token, author(&q)
		if p.from, err = l.Subscribers().Get(p.author); err != nil {
			return nil, err
		}
	}
	v, err := m.judge(ctx, p)
	if err != nil {
		if p.approves == "" && fault.Is(err, fault.Rejected) {
			m.logAbout(ctx, l, "a posting is refused: "+fault.Text(err), p.author)
		}
		return nil, err
	}
	if v == moderate {
		return nil, t.holdBack(ctx, p, rcpts)
	}
	if err := t.distributePosting(ctx, p, rcpts); err != nil {
		return nil, err
	}
	return nil, m.posted(ctx, p)
}

// posted counts a posting that was sent.
func (m *Manager) posted(ctx context.Context, p *posting) error {
	if p.approves != "" {
		if _, err := p.l.Subscribers().Answer(ctx, p.approves, time.Now()); err != nil && !fault.Is(err, fault.NotFound) {
			m.failure(ctx, p.l, "the question about a posting that was sent is not removed", err)
		}
		if err := m.forgetPending(ctx, p.l, p.approves); err != nil {
			m.failure(ctx, p.l, "a posting that was sent is not removed from the mailbox of those that wait", err)
		}
	}
	if p.from.Mode == subscribers.None {
		return nil
	}
	err := p.l.Subscribers().Change(ctx, p.from.Address, func(s *subscribers.Subscriber) error {
		s.Posts++
		if p.approves != "" && s.Moderated > 0 && s.Moderated < subscribers.ModerateAll {
			s.Moderated--
		}
		return nil
	})
	if err != nil {
		m.failure(ctx, p.l, "a posting is not counted", err)
	}
	return nil
}

// failure logs what went wrong behind the step that counts.
func (m *Manager) failure(ctx context.Context, l *accounts.MailingList, text string, err error) {
	m.log.LogAttrs(ctx, logs.LevelFailure, text, slog.String("list", l.Address().String()), slog.Any(logs.AttrError, err))
}

var sentToList = envelope.Status{Action: envelope.ActionDelivered, Code: envelope.Code{2, 0, 0}, Text: "Delivered to the mailing list"}

// distributePosting writes the copy for all subscribers and the archive, and hands it to the queue.
func (t *Transport) distributePosting(ctx context.Context, p *posting, rcpts []int) error {
	l, m := p.l, t.manager
	report := l.Service("report")
	env := &envelope.Envelope{
		Source: envelope.Source{Tag: tagList, Domain: l.Domain, Trusted: true}, ReturnPath: report, Return: envelope.ReturnHeaders,
		Body: p.it.Envelope.Body, SMTPUTF8: p.it.Envelope.SMTPUTF8, Bulk: true, Personal: m.personal(l),
	}
	subscribed, err := m.recipients(ctx, l, env)
	if err != nil {
		return err
	}
	keep, err := m.keeps(p)
	if err != nil {
		return err
	}
	if keep {
		to, err := m.storedIn(ctx, l, "")
		if err != nil {
			return err
		}
		env.Recipients = append(env.Recipients, to)
	}
	if len(env.Recipients) == 0 { // nobody gets postings, and none are kept
		t.item(p.it, rcpts, sentToList)
		return nil
	}
	c, err := m.newCopy(ctx, p)
	if err != nil {
		return err
	}
	if c.eightBit && env.Body == envelope.Body7Bit {
		env.Body = envelope.Body8BitMIME
	}
	sub, err := p.it.SendOn(ctx, env)
	if err != nil {
		return err
	}
	defer sub.Abort()
	sub.Unattended()
	if err := c.write(sub); err != nil {
		return err
	}
	if err := p.it.Pass(ctx, sub, rcpts, sentToList); err != nil {
		return err
	}
	m.touch(l)
	t.log.LogAttrs(ctx, logs.LevelMajor, "sent to a mailing list", slog.Uint64(logs.AttrQueueID, uint64(p.it.ID)), slog.String("list", l.Address().String()),
		slog.String("author", p.author), slog.Int("subscribers", subscribed), slog.Uint64("copy", uint64(sub.ID())))
	return nil
}

// keeps reports whether a posting goes to the archive. One whose author does not want that goes there if somebody gets digests, which are made
// from it, and is removed when it was in one.
func (m *Manager) keeps(p *posting) (bool, error) {
	if !bool(p.l.Settings().Store) || !p.unarchived() {
		return bool(p.l.Settings().Store), nil
	}
	counts, err := p.l.Subscribers().Counts()
	return counts[subscribers.Digest]+counts[subscribers.Index] > 0, err
}

// unarchived reports whether the author wants the posting in no archive.
func (p *posting) unarchived() bool { return p.h.has("x-no-archive", "yes") }

func (t *Transport) item(it *queue.Item, rcpts []int, st envelope.Status) { it.ReportAll(rcpts, st) }

// recipients adds the subscribers who get postings now.
func (m *Manager) recipients(ctx context.Context, l *accounts.MailingList, env *envelope.Envelope, modes ...subscribers.Mode) (n int, err error) {
	if len(modes) == 0 {
		modes = []subscribers.Mode{subscribers.Feed}
	}
	now := time.Now()
	err = l.Subscribers().Each(ctx, func(s *subscribers.Subscriber) error {
		if s.Paused(now) {
			return nil
		}
		a, err := address.Parse(s.Address)
		if err != nil || ownAddress(l, a) {
			m.logAbout(ctx, l, "a subscriber gets nothing, as no mail can be sent to the address", s.Address)
			return nil
		}
		env.Recipients = append(env.Recipients, envelope.Recipient{Address: a, Notify: envelope.NotifyFailure, Token: s.Secret})
		env.SMTPUTF8 = env.SMTPUTF8 || a.NeedsUTF8()
		n++
		return nil
	}, modes...)
	return n, err
}

// storedIn returns the recipient that stores a message in a mailbox of the owner, below the archive of the list. The mailbox is
// made if it is not there.
func (m *Manager) storedIn(ctx context.Context, l *accounts.MailingList, below string) (envelope.Recipient, error) {
	if err := m.o.Store.Lists().FinishRename(ctx, l); err != nil {
		return envelope.Recipient{}, err
	}
	box := l.Name + below
	owner, err := m.o.Store.Account(ctx, l.Domain, l.Settings().Owner)
	if err != nil {
		return envelope.Recipient{}, noOwner(err)
	}
	if _, err := owner.Mail().Status(ctx, box); fault.Is(err, fault.NoMailbox) {
		_, err = owner.Mail().CreateMailbox(ctx, box, mailbox.CreateOptions{})
		if err != nil && !fault.Is(err, fault.Exists) {
			return envelope.Recipient{}, err
		}
	} else if err != nil {
		return envelope.Recipient{}, err
	}
	return envelope.Recipient{Address: address.Address{Local: box + "#" + owner.Name, Domain: owner.Domain}, Notify: envelope.NotifyNever}, nil
}

// noOwner is the error for a list whose owner cannot be found: postings wait until somebody gives it another one.
func noOwner(err error) error {
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.NoDomain) {
		return fault.New("lists.Owner", fault.Unavailable, "the owner of the list is not there")
	}
	return err
}

// personal are the fields that each subscriber gets with a link of its own (RFC 2369, RFC 8058).
func (m *Manager) personal(l *accounts.MailingList) string {
	off := l.Service("off")
	mail := "<mailto:" + mailto(off.Local) + "+" + envelope.TokenMark + "@" + off.Domain + ">"
	page := m.page(l, "/unsubscribe/"+envelope.TokenMark)
	if page == "" {
		return "List-Unsubscribe: " + mail + "\r\n"
	}
	fields := "List-Unsubscribe: <" + page + ">,\r\n " + mail + "\r\n"
	if strings.HasPrefix(page, "https:") { // RFC 8058 section 3.1
		fields += "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
	}
	return fields
}

// archivePage is the address of a page of the archive on the web, or "" if there is none or nobody may read it.
func (m *Manager) archivePage(l *accounts.MailingList, rest string) string {
	if set := l.Settings(); !bool(set.Store) || set.Browse == "nobody" {
		return ""
	}
	return m.page(l, "/archive/"+rest)
}

// archivedAt is the address of the page that a posting will have (RFC 5064), or "".
func (m *Manager) archivedAt(p *posting, messageID string) string {
	if p.unarchived() {
		return ""
	}
	return m.archivePage(p.l, archive.Key(messageID))
}

// mailto is a local part in a mailto URI (RFC 6068). Names of lists have no characters that need more.
func mailto(local string) string { return strings.ReplaceAll(local, "%", "%25") }

// listCopy is the message that goes to the subscribers.
type listCopy struct {
	m *Manager
	p *posting
	// rewrite says that From has the address of the list.
	rewrite bool
	hide    bool
	// above and below are the texts around the posting, with the line ends of messages.
	above, below string
	wrap         bool // they are parts of their own
	quoted       bool // they are written as quoted-printable
	boundary     string
	eightBit     bool
}

// newCopy decides how the copy looks. An error is temporary.
func (m *Manager) newCopy(ctx context.Context, p *posting) (*listCopy, error) {
	set := p.l.Settings()
	c := &listCopy{m: m, p: p, hide: bool(set.HideFromAddress), boundary: newBoundary()}
	c.rewrite = c.hide || set.RewriteFrom == "always"
	if !c.rewrite && set.RewriteFrom == "when refused otherwise" {
		rewrite, err := m.refusedOtherwise(ctx, p)
		if err != nil {
			return nil, err
		}
		c.rewrite = rewrite
	}
	values := symbols{'M': "", 'X': oneLine(p.sum.Subject), 'F': oneLine(p.author)}
	if set.FeedHeader != "" {
		c.above = crlf(expand(p.l, set.FeedHeader, values))
	}
	if set.FeedTrailer != "" {
		c.below = crlf(expand(p.l, set.FeedTrailer, values))
	}
	if c.above+c.below != "" {
		root := p.sum.Root
		charset := strings.ToLower(root.Param("charset"))
		ascii := plain(c.above + c.below)
		inline := root.Type == "text" && root.Subtype == "plain" && root.Disposition != "attachment" && !p.sum.HeaderOnly
		switch root.Encoding {
		case "7bit":
			inline = inline && ascii
		case "8bit":
			inline = inline && (ascii || charset == "utf-8")
			c.eightBit = !ascii
		case "quoted-printable":
			inline = inline && (ascii || charset == "utf-8")
			c.quoted = true
		default:
			inline = false
		}
		c.wrap = !inline
	}
	return c, nil
}

// refusedOtherwise reports whether receivers would refuse the posting under the name of its author. When that cannot be
// found out, they might.
func (m *Manager) refusedOtherwise(ctx context.Context, p *posting) (bool, error) {
	a, err := address.Parse(p.author)
	if m.o.Policy == nil || err != nil || a.Domain == "" || strings.EqualFold(a.Domain, p.l.Domain) {
		return false, nil
	}
	policy, err := m.o.Policy(ctx, a.Domain)
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	return err != nil || policy == "reject" || policy == "quarantine", nil
}

// dropped are fields that a posting loses. Those that ask for receipts would have all subscribers answer.
var dropped = map[string]bool{
	"precedence": true, "sender": true, "x-listserver": true, "x-original-message-id": true, "bcc": true, "resent-bcc": true, "return-path": true, "errors-to": true,
	"disposition-notification-to": true, "disposition-notification-options": true, "return-receipt-to": true, "x-confirm-reading-to": true,
	"approved": true, "x-approved": true, "x-real-to": true, "auto-submitted": true,
}

// hidden are fields that tell who an author is.
var hidden = map[string]bool{
	"received": true, "x-sender": true, "x-original-from": true, "x-originating-ip": true, "dkim-signature": true, "authentication-results": true, "user-agent": true,
	"x-mailer": true, "organization": true, "x-google-dkim-signature": true, "arc-seal": true, "arc-message-signature": true, "arc-authentication-results": true,
	"received-spf": true, "resent-from": true, "resent-sender": true, "autocrypt": true, "openpgp": true,
}

// contentField reports whether a field describes the body, and goes with it into a part.
func contentField(name string) bool { return strings.HasPrefix(name, "content-") }

// write writes the copy.
func (c *listCopy) write(w queueWriter) error {
	var b bytes.Buffer
	p, l := c.p, c.p.l
	set := l.Settings()
	b.WriteString("Delivered-To: " + l.Address().String() + "\r\nReceived: by " + l.Domain + " (Gatepost) for the mailing list\r\n  id " + w.ID().String() +
		"; " + time.Now().Format(time.RFC1123Z) + "\r\n")
	replace := c.rewrite || set.Reply == accounts.ReplyToList
	var content []field
	messageID, to, originalReply := "", false, ""
	own := archive.MessageID(l.Domain, w.ID().String(), !p.unarchived())
	archived := c.m.archivedAt(p, own)
	for i := range p.h.fields {
		f := &p.h.fields[i]
		switch name := f.name; {
		case dropped[name], name == "archived-at" && archived != "", strings.HasPrefix(name, "list-"), c.hide && hidden[name]:
		case name == "message-id":
			messageID = oneLine(string(f.value()))
		case name == "reply-to":
			if originalReply = oneLine(string(f.value())); !replace {
				b.Write(f.text)
			}
		case name == "from" && c.rewrite:
		case name == "subject":
			c.subject(&b, f)
		case contentField(name) && c.wrap:
			content = append(content, *f)
		case name == "mime-version" && c.wrap:
		default:
			to = to || name == "to"
			b.Write(f.text)
		}
	}
	c.addresses(&b, replace, originalReply)
	if !to {
		b.WriteString("To: <" + l.Address().String() + ">\r\n")
	}
	b.WriteString("Sender: <" + l.Address().String() + ">\r\nPrecedence: list\r\nX-ListServer: Gatepost LIST\r\nMessage-ID: " + own + "\r\n")
	if archived != "" {
		b.WriteString("Archived-At: <" + archived + ">\r\n")
	}
	if messageID != "" && !c.hide {
		b.WriteString("X-Original-Message-Id: " + messageID + "\r\n")
	}
	c.listFields(&b)
	if c.wrap {
		b.WriteString("MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"" + c.boundary + "\"\r\n\r\n")
		if c.above != "" {
			b.WriteString("--" + c.boundary + "\r\n")
			writeText(&b, c.above)
		}
		b.WriteString("--" + c.boundary + "\r\n")
		for i := range content {
			b.Write(content[i].text)
		}
	}
	if _, err := w.Write(b.Bytes()); err != nil {
		return err
	}
	return c.body(w)
}

// body writes the empty line and what comes behind it.
func (c *listCopy) body(w io.Writer) error {
	it := c.p.it
	f, err := os.Open(it.File)
	if err != nil {
		return err
	}
	defer f.Close()
	at := it.Offset + c.p.h.size
	var empty [2]byte
	if n, _ := f.ReadAt(empty[:min(2, it.Offset+it.Size-at)], at); string(empty[:n]) == "\r\n" {
		at += 2
	}
	rest := io.NewSectionReader(f, at, it.Offset+it.Size-at)
	// A header alone, or one behind which a line stands that is no field, gets the empty line here.
	if _, err := io.WriteString(w, "\r\n"); err != nil {
		return err
	}
	if c.above+c.below == "" {
		_, err = io.Copy(w, rest)
		return err
	}
	if !c.wrap && c.above != "" {
		if _, err := io.WriteString(w, c.inline(c.above)); err != nil {
			return err
		}
	}
	last := &lastBytes{w: w}
	if _, err := io.Copy(last, rest); err != nil {
		return err
	}
	var b bytes.Buffer
	switch end := string(last.tail); {
	case end == "" && !c.wrap:
	case !strings.HasSuffix(end, "\n"), c.quoted && !c.wrap && end == "=\r\n": // the line would go on
		b.WriteString("\r\n")
	}
	switch {
	case !c.wrap:
		b.WriteString(c.inline(c.below))
	default:
		if c.below != "" {
			b.WriteString("--" + c.boundary + "\r\n")
			writeText(&b, c.below)
		}
		b.WriteString("--" + c.boundary + "--\r\n")
	}
	_, err = w.Write(b.Bytes())
	return err
}

// lastBytes remembers the last three bytes that it passes on.
type lastBytes struct {
	w    io.Writer
	tail []byte
}

func (l *lastBytes) Write(p []byte) (int, error) {
	n, err := l.w.Write(p)
	l.tail = append(l.tail, p[max(0, n-3):n]...)
	l.tail = l.tail[max(0, len(l.tail)-3):]
	return n, err
}

// inline is a text as it stands in the body of the posting.
func (c *listCopy) inline(text string) string {
	if !c.quoted || text == "" {
		return text
	}
	return quotedPrintable(text)
}

// addresses writes From, if it is the list's, and Reply-To.
func (c *listCopy) addresses(b *bytes.Buffer, replace bool, originalReply string) {
	p, l := c.p, c.p.l
	list := "<" + l.Address().String() + ">"
	if c.rewrite {
		name := p.name
		if name == "" && !c.hide {
			name = p.author
		}
		if name != "" {
			name += " via " + l.Name
		} else {
			name = l.Name
		}
		b.WriteString("From: " + phrase(name) + list + "\r\n")
		if !c.hide {
			b.WriteString("X-Original-From: <" + p.author + ">\r\n")
		}
	}
	if !replace {
		return
	}
	author := "<" + p.author + ">"
	switch {
	case c.hide || set(l).Reply == accounts.ReplyToList && !c.rewrite:
		b.WriteString("Reply-To: " + list + "\r\n")
	case set(l).Reply == accounts.ReplyToList:
		b.WriteString("Reply-To: " + list + ",\r\n " + author + "\r\n")
	case originalReply != "":
		b.WriteString("Reply-To: " + originalReply + "\r\n")
	default:
		b.WriteString("Reply-To: " + author + "\r\n")
	}
}

func set(l *accounts.MailingList) *accounts.ListSettings { return l.Settings() }

// listFields writes the fields of RFC 2369 and RFC 2919 that are the same for all, and those of the owner.
func (c *listCopy) listFields(b *bytes.Buffer) {
	l := c.p.l
	uri := func(word, query string) string {
		a := l.Address()
		if word != "" {
			a = l.Service(word)
		}
		return "<mailto:" + mailto(a.Local) + "@" + a.Domain + query + ">"
	}
	b.WriteString(listID(l))
	if l.Settings().Postings == accounts.PostingsFromOwner {
		b.WriteString("List-Post: NO\r\n")
	} else {
		b.WriteString("List-Post: " + uri("", "") + "\r\n")
	}
	b.WriteString("List-Help: " + uri("request", "?subject=help") + "\r\nList-Subscribe: " + uri("on", "") + "\r\nList-Owner: " + uri("admin", "") + "\r\n")
	if page := c.m.archivePage(l, ""); page != "" {
		b.WriteString("List-Archive: <" + page + ">\r\n")
	}
	for _, line := range strings.Split(l.Settings().ListFields, "\n") {
		if line = strings.TrimRight(line, "\r"); line != "" {
			b.WriteString(line + "\r\n")
		}
	}
}

// subject writes the subject with the text of the list before it, or behind Re:.
func (c *listCopy) subject(b *bytes.Buffer, f *field) {
	set := c.p.l.Settings()
	prefix := oneLine(expand(c.p.l, set.FeedSubject, nil))
	if prefix == "" {
		b.Write(f.text)
		return
	}
	subject := message.DecodeHeader(f.value())
	if strings.HasPrefix(strings.ToLower(subject), strings.ToLower(prefix)) && !bool(set.FeedPrefixMode) {
		b.Write(f.text)
		return
	}
	re, rest := cutReply(subject)
	for {
		before, after, found := strings.Cut(rest, prefix)
		if !found || before != "" {
			break
		}
		more, after := cutReply(strings.TrimSpace(after))
		re, rest = re+more, after
	}
	if re != "" {
		re = "Re: "
	}
	if set.FeedPrefixMode {
		subject = re + prefix + " " + rest
	} else {
		subject = prefix + " " + re + rest
	}
	b.WriteString("Subject: " + encodeWords(oneLine(subject)) + "\r\n")
}

// cutReply cuts the marks of answers from the beginning of a subject.
func cutReply(subject string) (re, rest string) {
	rest = strings.TrimSpace(subject)
	for {
		low := strings.ToLower(rest)
		n := 0
		for _, mark := range []string{"re:", "aw:", "sv:", "на:", "отв:"} {
			if strings.HasPrefix(low, mark) {
				n = len(mark)
			}
		}
		if n == 0 || n > len(rest) {
			return re, rest
		}
		re, rest = "Re: ", strings.TrimSpace(rest[n:])
	}
}
