package server

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gatepost/server/dataformat"
	"gatepost/server/fault"
	"gatepost/server/settings"
)

var update = flag.Bool("update", false, "rewrite docs/admin/settings.md")

func open(t *testing.T) *Server {
	t.Helper()
	s, err := New(Config{Base: filepath.Join(t.TempDir(), "base"), MainDomain: "corp.test", Listen: []string{"127.0.0.1"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestSettingsPage(t *testing.T) {
	s := open(t)
	var page strings.Builder
	page.WriteString(`# Settings

Made from the declarations in the code; "go test ./server -update" rewrites it. Each section is a module and its file below
Settings/ in the base directory. The CLI reads and changes them with GETMODULE, SETMODULE and UPDATEMODULE (Main:
GETSERVERSETTINGS, Queue: GETQUEUESETTINGS, Logs: GETLOGSETTINGS); a file that was edited by hand holds after SIGHUP. Every
module also has

`)
	page.WriteString(settings.Table(settings.Describe(&common{LogLevel: -1})))
	for _, m := range s.modules {
		page.WriteString("\n## " + m.name + "\n\nSettings/" + m.file + "\n\n" + settings.Table(m.describe()))
	}
	const path = "../docs/admin/settings.md"
	if *update {
		if err := os.WriteFile(path, []byte(page.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(have, []byte(page.String())) {
		t.Errorf("docs/admin/settings.md differs from the declarations (%v); go test ./server -update", err)
	}
}

func TestBadSettingsChangeNothing(t *testing.T) {
	s := open(t)
	file := s.base.path("Settings", "Queue.settings")
	for name, d := range map[string]dataformat.Dict{
		"own setting": {"HopLimit": dataformat.String("many")},
		"log level":   {"LogLevel": dataformat.String("9")},
		"listener":    {"Listener": dataformat.Array{dataformat.Dict{"Port": dataformat.String("99999")}}},
	} {
		err := s.UpdateModule(t.Context(), "Queue", d)
		if fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Stat(file); err == nil {
			t.Errorf("%s: the file was written", name)
		}
	}
	err := s.SetRouterTable(t.Context(), "<a> = b\nnonsense\n")
	if fault.KindOf(err) != fault.Invalid || !strings.Contains(fault.Text(err), "2") {
		t.Errorf("a bad table: %v", err)
	}
	if table, err := s.RouterTable(t.Context()); err != nil || strings.Contains(table, "nonsense") {
		t.Errorf("the table is %q, %v", table, err)
	}
}

// operation is the name of an operation as fault.Error has it.
var operation = regexp.MustCompile(`\b[a-z]+\.[A-Z][A-Za-z]+\b`)

// Every setting is given values that it cannot have. What an administrator reads
// names the setting, and no function of the program.
func TestBadValuesAreRefusedInWordsForPeople(t *testing.T) {
	s := open(t)
	word := func(s string) dataformat.Value { return dataformat.String(s) }
	values := []dataformat.Value{
		word("x y"), word("a..b"), word("-7"), word("99999999999999999999"), word("\x01"), word("x@"), word("<a> = "),
		dataformat.Array{word("x y"), word("z")}, dataformat.Array{dataformat.Dict{"Port": word("99999")}},
		dataformat.Array{dataformat.Dict{"Address": word("x")}}, dataformat.Dict{"x": word("y")}, dataformat.Null{},
	}
	for _, m := range s.modules {
		refused := 0
		for _, set := range slices.Concat(settings.Describe(m.common.Load()), m.describe()) {
			for _, v := range values {
				_, err := m.check(dataformat.Dict{set.Key: v})
				if err == nil {
					continue
				}
				refused++
				text := fault.Text(err)
				if !fault.Is(err, fault.Invalid) || operation.MatchString(text) || !strings.Contains(text, set.Key) && set.Key != "RouterTable" {
					t.Errorf("%s %s = %s: %s", m.name, set.Key, dataformat.Compact(v), text)
				}
			}
		}
		if refused == 0 {
			t.Errorf("%s refuses nothing", m.name)
		}
	}
}

func TestDamagedSettingsFileIsNamed(t *testing.T) {
	s := open(t)
	writeSettings(t, s, "SMTP.settings", "{ Prompt = hi;\n bad")
	const want = "Settings/SMTP.settings: line 2, "
	update := dataformat.Dict{"Prompt": dataformat.String("x")}
	for what, err := range map[string]error{"command": s.UpdateModule(t.Context(), "SMTP", update), "reload": s.Reload(t.Context())} {
		if text := fault.Text(err); !strings.HasPrefix(text, want) || operation.MatchString(text) || strings.Contains(text, s.base.dir) {
			t.Errorf("%s: %q", what, text)
		}
	}
	writeSettings(t, s, "SMTP.settings", "(a)")
	if text := fault.Text(s.Reload(t.Context())); text != "Settings/SMTP.settings: a dictionary is expected" {
		t.Errorf("an array: %q", text)
	}
}

func TestFileEditedByHandHoldsAfterReload(t *testing.T) {
	s := open(t)
	write := func(text string) {
		t.Helper()
		writeSettings(t, s, "Main.settings", text)
	}
	write("{ DomainName = corp.test; LogLevel = 5; }")
	if err := s.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := s.levels.Load().Default; got != 5 {
		t.Errorf("log level %d after the reload", got)
	}
	write("{ DomainName = corp.test; LogLevel = all; }")
	if err := s.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), "LogLevel") {
		t.Errorf("reload of a bad file: %v", err)
	}
	if got := s.levels.Load().Default; got != 5 {
		t.Errorf("log level %d after the reload of a bad file", got)
	}
}

// writeSettings puts a settings file in place as an editor does.
func writeSettings(t *testing.T, s *Server, file, text string) {
	t.Helper()
	if err := os.WriteFile(s.base.path("Settings", file), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestUnknownKeysOfAFileSurviveAChange(t *testing.T) {
	s := open(t)
	writeSettings(t, s, "Queue.settings", "{ Future = x; HopLimit = 20; }")
	if err := s.UpdateModule(t.Context(), "Queue", dataformat.Dict{"HopLimit": dataformat.String("default")}); err != nil {
		t.Fatal(err)
	}
	d, err := s.Module(t.Context(), "Queue")
	if err != nil || d.String("Future") != "x" || len(d) != 1 {
		t.Errorf("settings %v, %v", d, err)
	}
	// What a program reads, changes and writes back is taken as well; and the key can go.
	d["HopLimit"] = dataformat.String("40")
	if err := s.SetModule(t.Context(), "Queue", d); err != nil {
		t.Error(err)
	}
	if err := s.UpdateModule(t.Context(), "Queue", dataformat.Dict{"Future": dataformat.String("default")}); err != nil {
		t.Error(err)
	}
	if d, err := s.Module(t.Context(), "Queue"); err != nil || d.String("HopLimit") != "40" || len(d) != 1 {
		t.Errorf("settings %v, %v", d, err)
	}
}

func TestCommandWithAMisspeltSettingIsRefused(t *testing.T) {
	s := open(t)
	writeSettings(t, s, "SMTP.settings", "{ Future = x; }")
	one := func(key, value string) dataformat.Dict { return dataformat.Dict{key: dataformat.String(value)} }
	open := one("Port", "2525")
	open["Alow"] = dataformat.String("10.0.0.0/8")
	ctx := t.Context()
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"update": {s.UpdateModule(ctx, "SMTPSending", one("SmartHst", "mx.corp.test")), "unknown setting SmartHst; is SmartHost meant?"},
		"set":    {s.SetModule(ctx, "SMTP", one("NoSuch", "5")), "unknown setting NoSuch"},
		"removal of what is not there": {s.UpdateModule(ctx, "SMTPSending", one("smarthost", "default")),
			"unknown setting smarthost; is SmartHost meant?"},
		"another value for what only the file knows": {s.UpdateModule(ctx, "SMTP", one("Future", "y")), "unknown setting Future"},
		"server":   {s.UpdateServerSettings(ctx, one("LogLevle", "4")), "unknown setting LogLevle; is LogLevel meant?"},
		"queue":    {s.SetQueueSettings(ctx, one("HopLimits", "4")), "unknown setting HopLimits; is HopLimit meant?"},
		"logs":     {s.UpdateLogSettings(ctx, one("Keep", "4d")), "unknown setting Keep"},
		"router":   {s.SetRouterSettings(ctx, one("Suffix", "4d")), "unknown setting Suffix"},
		"listener": {s.UpdateModule(ctx, "SMTP", dataformat.Dict{"Listener": dataformat.Array{open}}), "unknown setting Alow; is Allow meant?"},
		"two at once": {s.UpdateModule(ctx, "SMTP", dataformat.Dict{"B": dataformat.String("x"), "A": dataformat.String("x")}),
			"unknown setting A"},
	} {
		if !fault.Is(c.err, fault.Invalid) || fault.Text(c.err) != c.want {
			t.Errorf("%s: %v", name, c.err)
		}
	}
	d := one("DomainName", "other.test")
	d["LogLevle"] = dataformat.String("4")
	if err := s.UpdateServerSettings(ctx, d); !fault.Is(err, fault.Invalid) || s.MainDomain() != "corp.test" {
		t.Errorf("with a new name: %v, and the Main Domain is %s", err, s.MainDomain())
	}
}

// Installers of helper programs read Main.settings and write their entry into it.
func TestSettingsThatInstallersWriteAreKept(t *testing.T) {
	s := open(t)
	d, err := dataformat.Parse([]byte(`{ExternalFilters=({Enabled=YES;Name=SIGN;});ExternalAUTH={Enabled=NO;};}`))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.UpdateServerSettings(t.Context(), d.(dataformat.Dict)); err != nil {
		t.Fatal(err)
	}
	now, err := s.ServerSettings(t.Context())
	if err != nil || now["ExternalFilters"] == nil || now["ExternalAUTH"] == nil {
		t.Errorf("settings %v, %v", now, err)
	}
}

func TestMisspeltSettingOfAFileIsTold(t *testing.T) {
	s := open(t)
	var told strings.Builder
	s.config.Messages = &told
	writeSettings(t, s, "SMTP.settings", "{ MaxMesageSize = 1K; }")
	if err := s.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.UpdateModule(t.Context(), "SMTP", dataformat.Dict{"LogLevel": dataformat.String("4")}); err != nil {
		t.Fatal(err)
	}
	if want := "Settings/SMTP.settings: there is no setting MaxMesageSize; it is kept and does nothing\n"; told.String() != want+want {
		t.Errorf("told: %q", told.String())
	}
}

func TestSecondServerOnABaseDirectoryIsRefused(t *testing.T) {
	s := open(t)
	second, err := New(Config{Base: s.base.dir})
	if err == nil {
		second.Close()
		t.Fatal("a second server opened the base directory")
	}
	if !strings.Contains(err.Error(), "another server") {
		t.Errorf("error: %v", err)
	}
}

func TestLogFilesAreNotOldAtOnce(t *testing.T) {
	for text, good := range map[string]bool{"0s": false, "never": true, "1d": true} {
		if err := settings.Load(new(LogSettings), dataformat.Dict{"DeleteOldFilesIn": dataformat.String(text)}); (err == nil) != good {
			t.Errorf("%s: %v", text, err)
		}
	}
}
