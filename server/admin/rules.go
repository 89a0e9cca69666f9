package admin

import (
	"context"

	"gatepost/accounts"
	mailrules "gatepost/rules"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// This file has the calls about rules. Rules are given and shown in the array form; the word Default
// in the place of an array removes them.

const (
	rightRules       = "RulesAllowed"
	rightSignalRules = "SignalRulesAllowed"
)

// rulesRight is the right that rules among settings need, or "" for other settings.
func rulesRight(key string) string {
	switch key {
	case "Rules":
		return rightRules
	case "SignalRules":
		return rightSignalRules
	}
	return ""
}

// mayRule reports whether the actor may change the rules of the account, or of the domain, that the operation is
// about. Those of the whole Main Domain also act on the mail of accounts with server rights.
func (o *operation) mayRule(right string) bool {
	if o.object == "" && o.domain == o.admin.acc.MainDomain() {
		return o.rights.Server(accounts.RightUsers)
	}
	return o.rights.Domain(o.domain, right)
}

// tellRules notes what in rules has no effect yet.
func (o *operation) tellRules(list ...*mailrules.Rule) {
	for _, r := range list {
		for _, note := range r.Notes() {
			o.note("rule " + r.Name + ": " + note)
		}
	}
}

// shownRules is a set of rules for who asks.
func shownRules(set *mailrules.Set) dataformat.Array {
	list, _ := set.Value().(dataformat.Array)
	return list
}

// ServerMailRules are the rules of the server.
func (a Actor) ServerMailRules(ctx context.Context) (dataformat.Array, error) {
	return look(ctx, a, "GETSERVERMAILRULES", server, func(o *operation) (dataformat.Array, error) {
		return shownRules(o.admin.server.ServerMailRules()), nil
	})
}

// SetServerMailRules replaces the rules of the server.
func (a Actor) SetServerMailRules(ctx context.Context, v dataformat.Value) error {
	return do(ctx, a, "SETSERVERMAILRULES", server, func(o *operation) error {
		set, err := mailrules.Parse(v, mailrules.Server)
		if err != nil {
			return err
		}
		o.old, o.new = o.admin.server.ServerMailRules().Value(), set.Value()
		o.tellRules(set.Rules()...)
		return o.admin.server.SetServerMailRules(set)
	})
}

// ServerSignalRules are the call rules of the server.
func (a Actor) ServerSignalRules(ctx context.Context) (dataformat.Array, error) {
	return look(ctx, a, "GETSERVERSIGNALRULES", server, func(o *operation) (dataformat.Array, error) {
		return o.admin.server.ServerSignalRules()
	})
}

// SetServerSignalRules replaces the call rules of the server, which are kept.
func (a Actor) SetServerSignalRules(ctx context.Context, v dataformat.Value) error {
	return do(ctx, a, "SETSERVERSIGNALRULES", server, func(o *operation) error {
		kept, err := mailrules.ParseSignal(v)
		if err != nil {
			return err
		}
		list, _ := kept.(dataformat.Array)
		old, err := o.admin.server.ServerSignalRules()
		if err != nil {
			return err
		}
		o.old, o.new = old, list
		o.noteCalls()
		return o.admin.server.SetServerSignalRules(list)
	})
}

func (o *operation) noteCalls() { o.note("call rules are kept and do nothing yet") }

// TryRules says which rules match a message and why, and what would happen. The request has
//
//	level    server, domain or account
//	target   an account, for the levels domain and account
//	message  its text, or the beginning of it; size is how long it is then
//	queue    or the number of a message of the queue
//	mailbox  or a mailbox: of the account owner, else of the target; uid is the message, else the newest one
//	from     the return-path
//	to       an array of recipients; without it, the target
//	as       the account that sends it, if one does
//
// What is stored is for those who may read it: UserAccounts.
func (a Actor) TryRules(ctx context.Context, request dataformat.Dict) (*mailrules.Verdict, error) {
	return look(ctx, a, "RULESTEST", server, func(o *operation) (*mailrules.Verdict, error) {
		if request.String("queue")+request.String("mailbox") != "" && !o.rights.Server(accounts.RightUsers) {
			return nil, denied()
		}
		return o.admin.server.TryRules(o, request)
	})
}

// DomainMailRules are the rules of a domain.
func (a Actor) DomainMailRules(ctx context.Context, name string) (dataformat.Array, error) {
	return look(ctx, a, "GETDOMAINMAILRULES", domain(name), func(o *operation) (dataformat.Array, error) {
		set, err := o.admin.acc.DomainMailRules(o.domain)
		return shownRules(set), err
	})
}

// SetDomainMailRules replaces the rules of a domain. Those of the Main Domain also act on the mail
// of accounts with server rights: that needs UserAccounts.
func (a Actor) SetDomainMailRules(ctx context.Context, name string, v dataformat.Value) error {
	return do(ctx, a, "SETDOMAINMAILRULES", domain(name), func(o *operation) error {
		if !o.mayRule(rightRules) {
			return denied()
		}
		set, err := mailrules.Parse(v, mailrules.Domain)
		if err != nil {
			return err
		}
		old, err := o.admin.acc.DomainMailRules(o.domain)
		if err != nil {
			return err
		}
		o.old, o.new = old.Value(), set.Value()
		o.tellRules(set.Rules()...)
		return o.admin.acc.SetDomainMailRules(o, o.domain, set)
	})
}

// DomainSignalRules are the call rules of a domain.
func (a Actor) DomainSignalRules(ctx context.Context, name string) (dataformat.Array, error) {
	return look(ctx, a, "GETDOMAINSIGNALRULES", domain(name), func(o *operation) (dataformat.Array, error) {
		return o.admin.acc.SignalRules(o, o.domain, "")
	})
}

// SetDomainSignalRules replaces the call rules of a domain, which are kept.
func (a Actor) SetDomainSignalRules(ctx context.Context, name string, v dataformat.Value) error {
	return do(ctx, a, "SETDOMAINSIGNALRULES", domain(name), func(o *operation) error {
		if !o.mayRule(rightSignalRules) {
			return denied()
		}
		o.new = v
		o.noteCalls()
		return o.admin.acc.SetSignalRules(o, o.domain, "", v)
	})
}

// AccountMailRules are the rules of an account, its own or inherited ones.
func (a Actor) AccountMailRules(ctx context.Context, n Name) (dataformat.Array, error) {
	return look(ctx, a, "GETACCOUNTMAILRULES", account(n), func(o *operation) (dataformat.Array, error) {
		set, err := o.admin.acc.AccountMailRules(o, o.domain, o.object)
		return shownRules(set), err
	})
}

// SetAccountMailRules replaces the rules of an account. Its owner may give those that the account's RulesAllowed
// lets; rules of an administrator stay.
func (a Actor) SetAccountMailRules(ctx context.Context, n Name, v dataformat.Value) error {
	return a.changeMailRules(ctx, "SETACCOUNTMAILRULES", n, func(*mailrules.Set) (*mailrules.Set, error) {
		return mailrules.Parse(v, mailrules.Account)
	})
}

// UpdateAccountMailRule removes the rule of an account with a name, unless that is empty; one that does not
// exist is no error. Else it puts a rule into those of the account, in the place of the one with its name,
// or changes the priority of that: (priority, name).
func (a Actor) UpdateAccountMailRule(ctx context.Context, n Name, remove string, rule dataformat.Value) error {
	return a.changeMailRules(ctx, "UPDATEACCOUNTMAILRULE", n, func(old *mailrules.Set) (*mailrules.Set, error) {
		if remove != "" {
			return old.Without(remove), nil
		}
		return old.Update(rule, mailrules.Account)
	})
}

func (a Actor) changeMailRules(ctx context.Context, call string, n Name, change func(old *mailrules.Set) (*mailrules.Set, error)) error {
	return do(ctx, a, call, account(n), func(o *operation) error {
		acct, err := o.admin.acc.Account(o, o.domain, o.object)
		if err != nil {
			return err
		}
		var before, after *mailrules.Set
		err = o.admin.acc.ChangeAccountMailRules(o, o.domain, o.object, func(old *mailrules.Set) (*mailrules.Set, error) {
			set, err := change(old)
			if err == nil && !o.mayRule(rightRules) {
				set, err = ownersRules(acct.RulesAllowed(), old, set)
			}
			before, after = old, set
			return set, err
		})
		if err != nil {
			return err
		}
		o.old, o.new = before.Value(), after.Value()
		for _, r := range after.Rules() {
			if before.Find(r.Name) != r {
				o.tellRules(r)
			}
		}
		return nil
	})
}

// ownersRules is what becomes of rules when their owner changes them.
func ownersRules(allowed mailrules.Allowed, old, given *mailrules.Set) (*mailrules.Set, error) {
	set, err := allowed.Edited(old, given)
	if err == nil && given == nil && len(set.Rules()) == 0 {
		return nil, nil // Default, and no administrator has made rules
	}
	return set, err
}

// AccountSignalRules are the call rules of an account.
func (a Actor) AccountSignalRules(ctx context.Context, n Name) (dataformat.Array, error) {
	return look(ctx, a, "GETACCOUNTSIGNALRULES", account(n), func(o *operation) (dataformat.Array, error) {
		return o.admin.acc.SignalRules(o, o.domain, o.object)
	})
}

// SetAccountSignalRules replaces the call rules of an account, which are kept.
func (a Actor) SetAccountSignalRules(ctx context.Context, n Name, v dataformat.Value) error {
	return a.changeSignalRules(ctx, "SETACCOUNTSIGNALRULES", n, func(o *operation) error {
		o.new = v
		return o.admin.acc.SetSignalRules(o, o.domain, o.object, v)
	})
}

// UpdateAccountSignalRule does with call rules what UpdateAccountMailRule does.
func (a Actor) UpdateAccountSignalRule(ctx context.Context, n Name, remove string, rule dataformat.Value) error {
	return a.changeSignalRules(ctx, "UPDATEACCOUNTSIGNALRULE", n, func(o *operation) error {
		if remove != "" {
			o.old = dataformat.String(remove)
			return o.admin.acc.DeleteSignalRule(o, o.domain, o.object, remove)
		}
		o.new = rule
		return o.admin.acc.UpdateSignalRule(o, o.domain, o.object, rule)
	})
}

// changeSignalRules lets the owner change them unless SignalRulesAllowed says No: nothing applies them.
func (a Actor) changeSignalRules(ctx context.Context, call string, n Name, change func(*operation) error) error {
	return do(ctx, a, call, account(n), func(o *operation) error {
		acct, err := o.admin.acc.Account(o, o.domain, o.object)
		if err != nil {
			return err
		}
		if allowed, _ := dataformat.Text(acct.Setting(rightSignalRules)); allowed == "No" && !o.mayRule(rightSignalRules) {
			return fault.New("admin.SignalRules", fault.Denied, "the call rules of this account can be changed by an administrator only")
		}
		o.noteCalls()
		return change(o)
	})
}
