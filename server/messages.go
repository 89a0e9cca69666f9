package server

import (
	"context"
	"time"

	"gatepost/accounts/finding"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
	"gatepost/server/logs"
)

// maxFound is how many messages an answer names; the others are counted.
const maxFound = 5000

// FindMessages finds messages in the mailboxes of all accounts, and removes them if that is asked for. A request has some of MessageID, Sender, Subject, Since,
// Before (RFC 3339), Domain and Account. The answer has Count, Messages (an array of dictionaries), and Problems.
func (s *Server) FindMessages(ctx context.Context, request dataformat.Dict, remove bool) (dataformat.Dict, error) {
	w := finding.Wanted{MessageID: request.String("MessageID"), Sender: request.String("Sender"), Subject: request.String("Subject"), Domain: request.String("Domain")}
	for key, to := range map[string]*time.Time{"Since": &w.Since, "Before": &w.Before} {
		text := request.String(key)
		if text == "" {
			continue
		}
		t, err := time.Parse(time.RFC3339, text)
		if err != nil {
			return nil, fault.Newf("server.FindMessages", fault.Invalid, "%s: a time such as 2026-12-01T10:00:00Z is expected", key)
		}
		*to = t
	}
	if account := request.String("Account"); account != "" {
		w.Domain, w.Account = s.splitAccount(account)
	}
	count := 0
	messages, problems := dataformat.Array{}, dataformat.Array{}
	err := finding.Each(ctx, s.accounts, w, func(f finding.Found) bool {
		if count++; count <= maxFound {
			messages = append(messages, dataformat.Dict{
				"Account": dataformat.String(f.Account), "Mailbox": dataformat.String(f.Mailbox), "UID": dataformat.Number(f.UID), "Received": dataformat.Time{T: f.Received},
				"Sender": dataformat.String(f.Sender), "Subject": dataformat.String(f.Subject), "MessageID": dataformat.String(f.MessageID),
			})
		}
		if remove {
			s.log.Log(ctx, logs.LevelMajor, "a message is removed by an administrator", logs.AttrAccount, f.Account, "mailbox", f.Mailbox, "uid", uint32(f.UID), logs.AttrMessageID, f.MessageID)
		}
		return remove
	}, func(where string, err error) {
		if len(problems) < findingLimit {
			problems = append(problems, dataformat.String(where+": "+fault.Explain(err)))
		}
	})
	if err != nil {
		return nil, err
	}
	return dataformat.Dict{"Count": dataformat.Number(count), "Messages": messages, "Problems": problems}, nil
}
