// Package subscribers keeps the subscribers of mailing lists, what is asked of people who have not
// answered yet, and what a list remembers from one day to the next.
//
// # Words
//
// A list is known by its number (accounts.MailingList.ID). A subscriber is an address with a mode and
// what bounced. A question is a token that a person was sent: whoever sends it back has read the mail of the address.
//
// # On disk
//
// The directory Subscribers is a store of package index with one shard. Each subscriber is a record of
// its own, so that a change writes one record however many subscribers there are. Keys begin with the number
// of the list (8 bytes, big-endian) and a letter:
//
//	s<address>   a subscriber; the address in lower case
//	t<secret>    the address of the subscriber who has it
//	q<token>     a question
//	a<kind>\x00<address>   the token of the question that an address was asked
//	m<group>     how many questions there are: of all, of an address, of strangers (@), of strangers from a domain (domain@)
//	n            how many subscribers there are in each mode
//	v<name>      a value that the list remembers, such as when the last digest was sent
//
// A value is a version byte and fields in the order of the struct: numbers as varints, texts with their
// length. A field that is added stands at the end and reads as 0 where it is missing.
//
// # Promises
//
// What returned nil is on the disk. Counters change in the commit of what they count. Each list has a bounded number of
// questions, and each address one of each kind; strangers cannot use up those of subscribers.
package subscribers
