package smtp

import (
	"errors"

	"gatepost/server/settings"
)

// Settings of receiving.
type Settings struct {
	Prompt              string          `key:"Prompt" default:"ESMTP Gatepost is glad to see you!" level:"basic" since:"0.1" help:"text after the server's name in the greeting"`
	DiscloseVersion     settings.Flag   `key:"DiscloseVersion" default:"NO" level:"advanced" since:"0.1" help:"the version is told in HELP and in Received fields"`
	Channels            int             `key:"Channels" default:"500" level:"basic" since:"0.1" help:"connections at a time on all listeners; 0 for no limit"`
	DelayPrompt         settings.Period `key:"DelayPrompt" default:"5s" level:"basic" since:"0.1" help:"time before the greeting for strangers on port 25; clients that send before it are refused"`
	MaxMessageSize      settings.Size   `key:"MaxMessageSize" default:"50M" unit:"bytes" level:"basic" since:"0.1" help:"largest message that is accepted"`
	RecipientsLimit     int             `key:"RecipientsLimit" default:"200" level:"basic" since:"0.1" help:"recipients of one message"`
	StrangersRecipients int             `key:"NonClientRecipientsLimit" default:"50" level:"basic" since:"0.1" help:"recipients of one message from a stranger"`
	ErrorsLimit         int             `key:"DisconnectAfterErrors" default:"10" level:"advanced" since:"0.1" help:"refused commands since the last accepted message after which a session is closed; 0 for no limit"`
	UnknownLimit        int             `key:"UnknownRecipientsLimit" default:"10" level:"advanced" since:"0.1" help:"unknown recipients from a stranger after which the session is closed; 0 for no limit"`
	RelayingLimit       int             `key:"RefusedRelayingLimit" default:"5" level:"advanced" since:"0.1" help:"refused relaying attempts of a stranger after which the session is closed; 0 for no limit"`
	RelayToBackedUp     settings.Flag   `key:"RelayToHostsWeBackup" default:"NO" level:"advanced" since:"0.2" help:"anyone may send to domains whose MX records name this server behind better ones; whoever edits the DNS of a domain can then use this server for it"`
	CommandTimeout      settings.Period `key:"CommandTimeout" default:"5m" level:"expert" since:"0.1" help:"longest time for a command to arrive; a session in which no message ends for six times as long is closed"`
	DataTimeout         settings.Period `key:"DataTimeout" default:"10m" level:"expert" since:"0.1" help:"longest pause within a message; a message that takes six times as long must arrive at 100 bytes per second"`
	VerifyReturnPath    string          `key:"VerifyReturnPath" default:"non-clients" values:"nobody|non-clients|everybody" level:"basic" since:"0.1" help:"clients whose return-paths are refused if they are in a domain of this server and do not exist there"`
	LookUpReturnPath    string          `key:"LookUpReturnPath" default:"nobody" values:"nobody|non-clients|everybody" level:"basic" since:"0.3" help:"clients on port 25 whose return-paths are refused if the DNS does not have their domain, or it takes no mail; 451 while it cannot be looked up"`
	VerifyHELO          string          `key:"VerifyHELO" default:"nobody" values:"nobody|non-clients|everybody" level:"basic" since:"0.3" help:"clients on port 25 whose mail is refused if the name that they give in HELO or EHLO is none: missing, not qualified, unknown in the DNS, one of this server's, or the address of another host"`
	ReverseConnect      string          `key:"ReverseConnect" default:"nobody" values:"nobody|non-clients|everybody" level:"advanced" since:"0.3" help:"clients on port 25 whose return-paths are refused if the mail server of their domain says that it does not know the address; it is asked while the client waits, which is slow, and some servers take it for abuse"`
	ETRNFrom            string          `key:"AcceptETRNFrom" default:"clients" values:"everybody|clients|nobody" level:"advanced" since:"0.2" help:"who may have waiting mail for a domain sent, by ETRN or a message to domain%wakeup; clients are Client IPs and authenticated users"`
	ATRNAccounts        []string        `key:"ATRNAccounts" level:"advanced" since:"0.2" help:"who may fetch the mail that waits for a domain, by ATRN, as domain=account, such as client.com=client@example.org; one account may have several domains, and a domain several accounts"`
	AdvertiseAUTH       string          `key:"AdvertiseAUTH" default:"everybody" values:"everybody|clients|non-clients|nobody" level:"advanced" since:"0.1" help:"who is offered authentication on port 25"`
	ClientSubmission    settings.Flag   `key:"SubmissionFromClients" default:"NO" level:"advanced" since:"0.1" help:"ports 587 and 465 take mail from Client IPs without authentication"`
	ForeignFrom         string          `key:"ForeignFrom" default:"Sender" values:"Sender|Refuse" level:"advanced" since:"0.1" help:"a submitted message with an address in From that is not the account's own gets a Sender field, or is refused"`
	BareLineEnds        string          `key:"BareLineEnds" default:"Refuse" values:"Refuse|Repair" level:"expert" since:"0.1" help:"a message with a bare CR or LF is refused, or stored with CR LF in its place; CR CR LF is then one line end"`
	StandardCodes       settings.Flag   `key:"StandardReplyCodes" default:"NO" level:"expert" since:"0.3" help:"a client on a blacklist is refused with the code 550 of RFC 5321 instead of 591, which tools that read logs match"`
	Spamtrap            string          `key:"SpamtrapAnswer" default:"Accept" values:"Accept|Refuse" level:"advanced" since:"0.1" help:"the answer to a message for a spamtrap, which is dropped in any case"`
}

// Validate checks the values together.
func (s *Settings) Validate() error {
	switch {
	case s.Channels < 0 || s.ErrorsLimit < 0 || s.UnknownLimit < 0 || s.RelayingLimit < 0:
		return errors.New("DisconnectAfterErrors, UnknownRecipientsLimit, RefusedRelayingLimit and Channels must not be negative")
	case s.RecipientsLimit < 1 || s.StrangersRecipients < 1 || s.RecipientsLimit > maxRecipients:
		return errors.New("RecipientsLimit and NonClientRecipientsLimit must be 1 to 10000")
	case s.CommandTimeout.Duration() < minTimeout || s.DataTimeout.Duration() < minTimeout:
		return errors.New("CommandTimeout and DataTimeout must be at least 10s")
	case s.DelayPrompt.Duration() > maxDelay:
		return errors.New("DelayPrompt must be at most 2m: other servers do not wait longer")
	case !printable(s.Prompt) || len(s.Prompt) > 400:
		return errors.New("the Prompt must be at most 400 printable ASCII characters")
	}
	return s.validateFetchers()
}

// advertised reports whether a client is offered authentication on port 25.
func (s *Settings) advertised(client bool) bool {
	switch s.AdvertiseAUTH {
	case "clients":
		return client
	case "non-clients":
		return !client
	case "nobody":
		return false
	}
	return true
}

// appliesTo evaluates a setting that says for which clients something holds.
func appliesTo(whom string, client bool) bool {
	switch whom {
	case "everybody":
		return true
	case "clients":
		return client
	case "non-clients":
		return !client
	}
	return false
}

func printable(s string) bool {
	for _, c := range []byte(s) {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return true
}
