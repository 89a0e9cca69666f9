package logs

import (
	"log/slog"
	"strings"
	"testing"
)

func TestSecretsOfListsStayOut(t *testing.T) {
	const secret, question = "ABCDEFGHIJKLMNO2", "ABCDEFGHIJKLMNOPQRSTUVWX23"
	for in, want := range map[string]string{
		"news-report+" + secret + "@company.com":                                 "news-report+...@company.com",
		"NEWS-Report+" + strings.ToLower(secret) + "@company.com":                "NEWS-Report+...@company.com",
		"a@b.com,news-report+" + secret + "@x.com,news-off+" + secret + "@x.com": "a@b.com,news-report+...@x.com,news-off+...@x.com",
		"news-confirm+" + strings.ToLower(question) + "@company.com":             "news-confirm+...@company.com",
		"news-confirm+reject-" + question + "@company.com":                       "news-confirm+reject-...@company.com",
		"news+" + question + "@company.com":                                      "news+...@company.com",
		"<list-approval-" + question + "@company.com>":                           "<list-approval-...@company.com>",
		"/Lists/news/confirm/" + question:                                        "/Lists/news/confirm/...",
		"GET /a/" + question + "/2/x.html":                                       "GET /a/.../2/x.html",
		"bob+" + secret + "@company.com":                                         "bob+" + secret + "@company.com",
		"rule-" + question + "@company.com":                                      "rule-" + question + "@company.com",
		"news-off+" + secret + "AB@company.com":                                  "news-off+" + secret + "AB@company.com",
		"+":                                                                      "+",
		"a/b-":                                                                   "a/b-",
	} {
		got := record(t, Levels{Default: 5}, func(l *slog.Logger) { l.Error("a "+in, AttrRecipient, in) })
		if strings.Count(got, want) != 2 {
			t.Errorf("%q is in the log as %q", in, got)
		}
	}
}
