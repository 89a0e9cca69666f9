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
	"gatepost/server/program"
)

// Times of a message that a filter cannot look at now: it is asked again after the first, later after the
// second; a message that has waited for the third is a failure in the log. It is never delivered unseen.
const (
	filterRetryFirst = time.Minute
	filterRetryThen  = 5 * time.Minute
	filterAlert      = 30 * time.Minute
)

// filterRetry is when a filter is asked again about a message.
func (f ruleFilters) filterRetry(ctx context.Context, name string, m *queue.Message, why string) time.Duration {
	switch age := time.Since(m.Envelope.Submitted); {
	case age < filterRetryThen:
		return filterRetryFirst
	case age > filterAlert:
		f.log.LogAttrs(ctx, logs.LevelFailure, "a message waits for a content filter", slog.Any(logs.AttrQueueID, m.ID),
			slog.String("helper", name), slog.Duration("for", age.Truncate(time.Second)), slog.String("reason", why))
	}
	return filterRetryThen
}

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
		out.Later, out.Reason = f.filterRetry(ctx, name, m, v.Text), v.Text
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

// maxErrors is how much is kept of what a program writes to its standard error.
const maxErrors = 4 << 10

// rulePrograms are the programs that rules execute (mailrules.Programs): those of the application directory,
// in the sandbox of the PIPE module.
type rulePrograms struct{ server *Server }

func (p rulePrograms) Run(ctx context.Context, prog mailrules.Program) (mailrules.Ended, error) {
	ctx, cancel := context.WithTimeout(ctx, prog.Limit)
	defer cancel()
	res, err := p.server.programs.Run(ctx, &program.Job{Args: prog.Args, Env: prog.Env, Message: prog.Message, File: prog.File, MaxOutput: maxErrors})
	switch {
	case err != nil:
		return mailrules.Ended{}, err
	case res.Stopped && ctx.Err() == context.Canceled:
		return mailrules.Ended{}, fault.Wrap("server.Execute", fault.Canceled, ctx.Err())
	case res.Stopped:
		return mailrules.Ended{}, fault.New("server.Execute", fault.TooMany, "the program has taken too long")
	}
	return mailrules.Ended{Status: res.Exit, Stderr: res.Errors}, nil
}
