// Package admin decides who may do what. Whatever an administrator does to domains, accounts
// and the server, and a user to the own account, is a method of Actor, whichever wire it comes
// by: the CLI (protocols/pwd), pages and HTTP. Behind it are the directory (accounts), the
// router, and the server itself (Server); nothing in them asks for rights.
//
// # Calls
//
// A call has the name of the command that the CLI has for it: RENAMEACCOUNT is
// Actor.RenameAccount. Each goes the same way:
//
//   - find what it is about: the server, a domain, or an object of a domain (find.go);
//   - compare the actor's present rights with what the call needs (rights.go has the table).
//     Who may not administer a domain does not learn whether it exists;
//   - where the table says so, refuse a target with more rights than the actor has;
//   - take out of given settings what the actor may not change, and out of what is shown the
//     secrets that the actor may not see;
//   - do it, and write a record.
//
// An Actor may be kept as long as its session: account and rights are read again at each call.
//
// # Records
//
// The log of the actor's session gets a record of each call: who, about what, and for a
// change the old and the new value of what has changed (record.go). Changes are written at the
// level of major events, refusals at that of problems, looks at that of the dialogue. Secrets
// are never written, neither old nor new ones. When two change the same thing at the same
// time, each record may show the change of the other too.
//
// Errors are those of the directory and of the server, and Denied.
package admin
