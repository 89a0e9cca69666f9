package wire

import (
	"bytes"
	"encoding/base64"
	"unicode/utf16"
	"unicode/utf8"
)

// Modified UTF-7 (RFC 3501 section 5.1.3): printable
// ASCII is not encoded, & is encoded as &-, and all other characters as UTF-16 in
// base64 between & and -, with a comma instead of the slash.
var utf7 = base64.NewEncoding("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,").WithPadding(base64.NoPadding)

// DecodeUTF7 converts a name from modified UTF-7 to UTF-8. It accepts only the
// canonical form of each name, so that no name has two spellings. UTF-8, which
// some clients send, is not changed.
func DecodeUTF7(name []byte) (string, bool) {
	out := make([]byte, 0, len(name)+8)
	shifted := false // the last thing was a run of base64
	for i := 0; i < len(name); {
		c := name[i]
		switch {
		case c < ' ' || c == 0x7f:
			return "", false
		case c != '&':
			out = append(out, c)
			i++
			shifted = false
			continue
		}
		end := i + 1
		for end < len(name) && name[end] != '-' {
			end++
		}
		if end == len(name) {
			return "", false
		}
		if run := name[i+1 : end]; len(run) == 0 {
			out = append(out, '&')
			shifted = false
		} else {
			var ok bool
			if out, ok = appendRun(out, run); !ok || shifted {
				return "", false
			}
			shifted = true
		}
		i = end + 1
	}
	if !utf8.Valid(out) {
		return "", false
	}
	return string(out), true
}

// appendRun decodes one run of base64.
func appendRun(dst, run []byte) ([]byte, bool) {
	if bytes.ContainsAny(run, "\r\n") {
		return dst, false // the decoder would pass over them
	}
	raw := make([]byte, utf7.DecodedLen(len(run)))
	n, err := utf7.Strict().Decode(raw, run)
	if err != nil || n == 0 || n%2 != 0 {
		return dst, false
	}
	for i := 0; i < n; i += 2 {
		r := rune(raw[i])<<8 | rune(raw[i+1])
		if utf16.IsSurrogate(r) {
			if i+3 >= n {
				return dst, false
			}
			r = utf16.DecodeRune(r, rune(raw[i+2])<<8|rune(raw[i+3]))
			if r == utf8.RuneError {
				return dst, false
			}
			i += 2
		} else if r >= ' ' && r < 0x7f {
			return dst, false // has to stand for itself
		}
		if r < ' ' || r == 0x7f {
			return dst, false
		}
		dst = utf8.AppendRune(dst, r)
	}
	return dst, true
}

// AppendUTF7 appends a name in modified UTF-7. Bytes that are not UTF-8 become U+FFFD.
func AppendUTF7(dst []byte, name string) []byte {
	var run []byte // UTF-16 that waits to be written
	for _, r := range name {
		if r < ' ' || r >= 0x7f {
			if hi, lo := utf16.EncodeRune(r); hi != utf8.RuneError {
				run = append(run, byte(hi>>8), byte(hi), byte(lo>>8), byte(lo))
			} else {
				run = append(run, byte(r>>8), byte(r))
			}
			continue
		}
		dst, run = endRun(dst, run)
		if dst = append(dst, byte(r)); r == '&' {
			dst = append(dst, '-')
		}
	}
	dst, _ = endRun(dst, run)
	return dst
}

func endRun(dst, run []byte) ([]byte, []byte) {
	if len(run) == 0 {
		return dst, run
	}
	dst = append(dst, '&')
	dst = utf7.AppendEncode(dst, run)
	return append(dst, '-'), run[:0]
}
