package cache

import (
	"slices"
	"testing"
)

func TestCacheKeepsTheLatestAndNothingStale(t *testing.T) {
	c := New[string, int](2)
	load := func(v int) func() (int, error) { return func() (int, error) { return v, nil } }
	for i, k := range []string{"a", "b", "a", "c"} {
		if _, err := c.Get(k, load(i)); err != nil {
			t.Fatal(err)
		}
	}
	if _, ok := c.Peek("b"); ok {
		t.Error("the oldest was kept")
	}
	if v, _ := c.Get("a", load(9)); v != 0 {
		t.Errorf("a = %d", v)
	}
	// A load that was under way when something was dropped is not kept.
	v, err := c.Get("d", func() (int, error) { c.Drop("d"); return 7, nil })
	if _, ok := c.Peek("d"); ok || v != 7 || err != nil {
		t.Errorf("d = %d, %v, kept %v", v, err, ok)
	}
	if got := slices.Sorted(func(yield func(string) bool) {
		for k := range c.entries {
			yield(k)
		}
	}); !slices.Equal(got, []string{"a", "c"}) {
		t.Errorf("%v", got)
	}
}
