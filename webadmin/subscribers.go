package webadmin

import (
	"bufio"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"gatepost/accounts/subscribers"
	"gatepost/server/admin"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// This file has the pages of a mailing list's subscribers.

// modeNames are the modes in words of people, in the order of menus.
var modeNames = []struct {
	mode subscribers.Mode
	name string
}{
	{subscribers.Feed, "each posting"}, {subscribers.Digest, "digests"}, {subscribers.Index, "tables of contents"}, {subscribers.Null, "no mail, may post"}, {subscribers.Banned, "banned"},
}

// postingNames are what subscribers may post, by subscribers.Subscriber.Moderated, in the order of menus.
var postingNames = []struct {
	moderated int
	name      string
}{
	{subscribers.Unmoderated, "posts freely"}, {1, "the next posting waits"}, {2, "the next 2 postings wait"}, {3, "the next 3 postings wait"}, {5, "the next 5 postings wait"},
	{subscribers.ModerateAll, "each posting waits"}, {subscribers.Prohibited, "may not post"}, {subscribers.Special, "no posting waits, whatever the list says"},
}

// postingWords are the words of SETPOSTINGMODE.
var postingWords = map[int]string{
	subscribers.Unmoderated: "UNMODERATED", subscribers.ModerateAll: "MODERATEALL", subscribers.Prohibited: "PROHIBITED", subscribers.Special: "SPECIAL",
}

func (c *call) modeText(m subscribers.Mode) string {
	for _, n := range modeNames {
		if n.mode == m {
			return c.T(n.name)
		}
	}
	return c.T("not subscribed")
}

func (c *call) postingText(n int) string {
	for _, p := range postingNames {
		if p.moderated == n {
			return c.T(p.name)
		}
	}
	return c.T("the next %d postings wait", n)
}

func (c *call) modeChoices(here subscribers.Mode) (out []choice) {
	for _, n := range modeNames {
		out = append(out, choice{n.mode.String(), c.T(n.name), n.mode == here})
	}
	return out
}

func (c *call) postingChoices(here int) (out []choice) {
	known := false
	for _, p := range postingNames {
		known = known || p.moderated == here
		out = append(out, choice{strconv.Itoa(p.moderated), c.T(p.name), p.moderated == here})
	}
	if !known {
		out = append(out, choice{strconv.Itoa(here), c.postingText(here), true})
	}
	return out
}

type subscriberRow struct {
	Address, RealName, Mode, Posting string
	Posts, Bounces                   int
	Since                            time.Time
	Paused, Banned, Held             bool
}

func (c *call) subscriberRow(s *subscribers.Subscriber) subscriberRow {
	return subscriberRow{
		Address: s.Address, RealName: s.RealName, Mode: c.modeText(s.Mode), Posting: c.postingText(s.Moderated), Posts: s.Posts, Bounces: s.Bounces, Since: s.Since,
		Paused: s.Paused(time.Now()), Banned: s.Mode == subscribers.Banned, Held: s.Moderated != subscribers.Unmoderated,
	}
}

type subscriberList struct {
	List                  string
	Total                 int
	Counts                []string
	Filter, Show          string
	Kinds                 []choice
	Rows                  []subscriberRow
	First                 bool
	Next                  string
	May                   bool
	Modes, Postings       []choice
	Link                  string
	Address, RealName     string // that were typed
	Text                  string
	AddError, ImportError string
	Failed                []importFailure
	More                  int
	Imported              int
	Done                  bool
	Zone                  *time.Location
}

// The filter of subscribers that get nothing after bounces.
const showPaused = "paused"

func (c *call) subscribersPage() error { return c.drawSubscribers(http.StatusOK, &subscriberList{}) }

func (c *call) drawSubscribers(status int, v *subscriberList) error {
	query := c.r.URL.Query()
	n := c.target()
	counts, err := c.actor.SubscriberCounts(c.ctx(), n)
	if err != nil {
		return err
	}
	v.List, v.Filter, v.Show, v.First = c.address(), strings.TrimSpace(query.Get("filter")), query.Get("show"), query.Get("after") == ""
	v.Total, v.May, v.Link, v.Zone = counts.Subscribers(), c.may("LIST"), c.listLink("Subscriber"), c.prefs.Zone
	v.Modes, v.Postings = c.modeChoices(subscribers.Feed), c.postingChoices(subscribers.Unmoderated)
	v.Kinds = []choice{{"", c.T("All subscribers"), v.Show == ""}}
	for _, m := range modeNames {
		if counts[m.mode] > 0 {
			v.Counts = append(v.Counts, c.T(m.name)+": "+strconv.Itoa(counts[m.mode]))
		}
		v.Kinds = append(v.Kinds, choice{m.mode.String(), c.T(m.name), v.Show == m.mode.String()})
	}
	v.Kinds = append(v.Kinds, choice{showPaused, c.T("paused after bounces"), v.Show == showPaused})
	f := admin.SubscriberFilter{Text: v.Filter, Paused: v.Show == showPaused}
	f.Mode, _ = subscribers.ParseMode(v.Show)
	p, err := c.actor.Subscribers(c.ctx(), n, f, query.Get("after"), c.prefs.Rows)
	if err != nil {
		return err
	}
	for i := range p.Subscribers {
		v.Rows = append(v.Rows, c.subscriberRow(&p.Subscribers[i]))
	}
	if p.More {
		query.Set("after", v.Rows[len(v.Rows)-1].Address)
		v.Next = c.r.URL.EscapedPath() + "?" + query.Encode()
	}
	return c.show(status, "subscribers", c.T("Subscribers of %s", c.address()), v)
}

// wishes are the ticks of a form about messages to subscribers.
func (c *call) wishes() (silently, confirm bool) {
	return c.r.PostForm.Has("silently"), c.r.PostForm.Has("confirm")
}

// mode is the mode that a form names.
func (c *call) mode() (subscribers.Mode, error) {
	m, ok := subscribers.ParseMode(c.field("mode"))
	if !ok || m == subscribers.None {
		return 0, fault.New("webadmin.Subscribers", fault.Invalid, c.T("The form names no mode."))
	}
	return m, nil
}

// listCommand is the command that does the same as a form did with one subscriber.
func (c *call) listCommand(s *subscribers.Subscriber, silently, confirm bool) string {
	command := "LIST " + c.address() + " " + s.Mode.String()
	if silently {
		command += " silently"
	}
	if confirm {
		command += " confirm"
	}
	who := s.Address
	if s.RealName != "" {
		who = s.RealName + " <" + s.Address + ">"
	}
	return command + " " + dataformat.Compact(dataformat.String(who))
}

func (c *call) addSubscriber() error {
	s := subscribers.Subscriber{RealName: strings.TrimSpace(c.field("realname"))}
	name, addr := subscribers.SplitName(c.field("address"))
	if s.Address = addr; s.RealName == "" {
		s.RealName = name
	}
	var err error
	if s.Mode, err = c.mode(); err != nil {
		return err
	}
	silently, confirm := c.wishes()
	refuse := func(err error) error {
		if !kept(err) && !fault.Is(err, fault.Denied) {
			return err
		}
		return c.drawSubscribers(http.StatusUnprocessableEntity, &subscriberList{Address: s.Address, RealName: s.RealName, AddError: c.reason(err)})
	}
	failed, err := c.actor.ChangeSubscriptions(c.ctx(), c.target(), []subscribers.Subscriber{s}, subscribers.How{Silently: silently, Confirm: confirm, NewOnly: true})
	if err != nil {
		return err
	}
	if failed[0] != nil {
		return refuse(failed[0])
	}
	f := &flash{Text: c.T("%s is subscribed.", s.Address), Command: c.listCommand(&s, silently, confirm)}
	if confirm {
		f.Text = c.T("%s is asked to confirm.", s.Address)
	}
	return c.done(c.listLink("Subscribers"), f)
}

// picked are the addresses that are ticked, or that of the page of one subscriber.
func (c *call) picked() ([]string, error) {
	list := c.r.PostForm["pick"]
	if len(list) == 0 {
		return nil, fault.New("webadmin.Subscribers", fault.Invalid, c.T("No subscriber is ticked."))
	}
	if len(list) > subscribers.MaxChange {
		return nil, fault.New("webadmin.Subscribers", fault.Invalid, c.T("These are too many subscribers at once."))
	}
	return list, nil
}

// subscribersLink is the page that the ticks are from.
func (c *call) subscribersLink() string {
	if q := c.r.URL.RawQuery; q != "" && strings.HasSuffix(c.r.URL.Path, "/Subscribers") {
		return c.listLink("Subscribers") + "?" + q
	}
	return c.listLink("Subscribers")
}

// change gives the ticked subscribers a mode.
func (c *call) change(mode subscribers.Mode, text func(n int) string) error {
	list, err := c.picked()
	if err != nil {
		return err
	}
	silently, _ := c.wishes()
	all := make([]subscribers.Subscriber, len(list))
	for i, a := range list {
		all[i] = subscribers.Subscriber{Address: a, Mode: mode}
	}
	failed, err := c.actor.ChangeSubscriptions(c.ctx(), c.target(), all, subscribers.How{Silently: silently})
	if err != nil {
		return err
	}
	f := &flash{}
	n := 0
	var commands []string
	for i, err := range failed {
		if err != nil {
			f.Notes = append(f.Notes, all[i].Address+": "+c.reason(err))
			continue
		}
		if n++; n <= 5 {
			commands = append(commands, c.listCommand(&all[i], silently, false))
		}
	}
	f.Text, f.Command = text(n), strings.Join(commands, "\n")
	return c.done(c.subscribersLink(), f)
}

func (c *call) changeModes() error {
	mode, err := c.mode()
	if err != nil {
		return err
	}
	return c.change(mode, func(n int) string {
		return c.T("Changed: %s.", count(c.prefs.Language, n, "subscriber"))
	})
}

func (c *call) endSubscriptions() error {
	return c.change(subscribers.None, func(n int) string {
		return c.T("No longer subscribed: %s.", count(c.prefs.Language, n, "subscriber"))
	})
}

func (c *call) changePostings() error {
	list, err := c.picked()
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(c.field("posting"))
	if err != nil {
		return fault.New("webadmin.Subscribers", fault.Invalid, c.T("The form names no right to post."))
	}
	if err := c.actor.SetPostingMode(c.ctx(), c.target(), list, n); err != nil {
		return err
	}
	var commands []string
	for _, a := range list[:min(len(list), 5)] {
		commands = append(commands, c.postingCommand(a, n))
	}
	return c.done(c.subscribersLink(), &flash{Text: c.T("Changed: %s.", count(c.prefs.Language, len(list), "subscriber")), Command: strings.Join(commands, "\n")})
}

func (c *call) postingCommand(address string, n int) string {
	word := postingWords[n]
	if word == "" {
		word = strconv.Itoa(n)
	}
	return "SETPOSTINGMODE " + c.address() + " FOR " + address + " " + word
}

type subscriberView struct {
	Row                     subscriberRow
	LastBounce, PausedUntil time.Time
	ForEver                 bool
	Warned                  time.Time
	May                     bool
	Modes, Postings         []choice
	Error                   string
	Back                    string
	Command, File           string
}

// subscriber is the one that the page is about.
func (c *call) subscriber() (*subscribers.Subscriber, error) {
	address := c.r.URL.Query().Get("address")
	if c.r.Method == http.MethodPost {
		address = c.field("pick")
	}
	s, err := c.actor.Subscriber(c.ctx(), c.target(), address)
	if err == nil && s.Mode == subscribers.None {
		err = fault.New("webadmin.Subscriber", fault.NotFound, c.T("There is no such subscriber."))
	}
	return &s, err
}

func (c *call) subscriberPage() error {
	s, err := c.subscriber()
	if err != nil {
		return err
	}
	return c.drawSubscriber(http.StatusOK, s, "")
}

func (c *call) drawSubscriber(status int, s *subscribers.Subscriber, problem string) error {
	return c.show(status, "subscriber", s.Address, &subscriberView{
		Row: c.subscriberRow(s), LastBounce: s.LastBounce, PausedUntil: s.PausedUntil, ForEver: !s.PausedUntil.Before(subscribers.Forever), Warned: s.Warned,
		May: c.may("LIST"), Modes: c.modeChoices(s.Mode), Postings: c.postingChoices(s.Moderated), Error: problem, Back: c.listLink("Subscribers"),
		Command: "GETSUBSCRIBERINFO " + c.address() + " NAME " + s.Address,
	})
}

// updateSubscriber changes mode, name and right to post. A new mode ends a pause, and so does "resume".
func (c *call) updateSubscriber() error {
	s, err := c.subscriber()
	if err != nil {
		return err
	}
	mode, err := c.mode()
	if err != nil {
		return err
	}
	posting, err := strconv.Atoi(c.field("posting"))
	if err != nil {
		return fault.New("webadmin.Subscribers", fault.Invalid, c.T("The form names no right to post."))
	}
	name := strings.TrimSpace(c.field("realname"))
	var commands []string
	if mode != s.Mode || name != s.RealName && name != "" || c.r.PostForm.Has("resume") {
		wanted := subscribers.Subscriber{Address: s.Address, RealName: name, Mode: mode}
		failed, err := c.actor.ChangeSubscriptions(c.ctx(), c.target(), []subscribers.Subscriber{wanted}, subscribers.How{Silently: true})
		if err != nil {
			return err
		}
		if failed[0] != nil {
			if !kept(failed[0]) && !fault.Is(failed[0], fault.Denied) {
				return failed[0]
			}
			return c.drawSubscriber(http.StatusUnprocessableEntity, s, c.reason(failed[0]))
		}
		commands = append(commands, c.listCommand(&wanted, true, false))
	}
	if posting != s.Moderated {
		if err := c.actor.SetPostingMode(c.ctx(), c.target(), []string{s.Address}, posting); err != nil {
			return err
		}
		commands = append(commands, c.postingCommand(s.Address, posting))
	}
	f := &flash{Text: c.T("%s is changed.", s.Address), Command: strings.Join(commands, "\n")}
	if len(commands) == 0 {
		f.Text = c.T("Nothing has changed.")
	}
	return c.done(c.listLink("Subscribers"), f)
}

// The most lines of one import: without a word to anybody, and with a message to each.
const (
	maxSilentImport = 100_000
	maxLoudImport   = 1_000
)

// importSubscribers subscribes the addresses of a text. A line that is wrong refuses itself.
func (c *call) importSubscribers() error {
	v := &subscriberList{Text: c.field("text")}
	text, err := c.fileOr(v.Text)
	if err != nil {
		return err
	}
	mode, err := c.mode()
	if err != nil {
		return err
	}
	silently, confirm := c.wishes()
	most := maxLoudImport
	if silently && !confirm {
		most = maxSilentImport
	}
	var all []subscribers.Subscriber
	var at []int
	lines := bufio.NewScanner(strings.NewReader(strings.TrimPrefix(text, "\ufeff")))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" {
			continue
		}
		s := subscribers.Subscriber{Mode: mode}
		if address, name, ok := strings.Cut(line, "\t"); ok {
			name, _, _ = strings.Cut(name, "\t")
			s.Address, s.RealName = strings.TrimSpace(address), strings.TrimSpace(name)
		} else {
			s.RealName, s.Address = subscribers.SplitName(line)
		}
		all, at = append(all, s), append(at, n)
	}
	switch {
	case lines.Err() != nil:
		v.ImportError = c.T("A line is too long. Nothing was done.")
	case len(all) == 0:
		v.ImportError = c.T("The file is empty.")
	case len(all) > most:
		v.ImportError = c.T("These are more than %d lines. Nothing was done.", most)
	}
	if v.ImportError != "" {
		return c.drawSubscribers(http.StatusUnprocessableEntity, v)
	}
	failed, err := c.actor.ChangeSubscriptions(c.ctx(), c.target(), all, subscribers.How{Silently: silently, Confirm: confirm, NewOnly: true})
	if err != nil {
		return err
	}
	for i, err := range failed {
		switch {
		case err == nil:
			v.Imported++
		case len(v.Failed) < 200:
			v.Failed = append(v.Failed, importFailure{at[i], all[i].Address, c.reason(err)})
		default:
			v.More++
		}
	}
	v.Done, v.Text = true, ""
	return c.drawSubscribers(http.StatusOK, v)
}

// fileOr is the text of the file that a form has sent, or else the given one.
func (c *call) fileOr(text string) (string, error) {
	if c.r.MultipartForm == nil {
		return text, nil
	}
	defer c.r.MultipartForm.RemoveAll()
	f, _, err := c.r.FormFile("file")
	if err != nil { // none was sent
		return text, nil
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, MaxBody))
	if err != nil {
		return "", fault.Wrap("webadmin.Import", fault.Internal, err)
	}
	if len(b) > 0 {
		return string(b), nil
	}
	return text, nil
}
