// Package fulltext is the index of the texts of messages, which searches look into before they read messages.
//
// # Words
//
// What is indexed is a message file with its prefix (package mailbox): it never changes, copies in an account share it, and its number is not used
// again. So flags, COPY and MOVE are no business of the index.
//
// A text is what package searchtext says that SEARCH looks through, folded. It is split into words: runs of letters, marks and digits of
// any script; in scripts without spaces between words (Chinese, Japanese, Thai and others) each pair of neighbours is a word. A word that is
// too long is indexed in pieces that overlap. Every word is a part of its text.
//
// A segment is the files of one account that were indexed together: a list of the files, and for each of two fields, the header and the body, a
// dictionary of the words with the files that have each. A segment does not change but for files that go; several
// small ones are merged into a larger one (merge.go), so an account has few of them.
//
// # What SEARCH may rely on
//
// SEARCH finds parts of words. The words of a dictionary stand side by side in memory, and are looked through for the part as a message would be: what
// takes milliseconds for a hundred thousand words tells about all messages that have them. A text that is looked for is cut
// into pieces at the ends of words; a message that contains the text has a word with each piece (pieces). So the index answers
//
//	No        when the message lacks a piece
//	Yes       when the text is one piece, and a word has it
//	Unknown   otherwise: the message is read. Also when the message is not in the index, when the index does
//	          not have all of it (more text than MaxIndexedText, a file that cannot be read), and when anything is wrong with the index
//
// What SEARCH finds is the same with the index and without it, whatever the state of the index.
//
// # When messages are indexed
//
// The message store tells the index of files after their commit (mailbox.TextIndex), and that costs it a note in memory. One goroutine, the worker, indexes them
// soon after, and rests for most of the time as long as messages arrive. The notes do not outlive the process. What was missed then, and what was there before there was an index,
// is found when the account gets its first message after a start, or a search finds messages that are not indexed: then all of the account's messages are compared
// with the index. Reindex makes the index of an account anew.
//
// Files that are removed are marked in their segment, which takes them out of every answer; their words go when the segment is written
// anew, which is when one file in eight is gone or with the next merge.
//
// # Bounds
//
// Of a message MaxIndexedText is read. A segment under way takes some 30 MB at most, a merge twice 16 MB and what is
// made of it. 100,000 messages wait with a note each; of more, the account is noted. With less than 256 MB of free disk nothing is
// indexed. While an account is compared with the index, that takes some 40 bytes for each of its messages. A search looks up 64 texts; it holds 9 bytes for each message of the account while it runs.
//
// # On disk
//
// Search/ is a store of package index of its own: it can be lost or removed while the server is stopped, and then it is made anew. Its commits keep nobody waiting. Keys, numbers
// big-endian:
//
//	index.Mail      account(8) segment(8)            head of the segment (segment.go)
//	index.Content   account(8) segment(8) field(1)   its dictionary of a field (dictionary.go)
//
// A segment is committed at once, with all of its files or none. After a crash the index is as it was after some commit, and what it lacks is read. Each file has a mark in
// the head that its record in the message store has to match, in case that one of the two stores was replaced by an older copy.
package fulltext
