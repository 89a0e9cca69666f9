package webadmin

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/language"

	"gatepost/server/dataformat"
)

// prefs are what somebody has chosen for the pages: WebAdminPrefs in the account's settings.
type prefs struct {
	Language string // en or ru
	Theme    string // light, dark, or "" for that of the device
	Level    int    // ExpertLevel: 0, 5 or 10
	Zone     *time.Location
	Rows     int // of a page of a list
}

// languages are those that there is a catalogue for, the first for everybody else.
var languages = []struct{ code, name string }{{"en", "English"}, {"ru", "Русский"}}

var matcher = language.NewMatcher([]language.Tag{language.English, language.Russian})

const (
	defaultRows = 100
	maxRows     = 1000
)

// levels are the interface types.
var levels = []struct {
	level int
	name  string
}{{0, "Basic"}, {5, "Advanced"}, {10, "Expert"}}

// shows reports whether settings of a level are shown without being asked for.
func (p prefs) shows(level string) bool {
	switch level {
	case "expert":
		return p.Level >= 10
	case "advanced":
		return p.Level >= 5
	}
	return true
}

// guessPrefs are those of somebody who has not logged in: the browser's language.
func guessPrefs(r *http.Request) prefs {
	p := prefs{Language: languages[0].code, Zone: time.Local, Rows: defaultRows}
	tags, _, err := language.ParseAcceptLanguage(short(r.Header.Get("Accept-Language")))
	if err == nil {
		if _, i, conf := matcher.Match(tags...); conf > language.No {
			p.Language = languages[i].code
		}
	}
	if l := r.URL.Query().Get("language"); isLanguage(l) {
		p.Language = l
	}
	return p
}

func isLanguage(code string) bool {
	return slices.ContainsFunc(languages, func(l struct{ code, name string }) bool { return l.code == code })
}

// short bounds what is parsed of a header.
func short(s string) string { return s[:min(len(s), 200)] }

// readPrefs reads those of the account.
func (c *call) readPrefs() error {
	d, err := c.actor.AdminPrefs(c.ctx())
	if err != nil {
		return err
	}
	p := &c.prefs
	if l := languageCode(d.String("Language")); l != "" {
		p.Language = l
	}
	if n, err := strconv.Atoi(d.String("ExpertLevel")); err == nil {
		p.Level = n
	}
	if t := d.String("Theme"); t == "light" || t == "dark" {
		p.Theme = t
	}
	if n, err := strconv.Atoi(d.String("RowsPerPage")); err == nil && n > 0 {
		p.Rows = min(n, maxRows)
	}
	if z := d.String("TimeZone"); z != "" && z != "HostOS" {
		if zone, err := time.LoadLocation(z); err == nil {
			p.Zone = zone
		}
	}
	return nil
}

// languageCode reads what scripts and other servers keep: English, Russian, en, ru.
func languageCode(s string) string {
	switch strings.ToLower(s) {
	case "english", "en":
		return "en"
	case "russian", "ru", "русский":
		return "ru"
	}
	return ""
}

// languageWord is a language as it is kept.
func languageWord(code string) string {
	if code == "ru" {
		return "Russian"
	}
	return "English"
}

// choice is an option of a menu.
type choice struct {
	Value, Text string
	Here        bool
}

// zones are the time zones that menus offer; others can be given by UPDATEACCOUNTSETTINGS.
var zones = []string{
	"HostOS", "UTC", "Europe/London", "Europe/Lisbon", "Europe/Berlin", "Europe/Paris", "Europe/Madrid", "Europe/Rome", "Europe/Warsaw",
	"Europe/Kyiv", "Europe/Helsinki", "Europe/Athens", "Europe/Istanbul", "Europe/Minsk", "Europe/Kaliningrad", "Europe/Moscow",
	"Europe/Samara", "Asia/Yekaterinburg", "Asia/Omsk", "Asia/Novosibirsk", "Asia/Krasnoyarsk", "Asia/Irkutsk", "Asia/Yakutsk",
	"Asia/Vladivostok", "Asia/Kamchatka", "Asia/Tbilisi", "Asia/Yerevan", "Asia/Baku", "Asia/Tashkent", "Asia/Almaty", "Asia/Dubai",
	"Asia/Jerusalem", "Asia/Kolkata", "Asia/Bangkok", "Asia/Singapore", "Asia/Shanghai", "Asia/Tokyo", "Asia/Seoul", "Australia/Sydney",
	"Pacific/Auckland", "Africa/Cairo", "Africa/Johannesburg", "America/New_York", "America/Chicago", "America/Denver",
	"America/Los_Angeles", "America/Toronto", "America/Mexico_City", "America/Sao_Paulo", "America/Argentina/Buenos_Aires",
}

func choices(values []string, here string) []choice {
	var out []choice
	for _, v := range values {
		out = append(out, choice{v, v, v == here})
	}
	if here != "" && !slices.Contains(values, here) {
		out = append(out, choice{here, here, true})
	}
	return out
}

// prefsForm is the page of what one has chosen.
type prefsForm struct {
	Languages, Themes, Levels, Zones []choice
	Rows                             int
}

func (c *call) preferencesPage() error {
	d, err := c.actor.AdminPrefs(c.ctx())
	if err != nil {
		return err
	}
	f := &prefsForm{Rows: c.prefs.Rows}
	for _, l := range languages {
		f.Languages = append(f.Languages, choice{l.code, l.name, l.code == c.prefs.Language})
	}
	for _, t := range [][2]string{{"auto", "As the device"}, {"light", "Light"}, {"dark", "Dark"}} {
		f.Themes = append(f.Themes, choice{t[0], c.T(t[1]), c.prefs.Theme == t[0] || c.prefs.Theme == "" && t[0] == "auto"})
	}
	for _, l := range levels {
		f.Levels = append(f.Levels, choice{strconv.Itoa(l.level), c.T(l.name), l.level == c.prefs.Level})
	}
	zone := d.String("TimeZone")
	if zone == "" {
		zone = zones[0]
	}
	f.Zones = choices(zones, zone)
	return c.show(http.StatusOK, "preferences", c.T("Preferences"), f)
}

func (c *call) setPreferences() error {
	given := dataformat.Dict{}
	set := func(key, v string) { given[key] = dataformat.String(v) }
	if l := c.field("language"); isLanguage(l) {
		set("Language", languageWord(l))
	}
	switch t := c.field("theme"); t {
	case "auto":
		set("Theme", "default")
	case "light", "dark":
		set("Theme", t)
	}
	if n, err := strconv.Atoi(c.field("level")); err == nil && n >= 0 && n <= 10 {
		set("ExpertLevel", strconv.Itoa(n))
	}
	if n, err := strconv.Atoi(c.field("rows")); err == nil && n >= 10 && n <= maxRows {
		set("RowsPerPage", strconv.Itoa(n))
	}
	if z := c.field("zone"); z != "" && len(z) < 100 {
		if _, err := time.LoadLocation(z); err == nil || z == "HostOS" {
			set("TimeZone", z)
		}
	}
	if err := c.actor.UpdateAdminPrefs(c.ctx(), given); err != nil {
		return err
	}
	to := "/Preferences"
	if back := c.nextPage(c.field("back")); c.r.PostForm.Has("back") && back != "/" {
		to = back
	}
	if err := c.readPrefs(); err != nil { // the line that follows is in the new language
		return err
	}
	return c.done(to, &flash{Text: c.T("Your preferences are stored."), File: "account.settings"})
}
