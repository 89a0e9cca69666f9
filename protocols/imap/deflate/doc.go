// Package deflate is the compressed connection of COMPRESS=DEFLATE (RFC 4978): the DEFLATE format (RFC 1951) without an end.
//
// A client may flush in any way that its library has: with an empty stored block, which ends at a byte border, or with an empty
// block of fixed codes, which does not (Z_PARTIAL_FLUSH of zlib). The Reader returns each byte as soon as its bits were received. The
// one of compress/flate does so only where blocks end at a byte border, and keeps some 45 KB; this one keeps what the
// client's codes can refer to, up to 32 KB, and grows with it.
//
// What a Writer has flushed is complete. It holds a compressor, which is large, only until it is released: the next one begins
// without a history, which the format allows anywhere between two blocks.
package deflate
