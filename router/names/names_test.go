package names

import "testing"

func TestActionTextsReadBack(t *testing.T) {
	for a := Reject; a <= AcceptAndBounce; a++ {
		if got, ok := ParseAction(a.String()); !ok || got != a {
			t.Errorf("ParseAction(%q) = %v, %v", a.String(), got, ok)
		}
	}
	if a, ok := ParseAction("Accepted"); ok || a != Reject {
		t.Errorf("ParseAction of an unknown text = %v, %v", a, ok)
	}
}

func TestZeroPolicyRejects(t *testing.T) {
	if (Policy{}).Action != Reject {
		t.Error("the zero policy does not reject")
	}
}
