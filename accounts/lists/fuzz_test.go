package lists

import (
	"context"
	"log/slog"
	"strings"
	"testing"

	"gatepost/accounts"
	"gatepost/accounts/subscribers"
	"gatepost/router"
	"gatepost/router/address"
	"gatepost/server/dataformat"
)

// Whatever a report says, failures ends, and names addresses that are fit for a log and a header.
func FuzzFailures(f *testing.F) {
	for _, seed := range []string{
		"Reporting-MTA: dns; a.test\r\n\r\nFinal-Recipient: rfc822; bob@a.test\r\nAction: failed\r\nStatus: 5.1.1\r\n",
		"Original-Recipient: rfc822;a+2Bb@a.test\r\nAction: FAILED\r\nStatus: 5.1.1 (no)\r\n\r\n", "Action: failed\nFinal-Recipient: utf-8; \\x{e4}@a.test\n\n",
		"Action: delayed\r\n\r\nAction\r\n:\r\n", strings.Repeat("x", 9000) + ": y\r\n", "Final-Recipient: rfc822; <a@b\r\nAction: failed\r\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		list, err := failures(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range list {
			if strings.ContainsAny(one.address, "\r\n\x00") || !strings.Contains(one.address, "@") {
				t.Errorf("%q is named", one.address)
			}
		}
	})
}

// What a subject asks for has a token without line ends, and a known command.
func FuzzSubjectCommand(f *testing.F) {
	for _, seed := range []string{"help", "confirm ABC", "Re: confirm ABC", "confirm reject-abc", "subscribe", "a b c", "\r\n", "digest"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, subject string) {
		for _, word := range []string{"request", "confirm"} {
			a := serviceCommand(word, "", subject)
			if strings.ContainsAny(a.token, "\r\n ") || a.cmd > cmdHelp {
				t.Errorf("%q: %+v", subject, a)
			}
		}
	})
}

// A name and an address are split without anything added to them, and oneLine leaves no line ends.
func FuzzSplitName(f *testing.F) {
	for _, seed := range []string{"a@b", "A. Name <a@b>", `"A" <a@b>`, "<>", "<", ">", `"`, `""`, "a\r\nb <c>", "\xff <\xfe>"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		name, addr := subscribers.SplitName(text)
		if !strings.Contains(text, name) || !strings.Contains(text, addr) {
			t.Errorf("%q gives %q and %q", text, name, addr)
		}
		if got := oneLine(name); strings.ContainsAny(got, "\r\n") || len(got) > 500 {
			t.Errorf("%q", got)
		}
		if a, err := address.Parse(addr); err == nil && strings.ContainsAny(a.String(), "\r\n") {
			t.Errorf("%q is an address", a)
		}
	})
}

// Whatever groups have as members, each other and themselves too, the search for those who get a copy ends, and
// nobody is found twice, nor a group that was expanded.
func FuzzMembers(f *testing.F) {
	for _, seed := range []string{"a;b;c;d", "b x;a y;;", "b;c;d;a", "a a a;b b;c;d x y", "b c d x;c d y;d a x;a b c d x y", "x y z X", "x@company.com;;;", "@ \x00 b@b@b;\xff;b#a;a+b"} {
		f.Add(seed, uint8(0))
		f.Add(seed, uint8(15))
	}
	ctx := context.Background()
	store, err := accounts.Open(f.TempDir(), accounts.Options{MainDomain: "company.com", Shards: 1, NextID: func() (uint64, error) { return 1, nil }})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { store.Close() })
	all := []string{"a", "b", "c", "d"}
	for _, name := range all {
		if err := store.Groups().Create(ctx, "", name, dataformat.Dict{}); err != nil {
			f.Fatal(err)
		}
	}
	route := routerFunc(func(a address.Address) (router.Route, error) {
		name := strings.ToLower(a.Local)
		if len(name) == 1 && name <= "d" && name >= "a" && a.Domain == "company.com" {
			return router.Route{Module: router.LIST, Queue: name + "@company.com", Name: name, Domain: a.Domain, Address: a}, nil
		}
		return router.Route{Module: router.LOCAL, Queue: name + "@" + a.Domain, Name: name, Domain: a.Domain, Address: a}, nil
	})
	tr := New(store.Groups(), nil, route, nil, slog.New(slog.DiscardHandler))
	f.Fuzz(func(t *testing.T, text string, expand uint8) {
		if len(text) > 200 {
			return
		}
		given := strings.SplitN(text, ";", len(all))
		expanded := map[string]bool{"a": true}
		for i, name := range all {
			var members dataformat.Array
			if i < len(given) {
				for _, m := range strings.Fields(given[i]) {
					members = append(members, dataformat.String(m))
				}
			}
			set := dataformat.Dict{"Members": members, "Expand": dataformat.String("NO")}
			if expand&(1<<i) != 0 {
				set["Expand"] = dataformat.String("YES")
			}
			if err := store.Groups().Set(ctx, "", name, set); err != nil {
				return // no group can be so
			}
		}
		g, err := store.Groups().Get(ctx, "", "a")
		if err != nil {
			t.Fatal(err)
		}
		found, err := tr.members(ctx, g, &header{})
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for _, to := range found {
			r, _ := route(to)
			if seen[r.Queue] {
				t.Errorf("%q: %s is found twice in %v", text, to, found)
			}
			seen[r.Queue] = true
			if r.Module == router.LIST && expanded[r.Name] {
				t.Errorf("%q: the group itself is in %v", text, found)
			}
		}
	})
}
