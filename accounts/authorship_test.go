package accounts

import (
	"strings"
	"testing"
)

// TestAuthors: whose address a From field shows, in the forms that clients write and in
// those that are meant to deceive.
func TestAuthors(t *testing.T) {
	s := newStore(t)
	must(t, s.CreateDomain(ctx, "xn--e1afmkfd.xn--p1ai", nil))
	must(t, s.SetDomainAliases(ctx, "", []string{"alias.com"}))
	for _, n := range []string{"anna", "boss", "anna.b"} {
		must(t, s.CreateAccount(ctx, "", n, nil))
	}
	must(t, s.SetAccountAliases(ctx, "", "anna", []string{"a1"}))
	must(t, s.Forwarders().Create(ctx, "", "office", "anna"))
	must(t, s.Forwarders().Create(ctx, "xn--e1afmkfd.xn--p1ai", "anna", "anna@company.com"))
	a, err := s.Account(ctx, "", "anna")
	must(t, err)
	for value, count := range map[string]int{
		"anna@company.com":                                                       1,
		" <Anna@Company.COM>\r\n":                                                1,
		"Anna B. <a1@alias.com>":                                                 1,
		"office@company.com (Anna)":                                              1,
		"anna+list@company.com":                                                  1,
		`"B, Anna" <"anna"@company.com>`:                                         1,
		`"boss@company.com" <anna@company.com>`:                                  1, // a name, to every reader
		"anna @ company . com":                                                   1,
		"Anna\r\n <anna@\r\n\tcompany.com>":                                      1,
		"us: anna@company.com, Anna <a1@company.com>;":                           2,
		"=?iso-8859-2?Q?Zo=F3fia?= <anna@company.com>":                           1,
		"=?windows-1251?B?yOLg7Q==?= <anna@company.com>":                         1,
		"=?koi8-r?B?98nLzw==?= <anna@company.com>":                               1,
		"=?gb2312?B?1cXI/Q==?= <anna@company.com>":                               1,
		"=?iso-2022-jp?B?GyRCOzNFRBsoQg==?= <anna@company.com>":                  1,
		"=?ISO-8859-15*de?Q?J=F6rg?= <anna@company.com>":                         1,
		"=?x-unknown?Q?J=F6rg?= <anna@company.com>":                              1,
		"=?utf-8?Q?B=2C_=C3=84nna_=28x=29?= <anna@company.com>":                  1,
		"=?utf-8?Q?anna=40company.com?= <anna@company.com>":                      1,
		`"=?utf-8?Q?B=2C_=C3=84nna?=" <anna@company.com>`:                        1,
		"J\xf6rg <anna@company.com>":                                             1,
		"\"J\xf6rg\" <anna@company.com>":                                         1,
		"J\xc3\xb6rg <anna@company.com>":                                         1,
		"anna@company.com <anna@company.com>":                                    1,
		"[Sales] Anna <anna@company.com>":                                        1,
		"Anna < anna@company.com >":                                              1,
		"Anna B anna@company.com":                                                1,
		"anna@\xd0\xbf\xd1\x80\xd0\xb8\xd0\xbc\xd0\xb5\xd1\x80.\xd1\x80\xd1\x84": 1,
	} {
		if got, err := s.Authors(ctx, a, []byte(value)); err != nil || got != (Authors{count, true}) {
			t.Errorf("%q: %+v, %v", value, got, err)
		}
	}
	for _, value := range []string{
		"", " ", "<>", "us:;", ",", "Anna", "anna", "<anna>", "anna@", "@company.com", "Anna <anna>",
		"boss@company.com", "Anna <boss@company.com>", "anna@example.com", "anna.b@company.com", "anna@localhost.company.com",
		"anna@company.com, boss@company.com", "boss@company.com, anna@company.com", "us: anna@company.com, boss@company.com;",
		"anna@company.com <boss@company.com>", "boss@company.com <anna@company.com>", "anna@company.com boss@company.com",
		"anna@company.com, boss", "B, Anna <anna@company.com>", "boss, <anna@company.com>",
		"<@boss.example:anna@company.com>", "<@company.com,@boss.example:anna@company.com>",
		"boss. anna@company.com", "boss . anna@company.com", `"boss". anna@company.com`, "boss.(x)anna@company.com",
		"<anna.(x)b@company.com>", "<anna . b@company.com>", "anna@company.com.example.com", "anna@company.com . example.com",
		"anna@company.com(x).example.com", "<anna@company. com. example. com>", "anna@[127.0.0.1]",
		"anna@company.com@example.com", "<anna@example.com@company.com>", "<boss@company.com%company.com>",
		"anna+x%example.com@company.com", `"anna+x@example.com"@company.com`, "example.com!anna+@company.com", `"boss@company.com"@company.com`,
		"anna@company.com/example.com", "anna@company.com\\example.com", "anna@company.com:example.com",
		"anna@company.com\xe3\x80\x82example.com", "anna@company.com\x00example.com", "b\xf6ss@company.com", "anna@comp\xe0ny.com",
		"=?utf-8?Q?boss=40company.com=2C?= <anna@company.com>", "=?utf-8?Q?anna?=@company.com",
		`"a\" <boss@company.com>, \"b" <anna@company.com>`, `"Anna <anna@company.com>`, "(Anna <anna@company.com>",
		"Anna <anna@company.com", "<anna@company.com> <boss@company.com>", "anna@company.com; boss@company.com",
		"anna@company.com,\r\n boss@company.com", "anna@company.com\r\n\tboss@company.com",
		strings.Repeat("anna@company.com,", 101), strings.Repeat(" ", maxAuthorField) + "anna@company.com",
	} {
		if got, err := s.Authors(ctx, a, []byte(value)); err != nil || got.Own {
			t.Errorf("%q: %+v, %v", value, got, err)
		}
	}
}
