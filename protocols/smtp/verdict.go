package smtp

import (
	"context"
	"net/netip"
	"strings"

	"gatepost/accounts"
	"gatepost/queue/envelope"
	"gatepost/router"
	"gatepost/router/address"
)

// Verdict is what RCPT would answer for a recipient to a client on port 25, code and text: to the account if
// there is one, else to a Client IP or a stranger at the address. It is about the first recipient of a message of
// no known size; filters and milters are not asked.
func (s *Server) Verdict(ctx context.Context, ip netip.Addr, account *accounts.Account, to address.Address) (code int, text string) {
	client := session{srv: s, cfg: s.cfg.Get(), ctx: ctx, remote: ip.Unmap(), account: account, client: ip.IsValid() && s.accounts.ClientIP(ip)}
	client.tx = &transaction{env: &envelope.Envelope{Source: client.source(), SMTPUTF8: to.NeedsUTF8()}}
	route, err := s.router.Route(ctx, router.Mail, to)
	r := reply{code: 250, text: client.acceptedText(route)}
	if err = client.mayReach(route, err); err != nil {
		r = rcptRefusal(err)
	}
	return r.code, strings.TrimRight(string(r.append(nil, shown(to), true)), "\r\n")
}
