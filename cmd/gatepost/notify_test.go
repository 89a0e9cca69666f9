package main

import (
	"net"
	"path/filepath"
	"testing"
)

func TestServiceManagerIsToldWhenReady(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "notify")
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	t.Setenv("NOTIFY_SOCKET", socket)
	ready := make(chan struct{})
	close(ready)
	notifyReady(ready, nil)
	got := make([]byte, 100)
	n, err := manager.Read(got)
	if err != nil || string(got[:n]) != "READY=1" {
		t.Errorf("%q, %v", got[:n], err)
	}
}

func TestQuotedWordsPasteAsTheyAre(t *testing.T) {
	for word, want := range map[string]string{
		"/var/gatepost": "/var/gatepost", "/my mail": "'/my mail'", "it's": `'it'\''s'`, "$HOME": "'$HOME'", "": "''",
	} {
		if got := quoted(word); got != want {
			t.Errorf("%s is quoted as %s, want %s", word, got, want)
		}
	}
}
