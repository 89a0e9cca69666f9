package pwd

import (
	"gatepost/server/dataformat"
)

// deviceCommands are the commands about device passwords.
var deviceCommands = []command{
	{"LISTDEVICEPASSWORDS", "acct", listDevicePasswords},
	{"CREATEDEVICEPASSWORD", "acct name [(services)]", func(c *call) (dataformat.Value, error) {
		services, err := c.args.strings("services")
		if err != nil {
			return nil, err
		}
		return stringOf(c.actor.CreateDevicePassword(c, c.name("acct"), c.args.word("name"), services))
	}},
	{"REVOKEDEVICEPASSWORD", "acct name", func(c *call) (dataformat.Value, error) {
		return nil, c.actor.RevokeDevicePassword(c, c.name("acct"), c.args.word("name"))
	}},
	{"REVOKEDEVICEPASSWORDS", "acct", func(c *call) (dataformat.Value, error) {
		return nil, c.actor.RevokeDevicePasswords(c, c.name("acct"))
	}},
}

// listDevicePasswords answers {name = {Services=(); Created=; LastUse=; LastService=; LastAddress=;};}.
func listDevicePasswords(c *call) (dataformat.Value, error) {
	list, err := c.actor.DevicePasswords(c, c.name("acct"))
	if err != nil {
		return nil, err
	}
	out := dataformat.Dict{}
	for _, p := range list {
		services, _ := arrayOf(p.Services, nil) // never fails
		d := dataformat.Dict{"Services": services, "Created": dataformat.Time{T: p.Created}}
		if !p.Used.IsZero() {
			d["LastUse"], d["LastService"], d["LastAddress"] = dataformat.Time{T: p.Used}, dataformat.String(p.Service), dataformat.String(p.Address)
		}
		out[p.Name] = d
	}
	return out, nil
}
