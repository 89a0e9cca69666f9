package pwd

import (
	"maps"
	"slices"
	"strings"
	"time"

	"gatepost/server/dataformat"
)

// Commands that everybody may give who has logged in, and that touch nothing.
var miscCommands = []command{
	{"NOOP", "", func(c *call) (dataformat.Value, error) { return nil, nil }},
	{"ECHO", "<object>", func(c *call) (dataformat.Value, error) { return c.args.values["object"], nil }},
	{"GETVERSION", "", func(c *call) (dataformat.Value, error) { return dataformat.String(c.admin.Version()), nil }},
	{"GETCURRENTTIME", "", func(c *call) (dataformat.Value, error) {
		return dataformat.Time{T: time.Now().UTC().Truncate(time.Second)}, nil
	}},
	{"LISTCLICOMMANDS", "", func(c *call) (dataformat.Value, error) {
		return arrayOf(slices.Sorted(maps.Keys(c.commands)), nil)
	}},
	// Nothing of the system is kept: its addresses are asked for each time.
	{"REFRESHOSDATA", "", func(c *call) (dataformat.Value, error) { return nil, nil }},
	{"GETSYSTEMINFO", "what", systemInfo},
	{"HELP", "[command]", help},
}

// help answers how a command is written, or all commands with a word in their names: an
// array of lines.
func help(c *call) (dataformat.Value, error) {
	word := strings.ToUpper(c.args.word("command"))
	if cmd := c.commands[word]; cmd != nil {
		return arrayOf([]string{cmd.usage()}, nil)
	}
	var list []string
	for verb, cmd := range c.commands {
		if verb == cmd.verb && strings.Contains(verb, word) {
			list = append(list, cmd.usage())
		}
	}
	if len(list) == 0 {
		return nil, unsupported(unknown(c.commands, word).text)
	}
	slices.Sort(list)
	return arrayOf(list, nil)
}
