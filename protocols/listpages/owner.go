package listpages

import (
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"gatepost/accounts/lists/archive"
	"gatepost/accounts/subscribers"
	"gatepost/server/admin"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// This file has the pages with which the owner runs a list. Each change is one call of package admin, which decides who may make it.

const (
	// maxImport bounds the text of an import.
	maxImport = 8 << 20
	// ownerRows is how many subscribers a page has, maxWaiting how many postings and subscriptions wait on one.
	ownerRows  = 100
	maxWaiting = 200
)

// owner answers what is below NAME/owner/.
func (v *visit) owner(path []string) error {
	v.w.Header().Set("Cache-Control", "no-store")
	if v.q.Account == nil || v.session == nil {
		if v.posted() {
			return fault.New("listpages.Owner", fault.Denied, "Your session has ended. Log in and repeat the change.")
		}
		return v.send(http.StatusForbidden, "login", &loginPage{frame: v.frame("", true), Next: v.r.URL.RequestURI(), Error: translator(v.lang)(ownerOnly)})
	}
	if !v.manages() {
		return v.say(http.StatusForbidden, ownerOnly)
	}
	if v.posted() {
		most := int64(maxBody)
		if len(path) == 1 && path[0] == "import" {
			most = maxImport
		}
		if err := v.form(most); err != nil {
			return err
		}
		if !v.session.owns(v.r.PostFormValue("token")) {
			return fault.New("listpages.Owner", fault.Denied, "This form is of another session. Open the page again.")
		}
	}
	word := strings.Join(path, "/")
	switch {
	case word == "" && !v.posted():
		return v.overview()
	case word == "settings":
		return v.settings()
	case word == "subscribers":
		return v.subscribers()
	case word == "import":
		return v.importing()
	case word == "export" && !v.posted():
		return v.export()
	case word == "waiting" && !v.posted():
		return v.waiting()
	case len(path) == 2 && path[0] == "waiting":
		return v.decide(path[1])
	case len(path) == 4 && path[0] == "waiting" && !v.posted():
		if n, err := strconv.Atoi(path[2]); err == nil {
			return v.waitingPart(path[1], n)
		}
	}
	return errNothing
}

// ownerFrame is what the owner's pages have.
type ownerFrame struct {
	frame
	Here        string
	Done, Error string
}

func (v *visit) ownerFrame(here string) ownerFrame {
	return ownerFrame{frame: v.frame("", true), Here: here}
}

func (v *visit) ownerPage(rest string) string { return v.base + "/" + v.list.Name + "/owner/" + rest }

// told is a failure for the page, or the failure itself if the page is no place for it.
func told(err error) (string, error) {
	switch fault.KindOf(err) {
	case fault.Invalid, fault.Exists, fault.TooMany, fault.TooLarge, fault.NotFound, fault.Denied:
		return fault.Text(err), nil
	}
	return "", err
}

func (v *visit) overview() error {
	counts, err := v.actor().SubscriberCounts(v.r.Context(), v.listName())
	if err != nil {
		return err
	}
	waiting, err := v.actor().Waiting(v.r.Context(), v.listName(), maxWaiting)
	if err != nil {
		return err
	}
	type row struct {
		Text, Word string
		Number     int
	}
	p := struct {
		ownerFrame
		Modes       []row
		Subscribers int
		Waiting     int
		Address     string
	}{ownerFrame: v.ownerFrame(""), Subscribers: counts.Subscribers(), Waiting: len(waiting), Address: v.list.Address().String()}
	for m := subscribers.Feed; m <= subscribers.Banned; m++ {
		p.Modes = append(p.Modes, row{m.String(), m.String(), counts[m]})
	}
	return v.send(http.StatusOK, "owner", p)
}

// setting is a field of the form.
type setting struct {
	Key, Help, Unit, Value, Default string
	Values                          []string
	Long                            bool
}

// long are settings with texts of several lines.
var long = []string{"Description", "ConfirmationText", "PolicyText", "ByeText", "WarningText", "FeedHeader", "FeedTrailer", "DigestHeader", "TOCTrailer", "DigestTrailer", "ListFields"}

// settings is the form of the settings that the owner may change. An empty field, or the default, sets nothing.
func (v *visit) settings() error {
	ctx := v.r.Context()
	sheet, err := v.actor().ListSheet(ctx, v.listName())
	if err != nil {
		return err
	}
	p := struct {
		ownerFrame
		Settings []setting
	}{ownerFrame: v.ownerFrame("settings")}
	status := http.StatusOK
	given := dataformat.Dict{}
	for _, one := range sheet.Settings {
		if sheet.Fixed[one.Key] {
			continue
		}
		value, own := dataformat.Text(sheet.Own[one.Key])
		if one.Type == "flag" && len(one.Values) == 0 {
			one.Values = []string{"YES", "NO"}
		}
		f := setting{Key: one.Key, Help: one.Help, Unit: one.Unit, Value: value, Default: one.Default, Values: one.Values}
		for _, key := range long {
			f.Long = f.Long || key == one.Key
		}
		if v.posted() && v.r.PostForm.Has("set."+one.Key) {
			typed := strings.ReplaceAll(v.r.PostFormValue("set."+one.Key), "\r\n", "\n")
			if !f.Long {
				typed = strings.TrimSpace(typed)
			}
			switch {
			case typed == value:
			case strings.TrimSpace(typed) == "" && own:
				given[one.Key] = dataformat.String("default")
			case strings.TrimSpace(typed) != "":
				given[one.Key] = dataformat.String(typed)
			}
			f.Value = typed
		}
		p.Settings = append(p.Settings, f)
	}
	if v.posted() {
		p.Done = translator(v.lang)("Your choice is saved.")
		if len(given) > 0 {
			if err := v.actor().UpdateList(ctx, v.listName(), given); err != nil {
				if p.Error, err = told(err); err != nil {
					return err
				}
				status, p.Done = http.StatusUnprocessableEntity, ""
			}
		}
	}
	return v.send(status, "settings", p)
}

// person is a subscriber in a table.
type person struct {
	Address, Name, Mode, Posting, Since string
	Posts, Bounces                      int
	Paused                              bool
}

// postingModes are the words for Subscriber.Moderated that are no numbers.
var postingModes = map[string]int{"unmoderated": 0, "moderateAll": subscribers.ModerateAll, "prohibited": subscribers.Prohibited, "special": subscribers.Special}

func postingText(n int) string {
	for word, m := range postingModes {
		if n == m {
			return word
		}
	}
	return strconv.Itoa(n)
}

// subscribers lists the subscribers by pages, and changes those that are chosen.
func (v *visit) subscribers() error {
	ctx := v.r.Context()
	query := v.r.URL.Query()
	p := struct {
		ownerFrame
		People             []person
		Query, Mode, After string
		More               string
		ModeWords          []string
	}{ownerFrame: v.ownerFrame("subscribers"), Query: archive.CleanLine(query.Get("q")), Mode: query.Get("mode"), After: query.Get("after")}
	for m := subscribers.Feed; m <= subscribers.Banned; m++ {
		p.ModeWords = append(p.ModeWords, m.String())
	}
	status := http.StatusOK
	if v.posted() {
		err := v.changePeople()
		p.Done = translator(v.lang)(doneText)
		if err != nil {
			if p.Error, err = told(err); err != nil {
				return err
			}
			status, p.Done = http.StatusUnprocessableEntity, ""
		}
	}
	mode, _ := subscribers.ParseMode(p.Mode)
	page, err := v.actor().Subscribers(ctx, v.listName(), admin.SubscriberFilter{Text: p.Query, Mode: mode}, p.After, ownerRows)
	if err != nil {
		return err
	}
	for i := range page.Subscribers {
		s := &page.Subscribers[i]
		p.People = append(p.People, person{Address: s.Address, Name: archive.CleanLine(s.RealName), Mode: s.Mode.String(), Posting: postingText(s.Moderated), Since: s.Since.Format("2006-01-02"), Posts: s.Posts,
			Bounces: s.Bounces, Paused: !s.PausedUntil.IsZero()})
	}
	if page.More && len(p.People) > 0 {
		p.More = "?" + url.Values{"q": {p.Query}, "mode": {p.Mode}, "after": {p.People[len(p.People)-1].Address}}.Encode()
	}
	return v.send(status, "subscribers", p)
}

// changePeople does what a form says with the subscribers that are chosen in it.
func (v *visit) changePeople() error {
	chosen := v.r.PostForm["who"]
	if len(chosen) == 0 || len(chosen) > subscribers.MaxChange {
		return fault.New("listpages.Subscribers", fault.Invalid, translator(v.lang)(chooseSomebody))
	}
	kind, word, _ := strings.Cut(v.r.PostFormValue("do"), "-")
	switch kind {
	case "posting":
		n, ok := postingModes[word]
		if !ok {
			return fault.New("listpages.Subscribers", fault.Invalid, translator(v.lang)(chooseMode))
		}
		return v.actor().SetPostingMode(v.r.Context(), v.listName(), chosen, n)
	case "mode":
		mode, ok := subscribers.ParseMode(word)
		if word == "unsubscribe" {
			mode, ok = subscribers.None, true
		}
		if !ok {
			return fault.New("listpages.Subscribers", fault.Invalid, translator(v.lang)(chooseMode))
		}
		var all []subscribers.Subscriber
		for _, a := range chosen {
			all = append(all, subscribers.Subscriber{Address: a, Mode: mode})
		}
		failed, err := v.actor().ChangeSubscriptions(v.r.Context(), v.listName(), all, subscribers.How{Silently: true})
		if err != nil {
			return err
		}
		for i, e := range failed {
			if e != nil {
				return fault.Newf("listpages.Subscribers", fault.Invalid, "%s: %s", chosen[i], fault.Text(e))
			}
		}
		return nil
	}
	return fault.New("listpages.Subscribers", fault.Invalid, translator(v.lang)(chooseMode))
}

// badLine is a line of an import that was not carried out.
type badLine struct {
	Number       int
	Text, Reason string
}

// maxBadLines bounds those that are shown.
const maxBadLines = 200

// importing subscribes the addresses of a text. Who is known already stays as he is: an import lifts no ban.
func (v *visit) importing() error {
	p := struct {
		ownerFrame
		Modes     []mode
		Text      string
		Bad       []badLine
		MoreBad   int
		Subscribe int
		Asked     bool
	}{ownerFrame: v.ownerFrame("import"), Modes: v.choices(subscribers.Feed)}
	if !v.posted() {
		return v.send(http.StatusOK, "import", p)
	}
	standard, ok := v.chosenMode()
	if !ok {
		p.Error = translator(v.lang)(chooseMode)
		return v.send(http.StatusUnprocessableEntity, "import", p)
	}
	p.Modes = v.choices(standard)
	text := v.r.PostFormValue("text")
	if file, _, err := v.r.FormFile("file"); err == nil {
		more, err := io.ReadAll(io.LimitReader(file, maxImport))
		file.Close()
		if err != nil {
			return fault.Wrap("listpages.Import", fault.Invalid, err)
		}
		text += "\n" + string(more)
	}
	p.Asked = v.r.PostFormValue("confirm") != ""
	bad := func(n int, line, reason string) {
		if len(p.Bad) == maxBadLines {
			p.MoreBad++
			return
		}
		p.Bad = append(p.Bad, badLine{n, archive.CleanLine(line), reason})
	}
	var all []subscribers.Subscriber
	var numbers []int
	var lines []string
	flush := func() error {
		if len(all) == 0 {
			return nil
		}
		failed, err := v.actor().ChangeSubscriptions(v.r.Context(), v.listName(), all,
			subscribers.How{Silently: v.r.PostFormValue("silently") != "", Confirm: p.Asked, NewOnly: true})
		if err != nil {
			return err
		}
		for i := range all {
			if i < len(failed) && failed[i] != nil {
				bad(numbers[i], lines[i], fault.Text(failed[i]))
			} else {
				p.Subscribe++
			}
		}
		all, numbers, lines = nil, nil, nil
		return nil
	}
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.Trim(strings.TrimSpace(line), "\ufeff")
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		s, reason := importLine(line, standard)
		if reason != "" {
			bad(n, line, translator(v.lang)(reason))
			continue
		}
		all, numbers, lines = append(all, s), append(numbers, n), append(lines, line)
		if len(all) == subscribers.MaxChange {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if err := flush(); err != nil {
		return err
	}
	p.Done = translator(v.lang)("Addresses that were taken:") + " " + strconv.Itoa(p.Subscribe)
	return v.send(http.StatusOK, "import", p)
}

// importLine reads a line of an import: an address; Name <address>; or address, name and mode with commas, semicolons or tabs between them.
func importLine(line string, standard subscribers.Mode) (s subscribers.Subscriber, reason string) {
	s.Mode = standard
	if !utf8.ValidString(line) || len(line) > 1000 {
		return s, badCharset
	}
	if strings.Contains(line, "<") && strings.HasSuffix(line, ">") {
		s.RealName, s.Address = subscribers.SplitName(line)
		return s, ""
	}
	separator := ','
	for _, c := range line {
		if c == '\t' || c == ';' || c == ',' {
			separator = c
			break
		}
	}
	r := csv.NewReader(strings.NewReader(line))
	r.Comma, r.LazyQuotes, r.TrimLeadingSpace = separator, true, true
	fields, err := r.Read()
	if err != nil || len(fields) > 3 {
		return s, badLineText
	}
	s.Address = exported(strings.TrimSpace(fields[0]))
	if len(fields) > 1 {
		s.RealName = exported(strings.TrimSpace(fields[1]))
	}
	if len(fields) > 2 && strings.TrimSpace(fields[2]) != "" {
		mode, ok := subscribers.ParseMode(strings.TrimSpace(fields[2]))
		if !ok || mode == subscribers.None {
			return s, badMode
		}
		s.Mode = mode
	}
	return s, ""
}

// formula are the characters that programs for tables begin a formula with.
const formula = "=+-@"

// noFormula puts an apostrophe before a text that the program which opens the file would take for a formula.
func noFormula(s string) string {
	if s != "" && strings.IndexByte(formula, s[0]) >= 0 {
		return "'" + s
	}
	return s
}

// exported is the text that noFormula was given.
func exported(s string) string {
	if len(s) > 1 && s[0] == '\'' && strings.IndexByte(formula, s[1]) >= 0 {
		return s[1:]
	}
	return s
}

// export sends all subscribers in the form that an import reads.
func (v *visit) export() error {
	h := v.w.Header()
	h.Set("Content-Type", "text/csv; charset=utf-8")
	h.Set("Content-Disposition", `attachment; filename="`+v.list.Name+`.csv"`)
	for after := ""; ; {
		page, err := v.actor().Subscribers(v.r.Context(), v.listName(), admin.SubscriberFilter{}, after, 1000)
		if err != nil {
			return err
		}
		var b bytes.Buffer
		w := csv.NewWriter(&b)
		for i := range page.Subscribers {
			s := &page.Subscribers[i]
			after = s.Address
			_ = w.Write([]string{noFormula(s.Address), noFormula(archive.CleanLine(s.RealName)), s.Mode.String()}) // a buffer takes all
		}
		w.Flush()
		if _, err := v.w.Write(b.Bytes()); err != nil {
			return fault.Wrap("listpages.Export", fault.Canceled, err)
		}
		if !page.More || len(page.Subscribers) == 0 {
			return nil
		}
	}
}

// waits is what waits for the owner.
type waits struct {
	ID, Author, Name, Subject, Since, Mode string
	Posting                                bool
}

func waitsOf(w *admin.Waiting) waits {
	return waits{waitingID(w.Token), archive.CleanLine(w.Author), archive.CleanLine(w.RealName), archive.CleanLine(w.Subject), w.Since.UTC().Format("2006-01-02 15:04 MST"), w.Mode.String(), w.Posting}
}

func (v *visit) waiting() error {
	all, err := v.actor().Waiting(v.r.Context(), v.listName(), maxWaiting)
	if err != nil {
		return err
	}
	p := struct {
		ownerFrame
		Waiting []waits
	}{ownerFrame: v.ownerFrame("waiting")}
	if v.r.URL.Query().Has("done") {
		p.Done = translator(v.lang)(doneText)
	}
	for i := range all {
		p.Waiting = append(p.Waiting, waitsOf(&all[i]))
	}
	return v.send(http.StatusOK, "waiting", p)
}

// waitingID names in addresses of pages what waits. The token itself would do for everybody who has it, without a login.
func waitingID(token string) string {
	sum := sha256.Sum256([]byte("waiting " + token))
	return hex.EncodeToString(sum[:10])
}

// findWaiting finds what waits by its ID. Errors: NotFound.
func (v *visit) findWaiting(id string) (*admin.Waiting, error) {
	all, err := v.actor().Waiting(v.r.Context(), v.listName(), 100_000)
	if err != nil {
		return nil, err
	}
	for i := range all {
		if waitingID(all[i].Token) == id {
			return &all[i], nil
		}
	}
	return nil, fault.New("listpages.Waiting", fault.NotFound, noQuestion)
}

// openWaiting opens a posting that waits.
func (v *visit) openWaiting(token string) (*archive.Posting, io.Closer, error) {
	r, err := v.actor().OpenWaiting(v.r.Context(), v.listName(), token)
	if err != nil {
		return nil, nil, err
	}
	body, ok := r.(interface {
		io.ReaderAt
		Size() int64
	})
	if !ok {
		r.Close()
		return nil, nil, fault.New("listpages.Waiting", fault.Internal, "a posting that waits cannot be read at a place")
	}
	p, err := archive.Read(body, body.Size())
	if err != nil {
		r.Close()
		return nil, nil, err
	}
	return p, r, nil
}

// decide shows what waits, and does with it what the owner has decided.
func (v *visit) decide(id string) error {
	ctx := v.r.Context()
	w, err := v.findWaiting(id)
	if fault.Is(err, fault.NotFound) {
		return v.say(http.StatusNotFound, noQuestion)
	}
	if err != nil {
		return err
	}
	token := w.Token
	if v.posted() {
		switch v.r.PostFormValue("do") {
		case "approve":
			err = v.actor().Approve(ctx, v.listName(), token)
		case "trust":
			// First the right, so that the posting which is sent does not use up one of those that are to be approved.
			if err = v.actor().SetPostingMode(ctx, v.listName(), []string{w.Author}, 0); err == nil {
				err = v.actor().Approve(ctx, v.listName(), token)
			}
		case "reject":
			err = v.actor().Reject(ctx, v.listName(), token, strings.TrimSpace(v.r.PostFormValue("reason")))
		default:
			return errNothing
		}
		if err != nil {
			text, err := told(err)
			if err != nil {
				return err
			}
			return v.say(http.StatusUnprocessableEntity, text)
		}
		return v.redirect(v.ownerPage("waiting?done"))
	}
	p := struct {
		ownerFrame
		message
		W     waits
		Parts string
		Known bool // the author is a subscriber
	}{ownerFrame: v.ownerFrame("waiting"), W: waitsOf(w), Parts: v.ownerPage("waiting/" + id)}
	if w.Posting {
		posting, closer, err := v.openWaiting(token)
		if err != nil {
			text, err := told(err)
			if err != nil {
				return err
			}
			p.Error = text
		} else {
			defer closer.Close()
			p.message = v.message(posting)
		}
		s, err := v.actor().Subscriber(ctx, v.listName(), w.Author)
		if err != nil {
			return err
		}
		p.Known = s.Mode != subscribers.None && s.Mode != subscribers.Banned
	}
	return v.send(http.StatusOK, "decide", p)
}

func (v *visit) waitingPart(id string, number int) error {
	w, err := v.findWaiting(id)
	if err != nil {
		return err
	}
	p, closer, err := v.openWaiting(w.Token)
	if err != nil {
		return err
	}
	defer closer.Close()
	return v.sendPart(p, number)
}
