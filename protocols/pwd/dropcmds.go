package pwd

import (
	"gatepost/server/dataformat"
)

// dropCommands are about drop folders and drop tables. "" names the only one.
var dropCommands = []command{
	{"LISTDROPITEMS", "name [FROM sender]", func(c *call) (dataformat.Value, error) {
		return arrayOf(c.actor.DropItems(c, c.args.word("name"), c.args.word("sender")))
	}},
	{"SENDDROPITEMS", "name [FROM sender]", func(c *call) (dataformat.Value, error) {
		return dictOf(c.actor.SendDropItems(c, c.args.word("name"), c.args.word("sender")))
	}},
}
