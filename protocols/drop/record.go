package drop

import (
	"context"
	"crypto/rand"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"gatepost/queue/envelope"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
	"gatepost/server/logs"
)

// extTaken is the extension of records.
const extTaken = ".taken"

// record is what a pass does with a file or with rows, see the package comment.
type record struct {
	path    string // of its file
	source  string // name of the source
	results []result

	file string // of a drop folder: where it is
	as   string // its name in the sub-folders
	// inode and sum tell the file from another one that has its name meanwhile; without a sum it is not told.
	inode uint64
	sum   string

	// txid is the number of the transaction of a drop table that decides; empty when it is committed, and for
	// a drop folder. items are those of the rows.
	txid  string
	items []Item
}

// newRecord names a record, which is not written.
func (in *Intake) newRecord(source string) *record {
	return &record{path: filepath.Join(in.dir, rand.Text()+extTaken), source: source}
}

// write makes the record durable.
func (r *record) write() error {
	results := make(dataformat.Array, len(r.results))
	for i, x := range r.results {
		d := dataformat.Dict{}
		switch {
		case x.Reason == "":
			d["ID"] = dataformat.String(x.ID.String())
		case x.Later:
			d["Deferred"] = dataformat.String(x.Reason)
		default:
			d["Refused"] = dataformat.String(x.Reason)
		}
		results[i] = d
	}
	d := dataformat.Dict{"Source": dataformat.String(r.source), "Results": results}
	if r.file != "" {
		d["File"], d["As"] = dataformat.String(r.file), dataformat.String(r.as)
		d["Inode"], d["Sum"] = dataformat.String(strconv.FormatUint(r.inode, 10)), dataformat.String(r.sum)
	}
	if r.txid != "" {
		items := make(dataformat.Array, len(r.items))
		for i := range r.items {
			item := dataformat.Dict{}
			for _, f := range r.items[i].fields() {
				item[f.name] = dataformat.String(*f.text)
			}
			items[i] = item
		}
		d["Transaction"], d["Items"] = dataformat.String(r.txid), items
	}
	return dataformat.WriteFile(r.path, d, dataformat.StylePretty)
}

func readRecord(path string) (*record, error) {
	v, err := dataformat.ReadFile(path)
	if err != nil {
		return nil, err
	}
	d, _ := v.(dataformat.Dict)
	r := &record{path: path, source: d.String("Source"), file: d.String("File"), as: d.String("As"), sum: d.String("Sum")}
	r.inode, _ = strconv.ParseUint(d.String("Inode"), 10, 64) // of a file without one, what has its name is the file
	r.txid = d.String("Transaction")
	items, _ := d["Items"].(dataformat.Array)
	for _, e := range items {
		d, _ := e.(dataformat.Dict)
		var it Item
		for _, f := range it.fields() {
			*f.text = d.String(f.name)
		}
		r.items = append(r.items, it)
	}
	results, _ := d["Results"].(dataformat.Array)
	for _, e := range results {
		d, _ := e.(dataformat.Dict)
		x := result{Reason: d.String("Refused")}
		if text := d.String("Deferred"); text != "" {
			x.Reason, x.Later = text, true
		}
		if x.Reason == "" {
			id, err := strconv.ParseUint(d.String("ID"), 10, 64)
			if err != nil || id == 0 {
				return nil, fault.Newf("drop.Record", fault.Corrupt, "%s is damaged", path)
			}
			x.ID = envelope.QueueID(id)
		}
		r.results = append(r.results, x)
	}
	if r.source == "" || len(r.results) == 0 || r.txid != "" && len(r.items) != len(r.results) {
		return nil, fault.Newf("drop.Record", fault.Corrupt, "%s is damaged", path)
	}
	return r, nil
}

// remove ends the record. One that comes back after a power cut names what was settled, which does nothing.
func (r *record) remove() error { return os.Remove(r.path) }

// readRecords reads what an earlier run has left.
func (in *Intake) readRecords() ([]*record, error) {
	entries, err := os.ReadDir(in.dir)
	if err != nil {
		return nil, err
	}
	var list []*record
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), extTaken) {
			continue
		}
		r, err := readRecord(filepath.Join(in.dir, e.Name()))
		if fault.Is(err, fault.Corrupt) || fault.Is(err, fault.Invalid) {
			// It was written in one piece: the disk, or a hand. What it names stays held no longer, and its file is taken anew.
			in.log.Log(context.Background(), logs.LevelFailure, "a record of what was taken cannot be read and was set aside", "file", e.Name(), logs.AttrError, err)
			err = os.Rename(filepath.Join(in.dir, e.Name()), filepath.Join(in.dir, e.Name()+".bad"))
		} else if err == nil {
			list = append(list, r)
		}
		if err != nil {
			return nil, err
		}
	}
	return list, nil
}

// publish lets the messages of a record be delivered, which no transaction decides about.
func (in *Intake) publish(r *record) error {
	for _, x := range r.results {
		if x.ID == 0 {
			continue
		}
		switch held, err := in.o.Queue.HeldTag(x.ID); {
		case err != nil:
			return err
		case held != "" && held != tag:
			continue // a record that somebody has made up
		}
		if err := in.o.Queue.Publish(x.ID); err != nil {
			return err
		}
	}
	return nil
}

// drop removes messages that are held and that no record names.
func (in *Intake) drop(results []result) {
	for _, x := range results {
		if x.ID == 0 {
			continue
		}
		if err := in.o.Queue.Drop(x.ID); err != nil { // the next start does it
			in.log.Log(context.Background(), logs.LevelFailure, "a held message could not be removed", logs.AttrQueueID, uint64(x.ID), logs.AttrError, err)
		}
	}
}
