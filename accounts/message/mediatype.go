package message

import "bytes"

// defaultParams are the parameters of a part without a valid Content-Type (RFC 2045
// section 5.2). The slice is shared and never changed.
var defaultParams = []Param{{"charset", "us-ascii"}}

// describe reads the content fields into p.
func (s *scanner) describe(p *Part, inDigest bool) {
	s.mediaType(p, inDigest)
	for _, f := range s.fields {
		switch f.id {
		case encodingField:
			if p.Encoding == "" {
				p.Encoding = parseEncoding(s.value(f))
			}
		case dispositionField:
			if p.Disposition == "" {
				t, rest := cutToken(skipBlank(s.value(f)))
				p.Disposition = intern(t)
				if len(t) > 0 {
					p.DispositionParams = parseParams(rest)
				}
			}
		case languageField:
			if p.Language == nil {
				p.Language = parseLanguages(s.value(f))
			}
		case contentIDField:
			setOnce(&p.ID, s.value(f))
		case descriptionField:
			setOnce(&p.Description, s.value(f))
		case locationField:
			setOnce(&p.Location, s.value(f))
		case md5Field:
			setOnce(&p.MD5, s.value(f))
		}
	}
	if p.Encoding == "" {
		p.Encoding = defaultEncoding
	}
}

// defaultEncoding is the encoding of a part without the field (RFC 2045 section 6.1).
const defaultEncoding = "7bit"

// parseEncoding parses a Content-Transfer-Encoding. For an empty or invalid value it returns "".
func parseEncoding(v []byte) string {
	t, _ := cutToken(skipBlank(v))
	return intern(t)
}

func setOnce(dst *string, v []byte) {
	if *dst == "" {
		*dst = string(v)
	}
}

// mediaType reads the first Content-Type. A value that is not type/subtype means text/plain in
// US-ASCII; a missing one in a digest means message/rfc822 (RFC 2045 section 5.2, RFC 2046 section
// 5.1.5).
func (s *scanner) mediaType(p *Part, inDigest bool) {
	v, _ := s.first(contentTypeField)
	p.Type, p.Subtype, p.Params = parseMediaType(v)
	switch {
	case p.Subtype != "":
		if p.Params == nil && p.Type == "text" && p.Subtype == "plain" {
			p.Params = defaultParams
		}
	case inDigest && len(v) == 0:
		p.Type, p.Subtype = "message", "rfc822"
	default:
		setPlainText(p)
	}
}

// parseMediaType parses a Content-Type. For a value that is not type/subtype it returns nothing.
func parseMediaType(v []byte) (kind, subtype string, params []Param) {
	k, rest := cutToken(skipBlank(v))
	rest = skipBlank(rest)
	if len(k) == 0 || len(rest) == 0 || rest[0] != '/' {
		return "", "", nil
	}
	sub, rest := cutToken(skipBlank(rest[1:]))
	if len(sub) == 0 {
		return "", "", nil
	}
	return intern(k), intern(sub), parseParams(rest)
}

// tokenChar reports whether c may occur in a token (RFC 2045 section 5.1). 8-bit characters
// are accepted: they occur, and are quoted when they are sent.
func tokenChar(c byte) bool {
	switch c {
	case '(', ')', '<', '>', '@', ',', ';', ':', '\\', '"', '/', '[', ']', '?', '=', 0x7f:
		return false
	}
	return c > ' '
}

func cutToken(b []byte) (token, rest []byte) {
	for i, c := range b {
		if !tokenChar(c) {
			return b[:i], b[i:]
		}
	}
	return b, nil
}

// skipBlank removes white space and comments from the front (RFC 5322 section
// 3.2.2).
func skipBlank(b []byte) []byte {
	for len(b) > 0 {
		switch b[0] {
		case ' ', '\t', '\r', '\n':
			b = b[1:]
		case '(':
			b = skipComment(b)
		default:
			return b
		}
	}
	return b
}

// skipComment removes a comment from the front. A comment without an end extends to the end.
func skipComment(b []byte) []byte {
	rest, _ := cutComment(b)
	return rest
}

// cutComment removes a comment from the front, and reports whether it has an end.
func cutComment(b []byte) (rest []byte, ended bool) {
	depth := 0
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return b[i+1:], true
			}
		}
	}
	return nil, false
}

// parseParams parses "; name=value ...". It skips what it cannot parse.
func parseParams(b []byte) []Param {
	var params []Param
	for {
		i := bytes.IndexByte(b, ';')
		if i < 0 {
			break
		}
		b = skipBlank(b[i+1:])
		name, rest := cutToken(b)
		b = skipBlank(rest) // what is skipped is never read again, so that the time is linear
		if len(name) == 0 || len(b) == 0 || b[0] != '=' {
			continue
		}
		var value []byte
		value, b = cutValue(skipBlank(b[1:]))
		params = append(params, Param{intern(name), internAsIs(value)})
	}
	return params
}

// cutValue reads a parameter's value. Unquoted file names with blanks are common: such a value
// extends to the next semicolon, without a comment at the end.
func cutValue(b []byte) (value, rest []byte) {
	if len(b) > 0 && b[0] == '"' {
		value, rest, _ = cutQuoted(b)
		return value, rest
	}
	end := bytes.IndexByte(b, ';')
	if end < 0 {
		end = len(b)
	}
	value, rest = b[:end], b[end:]
	if i := bytes.IndexByte(value, '('); i > 0 && (value[i-1] == ' ' || value[i-1] == '\t') {
		value = value[:i]
	}
	return bytes.TrimRight(value, " \t"), rest
}

// cutQuoted reads the quoted string at the beginning of b. One without an end extends to the end of
// b.
func cutQuoted(b []byte) (value, rest []byte, ended bool) {
	end := 1
	escaped := false
	for ; end < len(b) && b[end] != '"'; end++ {
		if b[end] == '\\' {
			escaped = true
			end++
		}
	}
	if ended = end < len(b); ended {
		value, rest = b[1:end], b[end+1:]
	} else {
		value = b[1:]
	}
	if escaped {
		value = unquote(value)
	}
	return value, rest, ended
}

func unquote(b []byte) []byte {
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); i++ {
		if b[i] == '\\' && i+1 < len(b) {
			i++
		}
		out = append(out, b[i])
	}
	return out
}

// parseLanguages reads a list of language tags (RFC 3282).
func parseLanguages(b []byte) []string {
	var tags []string
	for len(b) > 0 {
		var tag []byte
		tag, b = cutToken(skipBlank(b))
		if len(tag) > 0 {
			tags = append(tags, string(tag))
		}
		i := bytes.IndexByte(b, ',')
		if i < 0 {
			break
		}
		b = b[i+1:]
	}
	return tags
}
