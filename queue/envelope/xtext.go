package envelope

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"gatepost/server/fault"
)

const upperHex = "0123456789ABCDEF"

// AppendXText appends s in the xtext form of RFC 3461 section 4.
func AppendXText(dst []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c <= ' ', c >= 0x7f, c == '+', c == '=':
			dst = append(dst, '+', upperHex[c>>4], upperHex[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

// AppendOriginal appends a Recipient.Original as the value of ORCPT. For the type
// utf-8, what is outside of ASCII takes the form that every server understands
// (RFC 6533 section 3, utf-8-addr-xtext).
func AppendOriginal(dst []byte, original string) []byte {
	kind, addr, _ := strings.Cut(original, ";")
	dst = append(append(dst, kind...), ';')
	if !strings.EqualFold(kind, typeUTF8) {
		return AppendXText(dst, addr)
	}
	for _, r := range addr {
		if r < 0x80 {
			dst = AppendXText(dst, string(r))
		} else {
			dst = fmt.Appendf(dst, `\x{%X}`, r)
		}
	}
	return dst
}

// DecodeOriginal reads the value of ORCPT, the type of an address and the address in
// xtext. With the type utf-8 an address may also hold what is outside of ASCII as it
// is (RFC 6533 section 3, utf-8-addr-unitext); its \x{..} are kept.
func DecodeOriginal(value string) (string, error) {
	kind, text, ok := strings.Cut(value, ";")
	if !ok {
		return "", fault.New("envelope.DecodeOriginal", fault.Invalid, "the original recipient has no address type")
	}
	wide := strings.EqualFold(kind, typeUTF8) && utf8.ValidString(text)
	addr, err := decodeXText(text, wide)
	return kind + ";" + addr, err
}

// typeUTF8 is the address type of RFC 6533.
const typeUTF8 = "utf-8"

// DecodeXText reads the xtext form. Lower-case digits are accepted, although
// RFC 3461 wants upper case: clients send both.
func DecodeXText(s string) (string, error) { return decodeXText(s, false) }

// decodeXText reads xtext; wide lets bytes above 127 stand as they are.
func decodeXText(s string, wide bool) (string, error) {
	const op = "envelope.DecodeXText"
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '+':
			if i+2 >= len(s) {
				return "", fault.New(op, fault.Invalid, "xtext ends inside of a code")
			}
			hi, lo := unhex(s[i+1]), unhex(s[i+2])
			if hi < 0 || lo < 0 {
				return "", fault.New(op, fault.Invalid, "xtext code is not hexadecimal")
			}
			out = append(out, byte(hi<<4|lo))
			i += 2
		case c <= ' ', c == 0x7f, c == '=', c >= 0x80 && !wide:
			return "", fault.New(op, fault.Invalid, "xtext holds a character that has to be coded")
		default:
			out = append(out, c)
		}
	}
	return string(out), nil
}

func unhex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	}
	return -1
}
