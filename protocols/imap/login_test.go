package imap

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/xdg-go/scram"
)

func TestSCRAM(t *testing.T) {
	f := start(t)
	for _, test := range []struct {
		password      string
		initial, want bool
	}{{"secret1", true, true}, {"secret1", false, true}, {"wrong", true, false}} {
		c := f.connect(t)
		c.line()
		client, err := scram.SHA256.NewClient("user1", test.password, "")
		if err != nil {
			t.Fatal(err)
		}
		conv := client.NewConversation()
		first, err := conv.Step("")
		if err != nil {
			t.Fatal(err)
		}
		response := base64.StdEncoding.EncodeToString([]byte(first))
		if test.initial {
			c.send("a AUTHENTICATE SCRAM-SHA-256 " + response + "\r\n")
		} else {
			c.send("a AUTHENTICATE SCRAM-SHA-256\r\n")
			if l := c.line(); l != "+ " {
				t.Fatal(l)
			}
			c.send(response + "\r\n")
		}
		l := c.line()
		for ; strings.HasPrefix(l, "+ "); l = c.line() {
			challenge, err := base64.StdEncoding.DecodeString(l[2:])
			if err != nil {
				t.Fatal(err)
			}
			next, err := conv.Step(string(challenge))
			if err != nil {
				t.Fatal(err)
			}
			c.send(base64.StdEncoding.EncodeToString([]byte(next)) + "\r\n")
		}
		if got := strings.HasPrefix(l, "a OK"); got != test.want || test.want && !conv.Valid() {
			t.Errorf("%+v: %s", test, l)
		}
	}
}
