package helper

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	"gatepost/queue"
	"gatepost/queue/envelope"
	"gatepost/router/address"
	"gatepost/server/fault"
)

// testHelpers runs helpers over a base directory.
func testHelpers(t *testing.T, filters []string, auth string) (*Helpers, string) {
	t.Helper()
	base := t.TempDir()
	for _, dir := range []string{"Queue", "Settings"} {
		if err := os.Mkdir(filepath.Join(base, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	h, err := New(base, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	var list Filters
	for _, s := range filters {
		list = append(list, parseSettings(t, s))
	}
	h.Apply(list, parseSettings(t, auth))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if left, _ := os.ReadDir(filepath.Join(base, viewDir)); len(left) > 0 {
			t.Errorf("views are left: %v", left)
		}
	})
	return h, base
}

// queued writes a queue file.
func queued(t *testing.T, base string, id int, subject string) *queue.Message {
	t.Helper()
	addr := func(s string) address.Address {
		a, err := address.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	env := &envelope.Envelope{Source: envelope.Source{Tag: "SMTP"}, ReturnPath: addr("joe@far.org"), Recipients: []envelope.Recipient{
		{Address: addr("alice@example.com")}, {Address: addr("bob@example.com")}}}
	head, layout, err := envelope.AppendHead(nil, env)
	if err != nil {
		t.Fatal(err)
	}
	text := "From: joe@far.org\r\nSubject: " + subject + "\r\n\r\nbody\r\nend\r\n"
	file := filepath.Join(base, "Queue", fmt.Sprintf("%d.msg", id))
	if err := os.WriteFile(file, append(head, text...), 0o600); err != nil {
		t.Fatal(err)
	}
	return &queue.Message{ID: envelope.QueueID(id), Envelope: env, File: file, Offset: layout.Message, Size: int64(len(text))}
}

func testdata(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFilterInPerl(t *testing.T) {
	t.Parallel()
	h, base := testHelpers(t, []string{
		`{Enabled=YES;Name=Perl;ProgramName="` + testdata(t, "filter.pl") + `";RestartPause=0s;}`,
		`{Enabled=NO;Name=Off;ProgramName="` + testdata(t, "filter.pl") + `";}`,
		`{Enabled=YES;Name=Temp;ProgramName="/usr/bin/perl ` + testdata(t, "filter.pl") + `";RestartPause=never;OnFailure=tempfail;}`,
		`{Enabled=YES;Name=Raw;ProgramName="` + testdata(t, "filter.pl") + `";QueueFile=YES;}`,
	}, `{}`)
	added := []string{"X-From: joe@far.org", "X-To: alice@example.com bob@example.com", "X-CR: 0"}
	for i, c := range []struct {
		name, subject string
		want          Verdict
	}{
		{"Perl", "hello", Verdict{Fields: added}},
		{"perl", "virus", Verdict{Action: Refuse, Text: "WARNING! a virus"}},
		{"Perl", "drop", Verdict{Action: Discard}},
		{"Perl", "later", Verdict{Action: Later, Text: "No connection to the filter"}},
		{"Off", "virus", Verdict{}},
		{"None", "virus", Verdict{}},
		{"Temp", "hello", Verdict{Fields: added}},
		{"Temp", "crash", Verdict{Action: Later, Text: "the content filter Temp does not work"}},
		{"Temp", "hello", Verdict{Action: Later, Text: "the content filter Temp does not work"}},
		{"Raw", "hello", Verdict{Fields: append([]string{}, "X-From: joe@far.org", "X-To: alice@example.com bob@example.com", "X-CR: 4")}},
	} {
		m := queued(t, base, 100+i, c.subject)
		got, err := h.Filter(t.Context(), c.name, m)
		if c.name == "Raw" { // what is the header and what is the body cannot be told with CRLF
			got.Fields, c.want.Fields = got.Fields[:2], c.want.Fields[:2]
		}
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s %s:\n got %+v, %v\nwant %+v", c.name, c.subject, got, err, c.want)
		}
	}
	if s := h.Statistics(); len(s) != 4 {
		t.Errorf("statistics: %v", s)
	}
	if info, err := os.Stat(filepath.Join(base, viewDir)); err != nil || info.Mode().Perm() != viewDirMode {
		t.Errorf("%v, %v", info, err)
	}
}

// A command that ends its helper three times has failed, and the message goes on.
func TestFilterCrashes(t *testing.T) {
	t.Parallel()
	h, base := testHelpers(t, []string{`{Enabled=YES;Name=Perl;ProgramName="` + testdata(t, "filter.pl") + `";RestartPause=0s;}`}, `{}`)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { // the pause is a second at least
		defer cancel()
		if v, err := h.Filter(t.Context(), "Perl", queued(t, base, 2, "crash")); err != nil || v.Action != Accept {
			t.Errorf("%+v, %v", v, err)
		}
	}()
	<-ctx.Done()
	if v, err := h.Filter(t.Context(), "Perl", queued(t, base, 3, "drop")); err != nil || v.Action != Discard {
		t.Errorf("afterwards: %+v, %v", v, err)
	}
}

func TestFilterInPython(t *testing.T) {
	t.Parallel()
	h, base := testHelpers(t, []string{`{Enabled=YES;Name=Python;ProgramName="` + testdata(t, "filter.py") + `";}`}, `{}`)
	var all sync.WaitGroup
	for i, subject := range []string{"first", "second"} {
		m := queued(t, base, 1+i, subject)
		all.Go(func() {
			v, err := h.Filter(t.Context(), "Python", m)
			if err != nil || len(v.Fields) != 1 || !strings.HasPrefix(v.Fields[0], "X-Size: ") {
				t.Errorf("%s: %+v, %v", subject, v, err)
			}
		})
	}
	all.Wait()
}

func TestFilterInC(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "filter")
	if out, err := exec.Command("cc", "-o", program, testdata(t, "filter.c")).CombinedOutput(); err != nil {
		t.Skipf("no C compiler: %v %s", err, out)
	}
	h, base := testHelpers(t, []string{`{Enabled=YES;Name=C;ProgramName="` + program + `";}`}, `{}`)
	var all sync.WaitGroup
	for i := range 3 {
		m := queued(t, base, 1+i, "hello")
		all.Go(func() {
			v, err := h.Filter(t.Context(), "C", m)
			if err != nil || !reflect.DeepEqual(v.Fields, []string{"X-Virus-Scanned: by filter.c"}) {
				t.Errorf("%+v, %v", v, err)
			}
		})
	}
	all.Wait()
}

// A program that the manifest does not list is not started, and the log says why.
func TestManifest(t *testing.T) {
	h, base := testHelpers(t, nil, `{}`)
	if err := os.WriteFile(filepath.Join(base, "Settings", "ChildProcs.data"), []byte("/opt/other\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := h.startProgram(testdata(t, "filter.pl"), nilListener)
	if !fault.Is(err, fault.Denied) || !strings.Contains(fault.Text(err), "ChildProcs.data") {
		t.Error(err)
	}
	for name, want := range map[string]string{"a/b": base + "/a/b", "/x/../y": "/y"} {
		if got, err := h.programPath(name); got != want || err != nil {
			t.Errorf("%s: %s, %v", name, got, err)
		}
	}
	if got, err := h.programPath("$CGHelper/x"); err != nil || !filepath.IsAbs(got) || !strings.HasSuffix(got, "/CGHelper/x") {
		t.Errorf("%s, %v", got, err)
	}
}
