package pwd

import (
	"gatepost/server/dataformat"
)

// queueCommands are about what waits in the queue.
var queueCommands = []command{
	{"GETMESSAGEQUEUEINFO", "module QUEUE queue", func(c *call) (dataformat.Value, error) {
		return dictOf(c.actor.QueueInfo(c, c.args.word("module"), c.args.word("queue")))
	}},
	{"RELEASESMTPQUEUE", "queue", func(c *call) (dataformat.Value, error) { return nil, c.actor.ReleaseQueue(c, c.args.word("queue")) }},
	{"REJECTQUEUEMESSAGE", "id [REPORT report] [text]", func(c *call) (dataformat.Value, error) {
		text, report := c.report()
		return nil, c.actor.RejectMessage(c, c.args.word("id"), text, report)
	}},
	{"REJECTQUEUEMESSAGES", "SENDER sender [REPORT report] [text]", func(c *call) (dataformat.Value, error) {
		text, report := c.report()
		return nil, c.actor.RejectFrom(c, c.args.word("sender"), text, report)
	}},
}

// report reads what the senders of rejected messages are told; with NONDN they are told nothing. Old
// clients leave out the word REPORT.
func (c *call) report() (text string, report bool) {
	if text = c.args.word("report"); text == "" {
		text = c.args.word("text")
	}
	if text == "NONDN" {
		return "", false
	}
	return text, true
}
