package accounts

import (
	"context"

	"gatepost/accounts/message"
	"gatepost/router/address"
)

// maxAuthorField is how long a From or Sender field may be; a longer one is nobody's.
const maxAuthorField = 64 << 10

// Authors is what a From or Sender field (RFC 5322 section 3.6.2) says.
type Authors struct {
	// Count is the number of addresses in the field.
	Count int
	// Own tells that the field has an address, that all in it are the account's own, and
	// that no reader can find another one in it.
	Own bool
}

// Authors reads the value of a From or Sender field for an account. An address without a
// domain is not the account's own: each reader adds a domain of its own.
func (s *directory) Authors(ctx context.Context, a *Account, value []byte) (Authors, error) {
	if len(value) > maxAuthorField {
		return Authors{}, nil
	}
	list, ambiguous := message.AuthorAddresses(value)
	all := Authors{Count: len(list)}
	if ambiguous || len(list) == 0 {
		return all, nil
	}
	for _, l := range list {
		if len(l.Domain) == 0 || len(l.Route) > 0 {
			return all, nil
		}
		addr, err := address.Parse(address.QuoteLocal(string(l.Local)) + "@" + string(l.Domain))
		if err != nil {
			return all, nil // what is no address is nobody's
		}
		own, err := s.OwnsAddress(ctx, a, addr)
		if err != nil || !own {
			return all, err
		}
	}
	all.Own = true
	return all, nil
}
