package imap

import (
	"bytes"
	"io"

	"gatepost/accounts/message"
	"gatepost/accounts/message/searchtext"
)

// searchBody is for the keys BODY and TEXT: the first one that is applied to a message searches for all texts
// of the program, so that the message is read once.
func (x *candidate) searchBody() {
	if x.done&inBody != 0 {
		return
	}
	x.done |= inBody
	g := x.searchProgram
	for _, n := range g.inBody {
		x.found[n] = x.found[n] || len(g.texts[n].text) == 0
	}
	if len(g.inHeader) > 0 {
		x.searchWholeHeader()
	}
	if !x.foundAll(g.inBody) && x.needSummary() && x.needBody() {
		searchtext.Walk(x.summary.Root, bodyScan{x})
	}
}

// bodyScan searches the text parts of a message, and the headers of inner parts and messages.
type bodyScan struct{ *candidate }

// Header searches the header of an inner part.
func (x bodyScan) Header(sp message.Span) bool {
	prefix := int64(len(x.content.Prefix))
	x.searchHeader(x.read(message.Span{Start: sp.Start + prefix, End: sp.End + prefix}), x.searchProgram.inInner)
	return x.goesOn()
}

// Text searches a text part.
func (x bodyScan) Text(p *message.Part) bool {
	text := io.NewSectionReader(x.body, p.Body.Start+int64(len(x.content.Prefix)), p.Body.Size())
	if x.searchProgram.ascii && plainEncoding(p.Encoding) && likeASCII(p.Param("charset")) {
		x.scanASCII(text)
	} else {
		x.scanText(searchtext.Text(p, text))
	}
	return x.goesOn()
}

func (x bodyScan) goesOn() bool { return x.err == nil && !x.foundAll(x.searchProgram.inBody) }

// plainEncoding reports whether a Content-Transfer-Encoding leaves the text unchanged.
func plainEncoding(encoding string) bool {
	switch encoding {
	case "", "7bit", "8bit", "binary":
		return true
	}
	return false
}

// likeASCII reports whether the bytes of ASCII characters mean nothing else in a
// charset.
func likeASCII(charset string) bool {
	for _, prefix := range [...]string{"utf-8", "us-ascii", "iso-8859-", "windows-125", "koi8-"} {
		if len(charset) >= len(prefix) && equalFold(charset[:len(prefix)], prefix) {
			return true
		}
	}
	return charset == ""
}

// scanASCII searches a text that needs no conversion for ASCII texts.
func (x *candidate) scanASCII(r *io.SectionReader) {
	window := x.borrow()
	for at, kept := int64(0), 0; ; {
		n, err := r.ReadAt(window[kept:], at)
		at += int64(n)
		foldASCII(window[kept : kept+n])
		x.search(window[:kept+n])
		if err != nil && err != io.EOF && x.err == nil {
			x.err = err
		}
		if err != nil || x.err != nil || x.foundAll(x.searchProgram.inBody) {
			return
		}
		kept = copy(window, x.tail(window[:kept+n]))
	}
}

// search records which texts a folded piece of the body contains.
func (x *candidate) search(folded []byte) {
	x.work(len(folded))
	looked := 0
	for _, n := range x.searchProgram.inBody {
		if x.found[n] {
			continue
		}
		if looked++; looked%textsPerByte == 0 {
			if x.work(len(folded)); x.err != nil {
				return
			}
		}
		x.found[n] = bytes.Contains(folded, x.searchProgram.texts[n].text)
	}
}

// textsPerByte is for how many texts a piece can be searched in the time that it takes to decode
// it.
const textsPerByte = 8

// tail returns the end of a folded piece, where a text may begin that ends in the next piece.
func (x *candidate) tail(folded []byte) []byte {
	return folded[max(len(folded)-max(x.searchProgram.longest-1, 0), 0):]
}

// borrow returns a window with room for the longest text twice.
func (x *candidate) borrow() []byte {
	if 2*x.searchProgram.longest > windowSize {
		return make([]byte, 2*x.searchProgram.longest)
	}
	if x.window == nil {
		x.window = windows.Get().(*[windowSize]byte)
	}
	return x.window[:]
}

// scanText searches a stream of UTF-8, window by window. Each piece begins with the tail of the one before,
// so that texts across the border are found. The reader may return few bytes at a time:
// the window is filled before it is searched.
func (x *candidate) scanText(r io.Reader) {
	window := x.borrow()
	folded := x.folded[:0]
	defer func() { x.folded = folded[:0] }()
	for rest := 0; ; { // bytes of an incomplete character at the beginning of the window
		n, err := io.ReadFull(r, window[rest:])
		chunk := window[:rest+n]
		whole := len(chunk)
		if err == nil {
			whole = searchtext.WholeRunes(chunk)
		}
		folded = searchtext.Fold(folded, chunk[:whole])
		x.search(folded)
		if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF && x.err == nil {
			x.err = err
		}
		if err != nil || x.err != nil || x.foundAll(x.searchProgram.inBody) {
			return
		}
		rest = copy(window, chunk[whole:])
		folded = folded[:copy(folded, x.tail(folded))]
	}
}
