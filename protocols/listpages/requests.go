package listpages

import (
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"gatepost/accounts"
	"gatepost/accounts/lists"
	"gatepost/accounts/subscribers"
	"gatepost/server/fault"
	"gatepost/server/logs"
)

// mode is a choice of a form.
type mode struct {
	Word, Text string
	Chosen     bool
}

// modes are what people may choose, in the order of modeTexts.
var modes = [...]subscribers.Mode{subscribers.Feed, subscribers.Digest, subscribers.Index, subscribers.Null}

// choices are the modes that a list has.
func (v *visit) choices(chosen subscribers.Mode) []mode {
	var all []mode
	for i, m := range modes {
		if (m == subscribers.Digest || m == subscribers.Index) && !bool(v.list.Settings().Store) {
			continue
		}
		all = append(all, mode{m.String(), modeTexts[i], m == chosen})
	}
	return all
}

// chosenMode is the mode of a form; false if it is none that people may choose.
func (v *visit) chosenMode() (subscribers.Mode, bool) {
	m, ok := subscribers.ParseMode(v.r.PostFormValue("mode"))
	return m, ok && m != subscribers.None && m != subscribers.Banned
}

// listPage is the page of a list.
type listPage struct {
	frame
	Address, Description, Leave, Owner string
	// Open says that people may subscribe, and Who which.
	Open                   bool
	Who                    string
	Modes                  []mode
	Typed, RealName, Error string
}

func (v *visit) listPage() *listPage {
	set := v.list.Settings()
	standard, _ := subscribers.ParseMode(set.Distribution)
	f := v.frame("", !bool(set.Listed))
	f.Archive = v.hasArchive()
	return &listPage{
		frame: f, Address: v.list.Address().String(), Description: set.Description,
		Leave: v.list.Service("off").String(), Owner: v.list.Service("admin").String(),
		Open:  set.Subscribe != accounts.SubscribeNobody,
		Who:   map[string]string{accounts.SubscribeModerated: whoModerated, accounts.SubscribeThisDomain: whoDomain, accounts.SubscribeLocals: whoLocals}[set.Subscribe],
		Modes: v.choices(standard),
	}
}

// hasArchive reports whether there is an archive that somebody beside the owner may read.
func (v *visit) hasArchive() bool {
	set := v.list.Settings()
	return bool(set.Store) && (set.Browse != "nobody" || v.manages())
}

func (v *visit) page(string) error { return v.send(http.StatusOK, "list", v.listPage()) }

// subscribe asks for a subscription. The answer tells nothing of who is subscribed.
func (v *visit) subscribe(string) error {
	if !v.posted() {
		return v.page("")
	}
	p := v.listPage()
	if !p.Open {
		return v.send(http.StatusForbidden, "list", p)
	}
	p.Typed, p.RealName = strings.TrimSpace(v.r.PostFormValue("address")), strings.TrimSpace(v.r.PostFormValue("name"))
	wish, ok := v.chosenMode()
	if !ok {
		p.Error = translator(v.lang)(chooseMode)
		return v.send(http.StatusUnprocessableEntity, "list", p)
	}
	p.Modes = v.choices(wish)
	if wait := v.asked.Take(network(v.q.Peer.IP), v.o.Limit); wait > 0 {
		v.q.Log.LogAttrs(v.r.Context(), logs.LevelProblem, "too many subscriptions are asked for from one address", slog.String("list", v.list.Address().String()))
		return v.say(http.StatusTooManyRequests, tooOften)
	}
	least := time.NewTimer(v.o.Least)
	defer least.Stop()
	outcome, err := v.o.Manager.Subscribe(v.r.Context(), v.list, lists.Request{Address: p.Typed, RealName: p.RealName, Mode: wish})
	switch {
	case fault.Is(err, fault.Invalid): // of the address or the mode, whoever is subscribed
		p.Error = fault.Text(err)
		return v.send(http.StatusUnprocessableEntity, "list", p)
	case fault.Is(err, fault.Denied), fault.Is(err, fault.TooMany): // may depend on who is subscribed
		v.q.Log.LogAttrs(v.r.Context(), logs.LevelMajor, "a subscription was refused", slog.String("list", v.list.Address().String()), slog.Any(logs.AttrError, err))
	case err != nil:
		return err
	default:
		v.q.Log.LogAttrs(v.r.Context(), logs.LevelMajor, "a subscription was asked for", slog.String("list", v.list.Address().String()),
			slog.String("subscriber", p.Typed), slog.String("outcome", outcome.String()))
	}
	select {
	case <-least.C:
	case <-v.r.Context().Done():
		return fault.Wrap("listpages.Subscribe", fault.Canceled, v.r.Context().Err())
	}
	return v.say(http.StatusOK, askedText)
}

// network is what counts as one client: an IPv4 address, or an IPv6 network of 64 bits.
func network(ip netip.Addr) netip.Prefix {
	bits := 32
	if ip = ip.Unmap(); ip.Is6() {
		bits = 64
	}
	p, _ := ip.WithZone("").Prefix(bits) // the zero Addr has the zero Prefix
	return p
}

// confirm answers a question that was sent by mail.
func (v *visit) confirm(token string) error {
	ctx := v.r.Context()
	q, err := v.list.Subscribers().Question(strings.ToUpper(token), time.Now())
	if fault.Is(err, fault.NotFound) {
		return v.say(http.StatusNotFound, noQuestion)
	}
	if err != nil {
		return err
	}
	if !v.posted() {
		p := struct {
			frame
			Text, Address, Mode string
		}{frame: v.frame("", true), Address: q.Address, Text: askOwner}
		switch q.Kind {
		case lists.KindSubscribe:
			p.Text = askSubscribe
			for i, m := range modes {
				if m == q.Mode {
					p.Mode = modeTexts[i]
				}
			}
		case lists.KindLeave:
			p.Text = askLeave
		case lists.KindResume:
			p.Text = askResume
		}
		return v.send(http.StatusOK, "confirm", p)
	}
	outcome, err := v.o.Manager.Confirm(ctx, v.list, token)
	switch {
	case fault.Is(err, fault.NotFound):
		return v.say(http.StatusNotFound, noQuestion)
	case fault.Is(err, fault.Denied):
		return v.say(http.StatusForbidden, ownerOnly)
	case err != nil:
		return err
	case outcome == lists.Waits:
		return v.say(http.StatusOK, waitsText)
	case q.Kind == lists.KindLeave:
		return v.say(http.StatusOK, leftText)
	case q.Kind == lists.KindResume:
		return v.say(http.StatusOK, resumedText)
	}
	return v.say(http.StatusOK, doneText)
}

// personalPage is a page of one subscriber.
type personalPage struct {
	frame
	Secret, Address, RealName string
	Modes                     []mode
	Paused, Saved             bool
}

// subscriber returns the page of the subscriber who has a secret; nil if there is none.
func (v *visit) subscriber(secret string) (*personalPage, error) {
	s, err := v.list.Subscribers().BySecret(secret)
	if err != nil || s.Mode == subscribers.None || s.Mode == subscribers.Banned {
		return nil, err
	}
	f := v.frame("", true)
	f.Archive = v.hasArchive()
	return &personalPage{frame: f, Secret: secret, Address: s.Address, RealName: s.RealName, Modes: v.choices(s.Mode), Paused: s.Paused(time.Now())}, nil
}

// unsubscribe ends a subscription (RFC 8058 section 3.2). Who is not subscribed any more has what he wanted.
func (v *visit) unsubscribe(secret string) error {
	if !v.posted() {
		p, err := v.subscriber(secret)
		switch {
		case err != nil:
			return err
		case p == nil:
			return v.say(http.StatusNotFound, noSecret)
		}
		return v.send(http.StatusOK, "unsubscribe", p)
	}
	if v.r.PostFormValue("List-Unsubscribe") != "One-Click" {
		return fault.New("listpages.Unsubscribe", fault.Invalid, "The body must be List-Unsubscribe=One-Click.")
	}
	_, err := v.o.Manager.SetMode(v.r.Context(), v.list, secret, subscribers.None)
	switch {
	case fault.Is(err, fault.NotFound), fault.Is(err, fault.Denied): // whoever is banned gets no mail
		return v.say(http.StatusOK, noSecret)
	case err != nil:
		return err
	}
	return v.say(http.StatusOK, leftText)
}

// options is the page on which a subscriber chooses what he gets.
func (v *visit) options(secret string) error {
	p, err := v.subscriber(secret)
	switch {
	case err != nil:
		return err
	case p == nil:
		return v.say(http.StatusNotFound, noSecret)
	case !v.posted():
		return v.send(http.StatusOK, "options", p)
	}
	wish, ok := v.chosenMode()
	if !ok {
		return v.say(http.StatusUnprocessableEntity, chooseMode)
	}
	if err := v.o.Manager.SetName(v.r.Context(), v.list, secret, v.r.PostFormValue("name")); err != nil {
		return err
	}
	if _, err := v.o.Manager.SetMode(v.r.Context(), v.list, secret, wish); err != nil {
		return err
	}
	p, err = v.subscriber(secret)
	switch {
	case err != nil:
		return err
	case p == nil: // removed meanwhile
		return v.say(http.StatusNotFound, noSecret)
	}
	p.Saved = true
	return v.send(http.StatusOK, "options", p)
}
