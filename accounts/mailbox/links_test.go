package mailbox

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"

	"gatepost/server/fault"
)

func TestSyncOfLinksRecoversFromWantOfDescriptors(t *testing.T) {
	w := newWorld(t)
	s, touched := w.store, messageDir{w.account(1), 0}
	s.links.touch(touched)
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	none := limit
	none.Cur = 3
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &none); err != nil {
		t.Fatal(err)
	}
	err := s.SyncLinks(bg)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if !fault.Is(err, fault.Unavailable) {
		t.Errorf("without descriptors: %v", err)
	}
	if _, kept := s.links.touched[touched]; !kept {
		t.Error("the directory is not synced any more")
	}
	if err := s.SyncLinks(bg); err != nil || len(s.links.touched) > 0 {
		t.Errorf("with descriptors again: %v, left %v", err, s.links.touched)
	}
}

func TestSyncOfLinksThatFailedIsNotTriedAgain(t *testing.T) {
	s := &Store{base: t.TempDir()}
	s.links.broken = errors.New("the disk is broken")
	if err := s.SyncLinks(bg); !fault.Is(err, fault.Unavailable) {
		t.Errorf("got %v", err)
	}
}
