package imap

import (
	"gatepost/protocols/imap/deflate"
	"gatepost/protocols/imap/wire"
	"gatepost/server/fault"
)

// compress is COMPRESS (RFC 4978): both directions are compressed behind the tagged OK. What a client sends is decompressed piece by
// piece, into the buffers that hold as much as without: a small input that becomes a large one costs time, not memory.
func compress(s *session, c *call, p *wire.Parser) error {
	p.Space()
	algorithm := p.Keyword()
	if err := p.End(); err != nil {
		return err
	}
	switch {
	case string(algorithm) != "DEFLATE":
		return no(fault.Unsupported, "DEFLATE is the one algorithm")
	case s.compressed:
		return &coded{"COMPRESSIONACTIVE", no(fault.Exists, "The connection is compressed already")}
	}
	c.text = "Compression begins"
	s.answer(c, nil)
	if err := s.out.Flush(); err != nil {
		return err
	}
	c.answered, s.compressed = true, true
	s.in.Reset(deflate.NewReader(s.conn))
	s.in.SetLimits(compressedLimits)
	s.out.Reset(deflate.NewWriter(s.conn))
	return nil
}

// compressedLimits let a client discard less: a refused literal that compresses well costs it next to nothing.
var compressedLimits = func() wire.Limits {
	l := userLimits
	l.Discard = 128 << 20
	return l
}()
