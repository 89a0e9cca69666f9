package pwd

import (
	"slices"
	"strings"

	"gatepost/server/admin"
	"gatepost/server/dataformat"
	"gatepost/server/protection"
)

// protectionCommands are about the addresses of clients.
var protectionCommands = slices.Concat(
	listCommandsOf(protection.Clients), listCommandsOf(protection.Blacklist), listCommandsOf(protection.WhiteHoles),
	listCommandsOf(protection.Denied), listCommandsOf(protection.Debug),
	[]command{
		{"GETIPSTATE", "ip [TEMP]", func(c *call) (dataformat.Value, error) {
			return stringOf(c.actor.IPState(c, c.args.word("ip"), c.args.has("TEMP")))
		}},
		{"GETNETWORK", "", func(c *call) (dataformat.Value, error) { return dictOf(c.actor.Network(c)) }},
		{"SETNETWORK", "{settings}", func(c *call) (dataformat.Value, error) { return c.set(c.actor.SetNetwork) }},
		{"GETBANNED", "", func(c *call) (dataformat.Value, error) { return dictOf(c.actor.Banned(c)) }},
		{"SETBANNED", "{settings}", func(c *call) (dataformat.Value, error) { return c.set(c.actor.SetBanned) }},
		{"GETTEMPBLACKLISTEDIPS", "", func(c *call) (dataformat.Value, error) {
			list, err := c.actor.BlockedAddresses(c)
			return stringOf(strings.Join(list, ","), err)
		}},
		{"SETTEMPBLACKLISTEDIPS", "<list>", func(c *call) (dataformat.Value, error) { return c.setText("list", c.actor.BlockAddresses) }},
		{"TEMPBLACKLISTIP", "ip [TIMEOUT timeout] [DELETE]", func(c *call) (dataformat.Value, error) {
			timeout := c.args.word("timeout")
			if c.args.has("DELETE") {
				timeout = "DELETE"
			}
			return nil, c.actor.BlockAddress(c, c.args.word("ip"), timeout)
		}},
	},
)

// listCommandsOf are the commands that read and replace a list.
func listCommandsOf(l protection.List) []command {
	get, set := admin.ListCalls(l)
	return []command{
		{get, "", func(c *call) (dataformat.Value, error) {
			read, _ := admin.IPList(c.actor, l)
			return stringOf(read(c))
		}},
		{set, "<list>", func(c *call) (dataformat.Value, error) {
			_, write := admin.IPList(c.actor, l)
			return c.setText("list", write)
		}},
	}
}
