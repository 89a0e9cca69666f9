package accounts

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/xdg-go/stringprep"
	"golang.org/x/crypto/argon2"
)

// Stored passwords, in the setting Password.
//
//	{GP1}<scram>$<argon2id>   what new passwords become: a SCRAM-SHA-256
//	                          verifier and a memory-hard hash
//	{A-CRPT}<base64>          the password, sealed with the server's key file
//	{CLEAR}<password>         the password
//	<password>                the password, when it starts like none of these
//
// Verifiers of other systems are read as crypt.go tells.

// The cost of one-way forms. The SCRAM iterations are paid by clients at each
// SCRAM login (RFC 7677 section 4 asks for 4,096 at least) and here once per
// password that is set; the memory-hard hash once per password and hour.
const (
	scramIterations = 32_768
	scramSaltLen    = 16

	argonTime   = 2
	argonMemory = 19 * 1024 // KiB
	argonLanes  = 1
	argonKeyLen = 32
	argonSalt   = 16
)

// storedPassword is a parsed setting Password.
type storedPassword interface {
	// verify compares a prepared password with the stored form. slow says that
	// this took as long as a memory-hard hash.
	verify(password string) (ok, slow bool)
}

// revealer is a stored password that can be turned back into what it was.
type revealer interface {
	storedPassword
	reveal() (string, error)
}

// clearPassword is stored as it is.
type clearPassword string

func (c clearPassword) verify(password string) (ok, slow bool) {
	a, b := sha256.Sum256([]byte(prepared(string(c)))), sha256.Sum256([]byte(password))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1, false
}

func (c clearPassword) reveal() (string, error) { return string(c), nil }

// ScramCredentials is what a server needs for SCRAM-SHA-256 (RFC 5802 section 3).
type ScramCredentials struct {
	Salt       []byte
	Iterations int
	StoredKey  []byte
	ServerKey  []byte
}

// prepared is the form of a password that is hashed and compared: SASLprep
// (RFC 4013), as SCRAM clients send it; a password that this does not allow is
// taken as it is.
func prepared(password string) string {
	if isPlain(password) {
		return password
	}
	if p, err := stringprep.SASLprep.Prepare(password); err == nil {
		return p
	}
	return password
}

// newScram derives the credentials of a password at the usual cost.
func newScram(password string, salt []byte) (ScramCredentials, error) {
	return deriveScram(password, salt, scramIterations)
}

func deriveScram(password string, salt []byte, iterations int) (ScramCredentials, error) {
	salted, err := pbkdf2.Key(sha256.New, password, salt, iterations, sha256.Size)
	if err != nil {
		return ScramCredentials{}, err
	}
	mac := func(text string) []byte {
		m := hmac.New(sha256.New, salted)
		m.Write([]byte(text))
		return m.Sum(nil)
	}
	stored := sha256.Sum256(mac("Client Key"))
	return ScramCredentials{Salt: salt, Iterations: iterations, StoredKey: stored[:], ServerKey: mac("Server Key")}, nil
}

// verifierPassword is the form of new passwords.
type verifierPassword struct {
	scram ScramCredentials
	argon argonHash
}

func (v *verifierPassword) verify(password string) (ok, slow bool) {
	return v.argon.matches(password), true
}

// argonHash is an argon2id hash (RFC 9106) with its parameters.
type argonHash struct {
	time, memory uint32
	lanes        uint8
	salt, key    []byte
}

func newArgon(password string) argonHash {
	h := argonHash{time: argonTime, memory: argonMemory, lanes: argonLanes, salt: random(argonSalt)}
	h.key = argon2.IDKey([]byte(password), h.salt, h.time, h.memory, h.lanes, argonKeyLen)
	return h
}

func (h argonHash) matches(password string) bool {
	key := argon2.IDKey([]byte(password), h.salt, h.time, h.memory, h.lanes, uint32(len(h.key)))
	return subtle.ConstantTimeCompare(key, h.key) == 1
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b) // never fails
	return b
}

const verifierMark = "{GP1}"

var b64 = base64.RawStdEncoding

// String is the stored form.
func (v *verifierPassword) String() string {
	e := b64.EncodeToString
	return fmt.Sprintf("%sscram-sha-256:%d:%s:%s:%s$argon2id:%d:%d:%d:%s:%s", verifierMark,
		v.scram.Iterations, e(v.scram.Salt), e(v.scram.StoredKey), e(v.scram.ServerKey),
		v.argon.time, v.argon.memory, v.argon.lanes, e(v.argon.salt), e(v.argon.key))
}

var errVerifier = errors.New("the stored password is damaged")

// parseVerifier reads what follows the mark.
func parseVerifier(s string) (*verifierPassword, error) {
	scram, argon, ok := strings.Cut(s, "$")
	sf, af := strings.Split(scram, ":"), strings.Split(argon, ":")
	if !ok || len(sf) != 5 || len(af) != 6 || sf[0] != "scram-sha-256" || af[0] != "argon2id" {
		return nil, errVerifier
	}
	v := new(verifierPassword)
	var errs [9]error
	v.scram.Iterations, errs[0] = strconv.Atoi(sf[1])
	v.scram.Salt, errs[1] = b64.DecodeString(sf[2])
	v.scram.StoredKey, errs[2] = b64.DecodeString(sf[3])
	v.scram.ServerKey, errs[3] = b64.DecodeString(sf[4])
	t, err := strconv.ParseUint(af[1], 10, 8)
	errs[4] = err
	m, err := strconv.ParseUint(af[2], 10, 32)
	errs[5] = err
	l, err := strconv.ParseUint(af[3], 10, 8)
	errs[6] = err
	v.argon.salt, errs[7] = b64.DecodeString(af[4])
	v.argon.key, errs[8] = b64.DecodeString(af[5])
	if errors.Join(errs[:]...) != nil {
		return nil, errVerifier
	}
	v.argon.time, v.argon.memory, v.argon.lanes = uint32(t), uint32(m), uint8(l)
	// What a file asks for must not cost more than a login may.
	if v.scram.Iterations < 1 || len(v.scram.StoredKey) != sha256.Size || len(v.scram.ServerKey) != sha256.Size ||
		t < 1 || t > 16 || m < 8 || m > 256*1024 || l < 1 || l > 8 || len(v.argon.key) != argonKeyLen || len(v.argon.salt) < 8 {
		return nil, errVerifier
	}
	return v, nil
}
