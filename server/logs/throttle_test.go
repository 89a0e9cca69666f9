package logs

import (
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"gatepost/protocols/transcript"
)

func TestAThrottleWritesOneRecordASecondWithTheNumber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out transcript.Log
		l := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey || a.Key == slog.LevelKey {
				return slog.Attr{}
			}
			return a
		}}))
		var throttle Throttle
		for i := range 500 {
			throttle.Log(l, LevelProblem, "refused", slog.String("peer", fmt.Sprint(i)))
			time.Sleep(time.Millisecond)
		}
		time.Sleep(3 * time.Second)
		throttle.Log(l, LevelProblem, "refused", slog.String("peer", "late"))
		time.Sleep(3 * time.Second)
		want := "msg=refused peer=0\nmsg=refused peer=499 count=499\nmsg=refused peer=late\n"
		if out.String() != want {
			t.Errorf("%s, want %s", out.String(), want)
		}
	})
}
