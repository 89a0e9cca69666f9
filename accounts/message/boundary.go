package message

import "bytes"

// delimiter handles a line that begins with "--" if it is a delimiter of an open
// multipart. The innermost one that fits is meant; the entities within it end
// before the line end in front of it (RFC 2046 section 5.1.2).
func (s *scanner) delimiter(line []byte) bool {
	text := bytes.TrimRight(line[2:], " \t\r\n")
	closing := bytes.HasSuffix(text, []byte("--"))
	for i := len(s.open) - 1; i >= 0; i-- {
		e := &s.open[i]
		if e.boundary == "" || e.closed {
			continue
		}
		switch {
		case len(text) == len(e.boundary) && string(text) == e.boundary:
			s.closeTo(i+1, s.lines.lastEnd, true)
			s.beginPart(i)
			return true
		case closing && len(text) == len(e.boundary)+2 && string(text[:len(e.boundary)]) == e.boundary:
			s.closeTo(i+1, s.lines.lastEnd, true)
			s.open[i].closed = true
			s.bounded--
			return true
		}
	}
	return false
}

// beginPart opens the next part of the multipart at open[i]. Beyond the limit
// the lines up to the next delimiter belong to no part.
func (s *scanner) beginPart(i int) {
	if s.parts >= s.limits.MaxParts {
		return
	}
	parent, digest := s.open[i].part, s.open[i].digest
	parent.Children = append(parent.Children, s.push(s.lines.at, nil, digest))
}

// closeTo ends all entities from open[n] on at the offset. Delimited tells a
// delimiter from the end of the message.
func (s *scanner) closeTo(n int, end int64, delimited bool) {
	for len(s.open) > n {
		e := &s.open[len(s.open)-1]
		if e.inHeader {
			// This may open the message in a message/rfc822, which then ends here too.
			s.endHeader(max(end, e.headerFrom))
			continue
		}
		s.endBody(e, end, delimited)
		// Right behind an empty line a delimiter finds its line end already taken by
		// the header: the entities around end there too.
		end = e.part.Body.End
		if e.boundary != "" && !e.closed {
			s.bounded--
		}
		s.open[len(s.open)-1] = entity{}
		s.open = s.open[:len(s.open)-1]
	}
	s.capture = nil
}

func (s *scanner) endBody(e *entity, end int64, delimited bool) {
	p := e.part
	p.Body.End = max(end, p.Body.Start)
	if p.Body.Size() > 0 {
		p.Lines = s.lines.ends - e.firstLine
		switch {
		case delimited && s.lines.lastLen == 0:
			p.Lines-- // the body ends with a line end of its own
		case !delimited && s.lines.midLine:
			p.Lines++
		}
	}
	if p.Type == "multipart" && len(p.Children) == 0 {
		asText(p)
	}
}
