package accounts

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"gatepost/server/dataformat"
)

// keyFile holds the secret of the server, mode 0600: sealed passwords are lost
// without it, so a backup has to include it.
const keyFile = "Password.key"

// keys are the secrets that follow from the key file.
type keys struct {
	seal cipher.AEAD
	fake []byte // makes the SCRAM salts of names that do not exist
}

// openKeys reads the key file, which it makes at the first start.
func openKeys(path string) (keys, error) {
	v, err := dataformat.ReadFile(path)
	if err != nil {
		return keys{}, err
	}
	secret, ok := v.(dataformat.Data)
	switch {
	case v == nil:
		secret = random(32)
		if err := dataformat.WriteFile(path, secret, dataformat.StyleCompact); err != nil {
			return keys{}, err
		}
	case !ok || len(secret) != 32:
		return keys{}, fmt.Errorf("%s: not a key of 32 bytes", keyFile)
	}
	if i, err := os.Stat(path); err != nil {
		return keys{}, err
	} else if i.Mode()&0o077 != 0 {
		return keys{}, &fs.PathError{Op: "open", Path: path, Err: errors.New("others may read it: mode 0600 is needed")}
	}
	block, err := aes.NewCipher(derive(secret, "sealed passwords"))
	if err != nil {
		return keys{}, err
	}
	seal, err := cipher.NewGCM(block)
	return keys{seal: seal, fake: derive(secret, "salts of unknown names")}, err
}

// salt is the SCRAM salt of a name that has none of its own: the same each time.
func (k keys) salt(name accountKey) []byte {
	m := hmac.New(sha256.New, k.fake)
	m.Write([]byte(name.String()))
	return m.Sum(nil)[:scramSaltLen]
}

// derive makes a key for one purpose from the secret.
func derive(secret []byte, purpose string) []byte {
	m := hmac.New(sha256.New, secret)
	m.Write([]byte(purpose))
	return m.Sum(nil)
}

const (
	sealedMark = "{A-CRPT}"
	clearMark  = "{CLEAR}"
)

// sealedPassword is the reversible form.
type sealedPassword struct {
	keys keys
	text []byte // nonce and ciphertext
}

func (p sealedPassword) reveal() (string, error) {
	n := p.keys.seal.NonceSize()
	if len(p.text) < n {
		return "", errVerifier
	}
	plain, err := p.keys.seal.Open(nil, p.text[:n], p.text[n:], nil)
	if err != nil {
		return "", fmt.Errorf("the stored password was sealed with another %s: %w", keyFile, err)
	}
	return string(plain), nil
}

func (p sealedPassword) verify(password string) (ok, slow bool) {
	plain, err := p.reveal()
	if err != nil {
		return false, false
	}
	return clearPassword(plain).verify(password)
}

// sealPassword makes the reversible form.
func (k keys) sealPassword(password string) string {
	nonce := random(k.seal.NonceSize())
	return sealedMark + base64.StdEncoding.EncodeToString(k.seal.Seal(nonce, nonce, []byte(password), nil))
}

// parsePassword reads the setting Password. The error tells why nobody can log
// in with it.
func (k keys) parsePassword(stored string) (storedPassword, error) {
	if rest, ok := strings.CutPrefix(stored, verifierMark); ok {
		return parseVerifier(rest)
	}
	if rest, ok := strings.CutPrefix(stored, sealedMark); ok {
		b, err := base64.StdEncoding.DecodeString(rest)
		if err != nil {
			return nil, errVerifier
		}
		p := sealedPassword{k, b}
		_, err = p.reveal()
		return p, err
	}
	if rest, ok := strings.CutPrefix(stored, clearMark); ok {
		return clearPassword(rest), nil
	}
	if p, err := parseForeign(stored); p != nil || err != nil {
		return p, err
	}
	return clearPassword(stored), nil
}

// storePassword makes the stored form of a new password, as the account's
// PasswordEncryption asks.
func (k keys) storePassword(password, encryption string) (string, error) {
	switch encryption {
	case "clear":
		if strings.HasPrefix(password, "{") || strings.HasPrefix(password, "$") || password < " " {
			return clearMark + password, nil
		}
		return password, nil
	case "A-crpt":
		return k.sealPassword(password), nil
	}
	password = prepared(password)
	scram, err := newScram(password, random(scramSaltLen))
	if err != nil {
		return "", err
	}
	return (&verifierPassword{scram: scram, argon: newArgon(password)}).String(), nil
}

// reversibleEncryption reports whether a PasswordEncryption keeps the password itself.
func reversibleEncryption(e string) bool {
	return strings.EqualFold(e, "clear") || strings.EqualFold(e, "A-crpt")
}

// isStored reports whether a text that an administrator sends as Password is
// a stored form already: settings that were read can be written back.
func (k keys) isStored(text string) bool {
	p, err := k.parsePassword(text)
	if err != nil {
		return false
	}
	c, clear := p.(clearPassword)
	return !clear || string(c) != text
}
