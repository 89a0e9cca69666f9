package pwd

import (
	"context"
	"strconv"

	"gatepost/server/admin"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// accountsCommand carries out GATEPOST ACCOUNTS, for tables of accounts (package admin, accounttable.go):
//
//	IMPORT {domain; header; attributes; dryrun; stop}  begins an import, which replaces one that the session has begun
//	ROWS {first; rows}       the next lines, which begin at the line first of the file. The answer has Results, a
//	                         dictionary for each line that is not empty, Notes, and Over=YES if the import has ended
//	COLUMNS {domain}         the columns of an export
//	EXPORT {domain; columns; after}  an array with a dictionary for each of the next accounts; empty at the end
func (s *session) accountsCommand(ctx context.Context, d *dataformat.Decoder) (dataformat.Value, error) {
	for _, w := range []struct {
		word string
		run  func(ctx context.Context, request dataformat.Dict) (dataformat.Value, error)
	}{
		{"IMPORT", s.beginImport}, {"ROWS", s.importRows},
		{"COLUMNS", func(ctx context.Context, r dataformat.Dict) (dataformat.Value, error) {
			return arrayOf(s.actor().ExportColumns(ctx, r.String("domain")))
		}},
		{"EXPORT", s.exportAccounts},
	} {
		if !d.Keyword(w.word) {
			continue
		}
		v, err := dataformat.Parse([]byte(d.Rest()))
		if err != nil {
			return nil, fault.Wrap("pwd.Accounts", fault.Invalid, err)
		}
		request, ok := v.(dataformat.Dict)
		if !ok {
			return nil, syntaxError("a dictionary is expected")
		}
		return w.run(ctx, request)
	}
	return nil, syntaxError("ACCOUNTS IMPORT, ROWS, COLUMNS or EXPORT is expected")
}

func (s *session) beginImport(ctx context.Context, r dataformat.Dict) (dataformat.Value, error) {
	s.accountImport = nil
	im, err := s.actor().ImportAccounts(ctx, r.String("domain"), r.String("header"), admin.AccountImportOptions{
		DryRun: r.String("dryrun") == "YES", Stop: r.String("stop") == "YES", Attributes: r.Strings("attributes"),
	})
	if err != nil {
		return nil, err
	}
	s.accountImport = im
	return dataformat.Dict{}, nil
}

func (s *session) importRows(ctx context.Context, r dataformat.Dict) (dataformat.Value, error) {
	im := s.accountImport
	if im == nil {
		return nil, syntaxError("ACCOUNTS IMPORT comes first")
	}
	first, err := strconv.Atoi(r.String("first"))
	array, ok := r["rows"].(dataformat.Array)
	if err != nil || !ok {
		return nil, syntaxError("first and rows are expected")
	}
	rows := make([]admin.AccountRow, len(array))
	for i, v := range array {
		text, ok := dataformat.Text(v)
		if !ok {
			return nil, syntaxError("each row is a string")
		}
		rows[i] = admin.AccountRow{Line: first + i, Text: text}
	}
	results, err := im.Rows(ctx, rows)
	out := dataformat.Dict{}
	list := make(dataformat.Array, len(results))
	for i, one := range results {
		list[i] = dataformat.Dict{
			"Line": dataformat.String(strconv.Itoa(one.Line)), "Name": dataformat.String(one.Name),
			"Outcome": dataformat.String(one.Outcome), "Reason": dataformat.String(one.Reason),
		}
	}
	out["Results"], out["Over"] = list, flagOf(im.Over())
	if out["Notes"], _ = arrayOf(im.Notes(), nil); err != nil {
		// What is done is told, and then why it does not go on.
		s.accountImport = nil
		out["Error"] = dataformat.String(fault.Explain(err))
	}
	return out, nil
}

func (s *session) exportAccounts(ctx context.Context, r dataformat.Dict) (dataformat.Value, error) {
	lines, err := s.actor().ExportAccounts(ctx, r.String("domain"), r.Strings("columns"), r.String("after"))
	list := make(dataformat.Array, len(lines))
	for i, l := range lines {
		list[i] = dataformat.Dict{"Name": dataformat.String(l.Name), "Text": dataformat.String(l.Text), "Lacks": dataformat.String(l.Lacks)}
	}
	return list, err
}
