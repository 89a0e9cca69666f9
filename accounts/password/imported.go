package password

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"strings"

	"golang.org/x/crypto/bcrypt"
)

// Hashes that come with accounts from other systems. They are verified
// and never made: a new password is stored as hash.go tells.
//
//	{SHA} {SSHA} {SHA256} {SSHA256} {SHA512} {SSHA512} {MD5} {SMD5}   RFC 2307 and its kin: digest, salt behind it
//	{CRYPT}$..., $...   crypt(3): $1$ (MD5), $2a$ $2b$ $2y$ (bcrypt), $5$ (SHA-256), $6$ (SHA-512)
//
// Not read: traditional DES crypt, and the vendor's own forms that start with
// one of the bytes 1 to 4, whose algorithm is not published. Their owners need a
// new password.

var errReset = errors.New("the stored password is in a form that cannot be verified: the account needs a new password")

// digestPassword is a digest over password and salt.
type digestPassword struct {
	new    func() hash.Hash
	digest []byte
	salt   []byte
}

func (d digestPassword) Verify(password string) (ok, slow bool) {
	h := d.new()
	h.Write([]byte(password))
	h.Write(d.salt)
	return subtle.ConstantTimeCompare(h.Sum(nil), d.digest) == 1, false
}

// cryptPassword is a string of crypt(3).
type cryptPassword string

func (c cryptPassword) Verify(password string) (ok, slow bool) {
	s := string(c)
	var got string
	switch {
	case strings.HasPrefix(s, "$2"):
		return bcrypt.CompareHashAndPassword([]byte(s), []byte(password)) == nil, false
	case strings.HasPrefix(s, "$1$"):
		got = md5Crypt(password, s)
	case strings.HasPrefix(s, "$5$"):
		got = shaCrypt(password, s, sha256.New, "$5$", order256)
	case strings.HasPrefix(s, "$6$"):
		got = shaCrypt(password, s, sha512.New, "$6$", order512)
	}
	return got != "" && subtle.ConstantTimeCompare([]byte(got), []byte(s)) == 1, false
}

var digests = map[string]struct {
	new    func() hash.Hash
	salted bool
}{
	"SHA": {sha1.New, false}, "SSHA": {sha1.New, true},
	"SHA256": {sha256.New, false}, "SSHA256": {sha256.New, true},
	"SHA512": {sha512.New, false}, "SSHA512": {sha512.New, true},
	"MD5": {md5.New, false}, "SMD5": {md5.New, true},
}

// parseImported reads a hash of another system; nil without an error is none.
func parseImported(stored string) (Stored, error) {
	switch {
	case stored == "":
		return nil, errDamaged
	case stored[0] >= 1 && stored[0] <= 4:
		return nil, errReset
	case stored[0] == '$':
		return parseCrypt(stored)
	case stored[0] != '{':
		return nil, nil
	}
	scheme, rest, ok := strings.Cut(stored[1:], "}")
	if !ok || scheme == "" || strings.Trim(scheme, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_") != "" {
		return nil, nil
	}
	scheme = strings.ToUpper(scheme)
	switch scheme {
	case "PLAIN", "CLEARTEXT":
		return clearPassword(rest), nil
	case "CRYPT", "BLF-CRYPT", "MD5-CRYPT", "SHA256-CRYPT", "SHA512-CRYPT":
		return parseCrypt(rest)
	}
	d, ok := digests[scheme]
	if !ok {
		return nil, fmt.Errorf("the stored password has the scheme %q that is not known here: the account needs a new password", scheme)
	}
	size := d.new().Size()
	b, err := hex.DecodeString(rest)
	if err != nil || len(b) != size {
		b, err = base64.StdEncoding.DecodeString(rest)
	}
	if err != nil || len(b) < size || (len(b) > size) != d.salted {
		return nil, errDamaged
	}
	return digestPassword{d.new, b[:size], b[size:]}, nil
}

func parseCrypt(s string) (Stored, error) {
	for _, mark := range []string{"$1$", "$5$", "$6$"} {
		if strings.HasPrefix(s, mark) {
			return cryptPassword(s), nil
		}
	}
	if strings.HasPrefix(s, "$2") {
		cost, err := bcrypt.Cost([]byte(s))
		if err != nil || cost > 14 {
			return nil, errDamaged
		}
		return cryptPassword(s), nil
	}
	return nil, errReset
}

const cryptAlphabet = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// appendCrypt appends n characters for three bytes, lowest six bits first.
func appendCrypt(dst []byte, b2, b1, b0 byte, n int) []byte {
	w := uint(b2)<<16 | uint(b1)<<8 | uint(b0)
	for ; n > 0; n-- {
		dst = append(dst, cryptAlphabet[w&63])
		w >>= 6
	}
	return dst
}

// md5Crypt computes $1$salt$digest, the MD5 form of crypt(3).
func md5Crypt(password, setting string) string {
	salt, _, _ := strings.Cut(strings.TrimPrefix(setting, "$1$"), "$")
	salt = salt[:min(len(salt), 8)]
	key := []byte(password)

	alt := md5.New()
	alt.Write(key)
	alt.Write([]byte(salt))
	alt.Write(key)
	mixin := alt.Sum(nil)

	h := md5.New()
	h.Write(key)
	h.Write([]byte("$1$" + salt))
	for n := len(key); n > 0; n -= md5.Size {
		h.Write(mixin[:min(n, md5.Size)])
	}
	for n := len(key); n > 0; n >>= 1 {
		if n&1 == 1 {
			h.Write([]byte{0})
		} else {
			h.Write(key[:1])
		}
	}
	sum := h.Sum(nil)
	for i := range 1000 {
		h.Reset()
		cryptRound(h, i, key, []byte(salt), sum)
		sum = h.Sum(sum[:0])
	}
	out := []byte("$1$" + salt + "$")
	for _, t := range [][3]int{{0, 6, 12}, {1, 7, 13}, {2, 8, 14}, {3, 9, 15}, {4, 10, 5}} {
		out = appendCrypt(out, sum[t[0]], sum[t[1]], sum[t[2]], 4)
	}
	return string(appendCrypt(out, 0, 0, sum[11], 2))
}

// cryptRound writes one round's input of the MD5 and SHA forms.
func cryptRound(h hash.Hash, i int, key, salt, sum []byte) {
	if i&1 == 1 {
		h.Write(key)
	} else {
		h.Write(sum)
	}
	if i%3 != 0 {
		h.Write(salt)
	}
	if i%7 != 0 {
		h.Write(key)
	}
	if i&1 == 1 {
		h.Write(sum)
	} else {
		h.Write(key)
	}
}

// The order in which the SHA forms print the bytes of a digest, three for four
// characters; the bytes left over come last.
var (
	order256 = [][3]int{
		{0, 10, 20}, {21, 1, 11}, {12, 22, 2}, {3, 13, 23}, {24, 4, 14}, {15, 25, 5}, {6, 16, 26}, {27, 7, 17},
		{18, 28, 8}, {9, 19, 29}, {-1, 31, 30},
	}
	order512 = [][3]int{
		{0, 21, 42}, {22, 43, 1}, {44, 2, 23}, {3, 24, 45}, {25, 46, 4}, {47, 5, 26}, {6, 27, 48}, {28, 49, 7},
		{50, 8, 29}, {9, 30, 51}, {31, 52, 10}, {53, 11, 32}, {12, 33, 54}, {34, 55, 13}, {56, 14, 35}, {15, 36, 57},
		{37, 58, 16}, {59, 17, 38}, {18, 39, 60}, {40, 61, 19}, {62, 20, 41}, {-1, -1, 63},
	}
)

// shaCrypt computes the SHA-256 and SHA-512 forms of crypt(3).
func shaCrypt(password, setting string, newHash func() hash.Hash, mark string, order [][3]int) string {
	rest := strings.TrimPrefix(setting, mark)
	rounds, head := 5000, mark
	if spec, after, ok := strings.Cut(rest, "$"); ok && strings.HasPrefix(spec, "rounds=") {
		if _, err := fmt.Sscanf(spec, "rounds=%d", &rounds); err != nil {
			return ""
		}
		rounds = max(1000, min(rounds, 1_000_000))
		head, rest = fmt.Sprintf("%srounds=%d$", mark, rounds), after
	}
	salt, _, _ := strings.Cut(rest, "$")
	salt = salt[:min(len(salt), 16)]
	key, s := []byte(password), []byte(salt)
	h := newHash()
	sum := shaCryptStart(h, key, s)

	// The key and the salt are replaced by bytes made of them.
	h.Reset()
	for range key {
		h.Write(key)
	}
	p := stretch(h.Sum(nil), len(key))
	h.Reset()
	for range 16 + int(sum[0]) {
		h.Write(s)
	}
	s = stretch(h.Sum(nil), len(s))

	for i := range rounds {
		h.Reset()
		cryptRound(h, i, p, s, sum)
		sum = h.Sum(sum[:0])
	}
	out := []byte(head + salt + "$")
	for _, t := range order {
		out = appendCryptDigest(out, sum, t)
	}
	return string(out)
}

// shaCryptStart computes the digest that the rounds start from.
func shaCryptStart(h hash.Hash, key, salt []byte) []byte {
	h.Write(key)
	h.Write(salt)
	h.Write(key)
	mixin := h.Sum(nil)
	h.Reset()
	h.Write(key)
	h.Write(salt)
	h.Write(stretch(mixin, len(key)))
	for n := len(key); n > 0; n >>= 1 {
		if n&1 == 1 {
			h.Write(mixin)
		} else {
			h.Write(key)
		}
	}
	return h.Sum(nil)
}

// stretch repeats b to n bytes.
func stretch(b []byte, n int) []byte {
	return bytes.Repeat(b, n/len(b)+1)[:n]
}

// appendCryptDigest prints the bytes of one group; -1 is no byte.
func appendCryptDigest(dst, sum []byte, t [3]int) []byte {
	switch {
	case t[1] < 0:
		return appendCrypt(dst, 0, 0, sum[t[2]], 2)
	case t[0] < 0:
		return appendCrypt(dst, 0, sum[t[1]], sum[t[2]], 3)
	}
	return appendCrypt(dst, sum[t[0]], sum[t[1]], sum[t[2]], 4)
}
