package auth

import (
	"errors"
	"testing"
)

func TestDecodeResponse(t *testing.T) {
	for _, c := range []struct {
		line, want string
		err        error
	}{
		{"YWI=", "ab", nil}, {"YWI= \t", "ab", nil}, {"=", "", nil}, {"= ", "", nil}, {"", "", nil}, {"  ", "", nil},
		{"*", "", ErrCanceled}, {"* ", "", ErrCanceled}, {"YWI", "", ErrBase64}, {" YWI=", "", ErrBase64}, {"Y W I=", "", ErrBase64},
		{"YWJ=", "", ErrBase64}, {"not base64", "", ErrBase64}, {"YWI==", "", ErrBase64},
	} {
		got, err := DecodeResponse(c.line)
		if string(got) != c.want || !errors.Is(err, c.err) || err == nil && got == nil {
			t.Errorf("%q: %q, %v", c.line, got, err)
		}
	}
}
