package admin

import (
	"cmp"
	"slices"
	"strings"

	"gatepost/accounts"
)

// A rule says who may make a call. What is needed is written like this:
//
//	any            everybody who has logged in
//	UserAccounts   a server right: Master, Settings, UserAccounts, Monitor, Directory, CanRejectQueues
//	D              any administrator of the target's domain
//	D:Name         an administrator of the target's domain with the right Name
//	own            the account that the call is about, or that owns the mailing list
//
// Several of them are alternatives. The server right UserAccounts stands for every D, Master
// for all.
type rule struct {
	needs            string
	any, own, domain bool
	server           []string
	codes            []string // D:Name

	changes bool // it changes something, or does what an administrator wants to find in the log
	guards  bool // its target must not have rights that the actor lacks
}

// looks is the rule of a call that changes nothing.
func looks(needs string) rule { return parseRule(needs) }

// changes is the rule of a call that changes something.
func changes(needs string) rule {
	r := parseRule(needs)
	r.changes = true
	return r
}

// guarded has the rule refuse accounts that have rights which the actor lacks.
func (r rule) guarded() rule {
	r.guards = true
	return r
}

// rules is who may do what, by the name of the call.
var rules = map[string]rule{
	// the set of domains and what all of them inherit
	"LISTDOMAINS":                 looks("UserAccounts"),
	"LISTSERVERTELNUMS":           looks("UserAccounts"),
	"CREATEDOMAIN":                changes("UserAccounts"),
	"RENAMEDOMAIN":                changes("UserAccounts"),
	"DELETEDOMAIN":                changes("UserAccounts"),
	"SUSPENDDOMAIN":               changes("UserAccounts"),
	"RESUMEDOMAIN":                changes("UserAccounts"),
	"GETDOMAINDEFAULTS":           looks("UserAccounts"),
	"UPDATEDOMAINDEFAULTS":        changes("UserAccounts"),
	"SETDOMAINDEFAULTS":           changes("UserAccounts"),
	"GETSERVERACCOUNTDEFAULTS":    looks("UserAccounts"),
	"UPDATESERVERACCOUNTDEFAULTS": changes("UserAccounts"),
	"SETSERVERACCOUNTDEFAULTS":    changes("UserAccounts"),
	"GETSERVERACCOUNTPREFS":       looks("UserAccounts"),
	"UPDATESERVERACCOUNTPREFS":    changes("UserAccounts"),
	"SETSERVERACCOUNTPREFS":       changes("UserAccounts"),

	// a domain
	"GETDOMAINSETTINGS":          looks("D"),
	"GETDOMAINEFFECTIVESETTINGS": looks("D"),
	"UPDATEDOMAINSETTINGS":       changes("D"), // of each setting its own right
	"SETDOMAINSETTINGS":          changes("UserAccounts"),
	"GETDOMAINALIASES":           looks("D"),
	"SETDOMAINALIASES":           changes("UserAccounts"),
	"GETDOMAINLOCATION":          looks("UserAccounts"),
	"LISTADMINDOMAINS":           looks("D"),
	"LISTACCOUNTS":               looks("D"),
	"LISTDOMAINOBJECTS":          looks("D"),
	"LISTDOMAINTELNUMS":          looks("D"),
	"GETACCOUNTDEFAULTS":         looks("D"),
	"UPDATEACCOUNTDEFAULTS":      changes("D"), // of each setting its own right
	"SETACCOUNTDEFAULTS":         changes("UserAccounts"),
	"GETACCOUNTTEMPLATE":         looks("D"),
	"UPDATEACCOUNTTEMPLATE":      changes("D"), // of each setting its own right
	"SETACCOUNTTEMPLATE":         changes("UserAccounts"),
	"GETACCOUNTDEFAULTPREFS":     looks("D"),
	"UPDATEACCOUNTDEFAULTPREFS":  changes("D:WebUserSettings"),
	"SETACCOUNTDEFAULTPREFS":     changes("D:WebUserSettings"),

	// an account
	"CREATEACCOUNT":               changes("D:CanCreateAccounts").guarded(), // of each setting its own right
	"IMPORTACCOUNTS":              changes("D:CanCreateAccounts"),           // each line is a CREATEACCOUNT
	"EXPORTACCOUNTS":              changes("D"),                             // it changes nothing, but is to be found; passwords only for those who may see them
	"LISTEXPORTCOLUMNS":           looks("D"),
	"RENAMEACCOUNT":               changes("D:CanCreateAccounts").guarded(),
	"DELETEACCOUNT":               changes("D:CanCreateAccounts").guarded(),
	"SETACCOUNTTYPE":              changes("D:CanCreateAccounts").guarded(),
	"GETACCOUNTSETTINGS":          looks("D own"),
	"GETACCOUNTEFFECTIVESETTINGS": looks("D own"),
	"GETACCOUNTONESETTING":        looks("D own"),
	"UPDATEACCOUNTSETTINGS":       changes("D").guarded(), // of each setting its own right
	"SETACCOUNTSETTINGS":          changes("UserAccounts").guarded(),
	"GETACCOUNTALIASES":           looks("D"),
	"SETACCOUNTALIASES":           changes("D:CanCreateAliases").guarded(),
	"GETACCOUNTTELNUMS":           looks("D"),
	"SETACCOUNTTELNUMS":           changes("D:CanCreateTelnums").guarded(),
	"MODIFYACCOUNTTELNUMS":        changes("D:CanCreateTelnums").guarded(),
	"GETACCOUNTRIGHTS":            looks("D"),
	"LISTADMINISTRATORS":          looks("D"),
	"SETACCOUNTRIGHTS":            changes("UserAccounts").guarded(), // in the Main Domain: Master
	"GETACCOUNTINFO":              looks("D own"),
	"KILLACCOUNTSESSIONS":         changes("D").guarded(),
	"GETACCOUNTLOCATION":          looks("UserAccounts"),
	"GETACCOUNTPREFS":             looks("D own"),
	"GETACCOUNTEFFECTIVEPREFS":    looks("D own"),
	"UPDATEACCOUNTPREFS":          changes("D:WebUserSettings").guarded(),
	"SETACCOUNTPREFS":             changes("D:WebUserSettings").guarded(),
	"GETACCOUNTRPOPS":             looks("D own"),
	"SETACCOUNTRPOPS":             changes("D:CanModifyRPOP own").guarded(), // own: with RPOPAllowed
	"SETACCOUNTPASSWORD":          changes("D:BasicSettings own").guarded(),
	"NEWPASS":                     changes("own"),
	"LISTDEVICEPASSWORDS":         looks("D own"),
	"CREATEDEVICEPASSWORD":        changes("D:BasicSettings own").guarded(), // own: with PWDAllowed
	"REVOKEDEVICEPASSWORD":        changes("D:BasicSettings own").guarded(),
	"REVOKEDEVICEPASSWORDS":       changes("D:BasicSettings own").guarded(),
	"VERIFYACCOUNTPASSWORD":       looks("D").guarded(),
	"VERIFYACCOUNTIDENTITY":       looks("D").guarded(),
	"GETACCOUNTPLAINPASSWORD":     changes("Master"), // it changes nothing, but is to be found

	"GETACCOUNTTOTP":   looks("D own"),
	"SETACCOUNTTOTP":   changes("own"),
	"RESETACCOUNTTOTP": changes("UserAccounts own").guarded(),

	"GETADMINPREFS":    looks("own"),
	"UPDATEADMINPREFS": changes("own"),
	// the junk filter
	"GETACCOUNTJUNK":   looks("D own"),
	"RESETACCOUNTJUNK": changes("D:BasicSettings own").guarded(),
	"GETDOMAINJUNK":    looks("D"),
	"RESETDOMAINJUNK":  changes("UserAccounts"),

	// rules
	"GETSERVERMAILRULES":      looks("Settings"),
	"SETSERVERMAILRULES":      changes("Settings"),
	"GETSERVERSIGNALRULES":    looks("Settings"),
	"SETSERVERSIGNALRULES":    changes("Settings"),
	"GETDOMAINMAILRULES":      looks("D"),
	"SETDOMAINMAILRULES":      changes("D:RulesAllowed"), // in the Main Domain: UserAccounts
	"GETDOMAINSIGNALRULES":    looks("D"),
	"SETDOMAINSIGNALRULES":    changes("D:SignalRulesAllowed"), // in the Main Domain: UserAccounts
	"GETACCOUNTMAILRULES":     looks("D own"),
	"SETACCOUNTMAILRULES":     changes("D:RulesAllowed own").guarded(), // own: what RulesAllowed lets the owner do
	"UPDATEACCOUNTMAILRULE":   changes("D:RulesAllowed own").guarded(), // the same
	"GETACCOUNTSIGNALRULES":   looks("D own"),
	"SETACCOUNTSIGNALRULES":   changes("D:SignalRulesAllowed own").guarded(),
	"UPDATEACCOUNTSIGNALRULE": changes("D:SignalRulesAllowed own").guarded(),
	"RULESTEST":               looks("Settings UserAccounts"),
	"REMOVEACCOUNTSUBSET":     changes("own D:BasicSettings").guarded(),
	"DATASET":                 changes("own D:BasicSettings").guarded(),
	// what proves the mail of a domain
	"LISTDKIMKEYS":    looks("D"),
	"CREATEDKIMKEY":   changes("UserAccounts"),
	"IMPORTDKIMKEY":   changes("UserAccounts"),
	"ACTIVATEDKIMKEY": changes("UserAccounts"),
	"RETIREDKIMKEY":   changes("UserAccounts"),
	"DELETEDKIMKEY":   changes("UserAccounts"),
	"GETDNSRECORDS":   looks("D"),
	"CHECKDNSRECORDS": looks("D"),
	"GETDMARCREPORTS": looks("D"),
	"CHECKHOST":       looks("Settings Monitor"),
	"CHECKTLS":        looks("Settings Monitor"),

	// certificates of domains
	"GETDOMAINCERTIFICATE":    looks("D"),
	"GENERATEDOMAINKEY":       changes("UserAccounts"),
	"CREATEDOMAINCERTIFICATE": changes("UserAccounts"),
	"GETCERTIFICATEREQUEST":   looks("UserAccounts"),
	"IMPORTDOMAINCERTIFICATE": changes("UserAccounts"),
	"IMPORTDOMAINPKCS12":      changes("UserAccounts"),
	"REMOVEDOMAINCERTIFICATE": changes("UserAccounts"),

	// forwarders
	"LISTFORWARDERS":  looks("D"),
	"CREATEFORWARDER": changes("D:CanCreateForwarders").guarded(),
	"RENAMEFORWARDER": changes("D:CanCreateForwarders").guarded(),
	"DELETEFORWARDER": changes("D:CanCreateForwarders").guarded(),
	"GETFORWARDER":    looks("D"),
	"FINDFORWARDERS":  looks("D"),

	// groups
	"LISTGROUPS":  looks("D"),
	"CREATEGROUP": changes("D:CanCreateGroups").guarded(),
	"RENAMEGROUP": changes("D:CanCreateGroups").guarded(),
	"DELETEGROUP": changes("D:CanCreateGroups").guarded(),
	"GETGROUP":    looks("D"),
	"SETGROUP":    changes("D:CanCreateGroups").guarded(),

	// mailing lists
	"LISTLISTS":           looks("D"),
	"GETDOMAINLISTS":      looks("D"),
	"GETACCOUNTLISTS":     looks("D own"),
	"CREATELIST":          changes("D:CanCreateLists").guarded(),
	"RENAMELIST":          changes("D:CanCreateLists").guarded(),
	"DELETELIST":          changes("D:CanCreateLists").guarded(),
	"GETLIST":             looks("D:CanAccessLists own"),
	"UPDATELIST":          changes("D:CanAccessLists own"),
	"LISTSUBSCRIBERS":     looks("D:CanAccessLists own"),
	"READSUBSCRIBERS":     looks("D:CanAccessLists own"),
	"GETSUBSCRIBERINFO":   looks("D:CanAccessLists own"),
	"LIST":                changes("D:CanAccessLists own"),
	"PROCESSBOUNCE":       changes("D:CanAccessLists own"),
	"SETPOSTINGMODE":      changes("D:CanAccessLists own"),
	"CHANGESUBSCRIPTIONS": changes("D:CanAccessLists own"),
	"LISTWAITING":         looks("D:CanAccessLists own"),
	"READWAITING":         looks("D:CanAccessLists own"),
	"APPROVEWAITING":      changes("D:CanAccessLists own"),
	"REJECTWAITING":       changes("D:CanAccessLists own"),

	// the mailboxes of an account
	"LISTSTORAGEFILES":           looks("own D:CanAccessWebSites"),
	"GETSTORAGEFILEINFO":         looks("own D:CanAccessWebSites"),
	"READSTORAGEFILE":            looks("own D:CanAccessWebSites"),
	"WRITESTORAGEFILE":           changes("own D:CanAccessWebSites").guarded(),
	"RENAMESTORAGEFILE":          changes("own D:CanAccessWebSites").guarded(),
	"DELETESTORAGEFILE":          changes("own D:CanAccessWebSites").guarded(),
	"GETSTORAGEFILEACL":          looks("own D:CanAccessWebSites"),
	"SETSTORAGEFILEACL":          changes("own D:CanAccessWebSites").guarded(),
	"LISTMAILBOXES":              looks("own D:CanImpersonate"),
	"LISTCOLLECTIONS":            looks("own D:CanImpersonate"),
	"LISTITEMS":                  looks("own D:CanImpersonate"),
	"READITEMS":                  looks("own D:CanImpersonate"),
	"IMPORTITEMS":                changes("own D:CanImpersonate").guarded(),
	"CREATEMAILBOX":              changes("own D:CanImpersonate").guarded(),
	"DELETEMAILBOX":              changes("own D:CanImpersonate").guarded(),
	"RENAMEMAILBOX":              changes("own D:CanImpersonate").guarded(),
	"GETMAILBOXINFO":             looks("own D:CanImpersonate"),
	"SETMAILBOXCLASS":            changes("own D:CanImpersonate").guarded(),
	"GETMAILBOXACL":              looks("own D:CanImpersonate"),
	"SETMAILBOXACL":              changes("own D:CanImpersonate").guarded(),
	"GETMAILBOXRIGHTS":           looks("own D:CanImpersonate"),
	"GETACCOUNTACL":              looks("own D:CanImpersonate"),
	"SETACCOUNTACL":              changes("own D:CanImpersonate").guarded(),
	"GETACCOUNTACLRIGHTS":        looks("own D:CanImpersonate"),
	"GETCALENDARLINKS":           looks("own D:CanImpersonate"),
	"GETCALENDARSUBSCRIPTIONS":   looks("own D:CanImpersonate"),
	"CREATECALENDARSUBSCRIPTION": changes("own D:CanImpersonate").guarded(),
	"DELETECALENDARSUBSCRIPTION": changes("own D:CanImpersonate").guarded(),
	"CREATECALENDARLINK":         changes("own D:CanImpersonate").guarded(),
	"DELETECALENDARLINK":         changes("own D:CanImpersonate").guarded(),
	"GETMAILBOXALIASES":          looks("own D:CanImpersonate"),
	"SETMAILBOXALIASES":          changes("own D:CanImpersonate").guarded(),
	"GETMAILBOXSUBSCRIPTION":     looks("own D:CanImpersonate"),
	"SETMAILBOXSUBSCRIPTION":     changes("own D:CanImpersonate").guarded(),
	"GETSEARCHINDEX":             looks("own D:CanImpersonate"),
	"REINDEX":                    changes("own D:CanImpersonate").guarded(),

	// the server
	"MAINDOMAINNAME":       looks("any"),
	"LISTMODULES":          looks("Settings"),
	"GETMODULE":            looks("Settings"),
	"SETMODULE":            changes("Settings"),
	"UPDATEMODULE":         changes("Settings"),
	"GETSERVERSETTINGS":    looks("Settings"),
	"UPDATESERVERSETTINGS": changes("Settings"),
	"GETQUEUESETTINGS":     looks("Settings"),
	"SETQUEUESETTINGS":     changes("Settings"),
	"GETDNRSETTINGS":       looks("Settings"),
	"SETDNRSETTINGS":       changes("Settings"),
	"UPDATEDNRSETTINGS":    changes("Settings"),
	"LISTGATEWAYS":         looks("Settings"),
	"GETGATEWAY":           looks("Settings"),
	"CREATEGATEWAY":        changes("Settings"),
	"UPDATEGATEWAY":        changes("Settings"),
	"DELETEGATEWAY":        changes("Settings"),
	"TESTGATEWAY":          changes("Settings"), // it changes nothing, and sends a message
	"GETLOGSETTINGS":       looks("Settings"),
	"UPDATELOGSETTINGS":    changes("Settings"),
	"GETROUTERSETTINGS":    looks("Settings"),
	"SETROUTERSETTINGS":    changes("Settings"),
	"GETROUTERTABLE":       looks("Settings"),
	"SETROUTERTABLE":       changes("Settings"),
	"GETCLIENTIPS":         looks("Settings"),
	"SETCLIENTIPS":         changes("Settings"),
	"GETBLACKLISTEDIPS":    looks("Settings"),
	"SETBLACKLISTEDIPS":    changes("Settings"),
	"GETWHITEHOLEIPS":      looks("Settings"),
	"SETWHITEHOLEIPS":      changes("Settings"),
	"GETDENIEDIPS":         looks("Settings"),
	"SETDENIEDIPS":         changes("Settings"),
	"GETDEBUGIPS":          looks("Settings"),
	"SETDEBUGIPS":          changes("Settings"),
	"GETIPSTATE":           looks("Settings UserAccounts"),
	"GETNETWORK":           looks("Settings"),
	"SETNETWORK":           changes("Settings"),
	"GETBANNED":            looks("Settings"),
	"SETBANNED":            changes("Settings"),
	"ROUTE":                looks("Settings UserAccounts"),
	"LISTLOGS":             looks("Monitor"),
	"READLOG":              looks("Monitor"),
	"READCHANGES":          looks("Monitor"),
	"GETMESSAGEQUEUEINFO":  looks("Monitor"),
	"GETHELPERSINFO":       looks("Monitor"),
	"RELEASESMTPQUEUE":     changes("Monitor"),
	"LISTDROPITEMS":        looks("Monitor"),
	"SENDDROPITEMS":        changes("Monitor"),
	"REJECTQUEUEMESSAGE":   changes("CanRejectQueues"),
	"REJECTQUEUEMESSAGES":  changes("CanRejectQueues"),
	"QUEUELIST":            looks("Monitor"),
	"QUEUESHOW":            looks("Monitor"),
	"FINDMESSAGES":         changes("UserAccounts"), // it changes nothing, but is to be found
	"REMOVEMESSAGES":       changes("UserAccounts"),
	"BACKUP":               changes("Master"),
	"RESTORE":              changes("Master"),
	"TESTTRIGGERHANDLER":   changes("Settings"),
	"SENDTESTMESSAGE":      changes("Settings UserAccounts"),
	"QUEUEKICK":            changes("Monitor"),
	"QUEUERELEASE":         changes("Monitor"),
	"QUEUEHOLD":            changes("CanRejectQueues"),
	"QUEUEREJECT":          changes("CanRejectQueues"),
	"QUEUEREROUTE":         changes("UserAccounts"), // whoever does it can read the message
	"QUEUEEXPORT":          changes("UserAccounts"), // it changes nothing, but is to be found
	"CHECK":                looks("Monitor"),
	"CHECKTIDY":            changes("UserAccounts"),
	"REINDEXALL":           changes("UserAccounts"),
	"SHUTDOWN":             changes("Monitor"),

	// monitors
	"GETSTATELEMENT":           looks("Monitor"),
	"GETNEXTSTATNAME":          looks("Monitor"),
	"SETSTATELEMENT":           changes("Monitor"),
	"GETSTATISTICS":            looks("Monitor"),
	"LISTFINDINGS":             looks("Monitor"),
	"LISTSESSIONS":             looks("Monitor"),
	"LISTACCOUNTSESSIONS":      looks("Monitor D"),
	"FINDACCOUNTSESSION":       looks("Monitor D"),
	"GETSESSION":               looks("Monitor"),
	"KILLSESSION":              changes("Monitor"),
	"WRITELOG":                 changes("Monitor"),
	"SETLOGALL":                changes("Monitor"),
	"REPORTFAILEDLOGINADDRESS": changes("Settings"),
	"LISTCONNECTIONS":          looks("Monitor"),
	"ENDCONNECTION":            changes("Monitor"),
	"LISTBLOCKS":               looks("Monitor"),
	"LIFTBLOCK":                changes("Monitor"),
	"GETTEMPBLACKLISTEDIPS":    looks("Monitor"),
	"TEMPBLACKLISTIP":          changes("Settings"),
	"SETTEMPBLACKLISTEDIPS":    changes("Settings"),
	"LISTPOLLS":                looks("Monitor"),
	"LISTCERTIFICATES":         looks("Monitor Settings"),
	"IMPORTCERTIFICATE":        changes("Settings"),
}

// Needs returns what a call needs, in words, by its name; "" for a name that is no call.
func Needs(call string) string { return rules[call].needs }

var serverRights = []string{
	accounts.RightMaster, accounts.RightSettings, accounts.RightUsers, accounts.RightMonitor, accounts.RightDirectory, accounts.RightRejectQueues,
}

// parseRule reads the rights that a call needs. An unknown word is a bug, which every test finds.
func parseRule(text string) rule {
	r := rule{needs: text}
	for _, word := range strings.Fields(text) {
		code, isCode := strings.CutPrefix(word, "D:")
		switch {
		case word == "any":
			r.any = true
		case word == "own":
			r.own = true
		case word == "D":
			r.domain = true
		case isCode:
			r.codes = append(r.codes, code)
		case slices.Contains(serverRights, word):
			r.server = append(r.server, word)
		default:
			panic("admin: right " + word + " is unknown")
		}
	}
	return r
}

// allows compares the actor's rights with the rule.
func (r rule) allows(o *operation) bool {
	switch {
	case r.any, o.rights.Server(accounts.RightMaster), slices.ContainsFunc(r.server, o.rights.Server):
		return true
	case r.own && o.account != nil && o.account.Name == cmp.Or(o.listOwner, o.object) && o.account.Domain == o.domain:
		return true
	case o.domain == "":
		return false
	case r.domain && o.rights.Administers(o.domain):
		return true
	}
	return slices.ContainsFunc(r.codes, func(c string) bool { return o.rights.Domain(o.domain, c) })
}
