package mailbox

import (
	"fmt"
	"strings"
	"testing"

	"gatepost/server/fault"
)

func TestDatasets(t *testing.T) {
	w := newWorld(t)
	a, b := w.account(1), w.account(2)
	has := func(set, address string, want bool) {
		t.Helper()
		if got, err := a.Remembers(set, address); got != want || err != nil {
			t.Errorf("%s has %s: %v, %v", set, address, got, err)
		}
	}
	has("Friends", "joe@far.org", false)
	if err := a.SetDatasetEntry(bg, "Friends", "Joe@Far.org", "{a=b;}"); err != nil {
		t.Fatal(err)
	}
	has("Friends", "joe@FAR.org", true)
	has("friends", "joe@far.org", false)
	has("Friends", "joe@far", false)
	if err := a.CreateDataset(bg, "Friends"); !fault.Is(err, fault.Exists) {
		t.Error(err)
	}
	if err := a.CreateDataset(bg, "Friends2"); err != nil {
		t.Error(err)
	}
	if sets, err := a.Datasets(bg); fmt.Sprint(sets, err) != "[Friends Friends2] <nil>" {
		t.Errorf("%v, %v", sets, err)
	}
	list, err := a.Dataset(bg, "Friends")
	if err != nil || len(list) != 1 || list[0].Address != "joe@far.org" || list[0].Data != "{a=b;}" || list[0].Added.IsZero() {
		t.Errorf("%v, %v", list, err)
	}
	if got, err := b.Remembers("Friends", "joe@far.org"); got || err != nil {
		t.Errorf("another account has it: %v", err)
	}
	for _, bad := range []func() error{
		func() error { return a.CreateDataset(bg, "") }, func() error { return a.CreateDataset(bg, "a\x00b") },
		func() error { return a.SetDatasetEntry(bg, "Friends", "", "") }, func() error { return a.SetDatasetEntry(bg, "Friends", strings.Repeat("x", 500), "") },
	} {
		if err := bad(); !fault.Is(err, fault.Invalid) {
			t.Error(err)
		}
	}
	if err := a.DeleteDatasetEntry(bg, "Friends", "JOE@far.org"); err != nil {
		t.Error(err)
	}
	has("Friends", "joe@far.org", false)
	if err := a.RemoveDataset(bg, "Friends"); err != nil {
		t.Error(err)
	}
	if err := a.RemoveDataset(bg, "Friends"); err != nil {
		t.Error(err)
	}
	if _, err := a.Dataset(bg, "Friends"); !fault.Is(err, fault.NotFound) {
		t.Error(err)
	}
	if sets, err := a.Datasets(bg); fmt.Sprint(sets, err) != "[Friends2] <nil>" {
		t.Errorf("%v, %v", sets, err)
	}
}

// What a delivery remembers is there with its record, and once.
func TestDeliveryRemembers(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	d := w.queued(1)
	d.Together = true
	note := Delivery{QueueID: d.QueueID, Copy: 1<<31 | 255, Together: true, RecordOnly: true,
		Remember: []Remembered{{"Replied", "Eve@far.org"}, {"Replied", "a\nb"}, {"", "x"}}}
	for range 2 {
		w.deliver(a, d, note)
	}
	w.crash()
	w.open()
	a = w.account(1)
	list, err := a.Dataset(bg, "Replied")
	if err != nil || len(list) != 1 || list[0].Address != "eve@far.org" {
		t.Errorf("%v, %v", list, err)
	}
}

func TestFullDatasetForgetsTheOldest(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	err := a.update(bg, func(e *edit) error {
		for i := range MaxDatasetEntries {
			if err := e.putEntry("Replied", fmt.Sprintf("%05d@far.org", i), ""); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.SetDatasetEntry(bg, "Replied", "new@far.org", ""); err != nil {
		t.Fatal(err)
	}
	list, err := a.Dataset(bg, "Replied")
	if err != nil || len(list) != MaxDatasetEntries*9/10+1 {
		t.Errorf("%d entries, %v", len(list), err)
	}
}
