package mailbox

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"gatepost/server/fault"
)

func TestSyncOfLinksRecoversFromWantOfDescriptors(t *testing.T) {
	dir := t.TempDir()
	s := &Store{base: dir}
	s.links.base = dir
	touched := filepath.Join(dir, "0")
	if err := os.Mkdir(touched, 0o700); err != nil {
		t.Fatal(err)
	}
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

func TestSyncOfLinksInADirectoryThatWasRenamed(t *testing.T) {
	s := &Store{base: t.TempDir()}
	s.links.base = s.base
	for _, name := range []string{"gone", "gone too", "there"} {
		s.links.touch(filepath.Join(s.base, name))
	}
	if err := os.Mkdir(filepath.Join(s.base, "there"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := s.SyncLinks(bg); err != nil || len(s.links.touched) > 0 {
		t.Errorf("got %v, left %v", err, s.links.touched)
	}
}
