package message

import "strconv"

// makeEnvelope returns the ENVELOPE of the header (RFC 9051 section
// 7.5.2), valid until the next call. If Sender or Reply-To is missing or empty, From takes its place.
// Of From, Sender and Reply-To only the first field is used, of To, Cc and Bcc all.
func (s *scanner) makeEnvelope() []byte {
	dst := append(s.envelope[:0], '(')
	dst = s.appendFirst(dst, dateField)
	dst = append(dst, ' ')
	dst = s.appendFirst(dst, subjectField)
	dst = append(dst, ' ')
	from := len(dst)
	dst = s.appendAddresses(dst, fromField, 1)
	fromEnd := len(dst)
	for _, id := range [...]fieldID{senderField, replyToField} {
		dst = append(dst, ' ')
		start := len(dst)
		dst = s.appendAddresses(dst, id, 1)
		if string(dst[start:]) == "NIL" {
			dst = append(dst[:start], dst[from:fromEnd]...)
		}
	}
	for _, id := range [...]fieldID{toField, ccField, bccField} {
		dst = append(dst, ' ')
		dst = s.appendAddresses(dst, id, len(s.fields))
	}
	dst = append(dst, ' ')
	dst = s.appendFirst(dst, inReplyToField)
	dst = append(dst, ' ')
	dst = s.appendFirst(dst, messageIDField)
	s.envelope = append(dst, ')')
	return s.envelope
}

// envelopeOf returns the ENVELOPE of a header, or of a Head's Headers.
func envelopeOf(header []byte) []byte {
	s := scanner{header: header, fields: appendFields(nil, header)}
	return s.makeEnvelope()
}

// appendFirst appends the value of the first field with the ID, or NIL if there is none.
func (s *scanner) appendFirst(dst []byte, id fieldID) []byte {
	v, ok := s.first(id)
	if !ok {
		return append(dst, "NIL"...)
	}
	return appendString(dst, v)
}

// appendAddresses appends the addresses of the fields with the ID, up to the given number of
// fields.
func (s *scanner) appendAddresses(dst []byte, id fieldID, fields int) []byte {
	start := len(dst)
	dst = append(dst, '(')
	p := &s.address
	for _, f := range s.fields {
		if f.id != id {
			continue
		}
		if fields--; fields < 0 {
			break
		}
		for p.reset(s.header[f.value:f.end]); p.next(); {
			dst = appendAddress(dst, &p.Address)
		}
	}
	if len(dst) == start+1 {
		return append(dst[:start], "NIL"...)
	}
	return append(dst, ')')
}

func appendAddress(dst []byte, a *Address) []byte {
	switch a.Kind {
	case GroupStart:
		dst = append(dst, "(NIL NIL "...)
		dst = appendString(dst, a.Name)
		return append(dst, " NIL)"...)
	case GroupEnd:
		return append(dst, "(NIL NIL NIL NIL)"...)
	}
	dst = append(dst, '(')
	dst = appendNString(dst, a.Name)
	dst = append(dst, ' ')
	dst = appendNString(dst, a.Route)
	dst = append(dst, ' ')
	dst = appendString(dst, a.Local)
	dst = append(dst, ' ')
	dst = appendString(dst, a.Domain) // NIL would make it a group
	return append(dst, ')')
}

// appendNString appends a string, or NIL for an empty one.
func appendNString[T string | []byte](dst []byte, v T) []byte {
	if len(v) == 0 {
		return append(dst, "NIL"...)
	}
	return appendString(dst, v)
}

// maxQuoted is the length of the longest quoted string. Longer strings are literals, since some clients read
// lines into small buffers.
const maxQuoted = 1000

// appendString appends an IMAP string: a quoted string if the grammar of IMAP4rev1
// allows it, else a literal. NULs, which neither may contain, are left out.
func appendString[T string | []byte](dst []byte, v T) []byte {
	literal, special, nuls := len(v) > maxQuoted, false, 0
	for i := 0; i < len(v); i++ {
		switch c := v[i]; {
		case c == 0:
			nuls++
		case c >= 0x80, c == '\r', c == '\n':
			literal = true
		case c == '"', c == '\\':
			special = true
		}
	}
	if literal {
		dst = append(dst, '{')
		dst = strconv.AppendInt(dst, int64(len(v)-nuls), 10)
		dst = append(dst, "}\r\n"...)
		return appendWithout0(dst, v, nuls)
	}
	dst = append(dst, '"')
	if special {
		for i := 0; i < len(v); i++ {
			switch v[i] {
			case 0:
				continue
			case '"', '\\':
				dst = append(dst, '\\')
			}
			dst = append(dst, v[i])
		}
	} else {
		dst = appendWithout0(dst, v, nuls)
	}
	return append(dst, '"')
}

func appendWithout0[T string | []byte](dst []byte, v T, nuls int) []byte {
	if nuls == 0 {
		return append(dst, v...)
	}
	for i := 0; i < len(v); i++ {
		if v[i] != 0 {
			dst = append(dst, v[i])
		}
	}
	return dst
}
