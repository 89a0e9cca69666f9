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
// there is one, else to a Client IP or a stranger at the address. A client that gets no session gets the word that it hears
// instead. It is about the first recipient of a message of no known size; filters, milters, DNS lists and the greylist are
// not asked.
func (s *Server) Verdict(ctx context.Context, ip netip.Addr, account *accounts.Account, to address.Address) (code int, text string) {
	client := session{srv: s, cfg: s.cfg.Get(), ctx: ctx, remote: ip.Unmap(), account: account, client: ip.IsValid() && s.accounts.ClientIP(ip)}
	client.name, client.literal = s.accounts.MainDomain(), address.FormatLiteral(client.remote)
	client.tx = &transaction{env: &envelope.Envelope{Source: client.source(), SMTPUTF8: to.NeedsUTF8()}}
	route, err := s.router.Route(ctx, router.Mail, to)
	r := reply{code: 250, text: client.acceptedText(route)}
	about := shown(to)
	_, blocked := client.blocking()
	switch {
	case account == nil && ip.IsValid() && s.protection.Denied(client.remote):
		return 554, "the connection is closed without a word: the address is on the list of Denied IPs"
	case account == nil && blocked != nil:
		r, about = *blocked, ""
	case client.listed() != "":
		_, r = client.listedRoute(to, client.listed())
	default:
		if err = client.mayReach(route, err); err != nil {
			r = rcptRefusal(err)
		}
	}
	return r.code, strings.TrimRight(string(r.append(nil, about, true)), "\r\n")
}
