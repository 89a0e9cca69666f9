package imap

import (
	"bytes"
	"io"

	"gatepost/accounts/message"
)

// textHas answers BODY and TEXT: the first such key of a message looks for all texts of
// the program, so that a message is read once.
func (x *candidate) textHas(k *searchKey) bool {
	if !x.scanned {
		x.scanned = true
		x.scan()
	}
	found := x.inBody
	if k.header {
		found |= x.inHeader
	}
	return found&(1<<k.number) != 0
}

func (x *candidate) scan() {
	if !x.needContent() || !x.needBody() {
		return
	}
	g := x.program
	for i, text := range g.texts {
		if text == "" {
			x.inHeader |= 1 << i
			x.inBody |= 1 << i
		} else if g.inHeader&(1<<i) != 0 && x.fieldHas(x.wholeHeader(), "", text) {
			x.inHeader |= 1 << i
		}
	}
	x.scanPart(x.content.Summary.Root, true)
}

// foundAll reports whether nothing is left to look for in the body.
func (x *candidate) foundAll() bool { return x.inBody == 1<<len(x.program.texts)-1 }

// scanPart looks through the text of a part and of the parts in it. Text is what a person
// reads: text parts in UTF-8, and the headers of inner parts and messages.
func (x *candidate) scanPart(p *message.Part, root bool) {
	if x.err != nil || x.foundAll() {
		return
	}
	if !root {
		x.scanHeader(p.Header)
	}
	switch {
	case len(p.Children) > 0:
		for _, child := range p.Children {
			x.scanPart(child, false)
		}
	case p.Message != nil:
		x.scanPart(p.Message.Root, false)
	case p.Type == "text" && x.program.ascii && plainEncoding(p.Encoding) && likeASCII(p.Param("charset")):
		x.scanASCII(x.section(p.Body))
	case p.Type == "text":
		r := message.Decode(x.section(p.Body), p.Encoding)
		x.scanText(message.ToUTF8(r, p.Param("charset")))
	}
}

// plainEncoding reports whether a Content-Transfer-Encoding leaves the text as it is.
func plainEncoding(encoding string) bool {
	switch encoding {
	case "", "7bit", "8bit", "binary":
		return true
	}
	return false
}

// likeASCII reports whether the bytes of ASCII letters stand for nothing else in a
// charset.
func likeASCII(charset string) bool {
	for _, prefix := range [...]string{"utf-8", "us-ascii", "iso-8859-", "windows-125", "koi8-"} {
		if len(charset) >= len(prefix) && equalFold(charset[:len(prefix)], prefix) {
			return true
		}
	}
	return charset == ""
}

// section reads a span of the message.
func (x *candidate) section(sp message.Span) *io.SectionReader {
	return io.NewSectionReader(x.body, sp.Start+int64(len(x.content.Prefix)), sp.Size())
}

func (x *candidate) scanHeader(sp message.Span) {
	h := make([]byte, min(sp.Size(), message.MaxHeader))
	n, err := io.ReadFull(x.section(sp), h)
	if err != nil && err != io.ErrUnexpectedEOF && err != io.EOF {
		x.err = err
		return
	}
	for i, text := range x.program.texts {
		if x.inBody&(1<<i) == 0 && x.fieldHas(h[:n], "", text) {
			x.inBody |= 1 << i
		}
	}
}

// scanASCII looks for texts of ASCII letters in a text that needs no conversion.
func (x *candidate) scanASCII(r *io.SectionReader) {
	window := x.borrow()
	longest := x.program.longest
	for at, kept := int64(0), 0; ; {
		n, err := r.ReadAt(window[kept:], at)
		at += int64(n)
		foldASCII(window[kept : kept+n])
		x.search(window[:kept+n])
		if err != nil && err != io.EOF {
			x.err = err
		}
		if err != nil || x.foundAll() {
			return
		}
		kept = copy(window, window[kept+n-min(longest-1, kept+n):kept+n])
	}
}

// search notes which texts are in a folded piece of the body.
func (x *candidate) search(folded []byte) {
	for i, text := range x.program.texts {
		if x.inBody&(1<<i) == 0 && bytes.Contains(folded, []byte(text)) {
			x.inBody |= 1 << i
		}
	}
}

// borrow returns a window that has room for the longest text twice.
func (x *candidate) borrow() []byte {
	if 2*x.program.longest > windowSize {
		return make([]byte, 2*x.program.longest)
	}
	if x.window == nil {
		x.window = windows.Get().(*[windowSize]byte)
	}
	return x.window[:]
}

// scanText looks for the texts in a stream of UTF-8, window by window. What is searched
// begins with as much of what came before as a text that crosses over may have.
func (x *candidate) scanText(r io.Reader) {
	window := x.borrow()
	folded := x.folded[:0]
	defer func() { x.folded = folded }()
	rest := 0 // bytes in the window that are an unfinished letter
	for x.err == nil {
		n, err := r.Read(window[rest:])
		chunk := window[:rest+n]
		whole := len(chunk)
		if err == nil {
			whole = wholeLetters(chunk)
		}
		folded = fold(folded, chunk[:whole])
		x.search(folded)
		if err == io.EOF || x.foundAll() {
			return
		}
		if err != nil {
			x.err = err
		}
		rest = copy(window, chunk[whole:])
		if keep := x.program.longest - 1; len(folded) > keep {
			folded = folded[:copy(folded, folded[len(folded)-keep:])]
		}
	}
}
