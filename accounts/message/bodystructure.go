package message

import "strconv"

// StructureForm says which form of a BODYSTRUCTURE is asked for, as bits.
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

// appendLeaf appends a part without children up to where both forms are equal,
// and the MD5 that only the extended one has. IMAP4rev1 has the envelope and structure of a message/rfc822
// alone (RFC 3501 section 9, media-message); a message/global is a leaf there.
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
