// Package listpages has the pages of mailing lists for everybody, below /Lists/ of HTTPU. They need no script.
//
//	/Lists/                          the lists of the domain of the Host that are Listed
//	/Lists/NAME/                     what the list is about, and the form to subscribe
//	/Lists/NAME/subscribe            POST asks for a subscription
//	/Lists/NAME/confirm/TOKEN        answers a question that was sent by mail
//	/Lists/NAME/options/SECRET       what a subscriber gets
//	/Lists/NAME/unsubscribe/SECRET   ends a subscription; a POST of List-Unsubscribe=One-Click does so at once (RFC 8058)
//	/Lists/NAME/archive/             months, latest postings, ?q= searches; YYYY-MM a month by threads; KEY a posting, KEY/N/FILE an attachment;
//	                                 feed.atom the latest postings (RFC 4287)
//	/Lists/NAME/enter/SECRET         POST begins the session of a subscriber
//	/Lists/NAME/link                 POST sends a subscriber the link to his options
//	/Lists/NAME/owner/               for the owner and administrators: settings, subscribers, import, export, waiting/TOKEN
//	/Lists/@/login, logout           sessions of accounts
//	/Lists/@DOMAIN/...               the same for another domain than that of the Host
//	/Lists/@/style.css
//
// A GET changes nothing, since scanners of mail open links; its page has a button. SECRET is that of package
// accounts/subscribers, which only the mail of the subscriber has.
//
// # What strangers learn
//
// The answer to a request for a subscription is the same, and takes the same time, whoever is subscribed. One client address
// may ask so often in an hour (Options.Limit), and an address is asked once (package accounts/lists), so that nobody has
// strangers flooded with questions.
//
// # The archive
//
// The setting Browse says who may read it. Accounts log in by a form, subscribers from elsewhere by their link; a session is a random
// number in a cookie, and ends with the password or the subscription (session.go). Programs that read feeds may send name and password.
//
// Nothing of a posting is ever markup: package archive makes text of it, which templates escape. Attachments are sent
// to be stored, with a type that no browser runs, and a policy that forbids all. Nothing is loaded from anywhere. Who has not logged
// in sees no address as a whole.
//
// # Failures
//
// What a person can put right is told on a page of the list, in its language; the rest is passed to http.Refuse. Texts in
// English are the keys of the Russian ones (texts.go).
package listpages
