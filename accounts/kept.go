package accounts

import (
	"sync"

	"gatepost/server/settings"
)

// This file lists the settings that are kept for scripts and other servers, checked when
// they are given, inherited and shown like others, and that do nothing yet: each with the
// feature that will use it. A feature that comes moves its settings to AccountSettings or
// DomainSettings.

// keptAccountSettings are those of accounts.
type keptAccountSettings struct {
	UseKerberosPassword settings.Flag `key:"UseKerberosPassword" default:"YES" feature:"Kerberos" help:"Kerberos is accepted"`
	PasswordRecovery    settings.Flag `key:"PasswordRecovery" default:"YES" feature:"password recovery" help:"the password can be recovered by mail"`
	QuotaAlert          int           `key:"QuotaAlert" default:"80" unit:"percent" feature:"alerts" help:"the connected user is alerted above this part of the storage limit"`
	SignalRulesAllowed  string        `key:"SignalRulesAllowed" default:"Any" values:"No|Filter Only|All But Exec|Any" feature:"calls" help:"call rules that the user may set"`
	RSIPAllowed         settings.Flag `key:"RSIPAllowed" default:"NO" feature:"calls" help:"the user may edit remote SIP records"`
	DefaultMailboxType  string        `key:"DefaultMailboxType" default:"TextMailbox" feature:"nothing: all mailboxes have one form" help:"form of new mailboxes"`
	ExternalINBOX       settings.Flag `key:"ExternalINBOX" default:"NO" feature:"nothing: all mailboxes have one form" help:"INBOX is a file outside of the base directory"`
	MaxRosterItems      int           `key:"MaxRosterItems" default:"20" feature:"instant messages" help:"contacts in the roster"`
	MaxSignalContacts   int           `key:"MaxSignalContacts" default:"10" feature:"calls" help:"registrations at a time"`
	SignalRules         settings.Free `key:"SignalRules" feature:"calls" help:"the call rules of the account"`
	SyncMode            settings.Free `key:"SyncMode" feature:"storage synchronisation" help:"whether mailboxes are kept in step with another server"`
	SyncServer          settings.Free `key:"SyncServer" feature:"storage synchronisation" help:"the other server"`
	SyncUserName        settings.Free `key:"SyncUserName" feature:"storage synchronisation" help:"the login name there"`
	SyncUserPassword    settings.Free `key:"SyncUserPassword" secret:"yes" feature:"storage synchronisation" help:"the password there"`
	AddWebBanner        settings.Free `key:"AddWebBanner" feature:"web interface" help:"pages get a banner"`
	BannerInfo          settings.Free `key:"BannerInfo" feature:"web interface" help:"data for the banner"`
	HiddenSkins         settings.Free `key:"HiddenSkins" feature:"web interface" help:"skins that are not offered"`
	HiddenProntoModules settings.Free `key:"HiddenProntoModules" feature:"web interface" help:"modules that are not offered"`
	CallInpFlow         settings.Free `key:"CallInpFlow" feature:"calls" help:"incoming calls in a period"`
	CallOutFlow         settings.Free `key:"CallOutFlow" feature:"calls" help:"outgoing calls in a period"`
	NotifyOutFlow       settings.Free `key:"NotifyOutFlow" feature:"calls" help:"notifications in a period"`
	CallsLimit          settings.Free `key:"CallsLimit" feature:"calls" help:"calls at a time"`
	CallLogs            settings.Free `key:"CallLogs" feature:"calls" help:"calls are recorded"`
	IMLogs              settings.Free `key:"IMLogs" feature:"instant messages" help:"instant messages are recorded"`
	DialogInfo          settings.Free `key:"DialogInfo" feature:"calls" help:"the state of calls is published"`
	SIPIMMode           settings.Free `key:"SIPIMMode" feature:"instant messages" help:"how instant messages are sent over SIP"`
	SIPPassword         settings.Free `key:"SIPPassword" secret:"yes" feature:"calls" help:"a password for SIP alone"`
	RADIUSPassword      settings.Free `key:"RADIUSPassword" secret:"yes" feature:"RADIUS" help:"a password for RADIUS alone"`
	PSTNGatewayDomain   settings.Free `key:"PSTNGatewayDomain" feature:"calls" help:"domain of the telephone gateway"`
	PSTNGatewayAuthName settings.Free `key:"PSTNGatewayAuthName" feature:"calls" help:"login name at the telephone gateway"`
	PSTNGatewayPassword settings.Free `key:"PSTNGatewayPassword" secret:"yes" feature:"calls" help:"password at the telephone gateway"`
	PSTNGatewayVia      settings.Free `key:"PSTNGatewayVia" feature:"calls" help:"address of the telephone gateway"`
	PSTNFromName        settings.Free `key:"PSTNFromName" feature:"calls" help:"caller name"`
	PSTNAreaCode        settings.Free `key:"PSTNAreaCode" feature:"calls" help:"area code"`
	PSTNEmergency       settings.Free `key:"PSTNEmergency" feature:"calls" help:"emergency calls"`
	PSTNSMSHost         settings.Free `key:"PSTNSMSHost" feature:"calls" help:"host for text messages"`
}

// keptDomainSettings are those of domains.
type keptDomainSettings struct {
	SignalRules           settings.Free `key:"SignalRules" feature:"calls" help:"the call rules of the domain"`
	ExternalOnProvision   settings.Flag `key:"ExternalOnProvision" default:"NO" feature:"sign-up" help:"the external authentication program is asked when users make accounts themselves"`
	AutoSignup            settings.Flag `key:"AutoSignup" default:"NO" feature:"web interface" help:"users may make accounts on the login page"`
	AccountsLogLevel      int           `key:"AccountsLogLevel" default:"3" feature:"log levels of domains" help:"log level of account operations"`
	MailboxesLogLevel     int           `key:"MailboxesLogLevel" default:"3" feature:"log levels of domains" help:"log level of mailbox operations"`
	CentralDirectory      string        `key:"CentralDirectory" default:"Keep In Sync" feature:"directory" help:"whether directory records follow the objects"`
	Foldering             string        `key:"Foldering" default:"flat" feature:"nothing: account directories lie directly in the directory of the domain" help:"how account directories are spread over subdirectories"`
	RenameInPlace         settings.Flag `key:"RenameInPlace" default:"NO" feature:"nothing: account directories lie directly in the directory of the domain" help:"a renamed account keeps its directory"`
	FolderIndex           settings.Flag `key:"FolderIndex" default:"NO" feature:"nothing: no index of accounts is needed" help:"an index file of all objects is written"`
	WebSitePrefix         string        `key:"WebSitePrefix" default:"~" feature:"file storage" help:"prefix of personal sites"`
	RelayAddress          string        `key:"RelayAddress" default:"any" feature:"source addresses of domains" help:"local address of outgoing connections for this domain"`
	AGradeLimit           settings.Free `key:"AGradeLimit" feature:"nothing: accounts have no grades" help:"number of accounts of grade A"`
	BGradeLimit           settings.Free `key:"BGradeLimit" feature:"nothing: accounts have no grades" help:"number of accounts of grade B"`
	CGradeLimit           settings.Free `key:"CGradeLimit" feature:"nothing: accounts have no grades" help:"number of accounts of grade C"`
	DGradeLimit           settings.Free `key:"DGradeLimit" feature:"nothing: accounts have no grades" help:"number of accounts of grade D"`
	FastStorageType       settings.Free `key:"FastStorageType" feature:"nothing: all mailboxes have one form" help:"how files are stored"`
	ExternalLockType      settings.Free `key:"ExternalLockType" feature:"nothing: all mailboxes have one form" help:"how INBOX files outside are locked"`
	IPMode                settings.Free `key:"IPMode" feature:"addresses of domains by name" help:"how addresses are assigned to the domain"`
	CallOutTelnumSelector settings.Free `key:"CallOutTelnumSelector" feature:"calls" help:"which number calls show"`
	XIMSSMode             settings.Free `key:"XIMSSMode" feature:"web interface" help:"how the web interface connects"`
}

// named is a setting whose value is a dictionary that has a check of its own.
func named(key string) settings.Setting { return settings.Setting{Key: key} }

var (
	accountNames = sync.OnceValue(func() *settings.Names {
		return settings.NamesOf(settings.Describe(new(AccountSettings)), settings.Describe(new(keptAccountSettings)),
			[]settings.Setting{named(keyPrefs), named(keyServiceClasses), named(keyRules), named(KeyAdminPrefs), {Key: KeySecondFactor, Secret: true}})
	})
	domainNames = sync.OnceValue(func() *settings.Names {
		return settings.NamesOf(settings.Describe(new(DomainSettings)), settings.Describe(new(keptDomainSettings)),
			[]settings.Setting{named(keyPrefs), named(keyAccountDefaults), named(keyRules)})
	})
	prefNames = sync.OnceValue(func() *settings.Names {
		var list []settings.Setting
		for key := range builtInPrefs() {
			list = append(list, named(key))
		}
		return settings.NamesOf(list)
	})
)

// AccountSettingNames are the names of the settings of accounts.
func AccountSettingNames() *settings.Names { return accountNames() }

// PreferenceNames are the names of the preferences that the server itself knows; accounts may have others.
func PreferenceNames() *settings.Names { return prefNames() }

// DomainSettingNames are the names of the settings of domains.
func DomainSettingNames() *settings.Names { return domainNames() }
