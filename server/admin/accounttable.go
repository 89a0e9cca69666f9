package admin

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"gatepost/accounts"
	"gatepost/accounts/subscribers"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// This file makes accounts of the lines of a table: text in UTF-8 whose first line names the columns, with a TAB
// between two fields (accountcolumns.go). Each line is a CREATEACCOUNT with all that goes with it: template, rights,
// limits, a record.

// AccountImport is an import of a table into a domain. Its methods are for one goroutine.
type AccountImport struct {
	actor   Actor
	domain  string
	options AccountImportOptions
	columns []accountColumn

	made map[string]int // names that a dry run would have made, and their lines
	over bool           // it has ended at a bad line

	mu    sync.Mutex
	told  map[string]bool // notes, each once
	notes []string        // that Notes has not returned yet
}

// AccountImportOptions say what an import does.
type AccountImportOptions struct {
	DryRun bool // nothing is changed
	Stop   bool // the first bad line ends the import
	// Attributes are names of columns that are the site's own: settings that nobody has declared.
	Attributes []string
}

// AccountRow is a line of a table.
type AccountRow struct {
	Line int // in the file, from 1
	Text string
}

// AccountResult is what came of a line.
type AccountResult struct {
	Line    int
	Name    string // as the line has it
	Outcome AccountOutcome
	// Reason says why a line is not, or not wholly, done; "" for one that is.
	Reason string
}

// AccountOutcome is what was done with a line.
type AccountOutcome string

// The outcomes.
const (
	AccountCreated AccountOutcome = "created" // in a dry run: it would be
	AccountExists  AccountOutcome = "exists"  // there is an account with the name, which stays as it is
	AccountPartly  AccountOutcome = "partly"  // created, and something that belongs to it was refused
	AccountRefused AccountOutcome = "refused"
)

// Bad reports whether the line was not done as it stands there.
func (o AccountOutcome) Bad() bool { return o != AccountCreated }

// ImportAccounts begins an import. header is the first line of the table. Errors: Invalid for a column that is not
// known or is there twice, Denied.
func (a Actor) ImportAccounts(ctx context.Context, name, header string, options AccountImportOptions) (*AccountImport, error) {
	im := &AccountImport{actor: a, options: options, made: map[string]int{}, told: map[string]bool{}}
	im.actor.Note = im.note
	err := do(ctx, a, "IMPORTACCOUNTS", domain(name), func(o *operation) (err error) {
		im.domain = o.domain
		im.columns, err = o.accountColumns(header, options.Attributes)
		if options.DryRun {
			o.new = dataformat.String("dry run")
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return im, nil
}

// Over reports whether the import has ended at a bad line.
func (im *AccountImport) Over() bool { return im.over }

// maxTold bounds the notes of an import.
const maxTold = 100

func (im *AccountImport) note(text string) {
	im.mu.Lock()
	defer im.mu.Unlock()
	if !im.told[text] && len(im.told) < maxTold {
		im.told[text] = true
		im.notes = append(im.notes, text)
	}
}

// Notes returns what a person should know of what was done since the last call, such as that a setting does nothing yet.
func (im *AccountImport) Notes() []string {
	im.mu.Lock()
	defer im.mu.Unlock()
	notes := im.notes
	im.notes = nil
	return notes
}

// importWorkers is how many accounts are made at a time: they share the syncs of the disk, and their passwords are hashed
// by all processors.
const importWorkers = 8

// Rows carries out the next lines of the table, several at a time. The results are in the order of the lines; an empty
// line has none. With Stop they end with the first bad line; those of later lines that were under way already follow it.
// An error is one of the server, not of a line: the lines that have results are done.
func (im *AccountImport) Rows(ctx context.Context, rows []AccountRow) ([]AccountResult, error) {
	if im.over {
		return nil, fault.New("admin.ImportAccounts", fault.Invalid, "the import has ended at a bad line")
	}
	plans := make([]*accountPlan, 0, len(rows))
	for _, r := range rows {
		if strings.Trim(r.Text, "\r\n\t ") == "" {
			continue
		}
		p := im.plan(r)
		plans = append(plans, p)
		if p.bad != nil && im.options.Stop {
			break
		}
	}
	if im.options.DryRun {
		return im.try(ctx, plans)
	}
	return im.carryOut(ctx, plans)
}

// carryOut makes the accounts.
func (im *AccountImport) carryOut(ctx context.Context, plans []*accountPlan) ([]AccountResult, error) {
	results := make([]*AccountResult, len(plans))
	var mu sync.Mutex // over the three below
	next, stopped := 0, false
	var failed error
	take := func() int {
		mu.Lock()
		defer mu.Unlock()
		if stopped || next == len(plans) {
			return -1
		}
		next++
		return next - 1
	}
	var wg sync.WaitGroup
	for range min(importWorkers, len(plans)) {
		wg.Go(func() {
			for i := take(); i >= 0; i = take() {
				r, err := im.create(ctx, plans[i])
				mu.Lock()
				switch {
				case err != nil && failed == nil:
					failed, stopped = err, true
				case err == nil:
					results[i] = &r
					stopped = stopped || im.options.Stop && r.Outcome.Bad()
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if err := im.giveAliases(ctx, plans, results); failed == nil {
		failed = err
	}
	var list []AccountResult
	for _, r := range results {
		if r != nil {
			list = append(list, *r)
			stopped = stopped || im.options.Stop && r.Outcome.Bad()
		}
	}
	im.over = im.over || stopped && failed == nil
	return list, failed
}

// giveAliases gives the accounts that were made their aliases, in one step, and says in the results which get none.
func (im *AccountImport) giveAliases(ctx context.Context, plans []*accountPlan, results []*AccountResult) error {
	var all []accounts.AccountNames
	var at []int // where they are in plans
	for i, p := range plans {
		if r := results[i]; r != nil && len(p.aliases) > 0 && (r.Outcome == AccountCreated || r.Outcome == AccountPartly) {
			all, at = append(all, accounts.AccountNames{Account: p.name.Local, Aliases: p.aliases}), append(at, i)
		}
	}
	if len(all) == 0 {
		return nil
	}
	var failed []error
	err := do(ctx, im.actor, "SETACCOUNTALIASES", domain(im.domain), func(o *operation) (err error) {
		o.new = dataformat.String("the aliases of " + strconv.Itoa(len(all)) + " new accounts")
		failed, err = o.admin.acc.AddAliases(o, o.domain, all)
		return err
	})
	for n, i := range at {
		one := err
		if n < len(failed) && failed[n] != nil {
			one = failed[n]
		}
		if one != nil {
			results[i].lacks("aliases: " + fault.Text(one))
		}
	}
	if err != nil && !aboutLine(err) {
		return err
	}
	return nil
}

// lacks notes what an account does not have that the line gives it.
func (r *AccountResult) lacks(what string) {
	if r.Outcome == AccountPartly {
		r.Reason += "; " + what
		return
	}
	r.Outcome, r.Reason = AccountPartly, "created without its "+what
}

// try tells what would come of the lines.
func (im *AccountImport) try(ctx context.Context, plans []*accountPlan) ([]AccountResult, error) {
	var list []AccountResult
	for _, p := range plans {
		err := p.bad
		if err == nil {
			err = im.check(ctx, p)
		}
		if err != nil && !aboutLine(err) {
			return list, err
		}
		r := p.result(err)
		if !r.Outcome.Bad() {
			for _, n := range append([]string{p.name.Local}, p.aliases...) {
				im.made[strings.ToLower(n)] = p.line
			}
		}
		list = append(list, r)
		if r.Outcome.Bad() && im.options.Stop {
			im.over = true
			break
		}
	}
	return list, nil
}

// check tells whether a line could be carried out.
func (im *AccountImport) check(ctx context.Context, p *accountPlan) error {
	for _, n := range append([]string{p.name.Local}, p.aliases...) {
		if line, there := im.made[strings.ToLower(n)]; there {
			return fault.Newf("admin.ImportAccounts", fault.Invalid, "line %d has the name %s already", line, n)
		}
	}
	_, err := look(ctx, im.actor, "CREATEACCOUNT", object(p.name), func(o *operation) (struct{}, error) {
		if err := o.admin.acc.CheckNewAccount(o, o.domain, o.object, p.given, p.aliases); err != nil {
			return struct{}{}, err
		}
		for _, l := range p.lists {
			if _, err := o.admin.acc.Lists().Get(o, o.domain, l); err != nil {
				return struct{}{}, fault.Newf("admin.ImportAccounts", fault.KindOf(err), "mailing list %s: %s", l, fault.Text(err))
			}
		}
		return struct{}{}, nil
	})
	return err
}

// create carries a line out, but for its aliases. Its error is one of the server.
func (im *AccountImport) create(ctx context.Context, p *accountPlan) (AccountResult, error) {
	if p.bad != nil {
		return p.result(p.bad), nil
	}
	a := im.actor
	err := a.CreateAccount(ctx, p.name, p.given, p.storage)
	switch {
	case err != nil && !aboutLine(err):
		return AccountResult{}, err
	case fault.Is(err, fault.Exists):
		return im.existing(ctx, p, err)
	case err != nil:
		return p.result(err), nil
	}
	r := p.result(nil)
	for _, part := range []struct {
		what  string
		given bool
		set   func() error
	}{
		{"telephone numbers", len(p.telnums) > 0, func() error { return a.SetAccountTelnums(ctx, p.name, p.telnums) }},
		{"mailing lists", len(p.lists) > 0, func() error { return im.subscribe(ctx, p) }},
	} {
		if !part.given {
			continue
		}
		switch err := part.set(); {
		case err != nil && !aboutLine(err):
			return AccountResult{}, err
		case err != nil:
			r.lacks(part.what + ": " + fault.Explain(err))
		}
	}
	return r, nil
}

// existing is the result of a line whose account is there already. What the account lacks of the line's other names is told:
// an import may have been killed before it gave them.
func (im *AccountImport) existing(ctx context.Context, p *accountPlan, why error) (AccountResult, error) {
	r := p.result(why)
	have, err := im.actor.AccountAliases(ctx, p.name)
	if err != nil { // the name is that of something else
		r.Outcome = AccountRefused
		return r, nil
	}
	var lacks []string
	for _, alias := range p.aliases {
		if !slices.ContainsFunc(have, func(h string) bool { return strings.EqualFold(h, alias) }) {
			lacks = append(lacks, alias)
		}
	}
	if len(lacks) > 0 {
		r.Reason += "; it has no alias " + strings.Join(lacks, ", ")
	}
	return r, nil
}

// subscribe puts a new account on mailing lists of its domain, without a word to it.
func (im *AccountImport) subscribe(ctx context.Context, p *accountPlan) error {
	for _, l := range p.lists {
		who := []subscribers.Subscriber{{Address: p.name.Local + "@" + im.domain, Mode: subscribers.Feed}}
		failed, err := im.actor.ChangeSubscriptions(ctx, Name{l, im.domain}, who, subscribers.How{Silently: true, NewOnly: true})
		if err == nil && len(failed) > 0 {
			err = failed[0]
		}
		if err != nil {
			return fault.Newf("admin.ImportAccounts", fault.KindOf(err), "%s: %s", l, fault.Explain(err))
		}
	}
	return nil
}

// aboutLine reports whether an error is about what a line says, and not about the server.
func aboutLine(err error) bool {
	switch fault.KindOf(err) {
	case fault.Internal, fault.Corrupt, fault.NoSpace, fault.Unavailable, fault.Canceled, fault.NoDomain:
		return false
	}
	return true
}

// result is what came of a plan.
func (p *accountPlan) result(err error) AccountResult {
	r := AccountResult{Line: p.line, Name: p.shown, Outcome: AccountCreated}
	switch {
	case fault.Is(err, fault.Exists) && p.bad == nil:
		r.Outcome, r.Reason = AccountExists, fault.Text(err)
	case err != nil:
		r.Outcome, r.Reason = AccountRefused, fault.Text(err)
	}
	return r
}

// accountPlan is what a line asks for.
type accountPlan struct {
	line    int
	shown   string
	bad     error // it cannot be carried out
	name    Name
	given   dataformat.Dict
	aliases []string
	telnums []string
	lists   []string
	storage Storage
}

// plan reads a line.
func (im *AccountImport) plan(r AccountRow) *accountPlan {
	p := &accountPlan{line: r.Line, given: dataformat.Dict{}}
	fields := strings.Split(strings.TrimRight(r.Text, "\r\n"), "\t")
	for i, c := range im.columns {
		if c.kind == nameColumn && i < len(fields) {
			p.shown = strings.ToValidUTF8(fields[i], "?")
		}
	}
	switch {
	case !utf8.ValidString(r.Text):
		p.bad = fault.New("admin.ImportAccounts", fault.Invalid, "the line is not UTF-8")
	case strings.ContainsRune(r.Text, 0):
		p.bad = fault.New("admin.ImportAccounts", fault.Invalid, "the line has a zero byte")
	default:
		p.bad = im.fill(p, fields)
	}
	return p
}

func (im *AccountImport) fill(p *accountPlan, fields []string) error {
	const op = "admin.ImportAccounts"
	if len(fields) > len(im.columns) {
		return fault.Newf(op, fault.Invalid, "the line has %d fields, the first line %d columns", len(fields), len(im.columns))
	}
	if p.shown == "" {
		return fault.New(op, fault.Invalid, "the line has no name")
	}
	p.name = ParseName(p.shown)
	if p.name.Domain != "" {
		if real, known := im.actor.admin.acc.DomainName(p.name.Domain); !known || real != im.domain {
			return fault.Newf(op, fault.Invalid, "the name is of another domain: the accounts go to %s", im.domain)
		}
	}
	p.name.Domain = im.domain
	for i, field := range fields {
		if field == "" {
			continue
		}
		if err := im.columns[i].put(p, field, im.actor.admin.acc); err != nil {
			return fault.Newf(op, fault.Invalid, "%s: %s", im.columns[i].title, fault.Text(err))
		}
	}
	return nil
}

// passwordOf returns what a new account gets as Password for a string of crypt(3) of another system.
func passwordOf(acc *accounts.Store, crypt string) (string, error) {
	if stored := "{CRYPT}" + strings.TrimPrefix(crypt, "{CRYPT}"); acc.IsStoredPassword(stored) {
		return stored, nil
	}
	return "", fault.New("admin.ImportAccounts", fault.Invalid,
		"this form cannot be compared with a password ($1$, $2$, $5$ and $6$ can): leave it out and give the account a new password")
}
