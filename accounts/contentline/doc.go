// Package contentline reads and writes the lines that iCalendar and vCard are made of.
//
// A content line is "group.NAME;PARAM=value,value:value" (RFC 5545 section 3.1, RFC 6350 section 3.3). It may be
// folded over several lines of text: a line that begins with a space or a tab continues the one before. A Scanner
// unfolds and splits; it says of each Line which bytes it came from, so that what is not understood can be
// written again as it was. The value is kept as it was written: its escapes depend on the property.
//
// Parameter values are decoded (RFC 6868: ^n, ^', ^^) and lose their quotes. Fold writes a line with at most 75
// bytes to a line of text, and never inside a UTF-8 character.
//
// TextMatch is what calendar-query and addressbook-query compare texts with (RFC 4791 section 9.7.5, RFC 6352
// section 10.5.4), in the collations of RFC 4790 and RFC 5051.
package contentline
