package pwd

import (
	"context"
	"strconv"
	"strings"

	"gatepost/router"
	"gatepost/server/admin"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// controlVerb begins the commands that exist on the control socket only:
//
//	GATEPOST CHECK [TIDY]            an array with a line per finding
//	GATEPOST REINDEX                 the search index is made anew; an array with a line about it
//	GATEPOST ROUTE address [op]      a dictionary: Route and Verdict, or Error; Steps
//	GATEPOST ROUTE address FROM src  the same for mail, with Client, Code and Reply: what RCPT answers to that client
//	GATEPOST RULES TEST {request}    a text, see admin.Actor.TryRules
//	GATEPOST ACCOUNTS word {request} tables of accounts, see accountsCommand
//	GATEPOST ITEMS word {request}    calendars and contacts, see itemsCommand
//	GATEPOST BACKUP {request}        a dictionary, see admin.Actor.Backup
//	GATEPOST MESSAGES FIND {request} a dictionary, see admin.Actor.FindMessages; or REMOVE
//	GATEPOST RESTORE {request}       a dictionary, see admin.Actor.Restore
//	GATEPOST QUEUE LIST              an array with a dictionary per recipient
//	GATEPOST QUEUE KICK              all queues to other servers are tried now
const controlVerb = "GATEPOST"

func (s *session) controlCommand(ctx context.Context, rest string) reply {
	d := dataformat.NewDecoder(rest)
	var v dataformat.Value
	var err error
	switch {
	case d.Keyword("CHECK"):
		switch tidy := d.Keyword("TIDY"); {
		case !d.AtEnd():
			err = syntaxError("CHECK or CHECK TIDY is expected")
		case tidy:
			v, err = arrayOf(s.actor().CheckTidy(ctx))
		default:
			v, err = arrayOf(s.actor().Check(ctx))
		}
	case d.Keyword("REINDEX"):
		v, err = arrayOf(s.actor().ReindexAll(ctx))
	case d.Keyword("QUEUE"):
		return s.queueCommand(ctx, d)
	case d.Keyword("MESSAGES"):
		switch {
		case d.Keyword("FIND"):
			v, err = withRequest(ctx, d, s.actor().FindMessages)
		case d.Keyword("REMOVE"):
			v, err = withRequest(ctx, d, s.actor().RemoveMessages)
		default:
			err = syntaxError("MESSAGES FIND or MESSAGES REMOVE is expected")
		}
	case d.Keyword("BACKUP"):
		v, err = withRequest(ctx, d, s.actor().Backup)
	case d.Keyword("RESTORE"):
		v, err = withRequest(ctx, d, s.actor().Restore)
	case d.Keyword("ROUTE"):
		v, err = s.explain(ctx, d)
	case d.Keyword("RULES"):
		v, err = s.tryRules(ctx, d)
	case d.Keyword("ACCOUNTS"):
		v, err = s.accountsCommand(ctx, d)
	case d.Keyword("ITEMS"):
		v, err = s.itemsCommand(ctx, d)
	default:
		err = syntaxError("CHECK [TIDY], REINDEX, ROUTE address, RULES TEST, ACCOUNTS, ITEMS, MESSAGES, BACKUP, RESTORE or QUEUE is expected")
	}
	if err != nil {
		return failure(err)
	}
	return withData(v)
}

// withRequest carries out a call whose only argument is a dictionary.
func withRequest(ctx context.Context, d *dataformat.Decoder, call func(context.Context, dataformat.Dict) (dataformat.Dict, error)) (dataformat.Value, error) {
	v, err := dataformat.Parse([]byte(d.Rest()))
	if err != nil {
		return nil, fault.Wrap("pwd.Control", fault.Invalid, err)
	}
	request, ok := v.(dataformat.Dict)
	if !ok {
		return nil, syntaxError("a dictionary is expected")
	}
	return dictOf(call(ctx, request))
}

// tryRules answers what rules would do with a message.
func (s *session) tryRules(ctx context.Context, d *dataformat.Decoder) (dataformat.Value, error) {
	if !d.Keyword("TEST") {
		return nil, syntaxError("RULES TEST is expected")
	}
	v, err := dataformat.Parse([]byte(d.Rest()))
	if err != nil {
		return nil, fault.Wrap("pwd.Rules", fault.Invalid, err)
	}
	request, ok := v.(dataformat.Dict)
	if !ok {
		return nil, syntaxError("a dictionary is expected")
	}
	verdict, err := s.actor().TryRules(ctx, request)
	if err != nil {
		return nil, err
	}
	return dataformat.String(verdict.String()), nil
}

// explain answers how an address is routed, step by step, also when it leads
// nowhere.
func (s *session) explain(ctx context.Context, d *dataformat.Decoder) (dataformat.Value, error) {
	text, err := d.Word()
	if err != nil {
		return nil, fault.Wrap("pwd.Route", fault.Invalid, err)
	}
	var found admin.Explained
	if d.Keyword("FROM") {
		from, err := d.Word()
		if err == nil && !d.AtEnd() {
			err = syntaxError("one IP address or account is expected after FROM")
		}
		if err != nil {
			return nil, fault.Wrap("pwd.Route", fault.Invalid, err)
		}
		found, err = s.actor().ExplainFrom(ctx, text, from)
		if err != nil {
			return nil, err
		}
	} else {
		op, ok := operation(strings.TrimSpace(d.Rest()))
		if !ok {
			return nil, syntaxError("mail, access or signal is expected")
		}
		if found, err = s.actor().Explain(ctx, op, text); err != nil {
			return nil, err
		}
	}
	list := make(dataformat.Array, len(found.Steps))
	for i, st := range found.Steps {
		list[i] = dataformat.Dict{
			"From": dataformat.String(st.From), "To": dataformat.String(st.To), "Line": dataformat.String(strconv.Itoa(st.Line)),
			"Text": dataformat.String(st.Text), "Relay": flagOf(st.Relay),
		}
	}
	out := dataformat.Dict{"Steps": list}
	if found.From != "" {
		out["Client"], out["Code"], out["Reply"] = dataformat.String(found.From), dataformat.String(strconv.Itoa(found.Code)), dataformat.String(found.Reply)
	}
	if found.Err != nil {
		out["Error"] = dataformat.String(fault.Text(found.Err))
		return out, nil
	}
	out["Route"] = routeArray(found.Route)
	out["Verdict"] = dataformat.String(verdict(found.Route))
	return out, nil
}

// verdict says who may send to a route.
func verdict(r router.Route) string {
	const trusted = "only from authenticated users and Client IPs"
	denied := router.MayRelay(r, false) != nil
	switch {
	case r.All:
		return "all accounts of the domain: its MailToAllAction says from whom"
	case !denied && r.Local():
		return "local: from anyone"
	case !denied:
		return "remote, with the relay mark: from anyone"
	case r.Unknown:
		return "a name that nobody has: " + trusted + ", and then reported as failed"
	case r.Direct && r.Local():
		return "a program that no record of the table names: " + trusted
	}
	return "remote: " + trusted
}

func flagOf(b bool) dataformat.Value {
	if b {
		return dataformat.String("YES")
	}
	return dataformat.String("NO")
}
