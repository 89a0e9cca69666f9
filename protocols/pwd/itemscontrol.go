package pwd

import (
	"context"

	"gatepost/server/admin"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// itemsCommand carries out GATEPOST ITEMS. Requests are those of the methods of admin.Actor, with the account.
//
//	COLLECTIONS {request}  an array of names
//	LIST {request}         the same, of items
//	READ {request}         an array of texts
//	IMPORT {request}       an array with a dictionary for each text
func (s *session) itemsCommand(ctx context.Context, d *dataformat.Decoder) (dataformat.Value, error) {
	for _, w := range []struct {
		word string
		run  func(account admin.Name, request dataformat.Dict) (dataformat.Value, error)
	}{
		{"COLLECTIONS", func(n admin.Name, r dataformat.Dict) (dataformat.Value, error) {
			all, err := s.actor().Collections(ctx, n, r)
			names := make([]string, len(all))
			for i := range all {
				names[i] = all[i].Name
			}
			return arrayOf(names, err)
		}},
		{"LIST", func(n admin.Name, r dataformat.Dict) (dataformat.Value, error) {
			return arrayOf(s.actor().Items(ctx, n, r))
		}},
		{"READ", func(n admin.Name, r dataformat.Dict) (dataformat.Value, error) {
			texts, err := s.actor().ReadItems(ctx, n, r)
			list := make(dataformat.Array, len(texts))
			for i, t := range texts {
				list[i] = dataformat.Data(t)
			}
			return list, err
		}},
		{"IMPORT", func(n admin.Name, r dataformat.Dict) (dataformat.Value, error) {
			list, err := s.actor().ImportItems(ctx, n, r)
			if list == nil {
				list = dataformat.Array{}
			}
			return list, err
		}},
	} {
		if !d.Keyword(w.word) {
			continue
		}
		v, err := dataformat.Parse([]byte(d.Rest()))
		if err != nil {
			return nil, fault.Wrap("pwd.Items", fault.Invalid, err)
		}
		request, ok := v.(dataformat.Dict)
		if !ok {
			return nil, syntaxError("a dictionary is expected")
		}
		return w.run(admin.ParseName(request.String("account")), request)
	}
	return nil, syntaxError("ITEMS COLLECTIONS, LIST, READ or IMPORT is expected")
}
