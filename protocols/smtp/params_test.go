package smtp

import "testing"

// RFC 3461 section 4.2; the type utf-8 may hold what is outside of ASCII as it is,
// or as \x{..} (RFC 6533 section 3).
func TestOriginalRecipient(t *testing.T) {
	for value, want := range map[string]string{
		"rfc822;Larry+2BL@company.com":  "rfc822;Larry+L@company.com",
		"utf-8;jürgen+2Bx@company.com":  "utf-8;jürgen+x@company.com",
		`UTF-8;j\x{FC}rgen@company.com`: `UTF-8;j\x{FC}rgen@company.com`,
		"rfc822;jürgen@company.com":     "",
		"utf-8;j\xfcrgen@company.com":   "",
		"utf-8;a+0Ab":                   "",
		"utf-8;a=b":                     "",
		"utf-8;":                        "",
		"company.com":                   "",
	} {
		if got, ok := parseOriginal(value); ok != (want != "") || ok && got != want {
			t.Errorf("%q: %q, %v, want %q", value, got, ok, want)
		}
	}
}
