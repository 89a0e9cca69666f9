package server

import (
	"context"
	"io"

	"gatepost/accounts"
	"gatepost/accounts/lists"
	"gatepost/accounts/subscribers"
)

// ChangeSubscription implements admin.Server.
func (s *Server) ChangeSubscription(ctx context.Context, l *accounts.MailingList, operation, subscriber string, silently, confirm bool) error {
	return s.lists.Operate(ctx, l, operation, subscriber, silently, confirm)
}

// ProcessBounce implements admin.Server.
func (s *Server) ProcessBounce(ctx context.Context, l *accounts.MailingList, address string, fatal bool) error {
	return s.lists.ProcessBounce(ctx, l, address, fatal)
}

// ChangeSubscriptions implements admin.Server.
func (s *Server) ChangeSubscriptions(ctx context.Context, l *accounts.MailingList, all []subscribers.Subscriber, how subscribers.How) ([]error, error) {
	wanted := make([]lists.Request, len(all))
	for i := range all {
		wanted[i] = lists.Request{Address: all[i].Address, RealName: all[i].RealName, Mode: all[i].Mode}
	}
	return s.lists.ChangeAll(ctx, l, wanted, how)
}

// Waiting implements admin.Server.
func (s *Server) Waiting(_ context.Context, l *accounts.MailingList, limit int) (postings, subscriptions []subscribers.Question, err error) {
	all, err := s.lists.Waiting(l, limit)
	for _, w := range all {
		q := subscribers.Question{Token: w.Token, Address: w.Author, RealName: w.RealName, Value: w.Subject, Mode: w.Mode, Asked: w.Since}
		if w.Kind == lists.KindPost {
			postings = append(postings, q)
		} else {
			subscriptions = append(subscriptions, q)
		}
	}
	return postings, subscriptions, err
}

// OpenWaiting implements admin.Server.
func (s *Server) OpenWaiting(ctx context.Context, l *accounts.MailingList, token string) (io.ReadCloser, error) {
	return s.lists.Pending(ctx, l, token)
}

// Approve implements admin.Server.
func (s *Server) Approve(ctx context.Context, l *accounts.MailingList, token string) error {
	return s.lists.Approve(ctx, l, token)
}

// Reject implements admin.Server.
func (s *Server) Reject(ctx context.Context, l *accounts.MailingList, token, reason string) error {
	return s.lists.Reject(ctx, l, token, reason)
}
