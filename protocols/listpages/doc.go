// Package listpages has the pages of mailing lists for everybody, below /Lists/ of HTTPU. They need no script.
//
//	/Lists/                          the lists of the domain of the Host that are Listed
//	/Lists/NAME/                     what the list is about, and the form to subscribe
//	/Lists/NAME/subscribe            POST asks for a subscription
//	/Lists/NAME/confirm/TOKEN        answers a question that was sent by mail
//	/Lists/NAME/options/SECRET       what a subscriber gets
//	/Lists/NAME/unsubscribe/SECRET   ends a subscription; a POST of List-Unsubscribe=One-Click does so at once (RFC 8058)
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
// # Failures
//
// What a person can put right is told on a page of the list, in its language; the rest is passed to http.Refuse. Texts in
// English are the keys of the Russian ones (texts.go).
package listpages
