package password

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
)

// The cost of one-way forms. The SCRAM iterations are paid by clients at each
// SCRAM login (RFC 7677 section 4 asks for 4,096 at least) and here once per
// password that is set; the memory-hard hash once per password and hour. SHA-1 gets more
// iterations, as graphics cards compute it more than twice as fast: whoever steals the file
// gains nothing by trying passwords against that verifier.
const (
	scramIterations     = 32_768
	scramSHA1Iterations = 81_920
	scramSaltLen        = 16

	argonTime   = 2
	argonMemory = 19 * 1024 // KiB
	argonLanes  = 1
	argonKeyLen = 32
	argonSalt   = 16
)

// Digest is the hash function of a SCRAM mechanism.
type Digest uint8

const (
	SHA256 Digest = iota // SCRAM-SHA-256 (RFC 7677)
	SHA1                 // SCRAM-SHA-1 (RFC 5802)
)

// Digests is their number.
const Digests = 2

func (d Digest) new() func() hash.Hash {
	if d == SHA1 {
		return sha1.New
	}
	return sha256.New
}

// size is the length of a digest in bytes.
func (d Digest) size() int { return d.new()().Size() }

func (d Digest) iterations() int {
	if d == SHA1 {
		return scramSHA1Iterations
	}
	return scramIterations
}

// name is how stored hashes name the mechanism.
func (d Digest) name() string {
	if d == SHA1 {
		return "scram-sha-1"
	}
	return "scram-sha-256"
}

// SCRAM is what a server needs for a SCRAM mechanism (RFC 5802 section 3).
type SCRAM struct {
	Salt       []byte
	Iterations int
	StoredKey  []byte
	ServerKey  []byte
}

// DeriveSCRAM derives the credentials of a password at the usual cost.
func DeriveSCRAM(d Digest, password string, salt []byte) (SCRAM, error) {
	return deriveSCRAM(d, password, salt, d.iterations())
}

func deriveSCRAM(d Digest, password string, salt []byte, iterations int) (SCRAM, error) {
	salted, err := pbkdf2.Key(d.new(), password, salt, iterations, d.size())
	if err != nil {
		return SCRAM{}, err
	}
	mac := func(text string) []byte {
		m := hmac.New(d.new(), salted)
		m.Write([]byte(text))
		return m.Sum(nil)
	}
	stored := d.new()()
	stored.Write(mac("Client Key"))
	return SCRAM{Salt: salt, Iterations: iterations, StoredKey: stored.Sum(nil), ServerKey: mac("Server Key")}, nil
}

// Hash is a password hash: what new passwords become.
type Hash struct {
	scram [Digests]SCRAM // without a StoredKey where there is no verifier
	argon argonHash
}

// newHash makes the hash of a prepared password.
func newHash(password string) (*Hash, error) {
	return (&Hash{argon: newArgon(password)}).Complete(password)
}

// SCRAM returns the credentials for a SCRAM mechanism. Hashes that were made before there was
// SCRAM-SHA-1 have none for it.
func (v *Hash) SCRAM(d Digest) (c SCRAM, ok bool) { return v.scram[d], v.scram[d].StoredKey != nil }

// Complete returns the hash with the verifiers that it lacks, made of the prepared password that it is of: v itself if it has all.
func (v *Hash) Complete(password string) (*Hash, error) {
	full := *v
	for d := range Digest(Digests) {
		if _, ok := v.SCRAM(d); ok {
			continue
		}
		var err error
		if full.scram[d], err = DeriveSCRAM(d, password, random(scramSaltLen)); err != nil {
			return nil, err
		}
	}
	if full.String() == v.String() {
		return v, nil
	}
	return &full, nil
}

// Same reports whether two settings Password are of one password that was set once: a hash may have been completed meanwhile.
func Same(a, b string) bool {
	if a == b {
		return true
	}
	x, y := argonOf(a), argonOf(b)
	return x != "" && x == y
}

// argonOf is the memory-hard hash in a stored password hash, "" if it is none.
func argonOf(stored string) string {
	rest, ok := strings.CutPrefix(stored, hashMark)
	parts := strings.Split(rest, "$")
	if !ok || len(parts) < 2 {
		return ""
	}
	return parts[1]
}

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
	verifier := func(d Digest) string {
		c := v.scram[d]
		return fmt.Sprintf("%s:%d:%s:%s:%s", d.name(), c.Iterations, e(c.Salt), e(c.StoredKey), e(c.ServerKey))
	}
	s := fmt.Sprintf("%s%s$argon2id:%d:%d:%d:%s:%s", hashMark, verifier(SHA256),
		v.argon.time, v.argon.memory, v.argon.lanes, e(v.argon.salt), e(v.argon.key))
	if _, ok := v.SCRAM(SHA1); ok {
		s += "$" + verifier(SHA1)
	}
	return s
}

// parseHash reads what follows the mark.
func parseHash(s string) (*Hash, error) {
	parts := strings.Split(s, "$")
	if len(parts) < 2 || len(parts) > 3 {
		return nil, errDamaged
	}
	v := new(Hash)
	var err error
	if v.scram[SHA256], err = parseVerifier(SHA256, parts[0]); err != nil {
		return nil, err
	}
	if v.argon, err = parseArgon(parts[1]); err != nil {
		return nil, err
	}
	if len(parts) == 3 {
		v.scram[SHA1], err = parseVerifier(SHA1, parts[2])
	}
	return v, err
}

func parseVerifier(d Digest, s string) (c SCRAM, err error) {
	f := strings.Split(s, ":")
	if len(f) != 5 || f[0] != d.name() {
		return c, errDamaged
	}
	var errs [4]error
	c.Iterations, errs[0] = strconv.Atoi(f[1])
	c.Salt, errs[1] = b64.DecodeString(f[2])
	c.StoredKey, errs[2] = b64.DecodeString(f[3])
	c.ServerKey, errs[3] = b64.DecodeString(f[4])
	if errors.Join(errs[:]...) != nil || c.Iterations < 1 || len(c.StoredKey) != d.size() || len(c.ServerKey) != d.size() {
		return SCRAM{}, errDamaged
	}
	return c, nil
}

func parseArgon(s string) (h argonHash, err error) {
	f := strings.Split(s, ":")
	if len(f) != 6 || f[0] != "argon2id" {
		return h, errDamaged
	}
	t, terr := strconv.ParseUint(f[1], 10, 8)
	m, merr := strconv.ParseUint(f[2], 10, 32)
	l, lerr := strconv.ParseUint(f[3], 10, 8)
	salt, serr := b64.DecodeString(f[4])
	key, kerr := b64.DecodeString(f[5])
	// What a file asks for must not cost more than a login may.
	if errors.Join(terr, merr, lerr, serr, kerr) != nil ||
		t < 1 || t > 16 || m < 8 || m > 256*1024 || l < 1 || l > 8 || len(key) != argonKeyLen || len(salt) < 8 {
		return h, errDamaged
	}
	return argonHash{time: uint32(t), memory: uint32(m), lanes: uint8(l), salt: salt, key: key}, nil
}
