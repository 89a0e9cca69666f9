package accounts

import (
	"errors"
	"strings"

	"gatepost/accounts/password"
)

// Seal returns a password as settings of the server keep it: so that it can be read back, with the
// server's key file alone. One that is sealed already stays as it is.
func (s *Store) Seal(text string) (string, error) {
	if strings.HasPrefix(text, "{") && s.keys.IsStored(text) {
		if _, err := s.Unseal(text); err == nil {
			return text, nil
		}
	}
	return s.keys.New(text, "A-crpt")
}

// Unseal returns a password that Seal has made, or one that stands in a file as it is.
func (s *Store) Unseal(stored string) (string, error) {
	p, err := s.keys.Parse(stored)
	if err != nil {
		return "", err
	}
	r, ok := p.(password.Reversible)
	if !ok {
		return "", errors.New("the password cannot be read")
	}
	return r.Reveal()
}
