package accounts

import "gatepost/server/settings"

// Validate checks what a type alone does not bound.
func (s *AccountSettings) Validate() error {
	switch {
	case s.JunkScore != 0 && (s.JunkScore < 50 || s.JunkScore > 100):
		return settings.BadValue("JunkScore", "must be 50 to 100, or 0: mail with a lower score is not junk")
	case s.JunkLearnFirst < 1 || s.JunkLearnFirst > 10_000:
		return settings.BadValue("JunkLearnFirst", "must be 1 to 10000")
	}
	return nil
}
