package accounts

import "gatepost/server/settings"

// SenderPolicy is what a domain does about mail for whose author nobody answers, and whether
// its own mail is signed. See package protocols/mailauth.
type SenderPolicy struct {
	SPFFail         string          `key:"SPFFail" default:"Mark" values:"Nothing|Mark|Junk|Refuse" help:"mail from strangers that SPF of the return-path's domain forbids them to send, where DMARC does not decide: nothing is done, the message is marked in Authentication-Results, goes into the Junk mailbox too, or is refused" since:"0.2"`
	DMARCReject     string          `key:"DMARCReject" default:"Refuse" values:"Nothing|Mark|Junk|Refuse" help:"mail that fails DMARC where the author's domain asks to reject it" since:"0.2"`
	DMARCQuarantine string          `key:"DMARCQuarantine" default:"Junk" values:"Nothing|Mark|Junk|Refuse" help:"mail that fails DMARC where the author's domain asks to quarantine it" since:"0.2"`
	OwnDomain       string          `key:"StrangersInOurName" default:"Refuse" values:"Nothing|Mark|Junk|Refuse" help:"mail from strangers with this domain in From or in the return-path, if the domain publishes SPF or DMARC and neither SPF nor DKIM proves it" since:"0.2"`
	SignMail        settings.Flag   `key:"SignMail" default:"YES" help:"mail that leaves the server in the name of this domain is signed with its DKIM keys" since:"0.2"`
	KeyRotation     settings.Period `key:"DKIMRotation" default:"never" help:"the age at which a DKIM key is replaced: the next one is made, and signs once the DNS publishes it; for all names of the domain" since:"0.2"`
}

// SenderPolicy returns the policy of a domain of this server.
func (s *Store) SenderPolicy(domain string) (SenderPolicy, error) {
	d, err := s.domain(domain)
	if err != nil {
		return SenderPolicy{}, err
	}
	return d.settings.SenderPolicy, nil
}
