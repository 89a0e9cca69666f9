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

	"gatepost/protocols/helper"
	"gatepost/protocols/milter"
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
GETSERVERSETTINGS, Queue: GETQUEUESETTINGS, DNR: GETDNRSETTINGS, Logs: GETLOGSETTINGS), which take names of settings in any case; a file that was
edited by hand holds after SIGHUP. Modules that write log records have a LogLevel, those that accept connections have Listener.

`)
	page.WriteString(settings.Table(settings.Describe(&common{LogLevel: -1})))
	for m := range s.configured() {
		page.WriteString("\n## " + m.name + "\n\nSettings/" + m.file + "\n\n")
		if m.name == logModule {
			page.WriteString("UPDATELOGSETTINGS and GETLOGSETTINGS take and show the server's LogLevel too, which is in Main.settings.\n\n")
		}
		page.WriteString(settings.Table(m.describe()))
		for _, s := range m.describe() {
			if len(s.Entries) > 0 {
				page.WriteString("\nEach entry of " + s.Key + ":\n\n" + settings.Table(s.Entries))
			}
		}
		if m.name == mainModule {
			page.WriteString("\nEach dictionary of ExternalFilters, and that of ExternalAUTH:\n\n" + settings.Table(settings.Describe(new(helper.Settings))))
			page.WriteString("\nEach dictionary of Milters:\n\n" + settings.Table(settings.Describe(new(milter.Settings))))
		}
		if len(m.kept) > 0 {
			page.WriteString("\nKept for programs that set them, and without effect yet:\n\n" + settings.KeptTable(m.kept))
		}
	}
	const path = "../docs/admin/settings.md"
	if *update {
		if err := os.WriteFile(path, []byte(page.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, []byte(page.String())) {
		t.Errorf("docs/admin/settings.md differs from the declarations; go test ./server -run SettingsPage -update rewrites it")
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
	for m := range s.configured() {
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
		"removal of what is not there": {s.UpdateModule(ctx, "SMTPSending", one("smarthst", "default")),
			"unknown setting smarthst; is SmartHost meant?"},
		"another value for what only the file knows": {s.UpdateModule(ctx, "SMTP", one("Future", "y")), "unknown setting Future"},
		"server":                              {s.UpdateServerSettings(ctx, one("LogLevle", "4")), "unknown setting LogLevle; is LogLevel meant?"},
		"queue":                               {s.SetQueueSettings(ctx, one("HopLimits", "4")), "unknown setting HopLimits; is HopLimit meant?"},
		"logs":                                {s.UpdateLogSettings(ctx, one("Keep", "4d")), "unknown setting Keep"},
		"router":                              {s.SetRouterSettings(ctx, one("Suffix", "4d")), "unknown setting Suffix"},
		"listener":                            {s.UpdateModule(ctx, "SMTP", dataformat.Dict{"Listener": dataformat.Array{open}}), "unknown setting Alow; is Allow meant?"},
		"level of a module without records":   {s.UpdateModule(ctx, "Logs", one("LogLevel", "4")), "unknown setting LogLevel"},
		"listener of one without connections": {s.UpdateModule(ctx, "Queue", dataformat.Dict{"Listener": dataformat.Array{}}), "unknown setting Listener"},
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

func TestNamesOfSettingsAreTakenInAnyCase(t *testing.T) {
	s := open(t)
	given, err := dataformat.Parse([]byte(`{loglevel=4;LISTENER=({port=2525;tls=none;});PROMPT=x;}`))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.UpdateModule(t.Context(), "smtp", given.(dataformat.Dict)); err != nil {
		t.Fatal(err)
	}
	if err := s.UpdateModule(t.Context(), "SMTP", dataformat.Dict{"prompt": dataformat.String("default")}); err != nil {
		t.Fatal(err)
	}
	d, err := s.Module(t.Context(), "SMTP")
	if got := dataformat.Compact(d); err != nil || got != "{Listener=({Port=2525;TLS=none;});LogLevel=4;}" {
		t.Errorf("%s, %v", got, err)
	}
	if err := s.UpdateServerSettings(t.Context(), dataformat.Dict{"domainname": dataformat.String("new.test"), "externalfilters": dataformat.Array{}}); err != nil {
		t.Fatal(err)
	}
	if d, err := s.ServerSettings(t.Context()); err != nil || s.MainDomain() != "new.test" || d["ExternalFilters"] == nil {
		t.Errorf("%v, %v, and the Main Domain is %s", d, err, s.MainDomain())
	}
}

func TestLogSettingsSetTheLevelOfTheServer(t *testing.T) {
	s := open(t)
	update := func(text string) error {
		d, err := dataformat.Parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return s.UpdateLogSettings(t.Context(), d.(dataformat.Dict))
	}
	if err := update("{LogLevel=5;MaxFileSize=1M;}"); err != nil {
		t.Fatal(err)
	}
	if got := s.levels.Load().Default; got != 5 {
		t.Errorf("level %d", got)
	}
	d, err := s.LogSettings(t.Context())
	if got := dataformat.Compact(d); err != nil || got != "{LogLevel=5;MaxFileSize=1M;}" {
		t.Errorf("%s, %v", got, err)
	}
	for _, bad := range []string{"{LogLevel=9;MaxFileSize=2M;}", "{LogLevel=2;MaxFileSize=much;}"} {
		if err := update(bad); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", bad, err)
		}
	}
	if err := update("{loglevel=default;}"); err != nil {
		t.Fatal(err)
	}
	d, err = s.LogSettings(t.Context())
	if got := dataformat.Compact(d); err != nil || got != "{MaxFileSize=1M;}" || s.levels.Load().Default != 3 {
		t.Errorf("%s, %v, level %d", got, err, s.levels.Load().Default)
	}
}

// Installers of helper programs read Main.settings and write their entry into it.
func TestSettingsThatInstallersWriteAreKept(t *testing.T) {
	s := open(t)
	d, err := dataformat.Parse([]byte(`{ExternalFilters=({Enabled=NO;Name=SIGN;Colour=red;});ExternalAUTH={Enabled=NO;};}`))
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
	// The whole of it comes back, with the name of the Main Domain.
	if err := s.UpdateServerSettings(t.Context(), now); err != nil || now["DomainName"] == nil {
		t.Errorf("%v: %v", now, err)
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
	if want := "Settings/SMTP.settings: there is no setting MaxMesageSize (is MaxMessageSize meant?); it is kept and does nothing\n"; told.String() != want+want {
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
