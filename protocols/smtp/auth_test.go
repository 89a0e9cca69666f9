package smtp

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/xdg-go/scram"

	"gatepost/protocols/transcript"
)

func unb64(t *testing.T, reply string) string {
	t.Helper()
	raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(reply, "334 "))
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// TestSTARTTLSForgetsTheLogin: what was said in the clear may have been somebody else's
// (RFC 3207 section 4.2).
func TestSTARTTLSForgetsTheLogin(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *site) {
		c := s.connect(587, "127.0.0.1")
		c.say("EHLO x.example", "250-")
		c.say("AUTH PLAIN "+plain("larry", "secret"), "235 ")
		c.say("STARTTLS", "220 ")
		c.conn = transcript.TLSClient(c.conn, &tls.Config{InsecureSkipVerify: true})
		c.r = bufioReaderOf(c.conn)
		c.say("MAIL FROM:<larry@company.com>", "503 ")
		c.say("EHLO x.example", "250-")
		c.say("MAIL FROM:<larry@company.com>", "530 5.7.0 ")
		c.say("QUIT", "221 ")
		c.closed()
	})
}

func TestChallengeResponseOverTheWire(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *site) {
		c := s.connect(465, "198.51.100.7")
		c.say("EHLO laptop.home", "250-")
		state := c.conn.(*tls.Conn).ConnectionState()
		binding, err := scram.NewTLSExporterBinding(&state)
		s.must(err)
		user, err := scram.SHA256.NewClient("larry@company.com", "secret", "")
		s.must(err)
		conv := user.NewConversationWithChannelBinding(binding)
		text, err := conv.Step("")
		s.must(err)
		text, err = conv.Step(unb64(t, c.say("AUTH SCRAM-SHA-256-PLUS "+b64(text), "334 ")))
		s.must(err)
		_, err = conv.Step(unb64(t, c.say(b64(text), "334 ")))
		s.must(err)
		if !conv.Valid() {
			t.Error("the server did not prove itself")
		}
		c.say("", "235 larry@company.com authenticated")
		c.say("MAIL FROM:<larry@company.com>", "250 ")

		c = s.connect(465, "198.51.100.7")
		c.say("EHLO laptop.home", "250-")
		challenge := unb64(t, c.say("AUTH CRAM-MD5", "334 "))
		mac := hmac.New(md5.New, []byte("secret"))
		mac.Write([]byte(challenge))
		c.say(b64("moe "+hex.EncodeToString(mac.Sum(nil))), "235 moe@company.com authenticated")
	})
}

// TestCramIsNotOfferedWithoutReversiblePasswords: clients would prefer it, and
// fail.
func TestCramIsNotOfferedWithoutReversiblePasswords(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *site) {
		s.must(s.accounts.AccountDefaults("company.com").Update(t.Context(), dict("PasswordEncryption", "SCRAM-SHA-256")))
		c := s.connect(465, "198.51.100.7")
		if got := c.say("EHLO laptop.home", "250-"); !strings.Contains(got, "\n250-AUTH SCRAM-SHA-256-PLUS SCRAM-SHA-1-PLUS SCRAM-SHA-256 SCRAM-SHA-1 PLAIN LOGIN\n") {
			t.Error(got)
		}
	})
}
