package pipe

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"gatepost/queue"
	"gatepost/queue/envelope"
	"gatepost/router/address"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
	"gatepost/server/program"
	"gatepost/server/settings"
)

func defaults(t testing.TB) *Settings {
	t.Helper()
	set := new(Settings)
	if err := settings.Load(set, dataformat.Dict{}); err != nil {
		t.Fatal(err)
	}
	return set
}

func TestSettings(t *testing.T) {
	if err := settings.Check(new(Settings)); err != nil {
		t.Error(err)
	}
	for text, good := range map[string]bool{
		`{}`: true, `{ApplicationDirectory="/usr/local/lib/mail";}`: true, `{ApplicationDirectory="lib";}`: false, `{Processors=-1;}`: false,
		`{TimeLimit=0;}`: false, `{TimeLimit=never;}`: false, `{RetryFor=0;}`: false, `{RetryFor=never;}`: true, `{ProcessorsPerProgram=0;}`: false,
	} {
		v, err := dataformat.Parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := settings.Load(new(Settings), v.(dataformat.Dict)); (err == nil) != good {
			t.Errorf("%s: %v", text, err)
		}
	}
	p := defaults(t).Permission("/base")
	if p.User != "nobody" || p.Network || p.Base != "/base" || p.Directory != "" || p.Limits.Memory != 1<<30 {
		t.Errorf("%+v", p)
	}
}

// item is a message for robots.
func item(t *testing.T, from string, to ...string) *queue.Item {
	t.Helper()
	addr := func(s string) address.Address {
		if s == "" {
			return address.Address{}
		}
		a, err := address.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	env := &envelope.Envelope{ReturnPath: addr(from)}
	it := &queue.Item{ID: 42, Envelope: env, File: filepath.Join(t.TempDir(), "42.msg"), Offset: 5}
	for i, s := range to {
		env.Recipients = append(env.Recipients, envelope.Recipient{Address: addr(s), Original: "rfc822;orig@x.test"})
		it.Recipients = append(it.Recipients, i)
	}
	text := "head\nFrom: x\r\n\r\nbody\r\n"
	it.Size = int64(len(text)) - it.Offset
	if err := os.WriteFile(it.File, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return it
}

func TestJob(t *testing.T) {
	j, stderr, err := newJob(`[FILE] [RETPATH][RCPT] [ORCPT][STDERR] robot -q "a b"`, item(t, "joe@far.org", "robot@a.test", "-x@a.test"))
	if err != nil || !j.File || !stderr {
		t.Fatalf("%+v, %v", j, err)
	}
	if want := []string{"robot", "-q", "a b", "-f", "joe@far.org", "robot@a.test", `"-x"@a.test`, "orig@x.test", "orig@x.test"}; !slices.Equal(j.Args, want) {
		t.Errorf("%q, want %q", j.Args, want)
	}
	if want := []string{"SENDER=joe@far.org", `RECIPIENT=robot@a.test,"-x"@a.test`, "MESSAGE_ID=42"}; !slices.Equal(j.Env, want) {
		t.Errorf("%q, want %q", j.Env, want)
	}
	j, _, err = newJob("[RETPATH] robot", item(t, "", "robot@a.test"))
	if err != nil || !slices.Equal(j.Args, []string{"robot", "-f", ""}) || j.Env[0] != "SENDER=" {
		t.Errorf("a report: %+v, %v", j, err)
	}
	if _, _, err := newJob(`robot "`, item(t, "", "robot@a.test")); !fault.Is(err, fault.Invalid) {
		t.Error(err)
	}
}

func TestOutcome(t *testing.T) {
	for _, c := range []struct {
		res              program.Result
		stderr, stopping bool
		action           envelope.Action
		code, text       string
	}{
		{program.Result{Output: "fine"}, false, false, envelope.ActionDelivered, "2.0.0", "Delivered to the program"},
		{program.Result{Exit: 1, Output: "no\x1b[1m such\r\nbox\n", Errors: "e", Reason: "exit 1"}, false, false, envelope.ActionFailed, "5.3.0", "exit 1:\nno[1m such\nbox"},
		{program.Result{Exit: 67, Output: "o", Errors: "who?", Reason: "exit 67"}, true, false, envelope.ActionFailed, "5.1.1", "exit 67:\nwho?"},
		{program.Result{Exit: 75, Reason: "exit 75"}, false, false, envelope.ActionDelayed, "4.3.0", "exit 75"},
		{program.Result{Exit: -1, Signal: syscall.SIGSEGV, Reason: "crash"}, false, false, envelope.ActionFailed, "5.3.0", "crash"},
		{program.Result{Exit: -1, Signal: syscall.SIGTERM, Stopped: true}, false, false, envelope.ActionDelayed, "4.3.0", "time limit exceeded: the program was ended"},
		{program.Result{Exit: 0, Stopped: true}, false, true, envelope.ActionDelayed, "4.3.0", "the program was ended, as the server was stopped"},
		{program.Result{Exit: 2, Output: strings.Repeat("l\n", 100), Reason: "r"}, false, false, envelope.ActionFailed, "5.3.0", "r:" + strings.Repeat("\nl", maxLines)},
	} {
		if st := outcome(&c.res, c.stderr, c.stopping); st.Action != c.action || st.Code.String() != c.code || st.Text != c.text {
			t.Errorf("%+v:\n got %+v", c.res, st)
		}
	}
	for kind, action := range map[fault.Kind]envelope.Action{fault.NotFound: envelope.ActionDelayed, fault.Denied: envelope.ActionDelayed,
		fault.Invalid: envelope.ActionFailed, fault.Busy: envelope.ActionDelayed} {
		if st := notStarted(fault.New("test", kind, "secret path")); st.Action != action || strings.Contains(st.Text, "secret") {
			t.Errorf("%v: %+v", kind, st)
		}
	}
}
