package pwd

import (
	"maps"
	"slices"
	"time"

	"gatepost/server/dataformat"
)

var miscCommands = []command{
	{"NOOP", "", "any", func(c *call) (dataformat.Value, error) { return nil, nil }},
	{"ECHO", "<object>", "any", func(c *call) (dataformat.Value, error) { return c.args.values["object"], nil }},
	{"GETVERSION", "", "any", func(c *call) (dataformat.Value, error) { return dataformat.String(c.admin.Version()), nil }},
	{"GETCURRENTTIME", "", "any", func(c *call) (dataformat.Value, error) {
		return dataformat.Time{T: time.Now().UTC().Truncate(time.Second)}, nil
	}},
	{"LISTCLICOMMANDS", "", "any", func(c *call) (dataformat.Value, error) {
		return arrayOf(slices.Sorted(maps.Keys(c.commands)), nil)
	}},
	{"SHUTDOWN", "", "Monitor", func(c *call) (dataformat.Value, error) {
		c.session.after = c.admin.Shutdown // the answer goes out first
		return nil, nil
	}},
}
