package server

import (
	"testing"
	"time"
)

func TestDueAt(t *testing.T) {
	for _, c := range []struct{ at, now, want string }{
		{"03:00", "2026-12-01 03:00", "2026-12-01 03:00"},
		{"03:00", "2026-12-01 02:59", "2026-11-30 03:00"},
		{"23:30", "2026-12-01 00:10", "2026-11-30 23:30"},
		{"00:00", "2026-03-01 12:00", "2026-03-01 00:00"},
	} {
		now, err := time.ParseInLocation("2006-01-02 15:04", c.now, time.Local)
		if err != nil {
			t.Fatal(err)
		}
		if got := dueAt(c.at, now).Format("2006-01-02 15:04"); got != c.want {
			t.Errorf("%s at %s: %s", c.at, c.now, got)
		}
	}
}

func TestBackupSettings(t *testing.T) {
	for _, bad := range []BackupSettings{{Directory: "x", Time: "03:00"}, {Time: "3"}, {Time: "25:00"}, {Time: "03:00", Keep: -1}} {
		if bad.Validate() == nil {
			t.Errorf("%+v is valid", bad)
		}
	}
}
