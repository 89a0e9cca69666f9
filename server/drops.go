package server

import (
	"context"
	"strconv"

	"gatepost/router"
	"gatepost/router/address"
	"gatepost/router/names"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// isSender reports whether mail of a drop source may have a sender: an account of this server, by any of its
// names, or a sender of a gateway.
func (s *Server) isSender(ctx context.Context, a address.Address) (bool, error) {
	if s.gateways.Get().Gateways.Sends(a) {
		return true, nil
	}
	route, err := s.router.Route(ctx, names.Mail, a)
	if err != nil {
		if fault.KindOf(err).Temporary() {
			return false, err
		}
		return false, nil
	}
	return route.Module == router.LOCAL, nil
}

// hostAddresses are the addresses of a host by its name.
func (s *Server) hostAddresses(ctx context.Context, host string) ([]string, error) {
	found, err := s.resolver.Addresses(ctx, host)
	list := make([]string, len(found.Records))
	for i, a := range found.Records {
		list[i] = a.String()
	}
	return list, err
}

// DropItems describes what waits in a drop folder or drop table, a line for each item of a sender.
func (s *Server) DropItems(ctx context.Context, source, sender string) ([]string, error) {
	return s.drops.List(ctx, source, sender)
}

// SendDropItems sends what waits there now, and counts what became of it.
func (s *Server) SendDropItems(ctx context.Context, source, sender string) (dataformat.Dict, error) {
	n, err := s.drops.Send(ctx, source, sender)
	if err != nil {
		return nil, err
	}
	text := func(n int) dataformat.Value { return dataformat.String(strconv.Itoa(n)) }
	return dataformat.Dict{"Sent": text(n.Sent), "Deferred": text(n.Deferred), "Refused": text(n.Refused)}, nil
}
