// Package groupware keeps the calendars, task lists and address books of accounts.
//
// # Words
//
// A collection is a mailbox of class IPF.Appointment, IPF.Task or IPF.Contact, or the one that the preferences
// CalendarBox, TasksBox and ContactsBox name, which is the account's main one. It holds items: a calendar object
// (RFC 4791 section 4.1) or a card (RFC 6352 section 5.1) each. An item is one message of the mailbox, see package
// mailbox; its text is what a client has stored, byte for byte.
//
// # Rights
//
// Whoever is not the owner has what the mailbox's ACL gives (package access): Read reads items, Insert makes them, Delete removes
// them, Insert with Delete or Write changes them. A collection that the user may not look up does not exist for him.
//
// # Messages
//
// The message of an item is its text as text/calendar or text/vcard, as it is or in base64, so that it reads back the
// same (message.go). Messages that came otherwise (IMAP, an import of mailboxes, a rule) become items when the collection is
// next used, if they hold a calendar object or a card.
//
// # Properties
//
// Name, colour and order of a collection are texts, each user's own; one that a user has not set is the owner's.
//
// The package has no state of its own. RFC 4791, 6352 (stored objects), 6578 (changes).
package groupware
