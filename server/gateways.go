package server

import (
	"context"
	"maps"
	"slices"
	"strings"

	"gatepost/protocols/relay"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
	"gatepost/server/settings"
)

// gatewaysModule is the module whose settings are the gateways, and keyGateways the only one.
const (
	gatewaysModule = "Gateways"
	keyGateways    = "Gateways"
	keyPassword    = "Password"
)

// sealGateways seals the passwords of gateways that a command gives.
func (s *Server) sealGateways(given dataformat.Dict) (dataformat.Dict, error) {
	all, ok := given[keyGateways].(dataformat.Dict)
	if !ok {
		return given, nil
	}
	out := maps.Clone(all)
	for name, e := range all {
		d, ok := e.(dataformat.Dict)
		plain := d.String(keyPassword)
		if !ok || plain == "" {
			continue
		}
		sealed, err := s.accounts.Seal(plain)
		if err != nil {
			return nil, fault.Wrap("server.Gateways", fault.Internal, err)
		}
		d = maps.Clone(d)
		d[keyPassword] = dataformat.String(sealed)
		out[name] = d
	}
	given = maps.Clone(given)
	given[keyGateways] = out
	return given, nil
}

// gatewayEntries are the explicit settings of all gateways.
func (s *Server) gatewayEntries(ctx context.Context) (dataformat.Dict, error) {
	d, err := s.Module(ctx, gatewaysModule)
	if err != nil {
		return nil, err
	}
	all, _ := d[keyGateways].(dataformat.Dict)
	return all, nil
}

// entryNamed finds the name of an entry, in any case.
func entryNamed(all dataformat.Dict, name string) (string, bool) {
	for key := range all {
		if strings.EqualFold(key, name) {
			return key, true
		}
	}
	return "", false
}

func noGateway(name string) error {
	return fault.Newf("server.Gateway", fault.NotFound, "there is no gateway %s", name)
}

// Gateways lists the names of the gateways.
func (s *Server) Gateways(ctx context.Context) ([]string, error) {
	all, err := s.gatewayEntries(ctx)
	return slices.Sorted(maps.Keys(all)), err
}

// Gateway returns the explicit settings of a gateway, its password sealed.
func (s *Server) Gateway(ctx context.Context, name string) (dataformat.Dict, error) {
	all, err := s.gatewayEntries(ctx)
	if err != nil {
		return nil, err
	}
	key, ok := entryNamed(all, name)
	if !ok {
		return nil, noGateway(name)
	}
	d, _ := all[key].(dataformat.Dict)
	return d, nil
}

// GatewayNames are the names of a gateway's settings.
func (s *Server) GatewayNames() *settings.Names {
	return settings.NamesOf(relay.Gateways{}.EntrySettings())
}

// CreateGateway adds a gateway. Errors: Exists, Invalid.
func (s *Server) CreateGateway(ctx context.Context, name string, d dataformat.Dict) error {
	return s.editGateway(ctx, name, d, func(all dataformat.Dict, key string, there bool, given dataformat.Dict) error {
		if there {
			return fault.Newf("server.CreateGateway", fault.Exists, "there is a gateway %s already", key)
		}
		all[name] = settings.Merge(nil, given)
		return nil
	})
}

// UpdateGateway changes settings of a gateway. Another Host, Port or User, or weaker TLS, needs the password again: who
// changes them must not have it sent to a server of his own. Errors: NotFound, Invalid.
func (s *Server) UpdateGateway(ctx context.Context, name string, d dataformat.Dict) error {
	return s.editGateway(ctx, name, d, func(all dataformat.Dict, key string, there bool, given dataformat.Dict) error {
		if !there {
			return noGateway(name)
		}
		before, _ := all[key].(dataformat.Dict)
		after := settings.Merge(before, given)
		if before.String(keyPassword) != "" && given[keyPassword] == nil {
			for _, k := range []string{"Host", "Port", "User", "TLS"} {
				if before.String(k) != after.String(k) {
					return fault.Newf("server.UpdateGateway", fault.Invalid, "%s: the Password has to be given with it, so that nobody has it sent elsewhere", k)
				}
			}
		}
		all[key] = after
		return nil
	})
}

// DeleteGateway removes a gateway. Errors: NotFound.
func (s *Server) DeleteGateway(ctx context.Context, name string) error {
	return s.editGateway(ctx, name, nil, func(all dataformat.Dict, key string, there bool, _ dataformat.Dict) error {
		if !there {
			return noGateway(name)
		}
		delete(all, key)
		return nil
	})
}

// editGateway changes the dictionary of all gateways. key is the name as it stands there.
func (s *Server) editGateway(ctx context.Context, name string, given dataformat.Dict, edit func(all dataformat.Dict, key string, there bool, given dataformat.Dict) error) error {
	if !relay.ValidGatewayName(name) {
		return fault.Newf("server.Gateway", fault.Invalid, "%.100q cannot be the name of a gateway", name)
	}
	entries := dataformat.Dict{}
	if given != nil {
		entries[name] = given
	}
	var failed error
	err := s.edit(ctx, gatewaysModule, dataformat.Dict{keyGateways: entries}, func(old, given dataformat.Dict) dataformat.Dict {
		all, _ := old[keyGateways].(dataformat.Dict)
		if all = maps.Clone(all); all == nil {
			all = dataformat.Dict{}
		}
		key, there := entryNamed(all, name)
		entries, _ := given[keyGateways].(dataformat.Dict)
		d, _ := entries[name].(dataformat.Dict)
		if failed = edit(all, key, there, d); failed != nil {
			return old
		}
		return settings.Merge(old, dataformat.Dict{keyGateways: all})
	})
	if failed != nil {
		return failed
	}
	return err
}

// TestGateway connects to a gateway, logs in and sends a message to an address; "" means postmaster. It
// returns a line for each step, and whether all went well.
func (s *Server) TestGateway(ctx context.Context, name, to string) (steps []string, ok bool, err error) {
	return s.relay.TestGateway(ctx, name, to)
}
