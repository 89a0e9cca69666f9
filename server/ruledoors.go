package server

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"gatepost/accounts/mailrules"
	"gatepost/protocols/helper"
	"gatepost/queue"
	"gatepost/router/address"
	"gatepost/rules"
	"gatepost/server/fault"
	"gatepost/server/logs"
)

// filterRetry is when a filter is asked again that cannot look at a message now.
const filterRetry = time.Minute

// ruleFilters are the External Filters that rules ask (mailrules.Filters).
type ruleFilters struct {
	helpers *helper.Helpers
	log     *slog.Logger
}

func (f ruleFilters) Ask(ctx context.Context, name string, m *queue.Message) (mailrules.FilterAnswer, error) {
	v, err := f.helpers.Filter(ctx, name, m)
	if err != nil {
		return mailrules.FilterAnswer{}, err
	}
	var out mailrules.FilterAnswer
	switch v.Action {
	case helper.Discard:
		out.Discard = true
	case helper.Refuse:
		out.Reject = v.Text
	case helper.Later:
		out.Later, out.Reason = filterRetry, v.Text
	}
	bad := func(what string, err error) {
		f.log.LogAttrs(ctx, logs.LevelProblem, "a filter has answered with "+what, slog.String("helper", name), slog.Any(logs.AttrQueueID, m.ID), slog.Any(logs.AttrError, err))
	}
	if out.Fields, err = rules.ParseFields(strings.Join(v.Fields, "\n")); err != nil {
		bad("what is no header field", err)
	}
	if out.Mirror, err = addressesOf(v.Mirror); err != nil {
		bad("a bad address", err)
	}
	if out.Add, err = addressesOf(v.Route); err != nil {
		bad("a bad address", err)
	}
	return out, nil
}

func addressesOf(texts []string) (list []address.Address, err error) {
	for _, text := range texts {
		a, e := address.Parse(strings.Trim(text, "<>"))
		if e == nil && a.IsNull() {
			e = fault.New("server.Filter", fault.Invalid, "an empty address")
		}
		if e != nil {
			err = e
			continue
		}
		list = append(list, a)
	}
	return list, err
}
