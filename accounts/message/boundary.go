package message

import "bytes"

// delimiter handles a line that begins with "--", and reports whether it is a delimiter of an open
// multipart. It belongs to the innermost one with its boundary. The entities within that end
// before the line end that precedes the delimiter (RFC 2046 section 5.1.2).
func (s *scanner) delimiter(line []byte) bool {
	text := bytes.TrimRight(line[2:], " \t\r\n")
	begins := s.innermost(text)
	ends := -1
	if inner, closing := bytes.CutSuffix(text, []byte("--")); closing {
		ends = s.innermost(inner)
	}
	switch {
	case begins < 0 && ends < 0, begins > ends && s.open[begins].rest:
		return false
	case begins > ends:
		s.closeTo(begins+1, s.lines.lastEnd, true)
		s.beginPart(begins)
	default:
		s.closeTo(ends+1, s.lines.lastEnd, true)
		s.removeBoundary(ends)
		s.open[ends].boundary = ""
	}
	return true
}

// addBoundary adds the boundary of open[i]. With the map, the time for a line does not depend on the number of
// open multiparts.
func (s *scanner) addBoundary(i int, boundary string) {
	e := &s.open[i]
	e.boundary, e.outer = boundary, -1
	if outer, ok := s.bound[boundary]; ok {
		e.outer = outer
	}
	s.bound[boundary] = i
}

// removeBoundary removes the boundary of open[i], which is the innermost multipart with it.
func (s *scanner) removeBoundary(i int) {
	e := &s.open[i]
	if e.outer < 0 {
		delete(s.bound, e.boundary)
	} else {
		s.bound[e.boundary] = e.outer
	}
}

// innermost returns the innermost open multipart with a boundary, or -1.
func (s *scanner) innermost(boundary []byte) int {
	if i, ok := s.bound[string(boundary)]; ok {
		return i
	}
	return -1
}

// beginPart opens the next part of the multipart at open[i], after its delimiter.
func (s *scanner) beginPart(i int) {
	parent, digest, full := s.open[i].part, s.open[i].digest, s.parts >= s.limits.MaxParts
	at := s.lines.at
	p := s.push(at, nil, digest)
	parent.Children = append(parent.Children, p)
	if !full {
		return
	}
	// Beyond the limit, a last part without a header holds the rest of the multipart,
	// delimiters included.
	s.open[i].rest = true
	e := &s.open[len(s.open)-1]
	e.inHeader, e.firstLine = false, s.lines.ends+1 // run counts the delimiter's line later
	setOctetStream(p)
	p.Encoding = defaultEncoding
	p.Header, p.Body = Span{at, at}, Span{at, at}
}

// closeTo ends all entities from open[n] on at the offset. delimited: a delimiter ends them, not the end of
// the message.
func (s *scanner) closeTo(n int, end int64, delimited bool) {
	for len(s.open) > n {
		e := &s.open[len(s.open)-1]
		if e.inHeader {
			// This may open the message in a message/rfc822, which then ends here too.
			s.endHeader(max(end, e.headerFrom))
			continue
		}
		s.endBody(e, end, delimited)
		// If a delimiter follows the empty line of a header, the line end before it belongs to
		// the header: the outer entities end there, too.
		end = e.part.Body.End
		if e.boundary != "" {
			s.removeBoundary(len(s.open) - 1)
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
		setPlainText(p)
	}
}
