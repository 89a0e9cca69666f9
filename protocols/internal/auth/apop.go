package auth

import (
	"context"
	"crypto/md5" // RFC 1939 section 7 is built on it
	"crypto/subtle"
	"encoding/hex"
	"strings"

	"gatepost/accounts"
	"gatepost/server/fault"
)

// APOP checks a login by a digest (RFC 1939 section 7): the hex MD5 of the token
// of the greeting, with its angle brackets, and the password. It needs the
// password itself. Errors as for Plain.
func (a *Authenticator) APOP(ctx context.Context, p accounts.Peer, login, token, digest string) (*accounts.Account, error) {
	acc, _, err := a.APOPMailbox(ctx, p, login, token, digest)
	return acc, err
}

// APOPMailbox is APOP with the mailbox that the login name chose, as in
// Exchange.
func (a *Authenticator) APOPMailbox(ctx context.Context, p accounts.Peer, login, token, digest string) (*accounts.Account, string, error) {
	const op = "auth.APOP"
	who, err := a.resolve(ctx, p, login)
	if err != nil {
		return nil, "", err
	}
	try, err := a.acc.Logins().BeginLogin(ctx, p, who.domain, who.name)
	if err != nil {
		return nil, "", err
	}
	defer try.Abandoned() // unless it has ended
	password, ok := try.PlainPassword()
	sum := md5.Sum([]byte(token + password))
	equal := subtle.ConstantTimeCompare([]byte(hex.EncodeToString(sum[:])), []byte(strings.ToLower(digest))) == 1
	if !equal || !ok || !who.known {
		try.Failed(wrongDigest(try, "APOP"))
		return nil, "", fault.New(op, fault.BadCredentials, "")
	}
	acc, err := a.acc.Account(ctx, who.domain, who.name)
	if err != nil {
		return nil, "", err
	}
	try.Succeeded()
	return acc, who.mailbox, nil
}

// wrongDigest says for the log why a digest of the password is wrong. Clients use the
// mechanism wherever some account of the server allows it.
func wrongDigest(try *accounts.Login, mechanism string) string {
	if try.OneWay() {
		return "the password is stored one-way and " + mechanism + " needs it in clear: set it again with PasswordEncryption A-crpt, or log in without " + mechanism
	}
	return "wrong response"
}
