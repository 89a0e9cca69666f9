// Package accounts is the directory of one server: its domains and their
// aliases, accounts with aliases, passwords and rights, forwarders, groups, and the
// settings that one inherits from the other. It answers the router (Object,
// DomainName), logs people in (Logins), and owns the message store,
// package mailbox, whose accounts it makes and removes.
//
// # Words
//
// The Main Domain always exists, bears the name of the server, and is the only
// one whose accounts can have server rights. Secondary domains come and go. A
// domain alias is another name of a domain, an alias another name of an account,
// a forwarder a name that stands for an address anywhere, a group one that stands for
// many. Accounts, aliases, forwarders and groups of a domain share one name space. Names are told apart without
// regard to case and kept in lower case.
//
// An account has a number, its ID, under which the message store knows it. The
// ID never changes, whatever the account is called.
//
// # On disk
//
// The file system is the directory: nothing is read at start that grows with the
// number of domains or accounts, but for the domain aliases and the telephone numbers. All files are text in the data format of package
// dataformat, in the style of one "Key = value;" per line.
//
//	Settings/Main.settings            DomainName: the Main Domain
//	Settings/DomainDefault.settings   domain defaults; AccountDefaults: the server's
//	Settings/DomainAliases.data       {alias = domain;}; DomainAliases.changes (package nametable)
//	Settings/DomainIPs.data           {"address" = domain;}, made of the domains' IPAddresses
//	Settings/Telnums.data             {number = "user@domain";}, the telephone numbers of accounts (telnums.go)
//	Settings/WebUserPrefs.settings    preferences of all accounts
//	Settings/Password.key             the secret that seals reversible passwords, 0600
//	Accounts/                         the Main Domain
//	Domains/<domain>/                 every other one
//	  Settings/domain.settings        its settings; AccountDefaults: its accounts'
//	  Settings/template.settings      what new accounts start with
//	  Settings/access.settings        {account = (right, right);}
//	  Settings/aliases.data           {alias = (account); forwarder = ((address));};
//	                                  aliases.changes (package nametable)
//	  <name>.group                    the settings of a group, with its members
//	  <name>.macnt/                   an account
//	    account.settings              explicit settings
//	    account.info                  last login, addresses of logins; may be deleted at any time
//	Pending/                          what is being made, renamed or removed (pending.go, renames.go)
//
// Keys that start with # are the server's own: #AccountID (identity.go),
// #Suspended, #Reversible. Commands neither show nor change them. Files have no
// version number: keys that are not known are kept, so that an older or newer
// server loses nothing; a stored password carries its version in its
// mark (package password), the changes beside a large table in their first line.
//
// # Snapshots
//
// What was read is kept in bounded caches of immutable snapshots: the server-wide
// files in one serverState, domains and accounts by name. Whoever changes a file
// drops the snapshots made of it afterwards; the next reader makes new ones. A
// file that somebody edits by hand holds after Reload. Domain aliases, and the
// aliases and forwarders of a domain, are tables that follow their changes in memory as
// on the disk, since one of them may have a hundred thousand names (package nametable).
// The names of the accounts and groups of four large domains are kept too, with about 16 MB
// each at most, and count as long as the directory has not changed (namelists.go).
//
// # Changes
//
// Every change is durable when the call returns. A change of one file is one
// atomic replacement (serverFiles.edit), or one line of a large table. What takes more steps survives a crash between
// any two of them, and an error, see pending.go and renames.go. Locks are held for work on the local disk only,
// in this order: realms (the set of domains), the name spaces of domains by name,
// moving (the directories of accounts, while one moves or an account is read), the adoption of
// a directory, stateMu (server-wide files), one file. Passwords are hashed before any of them.
//
// # Special uses
//
// Preferences name the mailboxes for sent mail, drafts, and so on (uses.go). Nothing else
// knows of these uses: new accounts get the mailboxes that their preferences name, and
// whoever gives a mailbox a use or renames it goes through the Store.
//
// # Sessions
//
// A session watches its account (Sessions) and is told when its login would not be
// let in any more: after a change of the password, of the account's name or of what it
// may use, see sessions.go.
//
// # Passwords and logins
//
// How passwords are stored and compared is told in package password. A login that fails gets
// the same answer after the same time whatever the reason, see login.go. Limits
// and the memory of verified passwords are in limits.go; they do not outlive the
// process. The addresses that an account logs in from do (known.go): failures elsewhere
// do not block it there.
package accounts
