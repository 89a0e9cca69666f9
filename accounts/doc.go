// Package accounts is the directory of one server: its domains and their
// aliases, accounts with aliases, passwords and rights, forwarders, and the
// settings that one inherits from the other. It answers the router (Object,
// DomainName), logs people in (CheckPassword, SCRAM), and owns the message store,
// package mailbox, whose accounts it makes and removes.
package accounts
