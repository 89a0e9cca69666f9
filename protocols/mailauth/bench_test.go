package mailauth

import (
	"strings"
	"testing"
)

// BenchmarkSign signs a message of 4 KB with an RSA key, an Ed25519 key, and both.
func BenchmarkSign(b *testing.B) {
	n := names{}
	rsaKey, edKey := n.key(b, "author.test", "r1", true), n.key(b, "author.test", "e1", false)
	text := letter + strings.Repeat("a line of a message that is not very long\r\n", 90)
	for name, keys := range map[string][]Key{"rsa": {rsaKey}, "ed25519": {edKey}, "both": {rsaKey, edKey}} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := Sign(strings.NewReader(text), int64(len(text)), keys); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkVerify verifies SPF, two signatures and DMARC of such a message, with all look-ups answered at once.
func BenchmarkVerify(b *testing.B) {
	n := names{"TXT author.test": {"v=spf1 +all"}, "TXT _dmarc.author.test": {"v=DMARC1; p=reject"}}
	text := sign(b, letter+strings.Repeat("a line of a message that is not very long\r\n", 90),
		n.key(b, "author.test", "r1", true), n.key(b, "author.test", "e1", false))
	for b.Loop() {
		n.verify(b, "ann@author.test", text)
	}
}
