package password

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

	"golang.org/x/crypto/argon2"
)

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

// SCRAM is what a server needs for SCRAM-SHA-256 (RFC 5802 section 3).
type SCRAM struct {
	Salt       []byte
	Iterations int
	StoredKey  []byte
	ServerKey  []byte
}

// DeriveSCRAM derives the credentials of a password at the usual cost.
func DeriveSCRAM(password string, salt []byte) (SCRAM, error) {
	return deriveSCRAM(password, salt, scramIterations)
}

func deriveSCRAM(password string, salt []byte, iterations int) (SCRAM, error) {
	salted, err := pbkdf2.Key(sha256.New, password, salt, iterations, sha256.Size)
	if err != nil {
		return SCRAM{}, err
	}
	mac := func(text string) []byte {
		m := hmac.New(sha256.New, salted)
		m.Write([]byte(text))
		return m.Sum(nil)
	}
	stored := sha256.Sum256(mac("Client Key"))
	return SCRAM{Salt: salt, Iterations: iterations, StoredKey: stored[:], ServerKey: mac("Server Key")}, nil
}

// Hash is a password hash: what new passwords become.
type Hash struct {
	scram SCRAM
	argon argonHash
}

// SCRAM returns the credentials for SCRAM-SHA-256.
func (v *Hash) SCRAM() SCRAM { return v.scram }

func (v *Hash) Verify(password string) (ok, slow bool) {
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

// DummyVerify takes as long as Verify of a password hash, for a password that has none to be
// compared with.
func DummyVerify(password string) { newArgon(password) }

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b) // never fails
	return b
}

const hashMark = "{GP1}"

var b64 = base64.RawStdEncoding

// String is what is stored.
func (v *Hash) String() string {
	e := b64.EncodeToString
	return fmt.Sprintf("%sscram-sha-256:%d:%s:%s:%s$argon2id:%d:%d:%d:%s:%s", hashMark,
		v.scram.Iterations, e(v.scram.Salt), e(v.scram.StoredKey), e(v.scram.ServerKey),
		v.argon.time, v.argon.memory, v.argon.lanes, e(v.argon.salt), e(v.argon.key))
}

// parseHash reads what follows the mark.
func parseHash(s string) (*Hash, error) {
	scram, argon, ok := strings.Cut(s, "$")
	sf, af := strings.Split(scram, ":"), strings.Split(argon, ":")
	if !ok || len(sf) != 5 || len(af) != 6 || sf[0] != "scram-sha-256" || af[0] != "argon2id" {
		return nil, errDamaged
	}
	v := new(Hash)
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
		return nil, errDamaged
	}
	v.argon.time, v.argon.memory, v.argon.lanes = uint32(t), uint32(m), uint8(l)
	// What a file asks for must not cost more than a login may.
	if v.scram.Iterations < 1 || len(v.scram.StoredKey) != sha256.Size || len(v.scram.ServerKey) != sha256.Size ||
		t < 1 || t > 16 || m < 8 || m > 256*1024 || l < 1 || l > 8 || len(v.argon.key) != argonKeyLen || len(v.argon.salt) < 8 {
		return nil, errDamaged
	}
	return v, nil
}
