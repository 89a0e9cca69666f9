// Package password is how passwords are stored, and compared with what somebody says.
//
// A stored password is the text of the setting Password of an account, in one of these
// forms, which Parse tells apart by how they begin:
//
//	{GP1}<scram>$<argon2id>$<scram>
//	                          a password hash: what new passwords become
//	{A-CRPT}<base64>          a reversible password, sealed with the server's key file (keys.go)
//	{CLEAR}<password>         the password
//	<password>                the password, when it begins like none of these
//	{SCHEME}..., $n$...       a hash that came with an account of another system (imported.go)
//
// A password hash holds verifiers for SCRAM-SHA-256 (RFC 7677) and SCRAM-SHA-1 (RFC 5802), for
// clients that prove that they know the password, and an argon2id hash (RFC 9106). Hashes that
// were made before there was SCRAM-SHA-1 lack the last part until their owner logs in with the
// password itself (Hash.Complete). APOP (RFC 1939) and CRAM-MD5 (RFC 2195) need the password itself:
// they work with a reversible password only. New makes a password hash unless the account's
// PasswordEncryption asks for another form.
//
// What is compared and hashed is the prepared form of a password (Prepare).
//
// Verifying a password hash takes tens of milliseconds and 19 MB, on purpose. How many may
// be verified at a time, and how often somebody may try, is for the caller to bound;
// DummyVerify takes the same time for a name that does not exist. Nothing here has state or
// logs.
package password

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"strings"

	"github.com/xdg-go/stringprep"
)

// Stored is a parsed setting Password.
type Stored interface {
	// Verify compares a prepared password with the stored one. slow says that this
	// took as long as a memory-hard hash.
	Verify(password string) (ok, slow bool)
}

// Reversible is a stored password that can be turned back into what it was.
type Reversible interface {
	Stored
	Reveal() (string, error)
}

const (
	sealedMark = "{A-CRPT}"
	clearMark  = "{CLEAR}"
)

var errDamaged = errors.New("the stored password is damaged")

// Parse reads the setting Password. The error tells why nobody can log in with it.
func (k Keys) Parse(stored string) (Stored, error) {
	if rest, ok := strings.CutPrefix(stored, hashMark); ok {
		return parseHash(rest)
	}
	if rest, ok := strings.CutPrefix(stored, sealedMark); ok {
		b, err := base64.StdEncoding.DecodeString(rest)
		if err != nil {
			return nil, errDamaged
		}
		p := sealedPassword{k, b}
		_, err = p.Reveal()
		return p, err
	}
	if rest, ok := strings.CutPrefix(stored, clearMark); ok {
		return clearPassword(rest), nil
	}
	if p, err := parseImported(stored); p != nil || err != nil {
		return p, err
	}
	return clearPassword(stored), nil
}

// New makes what is stored of a new password, as the account's PasswordEncryption asks.
func (k Keys) New(password, encryption string) (string, error) {
	switch encryption {
	case "clear":
		if strings.HasPrefix(password, "{") || strings.HasPrefix(password, "$") || password < " " {
			return clearMark + password, nil
		}
		return password, nil
	case "A-crpt":
		return k.seal(password), nil
	}
	h, err := newHash(Prepare(password))
	if err != nil {
		return "", err
	}
	return h.String(), nil
}

// IsStored reports whether a text that an administrator sends as Password is what
// New or another system made: settings that were read can be written back.
func (k Keys) IsStored(text string) bool {
	p, err := k.Parse(text)
	if err != nil {
		return false
	}
	c, clear := p.(clearPassword)
	return !clear || string(c) != text
}

// IsReversible reports whether a PasswordEncryption keeps the password itself.
func IsReversible(e string) bool {
	return strings.EqualFold(e, "clear") || strings.EqualFold(e, "A-crpt")
}

// Prepare returns the form of a password that is hashed and compared: SASLprep
// (RFC 4013), as SCRAM clients send it; a password that this does not allow is
// taken as it is.
func Prepare(password string) string {
	if !strings.ContainsFunc(password, func(r rune) bool { return r >= 0x80 }) {
		return password
	}
	if p, err := stringprep.SASLprep.Prepare(password); err == nil {
		return p
	}
	return password
}

// clearPassword is stored as it is.
type clearPassword string

func (c clearPassword) Verify(password string) (ok, slow bool) {
	a, b := sha256.Sum256([]byte(Prepare(string(c)))), sha256.Sum256([]byte(password))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1, false
}

func (c clearPassword) Reveal() (string, error) { return string(c), nil }
