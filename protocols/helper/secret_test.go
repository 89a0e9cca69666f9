package helper

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"

	"gatepost/server/logs"
)

// No record has a password, whatever the helper does with it.
func TestNoPasswordInTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		s := &fakes{scripts: []func(*fake){good, crash}}
		c := newClient(authKind, "", s.start, slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: logs.LevelAll})))
		ctx, cancel := context.WithCancel(t.Context())
		go c.run(ctx)
		c.configure(parseSettings(t, `{Enabled=YES;ProgramName=x;Timeout=1m;RestartPause=5s;LogLevel=5;}`))
		synctest.Wait()
		for _, command := range []string{"READPLAIN a@b.c PLAIN qwerty", "VRFY a@b.c qwerty"} {
			if _, _, err := asked(c, command); err != nil {
				t.Error(err)
			}
		}
		c.configure(parseSettings(t, `{Enabled=YES;ProgramName=y;Timeout=1m;RestartPause=5s;LogLevel=5;}`))
		synctest.Wait()
		for _, command := range []string{"VRFY a@b.c qwerty", "VRFY (IMAP) a@b.c qwerty", "PASSWD a@b.c qwerty"} {
			if _, _, err := asked(c, command); err == nil {
				t.Errorf("%s: no failure", command)
			}
		}
		cancel()
		<-c.gone
		if text := out.String(); strings.Contains(text, "qwerty") || !strings.Contains(text, "a@b.c (hidden)") {
			t.Errorf("%s", text)
		}
	})
}
