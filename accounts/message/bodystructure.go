package message

import "strconv"

// StructureForm selects the form of a body structure, as bits.
type StructureForm uint8

const (
	// Extended is BODYSTRUCTURE; without it, BODY.
	Extended StructureForm = 1 << iota
	// Rev2 is the form of IMAP4rev2, which knows message/global and has parameters in UTF-8.
	Rev2
)

// AppendBodyStructure appends the IMAP text of a part (RFC 3501 section 7.4.2, RFC 9051 section 7.5.2).
func AppendBodyStructure(dst []byte, p *Part, form StructureForm) []byte {
	extended := form&Extended != 0
	dst = append(dst, '(')
	if len(p.Children) > 0 {
		for _, c := range p.Children {
			dst = AppendBodyStructure(dst, c, form)
		}
		dst = append(dst, ' ')
		dst = appendString(dst, p.Subtype)
		if extended {
			dst = append(dst, ' ')
			dst = appendParams(dst, p.Params, form)
		}
	} else {
		dst = appendLeaf(dst, p, form)
	}
	if extended {
		dst = append(dst, ' ')
		dst = appendDisposition(dst, p, form)
		dst = append(dst, ' ')
		dst = appendLanguages(dst, p.Language)
		dst = append(dst, ' ')
		dst = appendNString(dst, p.Location)
	}
	return append(dst, ')')
}

// appendLeaf appends the fields of a part without children that BODY and BODYSTRUCTURE share,
// and the MD5 of the latter. In IMAP4rev1 only a message/rfc822 has an envelope and a structure
// (RFC 3501 section 9, media-message); a message/global has none.
func appendLeaf(dst []byte, p *Part, form StructureForm) []byte {
	inner := p.Message
	if form&Rev2 == 0 && p.Subtype != "rfc822" {
		inner = nil
	}
	dst = appendString(dst, p.Type)
	dst = append(dst, ' ')
	dst = appendString(dst, p.Subtype)
	dst = append(dst, ' ')
	dst = appendParams(dst, p.Params, form)
	dst = append(dst, ' ')
	dst = appendNString(dst, p.ID)
	dst = append(dst, ' ')
	dst = appendNString(dst, p.Description)
	dst = append(dst, ' ')
	dst = appendString(dst, p.Encoding)
	dst = append(dst, ' ')
	dst = strconv.AppendInt(dst, p.Body.Size(), 10)
	if inner != nil {
		dst = append(dst, ' ')
		dst = append(dst, inner.Envelope...)
		dst = append(dst, ' ')
		dst = AppendBodyStructure(dst, inner.Root, form)
	}
	if inner != nil || p.Type == "text" {
		dst = append(dst, ' ')
		dst = strconv.AppendInt(dst, p.Lines, 10)
	}
	if form&Extended != 0 {
		dst = append(dst, ' ')
		dst = appendNString(dst, p.MD5)
	}
	return dst
}

func appendParams(dst []byte, params []Param, form StructureForm) []byte {
	params = joinParams(params, form&Rev2 != 0)
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

func appendDisposition(dst []byte, p *Part, form StructureForm) []byte {
	if p.Disposition == "" {
		return append(dst, "NIL"...)
	}
	dst = append(dst, '(')
	dst = appendString(dst, p.Disposition)
	dst = append(dst, ' ')
	dst = appendParams(dst, p.DispositionParams, form)
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
