package message

import "bytes"

// summarizeHeader sets the fields of the Summary that come from the message's own header.
func (s *scanner) summarizeHeader() {
	sum := s.sum
	size := 0
	for _, f := range s.fields {
		if f.id <= lastCached {
			size += f.end - f.start
		}
	}
	if size > 0 {
		sum.Headers = make([]byte, 0, size+2)
	}
	for _, f := range s.fields {
		if f.id <= lastCached {
			sum.Headers = appendRaw(sum.Headers, s.header[f.start:f.end])
		}
	}
	sum.Envelope = append([]byte(nil), s.makeEnvelope()...)
	subject, _ := s.first(subjectField)
	sum.Subject = DecodeHeader(subject)
	id, _ := s.first(messageIDField)
	sum.MessageID = messageID(id)
	date, _ := s.first(dateField)
	sum.Date, sum.HasDate = parseDate(date)
}

// messageID returns the first text in angle brackets, with the brackets.
func messageID(v []byte) string {
	start := bytes.IndexByte(v, '<')
	if start < 0 {
		return ""
	}
	end := bytes.IndexByte(v[start:], '>')
	if end < 0 {
		return ""
	}
	return string(v[start : start+end+1])
}
