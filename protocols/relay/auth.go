package relay

import (
	"crypto/hmac"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/xdg-go/scram"
)

// authError says why a login failed, in words that somebody can act on.
type authError struct {
	text  string
	reply *reply // nil: the server was not asked, or its proof is wrong
}

func (e *authError) Error() string {
	if e.reply != nil {
		return e.text + ": " + e.reply.String()
	}
	return e.text
}

// mechanism returns the way to log in. PLAIN and LOGIN show the password to whoever reads along: they come
// last where the connection is not encrypted, and only if the settings say that it is not to be.
func (c *conn) mechanism() (string, error) {
	order := []string{"PLAIN", "LOGIN", "SCRAM-SHA-256", "CRAM-MD5"}
	clear := c.tlsVersion() == ""
	if clear {
		order = []string{"SCRAM-SHA-256", "CRAM-MD5", "PLAIN", "LOGIN"}
	}
	if len(c.ext.auth) == 0 {
		if clear {
			return "", &authError{text: "the server offers no login without encryption"}
		}
		return "", &authError{text: "the server offers no login at this port"}
	}
	for _, m := range order {
		if slices.Contains(c.ext.auth, m) && (!clear || c.hop.tls == tlsNever || m == "SCRAM-SHA-256" || m == "CRAM-MD5" || c.isLoopback()) {
			return m, nil
		}
	}
	return "", &authError{text: "the server offers none of the ways to log in that there are here (" + strings.Join(order, ", ") + "), only " + strings.Join(c.ext.auth, ", ")}
}

func (c *conn) isLoopback() bool {
	a, ok := c.raw.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return false
	}
	ip, ok := netip.AddrFromSlice(a.IP)
	return ok && ip.Unmap().IsLoopback()
}

// login logs in (RFC 4954). The password is in no error.
func (c *conn) login(user, password string) error {
	mech, err := c.mechanism()
	if err != nil {
		return err
	}
	c.mech = mech
	switch mech {
	case "PLAIN":
		return c.dialogue("AUTH PLAIN "+encode("\x00"+user+"\x00"+password), nil)
	case "LOGIN":
		return c.dialogue("AUTH LOGIN", func(step int, _ string) (string, error) {
			return []string{user, password}[min(step, 1)], nil
		})
	case "CRAM-MD5": // RFC 2195
		return c.dialogue("AUTH CRAM-MD5", func(_ int, challenge string) (string, error) {
			sum := hmac.New(md5.New, []byte(password))
			sum.Write([]byte(challenge))
			return user + " " + hex.EncodeToString(sum.Sum(nil)), nil
		})
	}
	client, err := scram.SHA256.NewClient(user, password, "")
	if err != nil {
		return &authError{text: "user and password cannot be used with SCRAM-SHA-256"}
	}
	conv := client.NewConversation()
	first, err := conv.Step("")
	if err != nil {
		return &authError{text: "user and password cannot be used with SCRAM-SHA-256"}
	}
	err = c.dialogue("AUTH SCRAM-SHA-256 "+encode(first), func(_ int, challenge string) (string, error) { return conv.Step(challenge) })
	if err == nil && !conv.Valid() {
		return &authError{text: "the server could not prove that it knows the password"}
	}
	return err
}

// maxSteps bounds the dialogue of a login.
const maxSteps = 5

// dialogue sends the command and answers what the server asks.
func (c *conn) dialogue(command string, answer func(step int, challenge string) (string, error)) error {
	rep, err := c.command(c.limits.mail, command)
	for step := 0; err == nil && rep.code == 334 && step < maxSteps; step++ {
		line := "*" // gives up (RFC 4954 section 4)
		var challenge []byte
		if challenge, err = base64.StdEncoding.DecodeString(strings.TrimSpace(strings.Join(rep.lines, ""))); err == nil && answer != nil {
			var text string
			if text, err = answer(step, string(challenge)); err == nil {
				line = encode(text)
			}
		}
		bad := err
		if rep, err = c.command(c.limits.mail, line); bad != nil && err == nil {
			return &authError{text: "the server's question cannot be answered"}
		}
	}
	switch {
	case err != nil:
		return fmt.Errorf("AUTH: %w", err)
	case rep.code == 235:
		return nil
	case rep.code == 334:
		return &authError{text: "the server asks and asks"}
	case rep.code == 535:
		return &authError{"the server refused the password", &rep}
	case rep.code == 534:
		return &authError{"the server wants another way to log in, such as a password for programs", &rep}
	case rep.code == 538, rep.code == 530:
		return &authError{"the server wants encryption before the login", &rep}
	case rep.code/100 == 4:
		return &authError{"the server cannot verify the password now", &rep}
	}
	return &authError{"the server refused the login", &rep}
}

func encode(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
