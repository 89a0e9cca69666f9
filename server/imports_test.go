package server_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// arrows is the import graph: what each package may import of this module. A new
// arrow is a word here. A new package is a line here, and one in the drawing of
// docs/architecture.md unless it is a part of the package above it.
var arrows = map[string][]string{
	// vocabulary: no state
	"server/fault":               {},
	"server/logs":                {"server/fault"},
	"server/durable":             {},
	"server/counters":            {},
	"server/qrcode":              {},
	"server/certificates":        {"router/address", "server/fault"},
	"server/dataformat":          {"server/durable", "server/fault"},
	"server/settings":            {"server/dataformat", "server/fault"},
	"server/rate":                {"server/settings"},
	"server/program":             {"server/dataformat", "server/fault", "server/program/commandline"},
	"server/program/commandline": {},
	"server/protection":          {"server/counters", "server/dataformat", "server/durable", "server/fault", "server/logs", "server/rate", "server/resolver", "server/settings"},
	"router/address":             {"server/fault"},
	"router/names":               {},
	"queue/envelope":             {"router/address", "server/fault"},

	// certificates by ACME
	"server/acme": {"server/fault", "server/logs", "server/program", "server/settings"},

	// the DNS
	"server/resolver":              {"server/counters", "server/dataformat", "server/fault", "server/logs", "server/settings"},
	"server/resolver/resolvertest": {"server/fault", "server/resolver"},

	// heart
	"rules":                        {"queue/envelope", "router/address", "server/dataformat", "server/fault", "server/program/commandline", "server/settings"},
	"accounts/message":             {"server/fault"},
	"accounts/message/addtext":     {"accounts/message"},
	"accounts/message/searchtext":  {"accounts/message"},
	"accounts/contentline":         {},
	"accounts/icalendar":           {"accounts/contentline", "server/fault"},
	"accounts/vcard":               {"accounts/contentline", "server/fault"},
	"accounts/index":               {"server/durable", "server/fault", "server/logs"},
	"accounts/mailbox/msgfile":     {"server/durable"},
	"accounts/mailbox":             {"accounts/index", "accounts/mailbox/msgfile", "accounts/message", "server/durable", "server/fault", "server/logs"},
	"accounts/mailbox/mailboxtest": {"accounts/mailbox"},
	"accounts/nametable":           {"server/dataformat", "server/durable"},
	"accounts/password":            {"server/dataformat"},
	"accounts/cache":               {},
	"accounts/subscribers":         {"accounts/index", "server/fault"},
	"accounts": {"accounts/cache", "accounts/mailbox", "accounts/message", "accounts/nametable", "accounts/password", "accounts/subscribers", "router/address", "router/names", "rules",
		"server/certificates", "server/counters", "server/dataformat", "server/durable", "server/fault", "server/logs", "server/protection", "server/rate", "server/settings"},
	"router":                       {"router/address", "router/names", "server/fault", "server/logs", "server/settings"},
	"queue/internal/disk":          {},
	"queue/internal/disk/disktest": {"queue/internal/disk"},
	"queue/transporttest": {"queue", "queue/envelope", "queue/internal/disk", "queue/internal/disk/disktest", "router",
		"router/address", "router/names", "server/dataformat", "server/logs", "server/settings"},
	"queue": {"queue/envelope", "queue/internal/disk", "router", "router/address", "router/names",
		"server/counters", "server/dataformat", "server/durable", "server/fault", "server/logs", "server/rate", "server/settings"},
	"accounts/access":                {"accounts", "accounts/mailbox", "router", "router/address", "router/names", "server/fault"},
	"accounts/fulltext":              {"accounts/index", "accounts/mailbox", "accounts/message", "accounts/message/searchtext", "server/counters", "server/fault", "server/logs", "server/settings"},
	"accounts/files":                 {"accounts", "accounts/access", "accounts/mailbox", "server/fault"},
	"accounts/finding":               {"accounts", "accounts/mailbox", "accounts/message", "server/fault"},
	"accounts/housekeeping":          {"accounts", "accounts/mailbox", "server/counters", "server/fault", "server/logs", "server/settings"},
	"accounts/junk":                  {"accounts", "accounts/mailbox", "accounts/message", "server/counters", "server/fault", "server/logs"},
	"accounts/groupware":             {"accounts", "accounts/access", "accounts/contentline", "accounts/groupware/interchange", "accounts/icalendar", "accounts/mailbox", "server/fault"},
	"accounts/groupware/interchange": {"accounts/contentline", "accounts/vcard"},
	"accounts/lists/archive":         {"accounts", "accounts/mailbox", "accounts/message", "server/fault"},
	"accounts/lists": {"accounts", "accounts/lists/archive", "accounts/mailbox", "accounts/message", "accounts/subscribers", "queue", "queue/envelope", "router", "router/address", "router/names",
		"server/fault", "server/logs", "server/rate", "server/settings"},
	"accounts/delivery": {"accounts", "accounts/access", "accounts/mailbox", "accounts/message", "queue", "queue/envelope",
		"router", "router/address", "router/names", "server/dataformat", "server/fault", "server/logs", "server/rate", "server/settings"},
	"accounts/mailrules": {"accounts", "accounts/access", "accounts/delivery", "accounts/files", "accounts/mailbox", "accounts/message", "queue", "queue/envelope",
		"router", "router/address", "rules", "server/counters", "server/dataformat", "server/fault", "server/logs", "server/rate", "server/settings"},

	"accounts/scheduling": {"accounts", "accounts/access", "accounts/contentline", "accounts/delivery", "accounts/groupware", "accounts/icalendar", "accounts/mailbox", "accounts/message",
		"queue", "queue/envelope", "router", "router/address", "server/counters", "server/fault", "server/logs", "server/settings"},

	// who may do what
	"server/admin": {"accounts", "accounts/access", "accounts/contentline", "accounts/files", "accounts/groupware", "accounts/junk", "accounts/mailbox", "accounts/subscribers", "router", "router/address", "router/names", "rules",
		"server/certificates", "server/counters", "server/dataformat", "server/fault", "server/logs", "server/protection", "server/settings"},
	"server/admin/admintest": {"accounts", "accounts/files", "accounts/mailbox", "accounts/subscribers", "router", "router/address", "rules", "server/counters", "server/dataformat", "server/fault", "server/logs", "server/settings"},
	"server/backup":          {"accounts", "accounts/mailbox", "accounts/mailbox/msgfile", "queue", "server/durable", "server/fault"},
	"server/triggers":        {"router/address", "server/counters", "server/fault", "server/logs", "server/rate", "server/settings"},
	"server/dnsdoctor":       {"server/fault", "server/resolver"},

	// wires
	"protocols/transcript":      {},
	"protocols/internal/listen": {"server/counters", "server/fault", "server/logs", "server/settings"},
	"protocols/internal/auth": {"accounts", "accounts/password", "router", "router/address", "router/names",
		"server/fault", "server/logs"},
	"protocols/smtp":              append([]string{"accounts/message", "queue", "queue/envelope", "server/rate"}, wire...),
	"protocols/imap":              append([]string{"accounts/access", "accounts/fulltext", "accounts/mailbox", "accounts/message", "accounts/message/searchtext", "protocols/imap/deflate", "protocols/imap/wire"}, wire...),
	"protocols/imap/wire":         {"server/fault"},
	"protocols/imap/deflate":      {},
	"protocols/imap/imapmodel":    {},
	"protocols/pop3":              append([]string{"accounts/mailbox", "accounts/message"}, wire...),
	"protocols/pwd":               append([]string{"accounts/mailbox", "accounts/subscribers", "server/admin", "server/dataformat"}, wire...),
	"protocols/http":              wire,
	"protocols/mailauth/reports":  {"accounts/message", "protocols/mailauth", "queue", "queue/envelope", "router/address", "server/dataformat", "server/durable", "server/fault", "server/logs", "server/resolver", "server/settings"},
	"protocols/mailauth/arriving": {"accounts", "protocols/mailauth", "protocols/mailauth/reports", "protocols/smtp", "queue/envelope", "router/address", "server/fault", "server/logs", "server/rate", "server/settings"},
	"protocols/mailauth/leaving":  {"accounts", "protocols/mailauth", "protocols/relay", "queue/envelope", "server/logs", "server/settings"},
	"protocols/mailauth":          {"accounts/message", "router/address", "server/dataformat", "server/durable", "server/fault", "server/resolver"},
	"protocols/syspassword":       {"server/fault"},
	"protocols/ldapauth":          {"accounts", "server/fault"},
	"protocols/oidc":              {"accounts", "server/fault", "server/logs"},
	"protocols/helper": {"queue", "queue/envelope", "server/dataformat", "server/fault", "server/logs", "server/program",
		"server/program/commandline", "server/settings"},
	"protocols/rpop": {"accounts", "accounts/message", "queue", "queue/envelope", "router", "router/address", "router/names",
		"server/counters", "server/durable", "server/dataformat", "server/fault", "server/logs", "server/settings"},
	"protocols/milter": {"protocols/smtp", "queue/envelope", "router/address", "server/dataformat", "server/fault", "server/logs", "server/settings"},
	"protocols/pipe": {"queue", "queue/envelope", "router/address", "server/fault", "server/logs", "server/program",
		"server/program/commandline", "server/settings"},
	"protocols/relay/mtasts": {"server/dataformat", "server/durable", "server/fault", "server/logs", "server/resolver"},
	"protocols/relay":        {"protocols/relay/mtasts", "queue", "queue/envelope", "router", "router/address", "server/counters", "server/dataformat", "server/fault", "server/logs", "server/resolver", "server/settings"},

	"protocols/webcal": {"accounts", "accounts/groupware", "server/fault", "server/logs"},
	"protocols/dav": {"accounts", "accounts/access", "accounts/contentline", "accounts/files", "accounts/groupware", "accounts/icalendar", "accounts/mailbox", "accounts/scheduling", "protocols/http",
		"accounts/vcard", "router/address", "server/fault", "server/logs", "server/settings"},
	"protocols/drop": {"queue", "queue/envelope", "router/address",
		"server/dataformat", "server/durable", "server/fault", "server/logs", "server/settings"},
	"protocols/pickup": {"accounts/message", "queue", "queue/envelope", "router/address",
		"server/durable", "server/fault", "server/logs", "server/settings"},

	"protocols/autoconfig": {"accounts", "protocols/http", "router/address", "server/fault", "server/qrcode", "server/settings"},
	"protocols/listpages":  {"accounts", "accounts/lists", "accounts/lists/archive", "accounts/subscribers", "protocols/http", "server/admin", "server/dataformat", "server/fault", "server/logs", "server/rate", "server/settings"},

	"webadmin": {"accounts", "accounts/access", "accounts/contentline", "accounts/groupware/interchange", "accounts/subscribers", "protocols/http", "router", "router/names", "rules", "server/admin", "server/certificates", "server/counters",
		"server/dataformat", "server/fault", "server/logs", "server/protection", "server/qrcode", "server/settings"},

	// the whole and its programs
	"server":          {"*"},
	"server/demo":     {"server", "server/control", "server/dataformat"},
	"server/control":  {"server/dataformat"},
	"server/sendmail": {"protocols/pickup", "queue/envelope", "router/address", "server/fault"},
	"cmd/gatepost":    {"accounts/contentline", "accounts/groupware/interchange", "server", "server/backup", "server/control", "server/dataformat", "server/demo", "server/dnsdoctor", "server/fault", "server/sendmail"},
	"cmd/gatebench":   {"protocols/imap/imapmodel"},
}

// wire is what every protocol may use.
var wire = []string{"accounts", "protocols/internal/auth", "protocols/internal/listen", "router", "router/address",
	"router/names", "server/counters", "server/fault", "server/logs", "server/protection", "server/settings"}

// libraries says who alone may use a library whose knowledge belongs to one place.
var libraries = map[string][]string{
	"go.etcd.io/bbolt":              {"accounts/index"},
	"github.com/miekg/dns":          {"server/resolver", "server/resolver/resolvertest"},
	"github.com/emersion/go-milter": {"protocols/milter"},
	"github.com/jackc/pgx/v5":       {"protocols/drop"},
	"github.com/go-jose/go-jose/v4": {"protocols/oidc"},
	"github.com/xdg-go/scram":       {"protocols/internal/auth", "protocols/relay", "cmd/gatebench"},
}

func TestImportGraph(t *testing.T) {
	const module = "gatepost/"
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		rel, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		pkg := filepath.ToSlash(rel)
		allowed, known := arrows[pkg]
		if !known && !seen[pkg] {
			t.Errorf("package %s has no line in arrows (server/imports_test.go)", pkg)
		}
		seen[pkg] = true
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range file.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			own, isOwn := strings.CutPrefix(imported, module)
			if known && isOwn && !slices.Contains(allowed, own) && !slices.Contains(allowed, "*") {
				t.Errorf("%s imports %s, which its line in arrows (server/imports_test.go) does not have; may it know that package?", pkg, own)
			}
			for library, users := range libraries {
				if strings.HasPrefix(imported, library) && !slices.Contains(users, pkg) {
					t.Errorf("%s imports %s, which only %v may", pkg, library, users)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	_, parts, _ := strings.Cut(string(page), "## The parts")
	parts, _, _ = strings.Cut(parts, "## Words")
	for pkg := range arrows {
		if strings.Count(pkg, "/") < 2 && !slices.Contains(strings.Fields(parts), pkg) {
			t.Errorf("the drawing of docs/architecture.md (The parts) lacks %s", pkg)
		}
		if !seen[pkg] {
			t.Errorf("arrows names %s, which does not exist", pkg)
		}
	}
}
