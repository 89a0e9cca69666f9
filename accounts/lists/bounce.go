package lists

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"time"

	"gatepost/accounts"
	"gatepost/accounts/message"
	"gatepost/accounts/subscribers"
	"gatepost/queue"
	"gatepost/queue/envelope"
	"gatepost/router/address"
)

// maxReportText bounds what is read of the machine-readable part of a report.
const maxReportText = 16 << 20

// failure is what a report says of one recipient.
type failure struct {
	address string
	fatal   bool
}

// report takes a report about a message of the list. The report of another server counts for the subscriber whose
// token its address has, and for nobody else, whatever is written in it. Those of our own queue about messages
// of lists name many recipients, and are believed.
func (t *Transport) report(ctx context.Context, it *queue.Item, l *accounts.MailingList, token string, rcpt int) (*envelope.Status, error) {
	st := envelope.Status{Action: envelope.ActionDelivered, Code: envelope.Code{2, 0, 0}, Text: "the report is processed"}
	var who subscribers.Subscriber
	own := it.Envelope.Source.Tag == queue.TagListDSN
	processed := false
	var err error
	if token != "" {
		if who, err = l.Subscribers().BySecret(token); err != nil {
			return nil, err
		}
	}
	if own || who.Mode != subscribers.None {
		var list []failure
		if list, err = readReport(it); err != nil {
			return nil, err
		}
		fatal := true
		for _, f := range list {
			if who.Mode == subscribers.None {
				if err := t.manager.ProcessBounce(ctx, l, f.address, f.fatal); err != nil {
					return nil, err
				}
			}
			fatal = fatal && f.fatal
		}
		if processed = len(list) > 0; processed && who.Mode != subscribers.None {
			if err := t.manager.ProcessBounce(ctx, l, who.Address, fatal); err != nil {
				return nil, err
			}
		}
	}
	if keep := l.Settings().SaveReports; keep == "all" || keep == "unprocessed" && !processed {
		if !processed {
			st.Text = "the report is kept for the owner of the list"
		}
		return nil, t.keep(ctx, it, l, boxReports, rcpt, st)
	}
	return &st, nil
}

// readReport returns the recipients of whom a report says that the message could not be delivered (RFC 3464). What is no such report,
// such as the message of somebody who is on vacation, has none.
func readReport(it *queue.Item) ([]failure, error) {
	f, err := os.Open(it.File)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	body := io.NewSectionReader(f, it.Offset, it.Size)
	sum, err := message.Scan(body, message.Options{})
	if err != nil {
		return nil, err
	}
	if sum.Root.Type != "multipart" || sum.Root.Subtype != "report" || !strings.EqualFold(sum.Root.Param("report-type"), "delivery-status") {
		return nil, nil
	}
	for _, p := range sum.Root.Children {
		if p.Type == "message" && (p.Subtype == "delivery-status" || p.Subtype == "global-delivery-status") {
			part := io.NewSectionReader(body, p.Body.Start, min(p.Body.Size(), maxReportText))
			return failures(message.Decode(part, p.Encoding))
		}
	}
	return nil, nil
}

// failures reads the machine-readable part of a report: groups of fields with an empty line behind each, the first of which is
// about the message. Lines that are too long are skipped.
func failures(r io.Reader) (list []failure, err error) {
	group := map[string]string{}
	end := func() {
		if strings.EqualFold(group["action"], "failed") {
			if a := reportedAddress(group["original-recipient"], group["final-recipient"]); a != "" {
				list = append(list, failure{a, fatalStatus(group["status"])})
			}
		}
		clear(group)
	}
	in := bufio.NewReaderSize(r, 8<<10)
	for {
		line, more, err := in.ReadLine()
		if err != nil {
			end()
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return list, err
		}
		for skip := more; skip; {
			if _, skip, err = in.ReadLine(); err != nil {
				break
			}
		}
		if len(bytes.TrimSpace(line)) == 0 {
			end()
			continue
		}
		name, value, found := strings.Cut(string(line), ":")
		if found && !more && len(group) < 100 {
			group[strings.ToLower(strings.TrimSpace(name))] = strings.TrimSpace(value)
		}
	}
}

// reportedAddress is the address of a recipient: the one that the list wrote to, if the report has it.
func reportedAddress(fields ...string) string {
	for _, field := range fields {
		kind, text, found := strings.Cut(field, ";")
		kind = strings.ToLower(strings.TrimSpace(kind))
		if !found || kind != "rfc822" && kind != "utf-8" {
			continue
		}
		text = strings.TrimSpace(text)
		if decoded, err := envelope.DecodeOriginal(kind + ";" + text); err == nil {
			_, text, _ = strings.Cut(decoded, ";")
		}
		if a, err := address.Parse(text); err == nil && a.Domain != "" {
			return a.String()
		}
	}
	return ""
}

// fatalStatus reports whether a status (RFC 3463) says that there is no such address, or no such host.
func fatalStatus(status string) bool {
	word, _, _ := strings.Cut(strings.TrimSpace(status), " ")
	switch word {
	case "5.1.0", "5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1", "5.4.4":
		return true
	}
	return false
}

// A count of bounces is forgotten when there was none for so many cool-off periods, and for a week at least.
const forgetAfter = 10

// ProcessBounce takes note that a message to a subscriber came back; fatal says that the address does not exist. What came back while the
// subscriber gets no postings anyway counts once. An address that is not subscribed changes nothing.
func (m *Manager) ProcessBounce(ctx context.Context, l *accounts.MailingList, address string, fatal bool) error {
	set, now := l.Settings(), time.Now().UTC()
	var s subscribers.Subscriber
	ended, paused := false, false
	err := l.Subscribers().Change(ctx, address, func(now1 *subscribers.Subscriber) error {
		ended, paused = false, false
		if now1.Mode == subscribers.None || now1.Mode == subscribers.Banned {
			return nil
		}
		quiet := max(forgetAfter*set.CoolOffPeriod.Duration(), 7*24*time.Hour)
		if !now1.LastBounce.IsZero() && now.Sub(now1.LastBounce) > quiet && !now1.Paused(now) {
			now1.Bounces = 0
		}
		now1.LastBounce = now
		weight := 1
		if fatal {
			weight = max(set.FatalWeight, 1)
		}
		atOnce := fatal && set.FatalWeight >= accounts.FatalAlways
		switch {
		case atOnce:
			ended = true
		case now1.Paused(now):
		case bool(set.TillConfirmed):
			now1.Bounces += weight
			now1.PausedUntil, now1.Warned, paused = subscribers.Forever, now, true
		default:
			now1.Bounces += weight
			if ended = now1.Bounces >= max(set.MaxBounces, 1); !ended {
				now1.PausedUntil, now1.Warned, paused = now.Add(set.CoolOffPeriod.Duration()), now, true
			}
		}
		s = *now1
		if ended {
			now1.Mode = subscribers.None
		}
		return nil
	})
	switch {
	case err != nil:
		return err
	case ended:
		return m.ended(ctx, l, s.Address)
	case paused:
		m.logAbout(ctx, l, "mail came back; the subscriber gets no postings for now", s.Address)
		return m.warn(ctx, l, &s)
	}
	return nil
}

// ended tells the owner that bounces have ended a subscription.
func (m *Manager) ended(ctx context.Context, l *accounts.MailingList, address string) error {
	m.logAbout(ctx, l, "a subscription has ended after bounces", address)
	if !l.Settings().FailureNotification {
		return nil
	}
	return m.notify(ctx, l, notice{to: m.owner(l).String(), text: textBounced, about: address})
}

// warn tells a subscriber that he gets no postings, and asks whether the address works again.
func (m *Manager) warn(ctx context.Context, l *accounts.MailingList, s *subscribers.Subscriber) error {
	now := time.Now()
	lasts := s.PausedUntil.Sub(now)
	if l.Settings().TillConfirmed {
		lasts = l.Settings().UnsubBouncedPeriod.Duration()
	}
	q, again, err := l.Subscribers().Ask(ctx, subscribers.Question{Address: s.Address, Kind: KindResume, Mode: s.Mode, Expire: now.Add(lasts)}, now)
	if err != nil || again {
		return err
	}
	return m.notify(ctx, l, notice{to: s.Address, text: textWarning, token: q.Token, name: s.RealName})
}
