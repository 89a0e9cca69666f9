package pwd

import "gatepost/server/dataformat"

var queueCommands = []command{
	{"GETMESSAGEQUEUEINFO", "module QUEUE queue", "Monitor", func(c *call) (dataformat.Value, error) {
		return dictOf(c.admin.QueueInfo(c, c.args.word("module"), c.args.word("queue")))
	}},
	{"RELEASESMTPQUEUE", "queue", "Monitor", func(c *call) (dataformat.Value, error) {
		return nil, c.admin.ReleaseQueue(c, c.args.word("queue"))
	}},
}
