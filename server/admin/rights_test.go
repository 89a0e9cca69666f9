package admin

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"gatepost/accounts"
	"gatepost/router/names"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

var update = flag.Bool("update", false, "rewrite testdata/who-may.txt")

// notCalls are methods of Actor that ask about the actor itself.
var notCalls = []string{"Rights", "Self", "May", "MayList"}

// who is an actor of the table, and how the table calls it.
type who struct {
	title        string
	name, domain string // "" for the owner
	rights       []string
}

func (s *site) actor(w who) Actor {
	if w.name == "" {
		return s.owner()
	}
	return s.as(w.name, w.domain, w.rights...)
}

// actors are administrators of own.com with each domain right alone, and accounts of the Main
// Domain with each server right alone.
func actors() []who {
	list := []who{{"everybody", "plain", "own.com", nil}, {"D", "admin", "own.com", []string{"Domain"}}}
	for _, right := range accounts.DomainRights() {
		if right != "Domain" {
			list = append(list, who{"D:" + right, "with-" + strings.ToLower(right), "own.com", []string{"Domain", right}})
		}
	}
	// Without Domain no right of a domain counts.
	list = append(list, who{"all but Domain", "half", "own.com", slices.DeleteFunc(accounts.DomainRights(), func(r string) bool { return r == "Domain" })})
	for _, right := range serverRights {
		list = append(list, who{right, "server-" + strings.ToLower(right), "main.com", []string{right}})
	}
	return append(list, who{title: "owner"})
}

// The table of who may make which call about the domain of the actor, another one, and the
// actor's own account. It is made by making each call, with arguments that change nothing.
func TestWhoMayDoWhat(t *testing.T) {
	s := newSite(t)
	all := actors()
	made := map[string]Actor{}
	for _, w := range all {
		made[w.title] = s.actor(w)
	}
	var b strings.Builder
	b.WriteString("# Made by go test ./server/admin -update: who is let in to which call with no other right than that.\n" +
		"# own: about the actor's domain; other: about another one; self: about the actor's own account. Those with server\n" +
		"# rights are of the Main Domain, which nobody renames or deletes, and whose postmaster the owner acts as.\n")
	for _, method := range calls() {
		for _, target := range []string{"own", "other", "self"} {
			let := map[string]bool{}
			about := false
			for _, w := range all {
				a := made[w.title]
				var err error
				if err, about = s.try(method, a, target); !fault.Is(err, fault.Denied) {
					let[w.title] = true
				}
				if target == "self" && changesActor[method.Name] {
					made[w.title] = s.actor(w)
				}
			}
			if !about && target != "own" {
				break // there is no target
			}
			fmt.Fprintf(&b, "%s, %s: %s\n", method.Name, target, strings.Join(summary(t, all, let), " "))
		}
	}
	const path = "testdata/who-may.txt"
	if *update {
		must(t, os.MkdirAll("testdata", 0o755))
		must(t, os.WriteFile(path, []byte(b.String()), 0o644))
	}
	have, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, []byte(b.String())) {
		t.Errorf("%s differs; go test ./server/admin -run WhoMay -update rewrites it: look at what changes", path)
	}
}

// calls lists the methods of Actor that are calls.
func calls() []reflect.Method {
	var list []reflect.Method
	for actor, i := reflect.TypeFor[Actor](), 0; i < actor.NumMethod(); i++ {
		if m := actor.Method(i); !slices.Contains(notCalls, m.Name) {
			list = append(list, m)
		}
	}
	return list
}

// changesActor are the calls that take rights or the account away from an actor that makes
// them about itself.
var changesActor = map[string]bool{"DeleteAccount": true, "SetAccountRights": true, "RenameAccount": true}

// summary names those who are let in. Whoever has one of two rights may what each of them
// alone may.
func summary(t *testing.T, all []who, let map[string]bool) []string {
	var out []string
	for _, w := range all {
		switch {
		case !let[w.title] && let["everybody"]:
			t.Errorf("%s is not let in, and everybody is", w.title)
		case !let[w.title]:
			if strings.HasPrefix(w.title, "D:") && let["D"] {
				t.Errorf("%s is not let in, and D is", w.title)
			}
		case w.title == "everybody", !let["everybody"] && !(strings.HasPrefix(w.title, "D:") && let["D"]):
			out = append(out, w.title)
		}
	}
	return out
}

// try makes a call with arguments of the right types that change nothing. about says whether
// they name a target.
func (s *site) try(method reflect.Method, a Actor, target string) (err error, about bool) {
	s.t.Helper()
	domain, name := a.Self().Domain, Name{"nobody", a.Self().Domain}
	switch target {
	case "other":
		domain, name = "other.com", Name{"nobody", "other.com"}
	case "self":
		name = a.Self()
	}
	strings := 0
	args := []reflect.Value{reflect.ValueOf(a), reflect.ValueOf(ctx)}
	for i := 2; i < method.Type.NumIn(); i++ {
		in := method.Type.In(i)
		v := reflect.Zero(in)
		switch {
		case in == reflect.TypeFor[Name]() && !about:
			v, about = reflect.ValueOf(name), true
		case in == reflect.TypeFor[Name](): // of another account
		case in.Kind() == reflect.String && strings == 0 && !about && ofDomain[method.Name]:
			v, about = reflect.ValueOf(domain), true
		case in.Kind() == reflect.String:
			strings++
		case in == reflect.TypeFor[names.Operation]():
			v = reflect.ValueOf(names.Mail)
		case in == reflect.TypeFor[dataformat.Dict]():
			v = reflect.ValueOf(dataformat.Dict{})
		}
		args = append(args, v)
	}
	out := method.Func.Call(args)
	err, _ = out[len(out)-1].Interface().(error)
	if method.Name == "SuspendDomain" && err == nil {
		must(s.t, s.acc.SuspendDomain(ctx, domain, false))
	}
	return err, about
}

// ofDomain are the calls whose first string names the domain that they are about.
var ofDomain = map[string]bool{
	"RenameDomain": true, "DeleteDomain": true, "SuspendDomain": true, "ResumeDomain": true, "DomainSettings": true,
	"DomainEffectiveSettings": true, "UpdateDomainSettings": true, "SetDomainSettings": true, "DomainAliases": true,
	"SetDomainAliases": true, "DomainLocation": true, "AdminDomains": true, "Accounts": true, "ListObjects": true,
	"ImportAccounts": true, "ExportColumns": true, "ExportAccounts": true, "AccountDefaults": true, "UpdateAccountDefaults": true, "SetAccountDefaults": true, "AccountTemplate": true,
	"UpdateAccountTemplate": true, "SetAccountTemplate": true, "AccountDefaultPrefs": true, "UpdateAccountDefaultPrefs": true,
	"DomainMailRules": true, "SetDomainMailRules": true, "DomainSignalRules": true, "SetDomainSignalRules": true,
	"DKIMKeys": true, "CreateDKIMKey": true, "ImportDKIMKey": true, "ActivateDKIMKey": true, "RetireDKIMKey": true,
	"DeleteDKIMKey": true, "DomainCertificate": true, "GenerateDomainKey": true, "CreateDomainCertificate": true, "CertificateRequest": true,
	"ImportDomainCertificate": true, "ImportDomainPKCS12": true, "RemoveDomainCertificate": true, "DNSRecords": true, "CheckDNS": true, "DMARCReports": true,
	"SetAccountDefaultPrefs": true, "Forwarders": true, "FindForwarders": true, "Groups": true,
	"Lists": true, "DomainLists": true, "DomainJunk": true, "ResetDomainJunk": true,
	"Administrators": true, "DomainTelnums": true, "AccountDefaultsSheet": true, "AccountTemplateSheet": true, "DomainSheet": true,
}

// Each call has a rule of its own, which its record names.
func TestEachCallHasARule(t *testing.T) {
	s := newSite(t)
	plain := s.as("plain", "own.com")
	used := map[string]string{}
	for _, method := range calls() {
		s.record()
		_, about := s.try(method, plain, "other")
		_, record, _ := strings.Cut(s.record(), " ADMIN ")
		call, _, _ := strings.Cut(record, " ")
		r := rules[call]
		if r.needs == "" {
			t.Errorf("%s makes the call %q, which has no line in the table of rules (rights.go)", method.Name, call)
		}
		if (r.domain || len(r.codes) > 0) && !about {
			t.Errorf("%s needs a right in a domain: ofDomain lacks it, so that who-may.txt does not try other domains", method.Name)
		}
		if by := used[call]; by != "" && call != "ROUTE" && !strings.HasSuffix(method.Name, "Sheet") && !strings.HasSuffix(by, "Sheet") {
			t.Errorf("%s has the rule of %s: %s", method.Name, by, call)
		}
		used[call] = method.Name
	}
	for call := range rules {
		if used[call] == "" {
			t.Errorf("no call has the rule %s", call)
		}
	}
}
