package scheduling

import "context"

// room reports whether the account answers invitations by itself.
func (in *incoming) room() bool { return false }

// answer puts the answer of a room into what is stored, and returns what is sent.
func (in *incoming) answer(ctx context.Context, at *stored, old, next *object) ([]notice, error) {
	return nil, nil
}
