package server

import (
	"context"
	"time"

	"gatepost/server/logs"
)

// secretsCheck is how often rotateSecrets looks whether a secret is old.
const secretsCheck = 6 * time.Hour

// rotateSecrets keeps the secrets of return-paths and proofs fresh.
func (s *Server) rotateSecrets(ctx context.Context) error {
	timer := time.NewTicker(secretsCheck)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
			if err := s.secrets.Rotate(); err != nil {
				s.log.Log(ctx, logs.LevelFailure, "the secret of return-paths could not be replaced", logs.AttrError, err)
			}
		}
	}
}
