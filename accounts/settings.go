package accounts

import "gatepost/server/settings"

// AccountSettings are the effective settings of one account: what inherit.go
// found for each key in the account, its class of service, the account defaults
// of its domain and of the server, and at last the defaults below.
type AccountSettings struct {
	RealName            string        `key:"RealName" help:"the person's name; the comment of From" since:"0.1"`
	Password            string        `key:"Password" help:"the stored form of the password" level:"expert" since:"0.1"`
	PasswordEncryption  string        `key:"PasswordEncryption" default:"SCRAM-SHA-256" values:"SCRAM-SHA-256|clear|A-crpt|U-crpt|MD5|SHA1" help:"how new passwords are stored; clear and A-crpt can be turned back into the password, which APOP and CRAM-MD5 need; U-crpt, MD5 and SHA1 are read but new passwords are stored as SCRAM-SHA-256" since:"0.1"`
	UseAppPassword      settings.Flag `key:"UseAppPassword" default:"YES" help:"the password that is stored here is accepted" since:"0.1"`
	UseSysPassword      settings.Flag `key:"UseSysPassword" default:"NO" level:"expert" help:"the password of the operating system's user is accepted (kept; not used yet)" since:"0.1"`
	UseKerberosPassword settings.Flag `key:"UseKerberosPassword" default:"YES" level:"expert" help:"Kerberos is accepted (kept; not used yet)" since:"0.1"`
	UseCertificateAuth  settings.Flag `key:"UseCertificateAuth" default:"NO" level:"expert" help:"a TLS client certificate is accepted (kept; not used yet)" since:"0.1"`
	UseExtPassword      settings.Flag `key:"UseExtPassword" default:"NO" level:"advanced" help:"the external authentication program is asked (kept; not used yet)" since:"0.1"`
	OSUserName          string        `key:"OSUserName" default:"*" level:"expert" help:"name of the operating system's user; * is the account's name (kept; not used yet)" since:"0.1"`
	RequireAPOP         settings.Flag `key:"RequireAPOP" default:"NO" help:"a password in clear text is refused unless the connection is encrypted" since:"0.1"`
	PWDAllowed          settings.Flag `key:"PWDAllowed" default:"YES" help:"the user may change the password" since:"0.1"`
	PasswordRecovery    settings.Flag `key:"PasswordRecovery" default:"YES" level:"advanced" help:"the password can be recovered by mail (kept; not used yet)" since:"0.1"`
	FailedLoginFlow     settings.Rate `key:"FailedLoginFlow" default:"(10, 1m)" help:"failed logins in a period, above which logins are refused for the rest of it: counted together for all addresses that the account has not lately logged in from, and for each other address and each Client IP alone" since:"0.1"`
	LogLogin            settings.Flag `key:"LogLogin" default:"NO" level:"advanced" help:"logins are logged as major events, at level 2 instead of 3" since:"0.1"`
	MinPasswordLength   int           `key:"MinPasswordLength" default:"0" help:"shortest password that a user may choose" since:"0.1"`
	ServiceClass        string        `key:"ServiceClass" help:"class of service that the account belongs to" since:"0.1"`
	AccessModes         Services      `key:"AccessModes" default:"All" help:"the services that the account may use; the domain has to allow them too" since:"0.1"`

	MaxAccountSize        settings.Size   `key:"MaxAccountSize" default:"unlimited" unit:"bytes" help:"storage limit of all mailboxes together" since:"0.1"`
	QuotaAlert            int             `key:"QuotaAlert" default:"80" unit:"percent" level:"advanced" help:"the connected user is alerted above this part of the storage limit (kept; not used yet)" since:"0.1"`
	QuotaNotice           int             `key:"QuotaNotice" default:"90" unit:"percent" level:"advanced" help:"a notice is mailed above this part of the storage limit (kept; not used yet)" since:"0.1"`
	QuotaSuspend          int             `key:"QuotaSuspend" default:"100" unit:"percent" level:"advanced" help:"incoming mail waits above this part of the storage limit" since:"0.1"`
	MaxMailboxes          int             `key:"MaxMailboxes" default:"-1" help:"number of mailboxes; -1 for no limit" since:"0.1"`
	MaxMessageSize        settings.Size   `key:"MaxMessageSize" default:"unlimited" unit:"bytes" help:"largest incoming message" since:"0.1"`
	MaxMailOutSize        settings.Size   `key:"MaxMailOutSize" default:"unlimited" unit:"bytes" help:"largest message that the user may send" since:"0.1"`
	MailInpFlow           settings.Rate   `key:"MailInpFlow" default:"(-1, 15)" level:"advanced" help:"incoming messages in a period; above, delivery waits" since:"0.1"`
	MailOutFlow           settings.Rate   `key:"MailOutFlow" default:"(-1, 30)" level:"advanced" help:"messages the user may send in a period; above, they are refused" since:"0.1"`
	MailToAll             settings.Flag   `key:"MailToAll" default:"YES" level:"advanced" help:"the account gets mail to all@domain" since:"0.1"`
	RulesAllowed          string          `key:"RulesAllowed" default:"Filter Only" values:"No|Filter Only|All But Exec|Any" help:"rule actions that the user may set (kept; not used yet)" since:"0.1"`
	SignalRulesAllowed    string          `key:"SignalRulesAllowed" default:"Any" values:"No|Filter Only|All But Exec|Any" level:"expert" help:"call rules that the user may set (kept; not used yet)" since:"0.1"`
	RPOPAllowed           settings.Flag   `key:"RPOPAllowed" default:"NO" level:"advanced" help:"the user may edit remote POP records (kept; not used yet)" since:"0.1"`
	RSIPAllowed           settings.Flag   `key:"RSIPAllowed" default:"NO" level:"expert" help:"the user may edit remote SIP records (kept; not used yet)" since:"0.1"`
	AddMailTrailer        settings.Flag   `key:"AddMailTrailer" default:"YES" level:"advanced" help:"the domain's trailer is added to sent mail (kept; not used yet)" since:"0.1"`
	ArchiveMessagesAfter  settings.Period `key:"ArchiveMessagesAfter" default:"0" level:"advanced" help:"age at which messages move to the archive; 0 for never (kept; not used yet)" since:"0.1"`
	DeleteMessagesAfter   settings.Period `key:"DeleteMessagesAfter" default:"0" level:"advanced" help:"age at which messages are deleted; 0 for never (kept; not used yet)" since:"0.1"`
	DefaultMailboxType    string          `key:"DefaultMailboxType" default:"TextMailbox" level:"expert" help:"kept for scripts; all mailboxes have one form" since:"0.1"`
	IMAPSeesNonMail       settings.Flag   `key:"IMAPSeesNonMail" default:"NO" help:"IMAP lists calendars, contacts and the like" since:"0.1"`
	ExternalINBOX         settings.Flag   `key:"ExternalINBOX" default:"NO" level:"expert" help:"kept for scripts" since:"0.1"`
	MaxWebSize            settings.Size   `key:"MaxWebSize" default:"100M" unit:"bytes" level:"advanced" help:"file storage limit (kept; not used yet)" since:"0.1"`
	MaxWebFiles           int             `key:"MaxWebFiles" default:"1000" level:"advanced" help:"number of stored files (kept; not used yet)" since:"0.1"`
	MaxFileSize           settings.Size   `key:"MaxFileSize" default:"unlimited" unit:"bytes" level:"advanced" help:"largest stored file (kept; not used yet)" since:"0.1"`
	DefaultWebPage        string          `key:"DefaultWebPage" default:"default.html" level:"expert" help:"file that is served for a directory (kept; not used yet)" since:"0.1"`
	MaxRosterItems        int             `key:"MaxRosterItems" default:"20" level:"expert" help:"contacts in the roster (kept; not used yet)" since:"0.1"`
	MaxSignalContacts     int             `key:"MaxSignalContacts" default:"10" level:"expert" help:"registrations at a time (kept; not used yet)" since:"0.1"`
	SenderAddressRequired settings.Flag   `key:"SenderAddressRequired" default:"YES" level:"advanced" help:"mail that the user submits has to have one of the account's own addresses as return-path" since:"0.1"`
}

// DomainSettings are the effective settings of one domain: its own, then the
// server's domain defaults, then the defaults below.
type DomainSettings struct {
	MailToUnknown        string          `key:"MailToUnknown" default:"Rejected" values:"Rejected|Discarded|Rerouted to|Accepted and Bounced" help:"what happens to mail for an unknown name" since:"0.1"`
	MailRerouteAddress   string          `key:"MailRerouteAddress" default:"spamtrap" help:"where mail for unknown names goes when it is rerouted; * is the name" since:"0.1"`
	AccessToUnknown      string          `key:"AccessToUnknown" default:"Rejected" values:"Rejected|Discarded|Rerouted to|Accepted and Bounced" level:"advanced" help:"what happens to logins with an unknown name" since:"0.1"`
	AccessRerouteAddress string          `key:"AccessRerouteAddress" default:"error" level:"advanced" help:"account that logins with unknown names open when they are rerouted" since:"0.1"`
	SignalToUnknown      string          `key:"SignalToUnknown" default:"Rejected" values:"Rejected|Discarded|Rerouted to|Accepted and Bounced" level:"expert" help:"what happens to calls for an unknown name (kept; not used yet)" since:"0.1"`
	SignalRerouteAddress string          `key:"SignalRerouteAddress" default:"pbx" level:"expert" help:"where calls for unknown names go when they are rerouted (kept; not used yet)" since:"0.1"`
	ExternalOnUnknown    settings.Flag   `key:"ExternalOnUnknown" default:"NO" level:"advanced" help:"the external authentication program is asked about unknown names (kept; not used yet)" since:"0.1"`
	ExternalOnProvision  settings.Flag   `key:"ExternalOnProvision" default:"NO" level:"advanced" help:"the external authentication program is asked when an account is made (kept; not used yet)" since:"0.1"`
	AutoSignup           settings.Flag   `key:"AutoSignup" default:"NO" level:"advanced" help:"users may make accounts on the login page (kept; not used yet)" since:"0.1"`
	MailToAllAction      ToAll           `key:"MailToAllAction" default:"Authenticated Domain Users" values:"anybody|clients|Authenticated Users|Authenticated Domain Users|Authenticated Administrator|nobody" level:"advanced" help:"who may send to all@domain" since:"0.1"`
	AllWithForwarders    settings.Flag   `key:"AllWithForwarders" default:"NO" level:"advanced" help:"mail to all@domain goes to forwarders too" since:"0.1"`
	ForceSMTPAUTH        string          `key:"ForceSMTPAUTH" default:"nobody" values:"nobody|non-clients|clients|everybody" help:"who has to log in to send with a return-path in this domain" since:"0.1"`
	ClientIPs            settings.IPList `key:"ClientIPs" level:"advanced" help:"client addresses of this domain in addition to the server's (kept; not used yet)" since:"0.1"`
	AccountsLimit        int             `key:"AccountsLimit" default:"-1" help:"number of accounts; -1 for no limit" since:"0.1"`
	ListsLimit           int             `key:"ListsLimit" default:"-1" help:"number of mailing lists; -1 for no limit (kept; not used yet)" since:"0.1"`
	DomainAccessModes    Services        `key:"DomainAccessModes" default:"All" help:"the services that accounts of the domain may use" since:"0.1"`
	AUTHMethods          string          `key:"AUTHMethods" default:"All" level:"expert" help:"kept for scripts" since:"0.1"`
	AccountsLogLevel     int             `key:"AccountsLogLevel" default:"3" level:"advanced" help:"log level of account operations (kept; not used yet)" since:"0.1"`
	MailboxesLogLevel    int             `key:"MailboxesLogLevel" default:"3" level:"advanced" help:"log level of mailbox operations (kept; not used yet)" since:"0.1"`
	CentralDirectory     string          `key:"CentralDirectory" default:"Keep In Sync" level:"expert" help:"kept for scripts" since:"0.1"`
	Foldering            string          `key:"Foldering" default:"flat" level:"expert" help:"kept for scripts; account directories lie directly in the domain directory" since:"0.1"`
	RenameInPlace        settings.Flag   `key:"RenameInPlace" default:"NO" level:"expert" help:"kept for scripts" since:"0.1"`
	FolderIndex          settings.Flag   `key:"FolderIndex" default:"NO" level:"expert" help:"kept for scripts" since:"0.1"`
	WebSitePrefix        string          `key:"WebSitePrefix" default:"~" level:"expert" help:"prefix of personal sites (kept; not used yet)" since:"0.1"`
	CertificateType      string          `key:"CertificateType" default:"Test" values:"Test|NO|YES" level:"advanced" help:"whether the domain has its own certificate (kept; not used yet)" since:"0.1"`
	ClientCertReq        settings.Flag   `key:"ClientCertReq" default:"NO" level:"expert" help:"clients are asked for a certificate (kept; not used yet)" since:"0.1"`
	RelayAddress         string          `key:"RelayAddress" default:"any" level:"advanced" help:"local address of outgoing connections for this domain (kept; not used yet)" since:"0.1"`
	IPAddresses          []string        `key:"IPAddresses" level:"advanced" help:"local addresses that belong to this domain: logins without a domain name on them are the domain's" since:"0.1"`
	PublicServerName     HostName        `key:"PublicServerName" help:"host that mail programs are told to connect to; empty for the first alias of the domain that begins with mail., else the Main Domain's name" since:"0.1"`
	AdminDomain          string          `key:"AdminDomain" level:"advanced" help:"domain whose administrators may administer this one" since:"0.1"`
}
