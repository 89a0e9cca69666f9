package fulltext

import (
	"errors"

	"gatepost/server/settings"
)

// Tag names the index in log records.
const Tag = "SEARCH"

// Settings of the index.
type Settings struct {
	Index   settings.Flag `key:"SearchIndex" default:"YES" level:"basic" since:"0.1" help:"whether the texts of messages are indexed for searches; if off, searches read the messages"`
	MaxText settings.Size `key:"MaxIndexedText" default:"1M" level:"advanced" since:"0.1" help:"how much text of a message is indexed; a message with more is read by every search for which the indexed part does not suffice"`
}

// Validate checks the values together.
func (s *Settings) Validate() error {
	if s.MaxText < 1<<10 || s.MaxText > 64<<20 {
		return errors.New("MaxIndexedText has to be between 1K and 64M")
	}
	return nil
}
