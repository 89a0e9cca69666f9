package groupware

import (
	"context"
	"io"

	"gatepost/accounts/access"
	"gatepost/accounts/groupware/interchange"
	"gatepost/accounts/mailbox"
	"gatepost/server/fault"
)

// replaced is how many texts of a file are in memory at a time.
const replaced = 32

// Replace makes a file of so many bytes the content of a calendar or task list. All of the file is looked at before anything changes. New and changed
// items are stored first, and then go those that the file has not: a failure in between leaves too much and loses nothing. Items that
// somebody else makes or changes meanwhile stay. Errors: a *Violation, NoMailbox, Denied, OverQuota, NoSpace, Canceled, those of r.
func (c *Collection) Replace(ctx context.Context, r io.ReaderAt, size int64, components []string) error {
	const op = "groupware.Replace"
	if c.Kind == Contacts {
		return fault.New(op, fault.Denied, "")
	}
	if err := c.require(access.Insert | access.Delete); err != nil {
		return err
	}
	before, err := c.Items(ctx)
	if err != nil {
		return err
	}
	f, err := interchange.Open(r, size)
	if err != nil {
		return err
	}
	if len(f.Problems) > 0 {
		p := f.Problems[0]
		return violates(ValidData, fault.Newf(op, fault.Invalid, "line %d: %s", p.Line, p.Reason))
	}
	uids := make(map[string]bool, len(f.Objects))
	if err := c.eachOf(ctx, f, func(text []byte) error {
		o, err := parse(c.Kind, text)
		if err != nil {
			return err
		}
		if len(components) > 0 && !contains(components, o.component) {
			return violates(ComponentType, fault.Newf(op, fault.Invalid, "%s is not stored in this collection", o.component))
		}
		if uids[o.uid] {
			return violates(ValidObject, fault.Newf(op, fault.Invalid, "two objects have the UID %.100q", o.uid))
		}
		uids[o.uid] = true
		return nil
	}); err != nil {
		return err
	}
	var texts [][]byte
	flush := func() error {
		results, err := c.Import(ctx, texts, ImportOptions{Replace: true})
		for i := range results {
			if err == nil {
				err = results[i].Err
			}
		}
		texts = texts[:0]
		return err
	}
	if err := c.eachOf(ctx, f, func(text []byte) error {
		if texts = append(texts, text); len(texts) == replaced {
			return flush()
		}
		return nil
	}); err != nil {
		return err
	}
	if err := flush(); err != nil {
		return err
	}
	for i := range before {
		if uids[before[i].Key] {
			continue
		}
		err := c.DeleteItem(ctx, before[i].Name, func(present mailbox.Item) error {
			if present.ETag != before[i].ETag {
				return fault.New(op, fault.Exists, "")
			}
			return nil
		})
		if err != nil && !fault.Is(err, fault.NoMessage) && !fault.Is(err, fault.Exists) {
			return err
		}
	}
	return nil
}

// eachOf calls fn with the text of each object of a file.
func (c *Collection) eachOf(ctx context.Context, f *interchange.File, fn func(text []byte) error) error {
	for i := range f.Objects {
		if err := ctx.Err(); err != nil {
			return fault.Wrap("groupware.Replace", fault.Canceled, err)
		}
		t, err := f.Text(&f.Objects[i])
		if err != nil {
			return violates(ValidData, fault.Wrap("groupware.Replace", fault.Invalid, err))
		}
		if err := fn(t.Bytes); err != nil {
			return err
		}
	}
	return nil
}
