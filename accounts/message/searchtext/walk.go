package searchtext

import (
	"io"

	"gatepost/accounts/message"
)

// Visitor is shown what BODY searches of a message. Spans count as in the Summary. What returns false ends the walk.
type Visitor interface {
	// Header is the header of an inner part, or of a message within the message.
	Header(message.Span) bool
	// Text is a text part.
	Text(*message.Part) bool
}

// Walk shows a visitor what BODY searches of a message, given its root part.
func Walk(root *message.Part, v Visitor) { walk(root, v, true) }

func walk(p *message.Part, v Visitor, root bool) bool {
	if !root && !v.Header(p.Header) {
		return false
	}
	switch {
	case len(p.Children) > 0:
		for _, child := range p.Children {
			if !walk(child, v, false) {
				return false
			}
		}
	case p.Message != nil:
		return walk(p.Message.Root, v, false)
	case p.Type == "text":
		return v.Text(p)
	}
	return true
}

// Text returns the text of a text part, whose body is read from r, in UTF-8.
func Text(p *message.Part, r io.Reader) io.Reader {
	return message.ToUTF8(message.Decode(r, p.Encoding), p.Param("charset"))
}

// MainHeader returns where what TEXT searches beside the body is: the header of a message of size bytes, with the prefix that is
// put before it. What is beyond message.MaxHeader is not searched.
func MainHeader(s *message.Summary, prefix, size int64) message.Span {
	sp, _ := s.Section(nil, message.Header)
	return message.Span{End: min(sp.End+prefix, size, message.MaxHeader)}
}
