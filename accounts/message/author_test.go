package message

import (
	"io"
	"mime"
	"net/mail"
	"strings"
	"testing"
)

// TestAuthorsThatAllReadersFind: odd as they are, the address is plain.
func TestAuthorsThatAllReadersFind(t *testing.T) {
	for value, want := range map[string]string{
		" a@b.example\r\n":                              "a@b.example",
		"A B <a@b.example>":                             "a@b.example",
		"\"A, B\" <a@b.example>":                        "a@b.example",
		`"A \"C\" B" <a@b.example>`:                     "a@b.example",
		`"other@x.example" <a@b.example>`:               "a@b.example",
		"a@b.example (other@x.example)":                 "a@b.example",
		"[Sales] A <a@b.example>":                       "a@b.example",
		"A < a@b.example >":                             "a@b.example",
		"A <\r\n\ta@b.example\r\n >":                    "a@b.example",
		"A B a@b.example":                               "a@b.example",
		"a@b.example <a@b.example>":                     "a@b.example",
		"A@B.Example <a@b.example>":                     "a@b.example",
		"a @ b.example":                                 "a@b.example",
		"a@b . example":                                 "a@b.example",
		"a@b. (x) example":                              "a@b.example",
		"<a@b(x).example>":                              "a@b.example",
		"<a . c@b.example>":                             "a.c@b.example",
		`<"a" . c@b.example>`:                           "a.c@b.example",
		`"a"@b.example`:                                 "a@b.example",
		`"a b"@b.example`:                               "a b@b.example",
		"(x) a@b.example (y (z))":                       "a@b.example",
		"G: a@b.example, C <c@d>;":                      "a@b.example c@d",
		",, a@b.example,":                               "a@b.example",
		"a@b.example; c@d":                              "a@b.example c@d",
		"=?utf-8?Q?Doe=2C_J=C3=B3zef?= <a@b.example>":   "a@b.example",
		"=?iso-8859-2?Q?J=F3zef_=3A=29?= <a@b.example>": "a@b.example",
		"=?utf-8?Q?a=40b.example?= <a@b.example>":       "a@b.example",
		"=?utf-8?B?YUBiLmV4YW1wbGU=?= <a@b.example>":    "a@b.example",
		"=?x-nobody-knows?Q?J=F3zef?= <a@b.example>":    "a@b.example",
		"=?utf-8?Q?x?= <\"a\"@b.example>":               "a@b.example",
		"J\xf6rg <a@b.example>":                         "a@b.example",
		"\"J\xf6rg\" <a@b.example>":                     "a@b.example",
		"\xd5\xc5\xc8\xfd <a@b.example>":                "a@b.example",
		"a@[192.0.2.1]":                                 "a@[192.0.2.1]",
		"<@r.example:a@b.example>":                      "a@b.example",
		"a":                                             "a@",
		"two words":                                     "@",
		"":                                              "",
		"G:;":                                           "",
	} {
		list, ambiguous := AuthorAddresses([]byte(value))
		if got := addressText(list); got != want || ambiguous {
			t.Errorf("%q: %q, ambiguous %v", value, got, ambiguous)
		}
	}
}

// TestAuthorsThatReadersReadOtherwise: each has a reading with other@x.example, or one
// that cannot be told.
func TestAuthorsThatReadersReadOtherwise(t *testing.T) {
	for _, value := range []string{
		"a@b.example other@x.example",
		"other@x.example <a@b.example>",
		"a@b.example <other@x.example>",
		"<a@b.example> <other@x.example>",
		"<a@b.example>, <other@x.example",
		"A <a@b.example",
		"<a@b.example other@x.example>",
		"<other a@b.example>",
		"<other(x)a@b.example>",
		"<a@b.example> other",
		"a@b.example other",
		"other. a@b.example",
		"other . a@b.example",
		"other.(x)a@b.example",
		"other(x)a@b.example",
		"<a@other.example@b.example>",
		"a@b.example@x.example",
		`"A <a@b.example>`,
		`"a\" <other@x.example>, \"b" <a@b.example>`,
		"A (open <a@b.example>",
		"a@b.example (x\\) other@x.example)",
		"a@b.example (\"x) other@x.example, (\")",
		"a@b.example (x (y) other@x.example)",
		"<a@b.example (x (y) other@x.example)>",
		"A) <a@b.example>",
		"A> <a@b.example>",
		"G: H: a@b.example;",
		"a@b.example: other@x.example;",
		"<a@b.example:other>",
		"=?utf-8?Q?other=40x.example=2C?= <a@b.example>",
		"=?utf-8?B?b3RoZXJAeC5leGFtcGxlLA==?= <a@b.example>",
		"=?utf-8?Q?other?= =?utf-8?Q?=40x.example=2C?= <a@b.example>",
		"other=?utf-8?Q?=40?=x.example <a@b.example>",
		"=?iso-2022-jp?B?b3RoZXJAeC5leGFtcGxl?= <a@b.example>",
		`"=?utf-8?Q?=22?= other@x.example, " <a@b.example>`,
		"=?utf-8?Q?other=40x.example=2C" + strings.Repeat("x", maxEncodedWord) + "?= <a@b.example>",
		"=?utf-8?X?other?= <a@b.example>",
		strings.Repeat("a@b.example,", maxAuthors) + "other@x.example",
	} {
		if list, ambiguous := AuthorAddresses([]byte(value)); !ambiguous && !strings.Contains(addressText(list), "other") {
			t.Errorf("%q: %q, and no doubt about it", value, addressText(list))
		}
	}
}

func addressText(list []Address) string {
	var all []string
	for _, a := range list {
		all = append(all, string(a.Local)+"@"+string(a.Domain))
	}
	return strings.Join(all, " ")
}

// FuzzAuthorAddresses: where another reader finds addresses, they are the same, or it is known
// that readers differ.
func FuzzAuthorAddresses(f *testing.F) {
	for _, s := range []string{
		"A <a@b.c>", "a@b.c (d)", `"x\"y" <a@b.c>`, "g: a@b, <c@d>;, e@f", "<a@b.c", "<a . b@c . d>", "a.(x)b@c", "<@r:a@b>", "=?utf-8?Q?x=2Cy?= <a@b>",
		`"a b"@c`, "a@[1.2.3.4]", "a b@c", "(\\)", "<>", ":;", "a@b c@d", "\"\"@a", "a@b.,c@d",
	} {
		f.Add(s)
	}
	other := mail.AddressParser{WordDecoder: &mime.WordDecoder{CharsetReader: func(_ string, r io.Reader) (io.Reader, error) { return r, nil }}}
	f.Fuzz(func(t *testing.T, value string) {
		list, ambiguous := AuthorAddresses([]byte(value))
		if len(list) > maxAuthors {
			t.Fatalf("%d addresses", len(list))
		}
		theirs, err := other.ParseList(value)
		if err != nil || ambiguous {
			return
		}
		want := make([]string, len(theirs))
		for i, a := range theirs {
			want[i] = a.Address
		}
		if got := addressText(list); got != strings.Join(want, " ") {
			t.Fatalf("%q: %q, another reader has %q", value, got, want)
		}
	})
}
