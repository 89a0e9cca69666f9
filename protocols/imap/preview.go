package imap

import (
	"gatepost/protocols/imap/wire"
)

// PREVIEW (RFC 8970): the beginning of a message's text, which is made when the message is stored.

// lazyPreview returns the item PREVIEW (LAZY): only what is there without work.
func lazyPreview(p *wire.Parser) fetchItem {
	item := plainItems["PREVIEW"]
	if rest := p.Rest(len(" (LAZY)")); len(rest) >= len(" (LAZY)") && equalFold(rest[:len(" (LAZY)")], " (LAZY)") {
		p.Space()
		p.List(func() { p.Atom() })
		item.kind, item.needs = fetchLazyPreview, needContent
	}
	return item
}

// putPreview writes a PREVIEW item.
func (x *fetching) putPreview(m *fetched, lazy bool) {
	sum := m.summary
	if sum == nil && lazy {
		sum = m.content.StoredSummary()
	}
	x.out.Raw("PREVIEW ")
	if sum == nil {
		x.out.Raw("NIL")
		return
	}
	x.out.Set(wire.AppendString(x.out.Buf(), sum.Preview, x.rev2 || x.utf8))
}
