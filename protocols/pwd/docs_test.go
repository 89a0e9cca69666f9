package pwd

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"gatepost/server/admin"
)

var update = flag.Bool("update", false, "rewrite the pages that are made from the code")

// The page of commands is made from the tables.
func TestCommandsPage(t *testing.T) {
	commands, err := compile()
	must(t, err)
	var b strings.Builder
	b.WriteString(`# Commands of the command line

Made from the tables in the code; "go test ./protocols/pwd -update" rewrites it. The commands work on port 106 after login,
and through "gatepost cli" without one. Words in capitals are keywords, in any case; brackets mean that a part may be
missing; (x) is an array, {x} a dictionary, <x> any object, #x a number. acct may be * for the own account. A name without
a domain is in the domain of who is logged in. Names of settings may be in any case; docs/admin/accounts.md and
docs/admin/settings.md have them. "gatepost cli" at a terminal has HELP, completion and history. The log has a record of each
command that changed something, with the old and the new value (docs/admin/log.md).

Rights: any is everybody who is logged in; own is the account that the command is about; D is an administrator of its
domain, D:Name one with the right Name; the others are server rights. Any one of them is enough; UserAccounts
stands for every D, Master for all. SETACCOUNTRIGHTS takes these words.

| command | parameters | right |
|---|---|---|
`)
	cell := func(s string) string { return strings.ReplaceAll(s, "|", "\\|") }
	for _, verb := range slices.Sorted(maps.Keys(commands)) {
		c := commands[verb]
		if c.verb != verb {
			continue // an old name
		}
		syntax := ""
		if c.syntax != "" {
			syntax = "`" + cell(c.syntax) + "`"
		}
		needs := admin.Needs(verb)
		if needs == "" {
			needs = "any"
			if !slices.ContainsFunc(miscCommands, func(m command) bool { return m.verb == verb }) {
				t.Fatalf("%s has no line in the table of rules (server/admin/rights.go), so its right is not known", verb)
			}
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", verb, syntax, needs)
	}
	b.WriteString("\nOld names that are understood: ")
	for i, old := range slices.Sorted(maps.Keys(oldNames)) {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(old + " (" + oldNames[old] + ")")
	}
	b.WriteString(".\n\nKnown and not carried out yet:")
	line := ""
	for _, w := range slices.Sorted(maps.Keys(notYet)) {
		if len(line)+len(w) > 110 {
			b.WriteString("\n" + strings.TrimSpace(line))
			line = ""
		}
		line += " " + w
	}
	b.WriteString("\n" + strings.TrimSpace(line) + ".\n")
	const path = "../../docs/admin/cli.md"
	if *update {
		must(t, os.WriteFile(path, []byte(b.String()), 0o644))
	}
	have, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, []byte(b.String())) {
		t.Errorf("%s differs from the tables; go test ./protocols/pwd -run CommandsPage -update rewrites it", path)
	}
}
