package auth

import (
	"context"
	"strings"

	"gatepost/accounts"
)

// ServicePOP is the service whose logins may choose a mailbox.
const ServicePOP = "POP"

// resolve finds the account of a login name, and for POP, which has no command to
// choose a mailbox, the mailbox in front of it: mailbox#account or
// mailbox#account@domain. Where that is no account, account#mailbox and
// account#mailbox@domain are tried. It fails only when the router cannot tell.
func (a *Authenticator) resolve(ctx context.Context, p accounts.Peer, login string) (identity, error) {
	box, rest, chosen := strings.Cut(login, "#")
	if !chosen || p.Service != ServicePOP {
		return a.resolveAccount(ctx, p, login)
	}
	who, err := a.resolveAccount(ctx, p, rest)
	if err != nil || who.known {
		who.mailbox = box
		return who, err
	}
	name, domain := rest, ""
	if i := strings.LastIndexAny(rest, "@%"); i >= 0 {
		name, domain = rest[:i], rest[i:]
	}
	if other, err := a.resolveAccount(ctx, p, box+domain); err != nil || other.known {
		other.mailbox = name
		return other, err
	}
	return who, nil
}
