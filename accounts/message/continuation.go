package message

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// A piece is a parameter that RFC 2231 makes one of several, or gives a charset: name*0, name*1* or name*.
type piece struct {
	n       int
	encoded bool // %XX stands for an octet, and the first piece begins with charset'language'
	value   string
}

// asPiece returns a parameter as a piece, and the name of the parameter that it is a piece of. It
// reports false for one that stands for itself.
func (q Param) asPiece() (name string, p piece, ok bool) {
	name, rest, ok := strings.Cut(q.Name, "*")
	if !ok || name == "" {
		return "", piece{}, false
	}
	if rest == "" {
		return name, piece{0, true, q.Value}, true
	}
	number, encoded := strings.CutSuffix(rest, "*")
	n, err := strconv.ParseUint(number, 10, 31)
	if err != nil {
		return "", piece{}, false
	}
	return name, piece{int(n), encoded, q.Value}, true
}

// A continuation is a parameter in pieces.
type continuation []piece

// sort puts the pieces into the order of their numbers, in which senders need not write them.
func (c continuation) sort() {
	slices.SortStableFunc(c, func(a, b piece) int { return cmp.Compare(a.n, b.n) })
}

// encoded reports whether the parameter has a charset.
func (c continuation) encoded() bool {
	return slices.ContainsFunc(c, func(p piece) bool { return p.encoded })
}

// cutCharset cuts charset'language' off the first piece.
func (c continuation) cutCharset() (charset, language string, pieces continuation) {
	if !c[0].encoded {
		return "", "", c
	}
	charset, rest, ok := strings.Cut(c[0].value, "'")
	language, text, more := strings.Cut(rest, "'")
	if !ok || !more {
		return "", "", c
	}
	pieces = slices.Clone(c)
	pieces[0].value = text
	return charset, language, pieces
}

// decoded returns the value in its charset.
func (c continuation) decoded() (raw []byte, charset string) {
	charset, _, pieces := c.cutCharset()
	for _, p := range pieces {
		if p.encoded {
			raw = appendPercent(raw, p.value)
		} else {
			raw = append(raw, p.value...)
		}
	}
	return raw, charset
}

// joined returns the value of a parameter that is in pieces or has a charset, in its charset. It
// reports false if there is none.
func joined(params []Param, name string) (raw []byte, charset string, ok bool) {
	var c continuation
	for _, q := range params {
		if of, p, ok := q.asPiece(); ok && of == name {
			c = append(c, p)
		}
	}
	if len(c) == 0 {
		return nil, "", false
	}
	c.sort()
	raw, charset = c.decoded()
	return raw, charset, true
}

// joinParams makes one parameter of those that are its pieces. One with a charset keeps the asterisk at
// the end of its name. Its value is in UTF-8 for IMAP4rev2 (RFC 9051 section 7.5.2); for IMAP4rev1 it
// keeps the form of RFC 2231, which sections 3 and 6 there have clients decode.
func joinParams(params []Param, rev2 bool) []Param {
	if !slices.ContainsFunc(params, func(q Param) bool { return strings.Contains(q.Name, "*") }) {
		return params
	}
	out := make([]Param, 0, len(params))
	pieces := map[string]continuation{}
	first := map[string]int{} // where the parameter stands in out
	for _, q := range params {
		name, p, ok := q.asPiece()
		if ok {
			pieces[name] = append(pieces[name], p)
		}
		if len(pieces[name]) > 1 {
			continue
		}
		if ok {
			first[name] = len(out)
		}
		out = append(out, q)
	}
	for name, i := range first {
		c := pieces[name]
		c.sort()
		switch {
		case !c.encoded():
			raw, _ := c.decoded()
			out[i] = Param{name, string(raw)}
		case rev2:
			raw, charset := c.decoded()
			out[i] = Param{name + "*", toUTF8(raw, charset)}
		default:
			out[i] = Param{name + "*", c.reencoded()}
		}
	}
	return out
}

// reencoded returns the value as RFC 2231 section 4 has it, in one piece.
func (c continuation) reencoded() string {
	if len(c) == 1 {
		return c[0].value
	}
	charset, language, pieces := c.cutCharset()
	b := []byte(charset + "'" + language + "'")
	for _, p := range pieces {
		if p.encoded {
			b = append(b, p.value...)
			continue
		}
		for i := range len(p.value) {
			b = appendAttributeChar(b, p.value[i])
		}
	}
	return string(b)
}

// appendAttributeChar appends a byte as attribute-char, or as %XX (RFC 2231 section 7).
func appendAttributeChar(dst []byte, c byte) []byte {
	if tokenChar(c) && c < 0x80 && c != '*' && c != '\'' && c != '%' {
		return append(dst, c)
	}
	const digits = "0123456789ABCDEF"
	return append(dst, '%', digits[c>>4], digits[c&15])
}

// appendPercent appends v with %XX undone.
func appendPercent(dst []byte, v string) []byte {
	for i := 0; i < len(v); i++ {
		if v[i] == '%' && i+2 < len(v) && unhex(v[i+1]) < 16 && unhex(v[i+2]) < 16 {
			dst = append(dst, unhex(v[i+1])<<4|unhex(v[i+2]))
			i += 2
			continue
		}
		dst = append(dst, v[i])
	}
	return dst
}
