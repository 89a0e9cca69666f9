package webadmin

import (
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	markuphtml "golang.org/x/net/html"

	"gatepost/accounts/subscribers"
	"gatepost/rules"
	"gatepost/server/dataformat"
	"gatepost/server/settings"
)

// corpus are values that would become markup, script, or another attribute if a page forgot to escape them.
var corpus = []string{
	`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `'><svg/onload=alert(1)>`, `</textarea><script>alert(1)</script>`, `</title><script>alert(1)</script>`,
	`javascript:alert(1)`, `{{.}}`, `" autofocus onfocus=alert(1) x="`, "a\u2028b", `<!--`, `]]>`, `\x3cscript\x3e`, `</option></select><script>alert(1)</script>`,
}

// markup returns what stands on a page that no page of ours has, or "".
func markup(body string) string {
	t := markuphtml.NewTokenizer(strings.NewReader(body))
	for {
		switch kind := t.Next(); kind {
		case markuphtml.ErrorToken:
			return ""
		case markuphtml.CommentToken:
			return "a comment"
		case markuphtml.StartTagToken, markuphtml.SelfClosingTagToken:
			token := t.Token()
			switch token.Data {
			case "img", "iframe", "object", "embed", "base", "style":
				return token.String()
			case "script":
				if len(token.Attr) != 2 || !strings.HasPrefix(token.Attr[0].Val, "/static/") {
					return token.String()
				}
			}
			for _, a := range token.Attr {
				v := strings.ToLower(strings.TrimSpace(a.Val))
				address := a.Key == "href" || a.Key == "src" || a.Key == "action"
				if strings.HasPrefix(a.Key, "on") || a.Key == "style" || address && strings.HasPrefix(v, "javascript:") || a.Key == "autofocus" && token.Data != "input" {
					return token.String()
				}
			}
		}
	}
}

// A value of the corpus in each place that pages show stays text.
func TestTextOfOthersStaysText(t *testing.T) {
	s := newSite(t)
	ctx := t.Context()
	s.list("own.com")
	l, err := s.acc.Lists().Get(ctx, "own.com", "list")
	must(t, err)
	for i, evil := range []string{strings.Join(corpus, " "), corpus[5]} {
		d := dataformat.String(evil)
		s.server.mu.Lock()
		s.server.modules["SMTP"] = dataformat.Dict{"Prompt": d, "RBLDomain": dataformat.Array{d}, "SmartHostPassword": d}
		s.server.modules["Main"] = dataformat.Dict{"Prompt": d}
		s.server.mu.Unlock()
		s.server.SetLines(evil)
		s.server.SetWaiting([]subscribers.Question{{Token: "TOKEN", Address: evil, RealName: evil, Value: evil}}, []subscribers.Question{{Token: evil, Address: evil, RealName: evil}})
		must(t, s.acc.Lists().Update(ctx, "own.com", "list", dataformat.Dict{"RealName": d, "FeedTrailer": d, "FeedSubject": d}))
		for _, address := range []string{"sub@far.test", evil} {
			must(t, l.Subscribers().Change(ctx, address, func(sub *subscribers.Subscriber) error {
				sub.Mode, sub.RealName = subscribers.Feed, evil
				return nil
			}))
		}
		must(t, s.acc.AccountSettings("own.com", "user").Update(ctx, dataformat.Dict{"RealName": d, "attribute" + strconv.Itoa(i): d}))
		must(t, s.acc.AccountPrefs("own.com", "user").Update(ctx, dataformat.Dict{"SentBox": d}))
		must(t, s.acc.AccountDefaults("own.com").Update(ctx, dataformat.Dict{"attribute": d}))
		c := s.master()
		for _, p := range s.app.tree {
			for _, path := range paths(p) {
				for _, query := range []string{"", "?filter=" + url.QueryEscape(evil) + "&q=" + url.QueryEscape(evil) + "&address=" + url.QueryEscape(evil) + "&text=" + url.QueryEscape(evil) + "&tag=" + url.QueryEscape(evil) + "&by=message"} {
					c.get(path + query)
					if m := markup(c.body); m != "" {
						t.Errorf("%s%s: %s of %q is markup", path, query, m, evil)
					}
				}
			}
		}
	}
	c := s.master()
	for _, evil := range corpus {
		// What is typed and refused comes back as text.
		c.get("/Settings/SMTP")
		c.postRaw("/Settings/SMTP", c.form("f.MaxMessageSize", evil, "f.Prompt", evil)).sees(422)
		if m := markup(c.body); m != "" {
			t.Errorf("typed %q: %q is markup", evil, m)
		}
		stranger := s.client()
		stranger.postRaw("/login", url.Values{"name": {evil}, "password": {"x"}, "next": {evil}})
		if m := markup(stranger.body); m != "" {
			t.Errorf("login %q: %q is markup", evil, m)
		}
	}
}

var (
	everyT     = regexp.MustCompile(`\bt "((?:[^"\\]|\\.)*)"`)
	goText     = regexp.MustCompile("\\bc\\.T\\((?:\"((?:[^\"\\\\]|\\\\.)*)\"|`([^`]*)`)")
	titleText  = regexp.MustCompile(`title: +"([^"]+)"`)
	structural = regexp.MustCompile(`(?s)<[^>]*>|{{[^}]*}}`)
)

// texts are all texts of code and templates that a catalogue has to have.
func texts(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	add := func(text, where string) {
		if plain, err := strconv.Unquote(`"` + text + `"`); err == nil {
			text = plain
		}
		if text != "" {
			out[text] = where
		}
	}
	must(t, filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(path, "_test.go") {
			return err
		}
		b, err := os.ReadFile(path)
		must(t, err)
		switch filepath.Ext(path) {
		case ".html":
			for _, m := range everyT.FindAllStringSubmatch(string(b), -1) {
				add(m[1], path)
			}
		case ".go":
			for _, m := range goText.FindAllStringSubmatch(string(b), -1) {
				add(m[1], path)
				if m[2] != "" {
					out[m[2]] = path
				}
			}
			for _, m := range titleText.FindAllStringSubmatch(string(b), -1) {
				add(m[1], path)
			}
		}
		return nil
	}))
	for _, p := range places {
		out[p.title] = "places"
	}
	for _, level := range []rules.Level{rules.Server, rules.Domain, rules.Account} {
		for _, w := range append(rules.ConditionWords(level), rules.ActionWords(level)...) {
			out[w.Help] = "words of rules"
		}
	}
	for _, r := range realms {
		out[r] = "realms"
	}
	for _, l := range levels {
		out[l.name] = "levels"
	}
	for _, n := range levelNames {
		out[n] = "levelNames"
	}
	for _, h := range listHeadings {
		out[h] = "listHeadings"
	}
	for _, m := range modeNames {
		out[m.name] = "modeNames"
	}
	for _, p := range postingNames {
		out[p.name] = "postingNames"
	}
	for _, h := range rightHelp {
		out[h] = "rightHelp"
	}
	for _, typ := range []string{"size", "period", "rate", "IP list", "list", "dictionary"} {
		out[syntax(settings.Setting{Type: typ})] = "syntax"
	}
	return out
}

// Names that are the same in every language.
var untranslated = regexp.MustCompile(`^(TLS|DNS|RPOP|PIPE|LIST|LMTP|LOCAL|IMAP|POP|HTTPA|HTTPU|PWD|SMTP.*|HostOS|mail|access|signal)$`)

func TestCatalogueIsWhole(t *testing.T) {
	all, err := catalogues()
	must(t, err)
	ru, have := all["ru"], texts(t)
	verbs := regexp.MustCompile(`%[a-z]`)
	for text, where := range have {
		there, ok := ru[text]
		switch {
		case !ok && !untranslated.MatchString(text):
			t.Errorf("%s: no Russian for %q", where, text)
		case ok && strings.Join(verbs.FindAllString(text, -1), "") != strings.Join(verbs.FindAllString(there, -1), ""):
			t.Errorf("%q and %q take different arguments", text, there)
		}
	}
}

// A text stands in one file of the catalogue, or in all of them alike.
func TestCatalogueFilesAgree(t *testing.T) {
	list, err := filepath.Glob("catalogue/ru*.data")
	must(t, err)
	seen := map[string]string{}
	for _, path := range list {
		b, err := os.ReadFile(path)
		must(t, err)
		v, err := dataformat.Parse(b)
		must(t, err)
		for en := range v.(dataformat.Dict) {
			there := v.(dataformat.Dict).String(en)
			if seen[en] != "" && seen[en] != there {
				t.Errorf("%s: %q is %q and %q", path, en, seen[en], there)
			}
			seen[en] = there
		}
	}
}

// Each word of a template goes through the catalogue.
func TestTemplatesHaveNoTextOfTheirOwn(t *testing.T) {
	list, err := filepath.Glob("templates/*.html")
	must(t, err)
	word := regexp.MustCompile(`\p{L}{4,}`)
	for _, path := range list {
		b, err := os.ReadFile(path)
		must(t, err)
		text := regexp.MustCompile(`(?s)<(code|pre)>.*?</(code|pre)>`).ReplaceAllString(string(b), "")
		if w := word.FindAllString(structural.ReplaceAllString(text, " "), -1); len(w) > 0 {
			for _, one := range w {
				if !untranslated.MatchString(one) && one != "STARTTLS" && one != "Ed25519" {
					t.Errorf("%s: %q is not translated", path, one)
				}
			}
		}
	}
}

func TestCount(t *testing.T) {
	for n, want := range map[int]string{0: "0 доменов", 1: "1 домен", 2: "2 домена", 5: "5 доменов", 11: "11 доменов", 21: "21 домен", 112: "112 доменов", 123: "123 домена"} {
		if got := count("ru", n, "domain"); got != want {
			t.Errorf("%d: %s", n, got)
		}
	}
	for _, c := range [][2]string{{"alias", "2 aliases"}, {"mailbox", "2 mailboxes"}, {"more setting", "2 more settings"}} {
		if got := count("en", 2, c[0]); got != c[1] {
			t.Error(got)
		}
	}
	for word, forms := range countWords {
		if forms[0] == "" || forms[1] == "" || forms[2] == "" {
			t.Error(word)
		}
	}
}

func TestLabels(t *testing.T) {
	for key, want := range map[string]string{"MaxMailboxes": "Mailboxes Limit", "QuotaSuspend": "Quota Suspend", "RBLDomain": "RBL Domain", "UseHTTPS": "Use HTTPS", "A": "A"} {
		if got := label(key); got != want {
			t.Errorf("%s: %q", key, got)
		}
	}
}
