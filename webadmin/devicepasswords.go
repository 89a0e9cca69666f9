package webadmin

import (
	"net/http"
	"slices"
	"strings"

	"gatepost/accounts"
	"gatepost/server/dataformat"
)

// This file has the device passwords of an account: the list, a new one, which is shown once, and the end of one.

const devicesPath = accountPath + "/Device Passwords"

// deviceServiceNames are the services in words of people.
var deviceServiceNames = map[string]string{
	"IMAP": "Mail (IMAP)", "POP": "Mail (POP)", "Relay": "Sending mail (SMTP)", "WebCAL": "Calendars and contacts", "WebSite": "Files (WebDAV)",
	"HTTP": "Feeds of mailing lists", "PWD": "The command line",
}

type deviceRow struct {
	accounts.DevicePassword
	Names     []string // of its services
	UsedName  string
	NeverUsed bool
}

type deviceList struct {
	Rows     []deviceRow
	Services []choice
	May      bool
	Only     string // what the setting DevicePasswordsOnly means for the account
	Name     string // typed
	Error    string
	// Made is the secret of the one that was just made, MadeName its name.
	Made, MadeName string
	Address        string
}

func (c *call) devicesPage() error {
	_, usual := accounts.DeviceServices()
	return c.drawDevices(http.StatusOK, &deviceList{}, usual)
}

func (c *call) drawDevices(status int, v *deviceList, ticked []string) error {
	list, err := c.actor.DevicePasswords(c.ctx(), c.target())
	if err != nil {
		return err
	}
	v.Address, v.May = c.address(), c.may("CREATEDEVICEPASSWORD")
	for _, p := range list {
		row := deviceRow{DevicePassword: p, UsedName: c.T(deviceServiceNames[p.Service]), NeverUsed: p.Used.IsZero()}
		for _, s := range p.Services {
			row.Names = append(row.Names, c.T(deviceServiceNames[s]))
		}
		v.Rows = append(v.Rows, row)
	}
	all, _ := accounts.DeviceServices()
	for _, s := range all {
		v.Services = append(v.Services, choice{s, c.T(deviceServiceNames[s]), slices.Contains(ticked, s)})
	}
	if only, err := c.actor.AccountSetting(c.ctx(), c.target(), "DevicePasswordsOnly"); err == nil {
		v.Only, _ = dataformat.Text(only)
	}
	return c.show(status, "devices", c.T("Device Passwords"), v)
}

// createDevice makes a device password. Its page is the answer itself: nothing keeps the secret for a second one.
func (c *call) createDevice() error {
	v, services := &deviceList{}, c.r.PostForm["service"]
	name := strings.TrimSpace(c.field("name"))
	if len(services) == 0 && c.may("CREATEDEVICEPASSWORD") {
		v.Name, v.Error = name, c.T("Choose what the device password is for.")
		return c.drawDevices(http.StatusUnprocessableEntity, v, nil)
	}
	secret, err := c.actor.CreateDevicePassword(c.ctx(), c.target(), name, services)
	if err != nil {
		if !kept(err) {
			return err
		}
		v.Name, v.Error = name, c.reason(err)
		return c.drawDevices(http.StatusUnprocessableEntity, v, services)
	}
	v.Made, v.MadeName = secret, name
	return c.drawDevices(http.StatusOK, v, services)
}

func (c *call) revokeDevice() error {
	name := c.field("name")
	if err := c.actor.RevokeDevicePassword(c.ctx(), c.target(), name); err != nil {
		return err
	}
	return c.done(c.r.URL.EscapedPath(), &flash{Text: c.T("The device password %s is revoked: its sessions have ended.", name),
		Command: "REVOKEDEVICEPASSWORD " + c.address() + " " + dataformat.Compact(dataformat.String(name))})
}

func (c *call) revokeDevices() error {
	if err := c.actor.RevokeDevicePasswords(c.ctx(), c.target()); err != nil {
		return err
	}
	return c.done(c.r.URL.EscapedPath(), &flash{Text: c.T("All device passwords of %s are revoked.", c.address()), Command: "REVOKEDEVICEPASSWORDS " + c.address()})
}
