package envelope

import "gatepost/server/fault"

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

// DecodeXText reads the xtext form. Lower-case digits are accepted, although
// RFC 3461 wants upper case: clients send both.
func DecodeXText(s string) (string, error) {
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
		case c <= ' ', c >= 0x7f, c == '=':
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
