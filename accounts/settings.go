package accounts

import "gatepost/server/settings"

// AccountSettings are the effective settings of one account: what inherit.go
// found for each key in the account, its class of service, the account defaults
// of its domain and of the server, and at last the defaults below.
type AccountSettings struct {
	RealName            string        `key:"RealName" help:"the person's name; the comment of From"`
	Password            string        `key:"Password" help:"the stored form of the password" level:"expert"`
	PasswordEncryption  string        `key:"PasswordEncryption" default:"SCRAM-SHA-256" values:"SCRAM-SHA-256|clear|A-crpt|U-crpt|MD5|SHA1" help:"how new passwords are stored; clear and A-crpt can be turned back into the password, which APOP and CRAM-MD5 need; U-crpt, MD5 and SHA1 are read but new passwords are stored as SCRAM-SHA-256"`
	UseAppPassword      settings.Flag `key:"UseAppPassword" default:"YES" help:"the password that is stored here is accepted"`
	UseSysPassword      settings.Flag `key:"UseSysPassword" default:"NO" level:"expert" help:"the password of the operating system's user is accepted"`
	UseKerberosPassword settings.Flag `key:"UseKerberosPassword" default:"YES" level:"expert" help:"Kerberos is accepted"`
	UseCertificateAuth  settings.Flag `key:"UseCertificateAuth" default:"NO" level:"expert" help:"a TLS client certificate is accepted"`
	UseExtPassword      settings.Flag `key:"UseExtPassword" default:"NO" level:"advanced" help:"the external authentication program is asked"`
	OSUserName          string        `key:"OSUserName" default:"*" level:"expert" help:"name of the operating system's user; * is the account's name"`
	RequireAPOP         settings.Flag `key:"RequireAPOP" default:"NO" help:"a password in clear text is refused unless the connection is encrypted"`
	PWDAllowed          settings.Flag `key:"PWDAllowed" default:"YES" help:"the user may change the password"`
	PasswordRecovery    settings.Flag `key:"PasswordRecovery" default:"YES" level:"advanced" help:"the password can be recovered by mail"`
	FailedLoginFlow     settings.Rate `key:"FailedLoginFlow" default:"(10, 1m)" help:"failed logins in a period; above, logins are refused for the rest of it"`
	LogLogin            settings.Flag `key:"LogLogin" default:"NO" level:"advanced" help:"each login is logged as a major event"`
	MinPasswordLength   int           `key:"MinPasswordLength" default:"0" help:"shortest password that a user may choose"`
	ServiceClass        string        `key:"ServiceClass" help:"class of service that the account belongs to"`
	AccessModes         Services      `key:"AccessModes" default:"All" help:"the services that the account may use; the domain has to allow them too"`

	MaxAccountSize        settings.Size   `key:"MaxAccountSize" default:"unlimited" unit:"bytes" help:"storage limit of all mailboxes together"`
	QuotaAlert            int             `key:"QuotaAlert" default:"80" unit:"percent" level:"advanced" help:"the connected user is alerted above this part of the storage limit"`
	QuotaNotice           int             `key:"QuotaNotice" default:"90" unit:"percent" level:"advanced" help:"a notice is mailed above this part of the storage limit"`
	QuotaSuspend          int             `key:"QuotaSuspend" default:"100" unit:"percent" level:"advanced" help:"incoming mail waits above this part of the storage limit"`
	MaxMailboxes          int             `key:"MaxMailboxes" default:"-1" help:"number of mailboxes; -1 for no limit"`
	MaxMessageSize        settings.Size   `key:"MaxMessageSize" default:"unlimited" unit:"bytes" help:"largest incoming message"`
	MaxMailOutSize        settings.Size   `key:"MaxMailOutSize" default:"unlimited" unit:"bytes" help:"largest message that the user may send"`
	MailInpFlow           settings.Rate   `key:"MailInpFlow" default:"(-1, 15)" level:"advanced" help:"incoming messages in a period; above, delivery waits"`
	MailOutFlow           settings.Rate   `key:"MailOutFlow" default:"(-1, 30)" level:"advanced" help:"messages the user may send in a period; above, they are refused"`
	MailToAll             settings.Flag   `key:"MailToAll" default:"YES" level:"advanced" help:"the account gets mail to all@domain"`
	RulesAllowed          string          `key:"RulesAllowed" default:"Filter Only" values:"No|Filter Only|All But Exec|Any" help:"rule actions that the user may set"`
	SignalRulesAllowed    string          `key:"SignalRulesAllowed" default:"Any" values:"No|Filter Only|All But Exec|Any" level:"expert" help:"call rules that the user may set"`
	RPOPAllowed           settings.Flag   `key:"RPOPAllowed" default:"NO" level:"advanced" help:"the user may edit remote POP records"`
	RSIPAllowed           settings.Flag   `key:"RSIPAllowed" default:"NO" level:"expert" help:"the user may edit remote SIP records"`
	AddMailTrailer        settings.Flag   `key:"AddMailTrailer" default:"YES" level:"advanced" help:"the domain's trailer is added to sent mail"`
	ArchiveMessagesAfter  settings.Period `key:"ArchiveMessagesAfter" default:"0" level:"advanced" help:"age at which messages move to the archive; 0 for never"`
	DeleteMessagesAfter   settings.Period `key:"DeleteMessagesAfter" default:"0" level:"advanced" help:"age at which messages are deleted; 0 for never"`
	DefaultMailboxType    string          `key:"DefaultMailboxType" default:"TextMailbox" level:"expert" help:"kept for scripts; all mailboxes have one form"`
	IMAPSeesNonMail       settings.Flag   `key:"IMAPSeesNonMail" default:"NO" help:"IMAP lists calendars, contacts and the like"`
	ExternalINBOX         settings.Flag   `key:"ExternalINBOX" default:"NO" level:"expert" help:"kept for scripts"`
	MaxWebSize            settings.Size   `key:"MaxWebSize" default:"100M" unit:"bytes" level:"advanced" help:"file storage limit"`
	MaxWebFiles           int             `key:"MaxWebFiles" default:"1000" level:"advanced" help:"number of stored files"`
	MaxFileSize           settings.Size   `key:"MaxFileSize" default:"unlimited" unit:"bytes" level:"advanced" help:"largest stored file"`
	DefaultWebPage        string          `key:"DefaultWebPage" default:"default.html" level:"expert" help:"file that is served for a directory"`
	MaxRosterItems        int             `key:"MaxRosterItems" default:"20" level:"expert" help:"contacts in the roster"`
	MaxSignalContacts     int             `key:"MaxSignalContacts" default:"10" level:"expert" help:"registrations at a time"`
	SenderAddressRequired settings.Flag   `key:"SenderAddressRequired" default:"YES" level:"advanced" help:"mail that the user submits has to have one of the account's own addresses as return-path"`
}

// DomainSettings are the effective settings of one domain: its own, then the
// server's domain defaults, then the defaults below.
type DomainSettings struct {
	MailToUnknown        string          `key:"MailToUnknown" default:"Rejected" values:"Rejected|Discarded|Rerouted to|Accepted and Bounced" help:"what happens to mail for an unknown name"`
	MailRerouteAddress   string          `key:"MailRerouteAddress" default:"spamtrap" help:"where mail for unknown names goes when it is rerouted; * is the name"`
	AccessToUnknown      string          `key:"AccessToUnknown" default:"Rejected" values:"Rejected|Discarded|Rerouted to|Accepted and Bounced" level:"advanced" help:"what happens to logins with an unknown name"`
	AccessRerouteAddress string          `key:"AccessRerouteAddress" default:"error" level:"advanced" help:"account that logins with unknown names open when they are rerouted"`
	SignalToUnknown      string          `key:"SignalToUnknown" default:"Rejected" values:"Rejected|Discarded|Rerouted to|Accepted and Bounced" level:"expert" help:"what happens to calls for an unknown name"`
	SignalRerouteAddress string          `key:"SignalRerouteAddress" default:"pbx" level:"expert" help:"where calls for unknown names go when they are rerouted"`
	ExternalOnUnknown    settings.Flag   `key:"ExternalOnUnknown" default:"NO" level:"advanced" help:"the external authentication program is asked about unknown names"`
	ExternalOnProvision  settings.Flag   `key:"ExternalOnProvision" default:"NO" level:"advanced" help:"the external authentication program is asked when an account is made"`
	AutoSignup           settings.Flag   `key:"AutoSignup" default:"NO" level:"advanced" help:"users may make accounts on the login page"`
	MailToAllAction      string          `key:"MailToAllAction" default:"Authenticated Domain Users" level:"advanced" help:"who may send to all@domain"`
	AllWithForwarders    settings.Flag   `key:"AllWithForwarders" default:"NO" level:"advanced" help:"mail to all@domain goes to forwarders too"`
	ForceSMTPAUTH        string          `key:"ForceSMTPAUTH" default:"nobody" values:"nobody|non-clients|clients|everybody" help:"who has to log in to send with a return-path in this domain"`
	ClientIPs            settings.IPList `key:"ClientIPs" level:"advanced" help:"client addresses of this domain in addition to the server's"`
	AccountsLimit        int             `key:"AccountsLimit" default:"-1" help:"number of accounts; -1 for no limit"`
	ListsLimit           int             `key:"ListsLimit" default:"-1" help:"number of mailing lists; -1 for no limit"`
	DomainAccessModes    Services        `key:"DomainAccessModes" default:"All" help:"the services that accounts of the domain may use"`
	AUTHMethods          string          `key:"AUTHMethods" default:"All" level:"expert" help:"kept for scripts"`
	AccountsLogLevel     int             `key:"AccountsLogLevel" default:"3" level:"advanced" help:"log level of account operations"`
	MailboxesLogLevel    int             `key:"MailboxesLogLevel" default:"3" level:"advanced" help:"log level of mailbox operations"`
	CentralDirectory     string          `key:"CentralDirectory" default:"Keep In Sync" level:"expert" help:"kept for scripts"`
	Foldering            string          `key:"Foldering" default:"flat" level:"expert" help:"kept for scripts; account directories lie directly in the domain directory"`
	RenameInPlace        settings.Flag   `key:"RenameInPlace" default:"NO" level:"expert" help:"kept for scripts"`
	FolderIndex          settings.Flag   `key:"FolderIndex" default:"NO" level:"expert" help:"kept for scripts"`
	WebSitePrefix        string          `key:"WebSitePrefix" default:"~" level:"expert" help:"prefix of personal sites"`
	CertificateType      string          `key:"CertificateType" default:"Test" values:"Test|NO|YES" level:"advanced" help:"whether the domain has its own certificate"`
	ClientCertReq        settings.Flag   `key:"ClientCertReq" default:"NO" level:"expert" help:"clients are asked for a certificate"`
	RelayAddress         string          `key:"RelayAddress" default:"any" level:"advanced" help:"local address of outgoing connections for this domain"`
	IPAddresses          []string        `key:"IPAddresses" level:"advanced" help:"local addresses that belong to this domain: logins without a domain name on them are the domain's"`
	AdminDomain          string          `key:"AdminDomain" level:"advanced" help:"domain whose administrators may administer this one"`
}
