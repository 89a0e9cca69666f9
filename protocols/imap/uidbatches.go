package imap

import (
	"strconv"

	"gatepost/protocols/imap/wire"
	"gatepost/server/fault"
)

// UIDBATCHES (draft-ietf-mailmaint-imap-uidbatches): ranges of UIDs with the same number of messages each, the newest first.
const (
	minBatch   = 500
	maxBatches = 1000
)

func uidBatches(s *session, c *call, p *wire.Parser) error {
	p.Space()
	size := int(p.NzNumber())
	first, last := 1, maxBatches
	if p.SkipSpace() {
		first = int(p.NzNumber())
		p.Expect(':')
		if last = int(p.NzNumber()); last < first {
			p.Fail("[CLIENTBUG] the first batch comes before the last one")
		}
	}
	switch err := p.End(); {
	case err != nil:
		return err
	case size < minBatch:
		return &coded{"TOOFEW", no(fault.Invalid, "A batch has at least %d messages", minBatch)}
	case last-first >= maxBatches:
		return &coded{"TOOMANY", no(fault.TooMany, "At most %d batches can be asked for", maxBatches)}
	}
	s.out.Raw("* UIDBATCHES (TAG ").String(c.tag).Byte(')')
	sep := byte(' ')
	for n := first; n <= last; n++ {
		above := s.view.mailbox.Len() - (n-1)*size
		if above <= 0 {
			break
		}
		high := uint64(s.view.mailbox.UID(above))
		if n > 1 {
			high = uint64(s.view.mailbox.UID(above+1)) - 1
		}
		low := uint64(1)
		if below := above - size; below > 0 {
			low = uint64(s.view.mailbox.UID(below + 1))
		}
		s.out.Set(strconv.AppendUint(append(s.out.Buf(), sep), high, 10))
		s.out.Byte(':').Number(low).Spill()
		sep = ','
	}
	s.out.CRLF()
	return nil
}
