package accounts

import (
	"fmt"
	"strings"

	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// ToAll says who may write to all accounts of a domain.
type ToAll string

// The values of MailToAllAction. Each of the first three lets in whom the next one lets in.
const (
	ToAllAnybody       ToAll = "anybody"
	ToAllClients       ToAll = "clients"
	ToAllAuthenticated ToAll = "Authenticated Users"
	ToAllDomainUsers   ToAll = "Authenticated Domain Users"
	ToAllAdministrator ToAll = "Authenticated Administrator"
	ToAllNobody        ToAll = "nobody"
)

var toAllValues = []ToAll{ToAllAnybody, ToAllClients, ToAllAuthenticated, ToAllDomainUsers, ToAllAdministrator, ToAllNobody}

// SetValue reads one of the words, in any case; everybody and disabled are old ones.
func (a *ToAll) SetValue(v dataformat.Value) error {
	text, _ := dataformat.Text(v)
	switch strings.ToLower(text) {
	case "everybody":
		*a = ToAllAnybody
		return nil
	case "disabled":
		*a = ToAllNobody
		return nil
	}
	words := make([]string, len(toAllValues))
	for i, w := range toAllValues {
		if strings.EqualFold(string(w), text) {
			*a = w
			return nil
		}
		words[i] = string(w)
	}
	return fmt.Errorf("%q is not one of %s", text, strings.Join(words, ", "))
}

// DataValue is the word.
func (a ToAll) DataValue() dataformat.Value { return dataformat.String(a) }

// MayWriteToAll refuses mail to all accounts of a domain whose MailToAllAction does not let
// its sender: account is the address of the authenticated sender, or empty; trusted says
// that the sender may relay. Errors: NoDomain, Denied.
func (s *directory) MayWriteToAll(domain, account string, trusted bool) error {
	d, err := s.domain(s.realDomain(domain))
	if err != nil {
		return err
	}
	at := strings.LastIndexByte(account, '@')
	authenticated := at >= 0
	allowed := false
	switch d.settings.MailToAllAction {
	case ToAllAnybody:
		allowed = true
	case ToAllClients:
		allowed = trusted || authenticated
	case ToAllAuthenticated:
		allowed = authenticated
	case ToAllDomainUsers:
		allowed = authenticated && s.realDomain(account[at+1:]) == d.name
	case ToAllAdministrator:
		if authenticated {
			rights, err := s.RightsOfName(account[at+1:], account[:at])
			if err != nil && !fault.Is(err, fault.NoDomain) {
				return err
			}
			allowed = err == nil && rights.Administers(d.name)
		}
	}
	if !allowed {
		return fault.New("accounts.MayWriteToAll", fault.Denied, "you may not write to all accounts")
	}
	return nil
}
