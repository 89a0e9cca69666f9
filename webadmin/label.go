package webadmin

import (
	"strings"
	"unicode"
)

// labels are the words that administrators know settings by, where these differ from the words of the key.
var labels = map[string]string{
	"MaxAccountSize": "Mail Storage Limit", "UseAppPassword": "CommuniGate Password", "Password": "Password", "RequireAPOP": "Secure Method Required",
	"UseExtPassword": "External Password", "ExternalOnUnknown": "Consult External for Unknown", "ExternalOnProvision": "Consult External on Provision",
	"PWDAllowed": "Can Modify Password", "AccessModes": "Enabled Services", "DomainAccessModes": "Enabled Services", "FailedLoginFlow": "Failed Login Limit",
	"MaxMessageSize": "Incoming Message Size Limit", "MaxMailOutSize": "Outgoing Message Size Limit", "MailInpFlow": "Incoming Mail Limit",
	"MailOutFlow": "Outgoing Mail Limit", "MaxMailboxes": "Mailboxes Limit", "MailToAll": "Accept Mail to All", "IMAPSeesNonMail": "IMAP Lists Non-Mail Mailboxes",
	"MailToUnknown": "Mail to Unknown", "AccessToUnknown": "Access to Unknown", "SignalToUnknown": "Signals to Unknown", "MailRerouteAddress": "Reroute Mail to",
	"AccessRerouteAddress": "Reroute Access to", "SignalRerouteAddress": "Reroute Signals to", "MailToAllAction": "Mail to All Is Accepted from",
	"AllWithForwarders": "Mail to All Goes to Forwarders", "ForceSMTPAUTH": "Authentication Is Required for", "AdminDomain": "Administrator Domain",
	"LogLogin": "Log Logins", "AUTHMethods": "AUTH Methods",
	"ClientCertReq": "Ask for Client Certificates", "ClientCertCA": "Authorities of Client Certificates", "UseCertificateAuth": "Client Certificate",
	"OAuthIssuer": "OAuth Issuer", "OAuthAudience": "OAuth Audience", "OAuthClaim": "OAuth Claim", "OAuthScope": "OAuth Scope", "OAuthClientID": "OAuth Client ID",
	"OAuthClientSecret": "OAuth Client Secret", "HTTPRequestSizeLimit": "Request Size Limit", "CLIAccess": "Command Line Is Open to", "RouterTable": "Router Table",
	"RootDAVAccess": "Discovery Is Open to", "RootDAVLog": "Discovery Log Level", "UserDAVAccess": "Principals Are Open to", "UserDAVLog": "Principals Log Level",
	"CALDAVAccess": "CalDAV Is Open to", "CALDAVLog": "CalDAV Log Level", "CARDDAVAccess": "CardDAV Is Open to", "CARDDAVLog": "CardDAV Log Level",
	"ListsAccess": "Pages of Mailing Lists Are Open to", "ListsLog": "Pages of Mailing Lists Log Level", "AutoconfigAccess": "Settings of Mail Programs Are Open to",
	"AutoconfigLog": "Settings of Mail Programs Log Level", "CLILog": "Command Line Log Level", "PublicPort": "Public Port of https", "ProxyProtocol": "PROXY Protocol",
	"RedirectToHTTPS":  "Redirect to https",
	"CalendarUserType": "Person, Room or Resource", "BookedBy": "Who May Book", "Bookers": "Who Else May Book",
	"LogLevel": "Log Level", "Listener": "Listeners", "SenderAddressRequired": "Sender Address Must Be Own",
}

// label is the name of a setting for people: the words of its key.
func label(key string) string {
	if l := labels[key]; l != "" {
		return l
	}
	var b strings.Builder
	runes := []rune(key)
	for i, r := range runes {
		if i > 0 && unicode.IsUpper(r) && (!unicode.IsUpper(runes[i-1]) || i+1 < len(runes) && unicode.IsLower(runes[i+1])) {
			b.WriteByte(' ')
		}
		b.WriteRune(r)
	}
	return b.String()
}
