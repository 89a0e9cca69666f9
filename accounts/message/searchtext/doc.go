// Package searchtext knows which text of a message a search looks through, and in what form. IMAP's SEARCH and the
// full-text index both use it, so that the index has what SEARCH would read.
//
// # What is searched
//
// BODY looks through the text parts, decoded and converted to UTF-8, and the header fields of inner parts and of
// messages within the message. TEXT also looks through the header of the message, which begins with the prefix of the
// store. Each part and each field is a text of its own: nothing is found across their ends.
//
// # In what form
//
// Texts are folded: case is ignored (RFC 9051 section 6.4.4), character by character, so that a text may be folded
// piece by piece. Fields are also unfolded and their encoded words decoded, and each is one text with its name.
package searchtext
