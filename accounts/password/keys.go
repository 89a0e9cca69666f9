package password

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

	"gatepost/server/dataformat"
)

// KeyFile is the name of the file that holds the secret of the server, mode 0600: sealed
// passwords are lost without it, so a backup has to include it.
const KeyFile = "Password.key"

// Keys are the secrets that follow from the key file.
type Keys struct {
	aead cipher.AEAD // seals reversible passwords
	fake []byte      // makes the SCRAM salts of names that do not exist
}

// OpenKeys reads the key file, which it makes at the first start.
func OpenKeys(path string) (Keys, error) {
	v, err := dataformat.ReadFile(path)
	if err != nil {
		return Keys{}, err
	}
	secret, ok := v.(dataformat.Data)
	switch {
	case v == nil:
		secret = random(32)
		if err := dataformat.WriteFile(path, secret, dataformat.StyleCompact); err != nil {
			return Keys{}, err
		}
	case !ok || len(secret) != 32:
		return Keys{}, fmt.Errorf("%s: not a key of 32 bytes", KeyFile)
	}
	if i, err := os.Stat(path); err != nil {
		return Keys{}, err
	} else if i.Mode()&0o077 != 0 {
		return Keys{}, &fs.PathError{Op: "open", Path: path, Err: errors.New("others may read it: mode 0600 is needed")}
	}
	block, err := aes.NewCipher(derive(secret, "sealed passwords"))
	if err != nil {
		return Keys{}, err
	}
	aead, err := cipher.NewGCM(block)
	return Keys{aead: aead, fake: derive(secret, "salts of unknown names")}, err
}

// FakeSCRAM returns credentials for a name that has none: they look like those of a password
// hash and match no password. Their salt is the same each time, and serves a reversible
// password of that name as well.
func (k Keys) FakeSCRAM(d Digest, name string) SCRAM {
	return SCRAM{Salt: k.salt(d, name), Iterations: d.iterations(), StoredKey: random(d.size()), ServerKey: random(d.size())}
}

// salt is the SCRAM salt of a name that has none of its own: the same each time.
func (k Keys) salt(d Digest, name string) []byte {
	m := hmac.New(sha256.New, k.fake)
	if d != SHA256 {
		m.Write([]byte(d.name() + "\x00"))
	}
	m.Write([]byte(name))
	return m.Sum(nil)[:scramSaltLen]
}

// derive makes a key for one purpose from the secret.
func derive(secret []byte, purpose string) []byte {
	m := hmac.New(sha256.New, secret)
	m.Write([]byte(purpose))
	return m.Sum(nil)
}

// sealedPassword is a reversible password.
type sealedPassword struct {
	keys Keys
	text []byte // nonce and ciphertext
}

func (p sealedPassword) Reveal() (string, error) {
	n := p.keys.aead.NonceSize()
	if len(p.text) < n {
		return "", errDamaged
	}
	plain, err := p.keys.aead.Open(nil, p.text[:n], p.text[n:], nil)
	if err != nil {
		return "", fmt.Errorf("the stored password was sealed with another %s: %w", KeyFile, err)
	}
	return string(plain), nil
}

func (p sealedPassword) Verify(password string) (ok, slow bool) {
	plain, err := p.Reveal()
	if err != nil {
		return false, false
	}
	return clearPassword(plain).Verify(password)
}

// seal makes a reversible password.
func (k Keys) seal(password string) string {
	nonce := random(k.aead.NonceSize())
	return sealedMark + base64.StdEncoding.EncodeToString(k.aead.Seal(nonce, nonce, []byte(password), nil))
}
