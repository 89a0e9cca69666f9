package scheduling

import (
	"context"
	"slices"
	"strings"
	"time"

	"gatepost/accounts"
	"gatepost/accounts/groupware"
	"gatepost/accounts/icalendar"
	"gatepost/router"
	"gatepost/router/address"
	"gatepost/server/fault"
)

// The properties of calendars and of the scheduling inbox that free-busy follows, see groupware.Collection.Properties.
const (
	TransparencyProperty = "urn:ietf:params:xml:ns:caldav schedule-calendar-transp"
	AvailabilityProperty = "urn:ietf:params:xml:ns:caldav calendar-availability"
)

// maxBusy bounds the periods of an answer, maxBusySpan its time.
const (
	maxBusy     = 20_000
	maxBusySpan = 400 * 24 * 3600
)

// The values of the preference ShowFreeBusy: who is told when the account is busy.
const (
	showNobody    = "nobody"
	showEverybody = "everybody"
)

// MaySee reports whether a viewer is told when an account is busy; nil is somebody who has not logged in.
func (s *Service) MaySee(viewer, owner *accounts.Account) bool {
	if viewer != nil && viewer.ID == owner.ID {
		return true
	}
	if !owner.Enabled("WebCAL") {
		return false
	}
	switch strings.ToLower(owner.Preference("ShowFreeBusy")) {
	case showNobody:
		return false
	case showEverybody:
		return true
	}
	return viewer != nil && viewer.Domain == owner.Domain
}

// Busy returns when an account is busy within a time: by the events in its calendars, but for those that are transparent, and by its availability.
func (s *Service) Busy(ctx context.Context, a *accounts.Account, when icalendar.Range) ([]icalendar.Period, error) {
	return s.busyBut(ctx, a, when, "")
}

// busyBut is Busy without the event of a UID.
func (s *Service) busyBut(ctx context.Context, a *accounts.Account, when icalendar.Range, uid string) ([]icalendar.Period, error) {
	all, err := s.Groupware.Collections(ctx, a, s.Groupware.Between(a, a), groupware.Calendar)
	if err != nil {
		return nil, err
	}
	owns := s.owns(ctx, a)
	report := icalendar.NewReport(nil)
	report.Own = func(p *icalendar.Property) bool { l := line{Property: *p}; return owns(l.address()) }
	var busy []icalendar.Period
	for _, c := range all {
		props, err := c.Properties(ctx)
		if err != nil {
			return nil, err
		}
		if strings.Contains(props[TransparencyProperty], "transparent") {
			continue
		}
		if report.Local, err = c.Zone(ctx); err != nil {
			return nil, err
		}
		items, err := c.Between(ctx, when.Start, when.End)
		if err != nil {
			return nil, err
		}
		for i := range items {
			if err := ctx.Err(); err != nil {
				return nil, fault.Wrap("scheduling.Busy", fault.Canceled, err)
			}
			if uid != "" && items[i].Key == uid {
				continue
			}
			periods, known, err := report.BusySummary(items[i].Summary, when)
			if err == nil && known && len(periods) == 0 {
				continue
			}
			_, text, err := c.Text(ctx, items[i].Name)
			if fault.Is(err, fault.NoMessage) {
				continue
			}
			if err != nil {
				return nil, err
			}
			o, err := icalendar.Parse(text)
			if err != nil {
				continue
			}
			if periods, err = report.Busy(o, when); err != nil {
				return nil, err
			}
			if busy = append(busy, periods...); len(busy) > maxBusy {
				if busy = icalendar.MergeBusy(busy); len(busy) > maxBusy/2 {
					return nil, fault.New("scheduling.Busy", fault.TooMany, "There are too many busy times.")
				}
			}
		}
	}
	away, err := s.away(ctx, a, when)
	return icalendar.MergeBusy(append(busy, away...)), err
}

// State says whether an account is busy at a time: Free, Busy, Tentative or Unavailable.
func (s *Service) State(ctx context.Context, a *accounts.Account, now time.Time) (string, error) {
	if !a.Enabled("WebCAL") {
		return "Free", nil
	}
	busy, err := s.Busy(ctx, a, icalendar.Range{Start: now.Unix(), End: now.Unix() + 1})
	state := "Free"
	for _, p := range busy {
		switch {
		case p.Type == icalendar.Busy:
			return "Busy", err
		case p.Type == icalendar.BusyUnavailable:
			state = "Unavailable"
		case state == "Free":
			state = "Tentative"
		}
	}
	return state, err
}

// BusyAnswer is what an addressee of a free-busy request is answered (RFC 6638 section 5).
type BusyAnswer struct {
	// Recipient is the address as it was asked for, Status the REQUEST-STATUS, Calendar the VFREEBUSY or nil.
	Recipient, Status string
	Calendar          []byte
}

// FreeBusy answers a request of a user: a VFREEBUSY with the METHOD REQUEST. Errors: Invalid, TooMany, Denied: the organizer is not the
// user.
func (s *Service) FreeBusy(ctx context.Context, user *accounts.Account, text []byte) ([]BusyAnswer, error) {
	const op = "scheduling.FreeBusy"
	o, err := parseObject(text)
	if err != nil {
		return nil, err
	}
	n := o.parts[0]
	if len(o.parts) != 1 || n.name != "VFREEBUSY" || !strings.EqualFold(o.root.value("METHOD"), "REQUEST") {
		return nil, fault.New(op, fault.Invalid, "The request is not one VFREEBUSY with METHOD:REQUEST.")
	}
	organizer := n.line("ORGANIZER")
	if organizer == nil || !s.owns(ctx, user)(organizer.address()) {
		return nil, fault.New(op, fault.Denied, "The ORGANIZER of the request is not you.")
	}
	start, end := n.line("DTSTART"), n.line("DTEND")
	if start == nil || end == nil {
		return nil, fault.New(op, fault.Invalid, "The request has no DTSTART and DTEND.")
	}
	from, ok := o.instant(start, start.Value)
	to, ok2 := o.instant(end, end.Value)
	if !ok || !ok2 || to <= from || to-from > maxBusySpan {
		return nil, fault.New(op, fault.Invalid, "The time of the request is not valid, or longer than 400 days.")
	}
	var asked []line
	for _, l := range n.lines {
		if l.Name == "ATTENDEE" {
			asked = append(asked, l)
		}
	}
	if len(asked) > maxTold {
		return nil, fault.Newf(op, fault.TooMany, "A request is about %d attendees at most.", maxTold)
	}
	var list []BusyAnswer
	for _, l := range asked {
		a := BusyAnswer{Recipient: l.Value}
		account, err := s.local(ctx, l.address())
		switch {
		case err != nil:
			return nil, err
		case account == nil:
			a.Status = "3.7;Invalid calendar user"
		case !s.MaySee(user, account):
			a.Status = "3.8;No authority"
		default:
			when := icalendar.Range{Start: from, End: to}
			busy, err := s.Busy(ctx, account, when)
			if err != nil {
				return nil, err
			}
			a.Status = "2.0;Success"
			extra := []icalendar.Property{organizer.Property, {Name: "ATTENDEE", Value: l.Value}}
			a.Calendar = icalendar.FreeBusyText(when, busy, product, o.uid(), "REPLY", time.Now().Unix(), extra...)
		}
		list = append(list, a)
	}
	return list, nil
}

// local returns the account that an address leads to, nil if it is none of this server.
func (s *Service) local(ctx context.Context, addr string) (*accounts.Account, error) {
	a, err := address.Parse(addr)
	if err != nil || a.Domain == "" {
		return nil, nil
	}
	route, err := s.Router.Route(ctx, router.Mail, a)
	if err != nil || route.Module != router.LOCAL || route.Name == "" {
		if err != nil && fault.KindOf(err).Temporary() {
			return nil, err
		}
		return nil, nil
	}
	account, err := s.Accounts.Account(ctx, route.Domain, route.Name)
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.NoDomain) {
		return nil, nil
	}
	return account, err
}

// ShowsAll reports whether the account of an address shows everybody when it is busy.
func (s *Service) ShowsAll(ctx context.Context, addr string) (bool, error) {
	a, err := s.local(ctx, strings.ToLower(addr))
	return a != nil && s.MaySee(nil, a), err
}

// Published is the text of freebusy.vfb: when the account of an address is busy in the next days (PublishFreeBusy). One without events is never
// busy. Errors: NotFound, also for an account that does not show it to the viewer, nil for nobody known.
func (s *Service) Published(ctx context.Context, viewer *accounts.Account, addr string, now time.Time) ([]byte, error) {
	a, err := s.local(ctx, strings.ToLower(addr))
	if err != nil {
		return nil, err
	}
	if a == nil || !s.MaySee(viewer, a) {
		return nil, fault.New("scheduling.Published", fault.NotFound, "")
	}
	days := 60
	if n, ok := number(a.Preference("PublishFreeBusy")); ok {
		days = min(n, maxBusySpan/86400-1)
	}
	start := now.UTC().Truncate(24 * time.Hour)
	when := icalendar.Range{Start: start.Unix(), End: start.AddDate(0, 0, max(days, 1)).Unix()}
	var busy []icalendar.Period
	if days > 0 {
		if busy, err = s.Busy(ctx, a, when); err != nil && !fault.Is(err, fault.NoMailbox) {
			return nil, err
		}
	}
	organizer := icalendar.Property{Name: "ORGANIZER", Value: "mailto:" + a.Address()}
	return icalendar.FreeBusyText(when, busy, product, a.Address(), "PUBLISH", now.Unix(), organizer), nil
}

func number(s string) (n int, ok bool) {
	s = strings.TrimSuffix(strings.TrimSpace(s), "d")
	if s == "" || len(s) > 6 {
		return 0, false
	}
	for _, c := range s {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, true
}

// away returns when the availability of an account says that it is not there (RFC 7953).
func (s *Service) away(ctx context.Context, a *accounts.Account, when icalendar.Range) ([]icalendar.Period, error) {
	text, err := s.inboxProperty(ctx, a, AvailabilityProperty)
	if err != nil || text == "" {
		return nil, err
	}
	return unavailable([]byte(strings.TrimSpace(text)+"\r\n"), when, groupware.ZoneOf(a)), nil
}

// inboxProperty returns a property of the scheduling inbox as a text; "" if there is none.
func (s *Service) inboxProperty(ctx context.Context, a *accounts.Account, name string) (string, error) {
	props, err := a.Mail().Properties(ctx, groupware.InboxName, a.ID)
	if fault.Is(err, fault.NoMailbox) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return groupware.PropertyText(props[name]), nil
}

// unavailable returns when the VAVAILABILITY components of a text leave no time. One with a higher priority decides for its time alone.
func unavailable(text []byte, when icalendar.Range, zone *icalendar.Zone) []icalendar.Period {
	o, err := parseObject(text)
	if err != nil {
		return nil
	}
	var list []*node
	for _, n := range o.parts {
		if n.name == "VAVAILABILITY" {
			list = append(list, n)
		}
	}
	rank := func(n *node) int { // 1 is the highest, 0 the lowest
		if p := n.number("PRIORITY"); p > 0 {
			return p
		}
		return 10
	}
	slices.SortStableFunc(list, func(a, b *node) int { return rank(a) - rank(b) })
	open := []icalendar.Range{when} // times that nothing has decided about
	var busy []icalendar.Period
	for _, n := range list {
		of := when
		if l := n.line("DTSTART"); l != nil {
			if at, err := o.cal.Instant(&l.Property, zone); err == nil {
				of.Start = max(of.Start, at)
			}
		}
		if l := n.line("DTEND"); l != nil {
			if at, err := o.cal.Instant(&l.Property, zone); err == nil {
				of.End = min(of.End, at)
			}
		}
		kind := icalendar.BusyUnavailable
		switch strings.ToUpper(n.value("BUSYTYPE")) {
		case "BUSY":
			kind = icalendar.Busy
		case "BUSY-TENTATIVE":
			kind = icalendar.BusyTentative
		}
		free := available(o, n, of, zone)
		for _, r := range overlap(open, []icalendar.Range{of}) {
			for _, closed := range without(r, free) {
				busy = append(busy, icalendar.Period{Range: closed, Type: kind})
			}
		}
		var left []icalendar.Range
		for _, r := range open {
			left = append(left, without(r, []icalendar.Range{of})...)
		}
		open = left
	}
	return busy
}

// maxAvailable bounds the instances of one AVAILABLE.
const maxAvailable = 2000

// available returns the instances of the AVAILABLE components of a VAVAILABILITY.
func available(o *object, n *node, when icalendar.Range, zone *icalendar.Zone) (list []icalendar.Range) {
	if when.Start >= when.End {
		return nil
	}
	for i, a := range n.inner {
		if a.name != "AVAILABLE" || i >= maxAvailable/10 {
			continue
		}
		event := a.clone()
		event.name = "VEVENT"
		event.set(newLine("UID", "available"))
		root := &node{name: "VCALENDAR", lines: []line{newLine("VERSION", "2.0")}, inner: append(o.zonesOf([]*node{a}), event)}
		cal, err := icalendar.Parse(root.append(nil))
		if err != nil {
			continue
		}
		found, err := cal.Instances(when, zone, maxAvailable)
		if err != nil {
			continue
		}
		for _, f := range found {
			list = append(list, icalendar.Range{Start: f.Start, End: f.End})
		}
	}
	return list
}

func overlap(a, b []icalendar.Range) (out []icalendar.Range) {
	for _, x := range a {
		for _, y := range b {
			if r := (icalendar.Range{Start: max(x.Start, y.Start), End: min(x.End, y.End)}); r.Start < r.End {
				out = append(out, r)
			}
		}
	}
	return out
}

// without cuts times out of a range.
func without(r icalendar.Range, cut []icalendar.Range) (out []icalendar.Range) {
	cut = slices.Clone(cut)
	slices.SortFunc(cut, func(a, b icalendar.Range) int {
		switch {
		case a.Start < b.Start:
			return -1
		case a.Start > b.Start:
			return 1
		}
		return 0
	})
	for _, c := range cut {
		if c.End <= r.Start || c.Start >= r.End {
			continue
		}
		if c.Start > r.Start {
			out = append(out, icalendar.Range{Start: r.Start, End: c.Start})
		}
		r.Start = max(r.Start, c.End)
	}
	if r.Start < r.End {
		out = append(out, r)
	}
	return out
}
