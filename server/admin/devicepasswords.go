package admin

import (
	"context"
	"strings"

	"gatepost/accounts"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// This file has the calls about device passwords.

// DevicePasswords lists the device passwords of an account, without their secrets.
func (a Actor) DevicePasswords(ctx context.Context, n Name) ([]accounts.DevicePassword, error) {
	return look(ctx, a, "LISTDEVICEPASSWORDS", account(n), func(o *operation) ([]accounts.DevicePassword, error) {
		return o.admin.acc.DevicePasswords(o, o.domain, o.object)
	})
}

// CreateDevicePassword makes a device password for some services, or for the usual ones, and returns it; it is not kept. Users
// need the setting PWDAllowed.
func (a Actor) CreateDevicePassword(ctx context.Context, n Name, name string, services []string) (secret string, err error) {
	err = do(ctx, a, "CREATEDEVICEPASSWORD", account(n), func(o *operation) (err error) {
		if len(services) == 0 {
			_, services = accounts.DeviceServices()
		}
		o.new = dataformat.Dict{"Name": dataformat.String(name), "Services": dataformat.String(strings.Join(services, ", ")), "Password": hidden}
		if !o.rights.Domain(o.domain, "BasicSettings") {
			target, err := o.admin.acc.Account(o, o.domain, o.object)
			if err != nil {
				return err
			}
			if !bool(target.Settings().PWDAllowed) {
				return fault.New("admin.CreateDevicePassword", fault.Denied, "the passwords may not be changed")
			}
		}
		secret, err = o.admin.acc.CreateDevicePassword(o, o.domain, o.object, name, services)
		return err
	})
	if err != nil {
		return "", err
	}
	return secret, nil
}

// RevokeDevicePassword takes one away.
func (a Actor) RevokeDevicePassword(ctx context.Context, n Name, name string) error {
	return do(ctx, a, "REVOKEDEVICEPASSWORD", account(n), func(o *operation) error {
		o.old = dataformat.Dict{"Name": dataformat.String(name)}
		return o.admin.acc.RevokeDevicePassword(o, o.domain, o.object, name)
	})
}

// RevokeDevicePasswords takes all of an account away.
func (a Actor) RevokeDevicePasswords(ctx context.Context, n Name) error {
	return do(ctx, a, "REVOKEDEVICEPASSWORDS", account(n), func(o *operation) error {
		return o.admin.acc.RevokeDevicePasswords(o, o.domain, o.object)
	})
}
