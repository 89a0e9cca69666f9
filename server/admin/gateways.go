package admin

import (
	"context"

	"gatepost/server/dataformat"
)

// Gateways lists the names of the gateways.
func (a Actor) Gateways(ctx context.Context) ([]string, error) {
	return look(ctx, a, "LISTGATEWAYS", server, func(o *operation) ([]string, error) { return o.admin.server.Gateways(o) })
}

// Gateway are the explicit settings of a gateway, without its password.
func (a Actor) Gateway(ctx context.Context, name string) (dataformat.Dict, error) {
	return look(ctx, a, "GETGATEWAY", named(name), func(o *operation) (dataformat.Dict, error) {
		d, err := o.admin.server.Gateway(o, name)
		shown, _ := withoutSecrets(o.admin.server.GatewayNames(), d).(dataformat.Dict)
		return shown, err
	})
}

// CreateGateway adds a gateway.
func (a Actor) CreateGateway(ctx context.Context, name string, given dataformat.Dict) error {
	return do(ctx, a, "CREATEGATEWAY", named(name), func(o *operation) error {
		o.new = withHidden(o.admin.server.GatewayNames(), given)
		return o.admin.server.CreateGateway(o, name, given)
	})
}

// UpdateGateway merges settings into those of a gateway.
func (a Actor) UpdateGateway(ctx context.Context, name string, given dataformat.Dict) error {
	return do(ctx, a, "UPDATEGATEWAY", named(name), func(o *operation) error {
		read := func() (dataformat.Dict, error) { return o.admin.server.Gateway(o, name) }
		return o.settings(o.admin.server.GatewayNames(), given, read, func() error { return o.admin.server.UpdateGateway(o, name, given) })
	})
}

// DeleteGateway removes a gateway.
func (a Actor) DeleteGateway(ctx context.Context, name string) error {
	return do(ctx, a, "DELETEGATEWAY", named(name), func(o *operation) error { return o.admin.server.DeleteGateway(o, name) })
}

// TestGateway sends a message through a gateway, to an address or to postmaster, and tells each
// step.
func (a Actor) TestGateway(ctx context.Context, name, to string) (steps []string, ok bool, err error) {
	err = do(ctx, a, "TESTGATEWAY", named(name), func(o *operation) error {
		steps, ok, err = o.admin.server.TestGateway(o, name, to)
		return err
	})
	return steps, ok, err
}
