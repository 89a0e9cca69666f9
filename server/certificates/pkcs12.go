package certificates

import (
	"crypto/x509"
	"errors"

	pkcs12 "software.sslmate.com/src/go-pkcs12"
)

// FromPKCS12 reads the file that other programs export a key with its certificates to (.p12, .pfx). Errors: Invalid,
// also for a wrong password.
func FromPKCS12(data []byte, password string) (*Pair, error) {
	const op = "FromPKCS12"
	if len(data) > MaxSize {
		return nil, invalid(op, "the file is too large")
	}
	key, leaf, chain, err := pkcs12.DecodeChain(data, password)
	switch {
	case errors.Is(err, pkcs12.ErrIncorrectPassword):
		return nil, invalid(op, "the password of the file is wrong")
	case err != nil:
		return nil, invalid(op, "the file cannot be read as PKCS #12")
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, invalid(op, "the private key cannot be used for TLS")
	}
	return arrange(der, append([]*x509.Certificate{leaf}, chain...))
}
