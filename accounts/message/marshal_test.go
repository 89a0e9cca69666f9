package message

import (
	"bytes"
	"os"
	"runtime"
	"strings"
	"testing"

	"gatepost/server/fault"
)

func TestUnmarshalRefusesWhatMarshalDidNotWrite(t *testing.T) {
	good := scan(t, corpus(t)["forwarded"]).Marshal()
	if _, err := Unmarshal(good); err != nil {
		t.Fatal(err)
	}
	for i := range good {
		if _, err := Unmarshal(good[:i]); !fault.Is(err, fault.Corrupt) {
			t.Errorf("cut at %d: %v", i, err)
		}
	}
	other := append([]byte{summaryVersion + 1}, good[1:]...)
	if _, err := Unmarshal(other); !fault.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), "version 3") {
		t.Errorf("another version: %v", err)
	}
	if _, err := Unmarshal(append(good, 0)); !fault.Is(err, fault.Corrupt) {
		t.Errorf("more than was written: %v", err)
	}
}

// TestHeadIsReadWithoutTheRest reads the head of what Marshal wrote, also of what was cut
// off behind it.
func TestHeadIsReadWithoutTheRest(t *testing.T) {
	s := scan(t, corpus(t)["forwarded"])
	stored := s.Marshal()
	whole := 0
	for i := range stored {
		h, err := UnmarshalHead(stored[:i])
		if err != nil {
			if !fault.Is(err, fault.Corrupt) {
				t.Errorf("cut at %d: %v", i, err)
			}
			continue
		}
		whole++
		if h.Size != s.Size || !h.Date.Equal(s.Date) ||
			!bytes.Equal(h.Envelope, s.Envelope) || !bytes.Equal(h.Headers, s.Headers) {
			t.Errorf("cut at %d: %+v", i, h)
		}
	}
	if whole == 0 || whole >= len(stored)-len(s.Envelope)-len(s.Headers) {
		t.Errorf("the head is read from %d of %d beginnings", whole, len(stored))
	}
	stored[0]++
	if _, err := UnmarshalHead(stored); !fault.Is(err, fault.Corrupt) {
		t.Errorf("another version: %v", err)
	}
}

// TestStoredForms keeps what is on disks readable: each file was written by its version.
func TestStoredForms(t *testing.T) {
	s := scan(t, corpus(t)["forwarded"])
	for _, path := range []string{"testdata/forwarded.v1", "testdata/forwarded.v2"} {
		stored, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		u, err := Unmarshal(stored)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := describeSummary(u), describeSummary(s); got != want {
			t.Errorf("%s\n%s\nscanned\n%s", path, got, want)
		}
		if path == "testdata/forwarded.v2" && !bytes.Equal(stored, s.Marshal()) {
			t.Error("Marshal writes something else as version 2")
		}
	}
}

// The envelopes of version 1 had NIL for empty fields.
func TestEnvelopesOfVersion1AreMadeAgain(t *testing.T) {
	s := scan(t, []byte("From: a @ b . example\r\nSubject:\r\nX-Other: x\r\n\r\n"))
	want := string(s.Envelope)
	s.Envelope = []byte(`(NIL NIL ((NIL NIL "a" "b")) ((NIL NIL "a" "b")) ((NIL NIL "a" "b")) NIL NIL NIL NIL NIL)`)
	stored := s.Marshal()
	stored[0] = 1
	u, err := Unmarshal(stored)
	if err != nil || string(u.Envelope) != want {
		t.Errorf("%s, %v, want %s", u.Envelope, err, want)
	}
	h, err := UnmarshalHead(stored)
	if err != nil || string(h.Envelope) != want {
		t.Errorf("of the head: %s, %v, want %s", h.Envelope, err, want)
	}
}

// FuzzUnmarshal accepts no bytes that lead out of the message or to memory without measure.
func FuzzUnmarshal(f *testing.F) {
	for _, b := range corpus(f) {
		f.Add(scan(f, b).Marshal())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		s, err := Unmarshal(b)
		runtime.ReadMemStats(&after)
		if got := after.TotalAlloc - before.TotalAlloc; got > 1<<20+uint64(len(b))*64 {
			t.Errorf("%d bytes allocated for %d", got, len(b))
		}
		head, headErr := UnmarshalHead(b)
		if err != nil {
			if !fault.Is(err, fault.Corrupt) || headErr != nil && !fault.Is(headErr, fault.Corrupt) {
				t.Error(err, headErr)
			}
			return
		}
		if headErr != nil || !head.Date.Equal(s.Date) || !bytes.Equal(head.Headers, s.Headers) || !bytes.Equal(head.Envelope, s.Envelope) {
			t.Errorf("another head: %+v %v", head, headErr)
		}
		AppendBodyStructure(nil, s.Root, Extended)
		u, err := Unmarshal(s.Marshal())
		if err != nil || describeSummary(u) != describeSummary(s) {
			t.Errorf("not the same again: %v", err)
		}
	})
}
