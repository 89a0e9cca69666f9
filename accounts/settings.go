package accounts

import "gatepost/server/settings"

// AccountSettings are the effective settings of one account: what inherit.go
// found for each key in the account, its class of service, the account defaults
// of its domain and of the server, and at last the defaults below.
type AccountSettings struct {
	RealName              string        `key:"RealName" help:"the person's name; the comment of From" since:"0.1"`
	Password              string        `key:"Password" secret:"yes" help:"the stored form of the password" level:"expert" since:"0.1"`
	PasswordEncryption    string        `key:"PasswordEncryption" default:"SCRAM-SHA-256" values:"SCRAM-SHA-256|clear|A-crpt|U-crpt|MD5|SHA1" help:"how new passwords are stored; clear and A-crpt can be turned back into the password, which APOP and CRAM-MD5 need; U-crpt, MD5 and SHA1 are read but new passwords are stored as SCRAM-SHA-256" since:"0.1"`
	UseAppPassword        settings.Flag `key:"UseAppPassword" default:"YES" help:"the password that is stored here is accepted" since:"0.1"`
	UseExtPassword        settings.Flag `key:"UseExtPassword" default:"NO" help:"a password that External Authentication knows is accepted (ExternalAUTH of the server settings, LDAPServers of the domain)" since:"0.2"`
	UseCertificateAuth    settings.Flag `key:"UseCertificateAuth" default:"NO" help:"a client certificate lets in that has an address of the account and is signed by an authority of the domain (ClientCertCA)" since:"0.2"`
	UseSysPassword        settings.Flag `key:"UseSysPassword" default:"NO" help:"the password of a user of the operating system is accepted (SysPasswordVia of the server settings)" since:"0.1"`
	OSUserName            string        `key:"OSUserName" default:"*" help:"that user; * is the account's name" since:"0.1"`
	RequireAPOP           settings.Flag `key:"RequireAPOP" default:"NO" help:"a password in clear text is refused unless the connection is encrypted" since:"0.1"`
	PWDAllowed            settings.Flag `key:"PWDAllowed" default:"YES" help:"the user may change the password" since:"0.1"`
	FailedLoginFlow       settings.Rate `key:"FailedLoginFlow" default:"(10, 1m)" help:"failed logins in a period, above which logins are refused for the rest of it: counted together for all addresses that the account has not lately logged in from, and for each other address and each Client IP alone" since:"0.1"`
	LogLogin              settings.Flag `key:"LogLogin" default:"NO" level:"advanced" help:"logins are logged as major events, at level 2 instead of 3" since:"0.1"`
	MinPasswordLength     int           `key:"MinPasswordLength" default:"0" help:"shortest password that a user may choose" since:"0.1"`
	PasswordComplexity    string        `key:"PasswordComplexity" default:"any" values:"any|letters and digits|mixed case and digits|mixed case and digits and symbols" help:"what a password that a user chooses has to be made of" since:"0.2"`
	RefuseCommonPasswords settings.Flag `key:"RefuseCommonPasswords" default:"YES" help:"a user may not choose one of the commonest passwords, or one made of the name of the account, its domain or its owner" since:"0.2"`
	PasswordHistory       int           `key:"PasswordHistory" default:"0" help:"former passwords, 24 at most, that a user may not choose again; with 1 or more, the present one neither" since:"0.2"`
	DevicePasswordsOnly   string        `key:"DevicePasswordsOnly" default:"second factor" values:"second factor|YES|NO" help:"mail programs log in with device passwords alone, and the account's own password is for pages and the command line: if the account has a second factor, always, or never" since:"0.2"`
	ServiceClass          string        `key:"ServiceClass" help:"class of service that the account belongs to" since:"0.1"`
	AccessModes           Services      `key:"AccessModes" default:"All" help:"the services that the account may use; the domain has to allow them too" since:"0.1"`

	MaxAccountSize        settings.Size   `key:"MaxAccountSize" default:"unlimited" unit:"bytes" help:"storage limit of all mailboxes together" since:"0.1"`
	QuotaSuspend          int             `key:"QuotaSuspend" default:"100" unit:"percent" level:"advanced" help:"incoming mail waits above this part of the storage limit" since:"0.1"`
	QuotaNotice           int             `key:"QuotaNotice" default:"90" unit:"percent" help:"a notice is put into INBOX when the mailboxes hold more than this part of the storage limit; 0 for none" since:"0.3"`
	MaxMailboxes          int             `key:"MaxMailboxes" default:"-1" help:"number of mailboxes; -1 for no limit" since:"0.1"`
	MaxWebSize            settings.Size   `key:"MaxWebSize" default:"100M" unit:"bytes" help:"limit of the account's files" since:"0.2"`
	MaxWebFiles           int             `key:"MaxWebFiles" default:"1000" help:"number of files and directories that the account may have; -1 for no limit" since:"0.2"`
	DefaultWebPage        string          `key:"DefaultWebPage" default:"default.html" help:"file that is shown for a directory of the personal site" since:"0.3"`
	MaxFileSize           settings.Size   `key:"MaxFileSize" default:"unlimited" unit:"bytes" help:"largest file" since:"0.2"`
	MaxMessageSize        settings.Size   `key:"MaxMessageSize" default:"unlimited" unit:"bytes" help:"largest incoming message" since:"0.1"`
	MaxMailOutSize        settings.Size   `key:"MaxMailOutSize" default:"unlimited" unit:"bytes" help:"largest message that the user may send" since:"0.1"`
	MailInpFlow           settings.Rate   `key:"MailInpFlow" default:"(-1, 15)" level:"advanced" help:"incoming messages in a period; above, delivery waits" since:"0.1"`
	MailOutFlow           settings.Rate   `key:"MailOutFlow" default:"(-1, 30)" level:"advanced" help:"messages the user may send in a period; above, they are refused" since:"0.1"`
	MailToAll             settings.Flag   `key:"MailToAll" default:"YES" level:"advanced" help:"the account gets mail to all@domain" since:"0.1"`
	ArchiveMessagesAfter  settings.Period `key:"ArchiveMessagesAfter" default:"0" help:"messages that have been in INBOX for so long are moved to the Archive mailbox; 0 for never" since:"0.3"`
	DeleteMessagesAfter   settings.Period `key:"DeleteMessagesAfter" default:"0" help:"messages that have been in INBOX for so long are deleted; 0 for never" since:"0.3"`
	SearchIndex           settings.Flag   `key:"SearchIndex" default:"YES" level:"advanced" help:"whether the texts of messages are indexed, if the server does; if off, searches in this account read the messages" since:"0.3"`
	IMAPSeesNonMail       settings.Flag   `key:"IMAPSeesNonMail" default:"NO" help:"IMAP lists calendars, contacts and the like" since:"0.1"`
	AddMailTrailer        settings.Flag   `key:"AddMailTrailer" default:"YES" help:"the domain's trailer (MailTrailer) is added to mail that the user submits by SMTP for recipients elsewhere" since:"0.2"`
	RPOPAllowed           settings.Flag   `key:"RPOPAllowed" default:"NO" help:"the user may edit the account's remote accounts (RPOP)" since:"0.2"`
	RulesAllowed          string          `key:"RulesAllowed" default:"Filter Only" values:"No|Filter Only|All But Exec|Any" help:"what the user may do with rules of their own: nothing, store, mark and reject mail and answer it with a vacation message, everything but run programs, everything" since:"0.1"`
	CalendarUserType      string          `key:"CalendarUserType" default:"INDIVIDUAL" values:"INDIVIDUAL|ROOM|RESOURCE" help:"what the account is for calendars: a person, or a room or a resource that answers invitations by itself" since:"0.2"`
	BookingPolicy         string          `key:"BookingPolicy" default:"Automatic" values:"Automatic|Ask" help:"how a room or a resource answers: at once, by whether it is free; or whoever may change its calendar answers there" since:"0.2"`
	BookedBy              string          `key:"BookedBy" default:"Domain" values:"Domain|Server|Everybody|List" help:"who may book it: accounts of its domain, of this server, everybody, or those in Bookers alone" since:"0.2"`
	Bookers               []string        `key:"Bookers" help:"addresses that may book it besides" since:"0.2"`
	BookingHorizon        settings.Period `key:"BookingHorizon" default:"365d" level:"advanced" help:"how far ahead it may be booked, and up to when the instances of a series are compared with other bookings" since:"0.2"`
	BookingMaxLength      settings.Period `key:"BookingMaxLength" default:"0" level:"advanced" help:"longest booking; 0 for no limit" since:"0.2"`
	SenderAddressRequired settings.Flag   `key:"SenderAddressRequired" default:"YES" level:"advanced" help:"mail that the user submits has to have one of the account's own addresses as return-path" since:"0.1"`
	JunkFilter            settings.Flag   `key:"JunkFilter" default:"YES" help:"the junk filter learns from what the user moves into and out of the Junk mailbox, and adds X-Junk-Score to incoming mail when it has learned enough" since:"0.3"`
	JunkScore             int             `key:"JunkScore" default:"95" help:"score from which on incoming mail goes into the Junk mailbox instead of INBOX, 50 to 100; 0 for no mail" since:"0.3"`
	JunkLearnFirst        int             `key:"JunkLearnFirst" default:"20" level:"advanced" help:"messages of each kind, junk and wanted, that the filter must have learned before it gives scores" since:"0.3"`
}

// DomainSettings are the effective settings of one domain: its own, then the
// server's domain defaults, then the defaults below.
type DomainSettings struct {
	SenderPolicy
	LDAPSettings

	MailToUnknown        string          `key:"MailToUnknown" default:"Rejected" values:"Rejected|Discarded|Rerouted to|Accepted and Bounced" help:"what happens to mail for an unknown name" since:"0.1"`
	MailRerouteAddress   string          `key:"MailRerouteAddress" default:"spamtrap" help:"where mail for unknown names goes when it is rerouted; * is the name" since:"0.1"`
	ExternalOnUnknown    settings.Flag   `key:"ExternalOnUnknown" default:"NO" help:"External Authentication is asked about unknown names, of mail and of logins, and may make the account (ExternalAUTH of the server settings, LDAPSearchBase)" since:"0.2"`
	AccessToUnknown      string          `key:"AccessToUnknown" default:"Rejected" values:"Rejected|Discarded|Rerouted to|Accepted and Bounced" level:"advanced" help:"what happens to logins with an unknown name" since:"0.1"`
	AccessRerouteAddress string          `key:"AccessRerouteAddress" default:"error" level:"advanced" help:"account that logins with unknown names open when they are rerouted" since:"0.1"`
	SignalToUnknown      string          `key:"SignalToUnknown" default:"Rejected" values:"Rejected|Discarded|Rerouted to|Accepted and Bounced" level:"expert" help:"how calls for an unknown name are routed" since:"0.1"`
	SignalRerouteAddress string          `key:"SignalRerouteAddress" default:"pbx" level:"expert" help:"where calls for unknown names go when they are rerouted" since:"0.1"`
	MailToAllAction      ToAll           `key:"MailToAllAction" default:"Authenticated Domain Users" values:"anybody|clients|Authenticated Users|Authenticated Domain Users|Authenticated Administrator|nobody" level:"advanced" help:"who may send to all@domain" since:"0.1"`
	AllWithForwarders    settings.Flag   `key:"AllWithForwarders" default:"NO" level:"advanced" help:"mail to all@domain goes to forwarders too" since:"0.1"`
	ForceSMTPAUTH        string          `key:"ForceSMTPAUTH" default:"nobody" values:"nobody|non-clients|clients|everybody" help:"who has to log in to send with a return-path in this domain" since:"0.1"`
	ClientIPs            settings.IPList `key:"ClientIPs" level:"advanced" help:"Client IPs of this domain, beside those of the server: their mail with a return-path in the domain is relayed without a login, and its accounts that are not Mobile log in from there" since:"0.3"`
	ShareJunkLearning    settings.Flag   `key:"ShareJunkLearning" default:"YES" help:"what its accounts say is junk counts for all accounts of the domain, below what each says itself" since:"0.3"`
	PersonalSites        settings.Flag   `key:"PersonalSites" default:"NO" help:"everybody, also without a login, reads the files of accounts of the domain at /~account/, but those in their directories private" since:"0.3"`
	PrincipalSearch      settings.Flag   `key:"PrincipalSearch" default:"NO" help:"calendar programs find other accounts of the domain by a part of their name or address, to share with them; if off, by the whole address alone" since:"0.3"`
	AccountsLimit        int             `key:"AccountsLimit" default:"-1" help:"number of accounts; -1 for no limit" since:"0.1"`
	ListsLimit           int             `key:"ListsLimit" default:"-1" help:"number of mailing lists; -1 for no limit" since:"0.1"`
	DomainAccessModes    Services        `key:"DomainAccessModes" default:"All" help:"the services that accounts of the domain may use" since:"0.1"`
	IPAddresses          []string        `key:"IPAddresses" level:"advanced" help:"local addresses that belong to this domain: logins without a domain name on them are the domain's" since:"0.1"`
	AUTHMethods          AuthMethods     `key:"AUTHMethods" default:"All" level:"advanced" help:"the login mechanisms (SASL) that are offered on connections to the domain: All, None, or their names; which domain that is follows from the host that the client names in TLS, or from the local address" since:"0.2"`
	PublicServerName     HostName        `key:"PublicServerName" help:"host that mail programs are told to connect to; empty for the first alias of the domain that begins with mail., else the Main Domain's name" since:"0.1"`
	RedirectToHTTPS      settings.Flag   `key:"RedirectToHTTPS" default:"NO" help:"who comes to the domain's pages, calendars and contacts by http is sent to https" since:"0.2"`
	CertificateType      string          `key:"CertificateType" default:"Test" values:"Test|NO|YES|ACME" help:"what encrypted connections to the domain are shown: the server's certificate (Test), the domain's own (YES), one that an authority gives by itself (ACME), or nothing: they are refused (NO)" since:"0.2"`
	CertificateNames     HostNames       `key:"CertificateNames" help:"hosts of the domain that get a certificate by ACME; none for the host that mail programs connect to, if it is the domain's" since:"0.2"`
	PrivateSecureKey     PrivateKey      `key:"PrivateSecureKey" secret:"yes" help:"private key of the domain's certificate, as a data block (DER) or in PEM form" since:"0.2"`
	SecureCertificate    Certificates    `key:"SecureCertificate" help:"the domain's certificate, in the same forms" since:"0.2"`
	CAChain              Certificates    `key:"CAChain" help:"the certificates that signed it, one after the other, in the same forms" since:"0.2"`
	ClientCertReq        settings.Flag   `key:"ClientCertReq" default:"NO" level:"advanced" help:"mail programs that connect to the domain with TLS are asked for a certificate of an authority in ClientCertCA, with which they can log in (EXTERNAL); who has none connects as before" since:"0.2"`
	ClientCertCA         Authorities     `key:"ClientCertCA" level:"advanced" help:"the authorities whose client certificates let accounts of the domain in (UseCertificateAuth): their certificates, in PEM form or as a data block (DER)" since:"0.2"`
	OAuthIssuer          IssuerURL       `key:"OAuthIssuer" level:"advanced" help:"issuer of OpenID Connect whose tokens let accounts of the domain in (OAUTHBEARER, XOAUTH2): its URL, as its tokens have it; empty for none" since:"0.2"`
	OAuthAudience        []string        `key:"OAuthAudience" level:"advanced" help:"whom tokens are for (aud): what the issuer calls this server; a token for nobody of these is refused, and every one while the list is empty" since:"0.2"`
	OAuthClaim           string          `key:"OAuthClaim" default:"email" level:"advanced" help:"the claim of a token that names the account: by its address, or by its name in the domain" since:"0.2"`
	OAuthScope           string          `key:"OAuthScope" level:"advanced" help:"what a token has to allow (scope), with blanks between the words; empty for nothing" since:"0.2"`
	OAuthClientID        string          `key:"OAuthClientID" level:"expert" help:"name with which the issuer is asked about tokens that it alone can read (introspection); empty: such tokens are refused" since:"0.2"`
	OAuthClientSecret    string          `key:"OAuthClientSecret" secret:"yes" level:"expert" help:"the password of that name" since:"0.2"`
	MTASTSMode           string          `key:"MTASTSMode" default:"none" values:"none|testing|enforce" help:"the policy (MTA-STS) that tells other servers to deliver for the domain with a certificate which programs trust: none, testing (they report what would fail), or enforce (they do not deliver otherwise); see the page DNS of the domain" since:"0.2"`
	MTASTSHosts          HostNames       `key:"MTASTSHosts" level:"advanced" help:"mail servers in the policy, as the MX records of the domain name them; none for the host that mail programs connect to" since:"0.2"`
	MTASTSMaxAge         settings.Period `key:"MTASTSMaxAge" default:"7d" level:"advanced" help:"how long others keep the policy, 1d to 365d" since:"0.2"`
	MailTrailer          TrailerText     `key:"MailTrailer" help:"text below mail that users of the domain submit by SMTP for recipients outside of this server, in its plain text; empty for none" since:"0.2"`
	MailTrailerHTML      TrailerText     `key:"MailTrailerHTML" help:"the same as HTML, in the HTML of the mail; empty for none" since:"0.2"`
	AdminDomain          string          `key:"AdminDomain" level:"advanced" help:"domain whose administrators may administer this one" since:"0.1"`
}

// The values of BookingPolicy and BookedBy that are asked for.
const (
	BookingAsk        = "Ask"
	BookedByServer    = "Server"
	BookedByEverybody = "Everybody"
	BookedByList      = "List"
)

// Answers reports whether the account is a room or a resource.
func (s *AccountSettings) Answers() bool { return s.CalendarUserType != "INDIVIDUAL" }
