package delivery

import "testing"

func TestJunkStars(t *testing.T) {
	for score, want := range map[int]int{0: 0, 50: 0, 51: 1, 55: 1, 56: 2, 70: 4, 71: 5, 92: 9, 95: 9, 96: 10, 100: 10} {
		if got := junkStars(score); len(got) != want {
			t.Errorf("%d has %q, want %d", score, got, want)
		}
	}
}
