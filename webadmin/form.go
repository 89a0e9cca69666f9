package webadmin

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"gatepost/accounts"
	"gatepost/server/admin"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
	"gatepost/server/settings"
)

// formOf is a page with a form of settings.
type formOf struct {
	title  string
	sheet  func() (*admin.Sheet, error)
	update func(dataformat.Dict) error
	// only, if any, says which settings the page has.
	only    func(settings.Setting) bool
	verb    string // the command that does the same, with its target
	file    string // where the values stand
	custom  bool   // settings of the site's own are shown too
	extra   any    // for the page's own template
	content string // the page's own template, "form" if empty
	// headings are above the settings with these keys.
	headings map[string]string
}

// form is what the template gets.
type form struct {
	Fields   []*field
	Folded   []*field
	Kept     []*field // settings that do nothing yet and have a value
	Custom   []*field
	MayAdd   bool // settings of the site's own can be added
	Errors   []*field
	Error    string // of the form as a whole
	Fixed    bool   // nothing can be changed
	Open     bool   // what is folded is shown
	Command  string
	File     string
	Extra    any
	Language string
}

// field is a setting on a page.
type field struct {
	settings.Setting
	Kind     string
	Label    string
	Group    string // the heading above it, if it is the first of its group
	HelpText string
	Syntax   string
	Text     string // what stands in it
	Own      bool
	Above    string // what is inherited
	Origin   string
	Choices  []choice
	Rows     []listenerRow
	Was      string // the state when the form was drawn
	Fixed    bool
	Set      bool // a secret is there
	Error    string
	Other    string // what somebody else has put there meanwhile
	Language string
	now      string // the present state
}

// The states of a field: an own value, or what is inherited.
const (
	own       = "="
	inherited = "~"
)

// build makes the fields of a sheet.
func (c *call) build(f *formOf) (*form, error) {
	sheet, err := f.sheet()
	if err != nil {
		return nil, err
	}
	out := &form{Command: f.verb, File: f.file, Extra: f.extra, Fixed: true, Language: c.prefs.Language}
	declared := map[string]bool{}
	for _, s := range sheet.Settings {
		declared[s.Key] = true
		if s.Type == "" || f.only != nil && !f.only(s) {
			continue
		}
		one := c.fieldOf(s, sheet)
		one.Group = c.T(f.headings[s.Key])
		show := c.r.URL.Query().Get("show")
		switch {
		case s.Feature != "":
			if one.Own {
				out.Kept = append(out.Kept, one)
			}
			continue
		case c.prefs.shows(s.Level):
			out.Fields = append(out.Fields, one)
		default:
			out.Folded = append(out.Folded, one)
			out.Open = out.Open || strings.EqualFold(show, s.Key)
		}
		out.Fixed = out.Fixed && one.Fixed
	}
	if f.custom {
		c.addCustom(out, sheet, declared)
	}
	return out, nil
}

// addCustom adds what the sheet has and nobody declares: settings of the site's own.
func (c *call) addCustom(out *form, sheet *admin.Sheet, declared map[string]bool) {
	for _, key := range slices.Sorted(maps.Keys(sheet.Own)) {
		if declared[key] || settings.LooksSecret(key) {
			continue
		}
		s := settings.Setting{Key: key, Type: "any"}
		one := c.fieldOf(s, sheet)
		one.Label, one.Fixed = key, !c.mayCustom(sheet)
		if !strings.Contains(one.Text, "\n") {
			one.Kind = oneLine
		}
		out.Custom = append(out.Custom, one)
		out.Fixed = out.Fixed && one.Fixed
	}
	out.MayAdd = c.mayCustom(sheet)
	out.Fixed = out.Fixed && !out.MayAdd
}

// mayCustom: who may change a setting without a right of its own may change any.
func (c *call) mayCustom(sheet *admin.Sheet) bool { return !sheet.Fixed["ServiceClass"] }

func (c *call) fieldOf(s settings.Setting, sheet *admin.Sheet) *field {
	v, isOwn := sheet.Own[s.Key]
	above := sheet.Above[s.Key]
	one := &field{
		Setting: s, Kind: kindOf(s), Label: c.T(label(s.Key)), HelpText: c.T(s.Help), Syntax: c.T(syntax(s)), Own: isOwn, Fixed: sheet.Fixed[s.Key],
		Above: textOf(s, above.Value), Origin: c.origin(above.Origin), Language: c.prefs.Language,
	}
	if one.Syntax != "" && s.Type != "IP list" && s.Type != "list" && strings.Contains(one.HelpText, "such as") {
		one.Syntax = ""
	}
	one.Text = one.Above
	if isOwn {
		one.Text = textOf(s, v)
	}
	if s.Secret {
		one.Set, one.Text, one.Above = isOwn, "", ""
	}
	one.now = inherited + one.Text
	if isOwn {
		one.now = own + one.Text
	}
	one.Was = one.now
	c.complete(one)
	return one
}

// complete makes what a field offers of its text.
func (c *call) complete(one *field) {
	switch one.Kind {
	case menu:
		values := one.Values
		if one.Type == "flag" {
			values = []string{"YES", "NO"}
		}
		one.Choices = nil
		for _, v := range values {
			one.Choices = append(one.Choices, choice{own + v, c.T(v), one.Own && strings.EqualFold(v, one.Text)})
		}
	case boxes:
		have := strings.Split(one.Text, ",")
		one.Choices = []choice{{"All", c.T("all of them"), one.Text == "All"}}
		for _, v := range accounts.ServiceNames() {
			one.Choices = append(one.Choices, choice{v, v, one.Text == "All" || slices.Contains(have, v)})
		}
	case listeners:
		one.Rows = rowsOf(one.Text)
	}
}

// origin says where an inherited value comes from, in the words of the pages.
func (c *call) origin(o accounts.Origin) string {
	switch o {
	case accounts.OfDomain:
		return c.T("from the domain's Account Defaults")
	case accounts.OfServer:
		return c.T("from the server's defaults")
	case accounts.OfDomainClass, accounts.OfServerClass:
		return c.T("from the class of service")
	case accounts.OfTemplate:
		return c.T("from the template")
	case accounts.BuiltIn:
		return c.T("built in")
	}
	return ""
}

// showForm is the page of a form.
func (c *call) showForm(f *formOf) error {
	built, err := c.build(f)
	if err != nil {
		return err
	}
	return c.drawForm(http.StatusOK, f, built)
}

func (c *call) drawForm(status int, f *formOf, built *form) error {
	name := f.content
	if name == "" {
		name = "settings"
	}
	return c.show(status, name, f.title, built)
}

// all are the fields that can come back.
func (f *form) all() []*field { return slices.Concat(f.Fields, f.Folded, f.Custom) }

// read takes over what the browser sent for a field; changed says whether that differs from what
// it was shown.
func (c *call) read(one *field) (changed bool, err error) {
	name := "f." + one.Key
	was := c.field("was." + one.Key)
	if one.Fixed || !c.r.PostForm.Has("was."+one.Key) {
		return false, nil
	}
	one.Was = was
	var state string
	switch one.Kind {
	case menu:
		if state = c.field(name); !strings.HasPrefix(state, own) {
			state = inherited
		}
	case password:
		text := c.r.PostForm.Get(name)
		switch {
		case text != "":
			state = own + text
		case c.r.PostForm.Has("drop." + one.Key):
			state = inherited
		default:
			return false, nil
		}
	default:
		text := c.field(name)
		if one.Kind == boxes {
			if text = strings.Join(c.r.PostForm[name], ","); slices.Contains(c.r.PostForm[name], "All") {
				text = "All"
			} else if text == "" {
				text = "None"
			}
		}
		if one.Kind == listeners {
			v, err := listenersOf(c.field, maxListeners)
			if err != nil {
				one.Own = true
				return true, err
			}
			text = dataformat.Compact(v)
		}
		ticked := c.r.PostForm.Has("own." + one.Key)
		typed := !sameText(text, textOfState(was))
		state = inherited + text
		if ticked || typed && strings.HasPrefix(was, inherited) {
			state = own + text
		}
	}
	one.Own, one.Text = strings.HasPrefix(state, own), state[1:]
	if strings.HasPrefix(state, inherited) {
		one.Text = one.Above
	}
	c.complete(one)
	if strings.HasPrefix(state, inherited) {
		return strings.HasPrefix(was, own), nil
	}
	if one.Kind != password && strings.HasPrefix(was, own) && sameText(state, was) {
		return false, nil
	}
	if _, err := c.valueOf(one); err != nil {
		return true, err
	}
	return true, nil
}

// maxListeners bounds the lines of the table that are looked at.
const maxListeners = 64

// valueOf is the value of a field that has an own one.
func (c *call) valueOf(one *field) (dataformat.Value, error) {
	if one.Kind == listeners {
		return dataOf(one.Text)
	}
	if one.Kind == password {
		return dataformat.String(one.Text), nil
	}
	return valueOf(one.Setting, one.Text)
}

// sameText compares texts of fields; browsers trim the end of a text area.
func sameText(a, b string) bool { return strings.TrimRight(a, "\n ") == strings.TrimRight(b, "\n ") }

// postForm stores what has changed of a form: all of it or nothing.
func (c *call) postForm(f *formOf) error {
	c.saving.Lock()
	defer c.saving.Unlock()
	built, err := c.build(f)
	if err != nil {
		return err
	}
	given := dataformat.Dict{}
	var changed []*field
	for _, one := range built.all() {
		now := one.now
		differs, err := c.read(one)
		if err != nil {
			one.Error = c.reason(err)
			built.Errors = append(built.Errors, one)
			continue
		}
		if !differs {
			continue
		}
		changed = append(changed, one)
		if one.Kind != password && !sameText(now, one.Was) && !sameText(now, stateOf(one)) {
			one.Error, one.Other = c.T("somebody else has changed this meanwhile"), now[1:]
			one.Was = now // so that the same form, sent again, decides
			built.Errors = append(built.Errors, one)
			continue
		}
		given[one.Key] = dataformat.String("default")
		if one.Own {
			if given[one.Key], err = c.valueOf(one); err != nil {
				return err
			}
		}
	}
	c.readNew(built, given)
	switch {
	case len(built.Errors) > 0:
		return c.drawForm(http.StatusUnprocessableEntity, f, built)
	case built.Error != "":
		return c.drawForm(http.StatusUnprocessableEntity, f, built)
	case len(given) == 0:
		return c.done(c.r.URL.EscapedPath(), &flash{Text: c.T("Nothing has changed.")})
	}
	if err := f.update(given); err != nil {
		return c.refused(f, built, err)
	}
	return c.done(c.r.URL.EscapedPath(), c.stored(f, changed, given))
}

// textOfState is the text of a state.
func textOfState(state string) string { return state[min(1, len(state)):] }

// stateOf is the state that a field has been given.
func stateOf(one *field) string {
	if one.Own {
		return own + one.Text
	}
	return inherited + one.Above
}

// readNew reads a setting of the site's own that is added.
func (c *call) readNew(built *form, given dataformat.Dict) {
	key := strings.TrimSpace(c.field("new.key"))
	if key == "" || !built.MayAdd {
		return
	}
	v, err := dataOf(strings.TrimSpace(c.field("new.value")))
	if err != nil {
		built.Error = key + ": " + c.reason(err)
		return
	}
	given[key] = v
}

// reason is an error in the words of a page.
func (c *call) reason(err error) string {
	if own := new(fault.Error); errors.As(err, &own) {
		_, text := told(c, err)
		return text
	}
	return c.T(err.Error())
}

// refused shows the form again with what the server has against it, at the field that it is about.
func (c *call) refused(f *formOf, built *form, err error) error {
	if !fault.Is(err, fault.Invalid) && !fault.Is(err, fault.Exists) && !fault.Is(err, fault.Unavailable) {
		return err
	}
	text := fault.Text(err)
	for _, one := range built.all() {
		if rest, ok := strings.CutPrefix(text, one.Key); ok && rest != "" && (rest[0] == ':' || rest[0] == ' ') {
			one.Error = c.T(strings.TrimSpace(strings.TrimPrefix(rest, ":")))
			built.Errors = append(built.Errors, one)
			return c.drawForm(http.StatusUnprocessableEntity, f, built)
		}
	}
	_, built.Error = told(c, err)
	return c.drawForm(http.StatusUnprocessableEntity, f, built)
}

// stored is what a page says of what it has stored.
func (c *call) stored(f *formOf, changed []*field, given dataformat.Dict) *flash {
	fl := &flash{File: f.file}
	shown := maps.Clone(given)
	for _, one := range changed {
		old, now := one.now[1:], one.Text
		if strings.HasPrefix(one.now, inherited) && one.Kind != password {
			old = c.T("inherited (%s)", cmp.Or(old, "–"))
		}
		if !one.Own {
			now = c.T("inherited (%s)", cmp.Or(one.Above, "–"))
		}
		if one.Kind == password {
			old, now = c.T("hidden"), c.T("hidden")
			shown[one.Key] = dataformat.String("...")
		} else {
			fl.Undo = append(fl.Undo, undo{Key: one.Key, Was: stateOf(one), Back: one.now})
		}
		fl.Changes = append(fl.Changes, change{one.Label, one.Key, old, now})
	}
	for key, v := range given {
		if !slices.ContainsFunc(changed, func(one *field) bool { return one.Key == key }) {
			fl.Changes = append(fl.Changes, change{key, key, "", textOf(settings.Setting{Type: "any"}, v)})
		}
	}
	fl.Text = c.T("Stored: %s.", count(c.prefs.Language, len(fl.Changes), "change"))
	if f.verb != "" {
		fl.Command = f.verb + " " + dataformat.Compact(shown)
	}
	return fl
}

// undoForm takes the last change of a page back, unless somebody has changed the same since.
func (c *call) undoForm(f *formOf) error {
	c.saving.Lock()
	defer c.saving.Unlock()
	built, err := c.build(f)
	if err != nil {
		return err
	}
	given := dataformat.Dict{}
	var changed []*field
	for _, one := range built.all() {
		if !c.r.PostForm.Has("undo."+one.Key) || one.Fixed || one.Kind == password {
			continue
		}
		back := c.field("undo." + one.Key)
		if !sameText(one.now, c.field("was."+one.Key)) {
			return fault.New("webadmin.Undo", fault.Exists, c.T("%s has been changed since; it cannot be taken back.", one.Label))
		}
		if one.Own = strings.HasPrefix(back, own); one.Own {
			one.Text = back[1:]
			if given[one.Key], err = c.valueOf(one); err != nil {
				return fault.New("webadmin.Undo", fault.Invalid, fmt.Sprintf("%s: %s", one.Key, c.reason(err)))
			}
		} else {
			given[one.Key] = dataformat.String("default")
		}
		changed = append(changed, one)
	}
	if len(given) == 0 {
		return c.redirect(c.r.URL.EscapedPath())
	}
	if err := f.update(given); err != nil {
		return err
	}
	fl := c.stored(f, changed, given)
	fl.Text = c.T("Taken back: %s.", count(c.prefs.Language, len(fl.Changes), "change"))
	return c.done(c.r.URL.EscapedPath(), fl)
}

// formPage fills the functions of a page that is a form.
func formPage(p page, of func(*call) *formOf) *page {
	p.get = func(c *call) error { return c.showForm(of(c)) }
	p.post = withForm(p.post, of)
	return &p
}

// withForm adds the buttons of a form to those of a page.
func withForm(post map[string]func(*call) error, of func(*call) *formOf) map[string]func(*call) error {
	out := maps.Clone(post)
	if out == nil {
		out = map[string]func(*call) error{}
	}
	out["update"] = func(c *call) error { return c.postForm(of(c)) }
	out["undo"] = func(c *call) error { return c.undoForm(of(c)) }
	return out
}
