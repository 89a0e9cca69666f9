package pwd

import (
	"strconv"
	"strings"
	"time"

	"gatepost/accounts/subscribers"
	"gatepost/server/admin"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// listCommands are about mailing lists.
var listCommands = []command{
	{"LISTLISTS", "[domain]", func(c *call) (dataformat.Value, error) { return arrayOf(c.actor.Lists(c, c.args.word("domain"))) }},
	{"GETDOMAINLISTS", "[domain]", func(c *call) (dataformat.Value, error) { return dictOf(c.actor.DomainLists(c, c.args.word("domain"))) }},
	{"GETACCOUNTLISTS", "acct", func(c *call) (dataformat.Value, error) { return dictOf(c.actor.AccountLists(c, c.name("acct"))) }},
	{"CREATELIST", "name FOR acct [{settings}]", func(c *call) (dataformat.Value, error) {
		return nil, c.actor.CreateList(c, c.name("name"), c.args.word("acct"), c.args.dict("settings"))
	}},
	{"RENAMELIST", "old INTO new", func(c *call) (dataformat.Value, error) {
		return nil, c.actor.RenameList(c, c.name("old"), c.args.word("new"))
	}},
	{"DELETELIST", "name", func(c *call) (dataformat.Value, error) { return nil, c.actor.DeleteList(c, c.name("name")) }},
	{"GETLIST", "name", func(c *call) (dataformat.Value, error) { return dictOf(c.actor.List(c, c.name("name"))) }},
	{"UPDATELIST", "name {settings}", func(c *call) (dataformat.Value, error) {
		return nil, c.actor.UpdateList(c, c.name("name"), c.args.dict("settings"))
	}},
	{"LIST", "name operation=SUBSCRIBE|FEED|DIGEST|INDEX|NULL|BANNED|UNSUBSCRIBE [SILENTLY] [CONFIRM] subscriber...", func(c *call) (dataformat.Value, error) {
		return nil, c.actor.ChangeSubscription(c, c.name("name"), c.args.word("operation"), c.args.word("subscriber"), c.args.has("SILENTLY"), c.args.has("CONFIRM"))
	}},
	{"PROCESSBOUNCE", "name [FATAL] FOR address", func(c *call) (dataformat.Value, error) {
		return nil, c.actor.ProcessBounce(c, c.name("name"), c.args.word("address"), c.args.has("FATAL"))
	}},
	{"LISTSUBSCRIBERS", "name [FILTER filter] [#limit]", listSubscribers},
	{"READSUBSCRIBERS", "name [FILTER filter] [#limit]", readSubscribers},
	{"GETSUBSCRIBERINFO", "name NAME address", getSubscriberInfo},
	{"SETPOSTINGMODE", "name FOR address [mode]", func(c *call) (dataformat.Value, error) {
		mode, err := postingMode(c.args.word("mode"))
		if err != nil {
			return nil, err
		}
		return nil, c.actor.SetPostingMode(c, c.name("name"), []string{c.args.word("address")}, mode)
	}},
	{"LISTWAITING", "name [#limit]", listWaiting},
	{"APPROVEWAITING", "name TOKEN token", func(c *call) (dataformat.Value, error) {
		return nil, c.actor.Approve(c, c.name("name"), c.args.word("token"))
	}},
	{"REJECTWAITING", "name TOKEN token [TEXT reason]", func(c *call) (dataformat.Value, error) {
		return nil, c.actor.Reject(c, c.name("name"), c.args.word("token"), c.args.word("reason"))
	}},
}

// listWaiting answers a dictionary for each posting and subscription that waits for the owner.
func listWaiting(c *call) (dataformat.Value, error) {
	limit := 1000
	if c.args.has("limit") {
		limit = min(max(c.args.number("limit"), 0), maxListed)
	}
	all, err := c.actor.Waiting(c, c.name("name"), limit)
	out := make(dataformat.Array, len(all))
	for i, w := range all {
		d := dataformat.Dict{"token": dataformat.String(w.Token), "from": dataformat.String(w.Author), "RealName": dataformat.String(w.RealName), "since": timeOf(w.Since)}
		if w.Posting {
			d["subject"] = dataformat.String(w.Subject)
		} else {
			d["mode"] = dataformat.String(w.Mode.String())
		}
		out[i] = d
	}
	return out, err
}

// maxListed bounds the subscribers of one answer where the command has no limit.
const maxListed = 100_000

// subscribersOf returns the subscribers that a command asks for.
func subscribersOf(c *call) ([]subscribers.Subscriber, error) {
	limit := maxListed
	if c.args.has("limit") {
		limit = min(max(c.args.number("limit"), 0), maxListed)
	}
	p, err := c.actor.Subscribers(c, c.name("name"), admin.SubscriberFilter{Text: c.args.word("filter")}, "", limit)
	return p.Subscribers, err
}

func listSubscribers(c *call) (dataformat.Value, error) {
	found, err := subscribersOf(c)
	if err != nil {
		return nil, err
	}
	out := make(dataformat.Array, len(found))
	for i := range found {
		out[i] = dataformat.String(found[i].Address)
	}
	return out, nil
}

// readSubscribers answers the number of all subscribers and an array of those that are asked for.
func readSubscribers(c *call) (dataformat.Value, error) {
	found, err := subscribersOf(c)
	if err != nil {
		return nil, err
	}
	counts, err := c.actor.SubscriberCounts(c, c.name("name"))
	if err != nil {
		return nil, err
	}
	out := make(dataformat.Array, len(found))
	for i := range found {
		s := &found[i]
		d := dataformat.Dict{
			"Sub": dataformat.String(s.Address), "RealName": dataformat.String(s.RealName), "mode": dataformat.String(s.Mode.String()),
			"posts": decimal(s.Posts), "bounces": decimal(s.Bounces), "subscribeTime": timeOf(s.Since),
		}
		if !s.LastBounce.IsZero() {
			d["lastBounceTime"] = timeOf(s.LastBounce)
		}
		out[i] = d
	}
	total := 0
	for _, n := range counts {
		total += n
	}
	return dataformat.Array{decimal(total), out}, nil
}

// getSubscriberInfo answers an empty dictionary for an address that is not a subscriber.
func getSubscriberInfo(c *call) (dataformat.Value, error) {
	s, err := c.actor.Subscriber(c, c.name("name"), c.args.word("address"))
	if err != nil || s.Mode == subscribers.None {
		return dataformat.Dict{}, err
	}
	d := dataformat.Dict{
		"mode": dataformat.String(s.Mode.String()), "RealName": dataformat.String(s.RealName), "timeSubscribed": timeOf(s.Since),
		"posts": decimal(s.Posts), "bounces": decimal(s.Bounces),
		"moderate": dataformat.String(postingWord(s.Moderated)),
	}
	if !s.LastBounce.IsZero() {
		d["lastBounced"] = timeOf(s.LastBounce)
	}
	return d, nil
}

func decimal(n int) dataformat.Value { return dataformat.String(strconv.Itoa(n)) }

func timeOf(t time.Time) dataformat.Value { return dataformat.Time{T: t} }

// postingWords are the posting modes that have a word.
var postingWords = map[string]int{
	"UNMODERATED": subscribers.Unmoderated, "MODERATEALL": subscribers.ModerateAll, "PROHIBITED": subscribers.Prohibited, "SPECIAL": subscribers.Special,
}

// postingMode reads a posting mode; none is UNMODERATED.
func postingMode(word string) (int, error) {
	if word == "" {
		return subscribers.Unmoderated, nil
	}
	if n, ok := postingWords[strings.ToUpper(word)]; ok {
		return n, nil
	}
	n, err := strconv.Atoi(word)
	if err != nil || n < 0 || n >= subscribers.ModerateAll {
		return 0, fault.Newf("pwd.SetPostingMode", fault.Invalid, "%q is neither UNMODERATED, MODERATEALL, PROHIBITED, SPECIAL nor a number of postings", word)
	}
	return n, nil
}

func postingWord(n int) string {
	for word, value := range postingWords {
		if n == value {
			return word
		}
	}
	return strconv.Itoa(n)
}
