package message

import "strconv"

// AppendBodyStructure appends the IMAP text of a part: BODYSTRUCTURE if
// extended, else BODY (RFC 9051 section 7.5.2).
func AppendBodyStructure(dst []byte, p *Part, extended bool) []byte {
	dst = append(dst, '(')
	if len(p.Children) > 0 {
		for _, c := range p.Children {
			dst = AppendBodyStructure(dst, c, extended)
		}
		dst = append(dst, ' ')
		dst = appendString(dst, p.Subtype)
		if extended {
			dst = append(dst, ' ')
			dst = appendParams(dst, p.Params)
		}
	} else {
		dst = appendLeaf(dst, p, extended)
	}
	if extended {
		dst = append(dst, ' ')
		dst = appendDisposition(dst, p)
		dst = append(dst, ' ')
		dst = appendLanguages(dst, p.Language)
		dst = append(dst, ' ')
		dst = appendNString(dst, p.Location)
	}
	return append(dst, ')')
}

// appendLeaf appends a part without children up to where both forms are equal,
// and the MD5 that only the extended one has.
func appendLeaf(dst []byte, p *Part, extended bool) []byte {
	dst = appendString(dst, p.Type)
	dst = append(dst, ' ')
	dst = appendString(dst, p.Subtype)
	dst = append(dst, ' ')
	dst = appendParams(dst, p.Params)
	dst = append(dst, ' ')
	dst = appendNString(dst, p.ID)
	dst = append(dst, ' ')
	dst = appendNString(dst, p.Description)
	dst = append(dst, ' ')
	dst = appendString(dst, p.Encoding)
	dst = append(dst, ' ')
	dst = strconv.AppendInt(dst, p.Body.Size(), 10)
	if p.Message != nil {
		dst = append(dst, ' ')
		dst = append(dst, p.Message.Envelope...)
		dst = append(dst, ' ')
		dst = AppendBodyStructure(dst, p.Message.Root, extended)
	}
	if p.Message != nil || p.Type == "text" {
		dst = append(dst, ' ')
		dst = strconv.AppendInt(dst, p.Lines, 10)
	}
	if extended {
		dst = append(dst, ' ')
		dst = appendNString(dst, p.MD5)
	}
	return dst
}

func appendParams(dst []byte, params []Param) []byte {
	if len(params) == 0 {
		return append(dst, "NIL"...)
	}
	open := byte('(')
	for _, q := range params {
		dst = append(dst, open)
		open = ' '
		dst = appendString(dst, q.Name)
		dst = append(dst, ' ')
		dst = appendString(dst, q.Value)
	}
	return append(dst, ')')
}

func appendDisposition(dst []byte, p *Part) []byte {
	if p.Disposition == "" {
		return append(dst, "NIL"...)
	}
	dst = append(dst, '(')
	dst = appendString(dst, p.Disposition)
	dst = append(dst, ' ')
	dst = appendParams(dst, p.DispositionParams)
	return append(dst, ')')
}

func appendLanguages(dst []byte, tags []string) []byte {
	switch len(tags) {
	case 0:
		return append(dst, "NIL"...)
	case 1:
		return appendString(dst, tags[0])
	}
	open := byte('(')
	for _, t := range tags {
		dst = append(dst, open)
		open = ' '
		dst = appendString(dst, t)
	}
	return append(dst, ')')
}
