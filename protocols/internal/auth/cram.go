package auth

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5" // RFC 2195 is built on it
	"crypto/rand"
	"encoding/hex"
	"strconv"
	"time"

	"gatepost/server/fault"
)

// cramExchange is CRAM-MD5 (RFC 2195): the client proves that it knows the
// password by a keyed hash of our challenge. It needs the password itself.
type cramExchange struct {
	exchange
	host      string
	challenge []byte
}

func (e *cramExchange) Next(response []byte) ([]byte, bool, error) {
	const op = "auth.CRAM-MD5"
	if e.challenge == nil {
		if response != nil {
			return nil, false, malformed(op, "CRAM-MD5 has no initial response")
		}
		e.challenge = Challenge(e.host)
		return e.challenge, false, nil
	}
	space := bytes.LastIndexByte(response, ' ')
	if space < 1 {
		return nil, false, malformed(op, "malformed CRAM-MD5 response")
	}
	digest := make([]byte, md5.Size)
	if n, err := hex.Decode(digest, clip(response[space+1:], 2*md5.Size)); err != nil || n != md5.Size {
		return nil, false, malformed(op, "malformed CRAM-MD5 digest")
	}
	who, err := e.resolve(e.ctx, e.peer, string(response[:space]))
	if err != nil {
		return nil, false, err
	}
	try, err := e.acc.Logins().BeginLogin(e.ctx, e.peer, who.domain, who.name)
	if err != nil {
		return nil, false, err
	}
	defer try.Abandoned() // unless it has ended
	password, ok := try.PlainPassword()
	mac := hmac.New(md5.New, []byte(password))
	mac.Write(e.challenge)
	equal := hmac.Equal(mac.Sum(nil), digest)
	if !equal || !ok || !who.known {
		try.Failed(wrongDigest(try, "CRAM-MD5"))
		return nil, false, fault.New(op, fault.BadCredentials, "")
	}
	acc, err := e.acc.Account(e.ctx, who.domain, who.name)
	if err != nil {
		return nil, false, err
	}
	try.Succeeded()
	e.account, e.mailbox = acc, who.mailbox
	return nil, true, nil
}

// clip returns b, or nothing if it is not of the given length.
func clip(b []byte, length int) []byte {
	if len(b) != length {
		return nil
	}
	return b
}

// Challenge makes a challenge for CRAM-MD5 and APOP: a msg-id that nobody can
// foretell (RFC 2195 section 2, RFC 1939 section 7).
func Challenge(host string) []byte {
	b := append([]byte{'<'}, rand.Text()...)
	b = append(b, '.')
	b = strconv.AppendInt(b, time.Now().Unix(), 10)
	b = append(b, '@')
	b = append(b, host...)
	return append(b, '>')
}
