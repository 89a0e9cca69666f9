package message

import (
	"bytes"
	"fmt"
	"strings"
)

// A naive reader has the whole message in memory and works from the outside in: a
// multipart is cut at its own delimiters, then each piece is read. It is
// quadratic and has no limits.
type naive struct {
	b          []byte
	boundaries []string
	parts      int
	unsure     bool // the two directions may differ
}

// naiveSpans returns what spans does, and false if the message is one where cutting
// from the outside is not the same: boundaries that look like each other, or limits.
func naiveSpans(b []byte) (string, bool) {
	n := naive{b: b}
	got, _ := n.entity(0, len(b), len(b), "", false, 0)
	return got, !n.unsure && n.parts <= MaxParts && len(b) < MaxHeader
}

// lineEnd returns where the line that begins at i ends, at most at end.
func (n *naive) lineEnd(i, end int) int {
	if k := bytes.IndexByte(n.b[i:end], '\n'); k >= 0 {
		return i + k + 1
	}
	return end
}

// entity reads the lines in [start, limit); its body ends at bodyEnd, before the line
// end that belongs to a delimiter, or where what is within ends if that is later.
func (n *naive) entity(start, limit, bodyEnd int, indent string, digest bool, depth int) (string, int) {
	n.parts++
	if depth > MaxDepth || n.parts > MaxParts {
		n.unsure = true
		return "", bodyEnd
	}
	bodyEnd = max(bodyEnd, start)
	ended := false
	headerEnd, body := bodyEnd, bodyEnd // without an empty line the header reaches to the end
	for i := start; i < limit; {
		end := n.lineEnd(i, limit)
		if line := string(n.b[i:end]); line == "\r\n" || line == "\n" {
			headerEnd, body, ended = end, end, true
			break
		}
		i = end
	}
	if !ended {
		limit = bodyEnd
	}
	p := &Part{}
	s := &scanner{header: n.b[start:headerEnd]}
	s.fields = appendFields(nil, s.header)
	s.describe(p, digest)
	bodyEnd = max(bodyEnd, body)
	out, end := "", 0
	switch boundary := p.Param("boundary"); {
	case p.Type == "multipart" && boundary != "":
		for _, other := range n.boundaries {
			if strings.HasPrefix(other, boundary) || strings.HasPrefix(boundary, other) {
				n.unsure = true
			}
		}
		if strings.TrimRight(boundary, " \t\r\n-") != boundary {
			n.unsure = true
		}
		n.boundaries = append(n.boundaries, boundary)
		out, end = n.multipart(body, limit, bodyEnd, boundary, indent, p.Subtype == "digest", depth)
		n.boundaries = n.boundaries[:len(n.boundaries)-1]
	case isMessage(p) && plainEncoding(p.Encoding):
		out, end = n.entity(body, limit, bodyEnd, indent+"m", false, depth+1)
	}
	bodyEnd = max(bodyEnd, end)
	return fmt.Sprintf("%s%d %d %d\n", indent, start, headerEnd, bodyEnd) + out, bodyEnd
}

func (n *naive) multipart(body, limit, bodyEnd int, boundary, indent string, digest bool, depth int) (string, int) {
	out, last := "", 0
	open := -1
	part := func(at int) {
		if open >= 0 {
			end := at
			if end > open && n.b[end-1] == '\n' {
				end--
				if end > open && n.b[end-1] == '\r' {
					end--
				}
			}
			text, end := n.entity(open, at, end, indent+" ", digest, depth+1)
			out, last = out+text, end
		}
	}
	for i := body; i < limit; {
		end := n.lineEnd(i, limit)
		line := strings.TrimRight(string(n.b[i:end]), " \t\r\n")
		switch line {
		case "--" + boundary:
			part(i)
			open = end
		case "--" + boundary + "--":
			part(i)
			return out, last
		}
		i = end
	}
	if open >= 0 {
		text, end := n.entity(open, limit, bodyEnd, indent+" ", digest, depth+1)
		out, last = out+text, end
	}
	return out, last
}
