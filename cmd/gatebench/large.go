package main

import (
	"context"
	"fmt"
	"time"
)

// largeCommand measures changes of many messages in a large mailbox.
type largeCommand struct {
	server
	Messages int `help:"How many messages each command changes; INBOX has to have them." default:"10000"`
	Repeat   int `help:"How often." default:"5"`
}

func (c *largeCommand) Run(ctx context.Context, out *report) error {
	return c.sessions(ctx, 1, "", func(cs []*imapConn) error {
		k := cs[0]
		box := fmt.Sprintf("large.%d", time.Now().UnixNano())
		if _, err := k.do("CREATE "+box, nil); err != nil {
			return err
		}
		some := fmt.Sprintf("1:%d", c.Messages)
		steps := []struct{ name, box, command string }{
			{"COPY", "INBOX", "COPY " + some + " " + box},
			{"STORE", box, "STORE " + some + ` +FLAGS.SILENT (\Deleted)`},
			{"EXPUNGE", "", "EXPUNGE"},
			{"MOVE", "INBOX", "MOVE " + some + " " + box},
			{"", box, "MOVE 1:* INBOX"},
		}
		times := make([][]float64, len(steps))
		for range c.Repeat {
			for i, s := range steps {
				if s.box != "" {
					if _, err := k.do("SELECT "+s.box, nil); err != nil {
						return err
					}
				}
				start := time.Now()
				if _, err := k.do(s.command, nil); err != nil {
					return err
				}
				times[i] = append(times[i], time.Since(start).Seconds()*1000)
			}
		}
		for i, s := range steps {
			if s.name == "" {
				continue
			}
			if err := out.print(fmt.Sprintf("%s of %d", s.name, c.Messages), "ms", times[i]...); err != nil {
				return err
			}
		}
		if _, err := k.do("SELECT INBOX", nil); err != nil {
			return err
		}
		_, err := k.do("DELETE "+box, nil)
		return err
	})
}
