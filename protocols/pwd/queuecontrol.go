package pwd

import (
	"context"

	"gatepost/server/dataformat"
)

// queueCommand carries out GATEPOST QUEUE.
func (s *session) queueCommand(ctx context.Context, d *dataformat.Decoder) reply {
	switch {
	case d.Keyword("LIST") && d.AtEnd():
		list, err := s.actor().QueueList(ctx)
		if err != nil {
			return failure(err)
		}
		if list == nil {
			list = dataformat.Array{}
		}
		return withData(list)
	case d.Keyword("KICK") && d.AtEnd():
		if err := s.actor().KickQueues(ctx); err != nil {
			return failure(err)
		}
		return replyOK
	}
	return failure(syntaxError("QUEUE LIST or QUEUE KICK is expected"))
}
