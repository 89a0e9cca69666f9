package server

import (
	"context"

	"gatepost/accounts"
)

// ChangeSubscription implements admin.Server.
func (s *Server) ChangeSubscription(ctx context.Context, l *accounts.MailingList, operation, subscriber string, silently, confirm bool) error {
	return s.lists.Operate(ctx, l, operation, subscriber, silently, confirm)
}

// ProcessBounce implements admin.Server.
func (s *Server) ProcessBounce(ctx context.Context, l *accounts.MailingList, address string, fatal bool) error {
	return s.lists.ProcessBounce(ctx, l, address, fatal)
}
