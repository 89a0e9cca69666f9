package server

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"gatepost/accounts/fulltext"
	"gatepost/accounts/mailbox"
	"gatepost/server/control"
	"gatepost/server/dataformat"
)

// SearchIndex tells what the search index has of an account.
func (s *Server) SearchIndex(a *mailbox.Account) (dataformat.Dict, error) {
	st, err := s.texts.State(a.ID())
	if err != nil {
		return nil, err
	}
	number := func(n int64) dataformat.Value { return dataformat.String(fmt.Sprint(n)) }
	return dataformat.Dict{"Messages": number(int64(st.Files)), "Part": number(int64(st.Partial)), "Segments": number(int64(st.Segments)),
		"Size": number(st.Size), "Waiting": number(int64(st.Waiting))}, nil
}

// Reindex has the search index of an account made anew in the background.
func (s *Server) Reindex(a *mailbox.Account) { s.texts.ReindexSoon(a) }

// ReindexAll makes the search index of all accounts anew.
func (s *Server) ReindexAll(ctx context.Context) ([]string, error) {
	accounts, messages, err := s.texts.ReindexAll(ctx)
	if err != nil {
		return nil, err
	}
	return []string{fmt.Sprintf("%sindexed %d messages of %d accounts", notePrefix, messages, accounts)}, nil
}

// Reindex makes the search index of a base directory anew and returns a line about it. The server that runs there does it, and the call returns when it is done; if there is
// none, the index is removed: the server makes it anew when it runs, account by account.
func Reindex(dir string) ([]string, error) {
	client, err := control.Dial(dir)
	if err == nil {
		return askLines(client, "GATEPOST REINDEX")
	}
	if !errors.Is(err, control.ErrNotRunning) {
		return nil, err
	}
	if !Exists(dir) {
		return nil, badBase("%s is not a base directory", dir)
	}
	if err := checkOwner(dir); err != nil {
		return nil, err
	}
	unlock, err := shareBase(dir)
	if err != nil {
		return nil, err
	}
	err = os.RemoveAll(filepath.Join(dir, fulltext.Directory))
	return []string{notePrefix + "removed the search index; the server indexes the messages of an account when it gets one or is searched"}, errors.Join(err, unlock())
}
