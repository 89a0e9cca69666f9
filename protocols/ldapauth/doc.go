// Package ldapauth verifies passwords by directory servers (LDAP, RFC 4511): OpenLDAP and its like, Active Directory. The
// accounts are here; a server only says whether a password is right, and whether it knows a name.
//
// # How a password is verified
//
// A bind with the name that the account has there, and the password (RFC 4513 section 5.1.3). That name is a template
// (LDAPBindDN), or is found by a search that a service account makes (LDAPSearchBase). Of a name, each character that means
// something in a distinguished name (RFC 4514) or in a filter (RFC 4515) is escaped. An empty password never gets to a server:
// a bind without one is "unauthenticated", and succeeds.
//
// # When a server does not answer
//
// The next one of the domain is asked. A server that could not be asked is the last one for half a minute. If none
// can tell, that is fault.Unavailable: clients try again, and nothing counts as a failed login. So are a service account that
// is refused, and a search that finds several names: an administrator has to look.
//
// # Bounds
//
// Each question has its own connection, which ends with it: what one login has done there is nothing to the next. There are
// at most 64 at a time, 16 of them with the servers of one domain, and who finds no room within the time-out is told to come
// again. A server may send 256 KB. Nothing is locked while a server is waited for.
package ldapauth
