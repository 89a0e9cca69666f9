// Package junk tells by statistics how much a message looks like those that people have put into their Junk mailboxes.
//
// # Words
//
// A token is a word of a message with the place where it stands, as a hash. A message is learned, as junk or as ham (mail
// that is wanted), when somebody says what it is. A table has how many messages of each kind had a token. The
// score of a message is 0 (ham) to 100 (junk); 50 says nothing. Rules see an X for each 5 points above 50 (package delivery).
//
// # Learning
//
// People say what a message is by what they do with it (filter.go):
//
//	junk  moved or copied into the Junk mailbox; marked with the keyword $Junk or Junk
//	ham   moved out of the Junk mailbox, but not into the Trash; moved from INBOX into another mailbox than
//	      Junk, Trash, Drafts and Sent; answered; marked with $NotJunk, NotJunk or NonJunk
//
// What delivery does by itself teaches nothing. A message is learned once for each thing that is said of it: the table
// knows by a hash of its tokens what was learned last, and what is said later takes the place of that. Learning follows the
// commands of clients and never holds them up; what was not learned yet when the server stops is not learned.
//
// # Scoring
//
// The tokens that tell most are combined by Fisher's method, as G. Robinson proposed ("A Statistical Approach to the Spam
// Problem", Linux Journal 2003): the score is 50 + 50 (S - H), where S and H say how unlikely it is that tokens so
// junky, and so hammy, meet by chance. Words that attackers add to pass for ham move S and H together, and the score towards 50. A token
// that was seen in few messages counts little. At most maxTokens of a message are looked at, from its first maxText bytes, so
// that a message costs below a millisecond.
//
// An account's table counts four times against that of its domain, which has what all its accounts have
// said; where the account has said little yet, the domain's stands alone. In the table of a domain a message counts once, and an
// account for no more than a quarter, so that nobody teaches a whole domain alone.
//
// # Tables
//
// A table is one file, Junk.data, in the directory of the account, or among the settings of the domain: it moves and
// goes with them. It has a fixed size and holes where nothing is, see table.go. It is no mail: when it
// cannot be read it is set aside, and the account starts anew.
package junk
