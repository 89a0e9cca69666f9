package certificates

import (
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"math"

	pkcs12 "software.sslmate.com/src/go-pkcs12"
)

// FromPKCS12 reads the file that other programs export a key with its certificates to (.p12, .pfx). Errors: Invalid,
// also for a wrong password.
func FromPKCS12(data []byte, password string) (*Pair, error) {
	const op = "FromPKCS12"
	if len(data) > MaxSize {
		return nil, invalid(op, "the file is too large")
	}
	if n := rounds(data); n > maxRounds {
		return nil, invalid(op, "the file asks for %d rounds of its key derivation, more than %d", n, maxRounds)
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

// maxRounds bounds what the key derivations of a file cost together: usual files have some thousand rounds.
const maxRounds = 5_000_000

// rounds adds up the rounds of the key derivations that a file asks for: the number behind the salt in the parameters of RFC 7292
// appendix B and C, and of PBKDF2 (RFC 8018 appendix A.2). Nothing else in a file has a number behind an octet string.
func rounds(der []byte) (sum int64) {
	var before asn1.RawValue
	for len(der) > 0 {
		var v asn1.RawValue
		rest, err := asn1.Unmarshal(der, &v)
		if err != nil {
			return sum
		}
		var n int64
		switch {
		case v.IsCompound || v.Class == asn1.ClassUniversal && v.Tag == asn1.TagOctetString:
			n = rounds(v.Bytes)
		case v.Class == asn1.ClassUniversal && v.Tag == asn1.TagInteger && before.Class == asn1.ClassUniversal && before.Tag == asn1.TagOctetString:
			if _, err := asn1.Unmarshal(v.FullBytes, &n); err != nil {
				n = math.MaxInt32
			}
		}
		sum += min(max(n, 0), math.MaxInt32)
		before, der = v, rest
	}
	return sum
}
