// Package vcard knows what a contact is: a vCard of version 2.1, 3.0 or 4.0. It opens no file and no connection.
//
// Parse keeps every byte of a card (Card.Text): what is stored and returned is what the client wrote. Validate says
// whether a card may be stored in an address book (RFC 6352 section 5.1). Convert writes a card in another version;
// what the other version has no word for is kept as it is, so that nothing is lost. A Filter is that of an
// addressbook-query (RFC 6352 section 10.5). A Summary is what lists and searches ask for most, in a compact form.
//
// RFC 6350 (vCard 4.0), 2426 (3.0), 6352 (CardDAV), 6868 (parameters); vCard 2.1 is read as programs write it.
package vcard
