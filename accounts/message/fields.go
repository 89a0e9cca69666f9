package message

import "bytes"

// A fieldID names a header field that the scanner looks at.
type fieldID uint8

// The fields; those up to lastCached are the CachedFields.
const (
	otherField fieldID = iota
	fromField
	toField
	ccField
	bccField
	subjectField
	dateField
	messageIDField
	priorityField
	xPriorityField
	referencesField
	newsgroupsField
	inReplyToField
	contentTypeField
	replyToField
	receivedField
	senderField
	listIDField
	encodingField
	dispositionField
	contentIDField
	descriptionField
	languageField
	locationField
	md5Field

	lastCached = listIDField
)

var fieldIDs = map[string]fieldID{
	"from": fromField, "to": toField, "cc": ccField, "bcc": bccField, "subject": subjectField, "date": dateField,
	"message-id": messageIDField, "priority": priorityField, "x-priority": xPriorityField,
	"references": referencesField, "newsgroups": newsgroupsField, "in-reply-to": inReplyToField,
	"content-type": contentTypeField, "reply-to": replyToField, "received": receivedField,
	"sender": senderField, "list-id": listIDField, "content-transfer-encoding": encodingField,
	"content-disposition": dispositionField, "content-id": contentIDField, "content-description": descriptionField,
	"content-language": languageField, "content-location": locationField, "content-md5": md5Field,
}

// longestField is the length of the longest name in fieldIDs.
const longestField = len("content-transfer-encoding")

// identify returns the ID of the field with a name.
func identify(name []byte) fieldID {
	if len(name) > longestField {
		return otherField
	}
	var low [longestField]byte
	for i, c := range name {
		low[i] = lower(c)
	}
	return fieldIDs[string(low[:len(name)])]
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// A field is one field of a header: header[start:end], with its line breaks. Its value begins at
// value.
type field struct {
	id                fieldID
	start, value, end int
}

const fieldSize = 32

// cutField finds the field that begins at start. For a line without name and colon, which is no field,
// the name is empty.
func cutField(header []byte, start int) (name []byte, value, end int) {
	end = start
	for {
		i := bytes.IndexByte(header[end:], '\n')
		if i < 0 {
			end = len(header)
			break
		}
		end += i + 1
		if end == len(header) || header[end] != ' ' && header[end] != '\t' {
			break
		}
	}
	colon := bytes.IndexByte(header[start:end], ':')
	if colon < 0 {
		return nil, end, end
	}
	name = bytes.TrimRight(header[start:start+colon], " \t")
	if bytes.IndexByte(name, '\n') >= 0 {
		return nil, end, end
	}
	return name, start + colon + 1, end
}

// appendFields finds the fields that the scanner looks at.
func appendFields(dst []field, header []byte) []field {
	for start := 0; start < len(header); {
		name, value, end := cutField(header, start)
		if id := identify(name); id != otherField {
			dst = append(dst, field{id, start, value, end})
		}
		start = end
	}
	return dst
}

// Cached reports whether all the fields are CachedFields, so that Head.Headers has all there are of
// them.
func Cached(names []string) bool {
	for _, n := range names {
		if id := identify([]byte(n)); id == otherField || id > lastCached {
			return false
		}
	}
	return true
}

// FieldNames is a set of names of header fields. Case is ignored.
type FieldNames struct {
	low     map[string]struct{} // in lower case
	longest int
}

// NewFieldNames returns the set of the names.
func NewFieldNames(names []string) *FieldNames {
	f := &FieldNames{low: make(map[string]struct{}, len(names))}
	for _, n := range names {
		f.low[string(appendLower(nil, n))] = struct{}{}
		f.longest = max(f.longest, len(n))
	}
	return f
}

func (f *FieldNames) has(name []byte) bool {
	if len(name) > f.longest {
		return false
	}
	var buf [64]byte
	_, ok := f.low[string(appendLower(buf[:0], name))]
	return ok
}

func appendLower[T string | []byte](dst []byte, name T) []byte {
	for i := range len(name) {
		dst = append(dst, lower(name[i]))
	}
	return dst
}

// AppendHeaderFields appends the raw fields of a header that have one of the names, or
// with not those that have none of them, in their order, and the empty line that ends the header, if
// there is one: what IMAP calls HEADER.FIELDS and HEADER.FIELDS.NOT (RFC 9051 section 6.4.5.1). The time
// is linear in the size of the header, however many names there are.
func AppendHeaderFields(dst, header []byte, names *FieldNames, not bool) []byte {
	for start := 0; start < len(header); {
		name, _, end := cutField(header, start)
		raw := header[start:end]
		start = end
		if len(bytes.TrimRight(raw, "\r\n")) == 0 {
			return append(dst, '\r', '\n')
		}
		if names.has(name) != not {
			dst = appendRaw(dst, raw)
		}
	}
	return dst
}

// equalFold compares texts of the same length, ignoring the case of ASCII letters.
func equalFold(a []byte, b string) bool {
	for i, c := range a {
		if lower(c) != lower(b[i]) {
			return false
		}
	}
	return true
}

// appendRaw appends a field, with a line end if it has none.
func appendRaw(dst, raw []byte) []byte {
	dst = append(dst, raw...)
	if len(raw) > 0 && raw[len(raw)-1] != '\n' {
		dst = append(dst, '\r', '\n')
	}
	return dst
}

// first returns the value of the first field with the ID, unfolded and without
// the blanks around it, and whether there is one.
func (s *scanner) first(id fieldID) ([]byte, bool) {
	for _, f := range s.fields {
		if f.id == id {
			return s.value(f), true
		}
	}
	return nil, false
}

// value returns a field's value, unfolded and without the blanks around it.
func (s *scanner) value(f field) []byte { return fieldValue(s.header[f.value:f.end]) }

func fieldValue(raw []byte) []byte {
	return unfold(bytes.Trim(raw, " \t\r\n"))
}

// unfold removes the line ends from a value (RFC 5322 section 2.2.3), and NULs, which no
// protocol can send.
func unfold(v []byte) []byte {
	if bytes.IndexByte(v, '\n') < 0 && bytes.IndexByte(v, '\r') < 0 && bytes.IndexByte(v, 0) < 0 {
		return v
	}
	out := make([]byte, 0, len(v))
	for _, c := range v {
		if c != '\r' && c != '\n' && c != 0 {
			out = append(out, c)
		}
	}
	return out
}
