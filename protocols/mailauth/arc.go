package mailauth

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// maxARCSets is how many times a message may have been sealed (RFC 8617 section 4.2.1).
const maxARCSets = 50

// maxARCVerified is how many sets are verified: their keys are looked up one after the other, and
// nobody passes a message on so often.
const maxARCVerified = 15

// arcFields are the three fields of a set.
type arcFields struct {
	results, signature, seal field
	sealTags                 tags
}

// arcSets sorts the ARC fields of a header by their instance (RFC 8617 section 4.2).
func arcSets(fields []field) ([]arcFields, error) {
	sets := map[int]*arcFields{}
	for _, f := range fields {
		var into func(*arcFields) *field
		switch f.name {
		case "arc-authentication-results":
			into = func(s *arcFields) *field { return &s.results }
		case "arc-message-signature":
			into = func(s *arcFields) *field { return &s.signature }
		case "arc-seal":
			into = func(s *arcFields) *field { return &s.seal }
		default:
			continue
		}
		// ARC-Authentication-Results begins with its instance; what follows is no list of tags.
		value := f.value()
		if f.name == "arc-authentication-results" {
			value, _, _ = strings.Cut(value, ";")
		}
		t, err := parseTags(value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.name, err)
		}
		i, err := strconv.Atoi(t["i"])
		if err != nil || i < 1 || i > maxARCSets {
			return nil, errors.New("an ARC field has a wrong instance")
		}
		if sets[i] == nil {
			sets[i] = &arcFields{}
		}
		at := into(sets[i])
		if at.raw != "" {
			return nil, errors.New("an ARC field is there twice")
		}
		*at = f
		if f.name == "arc-seal" {
			sets[i].sealTags = t
		}
	}
	list := make([]arcFields, len(sets))
	for i := range list {
		s := sets[i+1]
		if s == nil || s.results.raw == "" || s.signature.raw == "" || s.seal.raw == "" {
			return nil, errors.New("an ARC set is not complete")
		}
		list[i] = *s
	}
	return list, nil
}

// arc verifies the chain (RFC 8617 section 5.2). The error is that of reading the message.
func (v *Verifier) arc(ctx context.Context, m *Message, fields []field, body int64) (ARC, error) {
	failed := func(err error) (ARC, error) {
		var read *readError
		if errors.As(err, &read) {
			return ARC{}, read.err
		}
		if errors.Is(err, errTemporary) {
			return ARC{Result: TempError, Reason: err.Error()}, nil
		}
		return ARC{Result: Fail, Reason: err.Error()}, nil
	}
	sets, err := arcSets(fields)
	if err != nil {
		return failed(err)
	}
	if len(sets) == 0 {
		return ARC{Result: None}, nil
	}
	if len(sets) > maxARCVerified {
		return failed(errors.New("there are too many ARC sets"))
	}
	for i, s := range sets {
		want := "pass"
		if i == 0 {
			want = "none"
		}
		if cv := strings.ToLower(s.sealTags.compact("cv")); cv != want {
			return failed(fmt.Errorf("the ARC seal %d says cv=%s", i+1, clean(cv)))
		}
	}
	last := sets[len(sets)-1]
	if err := v.messageSignature(ctx, m, fields, body, last.signature); err != nil {
		return failed(fmt.Errorf("ARC-Message-Signature %d: %w", len(sets), err))
	}
	r := ARC{Result: Pass}
	for i := len(sets) - 1; i >= 0; i-- {
		domain, err := v.seal(ctx, sets[:i+1])
		if err != nil {
			return failed(fmt.Errorf("ARC-Seal %d: %w", i+1, err))
		}
		_, results, _ := strings.Cut(sets[i].results.value(), ";")
		r.Sets = append(r.Sets, ARCSet{domain, strings.TrimSpace(results)})
	}
	slices.Reverse(r.Sets)
	return r, nil
}

// messageSignature verifies the signature over the message that the newest set carries.
func (v *Verifier) messageSignature(ctx context.Context, m *Message, fields []field, body int64, sig field) error {
	t, err := parseTags(sig.value())
	if err != nil {
		return err
	}
	for _, tag := range []string{"a", "b", "bh", "d", "h", "s"} {
		if t[tag] == "" {
			return fmt.Errorf("tag %s is missing", tag)
		}
	}
	if _, ok := t["l"]; ok {
		return errors.New("it signs a part of the body only")
	}
	c, ok := parseCanonical(t.compact("c"))
	if !ok {
		return errors.New("unknown canonicalization")
	}
	names := t.list("h")
	if !slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, "from") }) {
		return errors.New("the field From is not signed")
	}
	if slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, "arc-seal") }) {
		return errors.New("it signs a seal")
	}
	key, err := v.key(ctx, t)
	if err != nil {
		return err
	}
	bodyHash := sha256.New()
	if err := c.body(bodyHash, io.NewSectionReader(m.Text, body, m.Size-body)); err != nil {
		return &readError{err}
	}
	if want, err := base64.StdEncoding.DecodeString(t.compact("bh")); err != nil || subtle.ConstantTimeCompare(want, bodyHash.Sum(nil)) != 1 {
		return errors.New("the body has changed")
	}
	hash := sha256.New()
	for p, i := newPicker(fields), 0; i < len(names); i++ {
		if f, ok := p.pick(names[i]); ok {
			io.WriteString(hash, c.header(f.raw))
		}
	}
	io.WriteString(hash, strings.TrimSuffix(c.header(emptySignature(sig.raw)), "\r\n"))
	return verifySignature(key, hash.Sum(nil), t)
}

// seal verifies the seal of the last of some sets, and says whose it is (RFC 8617 section 5.1.1).
func (v *Verifier) seal(ctx context.Context, sets []arcFields) (domain string, err error) {
	last := sets[len(sets)-1]
	t := last.sealTags
	for _, tag := range []string{"a", "b", "d", "s"} {
		if t[tag] == "" {
			return "", fmt.Errorf("tag %s is missing", tag)
		}
	}
	if _, ok := t["h"]; ok {
		return "", errors.New("it has a tag h")
	}
	if domain = normal(t.compact("d")); domain == "" {
		return "", errors.New("the sealing domain is not valid")
	}
	key, err := v.key(ctx, t)
	if err != nil {
		return "", err
	}
	return domain, verifySignature(key, sealHash(sets), t)
}

// sealHash is the hash that the seal of the last of some sets signs: all their fields, its own without b.
func sealHash(sets []arcFields) []byte {
	hash := sha256.New()
	for i, s := range sets {
		io.WriteString(hash, relaxedField(s.results.raw))
		io.WriteString(hash, relaxedField(s.signature.raw))
		if i < len(sets)-1 {
			io.WriteString(hash, relaxedField(s.seal.raw))
		} else {
			io.WriteString(hash, strings.TrimSuffix(relaxedField(emptySignature(s.seal.raw)), "\r\n"))
		}
	}
	return hash.Sum(nil)
}

// errTemporary is a look-up that may work later.
var errTemporary = errors.New("the key could not be looked up")

// readError is an error of reading the message.
type readError struct{ err error }

func (e *readError) Error() string { return e.err.Error() }

// key looks up the public key that a signature names (RFC 6376 section 3.6.2).
func (v *Verifier) key(ctx context.Context, t tags) (crypto.PublicKey, error) {
	domain, selector := normal(t.compact("d")), t.compact("s")
	if domain == "" || normal(selector) == "" {
		return nil, errors.New("the domain or the selector is not valid")
	}
	list, err := v.keyRecord(ctx, selector+"._domainkey."+domain)
	switch {
	case notFound(err):
		return nil, errors.New("there is no key")
	case err != nil:
		return nil, errTemporary
	case len(list) != 1:
		return nil, errors.New("there is not exactly one key")
	}
	return parseKey(list[0], t.compact("a"))
}

// parseKey reads the record of a key for an algorithm (RFC 6376 section 3.6.1, 8301, 8463).
func parseKey(record, algorithm string) (crypto.PublicKey, error) {
	t, err := parseTags(record)
	if err != nil {
		return nil, fmt.Errorf("the key's record: %w", err)
	}
	kind := t.compact("k")
	if kind == "" {
		kind = "rsa"
	}
	_, hashes := t["h"]
	_, services := t["s"]
	switch {
	case t["v"] != "" && t.compact("v") != "DKIM1":
		return nil, errors.New("the key has an unknown version")
	case t.compact("p") == "":
		return nil, errors.New("the key is revoked")
	case algorithm != kind+"-sha256":
		return nil, errors.New("the key is not for the algorithm " + clean(algorithm))
	case hashes && !slices.Contains(t.list("h"), "sha256"):
		return nil, errors.New("the key is not for SHA-256")
	case services && !slices.Contains(t.list("s"), "*") && !slices.Contains(t.list("s"), "email"):
		return nil, errors.New("the key is not for email")
	}
	der, err := base64.StdEncoding.DecodeString(t.compact("p"))
	if err != nil {
		return nil, errors.New("the key is not base64")
	}
	if kind == "ed25519" {
		if len(der) != ed25519.PublicKeySize {
			return nil, errors.New("the key has a wrong length")
		}
		return ed25519.PublicKey(der), nil
	}
	key, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		if key, err = x509.ParsePKCS1PublicKey(der); err != nil {
			return nil, errors.New("the key cannot be read")
		}
	}
	k, ok := key.(*rsa.PublicKey)
	if !ok || k.N.BitLen() < 1024 {
		return nil, errors.New("the key is not RSA, or too short")
	}
	return k, nil
}

// verifySignature verifies the tag b over a hash.
func verifySignature(key crypto.PublicKey, hash []byte, t tags) error {
	sig, err := base64.StdEncoding.DecodeString(t.compact("b"))
	if err != nil {
		return errors.New("the signature is not base64")
	}
	good := false
	switch k := key.(type) {
	case *rsa.PublicKey:
		good = rsa.VerifyPKCS1v15(k, crypto.SHA256, hash, sig) == nil
	case ed25519.PublicKey:
		good = ed25519.Verify(k, hash, sig)
	}
	if !good {
		return errors.New("the signature does not verify")
	}
	return nil
}
